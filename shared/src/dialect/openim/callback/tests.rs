//! Bodies as they come from real servers, and as they must not come.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn read(body: &Value) -> Result<Callback, CallbackError> {
    let bytes = body.to_string().into_bytes();
    let received = Received::new(&bytes)?;
    Callback::read(&received, None)
}

fn names(callback: &Callback) -> Vec<&str> {
    callback.clients.iter().map(ClientId::as_str).collect()
}

fn single(sender: &str, recipients: &[&str]) -> Callback {
    read(&json!({"userIDList": recipients, "sendID": sender, "sessionType": 1})).unwrap()
}

#[test]
fn null_lists_are_empty_lists() {
    let callback = read(&json!({"userIDList": null, "atUserIDList": null})).unwrap();
    assert!(callback.clients.is_empty() && callback.mentions.is_empty() && !callback.mentions_all);
}

#[test]
fn offline_fields_are_missing_as_a_group_or_have_zero_values() {
    assert_eq!(read(&json!({"contentType": 101})).unwrap().offline, None);
    let offline = read(&json!({"iOSBadgeCount": false, "title": null})).unwrap().offline;
    assert_eq!(offline, Some(OfflinePush::default()));
    let offline = read(
        &json!({"title": "t", "desc": "d", "ex": "e", "iOSPushSound": "s", "iOSBadgeCount": true, "signalInfo": "i"}),
    );
    let text = str::to_owned;
    assert_eq!(
        offline.unwrap().offline,
        Some(OfflinePush {
            title: text("t"),
            desc: text("d"),
            ex: text("e"),
            ios_push_sound: text("s"),
            ios_badge_count: true,
            signal_info: text("i"),
        })
    );
}

#[test]
fn a_field_of_a_wrong_type_is_named() {
    for (body, expected) in [
        (json!({"contentType": "101"}), "contentType must be a whole number"),
        (json!({"sessionType": 1.5}), "sessionType must be a whole number"),
        (json!({"userIDList": "u1"}), "userIDList must be a list or null"),
        (json!({"atUserIDList": {}}), "atUserIDList must be a list or null"),
        (json!({"iOSBadgeCount": 1}), "iOSBadgeCount must be true or false"),
        (json!({"title": 7}), "title must be a string"),
        (json!({"content": {"content": "x"}}), "content must be a string"),
    ] {
        assert_eq!(read(&body).unwrap_err().to_string(), expected);
    }
    assert!(
        read(&json!({"platformID": "own", "seq": "1", "added in 4.0": [1, {}]})).is_ok(),
        "what is not read cannot be wrong"
    );
}

#[test]
fn a_body_that_is_no_object_is_told_by_its_place() {
    for body in ["", "[]", "7", "{\"a\": }", "{} {}"] {
        assert!(matches!(Received::new(body.as_bytes()), Err(CallbackError::Syntax { .. })), "{body}");
    }
    assert!(Received::new(b"{\"title\": \"\xff\"}").is_err());
}

#[test]
fn bad_entries_and_repeats_are_left_out_of_the_list_and_counted() {
    let body = json!({"userIDList": ["u1", "", 7, "u2", "u1", "a\nb", "x".repeat(257)], "sendID": "u2"});
    let callback = read(&body).unwrap();
    assert_eq!(names(&callback), ["u1"], "no push is for the sender");
    assert_eq!((callback.left_out.skipped_count, callback.left_out.duplicates), (4, 1));
    assert_eq!(callback.omission().as_deref(), Some("left out: 4 of userIDList"));
    assert_eq!(read(&json!({"userIDList": ["u1", "u1"]})).unwrap().omission(), None, "a repeat loses nobody");
}

#[test]
fn the_operation_is_the_headers_else_the_bodys() {
    let operation = |body: Value, header: Option<&str>| {
        let bytes = body.to_string().into_bytes();
        Received::new(&bytes).unwrap().operation(header)
    };
    assert_eq!(operation(json!({"operationID": "b"}), Some("h")).as_deref(), Some("h"));
    assert_eq!(operation(json!({"operationID": "b"}), Some(" ")).as_deref(), Some("b"));
    assert_eq!(operation(json!({"operationID": 7}), None), None);
    assert_eq!(operation(json!({"operationID": "a\nb"}), None), None, "it goes into log lines");
    assert_eq!(operation(json!({"operationID": "x".repeat(129)}), None), None);
}

#[test]
fn command_and_operation_are_known_whatever_else_is_wrong() {
    let body = br#"{"callbackCommand": "callbackOfflinePushCommand", "operationID": "o1", "contentType": "x"}"#;
    let received = Received::new(body).unwrap();
    assert_eq!(received.command().as_deref(), Some("callbackOfflinePushCommand"));
    assert_eq!(received.operation(None).as_deref(), Some("o1"));
    assert!(Callback::read(&received, None).is_err());
}

#[test]
fn everybody_is_called_by_a_tag() {
    let callback = read(&json!({"atUserIDList": ["u1", "AtAllTag", 7]})).unwrap();
    assert!(callback.mentions_all && !callback.names("anybody"));
    let callback = read(&json!({"atUserIDList": ["u1"]})).unwrap();
    assert!(callback.names("u1") && !callback.names("u2"));
}

