//! `tally`: what vendors reported about pushes is counted, each event once.
//!
//! A record is the batch of one callback. It fails whole, and comes again; what of it was counted is not counted again.

use std::time::Instant;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use pushbell::env::{EnvError, Environment};
use pushbell::function::batch_response;
use pushbell::tally::{Batch, Counts, Tallies, TallyError};
use pushbell::telemetry::metrics;
use pushbell::time::Timestamp;

/// What one environment keeps between invocations.
pub struct State {
    tallies: Tallies,
}

impl State {
    /// The clients that `env` describes.
    ///
    /// # Errors
    /// When a variable is missing.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self { tallies: Tallies::new(env)? })
    }

    /// Has DynamoDB report the units of every write. A benchmark's switch.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.tallies = self.tallies.measured();
        self
    }

    /// The rows of events and counters, with the units written when it is [`State::measured`].
    #[must_use]
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }
}

/// Why a record fails and comes again, until the queue gives it up.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    /// It ends in the dead-letter queue.
    #[error("the record is not a batch of events (line {line}, column {column})")]
    Malformed { line: usize, column: usize },
    #[error("the events could not be counted")]
    Tally(#[source] TallyError),
}

/// Counts the events of the records of `event`. The answer names the records that are to come again.
pub async fn handle(state: &State, event: SqsEvent, _deadline: Instant) -> SqsBatchResponse {
    let read: Vec<Result<Batch, RecordError>> = event.records.iter().map(batch).collect();
    let (mut batches, mut ends) = (Vec::with_capacity(read.len()), Vec::with_capacity(read.len()));
    let mut slots = Vec::with_capacity(read.len());
    for (index, read) in read.into_iter().enumerate() {
        match read {
            Ok(batch) => {
                batches.push(batch);
                slots.push(index);
                ends.push(Ok(()));
            }
            Err(error) => ends.push(Err(error)),
        }
    }
    let counted = state.tallies.count(&batches, Timestamp::now()).await;
    for ((batch, index), counted) in batches.iter().zip(slots).zip(counted) {
        match counted {
            Ok(counts) => note(batch, &counts),
            Err(error) => ends[index] = Err(RecordError::Tally(error)),
        }
    }
    batch_response(&event, ends)
}

fn batch(record: &SqsMessage) -> Result<Batch, RecordError> {
    serde_json::from_str(record.body.as_deref().unwrap_or_default())
        .map_err(|error| RecordError::Malformed { line: error.line(), column: error.column() })
}

/// One line per batch, and the numbers of what it counted. Accounts are not in it.
fn note(batch: &Batch, counts: &Counts) {
    let mut counted = 0;
    for (vendor, stage, class, n) in counts.by() {
        metrics::reported(&batch.app, vendor, stage, class, n);
        counted += n;
    }
    tracing::info!(app = %batch.app, batch = batch.id, events = batch.events.len(), counted, "batch");
}
