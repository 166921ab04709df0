//! Work now: the queues, and what happens when they refuse.
//!
//! A record is safe once SQS or, where that refuses, the deferred table has it. Only when both refuse is there an error.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde::Serialize;

use crate::deferred::{Deferred, DeferredError};
use crate::env::{EnvError, Environment, Queue};
use crate::id::AppId;
use crate::time::Timestamp;

/// The most bytes of one SQS message, and of one batch.
pub const MOST_BYTES: usize = 1024 * 1024;
/// The most entries of one batch.
const MOST_ENTRIES: usize = 10;
/// The longest delay SQS knows; what is due later rests in the deferred table.
pub const LONGEST_DELAY: Duration = Duration::from_secs(900);

/// Neither the queue nor the deferred table took a record.
#[derive(Debug, thiserror::Error)]
#[error("neither the queue nor the deferred table took the work")]
pub struct Refused(#[source] pub DeferredError);

/// A record's text. JSON, with the two characters escaped that JSON allows and SQS refuses (U+FFFE, U+FFFF): one of them in a
/// nickname would otherwise lose the whole task.
///
/// # Errors
/// When `record` cannot be JSON (a map with keys that are no strings).
pub fn body(record: &impl Serialize) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(record)?;
    if text.contains(['\u{fffe}', '\u{ffff}']) {
        return Ok(text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff"));
    }
    Ok(text)
}

/// The queues, with the deferred table behind them.
pub struct Work {
    client: Client,
    urls: [Option<String>; 3],
    deferred: Deferred,
}

impl Work {
    /// The queues that `env` names, and the deferred table.
    ///
    /// # Errors
    /// When it names no deferred table.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        let urls = [Queue::FanOut, Queue::Deliver, Queue::DeadLetters].map(|queue| env.queue(queue).ok());
        Ok(Self { client: crate::aws::sqs(env), urls, deferred: Deferred::new(env)? })
    }

    /// The deferred table.
    #[must_use]
    pub fn deferred(&self) -> &Deferred {
        &self.deferred
    }

    fn url(&self, queue: Queue) -> Option<&str> {
        self.urls[queue as usize].as_deref()
    }

    /// Puts one record into `queue`, to be received `delay` from `now` on. `app` is its group, so that one app's backlog does not
    /// hold up another's (fair queues).
    ///
    /// # Errors
    /// When neither the queue nor the deferred table takes it.
    pub async fn put(
        &self,
        queue: Queue,
        app: &AppId,
        body: String,
        delay: Duration,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if delay <= LONGEST_DELAY && self.send(queue, app, &body, delay).await {
            return Ok(());
        }
        self.deferred.put(queue, app, body, now.plus(delay)).await.map_err(Refused)
    }

    /// Puts `bodies` into `queue` at once, in as few calls as the limits allow. Entries that are refused go to the deferred table; so does
    /// the rest, once a whole call has failed: a queue that does not answer is not asked again and again while time runs out.
    ///
    /// # Errors
    /// When that refuses one too. The others are in: the same call again repeats them.
    pub async fn put_all(&self, queue: Queue, app: &AppId, bodies: Vec<String>, now: Timestamp) -> Result<(), Refused> {
        let mut answers = true;
        for batch in batches(bodies) {
            let refused = if answers {
                self.send_batch(queue, app, batch).await
            } else {
                Unsent { bodies: batch, answered: true }
            };
            answers &= refused.answered;
            for body in refused.bodies {
                self.deferred.put(queue, app, body, now).await.map_err(Refused)?;
            }
        }
        Ok(())
    }

    /// Whether SQS took the record.
    async fn send(&self, queue: Queue, app: &AppId, body: &str, delay: Duration) -> bool {
        let answer = self
            .client
            .send_message()
            .set_queue_url(self.url(queue).map(str::to_owned))
            .message_body(body)
            .message_group_id(app.as_str())
            .delay_seconds(whole_seconds(delay))
            .send()
            .await;
        match answer {
            Ok(_) => true,
            Err(error) => {
                let error = aws_sdk_sqs::Error::from(error);
                tracing::warn!(queue = queue.as_str(), app = %app, error = %error, metric = "queue_refused", "deferring");
                false
            }
        }
    }

    async fn send_batch(&self, queue: Queue, app: &AppId, mut batch: Vec<String>) -> Unsent {
        let mut entries = Vec::with_capacity(batch.len());
        for (index, body) in batch.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(body)
                .message_group_id(app.as_str())
                .build();
            entries.extend(entry.ok());
        }
        let call = self.client.send_message_batch().set_queue_url(self.url(queue).map(str::to_owned));
        match call.set_entries(Some(entries)).send().await {
            Ok(answer) => {
                let mut refused: Vec<usize> =
                    answer.failed().iter().filter_map(|entry| entry.id().parse().ok()).collect();
                if !refused.is_empty() {
                    let first = answer.failed().first().map(|entry| entry.code()).unwrap_or_default();
                    tracing::warn!(queue = queue.as_str(), app = %app, count = refused.len(), code = first, metric = "queue_refused", "deferring");
                }
                refused.sort_unstable();
                refused.dedup();
                refused.retain(|index| *index < batch.len());
                // From the back, so that the places of the others stay.
                let bodies = refused.into_iter().rev().map(|index| batch.swap_remove(index)).collect();
                Unsent { bodies, answered: true }
            }
            Err(error) => {
                let error = aws_sdk_sqs::Error::from(error);
                tracing::warn!(queue = queue.as_str(), app = %app, count = batch.len(), error = %error, metric = "queue_refused", "deferring");
                Unsent { bodies: batch, answered: false }
            }
        }
    }

    /// Hands a due record on to its queue, with what is left of its delay. Whether SQS took it.
    pub async fn hand_on(&self, queue: Queue, app: &AppId, body: &str, delay: Duration) -> bool {
        self.send(queue, app, body, delay.min(LONGEST_DELAY)).await
    }
}

/// The bodies that SQS did not take.
struct Unsent {
    bodies: Vec<String>,
    /// Whether the call itself was answered.
    answered: bool,
}

/// Cuts `bodies` into batches that SQS takes.
fn batches(bodies: Vec<String>) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for body in bodies {
        match batches.last_mut() {
            Some(batch) if batch.len() < MOST_ENTRIES && bytes + body.len() <= MOST_BYTES => {
                bytes += body.len();
                batch.push(body);
            }
            Some(_) | None => {
                bytes = body.len();
                batches.push(vec![body]);
            }
        }
    }
    batches
}

/// SQS counts in whole seconds: rounded up, so that nothing comes early.
fn whole_seconds(delay: Duration) -> i32 {
    i32::try_from(delay.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_delay_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(900)), 900);
    }

    #[test]
    fn a_batch_has_ten_entries_and_a_mebibyte_at_most() {
        let sizes = |bodies: Vec<String>| batches(bodies).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(vec!["x".to_owned(); 21]), [10, 10, 1]);
        assert_eq!(sizes(vec!["x".repeat(MOST_BYTES / 2); 5]), [2, 2, 1]);
        assert_eq!(sizes(vec!["x".repeat(MOST_BYTES); 2]), [1, 1]);
        assert!(sizes(Vec::new()).is_empty());
    }

    #[test]
    fn characters_that_sqs_refuses_are_escaped() {
        let text = body(&serde_json::json!({"nickname": "a\u{ffff}b\u{fffe}\u{1}😀"})).unwrap();
        assert_eq!(text, r#"{"nickname":"a\uffffb\ufffe\u0001😀"}"#);
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["nickname"], "a\u{ffff}b\u{fffe}\u{1}😀");
    }
}
