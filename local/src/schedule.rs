//! What EventBridge Scheduler does: starts functions by the clock, tries again, and says who failed for good.

use std::time::Duration;

use bytes::Bytes;
use pushbell::time::Timestamp;
use serde_json::json;

use crate::aws::sqs::{Outgoing, Queues};
use crate::aws::{ACCOUNT, REGION};
use crate::closing::Closing;
use crate::invocation::{InvokeError, Invoker};
use crate::store::random_id;
use crate::template::{Asynchronous, Schedule};

/// A function's timer.
#[derive(Clone)]
pub struct Timer {
    function: String,
    schedule: Schedule,
    asynchronous: Asynchronous,
    /// Before the second try; twice as long before the third. Lambda waits one minute.
    retry_after: Duration,
    invoker: Invoker,
    queues: Queues,
}

impl Timer {
    /// A timer of that function, which is not started yet.
    pub fn new(
        function: &str,
        schedule: Schedule,
        asynchronous: Asynchronous,
        retry_after: Duration,
        invoker: Invoker,
        queues: Queues,
    ) -> Self {
        Self { function: function.to_owned(), schedule, asynchronous, retry_after, invoker, queues }
    }

    /// The workspace package of the function.
    pub fn function(&self) -> &str {
        &self.function
    }

    /// Runs the function once, now, with no second try.
    pub async fn tick(&self) -> Result<(), InvokeError> {
        self.invoker.invoke(self.event()).await.map(drop)
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
                () = self.asynchronously() => {}
            }
        }
    }

    /// One asynchronous invocation as Lambda makes it: retries, then the destination for failures.
    async fn asynchronously(&self) {
        let event = self.event();
        let mut wait = self.retry_after;
        for attempt in 0..=self.asynchronous.retries {
            if attempt > 0 {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            match self.invoker.invoke(event.clone()).await {
                Ok(_) => return,
                Err(error) => tracing::warn!(
                    function = self.function,
                    attempt,
                    error = &error as &dyn std::error::Error,
                    "a scheduled run failed"
                ),
            }
        }
        if let Some(queue) = &self.asynchronous.on_failure {
            let record = json!({
                "version": "1.0",
                "requestContext": {
                    "functionArn": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}:$LATEST", self.function),
                    "condition": "RetriesExhausted",
                    "approximateInvokeCount": self.asynchronous.retries + 1,
                },
                "responseContext": { "statusCode": 200, "functionError": "Unhandled" },
            });
            let message = Outgoing { body: record.to_string(), ..Outgoing::default() };
            if let Err(error) = self.queues.send(queue, &message) {
                tracing::warn!(queue, error = &error as &dyn std::error::Error, "a failed run cannot be reported");
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
            "time": Timestamp::from_millis(self.queues.stamp_ms()).to_rfc3339(),
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
    use super::*;
    use crate::aws::sqs::QueueSpec;
    use crate::closing::closer;
    use crate::store::Store;
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
        let asynchronous = Asynchronous { retries, on_failure: Some("failed".to_owned()) };
        (Timer::new("retry", schedule, asynchronous, Duration::from_secs(60), invoker, queues), runs)
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
        timer.asynchronously().await;
        assert!(runs.try_recv().is_ok() && runs.try_recv().is_ok() && runs.try_recv().is_err());
        assert_eq!(timer.queues.depth("failed").unwrap().visible, 1);
    }

    #[tokio::test]
    async fn a_tick_by_hand_says_whether_the_run_failed() {
        let (ok, mut runs) = timer(1, || Ok(Bytes::new()));
        ok.tick().await.unwrap();
        assert!(runs.try_recv().is_ok() && runs.try_recv().is_err());
        assert!(matches!(timer(1, || Err(InvokeError::Failed)).0.tick().await, Err(InvokeError::Failed)));
    }
}
