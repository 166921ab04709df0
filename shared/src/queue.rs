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
/// How long one try may take for a caller who is waited for.
const HASTY_ATTEMPT: Duration = Duration::from_millis(600);
/// And all tries of a call.
const HASTY_CALL: Duration = Duration::from_millis(1_200);

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
    urls: [Option<String>; Queue::COUNT],
    deferred: Deferred,
}

impl Work {
    /// The queues that `env` names, and the deferred table.
    ///
    /// # Errors
    /// When it names no deferred table.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        let urls = Queue::ALL.map(|queue| env.queue(queue).ok());
        Ok(Self { client: crate::aws::sqs(env), urls, deferred: Deferred::new(env)? })
    }

    /// As [`Self::new`], for a caller who is waited for: a queue that hangs leaves the deferred table the time to take a record.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn hasty(env: &Environment) -> Result<Self, EnvError> {
        let client = crate::aws::hasty_sqs(env, HASTY_ATTEMPT, HASTY_CALL);
        Ok(Self { client, deferred: Deferred::hasty(env)?, ..Self::new(env)? })
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
        for batch in batches(bodies, String::len) {
            let sent = if answers {
                let entries: Vec<_> = batch.iter().map(|body| Due { body, delay: Duration::ZERO }).collect();
                self.send_batch(queue, app, &entries).await
            } else {
                Sent::none_of(batch.len(), true)
            };
            answers &= sent.answered;
            for (body, taken) in batch.into_iter().zip(sent.taken) {
                if !taken {
                    self.deferred.put(queue, app, body, now).await.map_err(Refused)?;
                }
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

    async fn send_batch(&self, queue: Queue, app: &AppId, batch: &[Due<'_>]) -> Sent {
        let mut entries = Vec::with_capacity(batch.len());
        for (index, Due { body, delay }) in batch.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(*body)
                .message_group_id(app.as_str())
                .delay_seconds(whole_seconds(*delay))
                .build();
            entries.extend(entry.ok());
        }
        let call = self.client.send_message_batch().set_queue_url(self.url(queue).map(str::to_owned));
        match call.set_entries(Some(entries)).send().await {
            Ok(answer) => {
                let mut sent = Sent { taken: vec![true; batch.len()], answered: true };
                for entry in answer.failed() {
                    if let Some(taken) = entry.id().parse().ok().and_then(|index: usize| sent.taken.get_mut(index)) {
                        *taken = false;
                    }
                }
                if let Some(first) = answer.failed().first() {
                    let count = answer.failed().len();
                    tracing::warn!(queue = queue.as_str(), app = %app, count, code = first.code(), metric = "queue_refused", "deferring");
                }
                sent
            }
            Err(error) => {
                let error = aws_sdk_sqs::Error::from(error);
                tracing::warn!(queue = queue.as_str(), app = %app, count = batch.len(), error = %error, metric = "queue_refused", "deferring");
                Sent::none_of(batch.len(), false)
            }
        }
    }

    /// Hands a due record on to its queue, with what is left of its delay. Whether SQS took it.
    pub async fn hand_on(&self, queue: Queue, app: &AppId, body: &str, delay: Duration) -> bool {
        self.send(queue, app, body, delay.min(LONGEST_DELAY)).await
    }

    /// Hands due records on to their queue, with what is left of each one's delay (15 minutes at most). `batch` is one of
    /// [`batches`]'.
    pub async fn hand_on_all(&self, queue: Queue, app: &AppId, batch: &[Due<'_>]) -> Sent {
        let batch: Vec<_> =
            batch.iter().map(|due| Due { body: due.body, delay: due.delay.min(LONGEST_DELAY) }).collect();
        self.send_batch(queue, app, &batch).await
    }
}

/// A record of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Due<'a> {
    /// The record.
    pub body: &'a str,
    /// From when on it may be received, counted from now.
    pub delay: Duration,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Sent {
    /// Which records SQS took, in their order.
    pub taken: Vec<bool>,
    /// Whether the call itself was answered. One that was not may have been taken all the same.
    pub answered: bool,
}

impl Sent {
    fn none_of(records: usize, answered: bool) -> Self {
        Self { taken: vec![false; records], answered }
    }
}

/// Cuts records into batches that SQS takes: ten and a mebibyte at most. `bytes` is the length of a record's body.
pub fn batches<T>(records: impl IntoIterator<Item = T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    let mut so_far = 0;
    for record in records {
        let more = bytes(&record);
        match batches.last_mut() {
            Some(batch) if batch.len() < MOST_ENTRIES && so_far + more <= MOST_BYTES => {
                so_far += more;
                batch.push(record);
            }
            Some(_) | None => {
                so_far = more;
                batches.push(vec![record]);
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
        let sizes = |bodies: Vec<String>| batches(bodies, String::len).iter().map(Vec::len).collect::<Vec<_>>();
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
