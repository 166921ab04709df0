//! Hours' sums over an embedded DynamoDB.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

use super::*;
use crate::id::{ClientId, DeviceKey, TaskId};
use crate::task::{Attempt, Fate, Tally, TargetResult, TaskKey};

/// Half past one in the afternoon.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000 + 13 * 3_600_000 + 1_800_000);

fn app() -> AppId {
    AppId::parse("demo").unwrap()
}

/// A message to a client with two phones.
fn row(tally: Tally) -> ResultRow {
    let phone = |name, channel| Fate::of_device(DeviceKey::of("x", name), Some(channel), Outcome::Delivered);
    ResultRow {
        key: TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() },
        app: app(),
        seq: 0,
        attempt: Attempt::FIRST,
        at: NOW,
        tally,
        results: vec![TargetResult {
            client: ClientId::parse("aaa").unwrap(),
            fates: vec![phone("1", Channel::Fcm), phone("2", Channel::Sns)],
            recount: None,
        }],
        leftovers: None,
        given_up: Vec::new(),
        taken_back: BTreeMap::new(),
        missing: BTreeMap::new(),
    }
}

fn sums(n: u32) -> HourSums {
    let mut sums = HourSums::default();
    (0..n).for_each(|_| sums.add(&row(Tally { counted: 1, repeat: 0, uncounted: 0 })));
    sums
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

#[test]
fn sums_survive_their_row_and_what_is_none_is_passed_over() {
    let mut all = sums(2);
    all.add(&row(Tally { counted: 0, repeat: 1, uncounted: 0 }));
    all.add(&row(Tally { counted: 0, repeat: 0, uncounted: 1 }));
    all.outcomes.insert((None, Outcome::NoDevice), 3);
    let mut item: HashMap<String, AttributeValue> = all.additions().map(|(name, n)| (name, number(n))).collect();
    assert_eq!(item["ofd"], number(4));
    assert_eq!(item["o-n"], number(3));
    for (other, value) in
        [("ttl", number(7)), ("x", number(7)), ("o?d", number(7)), ("ofdd", number(7)), ("o", number(7))]
    {
        item.insert(other.to_owned(), value);
    }
    assert_eq!(HourSums::from_item(&item), all);
}

#[test]
fn an_hour_is_written_as_its_beginning_in_utc() {
    assert_eq!(Hour::of(NOW).to_string(), "2026-01-01T13:00:00Z");
}

#[tokio::test]
async fn environments_add_to_an_hour_and_another_hour_day_and_app_have_their_own() {
    let (env, _) = crate::test_tables::start().await;
    let results = Results::new(&env).unwrap();
    let (one, two) = (HourWriter::new(), HourWriter::new());
    results.add_to_hour(&one, &app(), &sums(10), NOW).await.unwrap();
    results.add_to_hour(&one, &app(), &sums(1), NOW).await.unwrap();
    results.add_to_hour(&two, &app(), &sums(2), NOW).await.unwrap();
    results.add_to_hour(&two, &app(), &sums(3), NOW.plus(LENGTH)).await.unwrap();
    results.add_to_hour(&one, &app(), &sums(5), NOW.plus(24 * LENGTH)).await.unwrap();
    results.add_to_hour(&one, &AppId::parse("other").unwrap(), &sums(7), NOW).await.unwrap();
    let of = async |from, to, now| {
        let hours = results.hours(&app(), day(from).to(day(to)), now).await.unwrap();
        hours.into_iter().map(|(hour, sums)| (hour.to_string(), sums)).collect::<Vec<_>>()
    };
    let hour = |text: &str, n| (text.to_owned(), sums(n));
    let (first, second) = (hour("2026-01-01T13:00:00Z", 13), hour("2026-01-01T14:00:00Z", 3));
    assert_eq!(of("2026-01-01", "2026-01-01", NOW).await, [first.clone(), second.clone()]);
    let all = of("2025-12-31", "2026-01-02", NOW).await;
    assert_eq!(all, [first, second.clone(), hour("2026-01-02T13:00:00Z", 5)]);
    assert_eq!(
        of("2026-01-01", "2026-01-01", NOW.plus(KEPT).plus(LENGTH)).await,
        [second],
        "a row past its time is gone"
    );
}

#[tokio::test]
async fn an_addition_whose_answer_was_lost_is_made_once() {
    let (env, _) = crate::test_tables::start().await;
    let results = Results::new(&env).unwrap();
    let writer = HourWriter::new();
    results.add_to_hour(&writer, &app(), &sums(1), NOW).await.unwrap();
    results.add_to_hour(&writer, &app(), &sums(2), NOW).await.unwrap();
    // As the SDK tries it again.
    writer.additions.store(1, Ordering::Relaxed);
    results.add_to_hour(&writer, &app(), &sums(2), NOW).await.unwrap();
    let hours = results.hours(&app(), [Day::of(NOW)].into_iter(), NOW).await.unwrap();
    assert_eq!(hours.into_values().collect::<Vec<_>>(), [sums(3)]);
}

#[tokio::test]
async fn an_addition_costs_one_write_unit_whatever_it_holds() {
    let (env, client) = crate::test_tables::start().await;
    let results = Results::new(&env).unwrap();
    let mut all = sums(1_000_000);
    for channel in Channel::every() {
        for (outcome, ..) in Outcome::ALL.into_iter().filter(|(outcome, ..)| outcome.is_final()).take(8) {
            all.outcomes.insert((Some(channel), outcome), 1_000_000);
        }
    }
    let app = AppId::parse("x".repeat(64)).unwrap();
    results.add_to_hour(&HourWriter::new(), &app, &all, NOW).await.unwrap();
    let rows = client.scan().table_name("tasks").send().await.unwrap().items.unwrap_or_default();
    let bytes = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        other => unreachable!("{other:?}"),
    };
    let size: usize = rows[0].iter().map(|(name, value)| name.len() + bytes(value)).sum();
    assert!(size <= 1024, "{size}");
}
