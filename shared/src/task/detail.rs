//! What became of a task: how far it is, and the sums over its result rows. Nothing is counted while it runs, so nothing can be counted wrong: who
//! asks pays for the reading, half a read unit for each 4 KB of rows (about a hundred targets).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;

use super::receipts::{self, Receipts};
use super::results::{KEPT, from_item, number_of, pk, text_of};
use super::{AudiencePage, Extent, Head, MOST_RECIPIENTS, Outcome, ResultRow, Results, ResultsError, Sums, TaskKey};
use crate::aws::text;
use crate::id::{AppId, TaskId};
use crate::time::Timestamp;

/// Queries under way at once, each for up to 1 MB.
const READS: usize = 16;
/// Tasks that are summed at once.
const TASKS: usize = 8;
/// Chunks of a list that are read by one query after another; longer lists are read in parallel.
const CHUNKS: u32 = 512;
/// Behind every kind of row of a nonce, and every try of a chunk.
const LAST: &str = "~";
/// A hook's task of just so many recipients as fit a chunk is a chunk, or the first of several whose number is not yet written. Fan-out
/// writes it in the run that queues them, which takes no longer than this.
const CUT: Duration = FAN_OUT_LIMIT;
/// For how long after a cancellation a page may still be stored: by a run of fan-out that looked at the head before it was written. That takes
/// as long as the call that cancels, 15 s; the rest is for clocks that differ.
const LAST_PAGE: Duration = FAN_OUT_LIMIT.saturating_add(Duration::from_secs(30));

/// A run of fan-out takes no longer: its timeout in `template.yaml`.
pub const FAN_OUT_LIMIT: Duration = Duration::from_secs(60);

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// In the queue, or waiting for its time.
    Queued,
    /// Its audience is being read.
    Expanding,
    /// All its targets are known, and not all of them have their outcome.
    Sending,
    /// Every target has its outcome.
    Done,
    /// Somebody cancelled it. What was under way may still be sent; if that was everything, it is done.
    Cancelled,
}

impl State {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Expanding => "expanding",
            Self::Sending => "sending",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// How far it is.
    pub state: State,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When the last of its targets had its outcome; or, of an audience that was not read to its end, when it was cancelled, if that was later.
    pub done_at: Option<Timestamp>,
    /// What its targets had.
    pub sums: Sums,
}

/// How many chunks a task makes, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    chunks: u32,
    /// There are no more.
    whole: bool,
    begun: bool,
}

/// The times of a task that its rows do not tell.
#[derive(Debug, Clone, Copy)]
struct Times {
    created_at: Timestamp,
    /// When it is done if it has no targets.
    empty_at: Timestamp,
    cancelled_at: Option<Timestamp>,
    now: Timestamp,
}

impl Detail {
    fn of(times: Times, plan: Plan, sums: Sums) -> Self {
        let ended = sums.begun >= plan.chunks && sums.ended >= plan.chunks;
        let done_at = match times.cancelled_at {
            _ if !ended => None,
            // Fan-out reads no further.
            Some(at) if !plan.whole => {
                (at.plus(LAST_PAGE) <= times.now).then(|| sums.latest.map_or(at, |last| last.max(at)))
            }
            Some(_) | None => plan.whole.then(|| sums.latest.unwrap_or(times.empty_at)),
        };
        let too_late = plan.whole && done_at.is_some() && sums.of(Outcome::Cancelled) == 0;
        let state = match (times.cancelled_at, done_at) {
            (Some(_), _) if !too_late => State::Cancelled,
            (_, Some(_)) => State::Done,
            (_, None) if !plan.begun && sums.latest.is_none() => State::Queued,
            (_, None) if !plan.whole => State::Expanding,
            (_, None) => State::Sending,
        };
        Self { state, created_at: times.created_at, done_at, sums }
    }

    /// Two tasks that drew one number, as one.
    fn and(self, other: Self) -> Self {
        let mut sums = self.sums;
        sums.merge(other.sums);
        let done_at = self.done_at.zip(other.done_at).map(|(one, two)| one.max(two));
        let created_at = self.created_at.min(other.created_at);
        Self { state: self.state.min(other.state), created_at, done_at, sums }
    }
}

impl Head {
    /// Whether its rows are still to be gone by.
    #[must_use]
    pub fn is_kept(&self, now: Timestamp) -> bool {
        now < self.due.plus(KEPT)
    }
}

