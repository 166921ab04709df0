//! Sums over a task's result rows, by road and outcome. A chunk's rows are summed together: what one of them left over stands in the next, and
//! what one gave up is taken back by its replay.

use std::collections::{BTreeMap, HashMap};

use super::receipts::{Digest, Receipts};
use super::{Attempt, Outcome, ResultRow, Stage, Target};
use crate::delivery::Channel;
use crate::id::{ClientId, DeviceKey};
use crate::time::Timestamp;

/// The way to a device, as sums tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Road {
    /// A vendor's channel.
    Channel(Channel),
    /// The app's own live connection, of which there is none yet.
    Online,
    /// None: a recipient none of whose devices was sent to, or a device that is gone.
    None,
}

/// What came of one road.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoadSums {
    /// Targets whose outcome is final.
    pub target: u64,
    /// Those that the vendor has.
    pub sent: u64,
    /// Devices that told of the receipt.
    pub received: u64,
    /// Devices that told of a tap.
    pub clicked: u64,
}

/// Sums over the rows of a task's chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    outcomes: BTreeMap<(Road, Outcome), i64>,
    receipts: BTreeMap<(Road, Stage), u64>,
    missing: BTreeMap<String, u64>,
    pending: u64,
    /// Chunks with a row of their first attempt.
    pub(super) begun: u32,
    /// Chunks of which nothing is left over.
    pub(super) ended: u32,
    /// When the latest attempt ended.
    pub(super) latest: Option<Timestamp>,
}

impl Sums {
    /// How many targets have a final outcome: the sum of all outcomes. All targets, once the task is done.
    #[must_use]
    pub fn target(&self) -> u64 {
        self.outcomes.values().sum::<i64>().try_into().unwrap_or_default()
    }

