//! What is delivered of each kind of call, and what OpenIM is told to show.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::super::callback::Received;
use super::*;
use crate::message::Copy;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn app() -> AppId {
    AppId::parse("demo").unwrap()
}

fn callback(body: &Value) -> Callback {
    let bytes = body.to_string().into_bytes();
    Callback::read(&Received::new(&bytes).unwrap(), None).unwrap()
}

/// A text in group `g1`, with `changes`.
fn group(changes: &Value) -> Callback {
    let mut body = json!({
        "operationID": "o1", "userIDList": ["u1", "u2"], "clientMsgID": "m1", "sendID": "u0", "groupID": "g1",
        "contentType": 101, "sessionType": 3, "atUserIDList": null, "content": "{\"content\":\"hi\"}",
    });
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    callback(&body)
}

fn offline(changes: &Value) -> Callback {
    let mut all = json!({"title": "Shift", "desc": "Ana: hi", "ex": "", "iOSPushSound": "default", "iOSBadgeCount": true, "signalInfo": ""});
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    group(&all)
}

fn deliver(callback: &Callback) -> Vec<(Message, Vec<String>)> {
    let tasks = tasks(&app(), &Settings::default(), callback, NOW).unwrap();
    tasks.into_iter().map(|(message, clients)| (message, clients.into_iter().map(String::from).collect())).collect()
}

fn one(callback: &Callback) -> Message {
    let mut tasks = deliver(callback);
    assert_eq!(tasks.len(), 1);
    tasks.remove(0).0
}

fn words(message: &Message) -> [Option<&str>; 2] {
    [message.text.title.as_deref(), message.text.body.as_deref()]
}

const ADD: Badge = Badge::Add { n: 1, source: Source::Room };

#[test]
fn a_message_says_where_it_comes_from() {
    let message = one(&group(&json!({"atUserIDList": ["u2", "u9"]})));
    let origin = &message.origin;
    assert_eq!((origin.dialect, origin.message.as_str()), (Dialect::Openim, "m1"));
    assert_eq!((origin.sender.as_deref(), origin.room.as_deref()), (Some("u0"), Some("sg_g1")));
    assert_eq!((origin.mentions.as_slice(), origin.mentions_all), (["u2".to_owned()].as_slice(), false));
    assert_eq!(origin.operation.as_deref(), Some("o1"));
    assert_eq!(message.behaviour.thread.as_deref(), Some("sg_g1"));
    assert!(one(&group(&json!({"atUserIDList": ["AtAllTag"]}))).origin.mentions_all);
}

#[test]
fn the_sender_is_not_told() {
    let tasks = deliver(&group(&json!({"userIDList": ["u0", "u1"]})));
    assert_eq!(tasks[0].1, ["u1"]);
    assert!(deliver(&group(&json!({"userIDList": ["u0"]}))).is_empty());
    assert!(deliver(&group(&json!({"userIDList": null}))).is_empty());
}

#[test]
fn the_servers_own_words_are_everybodys_and_what_it_leaves_out_is_translated() {
    let given = one(&offline(&json!({})));
    assert_eq!((words(&given), given.text.languages.len()), ([Some("Shift"), Some("Ana: hi")], 0));
    let tag = one(&offline(&json!({"title": "[NEWMSG]", "desc": ""})));
    assert_eq!(words(&tag), [Some("New message"), Some("hi")]);
    let half = one(&offline(&json!({"desc": "", "contentType": 102})));
    assert_eq!(words(&half), [Some("Shift"), Some("You received a picture")]);
    let chinese =
        Translation { language: "zh".to_owned(), title: None, body: Some("您收到一张图片".to_owned()) };
    assert_eq!(half.text.languages, [chinese]);
}

#[test]
fn the_badge_is_as_the_message_says_or_grows_with_what_somebody_wrote() {
    assert_eq!(one(&offline(&json!({}))).badge, ADD);
    assert_eq!(one(&offline(&json!({"iOSBadgeCount": false}))).badge, Badge::Keep);
    for (content_type, expected) in [(101, ADD), (199, ADD), (1, Badge::Keep), (1501, Badge::Keep), (2001, Badge::Keep)]
    {
        assert_eq!(one(&group(&json!({"contentType": content_type}))).badge, expected, "{content_type}");
    }
    assert_eq!(one(&group(&json!({"sessionType": 9}))).badge, Badge::Keep, "no room that could be read");
}

#[test]
fn sounds_have_names_or_are_the_platforms() {
    assert_eq!(one(&offline(&json!({}))).behaviour.sound, None);
    assert_eq!(one(&offline(&json!({"iOSPushSound": ""}))).behaviour.sound, None);
    assert_eq!(one(&offline(&json!({"iOSPushSound": "chime.caf"}))).behaviour.sound.as_deref(), Some("chime.caf"));
}

