//! A chunk's way: its recipients, its result row, its leftovers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::SqsMessage;
use futures_util::future::{join, try_join_all};
use pushbell::app::{Settings, Vendors};
use pushbell::delivery::breaker::Breaker;
use pushbell::env::Queue;
use pushbell::function::receive_count;
use pushbell::id::{Mark, RoomKey};
use pushbell::message::{Badge, Kind, Message, Source, Strategy};
use pushbell::queue;
use pushbell::recipient::{Counting, names};
use pushbell::task::{Chunk, Deed, Leftovers, Outcome, Put, Reportable, ResultRow, Target};
use pushbell::telemetry::metrics::{self, Metric, Of};
use pushbell::time::{QueueClock, Timestamp};
use tokio::sync::OnceCell;
use tracing::Instrument as _;

use crate::backoff;
use crate::content::Filling;
use crate::copies::Copies;
use crate::hours::Ends;
use crate::recipient::Served;
use crate::shares::Share;
use crate::{RecordError, State};

/// The task's number in a message's data, for apps that report receipts by it. A caller's own member of that name gives way.
const TASK: &str = "pushbell_task";

/// What the records of one invocation share.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) state: &'a State,
    pub(crate) clock: QueueClock,
    pub(crate) soft_deadline: Instant,
    pub(crate) fresh: bool,
    pub(crate) summed: &'a Ends,
    pub(crate) copies: &'a Copies,
}

/// What the recipients of one chunk share.
pub(crate) struct Job<'a> {
    pub(crate) state: &'a State,
    pub(crate) clock: QueueClock,
    pub(crate) soft_deadline: Instant,
    pub(crate) chunk: &'a Chunk<Message>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) vendors: Arc<Vendors>,
    /// How a fresh recipient is counted, for messages that count or withdraw.
    pub(crate) counting: Option<Counting>,
    pub(crate) expiry: Timestamp,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) share: Arc<Share>,
    pub(crate) filling: Filling<'a>,
    earlier: OnceCell<Option<Box<ResultRow>>>,
}

/// Why the rest of a chunk is not worked on.
pub(crate) enum Stop {
    /// The attempt has its result row: an earlier record of the same name was delivered.
    Done(Box<ResultRow>),
    Failed(RecordError),
}

