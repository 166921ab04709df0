//! How many calls came in, while that is counted: what AWS bills for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What SQS and SNS bill as one request.
const BILLED: usize = 64 * 1024;

/// Calls of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many there were.
    pub calls: u64,
    /// How many pieces of 64 KiB, begun ones included, their bodies are.
    pub pieces: u64,
}

/// The calls of each kind, `sqs:SendMessage`. Off until it is switched on.
#[derive(Debug, Default)]
pub struct Calls {
    on: AtomicBool,
    made: Mutex<BTreeMap<String, Count>>,
}

impl Calls {
    /// Counts from now on, from zero.
    pub fn start(&self) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.on.store(true, Ordering::Relaxed);
    }

    /// What came in since the start, whatever was answered.
    pub fn made(&self) -> BTreeMap<String, Count> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, service: &str, action: &str, bytes: usize) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let count = made.entry(format!("{service}:{action}")).or_default();
        count.calls += 1;
        count.pieces += bytes.div_ceil(BILLED).max(1) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_kind_once_that_is_asked_for() {
        let calls = Calls::default();
        calls.note("sqs", "SendMessage", 1);
        assert!(calls.made().is_empty());
        calls.start();
        calls.note("sqs", "SendMessage", 0);
        calls.note("sqs", "SendMessage", BILLED + 1);
        calls.note("sns", "Publish", BILLED);
        assert_eq!(calls.made()["sqs:SendMessage"], Count { calls: 2, pieces: 3 });
        assert_eq!(calls.made()["sns:Publish"], Count { calls: 1, pieces: 1 });
        calls.start();
        assert!(calls.made().is_empty());
    }
}