    /// How many devices or recipients had an outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        let of = self.outcomes.iter().filter(|((_, own), _)| *own == outcome);
        of.map(|(_, n)| n).sum::<i64>().try_into().unwrap_or_default()
    }

    /// How many are left over, to be tried again. Of chunks that were tried: others are not known yet.
    #[must_use]
    pub const fn pending(&self) -> u64 {
        self.pending
    }

    /// The names of the values that recipients lacked, and how many of them.
    pub fn missing(&self) -> impl Iterator<Item = (&str, u64)> {
        self.missing.iter().map(|(name, n)| (name.as_str(), *n))
    }

    /// The sums of each road that has any.
    #[must_use]
    pub fn by_road(&self) -> BTreeMap<Road, RoadSums> {
        let mut roads: BTreeMap<Road, RoadSums> = BTreeMap::new();
        let mut targets: BTreeMap<Road, i64> = BTreeMap::new();
        for ((road, outcome), n) in &self.outcomes {
            *targets.entry(*road).or_default() += n;
            if *outcome == Outcome::Delivered {
                roads.entry(*road).or_default().sent = u64::try_from(*n).unwrap_or_default();
            }
        }
        for (road, n) in targets {
            roads.entry(road).or_default().target = u64::try_from(n).unwrap_or_default();
        }
        for ((road, stage), n) in &self.receipts {
            let sums = roads.entry(*road).or_default();
            match stage {
                Stage::Received => sums.received = *n,
                Stage::Clicked => sums.clicked = *n,
            }
        }
        roads
    }

    /// Adds the sums of other chunks.
    pub(super) fn merge(&mut self, other: Self) {
        for (key, n) in other.outcomes {
            *self.outcomes.entry(key).or_default() += n;
        }
        for (key, n) in other.receipts {
            *self.receipts.entry(key).or_default() += n;
        }
        for (name, n) in other.missing {
            *self.missing.entry(name).or_default() += n;
        }
        self.pending += other.pending;
        self.begun += other.begun;
        self.ended += other.ended;
        self.latest = self.latest.max(other.latest);
    }

    /// All targets took the live connection, or would have.
    pub(super) fn all_online(&mut self) {
        let outcomes = std::mem::take(&mut self.outcomes);
        for ((_, outcome), n) in outcomes {
            *self.outcomes.entry((Road::Online, outcome)).or_default() += n;
        }
        let receipts = std::mem::take(&mut self.receipts);
        for ((_, stage), n) in receipts {
            *self.receipts.entry((Road::Online, stage)).or_default() += n;
        }
    }

    /// Adds a chunk: all its rows, each attempt once, and what its devices reported.
    pub(super) fn add_chunk(&mut self, rows: &[ResultRow], receipts: Option<&Receipts>) {
        let there = |attempt: Attempt| rows.iter().any(|row| row.attempt == attempt);
        let begun = there(Attempt::FIRST);
        let mut ended = begun;
        for row in rows {
            self.latest = self.latest.max(Some(row.at));
            for (name, n) in &row.missing {
                *self.missing.entry(name.clone()).or_default() += u64::from(*n);
            }
            let next = row.attempt.next();
            let open = row.leftovers.is_some() && !there(next);
            ended &= !open;
            for fate in row.results.iter().flat_map(|result| &result.fates) {
                if fate.outcome.is_final() {
                    self.add(fate.channel, fate.outcome, 1);
                } else if open {
                    self.pending += 1;
                }
            }
            let replayed = rows.iter().find(|old| old.attempt != row.attempt && old.attempt.replay() == row.attempt);
            self.take_back(row, replayed);
        }
        self.begun += u32::from(begun);
        self.ended += u32::from(ended);
        if let Some(receipts) = receipts {
            self.add_receipts(rows, receipts);
        }
    }

    fn add(&mut self, channel: Option<Channel>, outcome: Outcome, n: i64) {
        *self.outcomes.entry((channel.map_or(Road::None, Road::Channel), outcome)).or_default() += n;
    }

    /// Takes back what `row` says, from the roads that the devices had in the row that gave them up. What is not found there is of no road, so
    /// that the sums by outcome are right whatever the rows say.
    fn take_back(&mut self, row: &ResultRow, given_up_in: Option<&ResultRow>) {
        let mut given_up = given_up_in.map(given_up).unwrap_or_default();
        for (outcome, n) in &row.taken_back {
            for _ in 0..*n {
                let same = given_up.iter().position(|(_, own)| own == outcome);
                let channel = same.and_then(|index| given_up.swap_remove(index).0);
                self.add(channel, *outcome, -1);
            }
        }
    }

    /// Counts the devices that reported and may have got the push, by what became of them last, each once for each stage.
    fn add_receipts(&mut self, rows: &[ResultRow], receipts: &Receipts) {
        let mut rows: Vec<&ResultRow> = rows.iter().collect();
        // A device's tries have rising numbers, also over its replays.
        rows.sort_unstable_by_key(|row| row.attempt);
        let mut devices: HashMap<Digest, (Option<Channel>, Outcome)> = HashMap::new();
        for row in rows {
            for result in &row.results {
                for fate in &result.fates {
                    if let Some(device) = &fate.device {
                        let digest = Digest::of(&result.client, device);
                        let (channel, last) = devices.entry(digest).or_insert((None, fate.outcome));
                        (*channel, *last) = (channel.or(fate.channel), fate.outcome);
                    }
                }
            }
        }
        for stage in Stage::ALL {
            let reported = receipts.of(stage).filter_map(|digest| devices.get(&digest));
            for (channel, _) in reported.filter(|(_, last)| may_have_come(*last)) {
                *self.receipts.entry((channel.map_or(Road::None, Road::Channel), stage)).or_default() += 1;
            }
        }
    }
}

/// Whether a device may have got what came to this: a vendor who did not answer may have it all the same.
fn may_have_come(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Delivered | Outcome::GaveUp | Outcome::Pending => true,
        Outcome::DeadToken
        | Outcome::BadMessage
        | Outcome::Misconfigured
        | Outcome::ChannelUnavailable
        | Outcome::Gone
        | Outcome::NoDevice
        | Outcome::Muted
        | Outcome::Read
        | Outcome::Withdrawn
        | Outcome::Off
        | Outcome::Blocked
        | Outcome::HeldOut
        | Outcome::Cancelled
        | Outcome::MissingValue => false,
    }
}

/// The channel and the outcome of everything that a row gave up.
fn given_up(row: &ResultRow) -> Vec<(Option<Channel>, Outcome)> {
    let channel = |client: &ClientId, device: Option<&DeviceKey>| {
        let results = row.results.iter().filter(|result| result.client == *client);
        let fate = results.flat_map(|result| &result.fates).find(|fate| fate.device.as_ref() == device);
        fate.and_then(|fate| fate.channel)
    };
    let mut all = Vec::new();
    for target in &row.given_up {
        let (outcome, _) = target.was();
        match target {
            Target::Fresh(client) | Target::With { client, .. } => all.push((channel(client, None), outcome)),
            Target::Left { client, devices, .. } | Target::Chosen { client, only: devices } => {
                all.extend(devices.iter().map(|device| (channel(client, Some(device)), outcome)));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests;
