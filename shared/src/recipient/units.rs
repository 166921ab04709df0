//! What the store costs, as DynamoDB reports it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Write and read units that the store used, as DynamoDB reports them. Off unless asked for.
#[derive(Debug, Default)]
pub struct Units(Mutex<UnitsInner>);

#[derive(Debug, Default)]
struct UnitsInner {
    /// Counting updates by their units.
    counts: BTreeMap<u32, u64>,
    /// Units of everything else that was written.
    other_writes: f64,
    /// Units that were read.
    reads: f64,
}

impl Units {
    pub(super) fn count(&self, units: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole units of 1 KB")]
        let units = units.ceil() as u32;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).counts.entry(units).or_default() += 1;
    }

    pub(super) fn write(&self, units: f64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).other_writes += units;
    }

    pub(super) fn read(&self, units: f64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reads += units;
    }

    /// Counting updates by their units; units of other writes; units read.
    #[must_use]
    pub fn snapshot(&self) -> (BTreeMap<u32, u64>, f64, f64) {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.counts.clone(), inner.other_writes, inner.reads)
    }
}
