//! Metrics, as lines in the logs that CloudWatch reads (the embedded metric format): no call, no thread, nothing when nothing happened.
//!
//! A function runs its handler inside [`recording`]. What is counted meanwhile is written when it ends, before the answer is given: Lambda
//! may freeze the process right after. Outside of it counting does nothing. A log event with a `metric` field counts one for that metric
//! (or its `count`), for the event's `app` and `channel`; so a call site that warns needs no second line.
//!
//! A number that is 0 is not written, and a metric that has no number in an hour is not paid for in that hour.

mod events;
mod line;
mod metric;
mod recorder;
mod spread;

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

pub(super) use events::Events;
pub use line::NAMESPACE;
pub use metric::{Metric, Shape};

use crate::delivery::{Channel, Class};
use crate::filter::Rule;
use crate::id::AppId;
use crate::tally::{self, Stage, Vendor};
use crate::time::Timestamp;
use line::Lines;
use recorder::Recorder;

tokio::task_local! {
    static RECORDER: RefCell<Recorder>;
}

/// Whom a number is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of<'a> {
    /// The whole bundle.
    Everything,
    /// One app.
    App(&'a AppId),
    /// One app's way to one vendor.
    Channel(&'a AppId, Channel),
    /// One app's recipients, as far as a rule of the filter has removed them.
    Rule(&'a AppId, Rule),
}

/// Adds `n` to `metric`; of [`Metric::RetryBacklog`] and [`Metric::OldestDueAge`] (seconds) the greatest `n` of the invocation stays.
pub fn count(metric: Metric, of: Of<'_>, n: u64) {
    record(|recorder| recorder.add(metric, of, n));
}

/// Counts one send with its verdict, and with it what an alarm looks at: a misconfigured app, a used-up quota. `took`: from its start to
/// the verdict, where the vendor was asked at all.
pub fn sent(app: &AppId, channel: Channel, class: Class, took: Option<Duration>) {
    record(|recorder| recorder.sent(app, channel, class, took));
}

/// Counts what vendors reported of an app's pushes.
pub fn reported(app: &AppId, vendor: Vendor, stage: Stage, class: tally::Class, n: u64) {
    record(|recorder| recorder.reported(app, (vendor, stage), class, n));
}

fn record(act: impl FnOnce(&mut Recorder)) {
    // An error says that nobody is recording.
    let _ = RECORDER.try_with(|recorder| {
        // Never borrowed twice: nothing in the recorder counts or logs.
        if let Ok(mut recorder) = recorder.try_borrow_mut() {
            act(&mut recorder);
        }
    });
}

/// Runs one invocation's `work`, and writes to standard output what it counted. What it spawns on the runtime is not heard.
pub async fn recording<F: Future>(work: F) -> F::Output {
    let (answer, recorder) = recorded(work).await;
    if !recorder.groups().is_empty() {
        static LINES: OnceLock<Mutex<Lines>> = OnceLock::new();
        let mut lines = LINES.get_or_init(|| Mutex::new(lines())).lock().unwrap_or_else(PoisonError::into_inner);
        let text = text(&mut lines, &recorder, Timestamp::now());
        // One write of whole lines, so that no log line comes between. There is nowhere to say that standard output is closed.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&text).and_then(|()| out.flush());
    }
    answer
}

/// Runs `work`, and returns the lines that [`recording`] would write, for stage `test`. For tests: which numbers a handler counts, by its
/// log events too, which are heard here alone.
pub async fn captured<F: Future>(work: F) -> (F::Output, Vec<serde_json::Value>) {
    let events = tracing_subscriber::registry().with(Events::layer());
    let (answer, recorder) = recorded(work.with_subscriber(events)).await;
    let text = text(&mut Lines::new("test".to_owned(), true, None), &recorder, Timestamp::now());
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    (answer, lines.collect())
}

async fn recorded<F: Future>(work: F) -> (F::Output, Recorder) {
    let mut scope = Box::pin(RECORDER.scope(RefCell::default(), work));
    let answer = scope.as_mut().await;
    let recorder = scope.as_mut().take_value().map(RefCell::into_inner).unwrap_or_default();
    (answer, recorder)
}

fn text(lines: &mut Lines, recorder: &Recorder, now: Timestamp) -> Vec<u8> {
    let mut text = Vec::new();
    for group in recorder.groups() {
        let whole = text.len();
        if let Err(error) = lines.write(group, now, &mut text) {
            text.truncate(whole);
            tracing::error!(error = %error, "a line of metrics could not be written");
        }
    }
    text
}

/// The lines of this process: its stage, `METRICS_BY_APP`, and the application log level.
fn lines() -> Lines {
    let by_app = std::env::var("METRICS_BY_APP").map_or(true, |value| value != "false");
    let level = match super::level() {
        LevelFilter::OFF | LevelFilter::ERROR => Some("ERROR"),
        LevelFilter::WARN => Some("WARN"),
        _ => None,
    };
    Lines::new(std::env::var("STAGE").unwrap_or_default(), by_app, level)
}

#[cfg(test)]
mod tests;
