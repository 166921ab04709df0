//! The sample events, and records that are none.
#![allow(clippy::unwrap_used)]
mod aws;

use std::path::Path;

use aws::{Aws, KEY};
use aws_lambda_events::event::sqs::SqsMessage;
use pushbell::task::{Deed, Unreported};
use serde_json::{Value, json};

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
    assert_eq!((again.excerpts[0].of.kind, again.excerpts[1].of.kind), (Deed::Recall, Deed::Push));
    assert_eq!(again.excerpts[1].of.operation.as_deref(), Some("1646445464564"));
}

/// As long as an invocation may take.
const WHOLE: Duration = Duration::from_secs(60);

fn event(bodies: &[&Value]) -> SqsEvent {
    let records = bodies.iter().enumerate().map(|(number, body)| {
        let mut record = SqsMessage::default();
        record.message_id = Some(number.to_string());
        record.body = Some(body.to_string());
        record.attributes.insert("MessageGroupId".to_owned(), "demo".to_owned());
        record
    });
    let mut event = SqsEvent::default();
    event.records = records.collect();
    event
}

/// As `deliver` puts it.
fn fresh(seq: u32) -> Value {
    json!({
        "app": "demo", "key": {"task": 7_224_936_912_345_678_u64, "nonce": "k3vX0aBq"}, "seq": seq, "attempt": 0,
        "dialect": "imkit", "message": "m1", "at": 1_767_225_600_500_u64
    })
}

/// Which records come again, and the lines of metrics.
async fn handled(state: &State, event: SqsEvent, left: Duration) -> (Vec<String>, Vec<Value>) {
    let handled = handle(state, event, Instant::now() + left);
    let (answer, lines) = pushbell::telemetry::metrics::captured(handled).await;
    (answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect(), lines)
}

fn counted(lines: &[Value], metric: &str) -> Option<u64> {
    lines.iter().find_map(|line| line.get(metric)?.as_u64())
}

fn queued(aws: &Aws) -> Vec<(String, u64, Unreported)> {
    let read = |(queue, delay, body): (String, u64, String)| {
        let Report::Again(again) = serde_json::from_str(&body).unwrap() else { panic!("it was posted") };
        (queue, delay, again)
    };
    aws.queued().into_iter().map(read).collect()
}

#[tokio::test]
async fn records_of_one_app_share_a_post_and_outcomes_are_counted() {
    let aws = Aws::start(KEY, 204).await;
    let (failed, lines) = handled(&aws.state(), event(&[&fresh(0), &fresh(1)]), WHOLE).await;
    assert_eq!((failed.len(), aws.posts(), queued(&aws).len()), (0, 1, 0));
    assert_eq!(counted(&lines, "reported"), Some(4));
}

#[tokio::test]
async fn copies_of_a_record_are_told_once_and_end_alike() {
    let aws = Aws::start(KEY, 500).await;
    let copies = event(&[&fresh(0), &fresh(1), &fresh(0)]);
    let (failed, _) = handled(&aws.state(), copies.clone(), WHOLE).await;
    let [(_, _, again)] = queued(&aws).try_into().unwrap();
    assert_eq!((failed.len(), again.excerpts.len()), (0, 2));
    let again = serde_json::to_value(again).unwrap();
    aws.refuse();
    assert_eq!(handled(&aws.state(), copies, WHOLE).await.0, ["0", "1", "2"]);
    let aws = Aws::start(KEY, 204).await;
    let (failed, lines) = handled(&aws.state(), event(&[&again, &again]), WHOLE).await;
    assert_eq!((failed.len(), aws.posts(), counted(&lines, "reported")), (0, 1, Some(4)));
}

#[tokio::test]
async fn what_is_not_taken_is_queued_again_as_what_was_posted() {
    let aws = Aws::start(KEY, 500).await;
    let (failed, lines) = handled(&aws.state(), event(&[&fresh(0), &fresh(1)]), WHOLE).await;
    let [(queue, delay, again)] = queued(&aws).try_into().unwrap();
    assert_eq!((failed.len(), queue.as_str(), again.tries), (0, "report", 1));
    assert!(delay <= 5 && again.since.is_some());
    let numbers: Vec<_> = again.excerpts.iter().map(|one| (one.of.seq, one.numbers.clone())).collect();
    assert_eq!(numbers, [(0, 0..2), (1, 0..2)]);
    assert_eq!(counted(&lines, "report_failed"), Some(1));
    assert_eq!(counted(&lines, "reported"), None);
}

#[tokio::test]
async fn without_time_for_a_post_it_is_queued_again_and_was_no_try() {
    let aws = Aws::start(KEY, 204).await;
    let (failed, _) = handled(&aws.state(), event(&[&fresh(0)]), Duration::from_secs(19)).await;
    let [(queue, delay, again)] = queued(&aws).try_into().unwrap();
    assert_eq!((failed.len(), aws.posts(), queue.as_str(), delay, again.tries), (0, 0, "report", 0, 0));
}

