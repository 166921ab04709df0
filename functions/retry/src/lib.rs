//! `retry`: what is due within the next 15 minutes goes from the deferred table to its queue, with its exact delay.
//!
//! A row is deleted after its record is in the queue. A crash in between, or two runs at once, queue a record twice; the second finds the
//! first one's result row. How a backlog is worked off, and why nobody starves in it: `docs/retries.md`.

mod reading;
mod run;

use std::time::{Duration, Instant};

use pushbell::deferred::DeferredError;
use pushbell::env::{EnvError, Environment};
use pushbell::queue::Work;
use pushbell::telemetry::metrics::{self, Metric, Of};
use pushbell::time::{QueueClock, Timestamp};
use serde::Deserialize;

use run::{Run, Tally};

/// The part of the time that is kept for the turns under way, and its most: three tries at the table and one at the queue.
const SPARE: (u32, Duration) = (5, Duration::from_secs(15));
/// How long after its scheduled time a run may begin: the scheduler's tries and Lambda's, 5 minutes each, and what the runs took.
const LATEST: Duration = Duration::from_secs(12 * 60);

/// What is read of EventBridge Scheduler's event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tick {
    /// The time that the run was scheduled for, RFC 3339.
    time: Option<String>,
}

impl Tick {
    /// The worker's clock where it can be right, which is to say within the time that a run of this tick may begin in; otherwise the
    /// scheduler's. A wrong clock would hand on too early what a vendor had asked to wait for; a tick that was tried again minutes later
    /// has an old time. An event without a time (a run by hand) has the worker's.
    fn clock(&self, worker: Timestamp) -> QueueClock {
        let time = self.time.as_deref().and_then(Timestamp::from_rfc3339);
        let may_be = |time: &Timestamp| *time <= worker && worker <= time.plus(LATEST);
        QueueClock::from_now(time.filter(|time| !may_be(time)).unwrap_or(worker))
    }
}

/// What one environment keeps between invocations.
pub struct State {
    work: Work,
}

/// Why a run ended early. What it had handed on is handed on.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The deferred table did not answer.
    #[error("due work could not be read")]
    Read(#[source] DeferredError),
    /// What was handed on is still in the table, and is handed on again by the next run. Nothing more was.
    #[error("work that was handed on could not be deleted")]
    Delete(#[source] DeferredError),
    /// SQS refused so many records; they stay where they are.
    #[error("{0} due records were refused by their queues")]
    Refused(usize),
}

impl State {
    /// The clients that `env` describes.
    ///
    /// # Errors
    /// When a variable is missing.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self { work: Work::new(env)? })
    }
}

/// Hands on what is due within the next 15 minutes, unless another run does.
///
/// # Errors
/// When the table does not answer or a queue refuses. Everything that is not handed on stays where it is.
pub async fn handle(state: &State, tick: &Tick, deadline: Instant) -> Result<(), RetryError> {
    let clock = tick.clock(Timestamp::now());
    let left = deadline.saturating_duration_since(Instant::now());
    let spare = (left / SPARE.0).min(SPARE.1);
    let (deferred, now) = (state.work.deferred(), clock.now());
    let Some(lease) = deferred.lease(now, now.plus(left)).await.map_err(RetryError::Read)? else {
        tracing::info!("another run hands on");
        return Ok(());
    };
    let tally = Run::new(&state.work, clock, deadline.checked_sub(spare).unwrap_or(deadline)).run().await;
    if let Err(error) = deferred.release(lease).await {
        tracing::warn!(error = %error, "the next run waits until the lease of this one has ended");
    }
    report(&tally, clock.now());
    end(tally).inspect_err(|error| {
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(error = %error, source, "the run has failed");
    })
}

fn report(tally: &Tally, now: Timestamp) {
    let refused: usize = tally.refused.iter().sum();
    let age = tally.oldest_left.map_or(0, |oldest| now.since(oldest).as_secs());
    for (metric, n) in [
        (Metric::RetryMoved, tally.moved),
        (Metric::RetryRefused, refused),
        (Metric::RetryBacklog, tally.rows_left),
        (Metric::DeferredUnreadable, tally.unreadable),
    ] {
        metrics::count(metric, Of::Everything, n.try_into().unwrap_or(u64::MAX));
    }
    metrics::count(Metric::OldestDueAge, Of::Everything, age);
    tracing::info!(moved = tally.moved, refused, lanes = tally.lanes, "due work handed on");
    if tally.unreadable > 0 {
        tracing::error!(unreadable = tally.unreadable, "rows are no records");
    }
    if tally.lanes_left > 0 || tally.rows_left > 0 {
        tracing::warn!(
            lanes_left = tally.lanes_left,
            rows_left_at_least = tally.rows_left,
            oldest_due_age_seconds = age,
            "the rest waits for the next run"
        );
    }
}

fn end(tally: Tally) -> Result<(), RetryError> {
    match tally {
        Tally { undeleted: Some(error), .. } => Err(RetryError::Delete(error)),
        Tally { unread: Some(error), .. } => Err(RetryError::Read(error)),
        Tally { refused, .. } => match refused.iter().sum() {
            0 => Ok(()),
            refused => Err(RetryError::Refused(refused)),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_worker_s_clock_counts_where_it_can_be_right() {
        let scheduled = Timestamp::from_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let tick = Tick { time: Some(scheduled.to_rfc3339()) };
        let seconds = |worker: Timestamp| tick.clock(worker).now().since(scheduled).as_secs();
        // On time, and tried again four minutes later.
        assert_eq!(seconds(scheduled.plus(Duration::from_secs(1))), 1);
        assert_eq!(seconds(scheduled.plus(Duration::from_secs(240))), 240);
        // An hour off.
        assert_eq!(seconds(scheduled.plus(Duration::from_secs(3_600))), 0);
        assert_eq!(seconds(scheduled.minus(Duration::from_secs(3_600))), 0);
        let by_hand = Tick::default().clock(scheduled);
        assert!(by_hand.now().since(scheduled) < Duration::from_secs(60));
    }

    #[test]
    fn a_run_that_left_something_undone_has_failed() {
        assert!(end(Tally::default()).is_ok());
        assert!(matches!(end(Tally { refused: [0, 2, 1, 0, 0, 0], ..Tally::default() }), Err(RetryError::Refused(3))));
        let unread = Tally { unread: Some(DeferredError::Unprocessed(1)), ..Tally::default() };
        assert!(matches!(end(unread), Err(RetryError::Read(_))));
    }
}
