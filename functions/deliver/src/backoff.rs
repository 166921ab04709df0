//! When what is left over is tried again, and when it is given up.

use std::time::Duration;

use pushbell::app::RetrySettings;
use pushbell::delivery::Class;
use pushbell::task::Attempt;
use pushbell::time::Timestamp;

/// Tries of an answer that is in no table: a few, then it is given up (and can be replayed, once somebody has put it into one).
const UNRECOGNISED: u32 = 5;
/// What waited for a vendor comes back over so long.
const PAUSED: Duration = Duration::from_secs(60);

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
            Class::Retry { after } | Class::Throttled { after } => Self { after, until: None },
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

/// Whether what is left over after an attempt is given up: its next try would come too late, or there were too many. `tries` are the
/// recipient's own, sent in vain; the chunk's attempts, in which it may only have waited, have a bound as well.
pub(crate) fn is_given_up(
    retry: &RetrySettings,
    attempt: Attempt,
    tries: u32,
    not_before: Option<Timestamp>,
    now: Timestamp,
    expiry: Timestamp,
) -> bool {
    let too_often = tries >= retry.attempts() || attempt.tries() + 1 >= RetrySettings::MOST_ATTEMPTS;
    too_often || not_before.unwrap_or(now).max(now) >= expiry
}

/// Whether a device that had this verdict at its try number `tries` is given up, whatever time is left.
pub(crate) fn is_hopeless(class: Class, tries: u32) -> bool {
    class == Class::Unrecognised && tries >= UNRECOGNISED
}

/// When a chunk is looked at again that waits for vendors until then: spread over a minute, within the message's time.
pub(crate) fn after_pause(until: Timestamp, expiry: Timestamp, random: f64) -> Timestamp {
    let last = expiry.minus(Duration::from_secs(1)).max(until);
    until.plus(PAUSED.mul_f64(random)).min(last)
}

/// When a chunk is tried again whose first recipient may be tried at `earliest`: exponential backoff with full jitter from there, within
/// the message's time. `random` is in 0..=1.
pub(crate) fn due(
    retry: &RetrySettings,
    attempt: Attempt,
    earliest: Timestamp,
    expiry: Timestamp,
    random: f64,
) -> Timestamp {
    let widest = retry.first_wait().saturating_mul(1 << attempt.tries().min(16)).min(retry.longest_wait());
    let last = expiry.minus(Duration::from_secs(1)).max(earliest);
    earliest.plus(widest.mul_f64(random)).min(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
    const LATER: Timestamp = Timestamp::from_millis(1_767_225_600_000 + 86_400_000);

    #[test]
    fn waits_double_up_to_the_longest_with_full_jitter() {
        let after = |attempt, random| {
            due(&RetrySettings::default(), Attempt::from_number(attempt), NOW, LATER, random).since(NOW).as_secs()
        };
        assert_eq!(after(0, 1.0), 5);
        assert_eq!(after(3, 1.0), 40);
        assert_eq!(after(3, 0.0), 0);
        assert_eq!(after(150, 1.0), 900);
        assert_eq!(after(200, 1.0), 5, "a replay begins anew");
    }

    #[test]
    fn an_app_has_its_own_waits_and_attempts() {
        let retry = serde_json::from_str(r#"{"first_wait_s": 1, "longest_wait_s": 3, "attempts": 2}"#);
        let retry: RetrySettings = retry.unwrap();
        let after = |attempt| due(&retry, Attempt::from_number(attempt), NOW, LATER, 1.0).since(NOW).as_secs();
        assert_eq!([after(0), after(1), after(2)], [1, 2, 3]);
        assert!(
            !is_given_up(&retry, Attempt::from_number(9), 1, None, NOW, LATER),
            "it waited nine times, and was sent once"
        );
        assert!(is_given_up(&retry, Attempt::from_number(1), 2, None, NOW, LATER));
    }

    #[test]
    fn what_waited_for_a_vendor_comes_back_within_a_minute_and_before_its_end() {
        let until = NOW.plus(Duration::from_secs(300));
        assert_eq!(after_pause(until, LATER, 0.0), until);
        assert_eq!(after_pause(until, LATER, 1.0), until.plus(Duration::from_secs(60)));
        let end = until.plus(Duration::from_secs(10));
        assert_eq!(after_pause(until, end, 1.0), until.plus(Duration::from_secs(9)));
    }

    #[test]
    fn an_unknown_answer_is_tried_a_few_times() {
        assert!(!is_hopeless(Class::Unrecognised, 4));
        assert!(is_hopeless(Class::Unrecognised, 5));
        assert!(!is_hopeless(Class::Retry { after: None }, 5));
    }

    #[test]
    fn the_last_try_comes_before_the_message_s_end() {
        let expiry = NOW.plus(Duration::from_secs(3));
        let due = due(&RetrySettings::default(), Attempt::from_number(9), NOW, expiry, 1.0);
        assert_eq!(due, NOW.plus(Duration::from_secs(2)));
    }

    #[test]
    fn a_vendor_s_own_wait_is_kept() {
        let asks = |after| {
            let wish = Wish::of(Class::Throttled { after: Some(Duration::from_secs(after)) });
            wish.not_before(NOW).map(|at| at.since(NOW).as_secs())
        };
        assert_eq!(asks(77), Some(77));
        assert_eq!(Wish::of(Class::Unrecognised).not_before(NOW), None);
        let quota = Wish::of(Class::QuotaUntil(NOW.plus(Duration::from_secs(7_200))));
        let both = quota.and(Wish::of(Class::Retry { after: Some(Duration::from_secs(20)) }));
        assert_eq!(both.not_before(NOW), Some(NOW.plus(Duration::from_secs(7_200))));
    }

    #[test]
    fn what_would_come_after_the_message_s_end_or_too_often_is_given_up() {
        let wait = Some(NOW.plus(Duration::from_secs(60)));
        let is_given_up = |attempt, not_before, expiry| {
            is_given_up(&RetrySettings::default(), Attempt::from_number(attempt), 0, not_before, NOW, expiry)
        };
        assert!(is_given_up(0, wait, NOW.plus(Duration::from_secs(60))));
        assert!(!is_given_up(0, wait, NOW.plus(Duration::from_secs(61))));
        assert!(is_given_up(0, None, NOW));
        assert!(!is_given_up(198, None, LATER));
        assert!(is_given_up(199, None, LATER));
    }
}
