//! Writing a row's device, or telling what writing it would do.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use pushbell::app::SnsSettings;
use pushbell::id::{AppId, ClientId};
use pushbell::recipient::Device;
use pushbell::registry::{Adopted, Registry, RegistryError};
use tokio::time::Instant;

use super::counts::Fate;
use super::met::{Met, Planned};

/// How long the tables are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Up to how long before the second try of a row; before each one after it up to twice as long.
    pub first: Duration,
    /// Never longer than this.
    pub longest: Duration,
    /// A row that fails for so long is given up, and so is the import when no other row works either.
    pub limit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (first, longest) = (Duration::from_millis(200), Duration::from_secs(10));
        Self { first, longest, limit: Duration::from_secs(120) }
    }
}

/// Why no row can be written any more.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// DynamoDB refuses whatever is asked.
    #[error("DynamoDB refuses: {code}")]
    Refused {
        /// In its own words.
        code: String,
    },
    /// It did not do anything for long.
    #[error("nothing could be written for {} s", waited.as_secs())]
    NothingWorks {
        /// For how long.
        waited: Duration,
        /// The last trouble.
        #[source]
        source: RegistryError,
    },
}

/// What a trouble means for a row.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// Passing: the same again.
    Passing,
    /// Of this row alone, and for good.
    Row,
    /// Of all rows, and for good.
    All(String),
}

/// A refused transaction costs what the reads of so many rows cost: six write units of $0.625 a million, and two read units of $0.125.
const REFUSED: i32 = 15;
const MOST_CREDIT: i32 = 4 * REFUSED;

/// Writes into the tables of one app.
pub(super) struct Writer {
    registry: Registry,
    app: AppId,
    sns: SnsSettings,
    patience: Patience,
    worked: Mutex<Instant>,
    /// Whether it pays to write without reading: what was saved by it, less what was lost.
    credit: AtomicI32,
    met: Mutex<Met>,
    /// Of a dry run, what it would have written.
    planned: Option<Mutex<Planned>>,
}

impl Writer {
    pub(super) fn new(registry: Registry, app: AppId, sns: SnsSettings, patience: Patience, dry_run: bool) -> Self {
        Self {
            registry,
            app,
            sns,
            patience,
            worked: Mutex::new(Instant::now()),
            credit: AtomicI32::new(REFUSED + 1),
            met: Mutex::default(),
            planned: dry_run.then(Mutex::default),
        }
    }

    /// Writes one device, as often as it takes.
    pub(super) async fn write(&self, client: &ClientId, device: &Device) -> Result<Fate, WriteError> {
        let (begun, mut wait) = (Instant::now(), self.patience.first);
        loop {
            let error = match self.once(client, device).await {
                Ok(adopted) => {
                    *held(&self.worked) = Instant::now();
                    return Ok(match adopted {
                        Adopted::Now { .. } | Adopted::Before => Fate::Imported,
                        Adopted::Kept(why) => Fate::Kept(why),
                    });
                }
                Err(error) => error,
            };
            match trouble(&error) {
                Trouble::Passing => {}
                Trouble::Row => return Ok(Fate::Failed),
                Trouble::All(code) => return Err(WriteError::Refused { code }),
            }
            if begun.elapsed() >= self.patience.limit {
                let waited = held(&self.worked).elapsed();
                if waited >= self.patience.limit {
                    return Err(WriteError::NothingWorks { waited, source: error });
                }
                return Ok(Fate::Failed);
            }
            // With its place among the rows that are written at once: so all of them slow down.
            tokio::time::sleep(wait.mul_f64(fastrand::f64())).await;
            wait = (wait * 2).min(self.patience.longest);
        }
    }

    async fn once(&self, client: &ClientId, device: &Device) -> Result<Adopted, RegistryError> {
        if let Some(planned) = &self.planned {
            let more = held(planned).devices_of(client);
            let adopted = self.registry.would_adopt(&self.app, client, device, more).await?;
            return Ok(held(planned).judge(client, device, adopted));
        }
        if device.endpoint.is_some()
            && let Some(application) = self.sns.application(device.sandbox)
        {
            self.registry.note_application(&self.app, application).await?;
        }
        let unseen = held(&self.met).is_new(client);
        // Also of a row that is tried again: then it is read.
        if unseen && self.credit.load(Ordering::Relaxed) > 0 {
            let adopted = self.registry.adopt_unseen(&self.app, client, device).await?;
            self.settle(if adopted { 1 } else { -REFUSED });
            if adopted {
                return Ok(Adopted::Now { unseen });
            }
        }
        let adopted = self.registry.adopt(&self.app, client, device).await?;
        if adopted == (Adopted::Now { unseen: true }) {
            self.settle(1);
        }
        Ok(adopted)
    }

    fn settle(&self, change: i32) {
        let settled = |credit: i32| Some((credit + change).clamp(-MOST_CREDIT, MOST_CREDIT));
        // It always changes.
        let _ = self.credit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, settled);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn trouble(error: &RegistryError) -> Trouble {
    let code = match error {
        RegistryError::Unavailable(error) => error.code(),
        RegistryError::Contended | RegistryError::Throttled => None,
    };
    match code {
        Some(
            "AccessDeniedException"
            | "ExpiredTokenException"
            | "IncompleteSignatureException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "ResourceNotFoundException"
            | "UnrecognizedClientException",
        ) => Trouble::All(code.unwrap_or_default().to_owned()),
        // An item that would be larger than may be is told so, alone or as a transaction's reason.
        Some("ItemCollectionSizeLimitExceededException" | "TransactionCanceledException" | "ValidationException") => {
            Trouble::Row
        }
        Some(_) | None => Trouble::Passing,
    }
}
