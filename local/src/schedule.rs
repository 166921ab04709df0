//! What EventBridge Scheduler does: starts functions by the clock, tries again, and says who failed for good.

use bytes::Bytes;
use pushbell::time::Timestamp;
use serde_json::json;

use crate::asynchronous::Asynchronously;
use crate::aws::{ACCOUNT, REGION};
use crate::closing::Closing;
use crate::invocation::InvokeError;
use crate::store::random_id;
use crate::template::Schedule;

/// A function's timer.
#[derive(Clone)]
pub struct Timer {
    schedule: Schedule,
    runs: Asynchronously,
}

impl Timer {
    /// A timer of that function, which is not started yet.
    pub fn new(schedule: Schedule, runs: Asynchronously) -> Self {
        Self { schedule, runs }
    }

    /// The workspace package of the function.
    pub fn function(&self) -> &str {
        &self.runs.function
    }

    /// Runs the function once, now, with no second try.
    pub async fn tick(&self) -> Result<(), InvokeError> {
        self.runs.invoker.invoke(self.event()).await.map(drop)
    }

    /// Starts the function by the clock until the stack closes. The first run is one period away.
    pub async fn run(self, mut closing: Closing) {
        let mut clock =
            tokio::time::interval_at(tokio::time::Instant::now() + self.schedule.every, self.schedule.every);
        loop {
            tokio::select! {
                biased;
                () = closing.closed() => return,
                _ = clock.tick() => {}
            }
            tokio::select! {
                biased;
                () = closing.closed() => return,
                () = self.runs.run(self.event()) => {}
            }
        }
    }

    /// Without an input of its own a schedule hands over an event of this form.
    fn event(&self) -> Bytes {
        let event = json!({
            "version": "0",
            "id": random_id(),
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": ACCOUNT,
            "time": Timestamp::from_millis(self.runs.queues.stamp_ms()).to_rfc3339(),
            "region": REGION,
            "resources": [format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{}", self.schedule.name)],
            "detail": "{}",
        });
        event.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::time::Duration;

    use super::*;
    use crate::aws::sqs::{QueueSpec, Queues};
    use crate::closing::closer;
    use crate::invocation::Invoker;
    use crate::store::Store;
    use crate::template::Asynchronous;
    use tokio::sync::mpsc;

    fn timer(
        retries: u32,
        answer: impl Fn() -> Result<Bytes, InvokeError> + Send + Sync + 'static,
    ) -> (Timer, mpsc::UnboundedReceiver<()>) {
        let queues = Queues::new(Store::memory().unwrap()).unwrap();
        queues.ensure(&QueueSpec::new("failed")).unwrap();
        let (ran, runs) = mpsc::unbounded_channel();
        let invoker = Invoker::stub(move |_| {
            ran.send(()).unwrap();
            answer()
        });
        let schedule = Schedule { name: "Every".to_owned(), every: Duration::from_secs(300) };
        let settings = Asynchronous { retries, on_failure: Some("failed".to_owned()) };
        let retry_after = Duration::from_secs(60);
        let asynchronously = Asynchronously { function: "retry".to_owned(), settings, retry_after, invoker, queues };
        (Timer::new(schedule, asynchronously), runs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_runs_once_per_period_and_first_after_one() {
        let (timer, mut runs) = timer(0, || Ok(Bytes::new()));
        let (closer, closing) = closer();
        let start = tokio::time::Instant::now();
        let running = tokio::spawn(timer.run(closing));
        for period in 1..=3 {
            runs.recv().await.unwrap();
            assert_eq!(start.elapsed().as_secs(), period * 300);
        }
        closer.close();
        running.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_fails_for_good_is_reported() {
        let (timer, mut runs) = timer(1, || Err(InvokeError::Failed));
        timer.runs.run(timer.event()).await;
        assert!(runs.try_recv().is_ok() && runs.try_recv().is_ok() && runs.try_recv().is_err());
        assert_eq!(timer.runs.queues.depth("failed").unwrap().visible, 1);
    }

    #[tokio::test]
    async fn a_tick_by_hand_says_whether_the_run_failed() {
        let (ok, mut runs) = timer(1, || Ok(Bytes::new()));
        ok.tick().await.unwrap();
        assert!(runs.try_recv().is_ok() && runs.try_recv().is_err());
        assert!(matches!(timer(1, || Err(InvokeError::Failed)).0.tick().await, Err(InvokeError::Failed)));
    }
}
