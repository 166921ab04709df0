//! Messages whose ends have no row of their own: all of an invocation's are added to the sums of their app's hour by one write.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use futures_util::future::join_all;
use pushbell::app::Stats;
use pushbell::function::receive_count;
use pushbell::id::AppId;
use pushbell::task::{HourSums, ResultRow, Target};
use pushbell::telemetry;
use pushbell::time::Timestamp;
use tokio::time::timeout;

use crate::State;
use crate::chunk::Job;

/// How long the sums may take. An invocation that ran out of time for them would send everything again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The ends of one invocation, by app.
#[derive(Default)]
pub(crate) struct Ends(Mutex<BTreeMap<AppId, HourSums>>);

impl Ends {
    /// Takes `row`, if it need not be written.
    pub(crate) fn take(&self, job: &Job<'_>, record: &SqsMessage, row: &ResultRow) -> bool {
        let is_taken = may_be_summed(job, record) && went_well(row);
        if is_taken {
            let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            sums.entry(row.app.clone()).or_default().add(row);
        }
        is_taken
    }

    /// Adds them to the hours' sums. What is not added is missing there and told; its records are done all the same, as to work on them again
    /// would be to send again.
    pub(crate) async fn note(self, state: &State, now: Timestamp) {
        let sums = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let additions = sums.iter().map(async |(app, sums)| {
            let cause = match timeout(PATIENCE, state.results.add_to_hour(&state.hours, app, sums, now)).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => telemetry::cause(&error),
                Err(late) => late.to_string(),
            };
            let count = sums.messages;
            tracing::error!(app = %app, cause, count, metric = "hour_unsummed", "messages are missing in an hour's sums");
        });
        join_all(additions).await;
    }
}

/// Whether it is a message that counts, to one client, of an app that has these summed, and nobody asks for its row. A record that came
/// before, or may have, has its row: it is in no sum twice, and what comes once more finds it.
fn may_be_summed(job: &Job<'_>, record: &SqsMessage) -> bool {
    let (chunk, settings) = (job.chunk, &job.settings);
    let is_first = chunk.attempt.is_first() && !chunk.repeat && receive_count(record) <= 1;
    // The first chunk of a longer list has a hundred.
    let is_to_one = chunk.seq == 0 && !chunk.headed && matches!(chunk.to.as_slice(), [Target::Fresh(_)]);
    let is_asked_for = settings.results.address.is_some() || chunk.message.behaviour.receipts;
    settings.frugal.stats == Stats::Hour && is_first && is_to_one && chunk.message.counts() && !is_asked_for
}

/// Whether nothing is left to be done: of anything else the row is what it is done by.
fn went_well(row: &ResultRow) -> bool {
    let ResultRow {
        key: _,
        app: _,
        seq: _,
        attempt: _,
        at: _,
        tally: _,
        results,
        leftovers,
        given_up,
        taken_back,
        missing,
    } = row;
    let is_over = leftovers.is_none() && given_up.is_empty() && taken_back.is_empty() && missing.is_empty();
    is_over && results.iter().flat_map(|result| &result.fates).all(|fate| fate.outcome.is_final())
}
