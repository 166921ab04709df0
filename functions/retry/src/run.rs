//! One run: lanes take turns of a page each, so that no app, no queue and no time waits for another's backlog.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Instant;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use pushbell::deferred::{self, Deferred, DeferredError, Lane, Row};
use pushbell::env::Queue;
use pushbell::queue::{self, Due, LONGEST_DELAY, Work};
use pushbell::shutdown;
use pushbell::time::{QueueClock, Timestamp};

use crate::reading::Reading;

/// Rows of one turn. They are in their queue and gone from the table within some 100 ms, which is what a run that is told to end needs.
const PAGE: i32 = 100;
/// Turns at once. A lane is in one turn at a time, and an app has a lane in every shard.
const TURNS: usize = deferred::SHARDS as usize;
/// Lanes whose late rows are counted at the end of a run, for a metric: up to a megabyte is read of each.
const MOST_COUNTED: usize = 64;
/// Batches of one turn that are sent at once.
const BATCHES: usize = 10;
/// A queue that has refused so many records in this run is left alone until the next.
const MOST_REFUSED: usize = 100;

/// A run of `retry`.
pub(crate) struct Run<'a> {
    work: &'a Work,
    clock: QueueClock,
    soft_deadline: Instant,
    turns: RefCell<VecDeque<Reading>>,
    /// Lanes that have no more turns in this run.
    left: RefCell<Vec<Reading>>,
    tally: RefCell<Tally>,
    /// What was handed on could not be deleted: the run ends, or it would make more and more repeats.
    stuck: Cell<bool>,
}

