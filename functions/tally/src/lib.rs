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
pub async fn handle(state: &State, event: SqsEvent, deadline: Instant) -> SqsBatchResponse {
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
    let counted = state.tallies.count(&batches, Timestamp::now(), deadline).await;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use axum::http::StatusCode;
    use pushbell::telemetry::metrics::captured;
    use serde_json::{Value, json};

    use super::*;

    /// A table that takes every write, or none for good.
    async fn state(answer: (StatusCode, &'static str)) -> State {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(async move || answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let env = Environment::from_lookup(|name| match name {
            "AWS_ENDPOINT_URL" => Some(url.clone()),
            _ => Some("test".to_owned()).filter(|_| !name.starts_with("AWS_ENDPOINT_URL")),
        });
        State::new(&env.unwrap()).unwrap()
    }

    fn event(bodies: &[Value]) -> SqsEvent {
        let mut event = SqsEvent::default();
        for (index, body) in bodies.iter().enumerate() {
            let mut record = SqsMessage::default();
            record.message_id = Some(format!("r{index}"));
            record.body = Some(body.to_string());
            event.records.push(record);
        }
        event
    }

    fn batch(id: &str, events: Value) -> Value {
        json!({"app": "demo", "id": id, "accepted_at": 1_767_225_605_000_u64, "events": events})
    }

    async fn failed(state: &State, event: SqsEvent) -> (Vec<String>, Vec<Value>) {
        let (answer, lines) = captured(handle(state, event, Instant::now() + Duration::from_secs(60))).await;
        (answer.batch_item_failures.into_iter().map(|one| one.item_identifier).collect(), lines)
    }

    #[tokio::test]
    async fn what_was_counted_is_measured_by_vendor_stage_and_class() {
        let state = state((StatusCode::OK, "{}")).await;
        let one = |key: &str, code: i64| json!({"k": key, "of": {"p": "p1"}, "v": 4, "s": 1, "c": code, "at": 1_767_225_600_000_u64});
        let good = batch("AAAAAAAA", json!([one("a", 0), one("b", 0), one("c", 987_654), one("a", 0)]));
        let (failed, lines) = failed(&state, event(&[good])).await;
        assert!(failed.is_empty());
        let told: Vec<_> = lines
            .iter()
            .map(|line| json!([line["vendor"], line["push_stage"], line["class"], line["push_results"]]))
            .collect();
        assert_eq!(told, [json!(["fcm", "sent", "ok", 2]), json!(["fcm", "sent", "unrecognised", 1])]);
    }

    #[tokio::test]
    async fn a_record_that_is_no_batch_fails_alone() {
        let state = state((StatusCode::OK, "{}")).await;
        let good = batch("AAAAAAAA", json!([]));
        let (failed, lines) = failed(&state, event(&[json!("no batch"), good, json!({"app": "demo"})])).await;
        assert_eq!(failed, ["r0", "r2"]);
        assert_eq!(lines[0]["record_failed"], 2);
    }

    #[tokio::test]
    async fn what_is_not_counted_comes_again_and_is_not_measured() {
        let refusal = r#"{"__type": "AccessDeniedException", "message": "no"}"#;
        let state = state((StatusCode::BAD_REQUEST, refusal)).await;
        let one = json!({"k": "a", "of": {"p": "p1"}, "v": 4, "s": 1, "c": 0, "at": 1_767_225_600_000_u64});
        let (failed, lines) =
            failed(&state, event(&[batch("AAAAAAAA", json!([one])), batch("AAAAAAAB", json!([]))])).await;
        assert_eq!(failed, ["r0"]);
        assert!(lines.iter().all(|line| line.get("push_results").is_none()));
    }
}
