//! What the messages of callbacks become.

use serde_json::json;

use super::*;
use crate::dialect::imkit::message_type::{CUSTOM, TYPES};
use crate::message::{Badge, Copy, Dialect, Kind, Source};
use crate::time::Timestamp;

#[test]
fn a_text_is_titled_by_the_room_counted_and_passed_on() {
    let (message, recipients) = delivered(&v2(), &text(&json!({})));
    assert_eq!(recipients.clients.iter().map(ClientId::as_str).collect::<Vec<_>>(), ["u-310", "u-311"]);
    assert_eq!(message.origin.dialect, Dialect::Imkit);
    assert_eq!(message.origin.message.as_str(), "m1");
    assert_eq!(message.origin.sender.as_deref(), Some("u-207"));
    assert_eq!(message.origin.room.as_deref(), Some("r1"));
    assert_eq!(message.origin.written_at, Some(Timestamp::from_millis(1_767_225_601_500)));
    assert_eq!(message.text.title.as_deref(), Some("Night shift"));
    assert_eq!(message.text.body.as_deref(), Some("Mira: lala"));
    let localised = message.text.localised.unwrap();
    assert_eq!(
        (localised.key.as_str(), localised.args.as_slice()),
        ("im_loc_text", &["Mira".to_owned(), "lala".to_owned()][..])
    );
    assert_eq!(message.badge, Badge::Add { n: 1, source: Source::Room });
    assert_eq!(message.behaviour.kind, Kind::Alert);
    assert_eq!(message.behaviour.thread.as_deref(), Some("r1"));
    assert_eq!(message.behaviour.collapse, None);
}

#[test]
fn the_data_is_imkit_s_payload_format() {
    let data = message(&text(&json!({"roomTags": ["work"], "own": {"deep": [1]}}))).data;
    assert_eq!(
        Value::Object(data),
        json!({
            "type": "text", "room": "r1", "redirect": "/chat", "title": "Night shift", "body": "Mira: lala",
            "loc-key": "im_loc_text", "loc-args": ["Mira", "lala"], "roomTags": ["work"],
            "payload": {
                "_id": "m1", "id": "m1", "appID": "acme", "room": "r1", "roomName": "Night shift", "messageType": "text",
                "sender": {"_id": "u-207", "id": "u-207", "nickname": "Mira", "avatarUrl": null},
                "messageTimeMS": 1_767_225_601_500_u64, "message": "lala", "roomTags": ["work"], "own": {"deep": [1]},
            },
        })
    );
}

/// What each type says with the richest message object that its sample shows, and with an empty one.
const SAID: &[(&str, &str, &str, &str)] = &[
    ("text", "Mira: hi", "Mira sent a message", "hi"),
    ("image", "Mira sent an image", "Mira sent an image", "hi"),
    ("video", "Mira sent a video", "Mira sent a video", "hi"),
    ("audio", "Mira sent a voice message", "Mira sent a voice message", "hi"),
    ("sticker", "Mira sent a sticker", "Mira sent a sticker", ""),
    ("location", "Mira shared a location", "Mira shared a location", "hi"),
    ("url", "Mira shared a link: Plan", "Mira shared a link", "Plan"),
    ("file", "Mira sent a file: Plan", "Mira sent a file", "Plan"),
    ("encrypted", "Mira sent an encrypted message", "Mira sent an encrypted message", ""),
    ("announcement", "Mira: hi", "Mira made an announcement", "hi"),
    ("flex", "Mira: hi", "Mira sent a card", "hi"),
    ("template", "Mira: hi", "Mira sent a card", "hi"),
    ("payment", "Mira sent a payment", "Mira sent a payment", "hi"),
    ("joinRoom", "Mira joined", "Mira joined", ""),
    ("leaveRoom", "Mira left", "Mira left", ""),
    ("addMember", "Mira invited Bo, Cy", "Mira invited somebody", "Bo, Cy"),
    ("addMembers", "Mira invited Bo, Cy", "Mira invited several people", "Bo, Cy"),
    ("deleteMember", "Mira removed Di", "Mira removed somebody", "Di"),
    ("deleteMembers", "Mira removed Di", "Mira removed several people", "Di"),
    ("waitingCall", "Mira is calling", "Mira is calling", ""),
    ("missingCall", "Missed call from Mira", "Missed call from Mira", ""),
    ("endCall", "The call with Mira has ended", "The call with Mira has ended", ""),
    ("order-card", "Mira sent a message", "Mira sent a message", "hi"),
];

