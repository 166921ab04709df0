//! Deferred work: nobody starves, nothing is lost, and what is handed on twice is seen once.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt as _};
use pushbell::deferred::Deferred;
use pushbell::env::{Queue, Table};
use pushbell::id::AppId;
use pushbell::time::Timestamp;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::runtime_api::Output;
use pushbell_local::stack::Options;

use crate::bell::{Bell, processes, text_message};

/// A queue that no function works off: what is handed on to it can be looked at.
const LOOKED_AT: (Queue, &str) = (Queue::DeadLetters, "DeliverDeadLetters");

/// Defers a record for each time that it is due, `n` of them first to last.
async fn defer(bell: &Bell, app: &str, queue: Queue, due: impl IntoIterator<Item = Timestamp>) {
    let (deferred, app) = (Deferred::new(&bell.operator()).unwrap(), AppId::parse(app).unwrap());
    let puts = due.into_iter().enumerate().map(|(n, due)| deferred.put(queue, &app, format!("{app} {n}"), due));
    stream::iter(puts).buffer_unordered(16).for_each(|put| async { put.unwrap() }).await;
}

/// The rows that are left, the lease not counted.
async fn left(bell: &Bell) -> usize {
    let env = bell.operator();
    let scan = pushbell::aws::dynamodb(&env).scan().table_name(env.table(Table::Deferred).unwrap());
    let rows = scan.consistent_read(true).into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    rows.iter().filter(|row| row["pk"].as_s().unwrap().starts_with("s#")).count()
}

