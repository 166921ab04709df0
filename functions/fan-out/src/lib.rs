//! `fan-out`: a task of more recipients than one record should carry becomes chunks; so does one for audiences, page by page.

mod cut;
mod gather;
mod walk;

use std::time::Instant;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::future::join_all;
use pushbell::env::{EnvError, Environment, Queue};
use pushbell::function::{batch_response, receive_count};
use pushbell::id::AppId;
use pushbell::queue::{self, Refused, Work};
use pushbell::registry::{Registry, RegistryError};
use pushbell::task::{self, Part, Results, ResultsError, Split};
use pushbell::time::Timestamp;
use serde::Deserialize;
use tracing::{Instrument as _, Span};

/// What one environment keeps between invocations.
pub struct State {
    work: Work,
    results: Results,
    registry: Registry,
}

impl State {
    /// The clients that `env` describes.
    ///
    /// # Errors
    /// When a variable is missing.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self { work: Work::new(env)?, results: Results::new(env)?, registry: Registry::new(env)? })
    }
}

/// Why a record fails and comes again, until the queue gives it up.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    /// It is no part of a task: it ends in the dead-letter queue.
    #[error("the record is not a part of a task (line {line}, column {column})")]
    Malformed { line: usize, column: usize },
    #[error("the chunks could not be queued")]
    Queue(#[source] Refused),
    #[error("a row of the task could not be read or written")]
    Results(#[source] ResultsError),
    #[error("the audience could not be read")]
    Registry(#[source] RegistryError),
}

/// What of a message is read here.
#[derive(Deserialize)]
struct Origin {
    origin: From,
}

#[derive(Deserialize)]
struct From {
    app: AppId,
    operation: Option<String>,
}

/// With less than this share of the invocation left, no further page is begun.
const SPARE: u32 = 3;

/// Cuts the parts and audiences in `event` into chunks. The answer names the records that are to come again.
pub async fn handle(state: &State, event: SqsEvent, deadline: Instant) -> SqsBatchResponse {
    let left = deadline.saturating_duration_since(Instant::now());
    let soft_deadline = deadline.checked_sub(left / SPARE).unwrap_or(deadline);
    let ends = join_all(event.records.iter().map(|record| run(state, record, soft_deadline))).await;
    batch_response(&event, ends)
}

async fn run(state: &State, record: &SqsMessage, soft_deadline: Instant) -> Result<(), RecordError> {
    let work = task::Work::parse(record.body.as_deref().unwrap_or_default()).map_err(malformed)?;
    let message = match &work {
        task::Work::Part(part) => &part.message,
        task::Work::Walk(walk) => &walk.message,
    };
    let Origin { origin } = serde_json::from_str(message.get()).map_err(malformed)?;
    // A record that comes again has queued some of its chunks: deliver looks for their results before it sends.
    let again = receive_count(record) > 1;
    // What the caller named its request stands on every line that is written meanwhile.
    let From { app, operation } = origin;
    let span = operation.map_or_else(Span::none, |operation| tracing::info_span!("part", operation));
    async {
        match &work {
            task::Work::Part(part) => cut(state, part, app, again).await,
            task::Work::Walk(walk) => match walk.shard {
                None => walk::spread(state, &app, walk, again).await,
                Some(shard) => walk::shard(state, &app, walk, shard, (again, soft_deadline)).await,
            },
        }
    }
    .instrument(span)
    .await
}

fn malformed(error: serde_json::Error) -> RecordError {
    RecordError::Malformed { line: error.line(), column: error.column() }
}

async fn cut(state: &State, part: &Part, app: AppId, again: bool) -> Result<(), RecordError> {
    let now = Timestamp::now();
    let bodies =
        part.chunks(again).map(|chunk| queue::body(&chunk)).collect::<Result<Vec<_>, _>>().map_err(malformed)?;
    state.work.put_all(Queue::Deliver, &app, bodies, now).await.map_err(RecordError::Queue)?;
    tracing::info!(app = %app, task = part.key.task.get(), first = part.first, chunks = part.len(), recipients = part.to.len(), "cut");
    let split = Split { first: part.first, chunks: part.len(), app, key: part.key.clone() };
    state.results.put_split(&split, now).await.map_err(RecordError::Results)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_record_that_fails_comes_again_and_is_counted() {
        let env = Environment::from_lookup(|_| Some("http://127.0.0.1:1".to_owned())).unwrap();
        let mut event = SqsEvent::default();
        for id in ["r1", "r2"] {
            let mut record = SqsMessage::default();
            record.message_id = Some(id.to_owned());
            record.body = Some("no part of a task".to_owned());
            event.records.push(record);
        }
        let state = State::new(&env).unwrap();
        let (answer, lines) = pushbell::telemetry::metrics::captured(handle(&state, event, Instant::now())).await;
        let failed: Vec<&str> = answer.batch_item_failures.iter().map(|one| one.item_identifier.as_str()).collect();
        assert_eq!(failed, ["r1", "r2"]);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["record_failed"], 2);
    }
}