#[test]
fn every_type_has_a_key_two_arguments_and_a_body() {
    let rich = json!({"message": "hi", "extra": {
        "title": "Plan", "invitees": [{"_id": "bo", "nickname": "Bo"}, {"_id": "cy", "nickname": "Cy"}],
        "members": [{"_id": "di", "nickname": "Di"}],
    }});
    for (kind, with, without, content) in SAID {
        let full = message(&chat(kind, &rich));
        assert_eq!(full.text.body.as_deref(), Some(*with), "{kind}");
        let localised = full.text.localised.unwrap();
        assert_eq!(localised.key, format!("im_loc_{kind}"));
        assert_eq!(localised.args, ["Mira", content], "{kind}");
        assert_eq!(full.data["type"], **kind);
        assert_eq!(body_text(&chat(kind, &json!({}))), *without, "{kind}");
    }
    let unsaid: Vec<&str> =
        TYPES.iter().map(|row| row.name).filter(|name| !SAID.iter().any(|(kind, ..)| kind == name)).collect();
    assert_eq!(unsaid, ["recall", "cancelInvitations"]);
}

#[test]
fn every_row_of_the_table_is_what_a_callback_of_its_type_becomes() {
    for row in TYPES.iter().chain([&CUSTOM]) {
        let kind = if row.name.is_empty() { "order-card" } else { row.name };
        let callback = try_read(&v2(), &chat(kind, &json!({"message": "hi"}))).unwrap();
        let Callback::Deliver(message, _) = callback else {
            assert_eq!((row.phone, callback), (Phone::Nothing, Callback::Ignored(Ignored::Type(row.name))));
            continue;
        };
        let expected = match row.phone {
            Phone::Alert => Kind::Alert,
            Phone::Silent => Kind::Silent,
            Phone::Withdraw => Kind::Withdraw,
            Phone::Nothing => panic!("{kind} is not for phones"),
        };
        assert_eq!(message.behaviour.kind, expected, "{kind}");
        let badge = if row.counts { Badge::Add { n: 1, source: Source::Room } } else { Badge::Keep };
        assert_eq!(message.badge, badge, "{kind}");
    }
}

#[test]
fn a_recall_withdraws_the_message_of_its_id_and_shows_nothing() {
    let message = message(&chat("recall", &json!({"message": "what was said"})));
    assert_eq!(message.behaviour.kind, Kind::Withdraw);
    assert_eq!(message.origin.message.as_str(), "m1");
    assert_eq!(message.text, crate::message::Text::default());
    assert_eq!(message.data["type"], "recall");
    assert_eq!(message.data["payload"]["_id"], "m1");
    assert!(!Value::Object(message.data).to_string().contains("what was said"));
}

#[test]
fn an_encrypted_message_s_text_goes_nowhere() {
    let settings = ImkitSettings {
        copies: vec![Copy { weight: 1, body: Some("{{nickname}}: {{text}}".to_owned()), ..Copy::default() }],
        ..v2()
    };
    let body = chat("encrypted", &json!({"message": "c2Vj:cmV0|c1pher", "extra": {"title": "c1pher"}}));
    let (message, _) = delivered(&settings, &body);
    assert!(!serde_json::to_string(&message).unwrap().contains("c1pher"));
    assert_eq!(message.text.cohorts[0].body.as_deref(), Some("Mira: Encrypted message"));

    let mut single = body;
    single["toClient"] = json!("u-310");
    single["alert"] = json!("Mira: c2Vj:cmV0|c1pher");
    single.as_object_mut().unwrap().remove("pushToClients");
    let (message, _) = delivered(&v1(), &single);
    assert!(!serde_json::to_string(&message).unwrap().contains("c1pher"));
}

