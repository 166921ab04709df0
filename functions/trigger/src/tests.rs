#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::json;

use super::*;

/// A function for these apps, whose tables take a connection and never answer.
async fn state(apps: &'static str) -> (State, tokio::net::TcpListener) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let env = Environment::from_lookup(|name| match name {
        "AWS_ENDPOINT_URL" => Some(url.clone()),
        "TRIGGER_APPS" => Some(apps.to_owned()),
        _ => Some("test".to_owned()).filter(|_| !name.starts_with("AWS_ENDPOINT_URL")),
    });
    (State::new(&env.unwrap()).unwrap(), listener)
}

fn sample(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/trigger");
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

/// What the function answers when it has so long, and the greatest number of a metric that it counts.
async fn answered(
    apps: &'static str,
    event: Value,
    left: Duration,
    metric: &str,
) -> (Result<Value, TriggerError>, Option<u64>) {
    let (state, _listener) = state(apps).await;
    let (answer, lines) = metrics::captured(handle(&state, event, Instant::now() + left)).await;
    let number = lines.iter().filter_map(|line| line[metric].as_u64()).max();
    (answer.map(|answer| serde_json::to_value(answer).unwrap()), number)
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn every_sample_is_an_event_that_is_read() {
    for (name, events, answer) in
        [("stream.json", 2, json!({"batchItemFailures": []})), ("eventbridge.json", 1, Value::Null)]
    {
        // No app's rules are asked, so none is about them.
        let (answered, unmatched) = answered("", sample(name), MINUTE, "trigger_unmatched").await;
        assert_eq!((answered.unwrap(), unmatched), (answer, Some(events)), "{name}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/trigger");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 2);
}

#[tokio::test]
async fn what_is_no_event_is_counted_and_does_not_come_again() {
    let mut batch = sample("stream.json");
    batch["Records"][0]["eventSourceARN"] = json!("arn:aws:sqs:eu-west-1:123456789012:queue");
    batch["Records"][1]["dynamodb"]["OldImage"] = json!({"game": {"X": "a type of next year's"}});
    let (answer, unreadable) = answered("demo", batch, MINUTE, "trigger_unreadable").await;
    assert_eq!((answer.unwrap(), unreadable), (json!({"batchItemFailures": []}), Some(2)));

    let mut event = sample("eventbridge.json");
    event["detail"] = json!("GameOver");
    for event in [event, json!({}), json!([]), json!("x"), json!({"Records": {}})] {
        let (answer, unreadable) = answered("demo", event.clone(), MINUTE, "trigger_unreadable").await;
        assert_eq!((answer.unwrap(), unreadable), (Value::Null, Some(1)), "{event}");
    }
}

#[tokio::test]
async fn what_is_not_done_when_the_invocation_ends_comes_again_from_the_first_on() {
    let (answer, failed) = answered("demo", sample("stream.json"), ANSWER_BEFORE, "record_failed").await;
    let first = json!({"batchItemFailures": [{"itemIdentifier": "4421584500000000017450439092"}]});
    assert_eq!((answer.unwrap(), failed), (first, Some(1)));

    let (answer, failed) = answered("demo", sample("eventbridge.json"), ANSWER_BEFORE, "record_failed").await;
    assert!(matches!(answer, Err(TriggerError::Late)), "{answer:?}");
    assert_eq!(failed, Some(1));
}

#[test]
fn an_app_that_is_none_is_told_at_the_start() {
    let env = Environment::from_lookup(|name| Some(if name == "TRIGGER_APPS" { "a b" } else { "test" }.to_owned()));
    let told = State::new(&env.unwrap()).err().unwrap().to_string();
    assert_eq!(told, "the environment variable TRIGGER_APPS cannot be read");
}
