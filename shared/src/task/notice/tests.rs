//! Notices whose first call failed, and whose repeats come when they come. SQS is not there, so records rest in the deferred table.

#![allow(clippy::unwrap_used)]

use aws_sdk_dynamodb::Client;
use serde_json::{Value, json};

use super::*;
use crate::id::{ClientId, Tag};
use crate::task::Members;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn app() -> AppId {
    AppId::parse("demo").unwrap()
}

fn users(names: &[&str]) -> Whom {
    Whom::Targets(names.iter().map(|name| Target::Fresh(ClientId::parse(*name).unwrap())).collect())
}

fn notice(whom: Whom, due: Option<Timestamp>) -> Notice {
    Notice { app: app(), dialect: Dialect::Lanying, whom, request: Some("r 1".to_owned()), due, online_only: false }
}

fn message(id: MessageId) -> Message {
    let origin = json!({"app": "demo", "dialect": "lanying", "message": id.as_str()});
    serde_json::from_value(json!({"origin": origin, "text": {"body": "b"}})).unwrap()
}

async fn records(client: &Client) -> Vec<Value> {
    let rows = client.scan().table_name("deferred").send().await.unwrap().items.unwrap_or_default();
    let bodies = rows
        .iter()
        .filter_map(|row| row.values().find_map(|value| value.as_s().ok().filter(|text| text.starts_with('{'))));
    bodies.map(|body| serde_json::from_str(body).unwrap()).collect()
}

#[tokio::test]
async fn a_repeat_of_what_was_never_queued_lives_from_then_on() {
    let (env, client) = crate::test_tables::start().await;
    let intake = Intake::new(&env).unwrap();
    client.delete_table().table_name("deferred").send().await.unwrap();
    let first = intake.notify(notice(users(&["b", "a"]), None), message, NOW).await;
    assert!(matches!(first, Err(SubmitError::Queue(_))), "{first:?}");

    crate::test_tables::create(&client, "deferred", &["pk", "sk"]).await;
    let later = NOW.plus(25 * HOUR);
    let again = intake.notify(notice(users(&["a", "b"]), None), message, later).await.unwrap();
    assert!(again.repeated);
    let records = records(&client).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["claimed_at"], later.as_millis(), "its life is not over yet");
    assert_eq!((&records[0]["repeat"], &records[0]["headed"]), (&json!(true), &json!(true)));
    assert_eq!(records[0]["to"], json!(["a", "b"]));
    let id = records[0]["message"]["origin"]["message"].as_str().unwrap();
    assert!(id.starts_with(&format!("{}-", again.task)), "{id}");
    let head = intake.results.heads(again.task).await.unwrap().remove(0);
    assert_eq!(head.created_at, NOW);
}

#[tokio::test]
async fn a_repeat_begins_when_the_first_was_to_begin() {
    let (env, client) = crate::test_tables::start().await;
    let due = NOW.plus(240 * HOUR);
    let intake = Intake::new(&env).unwrap();
    let all = || Whom::Members(Members::All);
    let first = intake.notify(notice(all(), Some(due)), message, NOW).await.unwrap();
    assert!(!first.repeated);
    // Its name is kept as long as it waits, and seven days more.
    for later in [NOW.plus(HOUR), NOW.plus(200 * HOUR), due.plus(160 * HOUR)] {
        let again = intake.notify(notice(all(), None), message, later).await.unwrap();
        assert_eq!((again.task, again.repeated), (first.task, true));
    }
    let records = records(&client).await;
    assert_eq!(records.len(), 1, "it is known to be queued");
    assert_eq!((&records[0]["claimed_at"], &records[0]["members"]), (&json!(due.as_millis()), &json!("all")));
    let anew = intake.notify(notice(all(), None), message, due.plus(169 * HOUR)).await.unwrap();
    assert_ne!(anew.task, first.task);
}

#[tokio::test]
async fn a_name_is_one_audience_s() {
    let (env, client) = crate::test_tables::start().await;
    let intake = Intake::new(&env).unwrap();
    let first = intake.notify(notice(users(&["a"]), None), message, NOW).await.unwrap();
    let tag = Whom::Members(Members::Tags(vec![Tag::parse("t").unwrap()]));
    let other = intake.notify(notice(tag.clone(), None), message, NOW).await;
    assert!(matches!(other, Err(SubmitError::OtherRequest)), "{other:?}");
    assert_eq!(records(&client).await.len(), 1);
    // Once the first has begun, its number is the answer.
    let head = intake.results.heads(first.task).await.unwrap().remove(0);
    intake.results.head_is_queued(&head.key).await.unwrap();
    assert_eq!(intake.notify(notice(tag, None), message, NOW).await.unwrap().task, first.task);
}

#[tokio::test]
async fn without_a_name_every_call_is_a_task() {
    let (env, client) = crate::test_tables::start().await;
    let intake = Intake::new(&env).unwrap();
    let unnamed = || Notice { request: None, ..notice(users(&["a"]), None) };
    let one = intake.notify(unnamed(), message, NOW).await.unwrap();
    let two = intake.notify(unnamed(), message, NOW).await.unwrap();
    assert!(!one.repeated && !two.repeated);
    let ids: std::collections::BTreeSet<String> =
        records(&client).await.iter().map(|record| record["message"]["origin"]["message"].to_string()).collect();
    assert_eq!(ids.len(), 2, "each has a message of its own, whatever numbers they drew");
}
