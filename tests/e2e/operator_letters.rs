//! The operator's `dead-letters`: what was given up is listed, shown, sent again and deleted, through SQS as it is.

use std::time::Duration;

use pushbell::id::AppId;
use pushbell_local::aws::sqs::Received;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::operator::dead_letters::{self, Command, Drop, List, Replay, Show, Which};
use pushbell_local::operator::{Deployment, Where};
use pushbell_local::phones::{Channel, View};
use serde_json::{Value, json};

use crate::bell::{Bell, text_message};

async fn run(bell: &Bell, command: Command) -> Result<String, String> {
    let place = Where { url: Some(bell.stack.url()), ..Where::default() };
    let deployment = Deployment::find(&place).await.unwrap();
    dead_letters::run(&deployment, &command).await.map(|told| told.text).map_err(|error| error.to_string())
}

async fn list(bell: &Bell) -> Vec<Value> {
    let listed = run(bell, Command::List(List { json: true })).await.unwrap();
    serde_json::from_str(&listed).unwrap()
}

async fn show(bell: &Bell, raw: bool, json: bool) -> String {
    let queue = "deliver".to_owned();
    run(bell, Command::Show(Show { queue, limit: 10, raw, json })).await.unwrap()
}

async fn replay(bell: &Bell, queue: &str, which: Which) -> Result<String, String> {
    run(bell, Command::Replay(Replay { queue: queue.to_owned(), which })).await
}

async fn drop(bell: &Bell, which: Which, yes: bool) -> String {
    run(bell, Command::Drop(Drop { queue: "DeliverDeadLetters".to_owned(), which, yes })).await.unwrap()
}

fn all() -> Which {
    Which { all: true, ..Which::default() }
}

fn of_app(app: &str) -> Which {
    Which { app: Some(AppId::parse(app).unwrap()), ..Which::default() }
}

/// A message whose chunk fails five times, as `deliver` may not read the app's vendors. The task.
async fn failed_five_times(bell: &Bell, message: &str) -> u64 {
    let fault = bell.fault(Rule::new(Target::Secrets, Effect::Refuse).body_contains("demo/vendors"));
    let task = bell.caller.imkit(&text_message(message, &["aaa"])).await.json()["task_id"].as_u64().unwrap();
    let before = bell.dead_letters();
    for _ in 0..6 {
        bell.stack.quiet().await.unwrap();
        bell.stack.aws.queues.advance(Duration::from_secs(361)).unwrap();
    }
    bell.stack.quiet().await.unwrap();
    assert_eq!(bell.dead_letters(), before + 1);
    bell.stack.aws.faults.remove(fault);
    task
}

/// All that is in a queue, which is left as it is.
async fn records(bell: &Bell, queue: &str) -> Vec<Received> {
    let queues = &bell.stack.aws.queues;
    let records = queues.receive(queue, 10, Duration::ZERO, None).await.unwrap();
    for record in &records {
        queues.change_visibility(queue, &record.receipt, Duration::ZERO).unwrap();
    }
    records
}

async fn with_a_phone() -> Bell {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell
}