impl Batch<'_> {
    /// Delivers one record, once for all its copies. What the caller named its request stands on every line that is written meanwhile.
    pub(crate) async fn run(&self, record: &SqsMessage) -> Result<(), RecordError> {
        let mut chunk: Chunk<Message> = serde_json::from_str(record.body.as_deref().unwrap_or_default())
            .map_err(|error| RecordError::Malformed { line: error.line(), column: error.column() })?;
        if chunk.message.behaviour.receipts {
            chunk.message.data.insert(TASK.to_owned(), chunk.key.task.get().into());
        }
        let done = self.copies.done(&chunk);
        let deliver = async || match &chunk.message.origin.operation {
            Some(operation) => {
                let span = tracing::info_span!("chunk", operation);
                self.deliver(record, &chunk).instrument(span).await
            }
            None => self.deliver(record, &chunk).await,
        };
        done.get_or_try_init(deliver).await.copied()
    }

    async fn deliver(&self, record: &SqsMessage, chunk: &Chunk<Message>) -> Result<(), RecordError> {
        let started = Instant::now();
        let job = self.job(chunk).await?;
        let served = if chunk.headed && self.is_cancelled(chunk).await? {
            chunk.to.iter().map(|target| Served::all(target, Outcome::Cancelled)).collect()
        } else {
            if let Some(until) = job.waits().await {
                return self.postpone(chunk, &job, until).await;
            }
            // A count tells by its mark that a record is a second copy; what does not count has to look first.
            let counts = chunk.attempt.is_first() && chunk.message.counts();
            if chunk.repeat || receive_count(record) > 1 || !counts {
                let row = self.state.results.get(&chunk.key, chunk.seq, chunk.attempt).await;
                if let Some(row) = row.map_err(RecordError::Results)? {
                    return self.hand_back(&job, &row, true).await;
                }
            }
            let serving = try_join_all(chunk.to.iter().map(|target| job.serve(target)));
            let (served, ()) = join(serving, job.breaker.refresh(self.clock.now())).await;
            match served {
                Ok(served) => served,
                Err(Stop::Done(row)) => return self.hand_back(&job, &row, true).await,
                Err(Stop::Failed(error)) => return Err(error),
            }
        };
        let row = job.row(served, self.clock.now());
        if self.summed.take(&job, record, &row) {
            log(&row, started);
            measure(&row);
            return Ok(());
        }
        match self.state.results.put(&row).await.map_err(RecordError::Results)? {
            Put::Stored => {
                log(&row, started);
                measure(&row);
                self.hand_back(&job, &row, false).await
            }
            // Another run of this attempt came first; its row is what counts.
            Put::Exists(first) => self.hand_back(&job, &first, true).await,
        }
    }

    /// Whether the chunk's task was cancelled. What is sent meanwhile is sent.
    async fn is_cancelled(&self, chunk: &Chunk<Message>) -> Result<bool, RecordError> {
        self.state.results.is_cancelled(&chunk.key).await.map_err(RecordError::Results)
    }

    async fn job<'a>(&'a self, chunk: &'a Chunk<Message>) -> Result<Job<'a>, RecordError> {
        let app = &chunk.message.origin.app;
        let settings = self.state.settings.get(app).await.map_err(RecordError::App)?;
        let vendors = self.state.vendors.get(app).await.map_err(RecordError::App)?.unwrap_or_default();
        Ok(Job {
            state: self.state,
            clock: self.clock,
            soft_deadline: self.soft_deadline,
            chunk,
            filling: Filling::of(&chunk.message, &settings),
            settings,
            vendors,
            counting: counting(chunk, self.clock, self.fresh),
            expiry: chunk.message.expiry(chunk.claimed_at),
            breaker: self.state.breakers.of(app),
            share: self.state.shares.of(app),
            earlier: OnceCell::new(),
        })
    }

    /// Queues what a result row left over, under the chunk's next attempt; then what it says, for the app's own address. `repeat`: it may
    /// have been queued before.
    async fn hand_back(&self, job: &Job<'_>, row: &ResultRow, repeat: bool) -> Result<(), RecordError> {
        let (chunk, now) = (job.chunk, self.clock.now());
        let next = |to: &[Target], attempt, given_up| {
            let given = |target: &Target| chunk.to.iter().find(|own| own.client() == target.client())?.values();
            let to = to.iter().map(|target| target.clone().with_values(given(target))).collect();
            Chunk { given_up, repeat, ..chunk.again(attempt, to) }
        };
        if !row.given_up.is_empty() {
            let given_up = next(&row.given_up, chunk.attempt.replay(), true);
            self.put(Queue::DeadLetters, &given_up, now, now).await?;
        }
        if let Some(left) = &row.leftovers {
            self.put(Queue::Deliver, &next(&left.to, chunk.attempt.next(), false), left.due, now).await?;
        }
        self.report(job, row, now).await
    }

    /// Queues an attempt's outcomes for the app's own address, if it has one. A record that fails here comes again, finds its row, sends
    /// nothing and queues this once more: the receiver drops repeats.
    async fn report(&self, job: &Job<'_>, row: &ResultRow, now: Timestamp) -> Result<(), RecordError> {
        let mut fates = row.results.iter().flat_map(|result| &result.fates);
        if job.settings.results.address.is_none() || !fates.any(|fate| fate.outcome.is_final()) {
            return Ok(());
        }
        let message = &job.chunk.message;
        let origin = &message.origin;
        let reportable = Reportable {
            app: row.app.clone(),
            key: row.key.clone(),
            seq: row.seq,
            attempt: row.attempt,
            dialect: origin.dialect,
            kind: if message.behaviour.kind == Kind::Withdraw { Deed::Recall } else { Deed::Push },
            message: origin.message.clone(),
            operation: origin.operation.clone(),
            at: row.at,
        };
        let body = queue::body(&reportable).map_err(|_| RecordError::Malformed { line: 0, column: 0 })?;
        let put = self.state.work.put(Queue::Report, &row.app, body, Duration::ZERO, now);
        put.await.map_err(RecordError::Outcomes)
    }

    /// Queues a chunk once more as it is, because nothing of it may be tried yet. It is no attempt: nothing is read but a head, and nothing
    /// written but the queue, however long a vendor is down.
    async fn postpone(&self, chunk: &Chunk<Message>, job: &Job<'_>, until: Timestamp) -> Result<(), RecordError> {
        let (app, now) = (&chunk.message.origin.app, self.clock.now());
        for target in &chunk.to {
            let Target::Left { channels, .. } = target else { continue };
            for channel in channels.iter().filter(|channel| job.breaker.waits(**channel, now).is_some()) {
                metrics::count(Metric::BreakerPaused, Of::Channel(app, *channel), 1);
            }
        }
        let again = Chunk { repeat: true, ..chunk.again(chunk.attempt, chunk.to.clone()) };
        let due = backoff::after_pause(until, job.expiry, fastrand::f64());
        self.put(Queue::Deliver, &again, due, now).await
    }

    async fn put(
        &self,
        queue: Queue,
        chunk: &Chunk<&Message>,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let body = queue::body(chunk).map_err(|_| RecordError::Malformed { line: 0, column: 0 })?;
        let app = &chunk.message.origin.app;
        self.state.work.put(queue, app, body, due.since(now), now).await.map_err(RecordError::Leftovers)
    }
}

