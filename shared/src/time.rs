//! Points in time, as the tables and the wire hold them: milliseconds since 1970.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The worker's clock. Where a decision must hold between workers, take the queue record's time instead.
    #[must_use]
    pub fn now() -> Self {
        Self(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// The point `ms` milliseconds after 1970.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970, the unit of DynamoDB's TTL attributes.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The point that a text like `2026-01-01T00:00:00Z` names (RFC 3339, UTC).
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let time = DateTime::from_str(text, Format::DateTime).ok()?;
        time.to_millis().ok().and_then(|ms| u64::try_from(ms).ok()).map(Self)
    }

    /// The point as such a text.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let time = DateTime::from_millis(i64::try_from(self.0).unwrap_or(i64::MAX));
        time.fmt(Format::DateTime).unwrap_or_default()
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This point and `duration` more.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This point less `duration`, not before 1970.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Time as the queue tells it: the latest time on a batch's records, and what passed since they were taken up. A worker's own clock may be
/// wrong, and what it decides (which tokens are dead, which marks are old) must hold among all workers.
#[derive(Debug, Clone, Copy)]
pub struct QueueClock {
    base: Timestamp,
    taken_up: Option<Instant>,
}

impl QueueClock {
    /// A clock that goes on from `base`, the latest time on the records that were taken up just now.
    #[must_use]
    pub fn from_now(base: Timestamp) -> Self {
        Self { base, taken_up: Some(Instant::now()) }
    }

    /// A clock that stands, for tests.
    #[must_use]
    pub const fn standing(at: Timestamp) -> Self {
        Self { base: at, taken_up: None }
    }

    /// The time. Never ahead of the queue's own clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.base.plus(self.taken_up.map(|taken_up| taken_up.elapsed()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_survives_its_text() {
        let text = "2026-01-01T00:00:00.5Z";
        assert_eq!(Timestamp::from_rfc3339(text), Some(Timestamp::from_millis(1_767_225_600_500)));
        assert_eq!(Timestamp::from_millis(1_767_225_600_500).to_rfc3339(), text);
        assert_eq!(Timestamp::from_rfc3339("<aws.scheduler.scheduled-time>"), None);
    }

    #[test]
    fn an_earlier_point_is_zero_after_a_later_one() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_500));
        assert_eq!(late.since(early), Duration::from_millis(1_500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.minus(Duration::from_secs(5)), Timestamp::from_millis(0));
    }
}
