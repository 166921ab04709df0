//! `message`: every field, and what is wrong with it.

use super::*;
use crate::dialect::lanying::labels::BADGE_SOURCE;
use crate::message::{Badge, ClickAction, HuaweiBlock, IosBlock, Kind, Source, VendorBlock, Vendors, VivoBlock};

#[test]
fn a_text_is_shown_and_counts_one() {
    let message = message(&saying(json!({"title": "t", "body": "b", "big_text": "long", "unknown": 1})));
    assert_eq!(message.origin.dialect, crate::message::Dialect::Lanying);
    assert_eq!(message.origin.message.as_str(), "7-abcdefgh");
    let text = &message.text;
    assert_eq!([&text.title, &text.body, &text.big].map(Option::as_deref), [Some("t"), Some("b"), Some("long")]);
    assert_eq!((message.behaviour.kind, message.behaviour.receipts), (Kind::Alert, true));
    let one = Badge::Add { n: 1, source: Source::Named(BADGE_SOURCE.to_owned()) };
    assert_eq!((message.badge, message.vendors, message.data.len()), (one, Vendors::default(), 0));
}

#[test]
fn a_message_is_there_and_its_texts_are_texts() {
    for blank in [json!(null), json!("")] {
        assert_eq!(refused(&saying(blank)), "message is missing");
    }
    assert_eq!(refused(&saying(json!({}))), "message is empty");
    assert_eq!(refused(&json!({"audience": "all"})), "message is missing");
    assert_eq!(refused(&saying(json!("hello"))), "message is not an object");
    for field in ["type", "title", "body", "big_text", "attachment_url"] {
        assert_eq!(refused(&saying(json!({field: 1}))), format!("message.{field} is not a text"));
    }
    assert_eq!(refused(&json!([])), "the body is not a JSON object");
    let none = Push::parse(Err(BodyError::Empty), &app(), NOW).unwrap_err();
    assert_eq!(none.to_string(), "the request has no body");
}

#[test]
fn a_command_is_for_the_app_only_and_counts_nothing_unless_said() {
    let said = message(&saying(json!({"type": "cmd", "ext": {"do": "sync"}})));
    assert_eq!((said.behaviour.kind, said.badge), (Kind::Data, Badge::None));
    let counted = message(&saying(json!({"type": "CMD", "badge": "+1"})));
    assert!(matches!(counted.badge, Badge::Add { n: 1, .. }));
    assert_eq!(refused(&with("type", json!("voice"))), "message.type is none of text, image and cmd");
}

#[test]
fn what_has_no_text_shows_nothing_and_counts_nothing_unless_said() {
    let badge = |said: Value| message(&saying(said)).badge;
    let image = json!({"type": "image", "attachment_url": "https://x/b.png"});
    for silent in [json!({"ext": {"do": "sync"}}), json!({"title": "", "body": null, "ext": {}}), image] {
        assert_eq!(badge(silent.clone()), Badge::None, "{silent}");
        let mut said = silent;
        said["badge"] = json!("+1");
        assert!(matches!(badge(said), Badge::Add { n: 1, .. }));
    }
    for text in ["title", "body", "big_text"] {
        assert!(matches!(badge(json!({text: "t"})), Badge::Add { n: 1, .. }), "{text}");
    }
}

#[test]
fn an_image_has_an_address_that_ends_as_images_do() {
    let media = |kind: &str, url: &str| message(&saying(json!({"type": kind, "attachment_url": url}))).media;
    for url in ["https://cdn.example.com/a/b.JPG", "http://x/b.jpeg?w=876", "HTTPS://x/b.png#f"] {
        for kind in ["image", "text", "cmd"] {
            assert_eq!((media(kind, url).image.as_deref(), media(kind, url).attachment), (Some(url), None));
        }
    }
    for url in ["https://cdn.example.com/a.mp3", "https://cdn.example.com", "https://x.png", "https://x/a?f=b.png"] {
        assert_eq!((media("text", url).attachment.as_deref(), media("text", url).image), (Some(url), None));
        let told = refused(&saying(json!({"type": "image", "attachment_url": url})));
        assert_eq!(told, "message.attachment_url ends in none of .jpg, .jpeg and .png");
    }
    let told = refused(&saying(json!({"type": "image", "body": "b"})));
    assert_eq!(told, "message.attachment_url is missing, as the type is image");
    for wrong in ["cdn.example.com/a.png", "ftp://x/a.png", "https:///a.png", "https://x/a b.png", "javascript:1"] {
        let told = refused(&with("attachment_url", json!(wrong)));
        assert_eq!(told, "message.attachment_url is no http or https address", "{wrong}");
    }
    let long = format!("https://x/{}.png", "a".repeat(2048));
    assert_eq!(refused(&with("attachment_url", json!(long))), "message.attachment_url is longer than 2048 bytes");
}

