//! The fake phones: what each has received, by the vendors' own rules.
//!
//! A phone is a token on a channel. While it is on, a push arrives at once: an Android notification takes the place
//! of the one with the same tag, an APNs one of that with the same collapse id. While it is off, APNs keeps the
//! newest push of each app; FCM keeps the newest of each collapse key (all notifications of an app have one and the
//! same), four keys at most, and a hundred data messages without one, and drops them all with the hundred and first.
//! Kept pushes arrive in their order when it is on again, unless their time to live is over. A dead phone takes
//! nothing: its app is gone.
//! Sources: firebase.google.com, "Non-collapsible and collapsible messages" and "Set the lifespan of a message";
//! developer.apple.com, "Viewing the status of push notifications" and "Sending notification requests to APNs".

mod push;
mod rows;

pub(crate) use push::{Lifetime, Push};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::params;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use crate::store::{Store, StoreError, now_ms};
use rows::{NOTIFICATION, SCHEMA, arrive, find, insert, keep_for_later, notification, phone};

/// The road a push came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Amazon SNS.
    Sns,
    /// FCM, called directly.
    Fcm,
}

impl Channel {
    fn name(self) -> &'static str {
        match self {
            Self::Sns => "sns",
            Self::Fcm => "fcm",
        }
    }

    /// The channel with this name, as `GET /phones` spells it.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "sns" => Some(Self::Sns),
            "fcm" => Some(Self::Fcm),
            _ => None,
        }
    }
}

/// Which pushes a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// What a person sees: notifications that no other one replaced.
    Shown,
    /// What is on the phone: what is shown, and the silent pushes that its apps were handed, flagged as such.
    Received,
    /// Every push that the vendor accepted, also replaced, kept and dropped ones, each with its state.
    Raw,
}

/// A phone and its notifications.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Phone {
    /// Its token.
    pub token: String,
    /// The road to it.
    pub channel: Channel,
    /// The newest first.
    pub notifications: Vec<Notification>,
}

/// A push as a phone has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notification {
    /// The title, where the push brings one.
    pub title: Option<String>,
    /// The text, where the push brings one.
    pub body: Option<String>,
    /// The number for the icon: `aps.badge`, or Android's `notification_count`.
    pub badge: Option<i64>,
    /// The sound's name.
    pub sound: Option<String>,
    /// Nothing is shown: data only, background, or only a badge.
    pub silent: bool,
    /// What makes it replace another: APNs' collapse id, Android's tag.
    pub collapse_id: Option<String>,
    /// The push as the vendor was given it.
    pub payload: Value,
    /// When it was accepted, in milliseconds since 1970.
    pub at: i64,
    /// In the raw view: `received`, `replaced`, `stored` (the phone is off) or `dropped`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// A push that a vendor accepted, without its payload: for whoever looks at all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The phone's token.
    pub token: String,
    /// The road to it.
    pub channel: Channel,
    /// It is on the phone: not replaced, kept or dropped.
    pub received: bool,
    /// Nothing is shown.
    pub silent: bool,
    /// The `pushbell_id` of its data.
    pub id: String,
    /// The number for the icon.
    pub badge: Option<i64>,
    /// When it was accepted, in milliseconds since 1970 by the machine's clock.
    pub at: i64,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Accepted: arrived, kept or dropped by the rules.
    Accepted,
    /// The token is dead.
    Dead,
}

/// The phones of a stack; clones share them.
#[derive(Clone)]
pub struct Phones(Arc<Inner>);

struct Inner {
    store: Store,
    changes: Notify,
    accepted: AtomicU64,
    count_only: AtomicBool,
}

impl Phones {
    /// The store that holds them.
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The phones in this store.
    pub fn new(store: Store) -> Result<Self, StoreError> {
        store.prepare(SCHEMA)?;
        Ok(Self(Arc::new(Inner {
            store,
            changes: Notify::new(),
            accepted: AtomicU64::new(0),
            count_only: AtomicBool::new(false),
        })))
    }

    /// Takes a push from a vendor.
    pub(crate) fn accept(&self, push: &Push) -> Result<Taken, StoreError> {
        let keep = !self.0.count_only.load(Ordering::Relaxed);
        let now = now_ms();
        let taken = self.0.store.write(|tx| {
            let phone = phone(tx, push.channel, &push.token)?;
            if phone.dead {
                return Ok(Taken::Dead);
            }
            if keep {
                if phone.online {
                    insert(tx, phone.id, push, "received", now)?;
                } else {
                    keep_for_later(tx, phone.id, push, now)?;
                }
            }
            Ok(Taken::Accepted)
        })?;
        if taken == Taken::Accepted {
            self.0.accepted.fetch_add(1, Ordering::Relaxed);
            self.0.changes.notify_waiters();
        }
        Ok(taken)
    }

    /// Makes a token dead, as after the app was removed, or alive again. It may be one nothing was sent to yet.
    pub fn set_dead(&self, channel: Channel, token: &str, dead: bool) -> Result<(), StoreError> {
        self.0.store.write(|tx| {
            let phone = phone(tx, channel, token)?;
            tx.execute("UPDATE phones SET dead = ?2 WHERE id = ?1", params![phone.id, dead])
        })?;
        Ok(())
    }

