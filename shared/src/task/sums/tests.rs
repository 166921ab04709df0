//! Sums of chunks, through any sequence of attempts and replays.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::id::{AppId, TaskId};
use crate::task::{Fate, Leftovers, Tally, TargetResult, TaskKey};

fn client(n: usize) -> ClientId {
    ClientId::parse(format!("c{n}")).unwrap()
}

fn device(n: usize) -> DeviceKey {
    DeviceKey::of("fcm", &n.to_string())
}

fn row(attempt: Attempt, at: u64) -> ResultRow {
    ResultRow {
        key: TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() },
        app: AppId::parse("demo").unwrap(),
        seq: 3,
        attempt,
        at: Timestamp::from_millis(at),
        tally: Tally::default(),
        results: Vec::new(),
        leftovers: None,
        given_up: Vec::new(),
        taken_back: BTreeMap::new(),
        missing: BTreeMap::new(),
    }
}

fn summed(rows: &[ResultRow]) -> Sums {
    let mut sums = Sums::default();
    sums.add_chunk(rows, None);
    sums
}

/// What is left to be tried, as `deliver` queues it.
struct Work {
    attempt: Attempt,
    to: Vec<Target>,
    replayed: bool,
}

/// What a recipient's devices have now; a recipient without a device, under `None`.
type Truth = BTreeMap<(usize, Option<usize>), (Option<Channel>, Outcome)>;

const CHANNELS: [Channel; 3] = [Channel::Sns, Channel::Fcm, Channel::Huawei];
const OUTCOMES: [Outcome; 6] = [
    Outcome::Pending,
    Outcome::GaveUp,
    Outcome::Misconfigured,
    Outcome::Delivered,
    Outcome::Cancelled,
    Outcome::ChannelUnavailable,
];

/// A chunk of clients with so many devices each, one attempt after another, with whatever `luck` makes of each device.
struct World {
    devices: Vec<usize>,
    luck: Vec<u8>,
    next: usize,
    truth: Truth,
}

impl World {
    fn luck(&mut self, of: usize) -> usize {
        self.next += 1;
        usize::from(self.luck[self.next % self.luck.len()]) % of
    }

    /// Every try is of other devices, so a number tells the client.
    fn number(client: &ClientId) -> usize {
        client.as_str()[1..].parse().unwrap()
    }

    fn try_once(&mut self, work: &Work) -> (ResultRow, Vec<Work>) {
        let mut row = row(work.attempt, 1);
        if work.replayed {
            for (outcome, n) in work.to.iter().map(Target::was) {
                *row.taken_back.entry(outcome).or_default() += n;
            }
        }
        let mut left = Vec::new();
        for target in &work.to {
            let n = Self::number(target.client());
            let all: Vec<usize> = (0..self.devices[n]).collect();
            let tried = match target {
                Target::Left { devices, .. } => all.into_iter().filter(|one| devices.contains(&device(*one))).collect(),
                Target::Fresh(_) | Target::Chosen { .. } | Target::With { .. } => all,
            };
            self.truth.retain(|(client, one), _| *client != n || one.is_some_and(|one| !tried.contains(&one)));
            let mut fates = Vec::new();
            // The table did not answer: they are left over whole, or given up.
            if matches!(target, Target::Fresh(_)) && self.luck(4) == 0 {
                let outcome = OUTCOMES[self.luck(2)];
                self.truth.insert((n, None), (None, outcome));
                fates.push(Fate::of_recipient(outcome));
                let fresh = Target::Fresh(client(n));
                if outcome.is_final() { row.given_up.push(fresh) } else { left.push(fresh) }
            } else if tried.is_empty() {
                self.truth.insert((n, None), (None, Outcome::NoDevice));
                fates.push(Fate::of_recipient(Outcome::NoDevice));
            } else {
                let mut by: BTreeMap<Outcome, Vec<DeviceKey>> = BTreeMap::new();
                for one in tried {
                    let (channel, outcome) = (CHANNELS[one % 3], OUTCOMES[self.luck(OUTCOMES.len())]);
                    self.truth.insert((n, Some(one)), (Some(channel), outcome));
                    fates.push(Fate::of_device(device(one), Some(channel), outcome));
                    by.entry(outcome).or_default().push(device(one));
                }
                let of = |devices: &[DeviceKey], was| Target::Left {
                    client: client(n),
                    devices: devices.to_vec(),
                    not_before: None,
                    channels: Vec::new(),
                    tries: 0,
                    values: None,
                    was,
                };
                left.extend(by.get(&Outcome::Pending).map(|devices| of(devices, None)));
                row.given_up.extend(by.get(&Outcome::GaveUp).map(|devices| of(devices, None)));
                let misconfigured = by.get(&Outcome::Misconfigured);
                row.given_up.extend(misconfigured.map(|devices| of(devices, Some(Outcome::Misconfigured))));
            }
            row.results.push(TargetResult { client: client(n), fates, recount: None });
        }
        let mut next = Vec::new();
        if !left.is_empty() {
            row.leftovers = Some(Leftovers { to: left.clone(), due: Timestamp::from_millis(2), until: None });
            next.push(Work { attempt: work.attempt.next(), to: left, replayed: false });
        }
        // Six replays of replays have numbers of their own; a seventh finds the row of the sixth.
        if !row.given_up.is_empty() && work.attempt.replay() != work.attempt {
            next.push(Work { attempt: work.attempt.replay(), to: row.given_up.clone(), replayed: true });
        }
        (row, next)
    }

