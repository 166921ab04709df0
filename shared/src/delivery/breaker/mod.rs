//! Circuit breakers, one per app and channel: a vendor that is down or throttles is left alone for a while, then asked by single sends.
//!
//! ```text
//! closed ──10 failures, half of all, over 1 s of 30 s──▶ open ──its time is over──▶ half-open: one probe at a time
//!    ▲                                                   ▲  a quota that is used up opens at once    │
//!    └────────────────the vendor answered────────────────┴───────────it did not: twice as long───────┘
//! ```
//!
//! What is open is shared in a row per app, so that one environment's lesson is everybody's; each environment looks at it every 10
//! seconds. A closed breaker writes nothing. When the table does not answer, an environment goes by what it knows: a breaker is a
//! kindness to the vendor, and never the reason that a push is lost.
//!
//! Time is the queue's, as everywhere in delivery.

mod row;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Channel, Class};
use crate::env::{EnvError, Environment};
use crate::id::AppId;
use crate::time::Timestamp;

use row::{Open, Rows};
use window::{Health, Window};

/// How long an app's row is taken to be as it was read.
const FRESH: Duration = Duration::from_secs(10);
/// A probe that has not told its end after so long, a send's 5 s and some, died with its environment: another is sent.
const PROBE: Duration = Duration::from_secs(7);
/// How long a breaker is open the first time, and at most.
const OPEN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5 * 60));
/// Apps that are remembered before the list starts over.
const MOST_APPS: usize = 1000;

/// Whether a send may go ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The breaker is closed.
    Free,
    /// It is half-open, and this send finds out. Its end must be [told](Breaker::tell).
    Probe,
    /// It is open: not before this point.
    Wait(Timestamp),
}

/// The breakers of every app. One per environment.
pub struct Breakers {
    rows: Arc<Rows>,
    apps: Mutex<HashMap<AppId, Arc<Breaker>>>,
}

impl Breakers {
    /// Breakers whose rows are in the tasks table that `env` names.
    ///
    /// # Errors
    /// When it names none.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self { rows: Arc::new(Rows::new(env)?), apps: Mutex::default() })
    }

    /// The breaker of `app`.
    #[must_use]
    pub fn of(&self, app: &AppId) -> Arc<Breaker> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = apps.get(app) {
            return Arc::clone(known);
        }
        if apps.len() >= MOST_APPS {
            apps.clear();
        }
        let breaker = Arc::new(Breaker {
            app: app.clone(),
            rows: Arc::clone(&self.rows),
            known: Mutex::default(),
            turn: tokio::sync::Mutex::new(()),
        });
        apps.insert(app.clone(), Arc::clone(&breaker));
        breaker
    }
}

/// One app's breaker, with a state for each channel.
pub struct Breaker {
    app: AppId,
    rows: Arc<Rows>,
    known: Mutex<Known>,
    /// Held while the row is read or a probe is claimed: one call, and everybody else waits for its answer.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    read_at: Option<Timestamp>,
    channels: [Local; Channel::COUNT],
}

/// A channel as this environment knows it.
#[derive(Clone, Copy, Default)]
struct Local {
    /// As in the row; `None` is closed.
    open: Option<Open>,
    window: Window,
}

impl Known {
    /// Records that come again bear earlier times: what was read "later" is as old as it is far away.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.read_at.is_some_and(|at| now.since(at).max(at.since(now)) < FRESH)
    }

    /// What is known without asking; `None` when the row must be read or a probe is due.
    fn pass(&self, channel: Channel, now: Timestamp) -> Option<Pass> {
        let Some(open) = self.channels[channel as usize].open else {
            return self.is_fresh(now).then_some(Pass::Free);
        };
        let until = open.until.max(open.probe_until.unwrap_or(open.until));
        // A breaker that is open stays so until its time is over, or a probe closes it, which is looked for every 10 s.
        (now < until && self.is_fresh(now)).then_some(Pass::Wait(until))
    }
}

impl Breaker {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the row if what is known is older than 10 seconds. Run beside other calls: a send then needs not wait for it.
    pub async fn refresh(&self, now: Timestamp) {
        if self.known().is_fresh(now) {
            return;
        }
        let _turn = self.turn.lock().await;
        if !self.known().is_fresh(now) {
            self.read(now).await;
        }
    }

    /// Until when no send to `channel` may go ahead, as far as is known; `None` when one may, or is to find out.
    #[must_use]
    pub fn waits(&self, channel: Channel, now: Timestamp) -> Option<Timestamp> {
        match self.known().pass(channel, now) {
            Some(Pass::Wait(until)) => Some(until),
            Some(Pass::Free | Pass::Probe) | None => None,
        }
    }

    /// Whether a send to `channel` may go ahead.
    pub async fn pass(&self, channel: Channel, now: Timestamp) -> Pass {
        if let Some(pass) = self.known().pass(channel, now) {
            return pass;
        }
        let _turn = self.turn.lock().await;
        if !self.known().is_fresh(now) {
            Box::pin(self.read(now)).await;
        }
        let known = self.known().pass(channel, now);
        match known {
            Some(pass) => pass,
            None => Box::pin(self.claim_probe(channel, now)).await,
        }
    }

