//! How a function runs: its clients are built, then it serves what starts it until it is told to end.

use std::convert::Infallible;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_http::{Body, Request, Response, service_fn};
use lambda_runtime::{LambdaEvent, Runtime};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::env::{EnvError, Environment};
use crate::time::{QueueClock, Timestamp};
use crate::{shutdown, telemetry};

/// Serves calls with `handle`, which is given what `new` makes of the process's environment, and writes each call's metrics. `name` is the
/// function's in the log.
pub async fn serve_http<S, F>(
    name: &'static str,
    new: impl FnOnce(&Environment) -> Result<S, EnvError>,
    handle: impl Fn(&'static S, Request) -> F + Send + Sync + 'static,
) -> ExitCode
where
    S: Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let Some(state) = state(name, new) else { return ExitCode::FAILURE };
    let runtime = lambda_http::runtime(service_fn(move |request| {
        let answer = telemetry::metrics::recording(handle(state, request));
        async move { Ok::<_, Infallible>(answer.await) }
    }));
    code(shutdown::serve(runtime).await)
}

/// The same for a function that AWS starts with events of its own: a batch of queue records, a notification, a timer's tick. `handle` is
/// also told when the invocation ends.
pub async fn serve_events<S, E, A, F>(
    name: &'static str,
    new: impl FnOnce(&Environment) -> Result<S, EnvError>,
    handle: impl Fn(&'static S, E, Instant) -> F,
) -> ExitCode
where
    S: Sync + 'static,
    E: DeserializeOwned + 'static,
    A: Serialize + 'static,
    F: Future<Output = A> + 'static,
{
    let Some(state) = state(name, new) else { return ExitCode::FAILURE };
    let runtime = Runtime::new(service_fn(move |event: LambdaEvent<E>| {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        let answer = telemetry::metrics::recording(handle(state, event.payload, Instant::now() + left));
        async move { Ok::<_, Infallible>(answer.await) }
    }));
    code(shutdown::serve(runtime).await)
}

/// What a function keeps as long as its process lives: what the runtime is given outlives every borrow.
fn state<S>(name: &'static str, new: impl FnOnce(&Environment) -> Result<S, EnvError>) -> Option<&'static S> {
    telemetry::init(name);
    match Environment::from_process().and_then(|env| new(&env)) {
        Ok(state) => Some(Box::leak(Box::new(state))),
        Err(error) => {
            tracing::error!(%error, "the function cannot start");
            None
        }
    }
}

fn code(served: Result<(), lambda_runtime::Error>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the runtime ended");
            ExitCode::FAILURE
        }
    }
}

/// A number among a record's attributes.
#[must_use]
pub fn attribute(record: &SqsMessage, name: &str) -> Option<u64> {
    record.attributes.get(name)?.parse().ok()
}

/// How often a record was received, this time included.
#[must_use]
pub fn receive_count(record: &SqsMessage) -> u64 {
    attribute(record, "ApproximateReceiveCount").unwrap_or(1)
}

/// The queue's clock, from the latest time on the records.
#[must_use]
pub fn queue_clock(records: &[SqsMessage]) -> QueueClock {
    let times = records
        .iter()
        .flat_map(|record| ["SentTimestamp", "ApproximateFirstReceiveTimestamp"].map(|name| attribute(record, name)));
    QueueClock::from_now(times.flatten().max().map_or_else(Timestamp::now, Timestamp::from_millis))
}

/// The answer to a batch, whose records ended so: it names those that are to come again. Each is logged and counted.
#[must_use]
pub fn batch_response<E: Error>(event: &SqsEvent, ends: Vec<Result<(), E>>) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for (record, end) in event.records.iter().zip(ends) {
        if let Err(error) = end {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            let received = receive_count(record);
            // The record's group is its app, whatever is wrong with its body.
            let app = record.attributes.get("MessageGroupId").map(String::as_str);
            tracing::error!(app, error = %error, source, received, metric = "record_failed", "the record comes again");
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = record.message_id.clone().unwrap_or_default();
            response.batch_item_failures.push(failure);
        }
    }
    response
}
