//! What happened to one push: through HTTP, from the callback to the answer of `/push/why`.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use pushbell::env::Table;
use pushbell::id::AppId;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::operator::api::{ApiError, As};
use pushbell_local::operator::{Where, why as why_command};
use pushbell_local::phones::Channel;
use pushbell_local::stack::Options;
use serde_json::{Value, json};

use crate::bell::{API_KEY, Answer, Bell, text_message};
use crate::deliver::age_devices;

/// The demo group: aaa has an iPhone and an Android phone, bbb an iPhone.
async fn with_phones(options: Options) -> Bell {
    let bell = Bell::start_with(options).await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell.caller.register("bbb", "ios", "d4e5f6").await;
    bell
}

async fn ask(bell: &Bell, headers: &[(&str, &str)], client: &str, message: &str) -> Answer {
    bell.caller.get(&format!("/push/why?client={client}&message={message}"), headers).await
}

async fn why(bell: &Bell, client: &str, message: &str) -> Value {
    let answer = ask(bell, &[API_KEY], client, message).await;
    assert_eq!(answer.json()["code"], 200, "{}", answer.text);
    answer.json()["data"].clone()
}

/// The one task of an answer.
fn only(why: &Value) -> &Value {
    assert_eq!(why["tasks"].as_array().map(Vec::len), Some(1), "{why}");
    &why["tasks"][0]
}

/// Each device's platform, outcome and class.
fn devices(task: &Value) -> Vec<(&str, &str, Option<&str>)> {
    let mut list: Vec<_> = task["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| {
            (device["platform"].as_str().unwrap(), device["outcome"].as_str().unwrap(), device["class"].as_str())
        })
        .collect();
    list.sort_unstable();
    list
}

fn admin() -> String {
    let claims = json!({"app": "demo", "sub": "console", "role": "admin", "exp": 4_000_000_000_u64});
    pushbell::auth::jwt::sign_hs256(b"demo-user-key-0123456789abcdef0123456789ab", &claims)
}

