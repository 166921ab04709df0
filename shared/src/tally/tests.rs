#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::test_tables;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_605_000);

/// The end of an invocation that has just begun.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn app() -> AppId {
    AppId::parse("demo").unwrap()
}

/// Event number `n`: of a push or a task of its own or of one shared with others, over three days.
fn event(n: u64) -> Event {
    let about = match n % 5 {
        0..3 => About::Push(format!("push-{}", n / 3)),
        3 => About::Task("many".to_owned()),
        _ => About::Task(format!("task-{}", n % 7)),
    };
    let code = if n.is_multiple_of(11) { 410 } else { 0 };
    Event {
        key: format!("key-{n}"),
        about,
        vendor: Vendor::ALL[usize::try_from(n % 9).unwrap()].0,
        stage: Stage::ALL[usize::try_from(n % 3).unwrap()].0,
        code,
        info: if code == 0 { String::new() } else { "Unregistered".to_owned() },
        at: NOW.plus(Duration::from_secs(n % 3 * 86_400)),
    }
}

fn batch(id: u32, at: Timestamp, events: Vec<Event>) -> Batch {
    use base64::Engine as _;
    let [a, b, c, d] = id.to_be_bytes();
    let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([0, 0, a, b, c, d]);
    Batch { app: app(), id, accepted_at: at, events }
}

fn counts<'e>(events: impl IntoIterator<Item = &'e Event>) -> Counts {
    let mut counts = Counts::default();
    events.into_iter().for_each(|event| counts.add(event));
    counts
}

async fn days(tallies: &Tallies) -> BTreeMap<Day, Counts> {
    let first = Day::of(NOW);
    let last = Day::of(NOW.plus(Duration::from_secs(10 * 86_400)));
    tallies.of_days(&app(), first.to(last), NOW).await.unwrap()
}

fn by_day(events: &[Event]) -> BTreeMap<Day, Counts> {
    let mut days: BTreeMap<Day, Counts> = BTreeMap::new();
    for event in events {
        days.entry(Day::of(event.at)).or_default().add(event);
    }
    days
}

/// The store counts what a model of sets counts, whatever comes how often, in which batches and in which order.
#[tokio::test]
async fn every_event_is_counted_once_whatever_comes_again() {
    let runs = (1..4_usize, proptest::collection::vec(0..60_u64, 1..30));
    let invocations = proptest::collection::vec((proptest::collection::vec(runs, 1..5), any::<bool>()), 1..4);
    let mut runner = TestRunner::deterministic();
    for _ in 0..12 {
        let invocations = invocations.new_tree(&mut runner).unwrap().current();
        let (env, _) = test_tables::start().await;
        let tallies = Tallies::new(&env).unwrap();
        let (mut seen, mut id, mut told) = (BTreeMap::new(), 0, Counts::default());
        for (batches, again) in invocations {
            let batches: Vec<Batch> = batches
                .into_iter()
                .map(|(slot, numbers)| {
                    id += 1;
                    let events: Vec<Event> = numbers.into_iter().map(event).collect();
                    seen.extend(events.iter().map(|event| (event.key.clone(), event.clone())));
                    batch(id, NOW.plus(Duration::from_secs(slot as u64 * 7)), events)
                })
                .collect();
            for _ in 0..=usize::from(again) {
                for end in tallies.count(&batches, NOW, soon()).await {
                    told.merge(&end.unwrap());
                }
            }
        }
        let events: Vec<Event> = seen.into_values().collect();
        assert_eq!(told, counts(&events));
        assert_eq!(days(&tallies).await, by_day(&events));
        for id in ["many", "task-1", "push-0", "push-5", "push-19", "none"] {
            let of = |event: &&Event| matches!(&event.about, About::Push(own) | About::Task(own) if own == id);
            let expected = Some(counts(events.iter().filter(of))).filter(|counts| !counts.is_empty());
            assert_eq!(tallies.of_pushes(&app(), &[id], NOW).await.unwrap(), [expected], "{id}");
        }
    }
}

/// A worker that dies does so between two writes: the batch's next try counts the rest.
#[tokio::test]
async fn a_batch_that_failed_half_way_is_counted_whole() {
    let (env, client) = test_tables::start().await;
    let tallies = Tallies::new(&env).unwrap();
    let one = batch(1, NOW, (0..40).map(event).collect());
    // The first half of its rows, by a try that ended there.
    for event in &one.events[..20] {
        tallies.put(&one, event, NOW).await.unwrap();
    }
    // Another batch brings some of the same events meanwhile, and of those that nobody counts yet.
    let other = batch(2, NOW, (10..30).map(event).collect());
    tallies.count(std::slice::from_ref(&other), NOW, soon()).await.remove(0).unwrap();
    tallies.count(std::slice::from_ref(&one), NOW, soon()).await.remove(0).unwrap();
    assert_eq!(days(&tallies).await, by_day(&one.events));
    // A day's row was written, and the answer was lost with the worker: the other days are not counted yet.
    let third = batch(3, NOW, (100..140).map(event).collect());
    for event in &third.events {
        tallies.put(&third, event, NOW).await.unwrap();
    }
    let rows = super::store::rows_of(&third, &third.events.iter().collect::<Vec<_>>());
    let (row, of_row) = rows.iter().next().unwrap();
    tallies.add(row, &[&third.id], of_row).await.unwrap();
    tallies.count(&[third.clone(), other], NOW, soon()).await.into_iter().for_each(|end| drop(end.unwrap()));
    let all: Vec<Event> = one.events.iter().chain(&third.events).cloned().collect();
    assert_eq!(days(&tallies).await, by_day(&all));
    drop(client);
}

