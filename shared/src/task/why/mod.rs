//! What happened to one push: what a message's claims, its task's head and its result rows say of one client.

#[cfg(test)]
mod ends;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::{Attempt, Outcome, Reason, Recount, ResultRow, Target};
use crate::delivery::Channel;
use crate::id::{ClientId, DeviceKey, TaskId};
use crate::message::Dialect;
use crate::time::Timestamp;

/// A message, as far as one client is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Its tasks, oldest first. A message that was called back several times has several.
    pub tasks: Vec<TaskWhy>,
    /// Further tasks of it that were not looked into: beyond the [`Self::MOST_TASKS`] oldest.
    pub left_out: usize,
    /// Further tasks of it that are for one other client each: a message that is posted once for each recipient.
    pub of_others: usize,
    /// When it was taken back.
    pub withdrawn_at: Option<Timestamp>,
}

/// One task, as far as one client is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskWhy {
    /// Its number.
    pub task: TaskId,
    /// What asked for it.
    pub kind: Kind,
    /// The protocol, where a claim tells it.
    pub dialect: Option<Dialect>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it was to begin, if that is later.
    pub due: Option<Timestamp>,
    /// How many clients it is for, where a claim tells it.
    pub recipients: Option<u64>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// How far it is, for the client.
    pub progress: Progress,
    /// Whether it was counted for the client.
    pub counted: Counted,
    /// What became of the client as a whole, where no device was named.
    pub outcome: Option<Outcome>,
    /// What was tried before any device was named: the record came, and nothing was begun.
    pub tries: Vec<Try>,
    /// The client's devices in it.
    pub devices: Vec<DeviceWhy>,
    /// What is left over.
    pub pending: Option<Pending>,
}

/// What asked for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A chat server's callback.
    Callback,
    /// A call that notifies an audience.
    Notice,
    /// A chat server's callback that takes the message back.
    Recall,
}

/// How far a task is, for one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is written about the client yet; it may not be for them at all.
    Waiting,
    /// Something is left over, to be tried again.
    Pending,
    /// Every device has its outcome.
    Done,
    /// The message's end has come, and nobody noted that the client, or what was left over of them, was given up: the record was lost, is
    /// among the dead letters, or is late.
    Ended,
    /// It is not for this client.
    NotIn,
}

/// Whether a message was counted for one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// It was.
    Yes,
    /// It was, by an earlier try or by another callback of the message.
    Before,
    /// It was sent and not counted: its mark might have been forgotten.
    Late,
    /// It was not, as it was not sent: that is why.
    Not(Outcome),
    /// The message counts nothing, or sets a number.
    DoesNotCount,
    /// It was not counted when it was given up.
    GaveUp,
    /// A device of the client's had its turn, but nobody knows yet.
    NotYet,
    /// The task is not for this client.
    NotIn,
}

/// One try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Try {
    /// Its number, as in logs.
    pub attempt: Attempt,
    /// When it ended.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, where the outcome does not say it.
    pub reason: Option<Reason>,
}

/// One device of the client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceWhy {
    /// Which.
    pub device: DeviceKey,
    /// Its channel, where that is known.
    pub channel: Option<Channel>,
    /// All its tries, in order; at least one.
    pub tries: Vec<Try>,
    /// It is left over.
    pub pending: bool,
}

impl DeviceWhy {
    /// What came of it last.
    #[must_use]
    pub fn last(&self) -> Option<&Try> {
        self.tries.last()
    }
}

/// What is left over of a client's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Not tried again before.
    pub next_try: Timestamp,
    /// Given up then. Not in rows of earlier releases.
    pub until: Option<Timestamp>,
}

impl Why {
    /// The most tasks of a message that are looked into.
    pub const MOST_TASKS: usize = 200;
}

/// What a chunk's rows say of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rows {
    counted: Counted,
    outcome: Option<Outcome>,
    tries: Vec<Try>,
    devices: Vec<DeviceWhy>,
    pending: Option<Pending>,
}

