//! A chunk's way: its recipients, its result row, its leftovers.

use std::sync::Arc;
use std::time::Instant;

use aws_lambda_events::event::sqs::SqsMessage;
use futures_util::future::try_join_all;
use pushbell::app::{Settings, Vendors};
use pushbell::delivery::{fcm, sns};
use pushbell::env::Queue;
use pushbell::id::{Mark, RoomKey};
use pushbell::message::{Badge, Kind, Message, Source};
use pushbell::queue;
use pushbell::recipient::{Counting, names};
use pushbell::task::{Chunk, Leftovers, Outcome, Put, ResultRow, Target};
use pushbell::time::Timestamp;
use tokio::sync::OnceCell;

use crate::backoff::{self, Wish};
use crate::recipient::Served;
use crate::{Clock, RecordError, State, receive_count};

/// What the records of one invocation share.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) state: &'a State,
    pub(crate) clock: Clock,
    pub(crate) soft_deadline: Instant,
    pub(crate) fresh: bool,
}

/// What the recipients of one chunk share.
pub(crate) struct Job<'a> {
    pub(crate) state: &'a State,
    pub(crate) clock: Clock,
    pub(crate) soft_deadline: Instant,
    pub(crate) chunk: &'a Chunk<Message>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) vendors: Arc<Vendors>,
    /// How a fresh recipient is counted, for messages that count or withdraw.
    pub(crate) counting: Option<Counting>,
    pub(crate) expiry: Timestamp,
    pub(crate) fcm: OnceCell<fcm::Prepared>,
    pub(crate) sns: OnceCell<sns::Prepared>,
    earlier: OnceCell<Option<Box<ResultRow>>>,
}

/// Why the rest of a chunk is not worked on.
pub(crate) enum Stop {
    /// The attempt has its result row: an earlier record of the same name was delivered.
    Done(Box<ResultRow>),
    Failed(RecordError),
}

impl Batch<'_> {
    /// Delivers one record.
    pub(crate) async fn run(&self, record: &SqsMessage) -> Result<(), RecordError> {
        let chunk: Chunk<Message> = serde_json::from_str(record.body.as_deref().unwrap_or_default())
            .map_err(|error| RecordError::Malformed { line: error.line(), column: error.column() })?;
        let started = Instant::now();
        // A count tells by its mark that a record is a second copy; what does not count has to look first.
        let counts = chunk.attempt == 0 && counting(&chunk, self.clock.now(), false).is_some();
        if chunk.repeat || receive_count(record) > 1 || !counts {
            let row = self.state.results.get(&chunk.key, chunk.seq, chunk.attempt).await;
            if let Some(row) = row.map_err(RecordError::Results)? {
                return self.hand_back(&chunk, &row, true).await;
            }
        }
        let job = self.job(&chunk).await?;
        let served = match try_join_all(chunk.to.iter().map(|target| job.serve(target))).await {
            Ok(served) => served,
            Err(Stop::Done(row)) => return self.hand_back(&chunk, &row, true).await,
            Err(Stop::Failed(error)) => return Err(error),
        };
        let row = job.row(served, self.clock.now());
        match self.state.results.put(&row).await.map_err(RecordError::Results)? {
            Put::Stored => {
                log(&row, started);
                self.hand_back(&chunk, &row, false).await
            }
            // Another run of this attempt came first; its row is what counts.
            Put::Exists(first) => self.hand_back(&chunk, &first, true).await,
        }
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
            settings,
            vendors,
            counting: counting(chunk, self.clock.now(), self.fresh),
            expiry: chunk.message.expiry(chunk.claimed_at),
            fcm: OnceCell::new(),
            sns: OnceCell::new(),
            earlier: OnceCell::new(),
        })
    }

    /// Queues what a result row left over, under the chunk's next attempt. `repeat`: it may have been queued before.
    async fn hand_back(&self, chunk: &Chunk<Message>, row: &ResultRow, repeat: bool) -> Result<(), RecordError> {
        let Some(leftovers) = &row.leftovers else { return Ok(()) };
        let next = Chunk {
            key: chunk.key.clone(),
            seq: chunk.seq,
            attempt: chunk.attempt.saturating_add(1),
            claimed_at: chunk.claimed_at,
            repeat,
            message: &chunk.message,
            to: leftovers.to.clone(),
        };
        let body = queue::body(&next).map_err(|_| RecordError::Malformed { line: 0, column: 0 })?;
        let now = self.clock.now();
        let delay = leftovers.due.since(now);
        let app = &chunk.message.origin.app;
        self.state.work.put(leftovers.queue, app, body, delay, now).await.map_err(RecordError::Leftovers)
    }
}

/// How the chunk's recipients are counted, when its message does.
fn counting(chunk: &Chunk<Message>, now: Timestamp, may_rotate: bool) -> Option<Counting> {
    let message = &chunk.message;
    let room = message.origin.room.as_deref().map(RoomKey::of);
    let (n, counter) = match (&message.badge, message.behaviour.kind) {
        (Badge::Add { n, source: Source::Named(source) }, _) => (*n, names::source(source)),
        (Badge::Add { n, source: Source::Room }, _) => (*n, names::unread(room.as_ref()?)),
        (_, Kind::Withdraw) => (1, names::unread(room.as_ref()?)),
        (Badge::None | Badge::Keep | Badge::Set { .. } | Badge::Show(_), _) => return None,
    };
    let (app, id) = (&message.origin.app, &message.origin.message);
    Some(Counting {
        mark: Mark::counted(app, id),
        withdrawn: Mark::withdrawn(app, id),
        counter,
        n,
        room,
        written_at: message.origin.written_at,
        claimed_at: chunk.claimed_at,
        now,
        may_rotate,
    })
}

impl Job<'_> {
    /// The message's room.
    pub(crate) fn room(&self) -> Option<RoomKey> {
        self.chunk.message.origin.room.as_deref().map(RoomKey::of)
    }

    /// Stops the chunk when this attempt has its result row. Asked when a recipient was counted before: then this record may be a second
    /// copy of one that was delivered.
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
        };
        let (mut to, mut wish): (Vec<Target>, Wish) = (Vec::new(), Wish::default());
        for one in served {
            row.tally.counted += u32::from(one.tally.counted > 0);
            row.tally.repeat += u32::from(one.tally.repeat > 0);
            row.tally.uncounted += u32::from(one.tally.uncounted > 0);
            wish = wish.and(one.wish);
            to.extend(one.left);
            row.results.push(one.result);
        }
        if !to.is_empty() {
            let (queue, due) = backoff::next(self.chunk.attempt, wish, now, self.expiry, fastrand::f64());
            if queue == Queue::DeadLetters {
                let outcomes = row.results.iter_mut().flat_map(|result| &mut result.outcomes);
                for (_, outcome) in outcomes.filter(|(_, outcome)| *outcome == Outcome::Pending) {
                    *outcome = Outcome::GaveUp;
                }
            }
            row.leftovers = Some(Leftovers { to, queue, due });
        }
        row
    }
}

/// One line per attempt. Client ids, tokens and texts are not in it.
fn log(row: &ResultRow, started: Instant) {
    let counters: Vec<String> =
        row.counters().into_iter().map(|(outcome, n)| format!("{}={n}", outcome.as_str())).collect();
    tracing::info!(
        app = %row.app,
        task = row.key.task.get(),
        seq = row.seq,
        attempt = row.attempt,
        outcomes = counters.join(" "),
        counted = row.tally.counted,
        repeat = row.tally.repeat,
        uncounted = row.tally.uncounted,
        ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "chunk"
    );
}
