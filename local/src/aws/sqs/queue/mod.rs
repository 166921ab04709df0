//! The queues themselves: what SQS's wire calls and the stack's own pollers both stand on.
//!
//! Standard queues only. A message is visible, in flight (received, its visibility timeout running) or delayed.
//! With a message group id, standard queues are fair: the group with the fewest messages in flight goes first.

mod message;
mod rows;

pub use message::{Attribute, Attributes, Outgoing, QueueSpec, Received, Redrive};

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::store::{Store, StoreError, now_ms, random_id};
use rows::{SCHEMA, Taken, depth, millis, pick, spec, take_one};

/// The longest total time a message can stay invisible.
const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 3600);

/// Why a queue call failed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// No queue has this name.
    #[error("the queue does not exist")]
    NoQueue,
    /// The receipt handle is not one of this queue's.
    #[error("the receipt handle is not valid")]
    BadReceipt,
    /// The message was deleted, or received again under another handle.
    #[error("the message does not exist any more")]
    NoMessage,
    /// The message's visibility timeout has run out.
    #[error("the message is not in flight")]
    NotInFlight,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// Waiting to be received.
    pub visible: u64,
    /// Received, not deleted, visibility timeout running.
    pub in_flight: u64,
    /// Not due yet.
    pub delayed: u64,
}

/// Whether [`Queues::wait_until_empty`] waits for messages that are not due yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delayed {
    /// They do not count.
    Ignored,
    /// They count: the queue is empty when they are gone too.
    Counted,
}

/// All queues of a stack; clones share them.
#[derive(Clone)]
pub struct Queues(Arc<Inner>);

struct Inner {
    store: Store,
    /// One per queue, woken when a message may have become visible.
    arrivals: Mutex<HashMap<String, Arc<Notify>>>,
    /// Woken when a depth may have changed.
    changes: Notify,
    /// Messages that the stack's own pollers have received and not given back.
    held: AtomicU64,
    /// Queues that give nothing.
    paused: Mutex<HashSet<String>>,
}

/// In which order a receive takes messages that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// What has waited longest first.
    Forward,
    /// What has waited shortest first.
    Reverse,
}

impl Queues {
    /// The queues in this store.
    pub fn new(store: Store) -> Result<Self, StoreError> {
        store.prepare(SCHEMA)?;
        Ok(Self(Arc::new(Inner {
            store,
            arrivals: Mutex::new(HashMap::new()),
            changes: Notify::new(),
            held: AtomicU64::new(0),
            paused: Mutex::default(),
        })))
    }

    /// Makes a queue, or gives one that is there these settings. Its messages stay.
    pub fn ensure(&self, spec: &QueueSpec) -> Result<(), StoreError> {
        self.0.store.write(|tx| {
            tx.execute(
                "INSERT INTO queues (name, visibility, delay, retention, max_bytes, wait, dead_letter, max_receives, created)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (name) DO UPDATE SET visibility = ?2, delay = ?3, retention = ?4, max_bytes = ?5,
                   wait = ?6, dead_letter = ?7, max_receives = ?8",
                params![
                    spec.name,
                    millis(spec.visibility),
                    millis(spec.delay),
                    millis(spec.retention),
                    i64::try_from(spec.max_bytes).unwrap_or(i64::MAX),
                    millis(spec.wait),
                    spec.redrive.as_ref().map(|redrive| redrive.queue.as_str()),
                    spec.redrive.as_ref().map(|redrive| redrive.max_receives),
                    now_ms(),
                ],
            )
        })?;
        Ok(())
    }

    /// The settings of a queue.
    pub fn spec(&self, queue: &str) -> Result<QueueSpec, QueueError> {
        self.0.store.read(|db| spec(db, queue))?.ok_or(QueueError::NoQueue)
    }

    /// When a queue was made, in milliseconds since 1970.
    pub(super) fn created_ms(&self, queue: &str) -> Result<i64, QueueError> {
        let sql = "SELECT created FROM queues WHERE name = ?1";
        self.0.store.read(|db| db.query_row(sql, [queue], |row| row.get(0)).optional())?.ok_or(QueueError::NoQueue)
    }

