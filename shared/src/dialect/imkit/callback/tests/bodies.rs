//! Which bodies are taken, and which version they are.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dialect::imkit::message_type::TYPES;
use crate::message::{Badge, Kind};

#[test]
fn the_v1_badge_is_shown_and_its_alert_is_the_body() {
    let body = json!({
        "_id": "m1", "room": "r1", "messageType": "text", "message": "see you at 9", "sender": {"_id": "u-207", "nickname": "Mira"},
        "alert": "Mira: see you at 9!", "toClient": "u-310", "badge": 4, "mentions": ["u-310"],
    });
    let nested = {
        let mut message = body.clone();
        let object = message.as_object_mut().unwrap();
        let outer: Map<String, Value> = ["alert", "toClient", "badge"]
            .iter()
            .map(|name| ((*name).to_owned(), object.remove(*name).unwrap()))
            .chain([("payload".to_owned(), Value::Null)])
            .collect();
        let mut outer = Value::Object(outer);
        outer["payload"] = message;
        outer
    };
    let all_inside = json!({"payload": body.clone()});
    for body in [body, nested, all_inside] {
        let (message, recipients) = delivered(&v1(), &body);
        assert_eq!(recipients.clients, [ClientId::parse("u-310").unwrap()]);
        assert_eq!(message.badge, Badge::Show(4));
        assert_eq!(message.text.title.as_deref(), Some("Mira"));
        assert_eq!(message.text.body.as_deref(), Some("Mira: see you at 9!"));
        assert_eq!(message.text.localised.unwrap().args, ["Mira", "see you at 9"]);
        assert_eq!(message.origin.mentions, ["u-310"]);
        for left_out in ["toClient", "badge", "alert", "pushToClients"] {
            assert!(message.data["payload"].get(left_out).is_none(), "{left_out}");
        }
        assert_eq!(message.data["payload"]["message"], "see you at 9");
    }
}

#[test]
fn a_v1_callback_without_a_badge_leaves_the_icon_alone() {
    let body = |badge: Value| json!({"_id": "m1", "toClient": "u-310", "badge": badge});
    assert_eq!(delivered(&v1(), &body(Value::Null)).0.badge, Badge::None);
    assert_eq!(delivered(&v1(), &body(json!(0))).0.badge, Badge::Show(0));
    assert_eq!(delivered(&v1(), &body(json!(7.0))).0.badge, Badge::Show(7));
    for wrong in [json!(-1), json!("4"), json!(1.5), json!(1e300), json!([4])] {
        let error = try_read(&v1(), &body(wrong)).unwrap_err();
        assert_eq!(error.to_string(), "badge must be a whole number of 0 or more");
    }
}

#[test]
fn the_callback_that_the_app_does_not_take_is_ignored() {
    let (one, many) = (json!({"_id": "m1", "toClient": "aaa"}), json!({"_id": "m1", "pushToClients": ["aaa"]}));
    let ignored = |version| Callback::Ignored(Ignored::Version(version));
    assert_eq!(try_read(&v2(), &one).unwrap(), ignored(ImkitVersion::V1));
    assert_eq!(try_read(&v1(), &many).unwrap(), ignored(ImkitVersion::V2));
    assert_eq!(try_read(&v2(), &json!({"payload": one})).unwrap(), ignored(ImkitVersion::V1));
}

#[test]
fn a_hidden_message_is_not_told() {
    let hidden = try_read(&v2(), &text(&json!({"isHidden": true}))).unwrap();
    assert_eq!(hidden, Callback::Ignored(Ignored::Hidden));
    assert_eq!(message(&chat("recall", &json!({"isHidden": true}))).behaviour.kind, Kind::Withdraw);
}

#[test]
fn an_empty_list_tells_nobody_and_is_no_error() {
    let (_, recipients) = delivered(&v2(), &text(&json!({"pushToClients": []})));
    assert_eq!(recipients, Recipients::default());
}

#[test]
fn a_field_that_cannot_be_worked_with_is_named() {
    let long = "x".repeat(300);
    let cases = [
        (json!({"_id": "m1"}), "pushToClients is missing (or toClient, for the v1 callback)"),
        (json!({"_id": "m1", "pushToClients": null}), "pushToClients is missing (or toClient, for the v1 callback)"),
        (json!({"payload": {"_id": "m1"}}), "pushToClients is missing (or toClient, for the v1 callback)"),
        (json!({"_id": "m1", "pushToClients": "aaa"}), "pushToClients must be a list"),
        (json!({"_id": "m1", "pushToClients": {"0": "aaa"}}), "pushToClients must be a list"),
        (json!({"pushToClients": []}), "_id is missing"),
        (json!({"_id": null, "pushToClients": ["aaa"]}), "_id is missing"),
        (json!({"_id": 7, "pushToClients": ["aaa"]}), "_id must be a string"),
        (json!({"_id": "", "pushToClients": ["aaa"]}), "_id is empty"),
        (json!({"_id": long, "pushToClients": ["aaa"]}), "_id is longer than 256 bytes"),
        (json!({"_id": "m1", "room": {"_id": "r1"}, "pushToClients": ["aaa"]}), "room must be a string"),
        (
            json!({"_id": "m1", "room": "r\u{1}", "pushToClients": ["aaa"]}),
            "room holds a character that is not allowed",
        ),
        (json!({"_id": "m1", "messageType": 7, "pushToClients": ["aaa"]}), "messageType must be a string"),
        (json!({"_id": "m1", "messageType": long, "pushToClients": ["aaa"]}), "messageType is longer than 64 bytes"),
        (json!([]), "the body must be a JSON object"),
        (json!("text"), "the body must be a JSON object"),
        (json!(null), "the body must be a JSON object"),
    ];
    for (body, expected) in cases {
        let error = try_read(&v2(), &body).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.failure().status(), StatusCode::BAD_REQUEST);
    }
    let error = try_read(&v1(), &json!({"_id": "m1", "toClient": ["aaa"]})).unwrap_err();
    assert_eq!(error.to_string(), "toClient must be a string");
    let error = try_read(&v1(), &json!({"_id": "m1", "toClient": ""})).unwrap_err();
    assert_eq!(error.to_string(), "toClient is empty");
}