    fn expected(&self) -> (BTreeMap<(Road, Outcome), i64>, u64) {
        let (mut finals, mut pending) = (BTreeMap::new(), 0);
        for (channel, outcome) in self.truth.values() {
            if outcome.is_final() {
                *finals.entry((channel.map_or(Road::None, Road::Channel), *outcome)).or_default() += 1;
            } else {
                pending += 1;
            }
        }
        (finals, pending)
    }
}

proptest! {
    #[test]
    fn after_every_attempt_and_every_replay_the_sums_are_what_the_devices_have(
        devices in proptest::collection::vec(0_usize..5, 1..6),
        luck in proptest::collection::vec(any::<u8>(), 40..120),
        tries in 1_usize..12,
    ) {
        let mut world = World { devices, luck, next: 0, truth: Truth::new() };
        let to = (0..world.devices.len()).map(|n| Target::Fresh(client(n))).collect();
        let (mut work, mut rows) = (vec![Work { attempt: Attempt::FIRST, to, replayed: false }], Vec::new());
        for _ in 0..tries {
            if work.is_empty() {
                break;
            }
            let turn = world.luck(work.len());
            let (row, next) = world.try_once(&work.swap_remove(turn));
            work.extend(next);
            rows.push(row);
            let sums = summed(&rows);
            let (finals, pending) = world.expected();
            let told: BTreeMap<_, _> = sums.outcomes.clone().into_iter().filter(|(_, n)| *n != 0).collect();
            prop_assert_eq!(&told, &finals);
            prop_assert_eq!(sums.pending(), pending);
            prop_assert_eq!(sums.target(), u64::try_from(finals.values().sum::<i64>()).unwrap());
            prop_assert_eq!(sums.begun, 1);
            prop_assert_eq!(sums.ended, u32::from(work.iter().all(|work| work.replayed)));
            let roads = sums.by_road();
            prop_assert_eq!(roads.values().map(|road| road.target).sum::<u64>(), sums.target());
            prop_assert_eq!(roads.values().map(|road| road.sent).sum::<u64>(), sums.of(Outcome::Delivered));
        }
    }
}

#[test]
fn a_chunk_whose_next_row_is_missing_has_not_ended() {
    let mut first = row(Attempt::FIRST, 1);
    let fate = Fate::of_device(device(0), Some(Channel::Fcm), Outcome::Pending);
    first.results.push(TargetResult { client: client(0), fates: vec![fate], recount: None });
    first.leftovers = Some(Leftovers { to: Vec::new(), due: Timestamp::from_millis(2), until: None });
    let sums = summed(std::slice::from_ref(&first));
    assert_eq!((sums.begun, sums.ended, sums.pending(), sums.target()), (1, 0, 1, 0));
    let sums = summed(&[first, row(Attempt::FIRST.next(), 9)]);
    assert_eq!((sums.begun, sums.ended, sums.pending()), (1, 1, 0));
    assert_eq!(sums.latest, Some(Timestamp::from_millis(9)));
    // A later row whose first was not seen.
    let sums = summed(&[row(Attempt::FIRST.next(), 9)]);
    assert_eq!((sums.begun, sums.ended), (0, 0));
}

