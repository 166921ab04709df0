//! IMKIT's callback: from one HTTP call to the phones.

use pushbell_local::phones::{Channel, View};
use serde_json::{Value, json};

use crate::bell::{API_KEY, Bell, text_message};

/// The demo group: aaa has an iPhone and an Android phone, bbb an iPhone.
async fn demo() -> Bell {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell.caller.register("bbb", "ios", "d4e5f6").await;
    bell
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_s_example_makes_one_notification_per_device_with_the_room_as_title_and_badge_1() {
    let bell = demo().await;
    let answer = bell.caller.imkit(&text_message("5dd51a4f21841443cfd3090d", &["aaa", "bbb"])).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.json()["task_id"].as_u64().is_some(), "{}", answer.text);
    bell.settled().await;
    for notification in [&bell.iphone("a1b2c3"), &bell.android("fcm-aaa"), &bell.iphone("d4e5f6")] {
        let [one] = notification.as_slice() else { panic!("one notification: {notification:?}") };
        assert_eq!(one.title.as_deref(), Some("Demo Room"));
        assert_eq!(one.body.as_deref(), Some("SSS: lala"));
        assert_eq!(one.badge, Some(1));
        assert!(!one.silent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_again_byte_for_byte_nothing_more_comes_and_the_second_message_shows_2_and_after_reading_1() {
    let bell = demo().await;
    let first = text_message("m1", &["aaa", "bbb"]);
    let task = bell.caller.imkit(&first).await.json()["task_id"].clone();
    bell.settled().await;
    let again = bell.caller.imkit(&first).await;
    assert_eq!((again.status, &again.json()["task_id"]), (200, &task), "{}", again.text);
    bell.drained().await;
    assert_eq!(bell.stack.phones.accepted(), 3, "one push per device");

    bell.caller.imkit(&text_message("m2", &["aaa", "bbb"])).await;
    bell.settled().await;
    assert_eq!(bell.android("fcm-aaa")[0].badge, Some(2));
    assert_eq!(bell.iphone("d4e5f6")[0].badge, Some(2));

    let read = json!({"read": "demo-room"});
    let answer = bell.caller.post("/badges/aaa", &[API_KEY], &read).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    bell.caller.imkit(&text_message("m3", &["aaa", "bbb"])).await;
    bell.settled().await;
    assert_eq!(bell.android("fcm-aaa")[0].badge, Some(1));
    assert_eq!(bell.iphone("a1b2c3")[0].badge, Some(1));
    assert_eq!(bell.iphone("d4e5f6")[0].badge, Some(3));
    assert_eq!(bell.badge("aaa").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_written_before_the_room_was_read_is_not_shown() {
    let bell = demo().await;
    let until = json!({"read": "demo-room", "until": 1_574_246_991_222_u64});
    bell.caller.post("/hooks/demo/demo-secret/badges/aaa", &[], &until).await;
    bell.caller.imkit(&text_message("m1", &["aaa", "bbb"])).await;
    bell.settled().await;
    assert!(bell.android("fcm-aaa").is_empty());
    assert_eq!(bell.iphone("d4e5f6").len(), 1);
    assert_eq!(bell.badge("aaa").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_comes_before_the_first_is_delivered_changes_nothing() {
    let bell = demo().await;
    let message = text_message("m1", &["aaa", "bbb"]);
    let answers = futures_util::future::join_all((0..8).map(|_| bell.caller.imkit(&message))).await;
    let tasks: std::collections::BTreeSet<_> = answers.iter().map(|answer| answer.json()["task_id"].as_u64()).collect();
    assert_eq!(tasks.len(), 1, "one task: {tasks:?}");
    bell.drained().await;
    assert_eq!(bell.stack.phones.accepted(), 3);
    assert_eq!(bell.badge("aaa").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_in_two_callbacks_counts_each_client_once() {
    let bell = demo().await;
    bell.caller.register("ccc", "android", "fcm-ccc").await;
    bell.caller.imkit(&text_message("m1", &["aaa", "bbb"])).await;
    bell.caller.imkit(&text_message("m1", &["bbb", "ccc"])).await;
    bell.drained().await;
    for (client, phone) in
        [("aaa", bell.android("fcm-aaa")), ("bbb", bell.iphone("d4e5f6")), ("ccc", bell.android("fcm-ccc"))]
    {
        assert_eq!(bell.badge(client).await, 1, "{client}");
        assert_eq!(phone.len(), 1, "{client}: {phone:?}");
        assert_eq!(phone[0].badge, Some(1), "{client}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v1_for_a_group_of_3_makes_3_notifications_with_the_callers_badges() {
    let bell = Bell::start().await;
    let settings =
        json!({"imkit": {"version": "v1"}, "sns": {"apns": "arn:aws:sns:us-east-1:000000000000:app/APNS/demo"}});
    bell.stack.put_settings("demo", &settings).await.unwrap();
    for (client, badge) in [("aaa", 4), ("bbb", 7), ("ccc", 1)] {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
        let mut body = text_message("m1", &[]);
        body.as_object_mut().unwrap().remove("pushToClients");
        body["toClient"] = json!(client);
        body["badge"] = json!(badge);
        body["alert"] = json!("SSS: lala");
        let answer = bell.caller.imkit(&body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    bell.settled().await;
    for (client, badge) in [("aaa", 4), ("bbb", 7), ("ccc", 1)] {
        let phone = bell.android(&format!("fcm-{client}"));
        assert_eq!(phone.len(), 1);
        assert_eq!(phone[0].badge, Some(badge), "the caller's own number");
        assert_eq!(phone[0].body.as_deref(), Some("SSS: lala"));
        assert_eq!(bell.badge(client).await, 0, "set, not added");
    }
    // The other callback is answered, and not delivered: a server set to both would notify twice.
    let answer = bell.caller.imkit(&text_message("m2", &["aaa"])).await;
    assert_eq!((answer.status, &answer.json()["task_id"]), (200, &Value::Null));
    bell.drained().await;
    assert_eq!(bell.stack.phones.accepted(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn cohorts_read_their_own_copy_and_a_client_stays_in_its_cohort() {
    let bell = Bell::start().await;
    let settings = json!({"imkit": {"experiment": "titles", "copies": [
        {"weight": 1, "title": "{{room}}", "body": "{{nickname}}: {{text}}"},
        {"weight": 1, "title": "{{nickname}} in {{room}}", "body": "{{text}} 👋"}
    ]}});
    bell.stack.put_settings("demo", &settings).await.unwrap();
    let clients: Vec<String> = (0..40).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    for client in &clients {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
    }
    for id in ["m1", "m2"] {
        bell.caller.imkit(&text_message(id, &names)).await;
        bell.settled().await;
    }
    let mut sizes = [0, 0];
    for client in &clients {
        let phone = bell.android(&format!("fcm-{client}"));
        assert_eq!(phone.len(), 2);
        assert_eq!((&phone[0].title, &phone[0].body), (&phone[1].title, &phone[1].body), "{client}");
        match (phone[0].title.as_deref(), phone[0].body.as_deref()) {
            (Some("Demo Room"), Some("SSS: lala")) => sizes[0] += 1,
            (Some("SSS in Demo Room"), Some("lala 👋")) => sizes[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(sizes[0] > 8 && sizes[1] > 8, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_who_was_erased_is_told_nothing_and_leaves_nothing() {
    let bell = demo().await;
    bell.caller.imkit(&text_message("m1", &["aaa", "bbb"])).await;
    bell.settled().await;
    for _ in 0..2 {
        let answer = bell.caller.send("DELETE", "/clients/aaa", &[API_KEY], "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    assert_eq!(bell.stack.aws.sns.endpoints("arn:aws:sns:us-east-1:000000000000:app/APNS/demo").unwrap(), 1);
    assert_eq!(bell.badge("aaa").await, 0);
    bell.caller.imkit(&text_message("m2", &["aaa", "bbb"])).await;
    bell.settled().await;
    assert_eq!((bell.android("fcm-aaa").len(), bell.iphone("a1b2c3").len(), bell.iphone("d4e5f6").len()), (1, 1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_is_answered_and_makes_no_task() {
    let bell = demo().await;
    let answer = bell.caller.imkit(&text_message("m1", &[])).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["accepted"], 0);
    bell.drained().await;
    assert_eq!(bell.stack.phones.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_not_notified_and_a_bad_id_is_skipped_and_named() {
    let bell = demo().await;
    bell.caller.register("sss", "android", "fcm-sss").await;
    let mut body = text_message("m1", &["aaa", "sss", "aaa"]);
    body["pushToClients"].as_array_mut().unwrap().extend([json!(""), json!(42), json!("bbb")]);
    let answer = bell.caller.imkit(&body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["accepted"], 2);
    assert!(answer.text.contains("skipped"), "{}", answer.text);
    bell.settled().await;
    assert!(bell.android("fcm-sss").is_empty());
    assert_eq!(bell.iphone("d4e5f6").len(), 1);
    assert_eq!(bell.badge("sss").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_muted_room_is_silent_unless_the_client_is_mentioned() {
    let bell = demo().await;
    let token = pushbell::auth::jwt::sign_hs256(
        b"demo-user-key-0123456789abcdef0123456789ab",
        &json!({"app": "demo", "sub": "bbb", "role": "user", "exp": 4_000_000_000_u64}),
    );
    let user = [("im-authorization", token.as_str())];
    let answer = bell.caller.send("POST", "/me/mute/demo-room", &user, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    bell.caller.imkit(&text_message("m1", &["aaa", "bbb"])).await;
    bell.settled().await;
    assert!(bell.iphone("d4e5f6").is_empty());
    assert_eq!(bell.badge("bbb").await, 0, "what is muted is not counted");
    let mut mention = text_message("m2", &["aaa", "bbb"]);
    mention["mentions"] = json!(["bbb"]);
    bell.caller.imkit(&mention).await;
    bell.settled().await;
    assert_eq!(bell.iphone("d4e5f6").len(), 1);
    let answer = bell.caller.send("DELETE", "/me/mute/demo-room", &user, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    bell.caller.imkit(&text_message("m3", &["bbb"])).await;
    bell.settled().await;
    assert_eq!(bell.iphone("d4e5f6").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recall_takes_the_message_back_from_badge_and_phone() {
    let bell = demo().await;
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.caller.imkit(&text_message("m2", &["aaa"])).await;
    bell.settled().await;
    let mut recall = text_message("m1", &["aaa"]);
    recall["messageType"] = json!("recall");
    recall["message"] = json!("");
    let answer = bell.caller.imkit(&recall).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    bell.drained().await;
    assert_eq!(bell.badge("aaa").await, 1);
    let newest = &bell.android("fcm-aaa")[0];
    assert!(newest.silent, "{newest:?}");
    assert!(newest.payload.to_string().contains("pushbell_withdraw"), "{newest:?}");
    // The same recall again, and the message itself again, change nothing.
    bell.caller.imkit(&recall).await;
    let mut late = text_message("m1", &["aaa", "bbb"]);
    late["pushToClients"] = json!(["aaa"]);
    late["updatedAtMS"] = json!(1);
    bell.caller.imkit(&late).await;
    bell.drained().await;
    assert_eq!(bell.badge("aaa").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recall_of_a_message_that_was_read_takes_nothing_from_newer_ones() {
    let bell = demo().await;
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    bell.caller.post("/badges/aaa", &[API_KEY], &json!({"read": "demo-room"})).await;
    bell.caller.imkit(&text_message("m2", &["aaa"])).await;
    bell.settled().await;
    let mut recall = text_message("m1", &["aaa"]);
    recall["messageType"] = json!("recall");
    bell.caller.imkit(&recall).await;
    bell.drained().await;
    assert_eq!(bell.badge("aaa").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_its_recall_overtook_is_not_shown() {
    let bell = demo().await;
    let mut recall = text_message("m1", &["aaa"]);
    recall["messageType"] = json!("recall");
    bell.caller.imkit(&recall).await;
    bell.settled().await;
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.drained().await;
    let shown = bell.android("fcm-aaa");
    assert!(shown.iter().all(|notification| notification.silent), "{shown:?}");
    assert_eq!(bell.badge("aaa").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_message_s_text_reaches_no_phone() {
    let bell = demo().await;
    let mut body = text_message("m1", &["aaa"]);
    body["messageType"] = json!("encrypted");
    body["message"] = json!("YWFh:aXY=:a2V5|c2VjcmV0dGV4dA==");
    bell.caller.imkit(&body).await;
    bell.settled().await;
    let raw = bell.stack.phones.notifications(Channel::Fcm, "fcm-aaa", View::Raw).unwrap();
    assert_eq!(raw.len(), 1);
    assert!(!raw[0].payload.to_string().contains("c2VjcmV0dGV4dA"), "{:?}", raw[0].payload);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_recipients_in_one_callback_are_answered_at_once_and_each_is_told_once() {
    let bell = Bell::start().await;
    let clients: Vec<String> = (0..10_000).map(|n| format!("client-{n:05}")).collect();
    // Registering ten thousand phones over HTTP is its own test; here a few stand for them.
    for client in clients.iter().step_by(250) {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
    }
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    let answer = bell.caller.imkit(&text_message("m1", &names)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["accepted"], 10_000);
    // What is not begun in an invocation's time comes later.
    bell.drained().await;
    for client in clients.iter().step_by(250) {
        let phone = bell.android(&format!("fcm-{client}"));
        assert_eq!(phone.len(), 1, "{client}");
        assert_eq!(phone[0].badge, Some(1), "{client}");
    }
    assert_eq!(bell.stack.phones.accepted(), 40);
    assert_eq!(bell.badge("client-09999").await, 1, "who has no phone yet is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_five_thousand_recipients_fit_one_callback() {
    let bell = Bell::start().await;
    let clients: Vec<String> = (0..25_000).map(|n| format!("{n:032x}-{n:016}")).collect();
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    bell.caller.register(&clients[24_999], "android", "fcm-last").await;
    let answer = bell.caller.imkit(&text_message("m1", &names)).await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(25_000)), "{}", answer.text);
    bell.drained().await;
    assert_eq!(bell.android("fcm-last").len(), 1);
    assert_eq!(bell.badge(&clients[0]).await, 1);
    assert_eq!(bell.badge(&clients[24_999]).await, 1);
}