    /// The names of all queues, sorted.
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        self.0.store.read(|db| {
            db.prepare_cached("SELECT name FROM queues ORDER BY name")?.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Removes a queue with its messages.
    pub fn remove(&self, queue: &str) -> Result<(), QueueError> {
        let found = self.0.store.write(|tx| {
            tx.execute("DELETE FROM messages WHERE queue = ?1", [queue])?;
            tx.execute("DELETE FROM queues WHERE name = ?1", [queue])
        })?;
        self.changed();
        if found == 0 {
            return Err(QueueError::NoQueue);
        }
        Ok(())
    }

    /// Puts one message on a queue and gives its id. Sizes and characters are the wire's business, not checked here.
    pub fn send(&self, queue: &str, message: &Outgoing) -> Result<String, QueueError> {
        let mut ids = self.send_all(queue, std::slice::from_ref(message))?;
        Ok(ids.pop().unwrap_or_default())
    }

    /// Puts several messages on a queue, all or none, and gives their ids in order.
    pub fn send_all(&self, queue: &str, messages: &[Outgoing]) -> Result<Vec<String>, QueueError> {
        let sent = self.0.store.write(|tx| {
            let Some(spec) = spec(tx, queue)? else {
                return Ok(None);
            };
            let now = now_ms();
            let mut insert = tx.prepare_cached(
                "INSERT INTO messages (queue, message_id, body, attributes, grp, trace, sent, visible, expires)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            let mut ids = Vec::with_capacity(messages.len());
            for message in messages {
                let id = random_id();
                insert.execute(params![
                    queue,
                    id,
                    message.body,
                    serde_json::to_string(&message.attributes).unwrap_or_default(),
                    message.group.as_deref().unwrap_or_default(),
                    message.trace,
                    self.0.store.stamp(),
                    now + millis(message.delay.unwrap_or(spec.delay)),
                    now + millis(spec.retention),
                ])?;
                ids.push(id);
            }
            Ok(Some(ids))
        })?;
        let ids = sent.ok_or(QueueError::NoQueue)?;
        self.arrived(queue);
        self.changed();
        Ok(ids)
    }

    /// Receives up to `max` messages, waiting up to `wait` for the first; none when the time is over.
    ///
    /// `visibility` takes the place of the queue's own.
    pub async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
        visibility: Option<Duration>,
    ) -> Result<Vec<Received>, QueueError> {
        self.wait_for(queue, wait, || self.take(queue, max, visibility, Order::Forward, false)).await
    }

    /// Takes again and again until something is taken or the time is over.
    async fn wait_for(
        &self,
        queue: &str,
        wait: Duration,
        take: impl Fn() -> Result<Vec<Received>, QueueError>,
    ) -> Result<Vec<Received>, QueueError> {
        let deadline = Instant::now() + wait;
        let arrivals = self.arrivals(queue);
        loop {
            let mut arrival = std::pin::pin!(arrivals.notified());
            // From here on a wake-up is kept, also one that comes before the wait below.
            arrival.as_mut().enable();
            let received = take()?;
            if !received.is_empty() || Instant::now() >= deadline {
                return Ok(received);
            }
            let until = self.next_look(queue)?.map_or(deadline, |due| due.min(deadline));
            tokio::select! {
                () = arrival => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Deletes a message by the handle of its latest receive. An older handle succeeds and deletes nothing, as on SQS.
    pub fn delete(&self, queue: &str, receipt: &str) -> Result<(), QueueError> {
        let (id, nonce) = open_receipt(queue, receipt)?;
        self.0.store.write(|tx| {
            tx.prepare_cached("DELETE FROM messages WHERE id = ?1 AND queue = ?2 AND receipt = ?3")?
                .execute(params![id, queue, nonce])
        })?;
        self.changed();
        Ok(())
    }

    /// Makes a message in flight visible again after `timeout` from now; at once when it is zero.
    pub fn change_visibility(&self, queue: &str, receipt: &str, timeout: Duration) -> Result<(), QueueError> {
        let (id, nonce) = open_receipt(queue, receipt)?;
        let now = now_ms();
        let visible = now + millis(timeout.min(LONGEST_VISIBILITY));
        let was: Option<i64> = self.0.store.write(|tx| {
            let was = tx
                .query_row(
                    "SELECT visible FROM messages WHERE id = ?1 AND queue = ?2 AND receipt = ?3",
                    params![id, queue, nonce],
                    |row| row.get(0),
                )
                .optional()?;
            if was.is_some_and(|was: i64| was > now) {
                tx.execute("UPDATE messages SET visible = ?2 WHERE id = ?1", params![id, visible])?;
            }
            Ok(was)
        })?;
        match was {
            None => Err(QueueError::NoMessage),
            Some(was) if was <= now => Err(QueueError::NotInFlight),
            Some(_) => {
                // Also for a longer timeout: a waiting receive has to plan its next look anew.
                self.arrived(queue);
                self.changed();
                Ok(())
            }
        }
    }

    /// How many messages a queue holds.
    pub fn depth(&self, queue: &str) -> Result<Depth, QueueError> {
        self.0
            .store
            .read(|db| {
                if spec(db, queue)?.is_none() {
                    return Ok(None);
                }
                depth(db, queue, now_ms()).map(Some)
            })?
            .ok_or(QueueError::NoQueue)
    }

    /// Drops all messages of a queue.
    pub fn purge(&self, queue: &str) -> Result<(), QueueError> {
        self.spec(queue)?;
        self.0.store.write(|tx| tx.execute("DELETE FROM messages WHERE queue = ?1", [queue]))?;
        self.changed();
        Ok(())
    }

    /// Lets time pass for all queues: what is delayed or in flight becomes due earlier, retention ends earlier, and the
    /// stamps of what is sent and received from now on are so much later.
    pub fn advance(&self, by: Duration) -> Result<(), StoreError> {
        self.shift("UPDATE messages SET visible = visible - ?1, expires = expires - ?1", by)
    }

    /// Lets time pass for delayed messages only: nothing that is being worked on comes back.
    pub fn advance_delayed(&self, by: Duration) -> Result<(), StoreError> {
        self.shift("UPDATE messages SET visible = visible - ?1 WHERE in_flight = 0", by)
    }

    /// The time by which messages are stamped, in milliseconds since 1970: the machine's, and what was let pass.
    pub fn stamp_ms(&self) -> u64 {
        u64::try_from(self.0.store.stamp()).unwrap_or_default()
    }

    fn shift(&self, sql: &str, by: Duration) -> Result<(), StoreError> {
        self.0.store.let_pass(millis(by));
        self.0.store.write(|tx| tx.execute(sql, [millis(by)]))?;
        self.all_arrived();
        Ok(())
    }

    /// Makes every message in flight visible at once. For a stack that starts on a kept file: whoever had received
    /// them ended with the process before.
    pub fn release_in_flight(&self) -> Result<(), StoreError> {
        self.0.store.write(|tx| {
            tx.execute("UPDATE messages SET visible = ?1 WHERE in_flight = 1 AND visible > ?1", [now_ms()])
        })?;
        self.all_arrived();
        Ok(())
    }

    /// Waits until none of these queues holds a message and the pollers hold nothing, looked at together at one moment. Says how many
    /// messages were not due at that moment.
    pub async fn wait_until_empty(&self, queues: &[&str], delayed: Delayed) -> Result<u64, StoreError> {
        loop {
            let mut change = std::pin::pin!(self.0.changes.notified());
            change.as_mut().enable();
            let (busy, waiting) = self.0.store.read(|db| {
                // Under the store's lock, as what is sent and taken: nothing is between two times or two places.
                let (now, held) = (now_ms(), self.0.held.load(Ordering::SeqCst));
                queues.iter().try_fold((held, 0), |(busy, waiting), queue| {
                    let depth = depth(db, queue, now)?;
                    Ok((busy + depth.visible + depth.in_flight, waiting + depth.delayed))
                })
            })?;
            let counted = match delayed {
                Delayed::Ignored => 0,
                Delayed::Counted => waiting,
            };
            if busy + counted == 0 {
                return Ok(waiting);
            }
            change.await;
        }
    }

    /// As [`Queues::receive`] for the stack's own pollers: what is received counts as held until [`Queues::give_back`]. `order` is
    /// asked for each look into the queue.
    pub(crate) async fn receive_to_work(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
        order: impl Fn() -> Order,
    ) -> Result<Vec<Received>, QueueError> {
        self.wait_for(queue, wait, || match self.is_paused(queue) {
            true => Ok(Vec::new()),
            false => self.take(queue, max, None, order(), true),
        })
        .await
    }

    /// The pollers are done with so many messages, one way or the other.
    pub(crate) fn give_back(&self, messages: usize) {
        self.0.held.fetch_sub(u64::try_from(messages).unwrap_or_default(), Ordering::SeqCst);
        self.changed();
    }

    /// Has the stack's own pollers receive nothing from a queue, as a disabled event source mapping does, or again.
    pub fn pause(&self, queue: &str, paused: bool) {
        let mut all = self.0.paused.lock().unwrap_or_else(PoisonError::into_inner);
        if paused {
            all.insert(queue.to_owned());
        } else {
            all.remove(queue);
        }
        drop(all);
        self.arrived(queue);
        // A paused queue is quiet.
        self.changed();
    }

    fn is_paused(&self, queue: &str) -> bool {
        self.0.paused.lock().unwrap_or_else(PoisonError::into_inner).contains(queue)
    }

    /// Puts the clock that stamps messages, claims and registrations back against the machine's: functions, which have the machine's,
    /// are ahead of it by so much.
    pub fn put_clock_back(&self, by: Duration) {
        self.0.store.let_pass(-millis(by));
    }

    /// Waits until the pollers hold nothing and none of these queues has a message that is due (but in a paused one), looked at together
    /// at one moment.
    pub(crate) async fn wait_until_quiet(&self, queues: &[&str]) -> Result<(), StoreError> {
        loop {
            let mut change = std::pin::pin!(self.0.changes.notified());
            change.as_mut().enable();
            let busy = self.0.store.read(|db| {
                let now = now_ms();
                // Under the store's lock: what is taken is counted as held before the lock is let go.
                if self.0.held.load(Ordering::SeqCst) > 0 {
                    return Ok(true);
                }
                for queue in queues.iter().filter(|queue| !self.is_paused(queue)) {
                    if depth(db, queue, now)?.visible > 0 {
                        return Ok(true);
                    }
                }
                Ok(false)
            })?;
            if !busy {
                return Ok(());
            }
            change.await;
        }
    }

    fn take(
        &self,
        queue: &str,
        max: usize,
        visibility: Option<Duration>,
        order: Order,
        hold: bool,
    ) -> Result<Vec<Received>, QueueError> {
        let taken = self.0.store.write(|tx| {
            let Some(spec) = spec(tx, queue)? else {
                return Ok(None);
            };
            let mut taken = Taken::default();
            let until = millis(visibility.unwrap_or(spec.visibility));
            while taken.received.len() < max {
                let now = now_ms();
                let picked = pick(tx, queue, max - taken.received.len(), now, order)?;
                if picked.is_empty() {
                    break;
                }
                for id in picked {
                    take_one(tx, &spec, id, (now, self.0.store.stamp()), now + until, &mut taken)?;
                }
            }
            if hold {
                self.0.held.fetch_add(u64::try_from(taken.received.len()).unwrap_or_default(), Ordering::SeqCst);
            }
            Ok(Some(taken))
        })?;
        let taken = taken.ok_or(QueueError::NoQueue)?;
        if let Some(dead_letter) = taken.moved_to {
            self.arrived(&dead_letter);
        }
        if taken.gone {
            self.changed();
        }
        Ok(taken.received)
    }

    fn next_due(&self, queue: &str) -> Result<Option<i64>, StoreError> {
        self.0.store.read(|db| {
            db.prepare_cached("SELECT min(visible) FROM messages WHERE queue = ?1 AND visible > ?2")?
                .query_row(params![queue, now_ms()], |row| row.get(0))
        })
    }

    /// When the next message of a queue becomes due.
    fn next_look(&self, queue: &str) -> Result<Option<Instant>, StoreError> {
        Ok(self.next_due(queue)?.map(|ms| {
            let left = u64::try_from(ms.saturating_sub(now_ms())).unwrap_or(0);
            Instant::now() + Duration::from_millis(left.max(1))
        }))
    }

    fn arrivals(&self, queue: &str) -> Arc<Notify> {
        let mut arrivals = self.0.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = arrivals.get(queue) {
            return Arc::clone(notify);
        }
        Arc::clone(arrivals.entry(queue.to_owned()).or_default())
    }

    fn arrived(&self, queue: &str) {
        self.arrivals(queue).notify_waiters();
    }

    fn all_arrived(&self) {
        let arrivals = self.0.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.values().for_each(|notify| notify.notify_waiters());
        drop(arrivals);
        self.changed();
    }

    fn changed(&self) {
        self.0.changes.notify_waiters();
    }
}

fn open_receipt(queue: &str, receipt: &str) -> Result<(i64, String), QueueError> {
    let bytes = URL_SAFE_NO_PAD.decode(receipt).map_err(|_| QueueError::BadReceipt)?;
    let text = String::from_utf8(bytes).map_err(|_| QueueError::BadReceipt)?;
    let mut parts = text.splitn(3, '/');
    let (Some(of), Some(id), Some(nonce)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(QueueError::BadReceipt);
    };
    let id = id.parse().map_err(|_| QueueError::BadReceipt)?;
    if of != queue {
        return Err(QueueError::BadReceipt);
    }
    Ok((id, nonce.to_owned()))
}