/// What was handed on, each with the number of records that had been sent before its millisecond.
async fn handed_on(bell: &Bell) -> Vec<(String, usize)> {
    let mut records = Vec::new();
    loop {
        let some = bell.stack.aws.queues.receive(LOOKED_AT.1, 10, Duration::ZERO, None).await.unwrap();
        if some.is_empty() {
            break;
        }
        records.extend(some.into_iter().map(|record| (record.body, record.sent_ms)));
    }
    let mut times: Vec<i64> = records.iter().map(|(_, sent)| *sent).collect();
    times.sort_unstable();
    records.into_iter().map(|(body, sent)| (body, times.partition_point(|time| *time < sent))).collect()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_another_app_nor_what_is_new_nor_what_is_oldest_waits_for_a_backlog() {
    const BACKLOG: u64 = 3_200;
    let bell = Bell::start().await;
    let now = Timestamp::now();
    // An hour of one app's work is late; the other has a little, in the midst of it.
    defer(
        &bell,
        "big",
        LOOKED_AT.0,
        (0..BACKLOG).map(|n| now.minus(seconds(3_600) + Duration::from_millis(n * 1_000))),
    )
    .await;
    defer(&bell, "small", LOOKED_AT.0, (0..20).map(|n| now.minus(seconds(5_000 + n)))).await;
    // New work of the big one: just due, and due in a moment.
    let fresh: Vec<_> = (0..20).map(|n| now.minus(seconds(2 + n))).collect();
    defer(&bell, "big", LOOKED_AT.0, fresh).await;
    bell.stack.tick("retry").await.unwrap().unwrap();
    let records = handed_on(&bell).await;
    assert_eq!((records.len(), left(&bell).await), (usize::try_from(BACKLOG).unwrap() + 40, 0), "all, and each once");
    let last_of = |app: &str| records.iter().filter(|(body, _)| body.starts_with(app)).map(|(_, before)| *before).max();
    // A round is a page of each of the eight shards; there may be two under way.
    let rounds = |n: usize| n * 800;
    assert!(last_of("small").unwrap() < rounds(2), "{:?}", last_of("small"));
    let order = |n: u64| {
        let body = format!("big {n}");
        // `big 0` to `big 19` are twice there: the newest of the late ones, and those that are just due.
        records.iter().filter(|(other, _)| *other == body).map(|(_, before)| *before).min().unwrap()
    };
    assert!((0..20).all(|n| order(n) < rounds(2)), "what is new");
    assert!((BACKLOG - 20..BACKLOG).all(|n| order(n) < rounds(3)), "what is oldest");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_hand_nothing_on_twice() {
    let bell = Bell::start().await;
    let now = Timestamp::now();
    defer(&bell, "demo", LOOKED_AT.0, (0..900).map(|n| now.minus(seconds(n)))).await;
    let (one, two) = tokio::join!(bell.stack.tick("retry"), bell.stack.tick("retry"));
    assert!(one.unwrap().is_ok() && two.unwrap().is_ok());
    assert_eq!((handed_on(&bell).await.len(), left(&bell).await), (900, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_within_a_quarter_of_an_hour_is_handed_on_with_what_is_left_of_its_delay() {
    let bell = Bell::start().await;
    let now = Timestamp::now();
    defer(&bell, "demo", LOOKED_AT.0, [now.plus(seconds(600)), now.plus(seconds(890)), now.plus(seconds(960))]).await;
    bell.stack.tick("retry").await.unwrap().unwrap();
    let depth = || bell.stack.aws.queues.depth(LOOKED_AT.1).unwrap();
    assert_eq!((depth().delayed, left(&bell).await), (2, 1));
    for (advance, visible) in [(580, 0), (22, 1), (268, 1), (22, 2)] {
        bell.stack.aws.queues.advance(seconds(advance)).unwrap();
        assert_eq!(depth().visible, visible, "{advance}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_refuses_everything_takes_no_time_from_the_others() {
    let bell = Bell::start().await;
    let now = Timestamp::now();
    defer(&bell, "demo", Queue::FanOut, (0..1_600).map(|n| now.minus(seconds(n)))).await;
    defer(&bell, "demo", LOOKED_AT.0, (0..300).map(|n| now.minus(seconds(n)))).await;
    let refusals = bell.fault(Rule::new(Target::Sqs, Effect::Refuse).table("FanOutQueue"));
    assert!(bell.stack.tick("retry").await.unwrap().is_err(), "a run that leaves something undone has failed");
    assert_eq!((handed_on(&bell).await.len(), left(&bell).await), (300, 1_600));
    let refusals = bell.stack.aws.faults.fired(refusals);
    assert!(refusals < 100, "it is left alone after a while: {refusals}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_that_is_refused_in_part_only_what_was_taken_is_deleted() {
    let bell = Bell::start().await;
    let now = Timestamp::now();
    defer(&bell, "demo", LOOKED_AT.0, (0..200).map(|n| now.minus(seconds(n)))).await;
    bell.fault(Rule::new(Target::Sqs, Effect::FailEntries { n: 1 }).action("SendMessageBatch").times(7));
    assert!(bell.stack.tick("retry").await.unwrap().is_err());
    assert_eq!((handed_on(&bell).await.len(), left(&bell).await), (193, 7));
    bell.stack.tick("retry").await.unwrap().unwrap();
    assert_eq!((handed_on(&bell).await.len(), left(&bell).await), (7, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_that_the_table_leaves_undone_are_asked_for_again() {
    let bell = Bell::start().await;
    let now = Timestamp::now();
    defer(&bell, "demo", LOOKED_AT.0, (0..200).map(|n| now.minus(seconds(n)))).await;
    let some = Rule::new(Target::Dynamodb, Effect::FailEntries { n: 10 }).action("BatchWriteItem").times(6);
    let fault = bell.fault(some);
    bell.stack.tick("retry").await.unwrap().unwrap();
    assert_eq!((handed_on(&bell).await.len(), left(&bell).await), (200, 0));
    assert_eq!(bell.stack.aws.faults.fired(fault), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_hold_no_record_hold_up_nobody() {
    let bell = Bell::start().await;
    let (env, now) = (bell.operator(), Timestamp::now());
    defer(&bell, "demo", LOOKED_AT.0, (0..300).map(|n| now.minus(seconds(1_000 + n)))).await;
    let (client, table) = (pushbell::aws::dynamodb(&env), env.table(Table::Deferred).unwrap());
    let text = |text: String| AttributeValue::S(text);
    for n in 0..130_u64 {
        for due in [now.minus(seconds(5_000 + n)), now.minus(seconds(n))] {
            // A page and more of rows without a record at either end, and keys that are no row's.
            for sk in
                [format!("demo#dead-letters#{:015}#{n:016x}", due.as_millis()), format!("demo{n}"), format!("a#b#{n}")]
            {
                let put = client.put_item().table_name(&table).item("pk", text("s#3".to_owned())).item("sk", text(sk));
                put.send().await.unwrap();
            }
        }
    }
    bell.stack.tick("retry").await.unwrap().unwrap();
    assert_eq!((handed_on(&bell).await.len(), left(&bell).await), (300, 130 * 4));
}

/// A message that waits in the deferred table, as its queue refused it.
async fn deferred_message(bell: &Bell) {
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    let refused = bell.fault(Rule::new(Target::Sqs, Effect::Refuse));
    assert_eq!(bell.caller.imkit(&text_message("m1", &["aaa"])).await.status, 200);
    assert!(bell.stack.aws.faults.remove(refused));
    assert_eq!(left(bell).await, 1);
}

/// It was counted once, and sent once to each phone.
async fn seen_once(bell: &Bell) {
    assert_eq!(bell.badge("aaa").await, 1);
    assert_eq!((bell.android("fcm-aaa").len(), bell.iphone("a1b2c3").len()), (1, 1));
    assert_eq!(bell.stack.phones.accepted(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_queued_but_not_deleted_is_queued_again_and_seen_once() {
    let bell = Bell::start().await;
    deferred_message(&bell).await;
    for effect in [Effect::Refuse, Effect::Throttle, Effect::FailEntries { n: 25 }, Effect::LoseAnswer] {
        bell.fault(Rule::new(Target::Dynamodb, effect.clone()).action("BatchWriteItem"));
        let run = bell.stack.tick("retry").await.unwrap();
        assert!(run.is_err(), "{effect:?}: what could not be deleted is said");
        bell.stack.aws.faults.clear();
        bell.drained().await;
        seen_once(&bell).await;
    }
    // The last answers were lost after the delete was done.
    assert_eq!(left(&bell).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_answer_is_lost_is_queued_again_and_seen_once() {
    let bell = Bell::start().await;
    deferred_message(&bell).await;
    bell.fault(Rule::new(Target::Sqs, Effect::LoseAnswer).action("SendMessageBatch"));
    assert!(bell.stack.tick("retry").await.unwrap().is_err());
    bell.stack.aws.faults.clear();
    bell.drained().await;
    assert_eq!(left(&bell).await, 1);
    bell.stack.tick("retry").await.unwrap().unwrap();
    bell.drained().await;
    seen_once(&bell).await;
    assert_eq!(left(&bell).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_between_queueing_and_deleting_repeats_nothing_that_is_seen_and_holds_up_no_other() {
    let options = Options { processes: Some(processes(2, Output::Hidden)), ..Options::test() };
    let bell = Bell::start_with(options).await;
    deferred_message(&bell).await;
    // The record is in its queue, and the run does not get to know it.
    bell.fault(Rule::new(Target::Sqs, Effect::LoseAnswer).action("SendMessageBatch").times(1));
    let hangs = bell.fault(Rule::new(Target::Sqs, Effect::Hang).action("SendMessageBatch"));
    let kill = async {
        bell.until(|| bell.stack.aws.faults.fired(hangs) > 0).await;
        assert_eq!(bell.stack.kill("retry"), 1);
    };
    let (run, ()) = tokio::join!(bell.stack.tick("retry"), kill);
    assert!(run.unwrap().is_err());
    bell.settled().await;
    seen_once(&bell).await;
    // The call that hangs goes its way, as it may with a queue that is slow: the second copy.
    bell.stack.aws.faults.clear();
    // Its lease ends with the time that it would have had.
    bell.stack.tick("retry").await.unwrap().unwrap();
    assert_eq!(left(&bell).await, 1);
    bell.stack.aws.queues.advance(seconds(121)).unwrap();
    bell.stack.tick("retry").await.unwrap().unwrap();
    assert_eq!(left(&bell).await, 0);
    bell.drained().await;
    seen_once(&bell).await;
}