impl Results {
    /// What became of `app`'s tasks, in the order of `tasks`; `None` where there is no such task, or none any more. As the rows were within the
    /// last second.
    ///
    /// # Errors
    /// When the table does not answer, or a row is not of its shape.
    pub async fn details(
        &self,
        app: &AppId,
        tasks: &[TaskId],
        now: Timestamp,
    ) -> Result<Vec<Option<Detail>>, ResultsError> {
        let reader = Reader { results: self, app, reads: Semaphore::new(READS), now };
        stream::iter(tasks.iter().copied()).map(|task| reader.detail(task)).buffered(TASKS).try_collect().await
    }
}

type Item = HashMap<String, AttributeValue>;

struct Reader<'a> {
    results: &'a Results,
    app: &'a AppId,
    reads: Semaphore,
    now: Timestamp,
}

impl Reader<'_> {
    async fn detail(&self, task: TaskId) -> Result<Option<Detail>, ResultsError> {
        let heads = self.results.heads(task).await?;
        let own: Vec<&Head> = heads.iter().filter(|head| head.app == *self.app && head.is_kept(self.now)).collect();
        let details = if own.is_empty() {
            if task.made_at().plus(KEPT) <= self.now {
                return Ok(None);
            }
            let mut nonces = self.results.nonces(self.app, task).await?;
            nonces.retain(|nonce| heads.iter().all(|head| head.key.nonce != *nonce));
            try_join_all(nonces.into_iter().map(|nonce| self.of_hook(TaskKey { task, nonce }))).await?
        } else {
            try_join_all(own.into_iter().map(|head| self.of_head(head))).await?
        };
        Ok(details.into_iter().reduce(Detail::and))
    }

    async fn of_head(&self, head: &Head) -> Result<Detail, ResultsError> {
        let (plan, ranges) = match &head.extent {
            Extent::Chunks(firsts) => {
                let chunks = u32::try_from(firsts.len()).unwrap_or(u32::MAX);
                let begins = (0..chunks).step_by(CHUNKS as usize);
                let ranges = begins.map(|first| (first, first.saturating_add(CHUNKS - 1))).collect();
                (Plan { chunks, whole: true, begun: false }, ranges)
            }
            Extent::Shards(shards) => (self.paged(&head.key, *shards).await?, (0..*shards).map(of_shard).collect()),
        };
        let ranges: Vec<(u32, u32)> = ranges;
        let mut sums = Sums::default();
        for range in try_join_all(ranges.into_iter().map(|range| self.range(head, range))).await? {
            sums.merge(range);
        }
        if head.online_only {
            sums.all_online();
        }
        let Head { created_at, due, cancelled_at, .. } = *head;
        Ok(Detail::of(Times { created_at, empty_at: due, cancelled_at, now: self.now }, plan, sums))
    }

    async fn paged(&self, key: &TaskKey, shards: u8) -> Result<Plan, ResultsError> {
        let pages = try_join_all((0..shards).map(|shard| self.results.pages(key, shard))).await?;
        Ok(Plan {
            chunks: pages.iter().flatten().map(AudiencePage::chunks).sum(),
            whole: pages.iter().all(|shard| shard.iter().any(|page| page.last)),
            begun: pages.iter().any(|shard| !shard.is_empty()),
        })
    }

    /// A task without a head has told nobody how many chunks it makes until fan-out has cut it.
    async fn of_hook(&self, key: TaskKey) -> Result<Detail, ResultsError> {
        let mut chunks = Chunks::default();
        let mut splits: BTreeMap<u32, u32> = BTreeMap::new();
        let mut perhaps_first_of_several = false;
        let nonce = &key.nonce;
        self.each(pk(key.task), (format!("{nonce}#"), format!("{nonce}#{LAST}")), |item| {
            let mut parts = text_of(&item, "sk").ok_or(ResultsError::Malformed)?.split('#').skip(1);
            match (parts.next(), parts.next().and_then(|first| first.parse().ok())) {
                (Some("c"), _) => {
                    let row = from_item(key.clone(), item)?;
                    let full = row.results.len() >= MOST_RECIPIENTS && row.seq == 0 && row.attempt.is_first();
                    perhaps_first_of_several |= full && self.now < row.at.plus(CUT);
                    chunks.add(row, &HashMap::new());
                }
                (Some("f"), Some(first)) => {
                    let n = number_of(&item, "chunks").and_then(|n| u32::try_from(n).ok());
                    splits.insert(first, n.ok_or(ResultsError::Malformed)?);
                }
                _ => {}
            }
            Ok(())
        })
        .await?;
        let sums = chunks.end(&HashMap::new());
        let mut plan = Plan { chunks: 1, whole: !perhaps_first_of_several && sums.begun <= 1, begun: true };
        if !splits.is_empty() {
            // Parts follow each other without a gap once all are cut.
            let reach = splits.iter().try_fold(0_u32, |next, (first, n)| (*first == next).then(|| next + n));
            plan = Plan { chunks: splits.values().sum(), whole: reach.is_some(), begun: true };
        }
        let created_at = key.task.made_at();
        let times = Times { created_at, empty_at: self.now, cancelled_at: None, now: self.now };
        let mut detail = Detail::of(times, plan, sums);
        // Its recipients are known from the beginning.
        detail.state = detail.state.max(State::Sending);
        Ok(detail)
    }

    /// Sums up chunks of a range of numbers, both ends with it.
    async fn range(&self, head: &Head, (first, last): (u32, u32)) -> Result<Sums, ResultsError> {
        let key = &head.key;
        let partitions = head.extent.partitions((first, last)).into_iter();
        let reports = partitions.map(|partition| self.reports(key, partition, (first, last)));
        let reports: HashMap<u32, Receipts> = try_join_all(reports).await?.into_iter().flatten().collect();
        let mut chunks = Chunks::default();
        let prefix = format!("{}#c#", key.nonce);
        self.each(pk(key.task), (format!("{prefix}{first:010}"), format!("{prefix}{last:010}#{LAST}")), |item| {
            chunks.add(from_item(key.clone(), item)?, &reports);
            Ok(())
        })
        .await?;
        Ok(chunks.end(&reports))
    }

    /// What is in one partition of the receipts of a range of chunks, both ends with it.
    async fn reports(
        &self,
        key: &TaskKey,
        partition: u32,
        (first, last): (u32, u32),
    ) -> Result<Vec<(u32, Receipts)>, ResultsError> {
        let mut reports = Vec::new();
        let (pk, prefix) = (receipts::partition_key(key.task, partition), receipts::prefix(&key.nonce));
        self.each(pk, (format!("{prefix}{first:010}"), format!("{prefix}{last:010}")), |item| {
            let seq = text_of(&item, "sk").and_then(|sk| sk.strip_prefix(&prefix)?.parse().ok());
            reports.push((seq.ok_or(ResultsError::Malformed)?, Receipts::from_item(&item)));
            Ok(())
        })
        .await?;
        Ok(reports)
    }

    /// Hands over a partition's rows from one sort key to another, in their order.
    async fn each(
        &self,
        pk: String,
        (from, to): (String, String),
        mut take: impl FnMut(Item) -> Result<(), ResultsError>,
    ) -> Result<(), ResultsError> {
        let mut start = None;
        loop {
            // Never closed.
            let _reading = self.reads.acquire().await;
            let answer = self
                .results
                .client
                .query()
                .table_name(&self.results.table)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", text(pk.as_str()))
                .expression_attribute_values(":from", text(from.as_str()))
                .expression_attribute_values(":to", text(to.as_str()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
            for item in answer.items.unwrap_or_default() {
                take(item)?;
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }
}

/// The first and the last number of a shard's chunks.
fn of_shard(shard: u8) -> (u32, u32) {
    let first = AudiencePage::first_of(shard);
    (first, first + (AudiencePage::first_of(1) - 1))
}

/// Sums up rows that come in the order of their chunks. One chunk's are kept at a time.
#[derive(Default)]
struct Chunks {
    sums: Sums,
    rows: Vec<ResultRow>,
}

impl Chunks {
    fn add(&mut self, row: ResultRow, reports: &HashMap<u32, Receipts>) {
        if self.rows.first().is_some_and(|first| first.seq != row.seq) {
            self.close(reports);
        }
        self.rows.push(row);
    }

    fn close(&mut self, reports: &HashMap<u32, Receipts>) {
        if let Some(first) = self.rows.first() {
            self.sums.add_chunk(&self.rows, reports.get(&first.seq));
            self.rows.clear();
        }
    }

    fn end(mut self, reports: &HashMap<u32, Receipts>) -> Sums {
        self.close(reports);
        self.sums
    }
}

#[cfg(test)]
mod tests;
