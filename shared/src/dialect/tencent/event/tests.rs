#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_606_000);

fn push() -> Value {
    json!({
        "CallbackCommand": "Push.OfflinePush", "EventType": 1, "EventTime": 1_767_225_605, "From_Account": "ana", "To_Account": "bo",
        "PushPlatform": 4, "PushStage": 1, "MsgKey": "91774_3054198827_1767225600", "MsgSeq": 91774, "MsgRandom": 3_054_198_827_u32,
        "MsgTime": 1_767_225_600, "PushID": "69560c00_b60a_200001_77", "ErrCode": 0, "ErrInfo": "OK"
    })
}

fn task() -> Value {
    json!({
        "CallbackCommand": "Push.AllMemberPush", "EventType": 2, "TaskId": "task-1", "DataId": "spring", "TaskTime": 1_767_225_600,
        "EventTime": 1_767_225_605, "To_Account": "bo", "PushPlatform": 0, "DeviceType": 3, "PushStage": 2, "ErrCode": 0, "ErrInfo": ""
    })
}

fn of(event: &Value) -> Read<Event> {
    let command = if event.get("TaskId").is_some() { Command::AllMemberPush } else { Command::OfflinePush };
    let event = serde_json::value::to_raw_value(event).unwrap();
    read(command, &event, NOW)
}

fn with(mut event: Value, field: &str, value: Value) -> Value {
    event[field] = value;
    event
}

fn without(mut event: Value, field: &str) -> Value {
    event.as_object_mut().unwrap().remove(field);
    event
}

#[test]
fn an_event_of_a_push_is_read() {
    let event = of(&push()).unwrap();
    assert_eq!(event.about, About::Push("69560c00_b60a_200001_77".to_owned()));
    assert_eq!((event.vendor, event.stage, event.code), (Vendor::Fcm, Stage::Sent, 0));
    assert_eq!((event.info.as_str(), event.at), ("OK", Timestamp::from_millis(1_767_225_605_000)));
    assert_eq!(event.key.len(), 16);
}

#[test]
fn an_event_of_a_task_is_read() {
    let event = of(&task()).unwrap();
    assert_eq!(event.about, About::Task("task-1".to_owned()));
    assert_eq!((event.vendor, event.stage, event.info.as_str()), (Vendor::Unknown, Stage::Delivered, ""));
    // An online push has no vendor; an offline one must tell it.
    assert_eq!(of(&without(task(), "PushPlatform")).unwrap().vendor, Vendor::Unknown);
    let offline = without(with(task(), "EventType", json!(1)), "PushPlatform");
    assert_eq!(of(&offline), Err(bad("PushPlatform", MISSING)));
}

#[test]
fn what_the_protocol_may_leave_out_may_be_absent_or_null() {
    for field in ["CallbackCommand", "From_Account", "MsgKey", "GroupID", "MsgSeq", "MsgRandom", "MsgTime", "ErrInfo"] {
        assert!(of(&without(push(), field)).is_ok(), "{field}");
        assert!(of(&with(push(), field, Value::Null)).is_ok(), "{field}");
    }
    for field in ["CallbackCommand", "DataId", "TaskTime", "PushPlatform", "DeviceType", "ErrInfo"] {
        assert!(of(&without(task(), field)).is_ok(), "{field}");
        assert!(of(&with(task(), field, Value::Null)).is_ok(), "{field}");
    }
    for text in ["CallbackCommand", "From_Account", "MsgKey", "GroupID", "ErrInfo"] {
        assert!(of(&with(push(), text, json!(""))).is_ok(), "{text}");
    }
    // A group's event may have what the page says it has not.
    let group = with(with(push(), "EventType", json!(2)), "GroupID", json!("@TGS#2DEMO77"));
    assert!(of(&group).is_ok());
    assert!(of(&without(without(group, "MsgRandom"), "MsgKey")).is_ok());
}

#[test]
fn what_must_be_there_is_missed_by_its_name() {
    for field in ["EventType", "EventTime", "To_Account", "PushPlatform", "PushStage", "PushID", "ErrCode"] {
        assert_eq!(of(&without(push(), field)), Err(bad(field, MISSING)));
        assert_eq!(of(&with(push(), field, Value::Null)), Err(bad(field, MISSING)));
    }
    assert_eq!(of(&with(task(), "TaskId", Value::Null)), Err(bad("TaskId", MISSING)));
}

#[test]
fn numbers_are_of_the_size_that_the_protocol_says() {
    for field in ["MsgSeq", "MsgRandom"] {
        assert!(of(&with(push(), field, json!(u32::MAX))).is_ok());
        for wrong in [json!(u64::from(u32::MAX) + 1), json!(-1), json!("7"), json!(1.5), json!(1.0)] {
            assert_eq!(of(&with(push(), field, wrong.clone())), Err(bad(field, U32)), "{wrong}");
        }
    }
    for (field, wrong) in [
        ("EventType", json!(0)),
        ("EventType", json!(3)),
        ("PushPlatform", json!(9)),
        ("PushPlatform", json!(-1)),
        ("PushPlatform", json!("4")),
        ("PushStage", json!(0)),
        ("PushStage", json!(4)),
        ("PushStage", json!(300)),
        ("DeviceType", json!(9)),
        ("ErrCode", json!("0")),
        ("ErrCode", json!(0.5)),
        ("MsgTime", json!(-1)),
    ] {
        assert_eq!(of(&with(push(), field, wrong.clone())).unwrap_err().field, field, "{wrong}");
    }
    assert_eq!(of(&with(push(), "ErrCode", json!(-2))).unwrap().code, -2);
}

