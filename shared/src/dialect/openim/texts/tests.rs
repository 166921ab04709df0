//! What is read of a message, in which language.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::super::callback::Received;
use super::*;

fn callback(body: &Value) -> Callback {
    let bytes = body.to_string().into_bytes();
    Callback::read(&Received::new(&bytes).unwrap(), None).unwrap()
}

fn message(content_type: i32, content: &Value) -> Callback {
    callback(&json!({"contentType": content_type, "content": content.to_string()}))
}

fn settings(json: &Value) -> Settings {
    serde_json::from_value(json.clone()).unwrap()
}

fn read(settings: &Settings, callback: &Callback) -> (String, String) {
    let Wording { title, body } = Texts::new(settings, callback).own();
    (title, body)
}

fn pair(title: &str, body: &str) -> (String, String) {
    (title.to_owned(), body.to_owned())
}

#[test]
fn openims_fixed_tags_are_no_texts() {
    for tag in [
        "[TEXT]",
        "[picture]",
        "[VOICE]",
        "[File]",
        " [NEWMSG] ",
        "[GROUPMSG]]",
        "[@TEXT]",
        "[SIGNALINVITE]",
        "[图片]",
        "",
        "  ",
    ] {
        assert_eq!(said(tag), None, "{tag}");
    }
    for text in ["Shift team", "[Ana] hello", "TEXT", "[Ana]"] {
        assert_eq!(said(text), Some(text));
    }
}

#[test]
fn placeholders_of_the_servers_configuration_are_no_texts() {
    for placeholder in ["memberQuit title", "groupDismissed desc", "create group title", " desc"] {
        assert_eq!(said(placeholder), None, "{placeholder}");
    }
    for text in ["A new title", "job title", "We have become friends", "title"] {
        assert_eq!(said(text), Some(text));
    }
}

#[test]
fn a_body_says_as_much_as_is_known() {
    let plain = Settings::default();
    assert_eq!(read(&plain, &message(101, &json!({"content": "hi"}))), pair("New message", "hi"));
    assert_eq!(read(&plain, &message(102, &json!({}))), pair("New message", "You received a picture"));
    assert_eq!(read(&plain, &message(105, &json!({"fileName": "a.pdf"}))), pair("New message", "File: a.pdf"));
    assert_eq!(read(&plain, &message(777, &json!({"own": 1}))), pair("New message", "You have a new message"));
    let mut named = message(101, &json!({"content": "hi"}));
    named.content.sender = Some("Ana".to_owned());
    assert_eq!(read(&plain, &named), pair("New message", "Ana: hi"));
    let kicked = |kicked: Value| {
        message(
            1508,
            &json!({"group": {"groupName": "Shift"}, "opUser": {"nickname": "Boss"}, "kickedUserList": kicked}),
        )
    };
    let member = json!([{"userID": "u1", "nickname": "Ana"}]);
    assert_eq!(read(&plain, &kicked(member)), pair("Shift", "Boss removed Ana"));
    let unnamed = json!([{"userID": "u1"}]);
    assert_eq!(read(&plain, &kicked(unnamed)), pair("Shift", "A member was removed from the group"));
}

#[test]
fn the_apps_title_and_language_go_before_the_built_in_ones() {
    let acme = settings(&json!({"title": "Acme", "language": "zh-CN"}));
    assert_eq!(read(&acme, &message(102, &json!({}))), pair("Acme", "您收到一张图片"));
    let unknown = settings(&json!({"language": "fr"}));
    assert_eq!(read(&unknown, &message(102, &json!({}))), pair("New message", "You received a picture"));
}

#[test]
fn the_apps_texts_go_before_the_built_in_ones_part_by_part() {
    let own = settings(&json!({"language": "de", "openim": {"texts": {
        "de": {"101": {"body": "{{sender}}: {{text}}"}, "102": {"title": "Bild von {{sender}}", "body": "{{text}} in {{group}}"}},
        "en": {"101": {"body": " "}},
    }}}));
    assert_eq!(read(&own, &message(101, &json!({"content": "hi"}))), pair("New message", "hi"));
    assert_eq!(read(&own, &message(102, &json!({}))), pair("Bild von Someone", "Picture in New message"));
    let english = settings(&json!({"openim": {"texts": {"en": {"101": {"body": " "}}}}}));
    assert_eq!(read(&english, &message(101, &json!({"content": "hi"}))).1, "hi", "a text of nothing is none");
}

