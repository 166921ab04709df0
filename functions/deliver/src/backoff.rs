//! When what is left over is tried again, and when it is given up.

use std::time::Duration;

use pushbell::delivery::Class;
use pushbell::env::Queue;
use pushbell::time::Timestamp;

/// The first wait is up to this long; each one after it up to twice as long as the one before.
const FIRST: Duration = Duration::from_secs(5);
/// No wait is longer than this, but for one that a vendor asks for.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// A vendor's own wait is taken between these bounds.
const ASKED: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60 * 60));
/// Attempts, the first included. With the waits above they last for about three hours.
const MOST_ATTEMPTS: u16 = 20;

/// The wait that the devices left over ask for, joined: the longest of what their vendors said.
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
            Class::QuotaUntil(until) => Self { after: None, until: Some(until) },
            Class::Delivered
            | Class::DeadToken
            | Class::Unauthorized
            | Class::Misconfigured
            | Class::BadMessage
            | Class::Unrecognised => Self::default(),
        }
    }

    /// Both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { after: self.after.max(other.after), until: self.until.max(other.until) }
    }
}

/// Where leftovers of an attempt go, and from when on they may be tried: exponential backoff with full jitter on top of what the vendor
/// asked for, and never beyond the message's end. `random` is in 0..=1.
pub(crate) fn next(attempt: u16, wish: Wish, now: Timestamp, expiry: Timestamp, random: f64) -> (Queue, Timestamp) {
    let widest = FIRST.saturating_mul(1 << attempt.min(16)).min(LONGEST);
    let asked = wish.until.map(|until| until.since(now)).max(wish.after).unwrap_or_default();
    let due = now.plus(asked.saturating_add(widest.mul_f64(random)));
    if attempt + 1 >= MOST_ATTEMPTS || due >= expiry { (Queue::DeadLetters, now) } else { (Queue::Deliver, due) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
    const LATER: Timestamp = Timestamp::from_millis(1_767_225_600_000 + 86_400_000);

    #[test]
    fn waits_double_up_to_the_longest_with_full_jitter() {
        let at = |attempt, random| next(attempt, Wish::default(), NOW, LATER, random).1.since(NOW);
        assert_eq!(at(0, 1.0), Duration::from_secs(5));
        assert_eq!(at(3, 1.0), Duration::from_secs(40));
        assert_eq!(at(3, 0.0), Duration::ZERO);
        assert_eq!(at(15, 1.0), LONGEST);
    }

    #[test]
    fn a_vendor_s_own_wait_is_kept_within_bounds() {
        let asks = |after| {
            let wish = Wish::of(Class::Throttled { after: Some(Duration::from_secs(after)) });
            next(0, wish, NOW, LATER, 0.0).1.since(NOW).as_secs()
        };
        assert_eq!(asks(1), 10);
        assert_eq!(asks(77), 77);
        assert_eq!(asks(86_400), 3_600);
        let quota = Wish::of(Class::QuotaUntil(NOW.plus(Duration::from_secs(7_200))));
        assert_eq!(next(0, quota, NOW, LATER, 0.0).1.since(NOW).as_secs(), 7_200);
        let both = quota.and(Wish::of(Class::Retry { after: Some(Duration::from_secs(20)) }));
        assert_eq!(next(0, both, NOW, LATER, 0.0).1.since(NOW).as_secs(), 7_200);
    }

    #[test]
    fn what_would_come_after_the_message_s_end_or_too_often_is_given_up() {
        let wish = Wish::of(Class::Retry { after: Some(Duration::from_secs(60)) });
        assert_eq!(next(0, wish, NOW, NOW.plus(Duration::from_secs(60)), 0.0), (Queue::DeadLetters, NOW));
        assert_eq!(next(0, wish, NOW, NOW.plus(Duration::from_secs(61)), 0.0).0, Queue::Deliver);
        assert_eq!(next(18, wish, NOW, LATER, 0.0).0, Queue::Deliver);
        assert_eq!(next(19, wish, NOW, LATER, 0.0), (Queue::DeadLetters, NOW));
    }
}
