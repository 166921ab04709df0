//! The sample events, and records that are none.
#![allow(clippy::unwrap_used)]
use std::path::Path;

use aws_lambda_events::event::sqs::SqsMessage;

use super::*;

fn sample(name: &str) -> Report {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/report").join(name);
    let event: SqsEvent = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let body = event.records[0].body.clone().unwrap();
    let report: Report = serde_json::from_str(&body).unwrap();
    assert_eq!(pushbell::queue::body(&report).unwrap(), body, "written as it is read");
    report
}

#[test]
fn the_samples_are_records_as_deliver_and_report_put_them() {
    let Report::Fresh(fresh) = sample("outcomes.json") else { panic!("as deliver puts it") };
    assert_eq!((fresh.app.as_str(), fresh.message.as_str()), ("demo", "5dd4f5a4c5d2b9001e6a7c1a"));
    let Report::Again(again) = sample("again.json") else { panic!("as report puts it") };
    assert_eq!((again.excerpts[1].numbers.clone(), again.tries), (100..198, 2));
    assert_eq!(again.excerpts[1].of.operation.as_deref(), Some("1646445464564"));
}

#[tokio::test]
async fn a_record_that_reports_nothing_fails_alone_and_is_counted_for_its_app() {
    let variables = |name: &str| match name {
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        "STAGE" => Some("local".to_owned()),
        _ => Some("x".to_owned()),
    };
    let state = State::new(&Environment::from_lookup(variables).unwrap()).unwrap();
    let mut record = SqsMessage::default();
    record.message_id = Some("1".to_owned());
    record.body = Some("{\"app\": \"demo\"}".to_owned());
    record.attributes.insert("MessageGroupId".to_owned(), "demo".to_owned());
    let mut event = SqsEvent::default();
    event.records = vec![record];
    let handled = handle(&state, event, Instant::now() + Duration::from_secs(60));
    let (answer, lines) = pushbell::telemetry::metrics::captured(handled).await;
    let failed: Vec<_> = answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
    assert_eq!(failed, ["1"]);
    assert_eq!((&lines[0]["record_failed"], &lines[0]["app"]), (&1.into(), &"demo".into()));
}
