//! `report`: sends outcomes to the apps' own addresses.
//!
//! A record says which result rows hold them. Those of one app go out in signed posts of up to 100; what an address does not take goes
//! back into the queue, post by post, with growing waits, and is given up after three days. An address that fails is left alone for a
//! while, so that it costs others no time.

mod content;
mod pause;
mod posting;
mod wait;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::future::join_all;
use pushbell::app::{AppError, ResultsKeys, SecretDocuments, SettingsDocuments};
use pushbell::env::{EnvError, Environment};
use pushbell::function::{batch_response, queue_clock};
use pushbell::id::AppId;
use pushbell::queue::{Refused, Work};
use pushbell::task::{Report, Results, ResultsError};
use pushbell::webhook;

use pause::Pauses;
use posting::Invocation;

/// The time at an invocation's end in which no post is under way: what was not posted is queued again in it.
const SPARE: Duration = Duration::from_secs(15);

/// What one environment keeps between invocations.
pub struct State {
    work: Work,
    results: Results,
    settings: SettingsDocuments,
    keys: SecretDocuments<ResultsKeys>,
    pauses: Pauses,
    limit: Duration,
}

impl State {
    /// The clients that `env` describes.
    ///
    /// # Errors
    /// When a variable is missing.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self {
            work: Work::new(env)?,
            results: Results::new(env)?,
            settings: SettingsDocuments::new(env)?,
            keys: SecretDocuments::results(env),
            pauses: Pauses::default(),
            limit: webhook::LIMIT,
        })
    }
}

/// Why a record fails and comes again, until the queue gives it up. What records share fails them all.
#[derive(Debug, Clone, thiserror::Error)]
enum RecordError {
    /// It is no record of ours: it ends in the dead-letter queue.
    #[error("the record reports nothing (line {line}, column {column})")]
    Malformed { line: usize, column: usize },
    #[error("an app document could not be read")]
    App(#[source] Arc<AppError>),
    #[error("a result row could not be read")]
    Results(#[source] Arc<ResultsError>),
    #[error("what was not posted could not be queued again")]
    Again(#[source] Arc<Refused>),
}

/// Posts what the records of `event` report. The answer names those that are to come again.
pub async fn handle(state: &State, event: SqsEvent, deadline: Instant) -> SqsBatchResponse {
    let mut ends: Vec<Result<(), RecordError>> = Vec::with_capacity(event.records.len());
    let mut apps: BTreeMap<AppId, Vec<(usize, Report)>> = BTreeMap::new();
    for (number, record) in event.records.iter().enumerate() {
        let report: Result<Report, _> = serde_json::from_str(record.body.as_deref().unwrap_or_default());
        ends.push(match report {
            Ok(report) => {
                apps.entry(report.app().clone()).or_default().push((number, report));
                Ok(())
            }
            Err(error) => Err(RecordError::Malformed { line: error.line(), column: error.column() }),
        });
    }
    let invocation = Invocation {
        state,
        clock: queue_clock(&event.records),
        latest: deadline.checked_sub(SPARE + state.limit).unwrap_or(deadline),
    };
    let failed = join_all(apps.into_iter().map(|(app, reports)| invocation.serve(app, reports))).await;
    for (number, error) in failed.into_iter().flatten() {
        ends[number] = Err(error);
    }
    batch_response(&event, ends)
}

#[cfg(test)]
mod tests;
