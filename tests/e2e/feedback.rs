//! What SNS tells of endpoints: a dead token's device goes before anybody sends to it again.

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use pushbell::env::Table;
use pushbell::time::Timestamp;
use pushbell_local::phones::Channel;
use serde_json::{Value, json};

use crate::bell::{API_KEY, Bell, text_message};
use crate::deliver::{age_devices, register_at, tokens};

const APPLICATION: &str = "arn:aws:sns:us-east-1:000000000000:app/APNS/demo";

async fn with_iphone() -> Bell {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "ios", "A1B2C3").await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    age_devices(&bell, "aaa").await;
    bell
}

fn endpoints(bell: &Bell) -> usize {
    bell.stack.aws.sns.endpoints(APPLICATION).unwrap()
}

/// The rows of the registry that speak of a device or a token: owners and members.
async fn rows(bell: &Bell) -> usize {
    let env = bell.operator();
    let table = env.table(Table::Registry).unwrap();
    let scan = pushbell::aws::dynamodb(&env).scan().table_name(table).consistent_read(true);
    let items = scan.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    let is_device_s = |key: &str| key.contains("#t#") || key.contains("#all#");
    items.iter().filter(|item| is_device_s(item["pk"].as_s().unwrap())).count()
}

/// The endpoint of the client's iPhone.
async fn endpoint(bell: &Bell, client: &str) -> String {
    let env = bell.operator();
    let item = pushbell::aws::dynamodb(&env)
        .get_item()
        .table_name(env.table(Table::Recipients).unwrap())
        .key("pk", AttributeValue::S(format!("demo#{client}")))
        .send()
        .await
        .unwrap()
        .item
        .unwrap();
    let devices = item.iter().filter(|(name, _)| name.starts_with("d#")).map(|(_, device)| device.as_m().unwrap());
    let segment = devices.filter_map(|device| device.get("e")).map(|e| e.as_s().unwrap().clone()).next().unwrap();
    format!("arn:aws:sns:us-east-1:000000000000:endpoint/APNS/demo/{segment}")
}

/// An event, as the queue hands it over; its kind of failure where it is one.
fn event(endpoint: &str, failure: Option<&str>, at: Timestamp) -> Bytes {
    let sample =
        std::fs::read_to_string(crate::bell::workspace().join("events/feedback/delivery-failure.json")).unwrap();
    let mut event: Value = serde_json::from_str(&sample).unwrap();
    let mut message: Value = serde_json::from_str(event["Records"][0]["body"].as_str().unwrap()).unwrap();
    message["EndpointArn"] = json!(endpoint);
    message["Resource"] = json!(endpoint.replace(":endpoint/", ":app/").rsplit_once('/').unwrap().0);
    message["Time"] = json!(at.to_rfc3339());
    match failure {
        Some(kind) => message["FailureType"] = json!(kind),
        None => message["EventType"] = json!("EndpointUpdated"),
    }
    event["Records"][0]["body"] = json!(message.to_string());
    event.to_string().into()
}

/// Whether the only record of the event comes again.
async fn fails(bell: &Bell, event: Bytes) -> bool {
    let answer: Value = serde_json::from_slice(&bell.stack.invoke("feedback", event).await.unwrap().unwrap()).unwrap();
    !answer["batchItemFailures"].as_array().unwrap().is_empty()
}