    /// Hears how a send ended that had this pass and was begun at `begun`, and opens or closes the breaker when that is due.
    pub async fn tell(&self, channel: Channel, pass: Pass, class: Class, begun: Timestamp, now: Timestamp) {
        let health = Health::of(class);
        match (pass, health) {
            (Pass::Wait(_), _) => {}
            (Pass::Probe, Health::Good) => Box::pin(self.close(channel)).await,
            (Pass::Probe, Health::Bad { after }) => Box::pin(self.open(channel, now, after, None)).await,
            (Pass::Free | Pass::Probe, Health::Spent(until)) => {
                Box::pin(self.open(channel, now, None, Some(until))).await;
            }
            (Pass::Free, Health::Good | Health::Bad { .. }) => {
                let trips = {
                    let mut known = self.known();
                    let local = &mut known.channels[channel as usize];
                    // Sends that were under way when it opened tell nothing new.
                    if local.open.is_some() { None } else { local.window.note(begun, now, health) }
                };
                if let Some(after) = trips {
                    Box::pin(self.open(channel, now, after, None)).await;
                }
            }
        }
    }

    async fn read(&self, now: Timestamp) {
        match self.rows.get(&self.app).await {
            Ok(row) => {
                let mut known = self.known();
                for (local, open) in known.channels.iter_mut().zip(row) {
                    // Nobody closes a breaker before its time is over: a row without it was read too early, or could not be written.
                    let own = local.open.filter(|own| open.is_none() && now < own.until);
                    if local.open.is_some() && open.is_none() && own.is_none() {
                        local.window = Window::default();
                    }
                    local.open = open.or(own);
                }
                known.read_at = Some(now);
            }
            Err(error) => {
                tracing::warn!(app = %self.app, error = %error, metric = "breaker_unread", "going by what is known of the vendors");
                self.known().read_at = Some(now);
            }
        }
    }

    /// Half-open: one send in all environments finds out, the others wait for what it finds.
    async fn claim_probe(&self, channel: Channel, now: Timestamp) -> Pass {
        let Some(seen) = self.known().channels[channel as usize].open else { return Pass::Free };
        let until = now.plus(PROBE);
        let open = match self.rows.claim_probe(&self.app, channel, seen, now, until).await {
            Ok(None) => {
                self.known().channels[channel as usize].open = Some(Open { probe_until: Some(until), ..seen });
                return Pass::Probe;
            }
            Ok(Some(row)) => row[channel as usize],
            // Without the table nobody knows who probes: each environment does, one send at a time.
            Err(error) => {
                tracing::warn!(app = %self.app, error = %error, metric = "breaker_unwritten", "other environments have to find out themselves");
                self.known().channels[channel as usize].open = Some(Open { probe_until: Some(until), ..seen });
                return Pass::Probe;
            }
        };
        let mut known = self.known();
        known.channels[channel as usize].open = open;
        known.pass(channel, now).unwrap_or(Pass::Wait(now.plus(FRESH)))
    }

    /// Opens for `after`, if that is longer than its turn, or `until` a point.
    async fn open(&self, channel: Channel, now: Timestamp, after: Option<Duration>, until: Option<Timestamp>) {
        let trips = self.known().channels[channel as usize].open.map_or(0, |open| open.trips.saturating_add(1));
        let until = until.unwrap_or_else(|| now.plus(open_for(trips, after)));
        let open = Open { until, trips, probe_until: None };
        // At once, whatever becomes of the row: this environment has seen enough.
        {
            let local = &mut self.known().channels[channel as usize];
            *local = Local { open: Some(open), window: Window::default() };
        }
        tracing::warn!(
            app = %self.app,
            channel = channel.as_str(),
            seconds = until.since(now).as_secs(),
            metric = "breaker_open",
            "the vendor is left alone for a while"
        );
        match self.rows.open(&self.app, channel, open, now).await {
            Ok(None) => {}
            // Another environment was first; its time counts.
            Ok(Some(row)) => self.known().channels[channel as usize].open = row[channel as usize].or(Some(open)),
            Err(error) => {
                tracing::warn!(app = %self.app, error = %error, metric = "breaker_unwritten", "other environments have to find out themselves");
            }
        }
    }

    async fn close(&self, channel: Channel) {
        let was = {
            let mut known = self.known();
            std::mem::take(&mut known.channels[channel as usize]).open
        };
        let Some(was) = was else { return };
        tracing::info!(app = %self.app, channel = channel.as_str(), metric = "breaker_closed", "the vendor answers again");
        if let Err(error) = self.rows.close(&self.app, channel, was).await {
            // Open in the row still: another probe will close it.
            tracing::warn!(app = %self.app, error = %error, metric = "breaker_unwritten", "other environments have to find out themselves");
        }
    }
}

/// How long the breaker stays open after `trips` failed probes, when the vendor asks for `after`.
fn open_for(trips: u32, after: Option<Duration>) -> Duration {
    let own = OPEN.0.saturating_mul(1 << trips.min(8)).min(OPEN.1);
    own.max(after.unwrap_or_default())
}

#[cfg(test)]
mod tests;
