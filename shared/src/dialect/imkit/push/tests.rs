#![allow(clippy::unwrap_used)]
use super::*;
use crate::id::ClientId;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn parse(body: &Value) -> Result<ClientPush, Failure> {
    ClientPush::parse(Ok(body.to_string().as_bytes()), NOW)
}

fn refused(body: &Value) -> (&'static str, String) {
    let failure = parse(body).unwrap_err();
    (failure.code(), failure.to_string())
}

fn with(payload: &Value) -> Value {
    json!({"clients": ["user001"], "payload": payload})
}

fn message(payload: &Value) -> Message {
    parse(&with(payload)).unwrap().message(AppId::parse("demo").unwrap(), MessageId::parse("m1").unwrap())
}

#[test]
fn the_page_s_example_goes_to_each_kind_of_phone_as_it_says() {
    let body = json!({
        "clients": ["user001", "user002", "user001", 7],
        "payload": {
            "type": "marketing", "alert": "A new offer for you", "badge": 1, "sound": "default", "topic": "io.imkit.app",
            "title": "Offer", "body": "Have a look", "icon": "https://example.com/icon.png", "collapseKey": "promo_2026",
            "expiry": 1_767_229_200,
        },
    });
    let push = parse(&body).unwrap();
    let clients = ["user001", "user002"].map(|id| Target::Fresh(ClientId::parse(id).unwrap()));
    assert_eq!((push.to.as_slice(), push.left_out.duplicates, push.left_out.skipped_count), (&clients[..], 1, 1));
    let message = message(&body["payload"]);
    let ios = message.vendors.ios.clone().unwrap();
    assert_eq!(
        Value::Object(ios.aps.unwrap()),
        json!({"alert": "A new offer for you", "badge": 1, "sound": "default"})
    );
    assert_eq!(ios.apns_collapse_id.as_deref(), Some("m1"), "the collapse key is Android's");
    assert_eq!((message.text.title.as_deref(), message.text.body.as_deref()), (Some("Offer"), Some("Have a look")));
    assert_eq!(message.badge, Badge::Show(1));
    assert_eq!(message.collapse_id(), "promo_2026");
    assert_eq!(message.behaviour.expires_at, Some(Timestamp::from_millis(1_767_229_200_000)));
    let data = json!({"type": "marketing", "icon": "https://example.com/icon.png"});
    assert_eq!(Value::Object(message.data), data);
}

#[test]
fn who_has_no_text_of_their_own_gets_the_other_s() {
    let alert = message(&json!({"alert": "for Apple's"}));
    assert_eq!((alert.text.title, alert.text.body.as_deref()), (None, Some("for Apple's")));
    let parts = message(&json!({"alert": {"title": "t", "body": "b"}, "body": "own"}));
    assert_eq!((parts.text.title.as_deref(), parts.text.body.as_deref()), (Some("t"), Some("own")));
    let android = message(&json!({"title": "t", "body": "b", "badge": 3, "sound": "ping.caf"}));
    assert_eq!(android.vendors.ios.unwrap().aps, None);
    assert_eq!((android.badge, android.behaviour.sound.as_deref()), (Badge::Show(3), Some("ping.caf")));
    assert_eq!(android.behaviour.kind, Kind::Alert);
}

#[test]
fn a_localised_alert_is_apple_s_dictionary_and_android_s_data() {
    let message =
        message(&json!({"alert": {"loc-key": "NEW_MESSAGE", "loc-args": ["a", "b"]}, "title": "t", "body": "b"}));
    assert_eq!(message.vendors.ios.unwrap().aps.unwrap()["alert"]["loc-key"], "NEW_MESSAGE");
    let expected = Localised { key: "NEW_MESSAGE".to_owned(), args: vec!["a".to_owned(), "b".to_owned()] };
    assert_eq!(message.text.localised, Some(expected));
}

#[test]
fn a_badge_alone_is_a_badge() {
    let badge = message(&json!({"badge": 0}));
    assert_eq!((badge.behaviour.kind, badge.badge), (Kind::Badge, Badge::Show(0)));
}

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    let invalid = |told: &str| ("INVALID_PARAMETER", told.to_owned());
    assert_eq!(refused(&json!({"payload": {"alert": "a"}})).0, "MISSING_PARAMETER");
    assert_eq!(refused(&json!({"clients": ["a"]})).0, "MISSING_PARAMETER");
    assert_eq!(refused(&json!({"clients": "a", "payload": {"alert": "a"}})), invalid("clients is not a list"));
    let nobody = json!({"clients": [7], "payload": {"alert": "a"}});
    assert_eq!(refused(&nobody), invalid("clients has nobody who can be told: clients[0] is not a string"));
    assert_eq!(refused(&json!({"clients": ["a"], "payload": "a"})), invalid("payload is not an object"));
    assert_eq!(refused(&with(&json!({"type": "x", "alert": "", "title": null}))).0, "MISSING_PARAMETER");
    for (payload, told) in [
        (json!({"alert": 7}), "payload.alert is neither a string nor an object"),
        (json!({"alert": "a", "badge": -1}), "payload.badge is not a whole number from 0 to 4294967295"),
        (json!({"alert": "a", "badge": "1"}), "payload.badge is not a whole number from 0 to 4294967295"),
        (json!({"alert": "a", "title": ["t"]}), "payload.title is not a string"),
        (json!({"alert": "a", "expiry": "soon"}), "payload.expiry is not a time in seconds since 1970"),
        (
            json!({"alert": "a", "expiry": 1_767_225_600}),
            "payload.expiry is not after the time at which the push is sent",
        ),
        (json!({"alert": "x".repeat(4100)}), "payload.alert is longer than 4096 bytes as JSON"),
        (
            json!({"alert": "a", "icon": "x".repeat(4100)}),
            "payload.type and payload.icon are longer than 4096 bytes as JSON",
        ),
    ] {
        assert_eq!(refused(&with(&payload)), invalid(told));
    }
}

#[test]
fn a_push_may_wait_for_its_time() {
    let mut body = with(&json!({"alert": "a"}));
    body["sendAt"] = json!("2026-01-01T00:01:00Z");
    body["requestId"] = json!("r1");
    let push = parse(&body).unwrap();
    assert_eq!((push.due, push.request.as_deref()), (Some(NOW.plus(std::time::Duration::from_secs(60))), Some("r1")));
    body["sendAt"] = json!("soon");
    assert_eq!(refused(&body).0, "INVALID_PARAMETER");
}
