//! When a post is tried again, and when it is given up.

use std::time::Duration;

use pushbell::time::Timestamp;

/// The first wait is up to this long; each one after it up to twice as long as the one before.
const FIRST: Duration = Duration::from_secs(5);
/// No wait is longer, but for one that the receiver asks for.
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);
/// How long a post is tried.
const KEPT: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// When a post is tried again that was to be posted first at `since`, and was tried `tries` times in vain: exponential backoff with full
/// jitter, and not before what the receiver asked for. The last try is at the end of the three days; `None` when they are over. `random` is
/// in 0..=1.
pub(crate) fn due(
    tries: u32,
    not_before: Option<Timestamp>,
    since: Timestamp,
    now: Timestamp,
    random: f64,
) -> Option<Timestamp> {
    let end = since.plus(KEPT);
    if now >= end {
        return None;
    }
    let widest = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST);
    let due = now.plus(widest.mul_f64(random)).max(not_before.unwrap_or(now));
    Some(due.min(end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn wait(tries: u32, random: f64) -> u64 {
        due(tries, None, NOW, NOW, random).unwrap().since(NOW).as_secs()
    }

    #[test]
    fn waits_double_up_to_six_hours_with_full_jitter() {
        assert_eq!([wait(1, 1.0), wait(2, 1.0), wait(5, 1.0), wait(5, 0.0)], [5, 10, 80, 0]);
        assert_eq!([wait(14, 1.0), wait(u32::MAX, 1.0)], [21_600, 21_600]);
    }

    #[test]
    fn what_the_receiver_asks_for_is_kept() {
        let asked = NOW.plus(Duration::from_secs(600));
        assert_eq!(due(1, Some(asked), NOW, NOW, 1.0), Some(asked));
        assert_eq!(due(9, Some(asked), NOW, NOW, 1.0), Some(NOW.plus(Duration::from_secs(1_280))));
    }

    #[test]
    fn the_last_try_is_at_the_end_of_three_days() {
        let end = NOW.plus(KEPT);
        assert_eq!(due(20, None, NOW, end.minus(Duration::from_secs(60)), 1.0), Some(end));
        assert_eq!(due(20, None, NOW, end, 1.0), None);
    }
}
