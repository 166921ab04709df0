//! A walk through a queue that meets each record once.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    SendMessageBatchRequestEntry,
};
use pushbell::queue;

use super::super::aws::reason;
use super::Which;
use super::queues::{DeadLetters, QueueError};
use super::record::{self, Record};

/// Most records of one call.
const BATCH: usize = 10;
/// A receive that waits asks all of SQS's servers: what it does not find is not there.
const WAIT: i32 = 1;

/// A walk through a queue. What it holds is hidden from everybody else.
pub(super) struct Visit<'a> {
    sqs: &'a Client,
    queue: &'a DeadLetters,
    hidden: Duration,
    seen: HashSet<String>,
}

/// What became of a batch.
pub(super) enum Worked {
    /// So many were taken out, and the others stay.
    Some(u64),
    /// All stay.
    Left,
}

/// What became of the queue's records.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    /// Taken out.
    pub(super) worked: u64,
    /// Wanted, and still there.
    pub(super) left_matching: u64,
    /// Not wanted.
    pub(super) others: u64,
    /// Not looked at: they were there at the beginning, and were not received, or are younger.
    pub(super) rest: u64,
}

impl Done {
    /// A sentence on what is left, where anything is.
    pub(super) fn left(&self) -> String {
        let mut told = String::new();
        if self.left_matching > 0 {
            told.push_str(&format!(" SQS did not take {}: run it again.", self.left_matching));
        }
        match self.others {
            0 => {}
            1 => told.push_str(" One other stays."),
            n => told.push_str(&format!(" {n} others stay.")),
        }
        if self.rest > 0 {
            told.push_str(" It was not read to its end: run it again.");
        }
        told
    }
}

impl<'a> Visit<'a> {
    /// A walk that hides what it receives for so long.
    pub(super) fn new(sqs: &'a Client, queue: &'a DeadLetters, hidden: Duration) -> Self {
        Self { sqs, queue, hidden, seen: HashSet::new() }
    }

    /// Up to ten records that were not met yet, and no more than `most`. None: there are no more.
    pub(super) async fn receive(&mut self, most: u64) -> Result<Vec<Message>, QueueError> {
        let most = usize::try_from(most).unwrap_or(BATCH).min(BATCH);
        let received = self
            .sqs
            .receive_message()
            .queue_url(&self.queue.url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(1))
            .visibility_timeout(i32::try_from(self.hidden.as_secs()).unwrap_or(i32::MAX))
            .wait_time_seconds(WAIT)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await;
        let mut batch = received.map_err(|error| self.failed("read", reason(&error)))?.messages.unwrap_or_default();
        batch.retain(|message| self.seen.insert(message.message_id().unwrap_or_default().to_owned()));
        Ok(batch)
    }

