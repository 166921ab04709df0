//! What an environment saw of a vendor lately, and when that is enough to leave it alone. Pure.

use std::time::Duration;

use crate::delivery::Class;
use crate::time::Timestamp;

/// Sends are looked at together over so long.
const LENGTH: Duration = Duration::from_secs(30);
/// Fewer failures than these are no pattern.
const LEAST_FAILURES: u32 = 10;
/// From the begin of the first failed send to the end of the last: within less they are one event. A connection that breaks takes a hundred
/// requests with it, and the next one may be fine.
const LEAST_SPAN: Duration = Duration::from_secs(1);

/// What a send's end says about the vendor's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It answers, whatever it says of this message or token.
    Good,
    /// It is down, too slow, or throttles.
    Bad {
        /// The wait that it asks for.
        after: Option<Duration>,
    },
    /// The allowance is used up until this point.
    Spent(Timestamp),
}

impl Health {
    pub(super) fn of(class: Class) -> Self {
        match class {
            Class::Delivered
            | Class::DeadToken
            | Class::BadMessage
            | Class::Unauthorized
            | Class::Misconfigured
            | Class::Unrecognised => Self::Good,

            Class::Retry { after } | Class::Throttled { after } => Self::Bad { after },
            Class::QuotaUntil(until) => Self::Spent(until),
        }
    }
}

/// The sends of the last half minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Window {
    since: Option<Timestamp>,
    good: u32,
    bad: u32,
    /// When the first send was begun that failed.
    first: Option<Timestamp>,
    after: Option<Duration>,
}

impl Window {
    /// Takes one more send into account, begun at `begun`. `Some` when it is enough: the wait that the vendor asked for, if it did.
    #[allow(clippy::option_option, reason = "outer: whether to open; inner: whether the vendor said for how long")]
    pub(super) fn note(&mut self, begun: Timestamp, now: Timestamp, health: Health) -> Option<Option<Duration>> {
        if self.since.is_none_or(|since| now.since(since).max(since.since(now)) > LENGTH) {
            *self = Self { since: Some(now), ..Self::default() };
        }
        match health {
            Health::Good => self.good = self.good.saturating_add(1),
            Health::Bad { after } => {
                self.bad = self.bad.saturating_add(1);
                self.first = Some(self.first.map_or(begun, |first| first.min(begun)));
                self.after = self.after.max(after);
            }
            Health::Spent(_) => {}
        }
        let failed = matches!(health, Health::Bad { .. });
        let lasting = self.first.is_some_and(|first| now.since(first) >= LEAST_SPAN);
        (failed && lasting && self.bad >= LEAST_FAILURES && self.bad >= self.good).then_some(self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
    const BEGUN: Timestamp = Timestamp::from_millis(1_767_225_600_000 - 1_000);
    const BAD: Health = Health::Bad { after: None };

    #[test]
    fn ten_failures_that_are_half_of_all_are_enough() {
        let mut window = Window::default();
        for _ in 0..10 {
            assert_eq!(window.note(BEGUN, NOW, Health::Good), None);
        }
        for _ in 0..9 {
            assert_eq!(window.note(BEGUN, NOW, BAD), None);
        }
        assert_eq!(window.note(BEGUN, NOW, BAD), Some(None));
    }

    #[test]
    fn a_connection_that_breaks_is_one_event_however_many_requests_it_takes_along() {
        let mut window = Window::default();
        let begun = NOW.minus(Duration::from_millis(150));
        for _ in 0..100 {
            assert_eq!(window.note(begun, NOW, BAD), None);
        }
        let later = NOW.plus(Duration::from_millis(850));
        assert_eq!(window.note(later, later, BAD), Some(None), "it goes on failing");
    }

    #[test]
    fn a_vendor_that_hangs_is_left_alone_when_the_first_sends_have_timed_out() {
        let mut window = Window::default();
        let begun = NOW.minus(Duration::from_secs(5));
        let ends: Vec<_> = (0..10).map(|_| window.note(begun, NOW, BAD)).collect();
        assert_eq!(ends[9], Some(None));
    }

    #[test]
    fn a_vendor_that_fails_now_and_then_is_not_left_alone() {
        let mut window = Window::default();
        for n in 0..1_000 {
            let health = if n % 4 == 0 { BAD } else { Health::Good };
            assert_eq!(window.note(BEGUN, NOW, health), None, "at send {n}");
        }
    }

    #[test]
    fn an_answer_that_is_in_no_table_is_about_its_message_and_not_about_the_vendor() {
        let mut window = Window::default();
        for _ in 0..100 {
            assert_eq!(window.note(BEGUN, NOW, Health::of(Class::Unrecognised)), None);
        }
    }

    #[test]
    fn failures_long_ago_do_not_count() {
        let mut window = Window::default();
        for _ in 0..9 {
            window.note(BEGUN, NOW, BAD);
        }
        assert_eq!(window.note(NOW, NOW.plus(Duration::from_secs(31)), BAD), None);
    }

    #[test]
    fn the_longest_wait_asked_for_counts() {
        let mut window = Window::default();
        for seconds in [15, 3_600, 60, 60, 60, 60, 60, 60, 60] {
            let class = Class::Throttled { after: Some(Duration::from_secs(seconds)) };
            assert_eq!(window.note(BEGUN, NOW, Health::of(class)), None);
        }
        assert_eq!(window.note(BEGUN, NOW, BAD), Some(Some(Duration::from_secs(3_600))));
    }
}
