//! What an app may do without for messages to one client: what it pays then, what it is told, and what holds all the same.

use std::time::{Duration, Instant};

use pushbell::env::{Environment, Table};
use pushbell::time::Timestamp;
use pushbell_local::aws::dynamodb::TableUnits;
use pushbell_local::faults::{Effect, Rule, Target};
use serde_json::{Value, json};

use crate::bell::{API_KEY, Bell, text_message};

/// aaa has an iPhone and an Android phone; `frugal` are the app's settings, and `more` others of them.
async fn with_phones(frugal: &Value, more: &Value) -> Bell {
    let bell = Bell::start().await;
    let mut settings = json!({"sns": {"apns": "arn:aws:sns:us-east-1:000000000000:app/APNS/demo"}, "frugal": frugal});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    bell.stack.put_settings("demo", &settings).await.unwrap();
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    // The first push makes the iPhone's endpoint.
    push(&bell, "m0").await;
    bell
}

async fn both() -> Bell {
    with_phones(&json!({"claims": false, "stats": "hour"}), &json!({})).await
}

/// A message to aaa, delivered; its task's number.
async fn push(bell: &Bell, id: &str) -> Value {
    let answer = bell.caller.imkit(&text_message(id, &["aaa"])).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    bell.settled().await;
    answer.json()["task_id"].clone()
}

/// The units of recipients and tasks that a message costs.
async fn cost(bell: &Bell, id: &str) -> (TableUnits, TableUnits) {
    bell.stack.aws.dynamodb.meter().start();
    push(bell, id).await;
    used(bell)
}

fn used(bell: &Bell) -> (TableUnits, TableUnits) {
    let (used, env) = (bell.stack.aws.dynamodb.meter().used(), bell.operator());
    let of = |table| used.get(env.table(table).unwrap().as_str()).copied().unwrap_or_default();
    (of(Table::Recipients), of(Table::Tasks))
}

/// Today's and yesterday's sums: a test may run at midnight.
async fn hours(bell: &Bell) -> Value {
    let day = |at: Timestamp| at.to_rfc3339().split('T').next().unwrap().to_owned();
    let now = Timestamp::now();
    let (from, to) = (day(now.minus(Duration::from_secs(86_400))), day(now));
    let answer = bell.caller.get(&format!("/push/stats/hours?from={from}&to={to}"), &[API_KEY]).await;
    assert_eq!(answer.json()["code"], 200, "{}", answer.text);
    answer.json()["data"].clone()
}

/// `deliver` in this process.
fn deliver(bell: &Bell) -> deliver::State {
    let variables = bell.stack.variables("deliver").unwrap();
    let env = Environment::from_lookup(|name| variables.get(name).cloned()).unwrap();
    deliver::State::new(&env).unwrap()
}

/// The record of a message to aaa, as it is received for the time `received`.
fn record(n: u32, received: u32) -> Value {
    let chunk = json!({
        "task": 7 + n, "nonce": "abcdefgh", "seq": 0, "claimed_at": Timestamp::now().as_millis(),
        "message": {
            "origin": {"app": "demo", "dialect": "imkit", "message": format!("n{n}"), "room": "demo-room"},
            "text": {"title": "Demo Room", "body": "lala"}, "badge": {"add": {"n": 1, "source": "room"}}
        },
        "to": ["aaa"]
    });
    let attributes = json!({"ApproximateReceiveCount": received.to_string()});
    json!({"messageId": n.to_string(), "body": chunk.to_string(), "attributes": attributes, "messageAttributes": {}})
}

async fn handle(state: &deliver::State, records: Vec<Value>) {
    let event = serde_json::from_value(json!({"Records": records})).unwrap();
    let response = deliver::handle(state, event, Instant::now() + Duration::from_secs(60)).await;
    assert!(response.batch_item_failures.is_empty());
}