#[test]
fn texts_are_texts_and_names_have_a_length() {
    for field in ["From_Account", "MsgKey", "GroupID", "ErrInfo", "CallbackCommand", "PushID", "To_Account"] {
        assert_eq!(of(&with(push(), field, json!(7))), Err(bad(field, TEXT)));
    }
    for (field, longest) in [("PushID", 128), ("To_Account", 256)] {
        assert!(of(&with(push(), field, json!("x".repeat(longest)))).is_ok());
        for wrong in [String::new(), "x".repeat(longest + 1), "a\u{0}b".to_owned()] {
            assert_eq!(of(&with(push(), field, json!(wrong))).unwrap_err().field, field);
        }
    }
}

#[test]
fn a_time_is_in_seconds_and_not_ahead() {
    let at = |time: Value| of(&with(push(), "EventTime", time));
    // The page's sample is of 2019.
    assert_eq!(at(json!(1_557_481_127)).unwrap().at.as_secs(), 1_557_481_127);
    assert!(at(json!(1_767_225_606 + 86_400)).is_ok());
    assert_eq!(at(json!(1_767_225_606 + 86_401)).unwrap_err().rule, "is more than a day ahead");
    assert_eq!(at(json!(1_767_225_605_000_u64)).unwrap_err().rule, "must be in seconds, not in milliseconds");
    assert_eq!(at(json!(0)).unwrap_err().field, "EventTime");
    assert_eq!(at(json!(-5)).unwrap_err().rule, INTEGER);
}

#[test]
fn an_event_of_another_command_is_not_the_call_s() {
    assert_eq!(of(&with(push(), "CallbackCommand", json!("Push.AllMemberPush"))).unwrap_err().field, "CallbackCommand");
    assert_eq!(of(&with(task(), "CallbackCommand", json!("Push.OfflinePush"))).unwrap_err().field, "CallbackCommand");
}

#[test]
fn a_vendor_s_words_are_one_short_line() {
    let info = |text: &str| of(&with(push(), "ErrInfo", json!(text))).unwrap().info;
    assert_eq!(info("Unregistered"), "Unregistered");
    assert_eq!(info(" a\nb\u{7} "), "a b");
    assert_eq!(info(&"é".repeat(100)), "é".repeat(64));
}

#[test]
fn a_token_that_a_vendor_quotes_is_not_kept() {
    let info = |text: &str| of(&with(push(), "ErrInfo", json!(text))).unwrap().info;
    let apns = "0123456789abcdef".repeat(4);
    let fcm = format!("d1Xy_z:APA91b{}", "Qw3-rT_y".repeat(17));
    for token in
        [apns.as_str(), fcm.as_str(), "CN_8f00b204e9800998ecf8427e4a", "d//igwEhgBGCI2TG6lWqlA+k==", &"x".repeat(49)]
    {
        assert_eq!(info(&format!("token {token} is bad")), "token … is bad");
        assert_eq!(info(&format!(r#"{{"token":"{token}"}}"#)), r#"{"token":"…"}"#);
        assert_eq!(info(&format!("{}{token}", "a ".repeat(60))), format!("{}…", "a ".repeat(60)), "cut behind it");
    }
    for words in [
        "DeviceTokenNotForTopic",
        "messaging/registration-token-not-registered",
        "code:80300007, illegal token",
        "20 characters: 0123456789",
        "ünbekannt: 设备令牌无效",
    ] {
        assert_eq!(info(words), words);
    }
}

/// Everything that tells two events apart is in the key, and nothing that is free text.
#[test]
fn a_key_is_the_same_for_copies_and_for_no_other_event() {
    let key = |event: Value| of(&event).unwrap().key;
    // It stands in rows for a week: a release that spells it anew counts events again.
    assert_eq!(key(push()), "GNBjKenEbsO90etg");
    let same = [("ErrInfo", json!("done")), ("From_Account", json!("cy")), ("MsgSeq", json!(1)), ("MsgTime", json!(1))];
    for (field, value) in same {
        assert_eq!(key(with(push(), field, value)), key(push()), "{field}");
    }
    assert_eq!(key(with(task(), "DataId", json!("x"))), key(task()));
    let mut keys = BTreeSet::from([key(push()), key(task())]);
    for (field, value) in [
        ("PushID", json!("69560c00_b60a_200001_78")),
        ("To_Account", json!("cy")),
        ("PushStage", json!(2)),
        ("PushPlatform", json!(5)),
        ("EventType", json!(2)),
        ("EventTime", json!(1_767_225_604)),
        ("ErrCode", json!(410)),
    ] {
        assert!(keys.insert(key(with(push(), field, value))), "{field}");
    }
    for (field, value) in [("DeviceType", json!(4)), ("TaskId", json!("69560c00_b60a_200001_77"))] {
        assert!(keys.insert(key(with(task(), field, value))), "{field}");
    }
    assert!(keys.insert(key(without(task(), "DeviceType"))));
    // A boundary cannot be moved.
    let moved = with(with(push(), "PushID", json!("69560c00_b60a_200001_7")), "To_Account", json!("7bo"));
    assert!(keys.insert(key(moved)));
}
