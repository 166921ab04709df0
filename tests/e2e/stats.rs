//! What is told of tasks, and the receipts that phones report: through HTTP, from the push to the sums.

use futures_util::future::join_all;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::phones::Channel;
use serde_json::{Value, json};

use crate::bell::{Answer, Bell, text_message};
use crate::deliver::age_devices;

const ROADS: [&str; 10] = ["apns", "fcm", "flyme", "huawei", "mxpush", "oppo", "vivo", "xiaomi", "honor", "unknown"];

fn token(role: &str, user: &str) -> String {
    pushbell::auth::jwt::sign_hs256(
        b"demo-user-key-0123456789abcdef0123456789ab",
        &json!({"app": "demo", "sub": user, "role": role, "exp": 4_000_000_000_u64}),
    )
}

async fn call(bell: &Bell, role: &str, user: &str, path: &str, body: &Value) -> Answer {
    let token = token(role, user);
    bell.caller.post(path, &[("app_id", "demo"), ("access-token", &token)], body).await
}

async fn admin(bell: &Bell, path: &str, body: &Value) -> Value {
    let answer = call(bell, "admin", "console", path, body).await;
    assert_eq!(answer.json()["code"], 200, "{path}: {}", answer.text);
    answer.json()["data"].clone()
}

/// A push to users; its number.
async fn notify(bell: &Bell, users: &[&str], setting: Value) -> Value {
    let body = json!({
        "audience": {"user_id": users},
        "setting": setting,
        "message": {"title": "Bell", "body": "ding"},
    });
    admin(bell, "/push/notify", &body).await["task_id"].clone()
}