fn accepted(bell: &Bell) -> usize {
    bell.stack.phones.notifications(Channel::Fcm, "fcm-aaa", View::Raw).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_failed_five_times_is_listed_shown_replayed_and_delivered_once() {
    let bell = with_a_phone().await;
    let task = failed_five_times(&bell, "m1").await;

    let listed = list(&bell).await;
    let names: Vec<&str> = listed.iter().map(|row| row["queue"].as_str().unwrap()).collect();
    let expected = ["Deliver", "FanOut", "Feedback", "Report", "Results", "Timer", "Trigger"];
    assert_eq!(names, expected.map(|name| format!("{name}DeadLetters")));
    let to: Vec<Option<&str>> = listed.iter().map(|row| row["replayed_to"].as_str()).collect();
    let queues = ["DeliverQueue", "FanOutQueue", "FeedbackQueue", "ReportQueue", "ResultsQueue"].map(Some);
    assert_eq!(to, [queues.as_slice(), &[None, None]].concat());
    let row = &listed[0];
    assert_eq!((&row["records"], &row["oldest_at_least"]), (&json!(1), &json!(false)), "{row}");
    assert!(row["oldest_at"].as_u64().unwrap() > 0, "{row}");

    let shown: Value = serde_json::from_str(&show(&bell, false, true).await).unwrap();
    assert_eq!(
        (&shown[0]["app"], &shown[0]["task"], &shown[0]["recipients"], &shown[0]["why"]),
        (&json!("demo"), &json!(task), &json!(1), &json!("failed five times")),
        "{shown}"
    );
    let told = show(&bell, false, false).await;
    for secret in ["aaa", "lala", "SSS", "fcm-aaa"] {
        assert!(!told.contains(secret), "{told}");
    }
    let raw: Value = serde_json::from_str(&show(&bell, true, false).await).unwrap();
    assert_eq!((&raw["body"]["to"], &raw["system"]["MessageGroupId"]), (&json!(["aaa"]), &json!("demo")), "{raw}");
    assert_eq!(bell.dead_letters(), 1, "what was looked at is visible again");

    let before = records(&bell, "DeliverDeadLetters").await.remove(0);
    bell.stack.aws.queues.pause("DeliverQueue", true);
    let told = replay(&bell, "DeliverDeadLetters", all()).await.unwrap();
    assert_eq!(told, "1 record of DeliverDeadLetters went back to DeliverQueue.");
    let back = records(&bell, "DeliverQueue").await.remove(0);
    assert_eq!((&back.body, &back.group, &back.attributes), (&before.body, &before.group, &before.attributes));
    assert_eq!((bell.dead_letters(), accepted(&bell)), (0, 0));
    bell.stack.aws.queues.pause("DeliverQueue", false);
    bell.settled().await;
    assert_eq!((accepted(&bell), bell.badge("aaa").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_broke_off_is_run_again_and_delivers_once() {
    let bell = with_a_phone().await;
    failed_five_times(&bell, "m1").await;
    let fault =
        bell.fault(Rule::new(Target::Sqs, Effect::Refuse).action("DeleteMessageBatch").table("DeliverDeadLetters"));
    let error = replay(&bell, "deliver", all()).await.unwrap_err();
    assert!(error.starts_with("SQS did not delete records of DeliverDeadLetters: AccessDenied"), "{error}");
    bell.stack.aws.faults.remove(fault);
    bell.settled().await;
    assert_eq!((accepted(&bell), bell.dead_letters()), (1, 0), "it is sent, and is hidden: SQS may have deleted it");
    let told = replay(&bell, "deliver", all()).await.unwrap();
    assert!(told.ends_with(" One was hidden, as somebody was at it; it comes back within five minutes."), "{told}");
    bell.stack.aws.queues.advance(Duration::from_secs(300)).unwrap();
    assert_eq!(bell.dead_letters(), 1, "and a dead letter still");
    replay(&bell, "deliver", all()).await.unwrap();
    bell.settled().await;
    assert_eq!((accepted(&bell), bell.dead_letters(), bell.badge("aaa").await), (1, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_task_or_one_app_is_replayed_and_the_others_stay() {
    let bell = with_a_phone().await;
    let first = failed_five_times(&bell, "m1").await;
    failed_five_times(&bell, "m2").await;
    let told = replay(&bell, "deliver", of_app("demo-deliver")).await.unwrap();
    assert_eq!(told, "0 records of DeliverDeadLetters went back to DeliverQueue. 2 others stay.");
    let told = replay(&bell, "deliver", Which { task: Some(first), ..Which::default() }).await.unwrap();
    assert_eq!(told, "1 record of DeliverDeadLetters went back to DeliverQueue. One other stays.");
    bell.settled().await;
    assert_eq!((accepted(&bell), bell.dead_letters()), (1, 1));
    replay(&bell, "deliver", of_app("demo")).await.unwrap();
    bell.settled().await;
    assert_eq!((accepted(&bell), bell.dead_letters()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_again_at_once_is_not_replayed_again_and_again() {
    let bell = with_a_phone().await;
    bell.fault(Rule::new(Target::Fcm, Effect::Refuse));
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert_eq!(bell.dead_letters(), 1);
    let told = show(&bell, false, false).await;
    assert!(told.ends_with("; given up: misconfigured=1"), "{told}");
    // The walk looks again when the record is back.
    let look = |effect| Rule::new(Target::Sqs, effect).action("ReceiveMessage").table("DeliverDeadLetters");
    bell.fault(look(Effect::Pass).times(1));
    let second = bell.fault(look(Effect::Hang));
    let back = async {
        bell.until(|| bell.stack.aws.faults.fired(second) > 0 && bell.dead_letters() == 1).await;
        bell.stack.aws.faults.remove(second);
    };
    let (told, ()) = tokio::join!(replay(&bell, "deliver", all()), back);
    assert_eq!(
        told.unwrap(),
        "1 record of DeliverDeadLetters went back to DeliverQueue. 1 came meanwhile: look why before you run it again."
    );
    bell.settled().await;
    assert_eq!(bell.dead_letters(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dropped_without_a_yes() {
    let bell = with_a_phone().await;
    let first = failed_five_times(&bell, "m1").await;
    failed_five_times(&bell, "m2").await;
    let told = drop(&bell, all(), false).await;
    assert_eq!(told, "Would delete 2 records of DeliverDeadLetters. Pass --yes to do it.");
    assert_eq!(bell.dead_letters(), 2);
    let told = drop(&bell, Which { task: Some(first), ..Which::default() }, true).await;
    assert_eq!(told, "Deleted 1 record of DeliverDeadLetters. One other stays.");
    assert_eq!(bell.dead_letters(), 1);
    drop(&bell, of_app("demo"), true).await;
    assert_eq!(bell.dead_letters(), 0);
    bell.settled().await;
    assert_eq!(accepted(&bell), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_no_queue_are_not_replayed_and_it_is_told_what_they_are() {
    let bell = Bell::start().await;
    let timer = replay(&bell, "timer", all()).await.unwrap_err();
    assert!(timer.contains("they only tell that runs of the timer failed"), "{timer}");
    let trigger = replay(&bell, "trigger", all()).await.unwrap_err();
    assert!(trigger.contains("handed to the function again, within a week"), "{trigger}");
    let unknown = replay(&bell, "DeliverQueue", all()).await.unwrap_err();
    assert_eq!(unknown, "there is no dead-letter queue DeliverQueue; see `dead-letters list`");
}
