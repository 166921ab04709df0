//! What rows say of one client, without a table.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::id::AppId;
use crate::task::{Fate, Leftovers, Tally, TargetResult, TaskKey};

const UNTIL: Timestamp = Timestamp::from_millis(1_000);

fn client(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}

fn device(name: &str) -> DeviceKey {
    DeviceKey::of("fcm", name)
}

fn fate(name: &str, outcome: Outcome) -> Fate {
    Fate::of_device(device(name), Some(Channel::Fcm), outcome)
}

fn row(attempt: u64, fates: Vec<Fate>, recount: Option<Recount>) -> ResultRow {
    ResultRow {
        key: TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() },
        app: AppId::parse("demo").unwrap(),
        seq: 0,
        attempt: Attempt::from_number(attempt),
        at: Timestamp::from_millis(10 + attempt),
        tally: Tally { counted: 5, repeat: 0, uncounted: 0 },
        results: vec![
            TargetResult { client: client("zzz"), fates: vec![Fate::of_recipient(Outcome::Muted)], recount: None },
            TargetResult { client: client("aaa"), fates, recount },
        ],
        leftovers: None,
        given_up: Vec::new(),
        taken_back: BTreeMap::new(),
        missing: BTreeMap::new(),
    }
}

fn left(name: &str, not_before: Option<u64>) -> Target {
    Target::Left {
        client: client("aaa"),
        devices: vec![device(name)],
        not_before: not_before.map(Timestamp::from_millis),
        channels: Vec::new(),
        tries: 1,
        was: None,
        values: None,
    }
}

fn with_left(row: ResultRow, target: Target) -> ResultRow {
    let leftovers = Leftovers { to: vec![target], due: Timestamp::from_millis(100), until: Some(UNTIL) };
    ResultRow { leftovers: Some(leftovers), ..row }
}

fn told(rows: Vec<ResultRow>) -> Rows {
    Rows::of(rows, &client("aaa"), Kind::Callback, false).unwrap()
}

#[test]
fn a_client_in_no_row_is_told_nothing_of() {
    let rows = vec![row(0, vec![fate("a", Outcome::Delivered)], None)];
    assert_eq!(Rows::of(rows, &client("aa"), Kind::Callback, true), None);
}

#[test]
fn tries_are_told_in_order_also_over_a_replay() {
    let pending = fate("a", Outcome::Pending).because(Reason::Throttled);
    let first = with_left(row(0, vec![pending, fate("b", Outcome::Delivered)], None), left("a", Some(200)));
    let once = told(vec![first.clone()]);
    assert_eq!(once.pending, Some(Pending { next_try: Timestamp::from_millis(200), until: Some(UNTIL) }));
    assert_eq!(
        once.devices.iter().map(|device| device.pending).collect::<Vec<_>>().iter().filter(|is| **is).count(),
        1
    );
    let gave_up = row(1, vec![fate("a", Outcome::GaveUp).because(Reason::Retry)], None);
    let replayed = row(400, vec![fate("a", Outcome::Delivered)], None);
    let all = told(vec![replayed, gave_up, first]);
    assert_eq!((all.counted, all.pending), (Counted::Yes, None));
    let a = all.devices.iter().find(|own| own.device == device("a")).unwrap();
    let tries: Vec<_> = a.tries.iter().map(|one| (one.attempt.get(), one.outcome, one.reason)).collect();
    assert_eq!(
        tries,
        [
            (0, Outcome::Pending, Some(Reason::Throttled)),
            (1, Outcome::GaveUp, Some(Reason::Retry)),
            (400, Outcome::Delivered, None)
        ]
    );
}

#[test]
fn whether_it_was_counted_is_told_by_the_first_row_in_which_the_client_was_begun() {
    let sent = || vec![fate("a", Outcome::Delivered)];
    let whole = |outcome| vec![Fate::of_recipient(outcome)];
    let not_begun = || with_left(row(0, whole(Outcome::Pending), None), Target::Fresh(client("aaa")));
    assert_eq!(told(vec![row(0, sent(), None)]).counted, Counted::Yes);
    assert_eq!(told(vec![row(0, whole(Outcome::Off), None)]).counted, Counted::Yes);
    assert_eq!(told(vec![row(0, whole(Outcome::Muted), None)]).counted, Counted::Not(Outcome::Muted));
    assert_eq!(told(vec![row(0, sent(), Some(Recount::Repeat))]).counted, Counted::Before);
    assert_eq!(told(vec![row(0, sent(), Some(Recount::Late))]).counted, Counted::Late);
    assert_eq!(told(vec![not_begun()]).counted, Counted::NotYet);
    assert_eq!(told(vec![not_begun(), row(1, sent(), None)]).counted, Counted::Yes);
    assert_eq!(told(vec![not_begun(), row(1, whole(Outcome::Read), None)]).counted, Counted::Not(Outcome::Read));
    let given_up = ResultRow { given_up: vec![Target::Fresh(client("aaa"))], ..row(0, whole(Outcome::GaveUp), None) };
    assert_eq!(told(vec![given_up.clone()]).counted, Counted::GaveUp);
    let marked = Rows::of(vec![given_up], &client("aaa"), Kind::Callback, true).unwrap();
    assert_eq!(marked.counted, Counted::Before, "a run counted it, and died before it wrote its row");
    let none = ResultRow { tally: Tally::default(), ..row(0, sent(), None) };
    assert_eq!(told(vec![none.clone()]).counted, Counted::DoesNotCount);
    // Counted, and read before its retry: it stays counted.
    let retried = with_left(row(0, vec![fate("a", Outcome::Pending)], None), left("a", None));
    assert_eq!(told(vec![retried, row(1, vec![fate("a", Outcome::Read)], None)]).counted, Counted::Yes);
}

#[test]
fn what_was_not_begun_and_then_was_has_no_outcome_of_its_own() {
    let not_begun = Fate::of_recipient(Outcome::Pending).because(Reason::NotBegun);
    let first = with_left(row(0, vec![not_begun], None), Target::Fresh(client("aaa")));
    let waiting = told(vec![first.clone()]);
    assert_eq!((waiting.outcome, waiting.tries.len()), (Some(Outcome::Pending), 1));
    assert_eq!(waiting.pending.map(|pending| pending.next_try), Some(Timestamp::from_millis(100)));
    let sent = told(vec![first, row(1, vec![fate("a", Outcome::Delivered)], None)]);
    assert_eq!((sent.outcome, sent.tries.len(), sent.devices.len(), sent.pending), (None, 1, 1, None));
}