#[tokio::test]
async fn batches_that_come_together_share_the_rows_of_counters() {
    let (env, _) = test_tables::start().await;
    let push = |n: u64| Event { about: About::Push(n.to_string()), at: NOW, ..event(n * 9) };
    let batches: Vec<Batch> = (0..10).map(|n| batch(n, NOW, vec![push(u64::from(n))])).collect();
    let tallies = Tallies::new(&env).unwrap().measured();
    for end in tallies.count(&batches, NOW, soon()).await {
        end.unwrap();
    }
    assert!((tallies.written() - 11.0).abs() < 0.001, "ten rows of events and one of counters: {}", tallies.written());
    // One of them with a new one: each by itself then.
    let mixed = [batches[3].clone(), batch(20, NOW, vec![push(20)])];
    for end in tallies.count(&mixed, NOW, soon()).await {
        end.unwrap();
    }
    assert_eq!(days(&tallies).await.into_values().next().unwrap().by().map(|(.., n)| n).sum::<u64>(), 11);
}

#[tokio::test]
async fn a_batch_of_a_hundred_codes_is_counted() {
    let (env, _) = test_tables::start().await;
    let tallies = Tallies::new(&env).unwrap();
    let odd = |batch: u32, n: u32| Event {
        key: format!("{batch}-{n}"),
        code: i64::from(batch) * 1_000 + i64::from(n) + 1,
        info: "x".repeat(128),
        vendor: Vendor::ALL[(n % 9) as usize].0,
        stage: Stage::ALL[(n % 3) as usize].0,
        about: About::Task("many".to_owned()),
        at: NOW,
    };
    let batches: Vec<Batch> = (0..10).map(|b| batch(b, NOW, (0..100).map(|n| odd(b, n)).collect())).collect();
    for end in tallies.count(&batches, NOW, soon()).await {
        end.unwrap();
    }
    let counted = days(&tallies).await.into_values().next().unwrap();
    assert_eq!(counted.codes().count(), 1_000);
    assert!(counted.codes().all(|(.., code)| code.n == 1));
}

#[tokio::test]
async fn an_event_is_known_for_three_weeks() {
    let (env, _) = test_tables::start().await;
    let tallies = Tallies::new(&env).unwrap();
    let sum = |days: BTreeMap<Day, Counts>| days.values().flat_map(Counts::by).map(|(.., n)| n).sum::<u64>();
    let later = NOW.plus(EVENTS_KEPT);
    for (id, at, expected) in [(1, NOW, 1), (2, later, 1), (3, later.plus(Duration::from_secs(1)), 2)] {
        let same = batch(id, at, vec![event(0)]);
        tallies.count(&[same], at, soon()).await.remove(0).unwrap();
        assert_eq!(sum(days(&tallies).await), expected, "{at:?}");
    }
}

/// A queue that took a record, and did not say so, is given it again: both come within a second.
#[tokio::test]
async fn a_batch_that_comes_twice_at_once_is_counted_once_and_holds_nobody_up() {
    let (env, _) = test_tables::start().await;
    let tallies = Tallies::new(&env).unwrap();
    let (one, other) = (batch(1, NOW, vec![event(1)]), batch(2, NOW, vec![event(4)]));
    for first in [true, false] {
        let ends = tallies.count(&[one.clone(), one.clone(), other.clone()], NOW, soon()).await;
        let told: Vec<u64> = ends.into_iter().map(|end| end.unwrap().by().map(|(.., n)| n).sum()).collect();
        assert_eq!(told, if first { [1, 0, 1] } else { [0, 0, 0] });
    }
    assert_eq!(days(&tallies).await, by_day(&[event(1), event(4)]));
}

/// A record may lie in its queue for four days, and then in the dead-letter queue for fourteen.
#[tokio::test]
async fn what_is_redriven_as_late_as_it_can_be_is_not_counted_again() {
    let (env, _) = test_tables::start().await;
    let tallies = Tallies::new(&env).unwrap();
    let copy = batch(2, NOW.plus(Duration::from_secs(60)), vec![event(1)]);
    tallies.count(&[batch(1, NOW, vec![event(1)])], NOW, soon()).await.remove(0).unwrap();
    let redriven = NOW.plus(Duration::from_secs(18 * 86_400));
    assert!(tallies.count(&[copy], redriven, soon()).await.remove(0).unwrap().is_empty());
}

#[tokio::test]
async fn what_there_is_no_time_for_comes_again_and_writes_nothing() {
    let (env, _) = test_tables::start().await;
    let tallies = Tallies::new(&env).unwrap().measured();
    let ends = tallies.count(&[batch(1, NOW, (0..100).map(event).collect())], NOW, Instant::now() + SPARE).await;
    assert!(matches!(ends[0], Err(TallyError::Late)));
    assert!(tallies.written() < 0.001, "{}", tallies.written());
}

#[tokio::test]
async fn a_batch_without_a_usable_number_fails_alone() {
    let (env, _) = test_tables::start().await;
    let tallies = Tallies::new(&env).unwrap();
    let bad = Batch { id: "§".to_owned(), ..batch(1, NOW, vec![event(1)]) };
    let ends = tallies.count(&[bad, batch(2, NOW, vec![event(1 + 15)])], NOW, soon()).await;
    assert!(matches!(ends[0], Err(TallyError::Number)) && ends[1].is_ok());
}