/// How the chunk's recipients are counted, when its message does.
fn counting(chunk: &Chunk<Message>, clock: QueueClock, may_rotate: bool) -> Option<Counting> {
    let message = &chunk.message;
    let room = message.origin.room.as_deref().map(RoomKey::of);
    if message.roads.strategy == Strategy::Online {
        return None;
    }
    let (n, counter) = match (&message.badge, message.behaviour.kind) {
        (Badge::Add { n: 0, .. }, _) => return None,
        (Badge::Add { n, source: Source::Named(source) }, _) => (*n, names::source(source)),
        (Badge::Add { n, source: Source::Room }, _) => (*n, names::unread(room.as_ref()?)),
        (_, Kind::Withdraw) => (1, names::unread(room.as_ref()?)),
        (Badge::None | Badge::Keep | Badge::Set { .. } | Badge::Total { .. } | Badge::Show(_) | Badge::Clear, _) => {
            return None;
        }
    };
    let (app, id) = (&message.origin.app, &message.origin.message);
    Some(Counting {
        mark: Mark::counted(app, id),
        withdrawn: Mark::withdrawn(app, id),
        counter,
        n,
        room,
        sender: message.origin.sender.clone(),
        written_at: message.origin.written_at,
        // A withdrawal asks whether its message was read, and that was accepted at a time of its own.
        claimed_at: message.origin.withdrawn_accepted_at.unwrap_or(chunk.claimed_at),
        clock,
        may_rotate,
    })
}