/// What is told of a task, after it was held against itself: roads and outcomes add up to its targets.
async fn told(bell: &Bell, task: &Value) -> Value {
    let told = admin(bell, "/push/task/detail", &json!({"list": [task]})).await[0].clone();
    let outcomes: u64 = told["outcomes"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let of_roads = |name: &str| ROADS.map(|road| told[format!("{road}_{name}")].as_u64().unwrap()).iter().sum::<u64>();
    assert_eq!((&told["target"], &told["target"]), (&json!(outcomes), &json!(of_roads("target"))), "{told}");
    assert_eq!(told["outcomes"]["delivered"], of_roads("sent"), "{told}");
    told
}

/// The sums that are not zero.
fn sums(told: &Value) -> Vec<(String, u64)> {
    let (told, outcomes) = (told.as_object().unwrap(), told["outcomes"].as_object().unwrap());
    let of_roads = told.iter().filter(|(name, _)| ROADS.iter().any(|road| name.starts_with(&format!("{road}_"))));
    let all = of_roads.chain(outcomes).filter_map(|(name, n)| Some((name.clone(), n.as_u64()?)));
    all.filter(|(_, n)| *n != 0).collect()
}

fn named(sums: &[(&str, u64)]) -> Vec<(String, u64)> {
    sums.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_told_by_road_and_outcome_and_adds_up_before_during_and_after_a_replay() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    bell.caller.register("bbb", "android", "fcm-dead").await;
    bell.caller.register("ccc", "android", "fcm-ccc").await;
    age_devices(&bell, "bbb").await;
    bell.stack.phones.set_dead(Channel::Fcm, "fcm-dead", true).unwrap();
    bell.fault(Rule::new(Target::Fcm, Effect::Refuse).token("fcm-ccc"));
    let task = notify(&bell, &["aaa", "bbb", "ccc", "ddd"], Value::Null).await;
    let queued = told(&bell, &task).await;
    assert_eq!((&queued["found"], queued["created_at"].is_u64()), (&json!(true), true));
    bell.drained().await;
    let done = told(&bell, &task).await;
    assert_eq!((&done["state"], &done["target"], &done["pending"]), (&json!("done"), &json!(5), &json!(0)));
    assert!(done["done_at"].as_u64() >= done["created_at"].as_u64());
    let mut expected = named(&[
        ("apns_sent", 1),
        ("apns_target", 1),
        ("fcm_sent", 1),
        ("fcm_target", 3),
        ("unknown_target", 1),
        ("dead_token", 1),
        ("delivered", 2),
        ("misconfigured", 1),
        ("no_device", 1),
    ]);
    expected.sort();
    let sorted = |told: &Value| {
        let mut sums = sums(told);
        sums.sort();
        sums
    };
    assert_eq!(sorted(&done), expected);
    bell.stack.aws.faults.clear();
    bell.replay().await;
    bell.drained().await;
    let replayed = told(&bell, &task).await;
    assert_eq!((&replayed["state"], &replayed["target"]), (&json!("done"), &json!(5)));
    assert_eq!(
        (&replayed["fcm_sent"], &replayed["fcm_target"], &replayed["outcomes"]["misconfigured"]),
        (&json!(2), &json!(3), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_s_task_is_told_too_and_another_app_s_is_not() {
    let bell = Bell::start().await;
    let clients: Vec<String> = (0..250).map(|n| format!("c{n:03}")).collect();
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    bell.caller.register("c007", "android", "fcm-7").await;
    let task = bell.caller.imkit(&text_message("m1", &names)).await.json()["task_id"].clone();
    bell.drained().await;
    let told = told(&bell, &task).await;
    assert_eq!((&told["state"], &told["target"], &told["fcm_sent"]), (&json!("done"), &json!(250), &json!(1)));
    assert_eq!(told["outcomes"]["no_device"], 249);
    let unknown = admin(&bell, "/push/task/detail", &json!({"list": [7, task]})).await;
    assert_eq!((&unknown[0]["found"], &unknown[0]["state"]), (&json!(false), &Value::Null));
    assert_eq!(unknown[1], told);
    let user = call(&bell, "user", "c007", "/push/task/detail", &json!({"list": [task]})).await;
    assert_eq!(user.json()["code"], 10_010);
    // Receipts are counted for tasks that were made to be asked for.
    let body = json!({"task_id": task, "stage": "received"});
    assert_eq!(call(&bell, "user", "c007", "/push/ack", &body).await.json()["code"], 10_002);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_counts_once_whenever_it_comes_and_for_targets_only() {
    let bell = Bell::start().await;
    for (user, token) in [("aaa", "fcm-aaa"), ("bbb", "fcm-bbb"), ("ccc", "fcm-ccc")] {
        bell.caller.register(user, "android", token).await;
    }
    let task = notify(&bell, &["aaa", "bbb"], Value::Null).await;
    let ack = async |user: &str, stage: &str| {
        let body = json!({"task_id": task, "stage": stage});
        call(&bell, "user", user, "/push/ack", &body).await.json()["code"].as_u64().unwrap()
    };
    // Whether or not its row is there by now, and several at once.
    assert_eq!(join_all((0..8).map(|_| ack("aaa", "received"))).await, [200; 8]);
    bell.drained().await;
    for _ in 0..2 {
        assert_eq!(ack("aaa", "received").await, 200);
        assert_eq!(ack("aaa", "clicked").await, 200);
        assert_eq!(ack("bbb", "received").await, 200);
        assert_eq!(ack("ccc", "received").await, 10_002);
    }
    // With the number as the phone was told it.
    let own = token("user", "bbb");
    let number = bell.android("fcm-bbb")[0].payload["data"]["pushbell_task"].clone();
    assert_eq!(number, task.to_string());
    let body = json!({"task_id": number, "stage": "clicked"});
    let imkit = bell.caller.post("/push/ack", &[("im-authorization", &own)], &body).await;
    assert_eq!((imkit.status, imkit.json()["data"].clone()), (200, json!(true)));
    let done = told(&bell, &task).await;
    assert_eq!(
        (&done["fcm_target"], &done["fcm_sent"], &done["fcm_received"], &done["fcm_click"]),
        (&json!(2), &json!(2), &json!(2), &json!(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_s_receipts_are_counted_by_its_pages() {
    let bell = Bell::start().await;
    for n in 0..40 {
        bell.caller.register(&format!("u{n:02}"), "android", &format!("fcm-{n}")).await;
    }
    let body = json!({"audience": "all", "message": {"title": "Bell", "body": "ding"}});
    let task = admin(&bell, "/push/notify", &body).await["task_id"].clone();
    bell.drained().await;
    let report = json!({"task_id": task, "stage": "received"});
    for n in 0..40 {
        let answer = call(&bell, "user", &format!("u{n:02}"), "/push/ack", &report).await;
        assert_eq!(answer.json()["code"], 200, "{n}: {}", answer.text);
    }
    bell.caller.register("late", "android", "fcm-late").await;
    assert_eq!(call(&bell, "user", "late", "/push/ack", &report).await.json()["code"], 10_002);
    let done = told(&bell, &task).await;
    assert_eq!((&done["state"], &done["fcm_target"], &done["fcm_received"]), (&json!("done"), &json!(40), &json!(40)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_cancelled_before_its_time_is_queued_then_cancelled() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    let later = pushbell::time::Timestamp::now().as_secs() + 3_600;
    let body = json!({
        "audience": {"user_id": ["aaa"]},
        "message": {"title": "Bell", "body": "ding", "show_begin_time": later},
    });
    let task = admin(&bell, "/push/notify", &body).await["task_id"].clone();
    bell.settled().await;
    assert_eq!(told(&bell, &task).await["state"], "queued");
    admin(&bell, "/push/task/cancel", &json!({"task_id": task})).await;
    let cancelled = told(&bell, &task).await;
    assert_eq!((&cancelled["state"], &cancelled["done_at"]), (&json!("cancelled"), &Value::Null));
}