    /// Makes records visible again. What is not told now comes back by itself.
    pub(super) async fn give_back(&self, messages: &[Message]) {
        for batch in messages.chunks(BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(index, message)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(message.receipt_handle()?)
                    .visibility_timeout(0)
                    .build()
                    .ok()
            });
            let change = self.sqs.change_message_visibility_batch().queue_url(&self.queue.url);
            let _ = change.set_entries(Some(entries.collect())).send().await;
        }
    }

    /// Hands the records that are wanted to `work`, batch by batch, and gives the others back at the end. As many as were in the queue at
    /// the beginning are met at the most: what is replayed and given up at once is not replayed again and again.
    pub(super) async fn work_off(
        &mut self,
        which: &Which,
        work: impl AsyncFn(&Self, &[Message]) -> Result<Worked, QueueError>,
    ) -> Result<Done, QueueError> {
        let mut done = Done::default();
        let mut stay = Vec::new();
        let mut to_meet = self.queue.visible;
        while to_meet > 0 {
            let batch = match self.receive(to_meet).await {
                Ok(batch) => batch,
                Err(error) => {
                    self.give_back(&stay).await;
                    return Err(error);
                }
            };
            if batch.is_empty() {
                break;
            }
            let met = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            to_meet = to_meet.saturating_sub(met);
            let (wanted, others): (Vec<_>, Vec<_>) =
                batch.into_iter().partition(|message| which.is(&Record::read(message)));
            done.others += u64::try_from(others.len()).unwrap_or_default();
            stay.extend(others);
            if wanted.is_empty() {
                continue;
            }
            let n = u64::try_from(wanted.len()).unwrap_or_default();
            match work(self, &wanted).await {
                Ok(Worked::Some(worked)) => {
                    done.worked += worked;
                    done.left_matching += n.saturating_sub(worked);
                }
                Ok(Worked::Left) => {
                    done.left_matching += n;
                    stay.extend(wanted);
                }
                Err(error) => {
                    stay.extend(wanted);
                    self.give_back(&stay).await;
                    return Err(error);
                }
            }
        }
        self.give_back(&stay).await;
        done.rest = to_meet;
        Ok(done)
    }

    /// Sends records to another queue, and deletes those that it took. In between both have them: a push that is there twice is made once.
    pub(super) async fn move_to(&self, url: &str, messages: &[Message]) -> Result<Worked, QueueError> {
        let mut worked = 0;
        for batch in queue::batches(messages, |message| size(message)) {
            let entries: Vec<_> =
                batch.iter().enumerate().filter_map(|(index, message)| again(index, message)).collect();
            let send = self.sqs.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
            let sent = send.map_err(|error| self.failed("send on the records of", reason(&error)))?;
            let taken: Vec<Message> = sent
                .successful()
                .iter()
                .filter_map(|entry| batch.get(entry.id().parse::<usize>().ok()?).map(|message| (*message).clone()))
                .collect();
            if let Worked::Some(deleted) = self.delete(&taken).await? {
                worked += deleted;
            }
            let refused: Vec<Message> = sent
                .failed()
                .iter()
                .filter_map(|entry| batch.get(entry.id().parse::<usize>().ok()?).map(|message| (*message).clone()))
                .collect();
            self.give_back(&refused).await;
        }
        Ok(Worked::Some(worked))
    }

    /// Deletes records; how many are gone.
    pub(super) async fn delete(&self, messages: &[Message]) -> Result<Worked, QueueError> {
        if messages.is_empty() {
            return Ok(Worked::Some(0));
        }
        let entries = messages.iter().enumerate().filter_map(|(index, message)| {
            let handle = message.receipt_handle()?;
            DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(handle).build().ok()
        });
        let delete = self.sqs.delete_message_batch().queue_url(&self.queue.url);
        let deleted = delete.set_entries(Some(entries.collect())).send().await;
        let deleted = deleted.map_err(|error| self.failed("delete records of", reason(&error)))?;
        Ok(Worked::Some(u64::try_from(deleted.successful().len()).unwrap_or_default()))
    }

    fn failed(&self, verb: &'static str, reason: String) -> QueueError {
        QueueError::Sqs { verb, queue: self.queue.name.clone(), reason }
    }
}

/// What SQS counts of a record: its body, and its attributes' names, types and values.
fn size(message: &Message) -> usize {
    let attribute = |(name, value): (&String, &MessageAttributeValue)| {
        let text = value.string_value().map_or(0, str::len);
        let bytes = value.binary_value().map_or(0, |bytes| bytes.as_ref().len());
        name.len() + value.data_type().len() + text + bytes
    };
    let attributes = message.message_attributes().into_iter().flatten().map(attribute);
    message.body().map_or(0, str::len) + attributes.sum::<usize>()
}

/// The record once more, as it was first sent.
fn again(index: usize, message: &Message) -> Option<SendMessageBatchRequestEntry> {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(message.body().unwrap_or_default())
        .set_message_attributes(message.message_attributes().cloned())
        .set_message_group_id(record::system(message, MessageSystemAttributeName::MessageGroupId).map(str::to_owned));
    if let Some(trace) = record::system(message, MessageSystemAttributeName::AwsTraceHeader)
        && let Ok(value) = MessageSystemAttributeValue::builder().data_type("String").string_value(trace).build()
    {
        entry = entry.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
    }
    entry.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_with_what_to_do() {
        let done = Done { worked: 3, ..Done::default() };
        assert_eq!(done.left(), "");
        let done = Done { left_matching: 1, others: 2, rest: 5, ..done };
        assert_eq!(
            done.left(),
            " SQS did not take 1: run it again. 2 others stay. It was not read to its end: run it again."
        );
    }
}