async fn tell(bell: &Bell, event: Bytes) {
    assert!(!fails(bell, event).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_a_dead_token_is_accepted_then_its_device_its_rows_and_its_endpoint_go() {
    let bell = with_iphone().await;
    assert_eq!((endpoints(&bell), rows(&bell).await), (1, 4));
    bell.stack.phones.set_dead(Channel::Sns, "A1B2C3", true).unwrap();
    let task = bell.caller.imkit(&text_message("m1", &["aaa"])).await.json()["task_id"].clone();
    bell.drained().await;
    let accepted = bell.outcomes(&task).await;
    assert_eq!(accepted.get("delivered"), Some(&2), "SNS accepts, and learns later: {accepted:?}");
    assert_eq!(endpoints(&bell), 0);
    assert_eq!(tokens(&bell, "aaa").await, ["fcm-aaa"]);
    assert_eq!(rows(&bell).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_older_than_the_token_s_registration_deletes_nothing() {
    let bell = with_iphone().await;
    let arn = endpoint(&bell, "aaa").await;
    let registered = Timestamp::now().minus(std::time::Duration::from_secs(60));
    register_at(&bell, "aaa", registered).await;
    for earlier in [60, 1, 0] {
        let at = registered.minus(std::time::Duration::from_secs(earlier));
        tell(&bell, event(&arn, Some("InvalidPlatformToken"), at)).await;
    }
    // Registered again just now, on the app's start: the failure was about the time before.
    bell.caller.register("aaa", "ios", "A1B2C3").await;
    let reported = Timestamp::now();
    register_at(&bell, "aaa", reported.minus(std::time::Duration::from_secs(4))).await;
    tell(&bell, event(&arn, Some("InvalidPlatformToken"), reported)).await;
    tell(&bell, event(&arn, None, reported.plus(std::time::Duration::from_secs(60)))).await;
    assert_eq!(tokens(&bell, "aaa").await.len(), 2);
    assert_eq!((endpoints(&bell), rows(&bell).await), (1, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_comes_twice_and_one_of_an_endpoint_that_is_gone_change_nothing_more() {
    let bell = with_iphone().await;
    let arn = endpoint(&bell, "aaa").await;
    for _ in 0..2 {
        tell(&bell, event(&arn, Some("InvalidPlatformToken"), Timestamp::now())).await;
        tell(&bell, event(&arn, None, Timestamp::now())).await;
        assert_eq!(tokens(&bell, "aaa").await, ["fcm-aaa"]);
        assert_eq!((endpoints(&bell), rows(&bell).await), (0, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_an_application_that_no_app_uses_end_whatever_its_platform() {
    let bell = with_iphone().await;
    let arn = endpoint(&bell, "aaa").await;
    // Of the last two no function may ask SNS.
    for strange in ["APNS/other", "APNS_VOIP/demo", "GCM/demo"] {
        let strange = arn.replace("APNS/demo", strange);
        tell(&bell, event(&strange, Some("InvalidPlatformToken"), Timestamp::now())).await;
        tell(&bell, event(&strange, None, Timestamp::now())).await;
    }
    assert_eq!((tokens(&bell, "aaa").await.len(), endpoints(&bell)), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_moved_to_another_client_since_stays_with_them() {
    let bell = with_iphone().await;
    let arn = endpoint(&bell, "aaa").await;
    let reported = Timestamp::now();
    bell.caller.register("bbb", "ios", "A1B2C3").await;
    tell(&bell, event(&arn, Some("InvalidPlatformToken"), reported)).await;
    assert_eq!(tokens(&bell, "bbb").await, ["A1B2C3"]);
    assert_eq!(tokens(&bell, "aaa").await, ["fcm-aaa"]);
    assert_eq!(endpoints(&bell), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_failures_delete_nothing_and_what_is_no_event_fails() {
    let bell = with_iphone().await;
    let arn = endpoint(&bell, "aaa").await;
    for kind in ["InvalidNotification", "ExpiredMessage", "InvalidCredentials"] {
        tell(&bell, event(&arn, Some(kind), Timestamp::now())).await;
    }
    // Disabled by its owner, or by SNS: told by its attributes.
    tell(&bell, event(&arn, None, Timestamp::now())).await;
    assert_eq!((tokens(&bell, "aaa").await.len(), endpoints(&bell)), (2, 1));
    bell.stack.aws.sns.set_enabled(&arn, false).unwrap();
    tell(&bell, event(&arn, None, Timestamp::now())).await;
    assert_eq!((tokens(&bell, "aaa").await.len(), endpoints(&bell)), (1, 0));

    let mut broken: Value = serde_json::from_slice(&event(&arn, None, Timestamp::now())).unwrap();
    broken["Records"][0]["body"] = json!("{}");
    assert!(fails(&bell, broken.to_string().into()).await);
    assert_eq!(bell.caller.get("/me/preferences?clientId=aaa", &[API_KEY]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_fails_and_is_done_by_the_next_run() {
    use pushbell_local::faults::{Effect, Rule, Target};
    let bell = with_iphone().await;
    let arn = endpoint(&bell, "aaa").await;
    let event = event(&arn, Some("InvalidPlatformToken"), Timestamp::now());
    for action in ["GetEndpointAttributes", "DeleteEndpoint"] {
        bell.fault(Rule::new(Target::Sns, Effect::Refuse).action(action));
        assert!(fails(&bell, event.clone()).await, "{action}");
        bell.stack.aws.faults.clear();
    }
    // The device went before its endpoint could not be deleted.
    assert_eq!((tokens(&bell, "aaa").await.len(), endpoints(&bell)), (1, 1));
    bell.stack.aws.sns.set_enabled(&arn, false).unwrap();
    tell(&bell, event).await;
    assert_eq!(endpoints(&bell), 0);
}
