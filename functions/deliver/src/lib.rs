//! `deliver`: a chunk becomes notifications.
//!
//! Per recipient one update, per device one send, many in flight; then one result row, and what is left over goes back into the queue
//! under the chunk's next attempt. A record whose result row cannot be written fails alone, and comes again. What ended well and need have no
//! row, as its app says, is added up for all records of an invocation.

mod backoff;
mod chunk;
mod content;
mod copies;
mod hours;
mod recipient;
mod rendered;
mod roads;
mod send;
mod shares;

use std::time::Instant;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::future::join_all;
use pushbell::app::{AppError, SecretDocuments, SettingsDocuments, Vendors};
use pushbell::delivery::breaker::Breakers;
use pushbell::delivery::fcm::Fcm;
use pushbell::delivery::sns::Sns;
use pushbell::env::{EnvError, Environment};
use pushbell::function::{batch_response, queue_clock, receive_count};
use pushbell::queue::{Refused, Work};
use pushbell::recipient::Recipients;
use pushbell::registry::Registry;
use pushbell::task::{HourWriter, Results, ResultsError};
use shares::Shares;
use tokio::sync::Semaphore;

/// Updates in flight of one environment. More of them make the SDK open more connections and take more memory, and are not faster.
const UPDATES_IN_FLIGHT: usize = 100;
/// With less than this share of the invocation left, recipients that were not begun become leftovers.
const SPARE: u32 = 5;

/// What one environment keeps between invocations.
pub struct State {
    recipients: Recipients,
    registry: Registry,
    results: Results,
    hours: HourWriter,
    work: Work,
    vendors: SecretDocuments<Vendors>,
    settings: SettingsDocuments,
    fcm: Fcm,
    sns: Sns,
    updates: Semaphore,
    shares: Shares,
    breakers: Breakers,
}

impl State {
    /// The clients that `env` describes.
    ///
    /// # Errors
    /// When a variable is missing.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self {
            recipients: Recipients::new(env)?,
            registry: Registry::new(env)?,
            results: Results::new(env)?,
            hours: HourWriter::new(),
            work: Work::new(env)?,
            vendors: SecretDocuments::vendors(env),
            settings: SettingsDocuments::new(env)?,
            fcm: Fcm::new(),
            sns: Sns::new(env),
            updates: Semaphore::new(UPDATES_IN_FLIGHT),
            shares: Shares::new(),
            breakers: Breakers::new(env)?,
        })
    }

    /// Has DynamoDB report the units of every recipient. A benchmark's switch.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.recipients = self.recipients.measured();
        self
    }

    /// The recipients table, with its units when it is [`State::measured`].
    #[must_use]
    pub fn recipients(&self) -> &Recipients {
        &self.recipients
    }
}

/// Why a record fails and comes again, until the queue gives it up.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    /// It is no chunk of ours: it ends in the dead-letter queue.
    #[error("the record is not a chunk (line {line}, column {column})")]
    Malformed { line: usize, column: usize },
    #[error("an app document could not be read")]
    App(#[source] AppError),
    #[error("the task's head or result row could not be read or written")]
    Results(#[source] ResultsError),
    #[error("the leftovers could not be queued")]
    Leftovers(#[source] Refused),
    #[error("the outcomes could not be queued for the app's address")]
    Outcomes(#[source] Refused),
}

/// Delivers the chunks of `event`. The answer names the records that are to come again.
pub async fn handle(state: &State, event: SqsEvent, deadline: Instant) -> SqsBatchResponse {
    let clock = queue_clock(&event.records);
    let left = deadline.saturating_duration_since(Instant::now());
    let soft_deadline = deadline.checked_sub(left / SPARE).unwrap_or(deadline);
    // A record that comes again has the time of its first receipt; only a fresh one in the batch tells the time of now.
    let fresh = event.records.iter().any(|record| receive_count(record) == 1);
    let summed = hours::Ends::default();
    let copies = copies::Copies::default();
    let batch = chunk::Batch { state, clock, soft_deadline, fresh, summed: &summed, copies: &copies };
    let ends = join_all(event.records.iter().map(|record| batch.run(record))).await;
    summed.note(state, clock.now()).await;
    batch_response(&event, ends)
}