#[tokio::test]
async fn an_address_that_failed_three_times_is_left_alone() {
    let aws = Aws::start(KEY, 500).await;
    let state = aws.state();
    for _ in 0..3 {
        handled(&state, event(&[&fresh(0)]), WHOLE).await;
    }
    let (failed, lines) = handled(&state, event(&[&fresh(0)]), WHOLE).await;
    assert_eq!((failed.len(), aws.posts(), counted(&lines, "report_held_back")), (0, 3, Some(2)));
    let (_, delay, again) = queued(&aws).remove(3);
    assert!(delay >= 9 && again.tries == 1, "{delay}");
}

#[tokio::test]
async fn neither_without_a_key_nor_to_a_private_address_is_anything_posted() {
    let aws = Aws::start("", 204).await;
    let (_, lines) = handled(&aws.state(), event(&[&fresh(0)]), WHOLE).await;
    assert_eq!((aws.posts(), queued(&aws).len(), counted(&lines, "report_failed")), (0, 1, Some(1)));
    let aws = Aws::private().await;
    let (_, lines) = handled(&aws.state(), event(&[&fresh(0)]), WHOLE).await;
    assert_eq!((aws.posts(), queued(&aws).len(), counted(&lines, "report_refused_address")), (0, 1, Some(1)));
    assert_eq!(counted(&lines, "report_failed"), None);
}

#[tokio::test]
async fn outcomes_of_an_app_whose_address_is_gone_wait_for_it_for_an_hour() {
    let aws = Aws::unaddressed().await;
    let state = aws.state();
    let (failed, _) = handled(&state, event(&[&fresh(0), &fresh(1)]), WHOLE).await;
    let [(queue, delay, again)] = queued(&aws).try_into().unwrap();
    assert_eq!((failed.len(), queue.as_str(), again.tries, again.excerpts.len()), (0, "report", 0, 2));
    assert!((149..=300).contains(&delay) && again.unaddressed.is_some(), "{delay}");
    let first = again.unaddressed.unwrap();
    let aged = |minutes: u64| {
        let unaddressed = Some(first.minus(Duration::from_secs(60 * minutes)));
        serde_json::to_value(Unreported { unaddressed, ..again.clone() }).unwrap()
    };
    handled(&state, event(&[&aged(59)]), WHOLE).await;
    assert_eq!(
        queued(&aws)[1].2.unaddressed,
        Some(first.minus(Duration::from_secs(60 * 59))),
        "the first sight counts"
    );
    let (failed, _) = handled(&state, event(&[&aged(60)]), WHOLE).await;
    assert_eq!((failed.len(), queued(&aws).len(), aws.posts()), (0, 2, 0));
    // The address is back.
    let aws = Aws::start(KEY, 500).await;
    handled(&aws.state(), event(&[&aged(70)]), WHOLE).await;
    assert_eq!((aws.posts(), queued(&aws)[0].2.unaddressed, queued(&aws)[0].2.tries), (1, None, 1));
}

#[tokio::test]
async fn what_is_unwanted_is_a_dead_letter_that_begins_anew() {
    let aws = Aws::start(KEY, 410).await;
    let (failed, lines) = handled(&aws.state(), event(&[&fresh(0)]), WHOLE).await;
    let [(queue, _, letter)] = queued(&aws).try_into().unwrap();
    assert_eq!((failed.len(), queue.as_str(), letter.tries, letter.since), (0, "report-dead-letters", 0, None));
    assert_eq!(counted(&lines, "report_given_up"), Some(2));
}

#[tokio::test]
async fn a_row_that_is_gone_is_dropped_and_the_rest_is_posted() {
    let aws = Aws::start(KEY, 204).await;
    let (failed, lines) = handled(&aws.state(), event(&[&fresh(9), &fresh(0)]), WHOLE).await;
    assert_eq!((failed.len(), aws.posts(), queued(&aws).len()), (0, 1, 0));
    assert_eq!((counted(&lines, "report_row_gone"), counted(&lines, "reported")), (Some(1), Some(2)));
}

#[tokio::test]
async fn records_whose_post_neither_arrives_nor_can_be_queued_come_again() {
    let aws = Aws::start(KEY, 500).await;
    aws.refuse();
    let (failed, _) = handled(&aws.state(), event(&[&fresh(0), &fresh(1)]), WHOLE).await;
    assert_eq!(failed, ["0", "1"]);
}

#[tokio::test]
async fn a_record_that_reports_nothing_fails_alone_and_is_counted_for_its_app() {
    let aws = Aws::start(KEY, 204).await;
    let (failed, lines) = handled(&aws.state(), event(&[&json!({"app": "demo"}), &fresh(0)]), WHOLE).await;
    assert_eq!((failed, aws.posts()), (vec!["0".to_owned()], 1));
    let line = lines.iter().find(|line| line.get("record_failed").is_some()).unwrap();
    assert_eq!((&line["record_failed"], &line["app"]), (&1.into(), &"demo".into()));
}