async fn why(bell: &Bell, message: &str) -> Value {
    bell.caller.get(&format!("/push/why?client=aaa&message={message}"), &[API_KEY]).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_one_client_costs_three_write_units_and_two_fewer_where_the_app_does_without() {
    for (frugal, tasks) in [
        (json!({}), 2.0),
        (json!({"claims": false}), 1.0),
        (json!({"stats": "hour"}), 2.0),
        (json!({"claims": false, "stats": "hour"}), 1.0),
    ] {
        let bell = with_phones(&frugal, &json!({})).await;
        let (recipients, of_tasks) = cost(&bell, "m1").await;
        // Where ends are summed, the unit is that of all that were delivered together: here of one.
        assert_eq!((recipients.write, of_tasks.write), (1.0, tasks), "{frugal}");
        assert_eq!((bell.android("fcm-aaa").len(), bell.iphone("a1b2c3").len()), (2, 2), "{frugal}");
        assert_eq!((bell.android("fcm-aaa")[0].badge, bell.badge("aaa").await), (Some(2), 2), "{frugal}");
        bell.stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_messages_that_are_delivered_together_share_one_write_of_the_hour_s_sums() {
    let bell = both().await;
    let state = deliver(&bell);
    bell.stack.aws.dynamodb.meter().start();
    handle(&state, (0..10).map(|n| record(n, 1)).collect()).await;
    let (recipients, tasks) = used(&bell);
    assert_eq!((recipients.write, tasks.write), (10.0, 1.0));
    let total = hours(&bell).await["total"].clone();
    assert_eq!((&total["messages"], &total["outcomes"]["delivered"]), (&json!(11), &json!(22)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_callback_twice_is_two_tasks_without_a_claim_and_is_counted_once_and_shown_once() {
    let bell = both().await;
    let (first, second) = (push(&bell, "m1").await, push(&bell, "m1").await);
    assert_ne!(first, second, "no claim tells the first one's number");
    assert_eq!(bell.badge("aaa").await, 2);
    let shown: Vec<_> = bell.android("fcm-aaa").into_iter().map(|one| one.badge).collect();
    assert_eq!(shown, [Some(2), Some(1)], "the second takes the first one's place");
    assert_eq!(bell.iphone("a1b2c3").len(), 2);
    assert_eq!(bell.stack.phones.accepted(), 6, "it was sent again");
    let total = hours(&bell).await["total"].clone();
    assert_eq!((&total["messages"], &total["counted"], &total["repeat"]), (&json!(3), &json!(2), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sums_of_an_hour_say_what_became_of_messages_to_one_client_and_of_no_others() {
    let bell = both().await;
    bell.caller.register("bbb", "android", "fcm-bbb").await;
    bell.caller.imkit(&text_message("m1", &["aaa", "bbb"])).await;
    bell.caller.imkit(&text_message("m2", &["ccc"])).await;
    let mut joined = text_message("m3", &["aaa"]);
    joined["messageType"] = json!("joinRoom");
    bell.caller.imkit(&joined).await;
    bell.settled().await;
    let told = hours(&bell).await;
    let total = &told["total"];
    assert_eq!((&total["messages"], &total["counted"], &total["target"]), (&json!(2), &json!(2), &json!(3)), "{told}");
    assert_eq!((&total["outcomes"]["delivered"], &total["outcomes"]["no_device"]), (&json!(2), &json!(1)));
    let one = json!({"target": 1, "sent": 1});
    assert_eq!(total["channels"], json!({"fcm": one, "sns": one}));
    let rows = told["rows"].as_array().unwrap();
    let messages: u64 = rows.iter().map(|row| row["messages"].as_u64().unwrap()).sum();
    assert!(messages == 2 && rows.iter().all(|row| row["hour"].as_str().unwrap().ends_with(":00:00Z")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_well_at_once_has_its_rows_and_is_tried_again() {
    let bell = both().await;
    bell.fault(Rule::new(Target::Fcm, Effect::Error429 { retry_after: 600 }).token("fcm-aaa").times(1));
    let task = push(&bell, "m1").await;
    assert_eq!(bell.android("fcm-aaa").len(), 1);
    bell.drained().await;
    assert_eq!((bell.android("fcm-aaa").len(), bell.iphone("a1b2c3").len(), bell.badge("aaa").await), (2, 2, 2));
    assert_eq!(bell.outcomes(&task).await["delivered"], 2);
    assert_eq!(hours(&bell).await["total"]["messages"], 1, "the first one alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_written_down_where_the_app_has_an_address_for_them() {
    let address = json!({"results": {"url": "http://127.0.0.1:9/", "allow_private": true}});
    let bell = with_phones(&json!({"stats": "hour"}), &address).await;
    let task = push(&bell, "m1").await;
    assert_eq!(bell.outcomes(&task).await["delivered"], 2);
    assert_eq!(hours(&bell).await["total"]["messages"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_that_cannot_be_written_are_missing_and_nothing_is_sent_again() {
    let bell = both().await;
    let fault = bell.fault(Rule::new(Target::Dynamodb, Effect::Throttle).action("UpdateItem").table("TasksTable"));
    push(&bell, "m1").await;
    assert!(bell.stack.aws.faults.fired(fault) > 0);
    bell.stack.aws.faults.clear();
    bell.stack.aws.queues.advance(Duration::from_secs(3_600)).unwrap();
    bell.drained().await;
    assert_eq!((bell.stack.phones.accepted(), bell.badge("aaa").await), (4, 2));
    assert_eq!(hours(&bell).await["total"]["messages"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_says_what_the_app_keeps_nothing_of() {
    let bell = both().await;
    let told = why(&bell, "m0").await;
    let message = told["message"].as_str().unwrap();
    assert!(told["code"] == 10_002 && message.contains("the app keeps no claims of messages to one client"), "{told}");
    assert!(message.ends_with("; the client's badge has counted it"), "{told}");
    assert!(!why(&bell, "m9").await["message"].as_str().unwrap().contains("has counted it"));
    bell.stack.stop().await;

    let bell = with_phones(&json!({"stats": "hour"}), &json!({})).await;
    let told = why(&bell, "m0").await["data"]["tasks"][0].clone();
    assert_eq!((&told["state"], &told["counted"]["why"]), (&json!("unrecorded"), &json!("counted")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_claim_is_taken_back_all_the_same() {
    let bell = both().await;
    push(&bell, "m1").await;
    let mut recall = text_message("m1", &["aaa"]);
    recall["messageType"] = json!("recall");
    for _ in 0..2 {
        assert_eq!(bell.caller.imkit(&recall).await.status, 200);
        bell.drained().await;
        assert_eq!(bell.badge("aaa").await, 1);
    }
    push(&bell, "m1").await;
    assert_eq!(bell.badge("aaa").await, 1, "a late copy of it is not counted either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_comes_again_is_sent_again_and_then_has_a_row_and_is_in_no_sum_twice() {
    let bell = both().await;
    let state = deliver(&bell);
    for (received, accepted) in [(1, 4), (2, 6), (3, 6)] {
        handle(&state, vec![record(0, received)]).await;
        assert_eq!(bell.stack.phones.accepted(), accepted, "received {received} times");
    }
    assert_eq!((bell.badge("aaa").await, bell.android("fcm-aaa").len()), (2, 2), "counted once, and shown once");
    assert_eq!(bell.outcomes(&json!(7)).await["delivered"], 2);
    let total = hours(&bell).await["total"].clone();
    assert_eq!((&total["messages"], &total["repeat"]), (&json!(2), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_client_of_a_long_list_is_in_the_list_s_rows() {
    let bell = both().await;
    let clients: Vec<String> = (0..101).map(|n| format!("c{n:03}")).collect();
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    let task = bell.caller.imkit(&text_message("m1", &names)).await.json()["task_id"].clone();
    bell.drained().await;
    assert_eq!(bell.outcomes(&task).await["no_device"], 101);
    assert_eq!(hours(&bell).await["total"]["messages"], 1);
}