#[test]
fn an_own_body_with_an_unknown_name_gives_way_to_a_built_in_one_of_its_language() {
    let texts = json!({"102": {"title": "From {{sender}}", "body": "{{ sender }} sent: {{text}}"}, "103": {"body": "New: {{text}}"}});
    let own = settings(&json!({"openim": {"texts": {"en": texts, "de": texts}}}));
    let mut picture = message(102, &json!({}));
    assert_eq!(read(&own, &picture), pair("From Someone", "You received a picture"));
    let german = |picture: &Callback| {
        let others = Texts::new(&own, picture).others();
        others.into_iter().find(|other| other.language == "de").and_then(|other| other.body)
    };
    assert_eq!(german(&picture).as_deref(), Some("Someone sent: Picture"), "there is none in German");
    picture.content.sender = Some("Ana".to_owned());
    assert_eq!(read(&own, &picture), pair("From Ana", "Ana sent: Picture"));
    assert_eq!(read(&own, &message(103, &json!({}))).1, "New: Voice message", "a word is a value");
}

#[test]
fn values_are_never_templates_and_unknown_places_stay() {
    let own = settings(&json!({"openim": {"texts": {"en": {"101": {"body": "{{text}} {{who}}"}}}}}));
    let spoofing = message(101, &json!({"content": "{{group}}"}));
    assert_eq!(read(&own, &spoofing).1, "{{group}} {{who}}");
    assert_eq!(read(&Settings::default(), &spoofing).1, "{{group}}");
}

#[test]
fn other_languages_are_those_that_have_a_text_for_the_type() {
    let own = settings(&json!({"openim": {"texts": {
        "de": {"101": {"body": "Neu: {{text}}"}}, "fr": {"102": {"body": "Une image"}}, "EN": {"101": {"title": "Hello"}},
    }}}));
    let others = |content_type, content: Value| -> Vec<(String, Option<String>)> {
        let callback = message(content_type, &content);
        let others = Texts::new(&own, &callback).others();
        others.into_iter().map(|other| (other.language, other.body)).collect()
    };
    let text = |language: &str, body: &str| (language.to_owned(), Some(body.to_owned()));
    assert_eq!(others(101, json!({"content": "hi"})), [text("zh", "hi"), text("de", "Neu: hi")]);
    assert_eq!(others(102, json!({})), [text("zh", "您收到一张图片"), text("fr", "Une image")]);
}

#[test]
fn a_call_has_texts_of_its_own_whatever_its_type() {
    let call = callback(&json!({"contentType": 110, "signalInfo": "x"}));
    assert_eq!(read(&Settings::default(), &call), pair("Incoming call", "Someone is calling"));
    let own = settings(&json!({"openim": {"texts": {"en": {"call": {"body": "Ring"}, "110": {"body": "Poll"}}}}}));
    assert_eq!(read(&own, &call).1, "Ring");
}

#[test]
fn a_message_that_is_taken_back_says_so_whatever_its_type() {
    let revoke = message(118, &json!({"revokerID": "u1", "clientMsgID": "m1"}));
    assert_eq!(read(&Settings::default(), &revoke), pair("New message", "A message was taken back"));
}

#[test]
fn who_is_removed_has_a_text_of_their_own() {
    let removal = message(1508, &json!({"kickedUserList": [{"userID": "u1", "nickname": "Ana"}]}));
    let text = |own: Value| {
        let own = settings(&json!({"openim": {"texts": {"en": own}}}));
        Texts::new(&own, &removal).for_removed().own().body
    };
    assert_eq!(text(json!({"1508": {"body": "{{member}} is gone"}})), "You were removed from the group");
    assert_eq!(text(json!({"removed": {"body": "Bye"}})), "Bye");
}

#[test]
fn a_text_is_cut_to_what_a_phone_takes() {
    let long = message(101, &json!({"content": "x".repeat(10_000)}));
    assert_eq!(read(&Settings::default(), &long).1.len(), MOST_BODY);
}
