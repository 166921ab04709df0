//! Days, in UTC.

use std::fmt;
use std::time::Duration;

use crate::time::Timestamp;

const LENGTH: Duration = Duration::from_secs(24 * 60 * 60);

/// A day, in UTC: `2026-01-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u64);

impl Day {
    /// The day of a point in time.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.as_secs() / LENGTH.as_secs())
    }

    /// The day that a text like `2026-01-01` names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let day = Timestamp::from_rfc3339(&format!("{text}T00:00:00Z")).map(Self::of)?;
        (day.to_string() == text).then_some(day)
    }

    /// Every day from this one to `last`, both included; none when that is before it.
    pub fn to(self, last: Self) -> impl Iterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }

    /// When it begins.
    #[must_use]
    pub fn begins(self) -> Timestamp {
        Timestamp::from_millis(0).plus(LENGTH.saturating_mul(u32::try_from(self.0).unwrap_or(u32::MAX)))
    }

    /// How many days before this one `earlier` is; 0 when it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.begins().to_rfc3339().split('T').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_day_is_written_as_its_date_in_utc() {
        let last_second = Timestamp::from_rfc3339("2026-02-28T23:59:59Z").unwrap();
        assert_eq!(Day::of(last_second).to_string(), "2026-02-28");
        assert_eq!(Day::of(last_second.plus(Duration::from_secs(1))).to_string(), "2026-03-01");
        assert_eq!(Day::parse("2026-02-28"), Some(Day::of(last_second)));
        for wrong in ["", "2026-2-28", "2026-02-30", "20260228", "2026-02-28T00:00:00Z", "2026-02-28 "] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_follow_each_other() {
        let day = |text: &str| Day::parse(text).unwrap();
        let days: Vec<String> = day("2023-12-31").to(day("2024-01-02")).map(|day| day.to_string()).collect();
        assert_eq!(days, ["2023-12-31", "2024-01-01", "2024-01-02"]);
        assert_eq!(day("2024-01-02").to(day("2024-01-01")).count(), 0);
        assert_eq!((day("2024-03-01").since(day("2024-02-28")), day("2024-02-28").since(day("2024-03-01"))), (2, 0));
    }
}
