//! Kinvey's push module: sends as its server SDK makes them, templates, and what is ours beside them.

use std::time::Duration;

use pushbell::time::Timestamp;
use pushbell_local::faults::{Effect, Rule, Target};
use serde_json::{Value, json};

use crate::bell::{Answer, Bell, MASTER};

const SEND: &str = "/push/demo/sendMessage";
const BROADCAST: &str = "/push/demo/sendBroadcast";

impl Bell {
    /// The app's server calls as the SDK does.
    async fn kinvey(&self, path: &str, body: &Value) -> Answer {
        self.caller.post(path, &[MASTER, ("x-kinvey-api-version", "3")], body).await
    }

    /// Sends, and gives the answer's body.
    async fn sends(&self, path: &str, body: &Value) -> Value {
        let answer = self.kinvey(path, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.headers.contains_key("x-kinvey-request-id"));
        answer.json()
    }

    async fn task(&self, task: &Value) -> Value {
        let answer = self.caller.get(&format!("/push/demo/tasks/{task}"), &[MASTER]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// The bodies that an iPhone shows, the newest first.
    fn reads(&self, token: &str) -> Vec<String> {
        self.iphone(token).into_iter().filter_map(|shown| shown.body).collect()
    }
}

/// A user's document, as Kinvey's collection hands it to a hook.
fn document(id: &str, given_name: &str) -> Value {
    json!({
        "_id": id, "username": format!("{id}@example.com"), "givenName": given_name, "favoriteTeam": "Boston Red Sox",
        "_messaging": {"pushTokens": [{"token": format!("token-of-{id}"), "platform": "android", "arn": null}]},
        "_acl": {"creator": id}, "_kmd": {"ect": "2026-01-01T00:00:00.000Z", "lmt": "2026-01-01T00:00:00.000Z"},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_an_alert_on_ios_and_data_on_android() {
    let bell = Bell::start().await;
    bell.caller.register("joe", "ios", "0a01").await;
    bell.caller.register("joe", "android", "a1").await;
    let taken = bell.sends(SEND, &json!({"recipients": [document("joe", "Joe")], "messageContent": "lala"})).await;
    assert_eq!(taken["accepted"], 1);
    bell.drained().await;
    let iphone = bell.iphone("0a01").remove(0);
    assert_eq!(
        (&iphone.payload["aps"]["alert"], iphone.badge, iphone.sound.as_deref()),
        (&json!("lala"), None, Some("default"))
    );
    let android = bell.android("a1").remove(0);
    let data = &android.payload["data"];
    assert!(android.silent && android.payload.get("notification").is_none());
    assert_eq!((&data["message"], &data["kinvey.message"]), (&json!("lala"), &json!("lala")));
    assert_eq!(bell.task(&taken["task_id"]).await["outcomes"], json!({"delivered": 2}));
    assert_eq!(bell.badge("joe").await, 0, "nothing is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_reach_each_kind_of_phone_as_they_are_and_a_badge_is_shown_and_not_counted() {
    let bell = Bell::start().await;
    bell.caller.register("joe", "ios", "0a01").await;
    bell.caller.register("joe", "android", "a1").await;
    bell.caller.imkit(&crate::bell::text_message("m1", &["joe"])).await;
    bell.drained().await;
    let content = json!({
        "iOSAps": {"alert": {"title": "Order 771", "body": "shipped"}, "badge": 7, "sound": "ping.caf", "category": "order"},
        "iOSExtras": {"orderId": "771", "lines": [1, 2]},
        "androidPayload": {"message": "Order 771 shipped", "orderId": 771},
    });
    bell.sends(SEND, &json!({"recipients": [{"_id": "joe"}], "messageContent": content})).await;
    bell.drained().await;
    let iphone = bell.iphone("0a01").remove(0);
    assert_eq!(iphone.payload["aps"], content["iOSAps"]);
    assert_eq!((&iphone.payload["orderId"], &iphone.payload["lines"]), (&json!("771"), &json!([1, 2])));
    let data = bell.android("a1").remove(0).payload["data"].take();
    assert_eq!((&data["message"], &data["orderId"]), (&json!("Order 771 shipped"), &json!("771")));
    assert!(data.get("lines").is_none() && iphone.payload.get("message").is_none());
    assert_eq!(bell.badge("joe").await, 1, "the chat message's");

    // One set alone is for its phones alone.
    let apple =
        json!({"recipients": ["joe"], "messageContent": {"iOSAps": {"alert": "for Apple's"}, "androidPayload": null}});
    let taken = bell.sends(SEND, &apple).await;
    bell.drained().await;
    assert_eq!(bell.task(&taken["task_id"]).await["outcomes"], json!({"delivered": 1}));
    assert_eq!(bell.android("a1").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_recipient_reads_their_own_values_and_who_lacks_one_is_told_at_once() {
    let bell = Bell::start().await;
    let people = [("joe", "Joe", "0a01"), ("ann", "Ann \"Annie\" {{favoriteTeam}}", "0a02"), ("bob", "Bob", "0a03")];
    for (user, _, token) in people {
        bell.caller.register(user, "ios", token).await;
    }
    let mut documents: Vec<Value> = people.iter().map(|(user, name, _)| document(user, name)).collect();
    documents[2].as_object_mut().unwrap().remove("givenName");
    // A document may be long, whatever of it is used.
    documents[0]["history"] = json!("x".repeat(256 * 1024));
    let text = "{{givenName}}, the {{favoriteTeam}} just won!";
    let taken = bell.sends(SEND, &json!({"recipients": documents, "messageContent": text})).await;
    assert_eq!((&taken["accepted"], &taken["skipped_count"]), (&json!(2), &json!(1)));
    assert_eq!(taken["skipped"], json!([{"index": 2, "reason": "lacks the value givenName"}]));
    bell.drained().await;
    assert_eq!(bell.reads("0a01"), ["Joe, the Boston Red Sox just won!"]);
    assert_eq!(bell.reads("0a02"), ["Ann \"Annie\" {{favoriteTeam}}, the Boston Red Sox just won!"]);
    assert_eq!(bell.reads("0a03"), Vec::<String>::new());
    let payload = json!({"iOSAps": {"alert": {"title": "{{givenName}}", "loc-args": ["{{nick|you}}"]}}, "iOSExtras": {"to": "{{givenName}}"}});
    bell.sends(SEND, &json!({"recipients": [document("joe", "Joe")], "messageContent": payload})).await;
    bell.drained().await;
    let shown = bell.iphone("0a01").remove(0).payload;
    assert_eq!((&shown["aps"]["alert"], &shown["to"]), (&json!({"title": "Joe", "loc-args": ["you"]}), &json!("Joe")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_has_the_recipient_s_own_values_still() {
    let bell = Bell::start().await;
    for n in 0..3 {
        bell.caller.register(&format!("u{n}"), "android", &format!("a{n}")).await;
    }
    bell.fault(Rule::new(Target::Fcm, Effect::Error503).times(3));
    let documents: Vec<Value> = (0..3).map(|n| document(&format!("u{n}"), &format!("Name {n}"))).collect();
    let taken = bell.sends(SEND, &json!({"recipients": documents, "messageContent": "Hi {{givenName}}"})).await;
    bell.drained().await;
    for n in 0..3 {
        let shown = bell.android(&format!("a{n}"));
        assert_eq!(shown[0].payload["data"]["message"], format!("Hi Name {n}"));
    }
    assert_eq!(bell.task(&taken["task_id"]).await["outcomes"], json!({"delivered": 3}));
    // They travel in records; rows, which would hold them up to three times, have none.
    let rows = pushbell::aws::dynamodb(&bell.operator()).scan().table_name("TasksTable").send().await.unwrap();
    assert!(rows.items().iter().any(|row| row.contains_key("l")), "something was left over");
    assert!(!format!("{:?}", rows.items()).contains("Name 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_known_and_who_has_no_device_are_counted_outcomes() {
    let bell = Bell::start().await;
    let taken = bell.sends(SEND, &json!({"recipients": ["nobody", "joe", ""], "messageContent": "hi"})).await;
    assert_eq!((&taken["accepted"], &taken["skipped"][0]["reason"]), (&json!(2), &json!("is empty")));
    bell.drained().await;
    let told = bell.task(&taken["task_id"]).await;
    assert_eq!((&told["state"], &told["outcomes"]), (&json!("done"), &json!({"no_device": 2})));
    // Who is not sent to needs no values.
    bell.caller.register("off", "android", "a9").await;
    let user = [("im-authorization", &*crate::notify::token("demo", "user", "off"))];
    let off = bell.caller.post("/me/notification/disable", &user, &json!({})).await;
    assert_eq!(off.status, 200, "{}", off.text);
    let taken = bell.sends(SEND, &json!({"recipients": ["nobody", "off"], "messageContent": "hi {{givenName}}"})).await;
    bell.drained().await;
    assert_eq!(bell.task(&taken["task_id"]).await["outcomes"], json!({"no_device": 1, "off": 1}));
    // A query that found nobody is no error of its caller's.
    let nobody = bell.sends(SEND, &json!({"recipients": [], "messageContent": "hi"})).await;
    assert_eq!(nobody, json!({"task_id": null, "accepted": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_reaches_every_device_once() {
    let bell = Bell::start().await;
    for (user, platform, token) in [("joe", "ios", "0a01"), ("joe", "android", "a1"), ("ann", "android", "a2")] {
        bell.caller.register(user, platform, token).await;
    }
    let taken = bell.sends(BROADCAST, &json!({"messageContent": "to all"})).await;
    assert!(taken.get("accepted").is_none(), "an audience is counted when it is read: {taken}");
    bell.drained().await;
    assert_eq!(
        (bell.reads("0a01"), bell.android("a1").len(), bell.android("a2").len()),
        (vec!["to all".to_owned()], 1, 1)
    );
    assert_eq!(bell.task(&taken["task_id"]).await["outcomes"], json!({"delivered": 3}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_waits_for_its_time_and_can_be_taken_back() {
    let bell = Bell::start().await;
    bell.caller.register("joe", "ios", "0a01").await;
    let at = Timestamp::from_millis((Timestamp::now().as_secs() + 600) * 1000);
    let body = |text: &str| json!({"recipients": ["joe"], "messageContent": text, "sendAt": at.to_rfc3339()});
    let (kept, cancelled) = (bell.sends(SEND, &body("kept")).await, bell.sends(SEND, &body("cancelled")).await);
    assert_eq!(kept["sendAt"], at.to_rfc3339());
    let mut named = body("named");
    named["requestId"] = json!("r1");
    let named_first = bell.sends(SEND, &named).await;
    named["sendAt"] = json!(at.plus(Duration::from_secs(60)).to_rfc3339());
    let again = bell.sends(SEND, &named).await;
    let said = (&again["task_id"], &again["sendAt"], &again["repeated"]);
    assert_eq!(said, (&named_first["task_id"], &json!(at.to_rfc3339()), &json!(true)), "the first one's time stands");
    bell.settled().await;
    assert_eq!(bell.task(&kept["task_id"]).await["state"], "queued");
    let path = format!("/push/demo/tasks/{}", cancelled["task_id"]);
    let taken_back = bell.caller.send("DELETE", &path, &[MASTER], "").await;
    assert_eq!((taken_back.status, &taken_back.json()["task_id"]), (200, &cancelled["task_id"]), "{}", taken_back.text);
    bell.stack.aws.queues.advance(Duration::from_secs(601)).unwrap();
    bell.drained().await;
    let mut read = bell.reads("0a01");
    read.sort_unstable();
    assert_eq!(read, ["kept", "named"]);
    assert_eq!(bell.task(&cancelled["task_id"]).await["outcomes"], json!({"cancelled": 1}));
    for path in ["/push/demo/tasks/7", "/push/demo/tasks/x"] {
        let answer = bell.caller.get(path, &[MASTER]).await;
        assert_eq!((answer.status, &answer.json()["error"]), (404, &json!("EntityNotFound")), "{}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_is_the_same_task_and_shows_once() {
    let bell = Bell::start().await;
    bell.caller.register("joe", "android", "a1").await;
    let body = json!({"recipients": [document("joe", "Joe")], "messageContent": "Hi {{givenName}}", "requestId": "r1"});
    let first = bell.sends(SEND, &body).await;
    bell.drained().await;
    let again = bell.sends(SEND, &body).await;
    bell.drained().await;
    assert_eq!((&again["task_id"], &again["repeated"]), (&first["task_id"], &json!(true)));
    assert_eq!(bell.stack.phones.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_refused_in_kinvey_s_words() {
    let bell = Bell::start().await;
    let refused = async |headers: &[(&str, &str)], path: &str, body: &str| {
        let answer = bell.caller.send("POST", path, headers, body.to_owned()).await;
        let told = answer.json();
        (answer.status, told["error"].as_str().unwrap().to_owned(), told["debug"].as_str().unwrap().to_owned())
    };
    let (json_type, good) =
        (("content-type", "application/json"), r#"{"recipients": ["joe"], "messageContent": "hi"}"#);
    let sent = |error: (u16, String, String)| (error.0, error.1);
    assert_eq!(sent(refused(&[json_type], SEND, good).await), (401, "InvalidCredentials".to_owned()));
    let user = format!("Kinvey {}", crate::notify::token("demo", "user", "joe"));
    let of_user = refused(&[json_type, ("authorization", &user)], SEND, good).await;
    assert_eq!(sent(of_user), (401, "InsufficientCredentials".to_owned()));
    assert_eq!(
        sent(refused(&[json_type, MASTER], "/push/nobody/sendMessage", good).await),
        (404, "AppNotFound".to_owned())
    );
    assert_eq!(sent(refused(&[MASTER], SEND, good).await), (400, "MissingRequestHeader".to_owned()));
    assert_eq!(sent(refused(&[json_type, MASTER], SEND, "").await), (400, "IncompleteRequestBody".to_owned()));
    assert_eq!(sent(refused(&[json_type, MASTER], SEND, "{oops").await), (400, "JSONParseError".to_owned()));
    for (path, body, name, debug) in [
        (SEND, json!({"recipients": ["joe"]}), "MissingRequestParameter", "messageContent is missing"),
        (SEND, json!({"messageContent": "hi"}), "MissingRequestParameter", "recipients is missing"),
        (
            BROADCAST,
            json!({"messageContent": "Hi {{name"}),
            "ParameterValueOutOfRange",
            "messageContent has a {{ that is not closed",
        ),
        (
            SEND,
            json!({"recipients": [{"_id": "joe", "age": 42}], "messageContent": "Hi {{givenName}}"}),
            "ParameterValueOutOfRange",
            "recipients have none who can be told: recipients[0] lacks the value givenName",
        ),
        (
            SEND,
            json!({"recipients": ["joe"], "messageContent": "x".repeat(256 * 1024)}),
            "ParameterValueOutOfRange",
            "the message is longer than 64 KiB",
        ),
    ] {
        let told = refused(&[json_type, MASTER], path, &body.to_string()).await;
        assert_eq!(told, (400, name.to_owned(), debug.to_owned()));
    }
    let many: Vec<String> = (0..195_000).map(|n| format!("{n:024}")).collect();
    let told =
        refused(&[json_type, MASTER], SEND, &json!({"recipients": many, "messageContent": "hi"}).to_string()).await;
    let rule = "the body is longer than 5 MiB: send to the recipients in several calls, each with a part of the list";
    assert_eq!(told, (400, "ParameterValueOutOfRange".to_owned(), rule.to_owned()));
    assert_eq!(bell.caller.get(SEND, &[MASTER]).await.status, 405);
    bell.drained().await;
    assert_eq!(bell.stack.phones.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_in_documents_are_registered_where_the_app_wants_it_and_take_nothing_from_anybody() {
    let bell = Bell::start().await;
    let folder = crate::bell::workspace().join("local/apps/demo/settings.json");
    let mut settings: Value = serde_json::from_str(&std::fs::read_to_string(folder).unwrap()).unwrap();
    settings["kinvey"] = json!({"import_tokens": true});
    bell.stack.put_settings("demo", &settings).await.unwrap();
    // The phone "moved" has another owner since the document was written.
    bell.caller.register("ann", "android", "moved").await;
    let arn = "arn:aws:sns:us-east-1:000000000000:endpoint/APNS/demo/5e3e9847-3183-3f18-a7e8-671c3a57d4b3";
    let foreign = "arn:aws:sns:us-east-1:853461911189:endpoint/APNS/kinvey/11111111-3183-3f18-a7e8-671c3a57d4b3";
    let documents = json!([
        {"_id": "joe", "_messaging": {"pushTokens": [
            {"token": "known-to-kinvey", "platform": "android", "arn": null}, {"token": "moved", "platform": "android", "arn": null},
            {"token": "0a01", "platform": "ios", "arn": arn},
        ]}},
        {"_id": "bob", "_messaging": {"pushTokens": [{"token": "0a02", "platform": "ios", "arn": foreign}]}},
    ]);
    let body = json!({"recipients": documents, "messageContent": {"androidPayload": {"message": "hi"}}});
    let taken = bell.sends(SEND, &body).await;
    assert_eq!((&taken["accepted"], &taken["imported"]), (&json!(2), &json!(3)));
    bell.drained().await;
    assert_eq!((bell.android("known-to-kinvey").len(), bell.android("moved").len()), (1, 0));
    let devices = async |user: &str| {
        let answer = bell.caller.get(&format!("/push/demo/devices?userId={user}"), &[MASTER]).await;
        answer.json()["_messaging"]["pushTokens"].clone()
    };
    let of_joe = devices("joe").await;
    let kept = of_joe.as_array().unwrap().iter().find(|device| device["platform"] == "ios").unwrap();
    assert_eq!((of_joe.as_array().unwrap().len(), &kept["arn"]), (2, &json!(arn)));
    assert_eq!(devices("bob").await[0]["arn"], Value::Null, "of another account's platform application");
    let again = bell.sends(SEND, &body).await;
    assert_eq!(again["imported"], 0);
    // The first send to it makes an endpoint of the app's own.
    bell.sends(SEND, &json!({"recipients": ["bob"], "messageContent": "hi"})).await;
    bell.drained().await;
    assert_eq!(bell.reads("0a02"), ["hi"]);
}