#[test]
fn conversations_are_named_as_the_sdk_names_them() {
    let group =
        |number: i32| read(&json!({"groupID": "g1", "sessionType": number, "sendID": "u1"})).unwrap().conversation();
    assert_eq!(group(3).as_deref(), Some("sg_g1"));
    assert_eq!(group(2).as_deref(), Some("g_g1"));
    assert_eq!(group(9), None);
    assert_eq!(single("u2", &["u10"]).conversation().as_deref(), Some("si_u10_u2"), "sorted by bytes");
    assert_eq!(single("u10", &["u2", "u10"]).conversation().as_deref(), Some("si_u10_u2"), "from either side");
    assert_eq!(single("u1", &["u1"]).conversation().as_deref(), Some("si_u1_u1"));
    assert_eq!(single("u1", &["u2", "u3"]).conversation(), None);
    assert_eq!(single("u1", &[]).conversation(), None);
    let notification = read(&json!({"userIDList": ["u1"], "sendID": "system", "sessionType": 4})).unwrap();
    assert_eq!(notification.conversation().as_deref(), Some("sn_system_u1"));
}

#[test]
fn an_id_that_breaks_a_rule_names_nothing() {
    let callback = read(&json!({"sendID": "a\nb", "groupID": "x".repeat(257), "sessionType": 3})).unwrap();
    assert_eq!((callback.sender.as_deref(), callback.conversation()), (None, None));
}

#[test]
fn masking_changes_what_is_read_and_not_what_was_sent() {
    let mut callback =
        read(&json!({"title": "a bad day", "desc": "fine", "ex": "bad", "contentType": 101, "content": "{\"content\":\"bad\"}"}))
            .unwrap();
    assert_eq!(callback.texts(), ["a bad day", "fine", "bad"]);
    callback.mask(|text| if text.contains("bad") { text.replace("bad", "***").into() } else { text.into() });
    let shown = |callback: &Callback| (callback.offline.as_ref().unwrap().title.clone(), callback.content.text.clone());
    assert_eq!(shown(&callback), ("a *** day".to_owned(), Some("***".to_owned())));
    assert_eq!(callback.offline.as_ref().unwrap().ex, "bad");
    assert_eq!(callback.sent().unwrap().title, "a bad day");
}

#[test]
fn masking_goes_as_far_as_words_are_looked_for() {
    let long = "bad ".repeat(20_000);
    let mut callback = read(&json!({"title": long, "desc": long})).unwrap();
    callback.mask(|text| text.replace("bad", "***").into());
    let title = &callback.offline.as_ref().unwrap().title;
    assert_eq!((title.len(), title.find("bad")), (long.len(), Some(crate::filter::MOST_OF_TEXT)));
}

#[test]
fn rules_on_words_look_at_what_was_sent_whether_a_push_shows_it_or_not() {
    use crate::filter::{About, Filter, Stage};
    let filter = Filter::new(&serde_json::from_value(json!({"words": {"reject": ["forbidden"]}})).unwrap()).unwrap();
    let refused = |content_type: i32, content: &str| {
        let callback = read(&json!({"contentType": content_type, "content": content})).unwrap();
        let texts = callback.texts();
        filter.content(&About { stage: Stage::Online, kind: "", sender: "", group: None, texts: &texts }).is_some()
    };
    for (content_type, content) in [
        (101, r#"{" forbidden"#),
        (101, r#"["forbidden"#),
        (101, r#"{"content":"forbidden","detail":"{}"}"#),
        (101, r#"{"content":"forbidden","jsonDetail":"{}"}"#),
        (101, r#"{"content":"fine","jsonDetail":"{\"content\":\"forbidden\"}"}"#),
        (106, r#"{"text":"@forbidden","atUsersInfo":[{"atUserID":"f","groupNickname":"x"}]}"#),
        (106, r#"{"text":"for@u1","atUsersInfo":[{"atUserID":"u1","groupNickname":"forbidden"}]}"#),
        (114, r#"{"text":"yes","quoteMessage":{"textElem":{"content":"forbidden"}}}"#),
        (1508, r#"{"kickedUserList":[{"userID":"u1","nickname":"forbidden"}]}"#),
    ] {
        assert!(refused(content_type, content), "{content_type} {content}");
    }
    assert!(!refused(101, r#"{"content":"fine"}"#));
}

#[test]
fn a_text_is_looked_at_once() {
    let callback = read(&json!({"title": "hi", "contentType": 101, "content": "{\"content\":\"hi\"}"})).unwrap();
    assert_eq!(callback.texts(), ["hi"]);
}

#[test]
fn a_call_is_announced_by_a_signal_that_says_something() {
    let is_call = |signal: &str| read(&json!({"signalInfo": signal})).unwrap().is_call();
    for nothing in ["", "  \n", "null", " null ", "{}", "{ }", "[]", "0", "\"\""] {
        assert!(!is_call(nothing), "{nothing:?}");
    }
    for call in ["Signal data", "{\"invite\":{}}", "[1]", "1", "00", "nullable"] {
        assert!(is_call(call), "{call:?}");
    }
}
