//! How fast calls follow one another.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So many turns are left out after a call that came too fast all the same: others of the account look too.
const HELD: u32 = 4;

/// Lets a call be made once in so long.
pub(super) struct Pace {
    /// None at all against the stack on this machine.
    spacing: Duration,
    next: Instant,
}

impl Pace {
    pub(super) fn new(spacing: Duration) -> Self {
        Self { spacing, next: Instant::now() }
    }

    /// Waits until the next call may be made. One that comes late does not let the others come faster.
    pub(super) async fn turn(&mut self) {
        sleep_until(self.next).await;
        self.next = Instant::now() + self.spacing;
    }

    /// Leaves turns out.
    pub(super) fn hold(&mut self) {
        self.next += self.spacing * HELD;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_spaced_and_wait_longer_after_one_too_many() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(300));
        let mut at = Vec::new();
        for held in [false, false, true, false] {
            pace.turn().await;
            at.push(start.elapsed().as_millis());
            if held {
                pace.hold();
            }
        }
        assert_eq!(at, [0, 300, 600, 2_100]);
    }
}