#[test]
fn broken_json_is_placed_and_never_quoted() {
    let place = |body: &[u8]| match read(&app(), &v2(), body) {
        Err(CallbackError::Syntax { line, column }) => (line, column),
        other => panic!("{other:?}"),
    };
    assert_eq!(place(b"{\"_id\": \"m1\",\n \"room\": s3cret}"), (2, 10));
    assert_eq!(place(b"{\"_id\": \"m1\"} s3cret"), (1, 15));
    assert_eq!(place(b"{\"_id\": \"m1\""), (1, 12));
    assert_eq!(place(b"{\n\"_id\": \"\xff\"}"), (2, 9));
    // Half a surrogate pair, and nesting without end, are found in the second step.
    let (line, _) = place(b"{\"_id\": \"m1\",\n\"pushToClients\": [],\n\"message\": \"\\ud800\"}");
    assert_eq!(line, 3);
    let deep =
        format!("{{\"_id\": \"m1\", \"pushToClients\": [],\n\"extra\": {}{}}}", "[".repeat(1000), "]".repeat(1000));
    assert_eq!(place(deep.as_bytes()).0, 2);
    let error = read(&app(), &v2(), b"{\"s3cret\"}").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[test]
fn a_message_of_more_than_64_kib_is_refused_whatever_its_recipients() {
    let error = try_read(&v2(), &text(&json!({"message": "x".repeat(MOST_BYTES)}))).unwrap_err();
    assert_eq!((error, error.failure().status()), (CallbackError::TooLarge, StatusCode::PAYLOAD_TOO_LARGE));
    let many: Map<String, Value> = (0..20_000).map(|n| (n.to_string(), json!(0))).collect();
    let mut body = text(&Value::Object(many));
    assert_eq!(try_read(&v2(), &body).unwrap_err(), CallbackError::TooLarge);
    body = text(&json!({"pushToClients": vec!["x".repeat(200); 1000]}));
    assert_eq!(delivered(&v2(), &body).1.left_out.duplicates, 999);
}

#[test]
fn a_message_that_is_taken_fits_a_queue_record() {
    for filler in ["x", "\"", "\u{1}", "部"] {
        let most = MOST_BYTES / serde_json::to_string(filler).unwrap().len() - 500;
        let long = filler.repeat(most / 3);
        let body = text(&json!({"message": long, "roomName": long, "sender": {"_id": "u-207", "nickname": long}}));
        let json = serde_json::to_vec(&message(&body)).unwrap();
        assert!(json.len() <= MOST_BYTES, "{filler:?}: {}", json.len());
    }
}

#[test]
fn a_repeated_field_is_its_last_one() {
    let body = br#"{"_id": "m1", "message": "a", "sender": {"nickname": "M"}, "message": "b", "pushToClients": ["x"], "pushToClients": ["y"]}"#;
    let Callback::Deliver(message, recipients) = read(&app(), &v2(), body).unwrap() else { panic!("ignored") };
    assert_eq!(message.text.body.as_deref(), Some("M: b"));
    assert_eq!(recipients.clients[0].as_str(), "y");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // What `serde_json` reads back as it was written.
        any::<i16>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
        ".{0,12}".prop_map(Value::from),
        Just(json!("encrypted")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(field(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn field() -> impl Strategy<Value = String> {
    let known = [
        "_id",
        "id",
        "room",
        "roomName",
        "messageType",
        "message",
        "sender",
        "nickname",
        "extra",
        "images",
        "title",
        "invitees",
        "members",
        "mentions",
        "pushToClients",
        "toClient",
        "badge",
        "alert",
        "payload",
        "messageTimeMS",
        "thumbnailUrl",
        "reply",
        "roomTags",
        "type",
        "isHidden",
    ];
    prop_oneof![4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,6}"]
}

proptest! {
    #[test]
    fn any_object_is_taken_or_refused_with_a_4xx(
        fields in proptest::collection::btree_map(field(), any_json(), 0..12),
        kind in proptest::option::of(proptest::sample::select(TYPES)),
        id in proptest::option::of(Just("m1")),
        version in prop_oneof![Just(ImkitVersion::V1), Just(ImkitVersion::V2)],
    ) {
        let mut body: Value = fields.into_iter().collect();
        if let Some(kind) = kind {
            body["messageType"] = json!(kind.name);
        }
        if let Some(id) = id {
            body["_id"] = json!(id);
            body["room"] = json!("r1");
            body["pushToClients"] = json!(["aaa"]);
        }
        let settings = ImkitSettings { version, ..ImkitSettings::default() };
        match try_read(&settings, &body) {
            Ok(Callback::Deliver(message, _)) => {
                let record = serde_json::to_string(&*message).unwrap();
                prop_assert_eq!(serde_json::from_str::<Message>(&record).unwrap(), *message);
            }
            Ok(Callback::Ignored(_)) => {}
            Err(error) => prop_assert!(error.failure().status().is_client_error()),
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused_with_a_4xx(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = read(&app(), &v2(), &bytes) {
            prop_assert!(error.failure().status().is_client_error());
        }
    }
}
