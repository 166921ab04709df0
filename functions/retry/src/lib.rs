//! `retry`: what is due within the next 15 minutes goes from the deferred table to its queue, with its exact delay.
//!
//! A row is deleted after its record is in the queue. A crash in between, or two runs at once, queue a record twice; the second finds the
//! first one's result row.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use pushbell::deferred::{self, DeferredError, Row};
use pushbell::env::{EnvError, Environment};
use pushbell::queue::{LONGEST_DELAY, Work};
use pushbell::time::{QueueClock, Timestamp};
use serde::Deserialize;

/// Rows of a shard that are read at once.
const PAGE: i32 = 100;
/// Rows that are handed on at once.
const IN_FLIGHT: usize = 32;
/// After so many refusals the rest of a shard is left for the next run.
const MOST_REFUSED: usize = 200;
/// With less time than this left, the rest waits for the next run.
const SPARE: Duration = Duration::from_secs(5);

/// What is read of EventBridge Scheduler's event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tick {
    /// The time that the run was scheduled for, RFC 3339.
    time: Option<String>,
}

impl Tick {
    /// The scheduler's clock: a worker's own may be wrong, and what it hands on too early a vendor had asked to wait for. An event without
    /// a time (a run by hand) has the worker's.
    fn clock(&self) -> QueueClock {
        let time = self.time.as_deref().and_then(Timestamp::from_rfc3339);
        QueueClock::from_now(time.unwrap_or_else(Timestamp::now))
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

/// Hands on what is due within the next 15 minutes.
///
/// # Errors
/// When the table does not answer or a queue refuses. Everything that is not handed on stays where it is.
pub async fn handle(state: &State, tick: &Tick, deadline: Instant) -> Result<(), RetryError> {
    let clock = tick.clock();
    let mut run = Run::default();
    for shard in 0..deferred::SHARDS {
        if let Err(error) = drain(state, shard, clock, deadline, &mut run).await {
            tracing::error!(shard, error = %error, "a shard could not be read");
            run.unread = Some(error);
        }
    }
    tracing::info!(moved = run.moved, refused = run.refused, "due work handed on");
    if run.late {
        tracing::warn!(moved = run.moved, metric = "retry_backlog", "the rest waits for the next run");
    }
    match run {
        Run { unread: Some(error), .. } => Err(RetryError::Read(error)),
        Run { refused: 0, .. } => Ok(()),
        Run { refused, .. } => Err(RetryError::Refused(refused)),
    }
}

/// What a run has done so far.
#[derive(Default)]
struct Run {
    moved: usize,
    refused: usize,
    late: bool,
    unread: Option<DeferredError>,
}

/// Hands a shard's due rows on, page by page.
async fn drain(
    state: &State,
    shard: u8,
    clock: QueueClock,
    deadline: Instant,
    run: &mut Run,
) -> Result<(), DeferredError> {
    let until = clock.now().plus(LONGEST_DELAY);
    let (mut from, mut refused) = (None, 0);
    loop {
        if deadline.saturating_duration_since(Instant::now()) < SPARE {
            run.late = true;
            return Ok(());
        }
        let page = state.work.deferred().due(shard, until, PAGE, from).await?;
        let ends: Vec<bool> =
            stream::iter(&page.rows).map(|row| hand_on(state, row, clock)).buffer_unordered(IN_FLIGHT).collect().await;
        let handed_on = ends.iter().filter(|handed_on| **handed_on).count();
        run.moved += handed_on;
        run.refused += ends.len() - handed_on;
        refused += ends.len() - handed_on;
        from = page.next;
        // A queue that refuses so many refuses the rest as well.
        if from.is_none() || refused >= MOST_REFUSED {
            return Ok(());
        }
    }
}

/// Whether the row's record is in its queue.
async fn hand_on(state: &State, row: &Row, clock: QueueClock) -> bool {
    let delay = row.due.since(clock.now());
    if !state.work.hand_on(row.queue, &row.app, &row.body, delay).await {
        return false;
    }
    if let Err(error) = state.work.deferred().remove(row).await {
        // Handed on again by the next run; its result row is there by then.
        tracing::warn!(app = %row.app, error = %error, "a row that was handed on is still there");
    }
    true
}
