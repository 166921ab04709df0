//! The operator's `send` and `task`: calls of the API as an app's own server makes them.

use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::operator::Where;
use pushbell_local::operator::api::As;
use pushbell_local::operator::send::{self, Send, SendError, Sent};
use pushbell_local::operator::task::{self, Command, Task};
use pushbell_local::phones::Channel;
use serde_json::{Value, json};

use crate::bell::{API_KEY, Bell, text_message};
use crate::deliver::age_devices;

fn place(bell: &Bell) -> Where {
    Where { url: Some(bell.stack.url()), ..Where::default() }
}

fn test_push(client: &str, wait: u64) -> Send {
    Send {
        client: client.to_owned(),
        text: "Does it ring?".to_owned(),
        title: Some("Test".to_owned()),
        wait,
        who: As::default(),
        json: false,
    }
}

async fn sent(bell: &Bell, client: &str, wait: u64) -> Sent {
    send::run(&place(bell), &test_push(client, wait)).await.unwrap()
}

fn of(task: &Value) -> Task {
    Task { task: task.as_u64().unwrap(), who: As::default(), json: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_push_rings_every_time_and_counts_nobody() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    for _ in 0..2 {
        let sent = sent(&bell, "aaa", 60).await;
        assert!(sent.delivered, "{}", sent.told);
        assert_eq!(sent.told.matches(": delivered, the vendor has it").count(), 2, "{}", sent.told);
        assert!(sent.told.contains(": done\n"), "{}", sent.told);
    }
    let shown = bell.android("fcm-aaa");
    assert_eq!(shown.len(), 2, "each is a push of its own");
    assert_eq!((shown[0].title.as_deref(), shown[0].body.as_deref()), (Some("Test"), Some("Does it ring?")));
    assert_eq!((bell.iphone("a1b2c3").len(), bell.badge("aaa").await), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_push_to_nobody_says_what_is_missing() {
    let bell = Bell::start().await;
    let unknown = sent(&bell, "nobody", 60).await;
    assert!(!unknown.delivered && unknown.told.contains("knows nothing of this client"), "{}", unknown.told);
    bell.caller.imkit(&text_message("m1", &["bbb"])).await;
    bell.settled().await;
    let without = sent(&bell, "bbb", 60).await;
    assert!(!without.delivered && without.told.contains("no_device, the client has no device"), "{}", without.told);
    assert!(without.told.contains("sign in as this client"), "{}", without.told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_push_to_a_dead_token_says_that_the_app_has_to_register_again() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    age_devices(&bell, "aaa").await;
    bell.stack.phones.set_dead(Channel::Fcm, "fcm-aaa", true).unwrap();
    let sent = sent(&bell, "aaa", 60).await;
    assert!(!sent.delivered && sent.told.contains("over fcm: dead_token"), "{}", sent.told);
    assert!(sent.told.contains("so that it registers again"), "{}", sent.told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_push_tells_of_switched_off_push_refused_credentials_and_quiet_hours() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    let prefer = async |body: Value| {
        let headers = [API_KEY, ("content-type", "application/json")];
        let answer = bell.caller.send("PATCH", "/me/preferences?clientId=aaa", &headers, body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    prefer(json!({"push": false})).await;
    let off = sent(&bell, "aaa", 60).await;
    assert!(!off.delivered && off.told.contains("has to switch push on again"), "{}", off.told);
    prefer(json!({"push": true, "quiet_hours": {"from": "22:00", "to": "07:00"}})).await;
    let quiet = sent(&bell, "aaa", 60).await;
    assert!(quiet.delivered && quiet.told.contains("quiet hours from 22:00 to 07:00"), "{}", quiet.told);
    bell.fault(Rule::new(Target::Fcm, Effect::Refuse));
    let refused = sent(&bell, "aaa", 60).await;
    assert!(!refused.delivered && refused.told.contains("`doctor demo --url "), "{}", refused.told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_push_that_is_tried_again_when_the_wait_is_over_says_how_to_ask_later() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell.fault(Rule::new(Target::Fcm, Effect::Error429 { retry_after: 600 }));
    let sent = sent(&bell, "aaa", 1).await;
    assert!(!sent.delivered && sent.told.contains("ask `why aaa "), "{}", sent.told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_push_is_shown_by_its_number_and_taken_back() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    let later = pushbell::time::Timestamp::now().as_millis() + 300_000;
    let body = json!({"clients": ["aaa"], "payload": {"body": "ding"}, "sendAt": later});
    let answer = bell.caller.post("/push/push2clients", &[API_KEY], &body).await.json();
    let number = &answer["result"]["task_id"];
    let shown = task::run(&place(&bell), &Command::Show(of(number))).await.unwrap();
    assert!(shown.starts_with(&format!("Task {number}, accepted at ")) && shown.contains(": queued"), "{shown}");
    let cancelled = task::run(&place(&bell), &Command::Cancel(of(number))).await.unwrap();
    assert!(cancelled.starts_with(&format!("Task {number} is cancelled since ")), "{cancelled}");
    bell.drained().await;
    assert!(bell.android("fcm-aaa").is_empty());
    let shown = task::run(&place(&bell), &Command::Show(of(number))).await.unwrap();
    assert!(shown.contains("    1 cancelled"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_cancelled_says_why() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    let callback = bell.caller.imkit(&text_message("m1", &["aaa"])).await.json()["task_id"].clone();
    bell.settled().await;
    let error = task::run(&place(&bell), &Command::Cancel(of(&callback))).await.unwrap_err().to_string();
    assert!(error.contains("it is a callback's"), "{error}");
    let error = task::run(&place(&bell), &Command::Cancel(of(&json!(7)))).await.unwrap_err().to_string();
    assert!(error.starts_with("the app demo has no task 7"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_push_that_cannot_be_looked_at_is_told_by_its_number() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell.fault(Rule::new(Target::Dynamodb, Effect::Refuse).caller("stats"));
    let error = send::run(&place(&bell), &test_push("aaa", 0)).await.unwrap_err();
    let SendError::Unseen { task, .. } = &error else { panic!("{error}") };
    let ask = format!("ask `why <client> {task} --app demo --url {}`", bell.stack.url());
    let told = format!("task {task} was taken, but what became of it could not be seen; {ask}");
    assert_eq!(error.to_string(), told);
    bell.settled().await;
    assert_eq!(bell.android("fcm-aaa").len(), 1);
}
