//! Mode `deliver`: OpenIM stays silent, and we notify.

use std::collections::BTreeMap;

use super::*;

/// A sample event, as the server would send it: its path with its query, and its body.
fn sample(name: &str) -> (String, Vec<(String, String)>, String) {
    let path = crate::bell::workspace().join(format!("events/before-push/{name}.json"));
    let event: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("an event")).expect("JSON");
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (path, query) = (text("/rawPath"), text("/rawQueryString"));
    let path = if query.is_empty() { path } else { format!("{path}?{query}") };
    let operation = event.pointer("/headers/operationid").and_then(Value::as_str);
    let mut headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
    headers.extend(operation.map(|id| ("operationID".to_owned(), id.to_owned())));
    (path, headers, text("/body"))
}

async fn send(bell: &Bell, name: &str) -> Reply {
    let (path, headers, body) = sample(name);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Reply::of(&bell.caller.send("POST", &path, &headers, body).await)
}

/// aaa, bbb and ccc each have an Android phone.
async fn deliver(settings: Value) -> Bell {
    let bell = app(with(settings, json!({"openim": {"mode": "deliver"}}))).await;
    for client in ["aaa", "bbb", "ccc"] {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
    }
    bell
}

fn handled(reply: &Reply) -> bool {
    (reply.actionCode, reply.errCode, reply.nextCode, reply.errMsg.as_str()) == (0, 5001, 1, "handled")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_s_message_is_counted_and_shown_once_however_often_the_hook_comes() {
    let bell = deliver(json!({})).await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    bell.caller.register("u8800", "android", "fcm-u8800").await;
    for _ in 0..2 {
        let reply = ask(&bell, &group("m1", &["aaa", "bbb", "u8800"])).await;
        assert!(handled(&reply) && reply.userIDList.is_none() && reply.offlinePushInfo.is_none(), "{reply:?}");
    }
    bell.drained().await;
    let one = &bell.android("fcm-aaa")[0];
    assert_eq!((one.title.as_deref(), one.body.as_deref()), (Some("Shift team"), Some("Ana: gate 4 is open")));
    assert_eq!((one.badge, one.sound.as_deref()), (Some(1), Some("chime.caf")));
    let data = |name: &str| one.payload["data"][name].as_str();
    assert_eq!(data("ex"), Some("{\"route\":\"chat/room-77\"}"));
    assert_eq!((data("conversationID"), data("clientMsgID")), (Some("sg_g-77"), Some("m1")));
    let shown = (bell.android("fcm-aaa").len(), bell.iphone("a1b2c3").len(), bell.android("fcm-bbb").len());
    assert_eq!((shown, bell.android("fcm-u8800").len()), ((1, 1, 1), 0), "nobody twice, and not the sender");
    assert_eq!((bell.badge("aaa").await, bell.badge("u8800").await), (1, 0));
    // The app reads by the name that OpenIM's SDK gives the conversation.
    let answer = bell.caller.post("/badges/aaa", &[API_KEY], &json!({"read": "sg_g-77"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(bell.badge("aaa").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_s_example_and_each_release_s_form_are_delivered_and_denied_in_its_own_spelling() {
    let bell = deliver(json!({})).await;
    for client in ["user123", "user456"] {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
    }
    for (name, action) in [
        ("page-example", 0),
        ("v2.3-offline", 1),
        ("v3.4-offline", 1),
        ("v3.6-offline", 1),
        ("v3.8-offline-single", 0),
        ("v3.8-offline-group", 0),
        ("v3.8-call", 0),
    ] {
        let before = bell.stack.phones.accepted();
        let reply = send(&bell, name).await;
        assert_eq!((reply.actionCode, reply.errCode, reply.nextCode), (action, 5001, 1), "{name}: {reply:?}");
        bell.settled().await;
        assert!(bell.stack.phones.accepted() > before, "{name} reaches nobody");
    }
    for name in ["v2.3-super-group-online", "v3.8-online-single", "v3.8-group-online", "v3.8-null-lists"] {
        let before = bell.stack.phones.accepted();
        assert!(send(&bell, name).await.allows(), "{name}");
        bell.drained().await;
        assert_eq!(bell.stack.phones.accepted(), before, "{name}");
    }
    let shown = bell.android("fcm-user123");
    assert_eq!(
        (shown[0].title.as_deref(), shown[0].badge),
        (Some("New Message"), Some(0)),
        "a call rings and does not count"
    );
    for phone in ["fcm-aaa", "fcm-bbb", "fcm-user123"] {
        for notification in bell.android(phone) {
            let text = format!("{:?} {:?}", notification.title, notification.body);
            assert!(!text.contains('[') && !text.contains('{') && notification.title.is_some(), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_badge_is_the_server_s_to_ask_for() {
    let bell = deliver(json!({})).await;
    ask(&bell, &group("m1", &["aaa"])).await;
    bell.settled().await;
    ask(&bell, &with(group("m2", &["aaa"]), json!({"iOSBadgeCount": false}))).await;
    bell.settled().await;
    assert_eq!(bell.badge("aaa").await, 1);
    let badges: Vec<_> = bell.android("fcm-aaa").iter().map(|shown| shown.badge).collect();
    assert_eq!(badges, [Some(1), Some(1)]);
    // A message that says nothing of its notification counts, as it is unread.
    ask(&bell, &single("m3", "aaa", 101, &json!({"content": "hi"}))).await;
    bell.settled().await;
    assert_eq!(bell.badge("aaa").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_prefer_holds_for_each_of_them() {
    let bell = deliver(json!({"title": "Acme"})).await;
    for client in ["ddd", "eee", "fff", "ggg", "hhh"] {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
    }
    prefer(&bell, "aaa", json!({"push": false})).await;
    mute(&bell, "bbb", "sg_g-77").await;
    prefer(&bell, "ccc", json!({"muted_senders": ["u8800"]})).await;
    prefer(&bell, "ddd", json!({"blocked_senders": ["u8800"]})).await;
    prefer(&bell, "eee", json!({"quiet_hours": quiet_now()})).await;
    prefer(&bell, "fff", json!({"hide_content": true, "locale": "zh-CN"})).await;
    prefer(&bell, "ggg", json!({"locale": "zh"})).await;
    prefer(&bell, "u8800", json!({"nickname": "Ana"})).await;
    let everybody = ["aaa", "bbb", "ccc", "ddd", "eee", "fff", "ggg", "hhh"];
    let message = with(
        group("m1", &everybody),
        json!({"title": null, "desc": null, "contentType": 102,
        "content": "{\"sourcePicture\":{\"url\":\"https://m.example.net/1.jpg\"}}"}),
    );
    assert!(handled(&ask(&bell, &message).await));
    bell.drained().await;

    let mut badges = BTreeMap::new();
    for client in everybody {
        badges.insert(client, bell.badge(client).await);
    }
    let expected = [("aaa", 1), ("bbb", 0), ("ccc", 0), ("ddd", 0), ("eee", 1), ("fff", 1), ("ggg", 1), ("hhh", 1)];
    assert_eq!(badges, expected.into_iter().collect(), "push off counts; muted and blocked do not");
    for client in ["aaa", "bbb", "ccc", "ddd"] {
        assert!(bell.android(&format!("fcm-{client}")).is_empty(), "{client}");
    }
    let shown = |client: &str| bell.android(&format!("fcm-{client}")).remove(0);
    assert_eq!((shown("eee").sound, shown("eee").badge), (None, Some(1)), "quiet hours");
    assert!(shown("hhh").sound.is_some());
    assert_eq!(shown("fff").body.as_deref(), Some("您有一条新消息"));
    let (chinese, english) = (shown("ggg").body.expect("a text"), shown("hhh").body.expect("a text"));
    assert!(chinese.starts_with("Ana") && english.starts_with("Ana") && chinese != english, "{chinese} {english}");
    assert!(!format!("{:?}", shown("fff")).contains("Ana"));

    // Switched on again, the badge is right at once.
    prefer(&bell, "aaa", json!({"push": true})).await;
    ask(&bell, &group("m2", &["aaa"])).await;
    bell.settled().await;
    assert_eq!(shown("aaa").badge, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcomes_of_a_task_tell_why_nobody_was_sent_to() {
    let bell = deliver(json!({})).await;
    prefer(&bell, "aaa", json!({"push": false})).await;
    prefer(&bell, "bbb", json!({"blocked_senders": ["u8800"]})).await;
    prefer(&bell, "ccc", json!({"muted_senders": ["u8800"]})).await;
    let reply = ask(&bell, &group("m1", &["aaa", "bbb", "ccc", "nobody"])).await;
    bell.settled().await;
    let task = reply.errDlt.strip_prefix("tasks: ").expect("the task's number");
    let expected = [("off", 1), ("blocked", 1), ("muted", 1), ("no_device", 1)];
    assert_eq!(
        bell.outcomes(&serde_json::from_str(task).expect("a number")).await,
        expected.map(|(word, n)| (word.to_owned(), n)).into()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_group_loses_its_unread_messages_and_the_others_are_told() {
    let bell = deliver(json!({})).await;
    let unread = with(group("m1", &["aaa", "bbb", "ccc"]), json!({"groupID": "demo-group"}));
    ask(&bell, &unread).await;
    bell.settled().await;
    assert_eq!((bell.badge("aaa").await, bell.badge("bbb").await, bell.badge("ccc").await), (1, 1, 1));

    // ccc has left by themself.
    assert!(handled(&send(&bell, "v3.8-quit").await));
    bell.settled().await;
    assert_eq!((bell.badge("aaa").await, bell.badge("ccc").await), (1, 0));
    assert!(bell.android("fcm-aaa")[0].body.as_deref().is_some_and(|body| body.contains("Ccc")));
    let left = bell.android("fcm-ccc").remove(0);
    assert_eq!((left.silent, left.body), (true, None), "who has left knows it: only the number on the icon changes");

    // bbb is removed, and so is ccc, whom the list does not name.
    assert!(handled(&send(&bell, "v3.8-kicked").await));
    bell.settled().await;
    assert_eq!((bell.badge("aaa").await, bell.badge("bbb").await), (1, 0));
    let told = bell.android("fcm-bbb").remove(0);
    assert_eq!(told.badge, Some(0));

    // The group is dissolved.
    assert!(handled(&send(&bell, "v3.8-dismissed").await));
    bell.settled().await;
    assert_eq!(bell.badge("aaa").await, 0);
    let told = bell.android("fcm-aaa").remove(0);
    assert_eq!((told.badge, told.title.as_deref()), (Some(0), Some("Demo Group")), "{:?}", told.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_message_is_taken_back() {
    let bell = deliver(json!({})).await;
    let id = "b7c0f3a1d2e94c0f8a2d0f5a9be1c774";
    ask(&bell, &with(group(id, &["aaa", "bbb"]), json!({"groupID": "demo-group"}))).await;
    bell.settled().await;
    assert_eq!(bell.badge("aaa").await, 1);
    assert!(handled(&send(&bell, "v3.8-revoke").await));
    bell.settled().await;
    assert_eq!(bell.badge("aaa").await, 0);
    // Also of a sender who was blocked because of it.
    let blocking = deliver(json!({"filter": {"blocked_senders": ["sss"]}})).await;
    assert!(handled(&send(&blocking, "v3.8-revoke").await));
    let withdrawn = bell.android("fcm-aaa").iter().any(|shown| shown.payload["data"]["pushbell_withdraw"] == id);
    assert!(withdrawn, "the app is told to remove it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_taken_back_in_its_own_room_only() {
    let bell = deliver(json!({})).await;
    ask(&bell, &group("m1", &["aaa"])).await;
    bell.settled().await;
    let forged = json!({"groupID": "g-elsewhere", "contentType": 2101, "clientMsgID": "r1", "title": null, "desc": null,
        "content": "{\"revokerUserID\":\"eve\",\"clientMsgID\":\"m1\"}"});
    let reply = ask(&bell, &with(group("r1", &["aaa"]), forged)).await;
    assert!(reply.allows() && reply.errDlt.contains("another room"), "{reply:?}");
    bell.drained().await;
    assert_eq!((bell.badge("aaa").await, bell.android("fcm-aaa").len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_back_from_who_was_never_told() {
    let bell = deliver(json!({})).await;
    bell.caller.register("ddd", "android", "fcm-ddd").await;
    prefer(&bell, "aaa", json!({"push": false})).await;
    prefer(&bell, "bbb", json!({"blocked_senders": ["u8800"]})).await;
    mute(&bell, "ccc", "sg_g-77").await;
    ask(&bell, &group("m1", &["aaa", "bbb", "ccc", "ddd"])).await;
    bell.settled().await;
    // Whoever mutes the room now has the message on the phone.
    mute(&bell, "ddd", "sg_g-77").await;
    let revoked = json!({"contentType": 2101, "clientMsgID": "r1", "title": null, "desc": null,
        "content": "{\"revokerUserID\":\"u8800\",\"clientMsgID\":\"m1\"}"});
    let reply = ask(&bell, &with(group("r1", &["aaa", "bbb", "ccc", "ddd"]), revoked)).await;
    assert!(handled(&reply), "{reply:?}");
    bell.drained().await;
    assert_eq!((bell.badge("aaa").await, bell.badge("ddd").await), (0, 0));
    for (client, pushes) in [("aaa", 0), ("bbb", 0), ("ccc", 0), ("ddd", 2)] {
        assert_eq!(bell.android(&format!("fcm-{client}")).len(), pushes, "{client}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_the_app_s_own_language_reads_no_other_region_s() {
    let texts = json!({"zh-CN": {"102": {"body": "图片"}}, "zh-TW": {"102": {"body": "圖片"}}});
    let settings = json!({"language": "zh-CN", "openim": {"mode": "deliver", "texts": texts}});
    let bell = app(settings).await;
    let picture = json!({"sourcePicture": {"url": "https://m.example.net/1.jpg"}});
    for (client, locale, body) in [
        ("cn", Some("zh-CN"), "图片"),
        ("tw", Some("zh-TW"), "圖片"),
        ("zh", Some("zh"), "图片"),
        ("none", None, "图片"),
    ] {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
        prefer(&bell, client, json!({"locale": locale})).await;
        ask(&bell, &single(&format!("m-{client}"), client, 102, &picture)).await;
        bell.settled().await;
        assert_eq!(bell.android(&format!("fcm-{client}"))[0].body.as_deref(), Some(body), "{client}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_rings_for_a_minute_and_never_after_it() {
    let bell = deliver(json!({})).await;
    assert!(handled(&send(&bell, "v3.8-call").await));
    bell.settled().await;
    let rings = bell.android("fcm-aaa").remove(0);
    assert_eq!((rings.sound.as_deref(), rings.title.is_some()), (Some("ring.caf"), true));

    let bell = deliver(json!({})).await;
    bell.fault(Rule::new(Target::Fcm, Effect::Error429 { retry_after: 30 }));
    assert!(handled(&send(&bell, "v3.8-call").await));
    bell.settled().await;
    bell.stack.aws.faults.clear();
    bell.stack.aws.queues.advance(Duration::from_secs(120)).expect("the queues answer");
    bell.drained().await;
    assert!(bell.android("fcm-aaa").is_empty(), "too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_cannot_take_over_openim_pushes_itself() {
    let bell = deliver(json!({})).await;
    for (changes, says) in
        [(json!({"clientMsgID": ""}), "clientMsgID"), (json!({"sessionType": 1, "groupID": ""}), "userIDList")]
    {
        let reply = ask(&bell, &with(group("m1", &["aaa", "bbb"]), changes)).await;
        assert!(reply.allows() && reply.errDlt.contains(says), "{reply:?}");
    }
    // Queue and table refuse at once.
    ask(&bell, &group("m2", &["aaa"])).await;
    bell.settled().await;
    bell.fault(Rule::new(Target::Sqs, Effect::Refuse));
    bell.fault(Rule::new(Target::Dynamodb, Effect::Throttle).table("DeferredTable"));
    let reply = ask(&bell, &group("m3", &["aaa"])).await;
    assert!(reply.allows() && reply.errMsg == "unavailable", "{reply:?}");
    bell.stack.aws.faults.clear();
    bell.drained().await;
    assert_eq!(bell.badge("aaa").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_on_content_hold_and_words_are_masked() {
    let bell = deliver(json!({"filter": {"words": {"mask": ["gate"], "reject": ["forbidden"]}}})).await;
    let denied = ask(&bell, &with(group("m1", &["aaa"]), json!({"desc": "forbidden"}))).await;
    assert_eq!(denied.errCode, 5102);
    assert!(handled(&ask(&bell, &group("m2", &["aaa"])).await));
    bell.drained().await;
    let shown = bell.android("fcm-aaa");
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].body.as_deref(), Some("Ana: **** 4 is open"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_claims_a_single_chat_s_hook_twice_is_two_tasks_and_one_count() {
    let bell = deliver(json!({"frugal": {"claims": false}})).await;
    let message = single("m1", "aaa", 101, &json!({"content": "gate 4 is open"}));
    let mut tasks = Vec::new();
    for _ in 0..2 {
        tasks.push(ask(&bell, &message).await.errDlt);
        bell.settled().await;
    }
    assert!(tasks[0].starts_with("tasks: ") && tasks[0] != tasks[1], "{tasks:?}");
    assert_eq!((bell.badge("aaa").await, bell.android("fcm-aaa").len()), (1, 1));
    assert!(bell.stack.phones.accepted() >= 2, "it was sent again");
}
