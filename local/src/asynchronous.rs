//! Asynchronous invocations as Lambda makes them: tried again, and reported where they fail for good.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::aws::sqs::{Outgoing, Queues};
use crate::aws::{ACCOUNT, REGION};
use crate::invocation::Invoker;
use crate::template::Asynchronous;

/// How one function is invoked asynchronously.
#[derive(Clone)]
pub struct Asynchronously {
    /// The function's workspace package.
    pub function: String,
    /// Its tries, and who hears of a failure.
    pub settings: Asynchronous,
    /// Before the second try; twice as long before the third. Lambda waits one minute.
    pub retry_after: Duration,
    /// Runs it.
    pub invoker: Invoker,
    /// Where the destination for failures is.
    pub queues: Queues,
}

impl Asynchronously {
    /// One invocation: retries, then the destination for failures.
    pub async fn run(&self, event: Bytes) {
        let mut wait = self.retry_after;
        for attempt in 0..=self.settings.retries {
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
                    "an asynchronous run failed"
                ),
            }
        }
        if let Some(queue) = &self.settings.on_failure {
            let record = json!({
                "version": "1.0",
                "requestContext": {
                    "functionArn": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}:$LATEST", self.function),
                    "condition": "RetriesExhausted",
                    "approximateInvokeCount": self.settings.retries + 1,
                },
                "requestPayload": serde_json::from_slice::<Value>(&event).unwrap_or_default(),
                "responseContext": { "statusCode": 200, "functionError": "Unhandled" },
            });
            let message = Outgoing { body: record.to_string(), ..Outgoing::default() };
            if let Err(error) = self.queues.send(queue, &message) {
                tracing::warn!(queue, error = &error as &dyn std::error::Error, "a failed run cannot be reported");
            }
        }
    }
}