#[test]
fn a_badge_is_a_total_or_what_is_added() {
    let badge = |value: Value| message(&with("badge", value)).badge;
    let add = |n| Badge::Add { n, source: Source::Named(BADGE_SOURCE.to_owned()) };
    let total = |n| Badge::Total { n, source: BADGE_SOURCE.to_owned() };
    for (value, expected) in [
        (json!("7"), total(7)),
        (json!("0"), total(0)),
        (json!("007"), total(7)),
        (json!(7), total(7)),
        (json!("999999"), total(999_999)),
        (json!("+1"), add(1)),
        (json!("+2"), add(2)),
        (json!("+999999"), add(999_999)),
        (json!("+0"), Badge::Keep),
        (json!(""), add(1)),
        (json!(null), add(1)),
    ] {
        assert_eq!(badge(value.clone()), expected, "{value}");
    }
    for wrong in [
        json!("abc"),
        json!("-1"),
        json!("+"),
        json!("++1"),
        json!("1.5"),
        json!(" 7"),
        json!("1000000"),
        json!("+1000000"),
        json!("99999999999999999999"),
        json!(-1),
        json!(1.5),
        json!(1_000_000),
        json!(true),
        json!([7]),
    ] {
        let told = "message.badge is neither a number from 0 to 999999 nor one after a +";
        assert_eq!(refused(&with("badge", wrong.clone())), told, "{wrong}");
    }
}

#[test]
fn ext_is_the_data_and_has_the_times() {
    let ext = json!({"key1": 123, "key2": "value2", "deep": {"a": [1, null]}, "show_end_time": "mine"});
    assert_eq!(Value::Object(message(&with("ext", ext.clone())).data), ext);
    let timed = json!({"body": "b", "ext": ext, "show_begin_time": NOW_S + 60, "show_end_time": NOW_S + 120});
    let data = message(&saying(timed)).data;
    assert_eq!((&data["show_begin_time"], &data["show_end_time"]), (&json!(NOW_S + 60), &json!(NOW_S + 120)));
    assert_eq!(data["key1"], 123);
    for wrong in [json!("a"), json!([1]), json!(1)] {
        assert_eq!(refused(&with("ext", wrong)), "message.ext is not an object");
    }
    assert!(message(&with("ext", json!(""))).data.is_empty());
}

