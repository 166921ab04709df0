//! When what is left over is tried again, and when it is given up.

use std::time::Duration;

use pushbell::delivery::Class;
use pushbell::time::Timestamp;

/// The first wait is up to this long; each one after it up to twice as long as the one before.
const FIRST: Duration = Duration::from_secs(5);
/// No wait is longer than this, but for one that a vendor asks for.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// A vendor's own wait is taken between these bounds.
const ASKED: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60 * 60));
/// Attempts, the first included. Nothing but a bound: with the waits above, half of them used on average, they last for a day, and a
/// message's end comes first.
const MOST_ATTEMPTS: u16 = 200;

/// The wait that a recipient's devices ask for, joined: the longest of what their vendors said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    after: Option<Duration>,
    until: Option<Timestamp>,
}

impl Wish {
    /// What a verdict's class asks for.
    pub(crate) fn of(class: Class) -> Self {
        match class {
            Class::Retry { after } | Class::Throttled { after } => {
                Self { after: after.map(|after| after.clamp(ASKED.0, ASKED.1)), until: None }
            }
            Class::QuotaUntil(until) => Self::until(until),
            Class::Delivered
            | Class::DeadToken
            | Class::Unauthorized
            | Class::Misconfigured
            | Class::BadMessage
            | Class::Unrecognised => Self::default(),
        }
    }

    /// Not before this point.
    pub(crate) fn until(until: Timestamp) -> Self {
        Self { after: None, until: Some(until) }
    }

    /// Both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { after: self.after.max(other.after), until: self.until.max(other.until) }
    }

    /// The point before which nothing is to be tried; `None` when nobody asked for a wait.
    pub(crate) fn not_before(self, now: Timestamp) -> Option<Timestamp> {
        self.until.max(self.after.map(|after| now.plus(after)))
    }
}

/// Whether what is left over after an attempt is given up: its next try would come too late, or there were too many.
pub(crate) fn is_given_up(attempt: u16, not_before: Option<Timestamp>, now: Timestamp, expiry: Timestamp) -> bool {
    attempt + 1 >= MOST_ATTEMPTS || not_before.unwrap_or(now).max(now) >= expiry
}

/// When a chunk is tried again whose first recipient may be tried at `earliest`: exponential backoff with full jitter from there, within
/// the message's time. `random` is in 0..=1.
pub(crate) fn due(attempt: u16, earliest: Timestamp, expiry: Timestamp, random: f64) -> Timestamp {
    let widest = FIRST.saturating_mul(1 << attempt.min(16)).min(LONGEST);
    let last = expiry.minus(Duration::from_secs(1)).max(earliest);
    earliest.plus(widest.mul_f64(random)).min(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
    const LATER: Timestamp = Timestamp::from_millis(1_767_225_600_000 + 86_400_000);

    #[test]
    fn waits_double_up_to_the_longest_with_full_jitter() {
        let after = |attempt, random| due(attempt, NOW, LATER, random).since(NOW);
        assert_eq!(after(0, 1.0), Duration::from_secs(5));
        assert_eq!(after(3, 1.0), Duration::from_secs(40));
        assert_eq!(after(3, 0.0), Duration::ZERO);
        assert_eq!(after(150, 1.0), LONGEST);
    }

    #[test]
    fn the_last_try_comes_before_the_message_s_end() {
        let expiry = NOW.plus(Duration::from_secs(3));
        assert_eq!(due(9, NOW, expiry, 1.0), NOW.plus(Duration::from_secs(2)));
    }

    #[test]
    fn a_vendor_s_own_wait_is_kept_within_bounds() {
        let asks = |after| {
            let wish = Wish::of(Class::Throttled { after: Some(Duration::from_secs(after)) });
            wish.not_before(NOW).map(|at| at.since(NOW).as_secs())
        };
        assert_eq!(asks(1), Some(10));
        assert_eq!(asks(77), Some(77));
        assert_eq!(asks(86_400), Some(3_600));
        assert_eq!(Wish::of(Class::Unrecognised).not_before(NOW), None);
        let quota = Wish::of(Class::QuotaUntil(NOW.plus(Duration::from_secs(7_200))));
        let both = quota.and(Wish::of(Class::Retry { after: Some(Duration::from_secs(20)) }));
        assert_eq!(both.not_before(NOW), Some(NOW.plus(Duration::from_secs(7_200))));
    }

    #[test]
    fn what_would_come_after_the_message_s_end_or_too_often_is_given_up() {
        let wait = Some(NOW.plus(Duration::from_secs(60)));
        assert!(is_given_up(0, wait, NOW, NOW.plus(Duration::from_secs(60))));
        assert!(!is_given_up(0, wait, NOW, NOW.plus(Duration::from_secs(61))));
        assert!(is_given_up(0, None, NOW, NOW));
        assert!(!is_given_up(198, None, NOW, LATER));
        assert!(is_given_up(199, None, NOW, LATER));
    }
}