/// What a run has done.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Records that are in their queue.
    pub(crate) moved: usize,
    /// Records that their queue refused, by queue. Others of a queue that is left alone are not counted.
    pub(crate) refused: [usize; Queue::COUNT],
    /// Rows and keys that hold no record.
    pub(crate) unreadable: usize,
    /// Lanes that hold rows which are due.
    pub(crate) lanes: usize,
    /// Lanes of them that wait for the next run.
    pub(crate) lanes_left: usize,
    /// Rows that were late already at the end of the run, at least so many.
    pub(crate) rows_left: usize,
    /// When the first row that was late already at the end of the run was due.
    pub(crate) oldest_left: Option<Timestamp>,
    /// The table did not answer a read.
    pub(crate) unread: Option<DeferredError>,
    /// The table did not delete what was handed on; the next run repeats it.
    pub(crate) undeleted: Option<DeferredError>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(work: &'a Work, clock: QueueClock, soft_deadline: Instant) -> Self {
        Self {
            work,
            clock,
            soft_deadline,
            turns: RefCell::default(),
            left: RefCell::default(),
            tally: RefCell::default(),
            stuck: Cell::new(false),
        }
    }

    /// Hands on what is due, until it is done or the time is over.
    pub(crate) async fn run(self) -> Tally {
        self.look().await;
        join_all((0..TURNS).map(|_| self.take_turns())).await;
        self.look_back().await;
        self.tally.into_inner()
    }

    fn is_over(&self) -> bool {
        self.stuck.get() || shutdown::begun() || Instant::now() >= self.soft_deadline
    }

    fn deferred(&self) -> &Deferred {
        self.work.deferred()
    }

    /// Finds the lanes with work in them.
    async fn look(&self) {
        let now = self.clock.now();
        let until = now.plus(LONGEST_DELAY);
        let shards = (0..deferred::SHARDS).map(|shard| self.deferred().lanes(shard, || !self.is_over()));
        let shards = join_all(shards).await;
        let (mut turns, mut tally) = (self.turns.borrow_mut(), self.tally.borrow_mut());
        for (shard, lanes) in shards.into_iter().enumerate() {
            match lanes {
                Ok(lanes) => {
                    tally.unreadable += lanes.unreadable;
                    turns.extend(lanes.waiting.into_iter().filter_map(|waiting| Reading::new(waiting, now, until)));
                }
                Err(error) => {
                    tracing::error!(shard, error = %error, "a shard could not be read");
                    tally.unread = Some(error);
                }
            }
        }
        // Who comes first is nobody's right, should a run not get through its first round.
        fastrand::shuffle(turns.make_contiguous());
        tally.lanes = turns.len();
    }

    /// Notes what is left.
    async fn look_back(&self) {
        let left: Vec<Reading> = self.turns.take().into_iter().chain(self.left.take()).collect();
        let late = left.iter().filter_map(|reading| Some((reading, reading.late()?)));
        // The run is over. Where the table is not asked any more, or does not answer, there is one row at least.
        let most = if shutdown::begun() { 0 } else { MOST_COUNTED };
        let counts = stream::iter(late.enumerate()).map(|(index, (reading, span))| async move {
            let rows = if index < most { self.deferred().count(&reading.lane, span).await.unwrap_or(1) } else { 1 };
            (reading.oldest, rows)
        });
        let counts: Vec<(Timestamp, usize)> = counts.buffer_unordered(TURNS).collect().await;
        let (mut tally, now) = (self.tally.borrow_mut(), self.clock.now());
        tally.lanes_left = left.len();
        for (oldest, rows) in counts {
            tally.leave(oldest, now, rows);
        }
    }

    async fn take_turns(&self) {
        while !self.is_over() {
            let Some(mut reading) = self.turns.borrow_mut().pop_front() else { return };
            if !self.is_left_alone(reading.lane.queue) && self.turn(&mut reading).await {
                self.turns.borrow_mut().push_back(reading);
            } else if !reading.is_over() {
                self.left.borrow_mut().push(reading);
            }
        }
    }

    /// One page of a lane. Whether the lane is to have another turn.
    async fn turn(&self, reading: &mut Reading) -> bool {
        let Some(read) = reading.next() else { return false };
        let page = match self.deferred().page(&reading.lane, read.span.clone(), read.end, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(shard = reading.lane.shard, app = %reading.lane.app, error = %error, "due work could not be read");
                self.tally.borrow_mut().unread = Some(error);
                reading.done(read.turn, Some(read.span), None);
                return false;
            }
        };
        self.tally.borrow_mut().unreadable += page.unreadable;
        self.hand_on(&reading.lane, &page.rows).await;
        reading.done(read.turn, page.rest, page.rows.last().map(|row| row.due));
        !reading.is_over()
    }

    fn is_left_alone(&self, queue: Queue) -> bool {
        self.tally.borrow().refused[queue as usize] >= MOST_REFUSED
    }

    /// Queues a page's records, and deletes the rows of those that SQS took.
    async fn hand_on(&self, lane: &Lane, rows: &[Row]) {
        let batches = queue::batches(rows, |row| row.body.len());
        let sent = stream::iter(batches).map(|batch| self.send(lane, batch)).buffer_unordered(BATCHES);
        let taken: Vec<&Row> = sent.collect::<Vec<_>>().await.concat();
        self.tally.borrow_mut().moved += taken.len();
        if let Err(error) = self.deferred().remove_all(&taken).await {
            tracing::error!(app = %lane.app, error = %error, "rows that were handed on are still there");
            self.stuck.set(true);
            self.tally.borrow_mut().undeleted = Some(error);
        }
    }

    /// The rows of a batch whose records SQS took.
    async fn send<'r>(&self, lane: &Lane, batch: Vec<&'r Row>) -> Vec<&'r Row> {
        if self.is_left_alone(lane.queue) {
            return Vec::new();
        }
        let now = self.clock.now();
        let due: Vec<_> = batch.iter().map(|row| Due { body: &row.body, delay: row.due.since(now) }).collect();
        let sent = self.work.hand_on_all(lane.queue, &lane.app, &due).await;
        let mut tally = self.tally.borrow_mut();
        let mut took = Vec::with_capacity(batch.len());
        for (row, taken) in batch.into_iter().zip(sent.taken) {
            if taken {
                took.push(row);
            } else {
                tally.refused[lane.queue as usize] += 1;
                tally.leave(row.due, now, 1);
            }
        }
        took
    }
}

impl Tally {
    /// Notes rows that stay where they are, if the first of them is late.
    fn leave(&mut self, due: Timestamp, now: Timestamp, rows: usize) {
        if due < now {
            self.rows_left += rows;
            self.oldest_left = Some(self.oldest_left.map_or(due, |oldest| oldest.min(due)));
        }
    }
}
