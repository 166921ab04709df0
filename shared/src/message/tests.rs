//! The message's own rules.

#![allow(clippy::unwrap_used)]

use super::*;

fn message() -> Message {
    Message {
        origin: Origin::of_server(AppId::parse("demo").unwrap(), Dialect::Imkit, MessageId::parse("m1").unwrap()),
        text: Text::default(),
        badge: Badge::None,
        behaviour: Behaviour::default(),
        media: Media::default(),
        data: Map::new(),
        vendors: Vendors::default(),
        roads: Roads::default(),
        values: None,
    }
}

#[test]
fn parts_that_are_not_there_take_no_bytes() {
    assert_eq!(
        serde_json::to_string(&message()).unwrap(),
        r#"{"origin":{"app":"demo","dialect":"imkit","message":"m1"}}"#
    );
}

#[test]
fn depth_is_told_by_brackets_outside_of_texts() {
    assert_eq!(depth("7"), 0);
    assert_eq!(depth(r#"{"a":[[1],{"b":"]]{\\\"[[["}]}"#), 3);
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    assert_eq!(depth(&deep), 300);
}

#[test]
fn a_message_survives_its_queue_record() {
    let mut full = message();
    full.text.title = Some("Demo Room".to_owned());
    full.text.localised = Some(Localised { key: "im_loc_text".to_owned(), args: vec!["SSS".to_owned()] });
    full.badge = Badge::Add { n: 1, source: Source::Room };
    full.behaviour.kind = Kind::Withdraw;
    full.behaviour.interruption = Some(Interruption::TimeSensitive);
    full.data.insert("nested".to_owned(), serde_json::json!({"a": [1, null]}));
    let text = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), full);
}

#[test]
fn a_client_stays_in_its_cohort_and_weights_hold() {
    let text = Text {
        cohorts: vec![
            Copy { weight: 1, ..Copy::default() },
            Copy { weight: 0, ..Copy::default() },
            Copy { weight: 3, ..Copy::default() },
        ],
        experiment: Some("titles".to_owned()),
        ..Text::default()
    };
    let mut counts = [0_u32; 3];
    for n in 0..10_000 {
        let client = format!("client-{n}");
        let cohort = text.cohort_of(&client).unwrap();
        assert_eq!(text.cohort_of(&client), Some(cohort));
        counts[cohort] += 1;
    }
    assert!((2_300..2_700).contains(&counts[0]), "{counts:?}");
    assert_eq!(counts[1], 0);
    assert_eq!(Text::default().cohort_of("aaa"), None);
}

#[test]
fn a_collapse_id_fits_apns() {
    let mut long = message();
    assert_eq!(long.collapse_id(), "m1");
    long.behaviour.collapse = Some("x".repeat(65));
    assert!(long.collapse_id().len() <= 64);
    long.behaviour.collapse = Some("部屋".to_owned());
    assert!(long.collapse_id().is_ascii());
}

#[test]
fn what_adds_to_a_badge_counts_and_a_recall_does_not() {
    let of = |badge: Badge, room: Option<&str>| {
        let origin = Origin { room: room.map(str::to_owned), ..message().origin };
        Message { origin, badge, ..message() }
    };
    let room = |n| Badge::Add { n, source: Source::Room };
    let named = |n| Badge::Add { n, source: Source::Named("orders".to_owned()) };
    assert!(of(room(1), Some("r")).counts() && of(named(2), None).counts());
    assert!(!of(room(1), None).counts(), "no room, no counter");
    assert!(!of(room(0), Some("r")).counts() && !of(named(0), None).counts());
    for badge in [Badge::None, Badge::Keep, Badge::Show(3), Badge::Clear] {
        assert!(!of(badge, Some("r")).counts());
    }
    let recall = Behaviour { kind: Kind::Withdraw, ..Behaviour::default() };
    assert!(!Message { behaviour: recall, ..of(room(1), Some("r")) }.counts());
    let online = Roads { strategy: Strategy::Online, ..Roads::default() };
    assert!(!Message { roads: online, ..of(room(1), Some("r")) }.counts());
}