#[test]
fn a_message_object_is_never_shown_as_text() {
    let object = json!({"message": {"customProperty": "custom content"}});
    for kind in ["text", "order-card", "image", "announcement"] {
        let message = message(&chat(kind, &object));
        assert!(!message.text.body.unwrap().contains("custom"), "{kind}");
        assert_eq!(message.text.localised.unwrap().args[1], "", "{kind}");
        assert_eq!(message.data["payload"]["message"]["customProperty"], "custom content");
    }
    let json_text = message(&chat("order-card", &json!({"message": "{\"total\": 7}"})));
    assert_eq!(json_text.text.localised.unwrap().args[1], "");
}

#[test]
fn variants_say_what_they_are() {
    assert_eq!(body_text(&chat("payment", &json!({"extra": {"type": "request"}}))), "Mira requested a payment");
    assert_eq!(body_text(&chat("payment", &json!({"extra": {"type": "response"}}))), "Mira answered a payment request");
    assert_eq!(body_text(&chat("image", &json!({"images": [{}, {}]}))), "Mira sent several images");
    assert_eq!(body_text(&chat("image", &json!({"images": [{}]}))), "Mira sent an image");
}

#[test]
fn members_are_named_from_the_list_or_from_the_message() {
    let people: Vec<Value> = ["Bo", "Cy", "Di", "Ed", "Flo"].iter().map(|name| json!({"nickname": name})).collect();
    let many = chat("addMembers", &json!({"extra": {"invitees": people}}));
    assert_eq!(body_text(&many), "Mira invited Bo, Cy, Di and 2 more");
    let named =
        chat("deleteMembers", &json!({"message": "Bo, Cy", "extra": {"members": [{"_id": "bo"}, {"nickname": "Cy"}]}}));
    assert_eq!(body_text(&named), "Mira removed Bo, Cy");
}

#[test]
fn the_title_is_the_room_else_the_sender_else_the_app() {
    let title = |more: &Value| message(&text(more)).text.title.unwrap();
    assert_eq!(title(&json!({})), "Night shift");
    assert_eq!(title(&json!({"roomName": " "})), "Mira");
    assert_eq!(title(&json!({"roomName": null, "sender": null})), "acme");
    assert_eq!(title(&json!({"roomName": null, "sender": {"_id": "u-207"}, "appID": null})), "demo");
}

#[test]
fn a_message_without_a_sender_is_told_all_the_same() {
    let message = message(&text(&json!({"sender": null})));
    assert_eq!(message.text.body.as_deref(), Some("lala"));
    assert_eq!(message.text.localised.unwrap().args, ["Someone", "lala"]);
    assert_eq!(body_text(&chat("image", &json!({"sender": 7}))), "Someone sent an image");
}

#[test]
fn the_sender_s_id_is_taken_where_it_stands_and_is_not_told() {
    for sender in [json!({"_id": "u-310"}), json!({"_id": null, "id": "u-310"}), json!("u-310")] {
        let (message, recipients) = delivered(&v2(), &text(&json!({"sender": sender})));
        assert_eq!(message.origin.sender.as_deref(), Some("u-310"));
        assert_eq!(recipients.clients.len(), 1, "{sender}");
    }
}

#[test]
fn an_id_under_id_and_null_fields_do() {
    let body = json!({
        "_id": null, "id": "m9", "room": null, "roomName": null, "message": null, "messageType": null, "mentions": null,
        "sender": {"_id": null, "nickname": null}, "messageTimeMS": null, "createdAtMS": 1_767_225_600_000_u64,
        "extra": null, "images": null, "pushToClients": ["aaa"],
    });
    let message = message(&body);
    assert_eq!(message.origin.message.as_str(), "m9");
    assert_eq!(message.origin.written_at, Some(Timestamp::from_millis(1_767_225_600_000)));
    assert_eq!(message.text.body.as_deref(), Some("Someone sent a message"));
    assert_eq!(message.badge, Badge::Keep, "without a room nothing could clear a count");
}