async fn mute(bell: &Bell, client: &str) {
    let path = format!("/me/mute/demo-room?clientId={client}");
    let answer = bell.caller.post(&path, &[API_KEY], &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

async fn the_page_s_example(bell: &Bell) {
    let aaa = why(bell, "aaa", "5dd51a4f21841443cfd3090d").await;
    let task = only(&aaa);
    assert_eq!(
        devices(task),
        [("android", "delivered", Some("delivered")), ("ios", "delivered", Some("delivered"))],
        "{aaa}"
    );
    assert_eq!(
        (&task["state"], &task["counted"], &task["kind"], &task["dialect"], &task["recipients"]),
        (&json!("done"), &json!({"is": true, "why": "counted"}), &json!("callback"), &json!("imkit"), &json!(2))
    );
    let bbb = why(bell, "bbb", "5dd51a4f21841443cfd3090d").await;
    let task = only(&bbb);
    assert_eq!(
        (&task["outcome"], &task["counted"], &task["devices"], &task["pending"]),
        (&json!("muted"), &json!({"is": false, "why": "muted"}), &json!([]), &Value::Null),
        "{bbb}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn for_the_page_s_example_it_tells_two_deliveries_and_who_muted_the_room_and_does_so_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { data: Some(folder.path().to_owned()), ..Options::test() };
    let bell = with_phones(options()).await;
    mute(&bell, "bbb").await;
    bell.caller.imkit(&text_message("5dd51a4f21841443cfd3090d", &["aaa", "bbb"])).await;
    bell.drained().await;
    the_page_s_example(&bell).await;
    bell.stack.stop().await;
    let bell = Bell::start_with(options()).await;
    the_page_s_example(&bell).await;
    // As the command tells it: with a key that is given, nothing but the API is asked.
    let asked = |message: &str| why_command::Why {
        client: "bbb".to_owned(),
        message: message.to_owned(),
        who: As { app: None, api_key: Some(API_KEY.1.to_owned().into()) },
        json: false,
    };
    let place = Where { url: Some(bell.stack.url()), ..Where::default() };
    let told = why_command::run(&place, &asked("5dd51a4f21841443cfd3090d")).await.unwrap();
    assert!(told.contains("  Counted: no, muted\n  Not sent: muted, the client muted the room"), "{told}");
    let refused = why_command::run(&place, &asked("m 2/ü")).await.unwrap_err().to_string();
    assert!(refused.starts_with("message is none"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_retried_push_it_tells_what_is_pending_and_until_when_then_each_attempt_and_its_class() {
    let bell = with_phones(Options::test()).await;
    bell.fault(Rule::new(Target::Fcm, Effect::Error429 { retry_after: 40 }).token("fcm-aaa").times(1));
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    let asked = why(&bell, "aaa", "m1").await;
    let task = only(&asked);
    assert_eq!(
        devices(task),
        [("android", "pending", Some("throttled")), ("ios", "delivered", Some("delivered"))],
        "{asked}"
    );
    assert_eq!((&task["state"], &task["counted"]["is"]), (&json!("pending"), &json!(true)));
    let (next, until) = (&task["pending"]["next_try"], &task["pending"]["until"]);
    let asked_at = asked["asked_at"].as_u64().unwrap();
    assert!(next.as_u64().unwrap() > asked_at && until.as_u64() > next.as_u64(), "{task}");
    let android = |task: &Value| {
        let devices = task["devices"].as_array().unwrap();
        devices.iter().find(|device| device["platform"] == "android").unwrap().clone()
    };
    assert_eq!(&android(task)["pending_until"], until);
    bell.drained().await;
    let asked = why(&bell, "aaa", "m1").await;
    let task = only(&asked);
    assert_eq!(
        (&task["state"], &task["pending"], &task["counted"]["why"]),
        (&json!("done"), &Value::Null, &json!("counted"))
    );
    let attempts: Vec<_> = android(task)["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["attempt"].clone(), one["outcome"].clone(), one["class"].clone()))
        .collect();
    assert_eq!(
        attempts,
        [(json!(0), json!("pending"), json!("throttled")), (json!(1), json!("delivered"), json!("delivered"))],
        "{task}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_what_was_given_up_what_was_dead_and_who_has_no_device() {
    let bell = with_phones(Options::test()).await;
    bell.caller.register("ccc", "android", "fcm-ccc").await;
    age_devices(&bell, "ccc").await;
    bell.stack.phones.set_dead(Channel::Fcm, "fcm-ccc", true).unwrap();
    bell.fault(Rule::new(Target::Fcm, Effect::Error503).token("fcm-aaa"));
    bell.caller.imkit(&text_message("m1", &["aaa", "ccc", "ddd"])).await;
    bell.drained().await;
    let asked = why(&bell, "aaa", "m1").await;
    let task = only(&asked);
    assert_eq!(
        devices(task),
        [("android", "gave_up", Some("retry")), ("ios", "delivered", Some("delivered"))],
        "{asked}"
    );
    let asked = why(&bell, "ccc", "m1").await;
    assert_eq!(devices(only(&asked)), [("android", "dead_token", Some("dead_token"))]);
    assert_eq!(only(&asked)["devices"][0]["registered_at"], Value::Null, "{asked}");
    let asked = why(&bell, "ddd", "m1").await;
    assert_eq!(
        (&only(&asked)["outcome"], &only(&asked)["counted"]["is"], &only(&asked)["meaning"]),
        (&json!("no_device"), &json!(true), &json!("the client has no device"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_of_a_recall_and_of_the_message_that_it_took_back() {
    let bell = with_phones(Options::test()).await;
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.drained().await;
    let mut recall = text_message("m1", &["aaa"]);
    recall["messageType"] = json!("recall");
    recall["message"] = json!("");
    bell.caller.imkit(&recall).await;
    bell.drained().await;
    let asked = why(&bell, "aaa", "m1").await;
    let kinds: Vec<&str> =
        asked["tasks"].as_array().unwrap().iter().map(|task| task["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["callback", "recall"], "{asked}");
    assert_eq!(asked["withdrawn_at"], asked["tasks"][1]["accepted_at"]);
    assert_eq!(asked["tasks"][0]["counted"]["why"], "counted");
    assert_eq!(asked["tasks"][1]["counted"], json!({"is": false, "why": "not a counting message"}));
    // One that comes after its recall.
    bell.caller.imkit(&text_message("m1", &["aaa", "bbb"])).await;
    bell.drained().await;
    let asked = why(&bell, "aaa", "m1").await;
    let late = asked["tasks"].as_array().unwrap().iter().find(|task| task["recipients"] == 2).unwrap();
    assert_eq!(
        (&late["outcome"], &late["counted"]),
        (&json!("withdrawn"), &json!({"is": false, "why": "withdrawn"})),
        "{asked}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_what_was_sent_and_not_counted_and_what_another_callback_had_counted() {
    let bell = with_phones(Options::test()).await;
    let env = bell.operator();
    pushbell::aws::dynamodb(&env)
        .update_item()
        .table_name(env.table(Table::Recipients).unwrap())
        .key("pk", AttributeValue::S("demo#bbb".to_owned()))
        .update_expression("SET trimmed = :far")
        .expression_attribute_values(":far", AttributeValue::N("4000000000000".to_owned()))
        .send()
        .await
        .unwrap();
    bell.caller.imkit(&text_message("m1", &["aaa", "bbb"])).await;
    bell.drained().await;
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.drained().await;
    let asked = why(&bell, "bbb", "m1").await;
    let task = asked["tasks"].as_array().unwrap().iter().find(|task| task["recipients"] == 2).unwrap();
    assert_eq!(devices(task), [("ios", "delivered", Some("delivered"))]);
    assert_eq!(task["counted"]["is"], json!(false), "{asked}");
    assert!(task["counted"]["why"].as_str().unwrap().starts_with("late (uncounted)"), "{asked}");
    let asked = why(&bell, "aaa", "m1").await;
    let counted: Vec<&Value> = asked["tasks"].as_array().unwrap().iter().map(|task| &task["counted"]).collect();
    assert_eq!((&counted[0]["why"], &counted[1]["is"]), (&json!("counted"), &json!(true)), "{asked}");
    assert!(counted[1]["why"].as_str().unwrap().starts_with("counted before"), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_found_by_its_number_before_it_is_due_and_once_it_is_cancelled() {
    let bell = with_phones(Options::test()).await;
    let token = admin();
    let headers = [("app_id", "demo"), ("access-token", token.as_str())];
    let later = pushbell::time::Timestamp::now().as_secs() + 300;
    let body = json!({
        "audience": {"user_id": ["aaa", "bbb"]},
        "message": {"title": "Bell", "body": "ding", "show_begin_time": later},
    });
    let answer = bell.caller.post("/push/notify", &headers, &body).await.json();
    let task = answer["data"]["task_id"].to_string();
    bell.settled().await;
    let asked = ask(&bell, &headers, "aaa", &task).await.json()["data"].clone();
    assert_eq!(
        (&only(&asked)["kind"], &only(&asked)["state"], &only(&asked)["due_at"], &only(&asked)["counted"]["is"]),
        (&json!("notice"), &json!("waiting"), &json!(later * 1_000), &Value::Null),
        "{asked}"
    );
    let cancelled =
        bell.caller.post("/push/task/cancel", &headers, &json!({"task_id": answer["data"]["task_id"]})).await;
    assert_eq!(cancelled.json()["code"], 200, "{}", cancelled.text);
    assert_eq!(only(&why(&bell, "aaa", &task).await)["state"], "cancelled");
    bell.stack.aws.queues.advance_delayed(Duration::from_secs(900)).unwrap();
    bell.drained().await;
    let asked = why(&bell, "aaa", &task).await;
    assert_eq!(
        (&only(&asked)["outcome"], &only(&asked)["counted"]["why"], &only(&asked)["state"]),
        (&json!("cancelled"), &json!("cancelled"), &json!("done")),
        "{asked}"
    );
    // Somebody whom it is not for.
    bell.caller.register("zzz", "android", "fcm-zzz").await;
    assert_eq!(only(&why(&bell, "zzz", &task).await)["state"], "not in the task");
}

/// Nothing is known of the client when the rows are looked for; when it is looked whether the chunk was tried, it was.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_delivered_to_between_two_reads_is_not_taken_for_somebody_else() {
    let bell = with_phones(Options::test()).await;
    bell.stack.aws.queues.pause("DeliverQueue", true);
    bell.caller.imkit(&text_message("m1", &["aaa", "bbb"])).await;
    let is_tried =
        Rule::new(Target::Dynamodb, Effect::Hang).caller("stats").body_contains(r#""ProjectionExpression":"sk""#);
    let hangs = bell.fault(is_tried);
    let asked = async {
        let asked = why(&bell, "aaa", "m1").await;
        only(&asked)["state"].clone()
    };
    let delivered = async {
        let fired = || bell.stack.aws.faults.list().iter().any(|rule| rule.id == hangs && rule.fired > 0);
        bell.until(fired).await;
        bell.stack.aws.queues.pause("DeliverQueue", false);
        bell.settled().await;
        bell.stack.aws.faults.remove(hangs);
    };
    assert_eq!(tokio::join!(asked, delivered).0, "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_whether_the_message_or_the_client_is_unknown_and_tells_servers_only() {
    let bell = with_phones(Options::test()).await;
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.drained().await;
    let told = |answer: Answer| {
        let body = answer.json();
        (body["code"].as_u64().unwrap(), body["message"].as_str().unwrap_or_default().to_owned())
    };
    let (code, rule) = told(ask(&bell, &[API_KEY], "aaa", "m2").await);
    assert!(code == 10_002 && rule.starts_with("message is none"), "{rule}");
    let (code, rule) = told(ask(&bell, &[API_KEY], "nobody", "m1").await);
    assert!(code == 10_002 && rule.starts_with("client is not known"), "{rule}");
    let asked = why(&bell, "bbb", "m1").await;
    assert_eq!((&asked["tasks"], &asked["tasks_of_others"]), (&json!([]), &json!(1)), "{asked}");
    bell.caller.imkit(&text_message("m3", &["aaa", "ccc"])).await;
    bell.drained().await;
    assert_eq!(only(&why(&bell, "bbb", "m3").await)["state"], "not in the task");
    let claims = json!({"app": "demo", "sub": "aaa", "role": "user", "exp": 4_000_000_000_u64});
    let user = pushbell::auth::jwt::sign_hs256(b"demo-user-key-0123456789abcdef0123456789ab", &claims);
    let as_user = [("app_id", "demo"), ("access-token", user.as_str())];
    assert_eq!(told(ask(&bell, &as_user, "aaa", "m1").await).0, 10_010);
    assert_eq!(told(ask(&bell, &[("im-authorization", &user)], "aaa", "m1").await).0, 10_010);
    assert_eq!(told(ask(&bell, &[("im-api-key", "demo.wrong")], "aaa", "m1").await).0, 10_008);
    assert_eq!(told(ask(&bell, &[], "aaa", "m1").await).0, 10_003);
    assert_eq!(bell.caller.post("/push/why", &[API_KEY], &json!({})).await.status, 405);
    // Another app's server is told nothing, by whatever name.
    let task = bell.caller.imkit(&text_message("m1", &["aaa"])).await.json()["task_id"].to_string();
    assert_eq!(only(&why(&bell, "aaa", &task).await)["counted"]["why"], "counted");
    for name in ["m1", task.as_str()] {
        let (code, rule) = told(ask(&bell, &[("im-api-key", "demo-deliver.demo-api-key")], "aaa", name).await);
        assert!(code == 10_002 && rule.starts_with("message is none"), "{name}: {code} {rule}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_reads_the_key_from_the_app_s_documents_where_none_is_given() {
    let bell = with_phones(Options::test()).await;
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.drained().await;
    let place = Where { url: Some(bell.stack.url()), ..Where::default() };
    let run = async |app: Option<&str>, json| {
        let app = app.map(|app| AppId::parse(app).unwrap());
        let who = As { app, api_key: None };
        let asked = why_command::Why { client: "aaa".to_owned(), message: "m1".to_owned(), who, json };
        why_command::run(&place, &asked).await
    };
    let told = run(None, false).await.unwrap();
    assert!(told.starts_with("Message m1 for aaa\nThe client has 2 devices now."), "{told}");
    let answer: Value = serde_json::from_str(&run(Some("demo"), true).await.unwrap()).unwrap();
    assert_eq!(answer["tasks"][0]["state"], "done", "{answer}");
    // Another app's key, and an app that is not there.
    let other = run(Some("demo-deliver"), false).await.unwrap_err().to_string();
    assert!(other.starts_with("message is none"), "{other}");
    assert!(matches!(run(Some("nobody"), false).await, Err(ApiError::NoSuchApp(app)) if app.as_str() == "nobody"));
}