impl Job<'_> {
    /// The message's room.
    pub(crate) fn room(&self) -> Option<RoomKey> {
        self.chunk.message.origin.room.as_deref().map(RoomKey::of)
    }

    /// Until when nothing of the chunk may be tried: every recipient waits as a vendor asked, or for vendors that are left alone. `None`
    /// when something may, when a recipient was not counted yet, or when the message would be over by then.
    async fn waits(&self) -> Option<Timestamp> {
        if self.chunk.to.iter().any(|target| !matches!(target, Target::Left { .. })) {
            return None;
        }
        let now = self.clock.now();
        self.breaker.refresh(now).await;
        let mut earliest: Option<Timestamp> = None;
        for target in &self.chunk.to {
            let Target::Left { not_before, channels, .. } = target else { return None };
            let waits = channels.iter().map(|channel| self.breaker.waits(*channel, now));
            // `None` before any time: the recipient waits only if all of its channels do.
            let vendors = waits.min().flatten();
            let until = vendors.max(not_before.filter(|not_before| now < *not_before))?;
            earliest = Some(earliest.map_or(until, |earliest| earliest.min(until)));
        }
        earliest.filter(|until| *until < self.expiry)
    }

    /// Stops the chunk when this attempt has its result row. Asked when a recipient was counted before, or may have been: then this record
    /// may be a second copy of one that was delivered.
    pub(crate) async fn stop_if_delivered(&self) -> Result<(), Stop> {
        let (results, chunk) = (&self.state.results, self.chunk);
        let earlier = self
            .earlier
            .get_or_try_init(|| async {
                let row = results.get(&chunk.key, chunk.seq, chunk.attempt).await;
                row.map(|row| row.map(Box::new)).map_err(RecordError::Results).map_err(Stop::Failed)
            })
            .await?;
        match earlier {
            Some(row) => Err(Stop::Done(row.clone())),
            None => Ok(()),
        }
    }

    fn row(&self, served: Vec<Served>, now: Timestamp) -> ResultRow {
        let mut row = ResultRow {
            key: self.chunk.key.clone(),
            app: self.chunk.message.origin.app.clone(),
            seq: self.chunk.seq,
            attempt: self.chunk.attempt,
            at: now,
            tally: pushbell::task::Tally::default(),
            results: Vec::with_capacity(served.len()),
            leftovers: None,
            given_up: Vec::new(),
            taken_back: BTreeMap::new(),
            missing: BTreeMap::new(),
        };
        if self.chunk.given_up {
            for (outcome, n) in self.chunk.to.iter().map(Target::was) {
                *row.taken_back.entry(outcome).or_default() += n;
            }
        }
        let retry = &self.settings.retry;
        let mut to: Vec<Target> = Vec::new();
        let mut earliest: Option<Timestamp> = None;
        for mut one in served {
            row.tally.counted += one.tally.counted;
            row.tally.repeat += one.tally.repeat;
            row.tally.uncounted += one.tally.uncounted;
            if let Some(name) = one.missing {
                *row.missing.entry(name).or_default() += 1;
            }
            let not_before = one.wish.not_before(now);
            if let Some(mut left) = one.left {
                let mut tried = 0;
                if let Target::Left { was, tries, .. } = &mut left {
                    // What it was before a replay has been taken back.
                    *was = None;
                    tried = *tries;
                }
                if backoff::is_given_up(retry, self.chunk.attempt, tried, not_before, now, self.expiry) {
                    for fate in &mut one.result.fates {
                        if fate.outcome == Outcome::Pending {
                            fate.outcome = Outcome::GaveUp;
                        }
                    }
                    if let Target::Left { tries, .. } = &mut left {
                        // A replay has its tries anew.
                        *tries = 0;
                    }
                    one.kept.push(left);
                } else {
                    if let Target::Left { not_before: kept, .. } = &mut left {
                        *kept = not_before;
                    }
                    let may_be_tried = not_before.unwrap_or(now);
                    earliest = Some(earliest.map_or(may_be_tried, |earliest| earliest.min(may_be_tried)));
                    to.push(left.without_values());
                }
            }
            row.given_up.extend(one.kept.into_iter().map(Target::without_values));
            row.results.push(one.result);
        }
        if self.chunk.given_up && now >= self.expiry {
            // Replayed after its end: another replay would find it no earlier.
            row.given_up.clear();
        }
        if let Some(earliest) = earliest {
            let due = backoff::due(retry, self.chunk.attempt, earliest, self.expiry, fastrand::f64());
            row.leftovers = Some(Leftovers { to, due, until: Some(self.expiry) });
        }
        row
    }
}

/// How the recipients were counted, and what is not done with. Sends are measured where they are made.
fn measure(row: &ResultRow) {
    let of = Of::App(&row.app);
    let counters = row.counters();
    let outcome = |outcome| counters.get(&outcome).and_then(|n| u64::try_from(*n).ok()).unwrap_or_default();
    metrics::count(Metric::Counted, Of::Everything, row.tally.counted.into());
    metrics::count(Metric::Repeat, of, row.tally.repeat.into());
    metrics::count(Metric::Uncounted, of, row.tally.uncounted.into());
    metrics::count(Metric::GaveUp, of, outcome(Outcome::GaveUp));
    metrics::count(Metric::LeftOver, of, outcome(Outcome::Pending));
}

/// One line per attempt. Client ids, tokens and texts are not in it.
fn log(row: &ResultRow, started: Instant) {
    let counters: Vec<String> =
        row.counters().into_iter().map(|(outcome, n)| format!("{}={n}", outcome.as_str())).collect();
    tracing::info!(
        app = %row.app,
        task = row.key.task.get(),
        seq = row.seq,
        attempt = row.attempt.get(),
        outcomes = counters.join(" "),
        counted = row.tally.counted,
        repeat = row.tally.repeat,
        uncounted = row.tally.uncounted,
        ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "chunk"
    );
}