#[test]
fn the_app_gets_the_ids_and_its_own_data_and_nothing_that_is_empty() {
    let plain = one(&group(&json!({})));
    let expected = json!({"clientMsgID": "m1", "conversationID": "sg_g1", "sendID": "u0", "groupID": "g1", "sessionType": 3, "contentType": 101});
    assert_eq!(Value::Object(plain.data), expected);
    assert_eq!(one(&offline(&json!({"ex": "{\"route\":1}"}))).data["ex"], "{\"route\":1}");
    let both = one(&offline(&json!({"ex": "\"".repeat(1500), "signalInfo": "x".repeat(1000)})));
    assert!(both.data.contains_key("signalInfo") && !both.data.contains_key("ex"), "no phone takes both");
    assert!(!one(&offline(&json!({"ex": "x".repeat(3073)}))).data.contains_key("ex"));
}

#[test]
fn a_call_rings_for_a_short_time_and_counts_nothing() {
    let message = one(&offline(&json!({"signalInfo": "{\"invitation\":{}}", "title": "", "desc": ""})));
    assert_eq!(words(&message), [Some("Incoming call"), Some("Someone is calling")]);
    assert_eq!(message.badge, Badge::Keep);
    assert_eq!(message.behaviour.expires_at, Some(NOW.plus(std::time::Duration::from_secs(60))));
    assert_eq!(message.behaviour.interruption, Some(Interruption::TimeSensitive));
    assert_eq!(message.behaviour.category.as_deref(), Some("call"));
    assert_eq!(message.data["signalInfo"], "{\"invitation\":{}}");
}

#[test]
fn a_message_that_is_taken_back_is_withdrawn_under_its_own_id() {
    let message = one(&group(&json!({"contentType": 2101, "content": "{\"clientMsgID\":\"m0\"}"})));
    assert_eq!((message.behaviour.kind, message.origin.message.as_str()), (Kind::Withdraw, "m0"));
    assert_eq!((&message.badge, words(&message)), (&Badge::Keep, [None, None]));
    assert!(deliver(&group(&json!({"contentType": 2101, "content": "{}"}))).is_empty());
    assert!(deliver(&group(&json!({"contentType": 113}))).is_empty(), "typing is not for phones");
}

fn notification(content_type: i32, list: &[&str], detail: &Value) -> Vec<(Message, Vec<String>)> {
    deliver(&group(&json!({"contentType": content_type, "userIDList": list, "content": detail.to_string()})))
}

#[test]
fn who_leaves_a_group_loses_its_unread_messages_in_silence() {
    let detail =
        json!({"group": {"groupID": "g1", "groupName": "Shift"}, "quitUser": {"userID": "u1", "nickname": "Ana"}});
    let quit = |list: &[&str]| {
        let changes = json!({"contentType": QUIT, "sendID": "u1", "userIDList": list, "content": detail.to_string()});
        deliver(&group(&changes))
    };
    let tasks = quit(&["u2"]);
    assert_eq!(tasks.len(), 2);
    let (left, clients) = &tasks[0];
    assert_eq!((&left.badge, left.behaviour.kind, words(left)), (&Badge::Clear, Kind::Badge, [None, None]));
    assert_eq!(clients, &["u1"]);
    let (others, clients) = &tasks[1];
    assert_eq!((&others.badge, words(others)), (&Badge::Keep, [Some("Shift"), Some("Ana left the group")]));
    assert_eq!(clients, &["u2"]);
    assert_eq!(quit(&["u1", "u2"]), tasks, "who left is cleared whether OpenIM lists them or not");
}

#[test]
fn nobody_leaves_a_group_for_another() {
    let detail = json!({"quitUser": {"userID": "u1", "nickname": "Ana"}});
    let tasks = notification(QUIT, &["u1", "u2"], &detail);
    assert_eq!(tasks.len(), 1);
    assert_eq!(
        (&tasks[0].0.badge, tasks[0].1.as_slice()),
        (&Badge::Keep, ["u1".to_owned(), "u2".to_owned()].as_slice())
    );
}

#[test]
fn at_most_a_hundred_are_cleared_who_are_not_listed() {
    let members: Vec<Value> = (0..1000).map(|n| json!({"userID": format!("u{n}")})).collect();
    let tasks = notification(KICKED, &["u998", "u999"], &json!({"kickedUserList": members}));
    let told: Vec<(&Badge, Kind, usize)> =
        tasks.iter().map(|(message, clients)| (&message.badge, message.behaviour.kind, clients.len())).collect();
    assert_eq!(told, [(&Badge::Clear, Kind::Badge, 100), (&Badge::Clear, Kind::Alert, 2)]);
}

