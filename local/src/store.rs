//! The one SQLite database behind the emulators: queue messages, SNS endpoints, phones.
//!
//! In a file it survives the end of the process at any moment (`kill -9`), not the loss of power: write-ahead log,
//! no sync per write.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// The database could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[error("the local store failed")]
pub struct StoreError(#[from] rusqlite::Error);

/// A handle on the database; clones share it.
///
/// Calls block while another one runs. They are short, so they may be made on an async runtime.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    /// How many milliseconds were let pass in a test: the emulated services' clock is so much ahead of the machine's.
    passed: Arc<AtomicI64>,
}

impl Store {
    /// A database that lives as long as its last handle.
    pub fn memory() -> Result<Self, StoreError> {
        Self::over(Connection::open_in_memory()?)
    }

    /// The database in this file, made if it is not there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Self::over(connection)
    }

    fn over(connection: Connection) -> Result<Self, StoreError> {
        connection.set_prepared_statement_cache_capacity(128);
        Ok(Self { connection: Arc::new(Mutex::new(connection)), passed: Arc::default() })
    }

    /// Makes the tables a part needs, unless they are there.
    pub(crate) fn prepare(&self, schema: &str) -> Result<(), StoreError> {
        Ok(self.lock(|connection| connection.execute_batch(schema))?)
    }

    /// Runs `work` in one transaction, committed when it succeeds.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        Ok(self.lock(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })?)
    }

    /// Runs `work` that only reads.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        Ok(self.lock(|connection| work(connection))?)
    }

    fn lock<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        // A panic of another holder leaves no half-done work: its transaction was rolled back.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut connection)
    }

    /// The time by which the emulated services stamp things and let them expire, in milliseconds since 1970.
    pub(crate) fn stamp(&self) -> i64 {
        now_ms() + self.passed.load(Ordering::Relaxed)
    }

    /// Puts that clock on.
    pub(crate) fn let_pass(&self, ms: i64) {
        self.passed.fetch_add(ms, Ordering::Relaxed);
    }
}

/// Milliseconds since 1970, by the machine's clock.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Random bytes in hexadecimal, `N` of them.
pub(crate) fn random_hex<const N: usize>() -> String {
    use ring::rand::SecureRandom;
    use std::fmt::Write;
    let mut bytes = [0u8; N];
    // The system's generator does not fail once it has started; zeros would only make names less unique.
    let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
    bytes.iter().fold(String::with_capacity(N * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A random identifier in the shape of a UUID.
pub(crate) fn random_id() -> String {
    let hex = random_hex::<16>();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