impl Rows {
    /// `None` where no row names the client. A message `marked` at the client was counted, whatever rows say that were lost.
    fn of(mut rows: Vec<ResultRow>, client: &ClientId, kind: Kind, marked: bool) -> Option<Self> {
        rows.retain(|row| row.results.iter().any(|result| result.client == *client));
        // A device's tries have rising numbers, also over its replays.
        rows.sort_unstable_by_key(|row| row.attempt);
        rows.first()?;
        let mut whole: Vec<Try> = Vec::new();
        let mut devices: BTreeMap<DeviceKey, DeviceWhy> = BTreeMap::new();
        for row in &rows {
            for fate in row.results.iter().filter(|result| result.client == *client).flat_map(|result| &result.fates) {
                let one = Try { attempt: row.attempt, at: row.at, outcome: fate.outcome, reason: fate.reason };
                let Some(key) = &fate.device else {
                    whole.push(one);
                    continue;
                };
                let device = devices.entry(key.clone()).or_insert_with(|| DeviceWhy {
                    device: key.clone(),
                    channel: None,
                    tries: Vec::new(),
                    pending: false,
                });
                device.channel = device.channel.or(fate.channel);
                device.tries.push(one);
            }
        }
        let pending = rows.iter().filter_map(|row| left_over(row, &rows, client)).max_by_key(|left| left.next_try);
        for device in devices.values_mut() {
            device.pending = pending.is_some() && device.last().is_some_and(|last| !last.outcome.is_final());
        }
        let outcome = whole.last().map(|one| one.outcome);
        let begun = devices.values().next().is_some();
        whole.retain(|one| !one.outcome.is_final());
        Some(Self {
            counted: counted(&rows, client, kind, marked),
            // What was not begun once was begun later.
            outcome: outcome.filter(|outcome| outcome.is_final() || !begun),
            tries: whole,
            devices: devices.into_values().collect(),
            pending,
        })
    }

    /// What is left over is not tried any more.
    fn end(&mut self) {
        self.pending = None;
        self.devices.iter_mut().for_each(|device| device.pending = false);
    }
}

/// What `row` left over of the client, if the next attempt has no row yet.
fn left_over(row: &ResultRow, rows: &[ResultRow], client: &ClientId) -> Option<Pending> {
    let left = row.leftovers.as_ref()?;
    if rows.iter().any(|other| other.attempt == row.attempt.next()) {
        return None;
    }
    let own = left.to.iter().find(|target| target.client() == client)?;
    let not_before = match own {
        Target::Left { not_before, .. } => *not_before,
        Target::Fresh(_) | Target::Chosen { .. } | Target::With { .. } => None,
    };
    Some(Pending { next_try: not_before.map_or(left.due, |not_before| not_before.max(left.due)), until: left.until })
}

/// Told by the first row in which the client was begun.
fn counted(rows: &[ResultRow], client: &ClientId, kind: Kind, marked: bool) -> Counted {
    if kind == Kind::Recall {
        return Counted::DoesNotCount;
    }
    let mut latest = Counted::NotYet;
    for row in rows {
        let own = |targets: &[Target]| {
            let mut own = targets.iter().filter(|target| target.client() == client).peekable();
            own.peek().is_some() && own.all(|target| !matches!(target, Target::Left { .. }))
        };
        if row.leftovers.as_ref().is_some_and(|left| own(&left.to)) {
            latest = Counted::NotYet;
            continue;
        }
        if own(&row.given_up) {
            latest = Counted::GaveUp;
            continue;
        }
        let Some(result) = row.results.iter().find(|result| result.client == *client) else { continue };
        match result.recount {
            Some(Recount::Repeat) => return Counted::Before,
            Some(Recount::Late) => return Counted::Late,
            None => {}
        }
        let unsent = result.fates.iter().map(|fate| fate.outcome).find(|outcome| stops_a_count(*outcome));
        if let Some(outcome) = unsent {
            return Counted::Not(outcome);
        }
        let tally = row.tally;
        if tally.counted + tally.repeat + tally.uncounted > 0 {
            return Counted::Yes;
        }
        return Counted::DoesNotCount;
    }
    // Counted by a run that wrote no row.
    if marked { Counted::Before } else { latest }
}

/// Whether who has this outcome in the first attempt was not counted.
fn stops_a_count(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Muted
        | Outcome::Blocked
        | Outcome::Read
        | Outcome::Withdrawn
        | Outcome::Cancelled
        | Outcome::MissingValue => true,
        Outcome::Delivered
        | Outcome::DeadToken
        | Outcome::BadMessage
        | Outcome::Misconfigured
        | Outcome::GaveUp
        | Outcome::ChannelUnavailable
        | Outcome::Gone
        | Outcome::NoDevice
        | Outcome::Off
        | Outcome::HeldOut
        | Outcome::Pending => false,
    }
}