    /// Whether a token is dead.
    pub fn is_dead(&self, channel: Channel, token: &str) -> Result<bool, StoreError> {
        self.0.store.read(|db| Ok(find(db, channel, token)?.is_some_and(|phone| phone.dead)))
    }

    /// Switches a phone on or off. Switched on, it receives what was kept for it.
    pub fn set_online(&self, channel: Channel, token: &str, online: bool) -> Result<(), StoreError> {
        self.0.store.write(|tx| {
            let phone = phone(tx, channel, token)?;
            tx.execute("UPDATE phones SET online = ?2 WHERE id = ?1", params![phone.id, online])?;
            if online {
                arrive(tx, phone.id, now_ms())?;
            }
            Ok(())
        })?;
        self.0.changes.notify_waiters();
        Ok(())
    }

    /// The phones that were sent to, in the order they became known; only those with this token when one is given
    /// (letters in either case).
    pub fn list(&self, view: View, token: Option<&str>) -> Result<Vec<Phone>, StoreError> {
        self.0.store.read(|db| {
            let mut rows = db.prepare_cached(&format!(
                "SELECT {NOTIFICATION}, p.id, p.token, p.channel FROM phones p JOIN pushes n ON n.phone = p.id
                 WHERE ?1 IS NULL OR p.token = ?1 COLLATE NOCASE ORDER BY p.id, n.id DESC"
            ))?;
            let mut rows = rows.query([token])?;
            let mut phones: Vec<Phone> = Vec::new();
            let mut last = None;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get("id")?;
                if last != Some(id) {
                    last = Some(id);
                    let channel: String = row.get("channel")?;
                    phones.push(Phone {
                        token: row.get("token")?,
                        channel: Channel::named(&channel).unwrap_or(Channel::Fcm),
                        notifications: Vec::new(),
                    });
                }
                if let (Some(found), Some(phone)) = (notification(row, view)?, phones.last_mut()) {
                    phone.notifications.push(found);
                }
            }
            Ok(phones)
        })
    }

    /// Every push that a vendor accepted, in their order.
    pub fn log(&self) -> Result<Vec<Accepted>, StoreError> {
        self.0.store.read(|db| {
            let mut rows = db.prepare_cached(
                "SELECT p.token, p.channel, n.state = 'received', n.silent, n.badge, n.at,
                   coalesce(json_extract(n.payload, '$.data.pushbell_id'), json_extract(n.payload, '$.pushbell_id'), '')
                 FROM pushes n JOIN phones p ON p.id = n.phone ORDER BY n.id",
            )?;
            let rows = rows.query_map([], |row| {
                let channel: String = row.get(1)?;
                Ok(Accepted {
                    token: row.get(0)?,
                    channel: Channel::named(&channel).unwrap_or(Channel::Fcm),
                    received: row.get(2)?,
                    silent: row.get(3)?,
                    badge: row.get(4)?,
                    at: row.get(5)?,
                    id: row.get(6)?,
                })
            })?;
            rows.collect()
        })
    }

    /// The notifications of one phone, the newest first; none for one that was not sent to.
    pub fn notifications(&self, channel: Channel, token: &str, view: View) -> Result<Vec<Notification>, StoreError> {
        self.0.store.read(|db| {
            let Some(phone) = find(db, channel, token)? else {
                return Ok(Vec::new());
            };
            let sql = format!("SELECT {NOTIFICATION} FROM pushes n WHERE n.phone = ?1 ORDER BY n.id DESC");
            let mut rows = db.prepare_cached(&sql)?;
            let found = rows.query_map([phone.id], |row| notification(row, view))?;
            found.filter_map(Result::transpose).collect()
        })
    }

    /// Waits until a phone has at least `count` notifications in the [`View::Received`] sense.
    pub async fn wait_for(&self, channel: Channel, token: &str, count: usize) -> Result<Vec<Notification>, StoreError> {
        loop {
            let mut change = std::pin::pin!(self.0.changes.notified());
            change.as_mut().enable();
            let found = self.notifications(channel, token, View::Received)?;
            if found.len() >= count {
                return Ok(found);
            }
            change.await;
        }
    }

    /// How many pushes were accepted since the start of the process.
    pub fn accepted(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// Waits until at least `count` pushes were accepted since the start of the process.
    pub async fn wait_until_accepted(&self, count: u64) {
        loop {
            let mut change = std::pin::pin!(self.0.changes.notified());
            change.as_mut().enable();
            if self.accepted() >= count {
                return;
            }
            change.await;
        }
    }

    /// From now on pushes are counted and not kept: for benchmarks, whose phones nobody looks at.
    pub fn count_only(&self, count_only: bool) {
        self.0.count_only.store(count_only, Ordering::Relaxed);
    }

    /// Forgets all pushes; which phones are dead or off stays.
    pub fn clear(&self) -> Result<(), StoreError> {
        self.0.store.write(|tx| tx.execute("DELETE FROM pushes", []))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
