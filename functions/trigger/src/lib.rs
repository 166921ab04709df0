//! `trigger`: changes of a table's items and events of an EventBridge bus, to the apps' rules.
//!
//! Both come at least once, and a record that failed comes again: each rule pushes once for an event's id. What no rule can use is counted
//! and does not come again; trouble of ours (a table, a queue) makes it come again until AWS gives it up.

mod stream;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::time::{Duration, Instant};

use pushbell::app::{AppError, SettingsDocuments};
use pushbell::env::{EnvError, Environment};
use pushbell::id::AppId;
use pushbell::task::{Intake, SubmitError};
use pushbell::telemetry::metrics::{self, Metric, Of};
use pushbell::time::Timestamp;
use pushbell::trigger::{Event, Kind, fire};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::timeout_at;

use stream::Record;

/// What is not done so long before the invocation ends comes again: killed by Lambda, all of the batch would.
const ANSWER_BEFORE: Duration = Duration::from_secs(2);

/// What one environment keeps between invocations.
pub struct State {
    settings: SettingsDocuments,
    intake: Intake,
    /// Whose rules see what comes.
    apps: Vec<AppId>,
}

impl State {
    /// The clients that `env` describes.
    ///
    /// # Errors
    /// When a variable is missing or cannot be read.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        let apps = env.trigger_apps()?;
        Ok(Self { settings: SettingsDocuments::new(env)?, intake: Intake::new(env)?, apps })
    }
}

/// Why an event comes again.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// An app's rules are not known.
    #[error("an app's settings could not be read")]
    App(#[source] AppError),
    /// A push of an event's is not safely queued.
    #[error("a push could not be queued")]
    Queue(#[source] SubmitError),
    /// Time is over.
    #[error("the invocation ends before the event is worked off")]
    Late,
}

/// What the function answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a stream: the record that everything from comes again.
    #[serde(rename_all = "camelCase")]
    Stream {
        /// One at most.
        batch_item_failures: Vec<Failure>,
    },
    /// To a bus: nothing.
    Done,
}

/// A record that comes again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Its sequence number. Lambda takes one that is empty for the whole batch.
    pub item_identifier: String,
}

/// An event of a bus.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct BusEvent {
    id: String,
    source: String,
    detail_type: String,
    detail: Map<String, Value>,
}

/// Sums of one invocation, for its line in the log.
#[derive(Debug, Default)]
struct Sums {
    events: usize,
    unmatched: usize,
    triggered: usize,
    refused: usize,
    unreadable: usize,
}

/// Has the apps' rules push for what has come.
///
/// # Errors
/// When an event of a bus is to come again. A stream's answer names the record instead.
pub async fn handle(state: &State, event: Value, deadline: Instant) -> Result<Answer, TriggerError> {
    let until = deadline.checked_sub(ANSWER_BEFORE).unwrap_or(deadline);
    let mut sums = Sums::default();
    let answer = match event {
        Value::Object(mut object) => match object.remove("Records") {
            Some(Value::Array(records)) => Ok(state.batch(records, until, &mut sums).await),
            _ => state.bus(object, until, &mut sums).await.map(|()| Answer::Done),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            sums.unreadable();
            Ok(Answer::Done)
        }
    };
    metrics::count(Metric::TriggerUnmatched, Of::Everything, sums.unmatched.try_into().unwrap_or(u64::MAX));
    let Sums { events, unmatched, triggered, refused, unreadable } = sums;
    tracing::info!(events, unmatched, triggered, refused, unreadable, "events worked off");
    answer
}

impl State {
    /// One after the other, up to the first that fails: a stream is handed over again from there on.
    async fn batch(&self, records: Vec<Value>, until: Instant, sums: &mut Sums) -> Answer {
        for record in records {
            let sequence_number = stream::sequence_number(&record).to_owned();
            let Some((id, change)) = serde_json::from_value(record).ok().and_then(|record: Record| {
                let id = record.id.clone();
                Some((id, record.read()?))
            }) else {
                sums.unreadable();
                continue;
            };
            let kind = Kind::Changed { table: &change.table, change: change.change };
            let event = Event { kind, id: Some(&id), document: &change.document };
            if self.take(&event, until, sums).await.is_err() {
                return Answer::Stream { batch_item_failures: vec![Failure { item_identifier: sequence_number }] };
            }
        }
        Answer::Stream { batch_item_failures: Vec::new() }
    }

    async fn bus(&self, object: Map<String, Value>, until: Instant, sums: &mut Sums) -> Result<(), TriggerError> {
        let Ok(event) = serde_json::from_value::<BusEvent>(Value::Object(object)) else {
            sums.unreadable();
            return Ok(());
        };
        let kind = Kind::Bus { source: &event.source, detail_type: &event.detail_type };
        self.take(&Event { kind, id: Some(&event.id), document: &event.detail }, until, sums).await
    }

    /// Hands an event to the rules of every app. What one app cannot do does not hold up the others' pushes.
    async fn take(&self, event: &Event<'_>, until: Instant, sums: &mut Sums) -> Result<(), TriggerError> {
        sums.events += 1;
        let (mut is_nothing, mut failed) = (true, None);
        for app in &self.apps {
            let pushed = timeout_at(until.into(), self.push(app, event, sums)).await;
            match pushed.unwrap_or(Err(TriggerError::Late)) {
                Ok(nothing) => is_nothing &= nothing,
                Err(error) => {
                    let source = error.source().map(ToString::to_string).unwrap_or_default();
                    tracing::error!(app = %app, error = %error, source, metric = "record_failed", "the event comes again");
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => {
                sums.unmatched += usize::from(is_nothing);
                Ok(())
            }
        }
    }

    /// Whether none of the app's rules is about the event.
    async fn push(&self, app: &AppId, event: &Event<'_>, sums: &mut Sums) -> Result<bool, TriggerError> {
        let settings = self.settings.get(app).await.map_err(TriggerError::App)?;
        // A record may be hours old, and a bus's event bears whatever time its sender gave it: neither says what time it is now.
        let mut fired = fire(&self.intake, &settings, app, event, Timestamp::now()).await;
        sums.triggered += fired.triggered.iter().filter(|triggered| !triggered.repeated).count();
        sums.refused += fired.refused.len();
        match fired.unqueued.pop() {
            Some(unqueued) => Err(TriggerError::Queue(unqueued.error)),
            None => Ok(fired.is_nothing()),
        }
    }
}

impl Sums {
    fn unreadable(&mut self) {
        self.events += 1;
        self.unreadable += 1;
        tracing::warn!(metric = "trigger_unreadable", "what came is no event, and is left out");
    }
}