#[test]
fn a_picture_is_shown_when_its_address_is_https() {
    let image = |kind: &str, more: &Value| message(&chat(kind, more)).media.image;
    let both = json!({"originalUrl": "https://f/o.jpg", "thumbnailUrl": "https://f/t.jpg"});
    assert_eq!(image("image", &both).as_deref(), Some("https://f/t.jpg"));
    assert_eq!(image("file", &both), None);
    let plain = json!({"originalUrl": "https://f/o.jpg", "thumbnailUrl": "http://f/t.jpg"});
    assert_eq!(image("image", &plain).as_deref(), Some("https://f/o.jpg"));
    assert_eq!(image("video", &plain), None, "a video's own address is no picture");
    let several = json!({"images": [{"thumbnailUrl": "https://f/1.jpg"}, {}]});
    assert_eq!(image("image", &several).as_deref(), Some("https://f/1.jpg"));
}

#[test]
fn mentions_of_recipients_are_kept() {
    let one = message(&text(&json!({"mentions": ["u-310", "u-999", {"_id": "u-311"}, 7, null]})));
    assert_eq!(one.origin.mentions, ["u-310", "u-311"]);
    assert!(message(&text(&json!({"mentions": {"u-310": true}}))).origin.mentions.is_empty());
}

#[test]
fn a_room_called_by_all_its_members_names_is_called_as_one() {
    let everybody: Vec<String> = (0..25_000).map(|n| format!("5dd51a4f21841443cfd{n:05}")).collect();
    let (message, recipients) = delivered(&v2(), &text(&json!({"mentions": everybody, "pushToClients": everybody})));
    assert_eq!(recipients.clients.len(), 25_000);
    assert!(message.origin.mentions_all && message.origin.mentions.is_empty());
    assert!(serde_json::to_vec(&message).unwrap().len() < 4096);
}

#[test]
fn states_of_a_call_are_tasks_of_their_own_that_replace_each_other() {
    let [waiting, missing, end] =
        ["waitingCall", "missingCall", "endCall"].map(|kind| message(&chat(kind, &json!({}))));
    let ids = [&waiting, &missing, &end].map(|message| message.origin.message.as_str().to_owned());
    assert_eq!(ids, ["m1/waitingCall", "m1", "m1/endCall"]);
    assert_eq!([&waiting, &missing, &end].map(|message| message.collapse_id()), ["m1", "m1", "m1"]);
}

#[test]
fn the_app_s_copies_are_rendered_with_the_message_s_values() {
    let copy = |weight, title: &str, body: &str| Copy {
        weight,
        title: Some(title.to_owned()),
        body: Some(body.to_owned()),
        ..Copy::default()
    };
    let settings = ImkitSettings {
        copies: vec![copy(1, "{{room}}", "{{nickname}} says {{text}}"), copy(3, "New in {{room}}", "{{other}}")],
        experiment: Some("titles".to_owned()),
        ..v2()
    };
    let text = delivered(&settings, &text(&json!({"message": "{{nickname}}"}))).0.text;
    assert_eq!(text.experiment.as_deref(), Some("titles"));
    assert_eq!(
        text.cohorts,
        [copy(1, "Night shift", "Mira says {{nickname}}"), copy(3, "New in Night shift", "{{other}}")]
    );
    let image = delivered(&settings, &chat("image", &json!({"message": "caption"}))).0.text;
    assert_eq!(image.cohorts[0].body.as_deref(), Some("Mira says Image"));
    let recall = delivered(&settings, &chat("recall", &json!({}))).0.text;
    assert!(recall.cohorts.is_empty());
}