#[test]
fn an_ext_that_no_vendor_takes_is_refused() {
    let most = "x".repeat(4096 - r#"{"a":""}"#.len());
    assert_eq!(message(&with("ext", json!({"a": most, "payload": "y".repeat(9000)}))).data["a"], most);
    let told = "message.ext is longer than 4096 bytes as JSON";
    assert_eq!(refused(&with("ext", json!({"a": format!("{most}x")}))), told);
    assert_eq!(refused(&with("ext", json!({"a": most, "b": 1}))), told);
}

#[test]
fn a_push_that_begins_later_is_due_then_and_ends_when_it_says() {
    let push = |begin: u64, end: u64| {
        parse(&saying(json!({"body": "b", "show_begin_time": begin, "show_end_time": end}))).unwrap()
    };
    let seconds = |seconds: u64| Timestamp::from_millis(seconds * 1000);
    let behaviour = |begin, end| {
        let push = push(begin, end);
        let message = push.content.message(app(), MessageId::parse("m").unwrap(), push.roads);
        (push.due, message.behaviour.show_from, message.behaviour.expires_at)
    };
    assert_eq!(behaviour(0, 0), (None, None, None));
    let (begin, end) = (NOW_S + 3600, NOW_S + 7200);
    assert_eq!(behaviour(begin, end), (Some(seconds(begin)), Some(seconds(begin)), Some(seconds(end))));
    assert_eq!(behaviour(0, end), (None, None, Some(seconds(end))));
    let past = NOW_S - 60;
    assert_eq!(behaviour(past, 0), (None, Some(seconds(past)), None), "at once, and the phone is told");
    let month = NOW_S + 30 * 86_400;
    assert_eq!(behaviour(month, 0).0, Some(seconds(month)));
    for (fields, told) in [
        (json!({"show_end_time": NOW_S}), "message.show_end_time is past"),
        (
            json!({"show_begin_time": begin, "show_end_time": begin}),
            "message.show_end_time is not after message.show_begin_time",
        ),
        (json!({"show_begin_time": month + 1}), "message.show_begin_time is more than 30 days ahead"),
        (json!({"show_begin_time": -1}), "message.show_begin_time is not a time in seconds since 1970"),
        (json!({"show_begin_time": 1.5}), "message.show_begin_time is not a time in seconds since 1970"),
        (json!({"show_begin_time": "now"}), "message.show_begin_time is not a time in seconds since 1970"),
        (json!({"show_end_time": end * 1000}), "message.show_end_time is not a time in seconds since 1970"),
        (json!({"show_end_time": u64::MAX}), "message.show_end_time is not a time in seconds since 1970"),
    ] {
        let mut fields = fields;
        fields["body"] = json!("b");
        assert_eq!(refused(&saying(fields)), told);
    }
    let blank = json!({"body": "b", "show_begin_time": null, "show_end_time": ""});
    assert_eq!(parse(&saying(blank)).unwrap().due, None);
}

#[test]
fn every_key_of_every_block_is_carried_typed() {
    let of_all = json!({"sound": "s", "channel_id": "c", "click_action": "intent", "intent": "intent:#Intent;end"});
    let common = VendorBlock {
        sound: Some("s".to_owned()),
        channel_id: Some("c".to_owned()),
        click_action: Some(ClickAction::Intent),
        intent: Some("intent:#Intent;end".to_owned()),
        data: None,
        data_only: None,
    };
    let plus = |more: Value| {
        let mut block = of_all.clone();
        block.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        block
    };
    let vendors = message(&saying(json!({
        "body": "b",
        "ios": {
            "sound": "s", "content_available": true, "mutable_content": false, "category": "c", "thread_id": "t",
            "subtitle": "u", "apns_collapse_id": "i", "aps": {"alert": "not theirs"},
        },
        "android": of_all,
        "fcm": of_all,
        "huawei": plus(json!({"badge_class": "com.test.MainActivity"})),
        "xiaomi": of_all,
        "oppo": of_all,
        "vivo": plus(json!({"push_mode": 1, "classification": 0})),
        "flyme": of_all,
        "honor": plus(json!({"badge_class": "com.test.MainActivity"})),
    })))
    .vendors;
    let text = |text: &str| Some(text.to_owned());
    let huawei = HuaweiBlock { common: common.clone(), badge_class: text("com.test.MainActivity") };
    let expected = Vendors {
        ios: Some(IosBlock {
            sound: text("s"),
            content_available: Some(true),
            mutable_content: Some(false),
            category: text("c"),
            thread_id: text("t"),
            subtitle: text("u"),
            apns_collapse_id: text("i"),
            aps: None,
            plain_alert: false,
            data: None,
        }),
        android: Some(common.clone()),
        fcm: Some(common.clone()),
        huawei: Some(huawei.clone()),
        xiaomi: Some(common.clone()),
        oppo: Some(common.clone()),
        vivo: Some(VivoBlock { common: common.clone(), push_mode: Some(1), classification: Some(0) }),
        flyme: Some(common),
        honor: Some(huawei),
    };
    assert_eq!(vendors, expected);
}

#[test]
fn a_block_that_says_nothing_is_none() {
    for blank in [json!(null), json!(""), json!({}), json!({"sound": "", "intent": null}), json!({"more": 1})] {
        for name in ["ios", "android", "fcm", "huawei", "xiaomi", "oppo", "vivo", "flyme", "honor"] {
            assert_eq!(message(&with(name, blank.clone())).vendors, Vendors::default());
        }
    }
}

#[test]
fn what_is_wrong_with_a_block_is_told() {
    for name in ["android", "fcm", "huawei", "xiaomi", "oppo", "vivo", "flyme", "honor"] {
        for field in ["sound", "channel_id", "click_action", "intent"] {
            let told = refused(&with(name, json!({field: 1})));
            assert_eq!(told, format!("message.{name}.{field} is not a text"));
        }
        let told = refused(&with(name, json!({"click_action": "url"})));
        assert_eq!(told, format!("message.{name}.click_action is neither intent nor open_app"));
        let told = refused(&with(name, json!({"click_action": "intent"})));
        let rule = format!("message.{name}.intent is missing, as message.{name}.click_action is intent");
        assert_eq!(told, rule);
        let with_android = json!({"android": {"intent": "intent:#Intent;end"}, name: {"click_action": "intent"}});
        assert_eq!(parse(&saying(with_android)).is_ok(), name != "android");
        assert_eq!(refused(&with(name, json!("x"))), format!("message.{name} is not an object"));
    }
    for (name, block, told) in [
        ("ios", json!([]), "message.ios is not an object"),
        ("ios", json!({"sound": {}}), "message.ios.sound is not a text"),
        ("ios", json!({"category": 1}), "message.ios.category is not a text"),
        ("ios", json!({"thread_id": 1}), "message.ios.thread_id is not a text"),
        ("ios", json!({"subtitle": 1}), "message.ios.subtitle is not a text"),
        ("ios", json!({"content_available": 1}), "message.ios.content_available is neither true nor false"),
        ("ios", json!({"mutable_content": "true"}), "message.ios.mutable_content is neither true nor false"),
        ("ios", json!({"apns_collapse_id": 1}), "message.ios.apns_collapse_id is not a text"),
        ("ios", json!({"apns_collapse_id": "é".repeat(33)}), "message.ios.apns_collapse_id is longer than 64 bytes"),
        ("huawei", json!({"badge_class": 1}), "message.huawei.badge_class is not a text"),
        ("honor", json!({"badge_class": 1}), "message.honor.badge_class is not a text"),
        ("vivo", json!({"push_mode": 2}), "message.vivo.push_mode is neither 0 nor 1"),
        ("vivo", json!({"push_mode": "0"}), "message.vivo.push_mode is neither 0 nor 1"),
        ("vivo", json!({"classification": -1}), "message.vivo.classification is neither 0 nor 1"),
    ] {
        assert_eq!(refused(&with(name, block)), told);
    }
}