#[test]
fn a_message_is_taken_back_in_its_own_conversation_only() {
    let revoke = |conversation: &str| {
        let content = json!({"clientMsgID": "m0", "conversationID": conversation}).to_string();
        deliver(&group(&json!({"contentType": 2101, "content": content})))
    };
    assert_eq!(revoke("sg_g1")[0].0.origin.room.as_deref(), Some("sg_g1"));
    assert!(revoke("sg_g2").is_empty() && revoke("si_u1_u2").is_empty());
}

#[test]
fn who_is_removed_is_told_and_loses_the_groups_unread_messages() {
    let member = |id: &str| json!({"userID": id, "nickname": id.to_uppercase()});
    let detail = json!({"group": {"groupName": "Shift"}, "opUser": member("u0"), "kickedUserList": [member("u1"), member("u3"), member("u1")]});
    let tasks = notification(KICKED, &["u1", "u2"], &detail);
    let summary: Vec<_> =
        tasks.iter().map(|(message, clients)| (&message.badge, message.text.body.as_deref(), clients)).collect();
    let name = |id: &str| vec![id.to_owned()];
    assert_eq!(
        summary,
        [
            (&Badge::Clear, None, &name("u3")),
            (&Badge::Clear, Some("U0 removed you from the group"), &name("u1")),
            (&Badge::Keep, Some("U0 removed U1, U3"), &name("u2")),
        ]
    );
}

#[test]
fn everybody_loses_the_unread_messages_of_a_dissolved_group() {
    let detail = json!({"group": {"groupName": "Shift"}, "opUser": {"nickname": "Boss"}});
    let tasks = notification(DISMISSED, &["u1", "u2"], &detail);
    assert_eq!(tasks.len(), 1);
    let (message, clients) = &tasks[0];
    assert_eq!((&message.badge, words(message)), (&Badge::Clear, [Some("Shift"), Some("Boss dissolved the group")]));
    assert_eq!(clients, &["u1", "u2"]);
}

#[test]
fn what_delivery_cannot_do_without_is_named() {
    let error = |body: &Value| tasks(&app(), &Settings::default(), &group(body), NOW).unwrap_err().to_string();
    assert_eq!(error(&json!({"clientMsgID": ""})), "clientMsgID is missing");
    assert_eq!(error(&json!({"clientMsgID": "x".repeat(257)})), "clientMsgID is longer than 256 bytes");
    for session in [1, 4] {
        assert_eq!(
            error(&json!({"sessionType": session})),
            "userIDList names more than one recipient of a single chat"
        );
    }
}

#[test]
fn the_apps_copies_are_rendered_with_the_messages_values() {
    let mut settings = Settings::default();
    let copy = Copy { weight: 1, body: Some("{{sender}} says {{text}}".to_owned()), push: false, ..Copy::default() };
    settings.openim.copies = vec![copy];
    settings.openim.experiment = Some("e1".to_owned());
    let tasks = tasks(&app(), &settings, &group(&json!({})), NOW).unwrap();
    let text = &tasks[0].0.text;
    assert_eq!((text.cohorts[0].body.as_deref(), text.cohorts[0].push), (Some("Someone says hi"), false));
    assert_eq!(text.experiment.as_deref(), Some("e1"));
}

#[test]
fn a_notification_that_says_what_it_should_is_not_rewritten() {
    assert_eq!(rewrite(&Settings::default(), &offline(&json!({})), &Readers::default()), None);
}

#[test]
fn a_missing_title_or_a_tag_is_rewritten_and_the_rest_is_kept() {
    let callback = offline(&json!({"title": "[TEXT]", "ex": "own", "iOSPushSound": "chime.caf"}));
    let info = rewrite(&Settings::default(), &callback, &Readers::default()).unwrap();
    assert_eq!((info.title.as_str(), info.desc.as_str()), ("New message", "Ana: hi"));
    assert_eq!((info.ex.as_str(), info.ios_push_sound.as_str(), info.ios_badge_count), ("own", "chime.caf", true));
    let info = rewrite(&Settings::default(), &group(&json!({})), &Readers::default()).unwrap();
    let expected = OfflinePush { title: "New message".to_owned(), desc: "hi".to_owned(), ..OfflinePush::default() };
    assert_eq!(info, expected);
}

#[test]
fn masked_words_are_rewritten() {
    let mut callback = offline(&json!({}));
    callback.mask(|text| text.replace("hi", "**").into());
    assert_eq!(rewrite(&Settings::default(), &callback, &Readers::default()).unwrap().desc, "Ana: **");
}

#[test]
fn hidden_content_shows_nothing_of_the_message() {
    let mut settings = Settings::default();
    let hidden = |settings: &Settings| {
        rewrite(settings, &offline(&json!({})), &Readers { hides: true, ..Readers::default() }).unwrap()
    };
    let info = hidden(&settings);
    assert_eq!((info.title.as_str(), info.desc.as_str()), ("You have a new message", "You have a new message"));
    settings.title = Some("Acme".to_owned());
    assert_eq!(hidden(&settings).title, "Acme");
}