#[test]
fn what_is_taken_back_without_its_row_is_of_no_road_and_the_sums_by_outcome_hold() {
    let mut replay = row(Attempt::FIRST.replay(), 5);
    replay.taken_back = BTreeMap::from([(Outcome::GaveUp, 2)]);
    let sums = summed(&[row(Attempt::FIRST, 1), replay]);
    assert_eq!(sums.outcomes, BTreeMap::from([((Road::None, Outcome::GaveUp), -2)]));
    assert_eq!((sums.of(Outcome::GaveUp), sums.target()), (0, 0), "nothing is told below zero");
}

#[test]
fn a_receipt_counts_once_a_stage_and_only_for_a_device_of_the_rows() {
    let mut first = row(Attempt::FIRST, 1);
    let fates = vec![
        Fate::of_device(device(0), Some(Channel::Fcm), Outcome::Pending),
        Fate::of_device(device(1), Some(Channel::Sns), Outcome::Delivered),
    ];
    first.results.push(TargetResult { client: client(0), fates, recount: None });
    first.leftovers = Some(Leftovers { to: Vec::new(), due: Timestamp::from_millis(2), until: None });
    let mut second = row(Attempt::FIRST.next(), 2);
    let fate = Fate::of_device(device(0), None, Outcome::GaveUp);
    second.results.push(TargetResult { client: client(0), fates: vec![fate], recount: None });
    let mut receipts = Receipts::default();
    for _ in 0..2 {
        receipts.note(Stage::Received, Digest::of(&client(0), &device(0)));
        receipts.note(Stage::Received, Digest::of(&client(0), &device(1)));
        receipts.note(Stage::Clicked, Digest::of(&client(0), &device(1)));
        receipts.note(Stage::Clicked, Digest::of(&client(1), &device(1)));
        receipts.note(Stage::Clicked, Digest::of(&client(0), &device(2)));
    }
    let mut sums = Sums::default();
    sums.add_chunk(&[first, second], Some(&receipts));
    let roads = sums.by_road();
    let of = |road| (roads[&road].received, roads[&road].clicked);
    assert_eq!(of(Road::Channel(Channel::Fcm)), (1, 0), "in two rows, and once");
    assert_eq!(of(Road::Channel(Channel::Sns)), (1, 1));
    assert_eq!(of(Road::None), (0, 0));
    sums.all_online();
    let online = sums.by_road();
    assert_eq!(online.keys().collect::<Vec<_>>(), [&Road::Online]);
    let all = RoadSums { target: 2, sent: 1, received: 2, clicked: 1 };
    assert_eq!(online[&Road::Online], all);
}

#[test]
fn a_receipt_counts_only_where_the_push_may_have_come() {
    let mut receipts = Receipts::default();
    receipts.note(Stage::Received, Digest::of(&client(0), &device(0)));
    receipts.note(Stage::Clicked, Digest::of(&client(0), &device(0)));
    let tried = |attempt, outcome| {
        let mut row = row(attempt, 1);
        let fate = Fate::of_device(device(0), Some(Channel::Fcm), outcome);
        row.results.push(TargetResult { client: client(0), fates: vec![fate], recount: None });
        row
    };
    let counted = |rows: &[ResultRow]| {
        let mut sums = Sums::default();
        sums.add_chunk(rows, Some(&receipts));
        let road = sums.by_road().get(&Road::Channel(Channel::Fcm)).copied().unwrap_or_default();
        (road.received, road.clicked)
    };
    for (outcome, _, word) in Outcome::ALL {
        let came = matches!(outcome, Outcome::Delivered | Outcome::GaveUp | Outcome::Pending);
        let expected = if came { (1, 1) } else { (0, 0) };
        assert_eq!(counted(&[tried(Attempt::FIRST, outcome)]), expected, "{word}");
        // What came of the last try counts, in whatever order the rows are.
        let second = Attempt::FIRST.next();
        let mut rows = vec![tried(second, outcome), tried(Attempt::FIRST, Outcome::Pending)];
        assert_eq!(counted(&rows), expected, "pending, then {word}");
        rows = vec![tried(second.replay(), outcome), tried(second, Outcome::GaveUp)];
        assert_eq!(counted(&rows), expected, "given up, then {word}");
    }
}
