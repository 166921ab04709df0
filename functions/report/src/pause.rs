//! Addresses that fail are left alone for a while, by this environment: a receiver that hangs would cost every post its limit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pushbell::id::AppId;
use pushbell::time::Timestamp;

/// So many failures in a row begin a pause.
const FAILURES: u32 = 3;
/// The first pause; each one after it is twice as long.
const FIRST: Duration = Duration::from_secs(10);
/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The apps whose address failed last.
#[derive(Default)]
pub(crate) struct Pauses(Mutex<HashMap<AppId, Failing>>);

#[derive(Default)]
struct Failing {
    failures: u32,
    until: Timestamp,
}

impl Pauses {
    /// Until when nothing is posted to the app's address. `None`: the caller may post. After a pause one may, and others wait for `probe`,
    /// in which its end is known.
    pub(crate) fn waits(&self, app: &AppId, now: Timestamp, probe: Duration) -> Option<Timestamp> {
        let mut apps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = apps.get_mut(app)?;
        if now < failing.until {
            return Some(failing.until);
        }
        if failing.failures >= FAILURES {
            failing.until = now.plus(probe);
        }
        None
    }

    /// The app's address took a post.
    pub(crate) fn took(&self, app: &AppId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(app);
    }

    /// It did not. `asked`: until when it wants to be left alone.
    pub(crate) fn failed(&self, app: &AppId, now: Timestamp, asked: Option<Timestamp>) {
        let mut apps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = apps.entry(app.clone()).or_default();
        failing.failures = failing.failures.saturating_add(1);
        if let Some(doubled) = failing.failures.checked_sub(FAILURES) {
            let pause = FIRST.saturating_mul(1 << doubled.min(16)).min(LONGEST);
            failing.until = failing.until.max(now.plus(pause));
        }
        failing.until = failing.until.max(asked.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
    const PROBE: Duration = Duration::from_secs(5);

    fn after(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn three_failures_in_a_row_are_a_pause_and_one_probes_after_it() {
        let (pauses, app, other) = (Pauses::default(), AppId::parse("demo").unwrap(), AppId::parse("b").unwrap());
        pauses.failed(&app, NOW, None);
        pauses.failed(&app, NOW, None);
        assert_eq!(pauses.waits(&app, NOW, PROBE), None);
        pauses.failed(&app, NOW, None);
        assert_eq!(pauses.waits(&app, NOW, PROBE), Some(after(10)));
        assert_eq!(pauses.waits(&other, NOW, PROBE), None, "another app's own address");
        assert_eq!(pauses.waits(&app, after(10), PROBE), None, "the probe");
        assert_eq!(pauses.waits(&app, after(10), PROBE), Some(after(15)), "the others wait for it");
        pauses.failed(&app, after(14), None);
        assert_eq!(pauses.waits(&app, after(15), PROBE), Some(after(34)), "twice as long");
        pauses.took(&app);
        assert_eq!(pauses.waits(&app, after(15), PROBE), None);
        pauses.failed(&app, after(15), None);
        assert_eq!(pauses.waits(&app, after(15), PROBE), None, "in a row");
    }

    #[test]
    fn a_pause_has_an_end_and_a_receiver_s_own_is_kept() {
        let (pauses, app) = (Pauses::default(), AppId::parse("demo").unwrap());
        pauses.failed(&app, NOW, Some(after(3_600)));
        assert_eq!(pauses.waits(&app, NOW, PROBE), Some(after(3_600)));
        for _ in 0..100 {
            pauses.failed(&app, after(3_600), None);
        }
        assert_eq!(pauses.waits(&app, after(3_600), PROBE), Some(after(3_900)));
    }
}
