//! A walk through a queue that meets each record once.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    SendMessageBatchRequestEntry,
};
use pushbell::queue;
use pushbell::time::Timestamp;

use super::super::aws::reason;
use super::Which;
use super::queues::{DeadLetters, QueueError};
use super::record::{self, Record};

/// Most records of one call.
const BATCH: usize = 10;
/// A receive that waits asks all of SQS's servers: what it does not find is not there.
const WAIT: i32 = 1;

/// So many batches without anything new end a walk: what was hidden comes again while it lasts.
const STALE: u32 = 30;

/// A walk through a queue. What it holds is hidden from everybody else.
pub(super) struct Visit<'a> {
    sqs: &'a Client,
    queue: &'a DeadLetters,
    hidden: Duration,
    /// By the services' clock.
    began: Timestamp,
    /// Every record that was met.
    met: HashSet<String>,
    /// The handles of those that stay, by record: SQS acts on the newest only.
    stay: HashMap<String, String>,
}

/// What became of a batch.
pub(super) enum Worked {
    /// So many were taken out. The others stay hidden until their time is over, or are visible again.
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
    /// Wanted, and come since the walk began.
    pub(super) younger: u64,
    /// With somebody when the walk began, so that it may not have met them.
    pub(super) hidden: u64,
    /// SQS handed out what was met before, over and over, so that the walk ended before the queue did.
    pub(super) broken_off: bool,
}

impl Done {
    /// Whether nothing is left of what was wanted.
    pub(super) fn is_complete(&self) -> bool {
        self.left_matching + self.younger + self.hidden == 0 && !self.broken_off
    }

    /// A sentence on what is left, where anything is.
    pub(super) fn left(&self) -> String {
        let mut told = String::new();
        if self.left_matching > 0 {
            told.push_str(&format!(" SQS did not take {}: run it again in five minutes.", self.left_matching));
        }
        match self.others {
            0 => {}
            1 => told.push_str(" One other stays."),
            n => told.push_str(&format!(" {n} others stay.")),
        }
        if self.younger > 0 {
            told.push_str(&format!(" {} came meanwhile: look why before you run it again.", self.younger));
        }
        told.push_str(&hidden_told(self.hidden));
        if self.broken_off {
            told.push_str(" The queue is too long for one walk, and there may be more: run it again in five minutes.");
        }
        told
    }
}

/// What is with somebody is not met.
pub(super) fn hidden_told(hidden: u64) -> String {
    match hidden {
        0 => String::new(),
        1 => " One was hidden, as somebody was at it; it comes back within five minutes.".to_owned(),
        n => format!(" {n} were hidden, as somebody was at them; they come back within five minutes."),
    }
}

impl<'a> Visit<'a> {
    /// A walk that begins now, by the services' clock, and hides what it receives for so long.
    pub(super) fn new(sqs: &'a Client, queue: &'a DeadLetters, hidden: Duration, now: Timestamp) -> Self {
        Self { sqs, queue, hidden, began: now, met: HashSet::new(), stay: HashMap::new() }
    }

    /// Up to ten records, of which those are left out that were met before. `None` when SQS has no more. How many there are SQS itself knows
    /// only about, so nothing goes by that.
    async fn receive(&mut self, most: u64) -> Result<Option<Vec<Message>>, QueueError> {
        let most = usize::try_from(most).unwrap_or(BATCH).clamp(1, BATCH);
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
        if batch.is_empty() {
            return Ok(None);
        }
        batch.retain(|message| {
            let id = message.message_id().unwrap_or_default();
            let is_new = self.met.insert(id.to_owned());
            if let Some(handle) = self.stay.get_mut(id) {
                message.receipt_handle().unwrap_or_default().clone_into(handle);
            }
            is_new
        });
        Ok(Some(batch))
    }

    /// Up to so many records.
    pub(super) async fn look(&mut self, most: u64) -> Result<Vec<Message>, QueueError> {
        let mut looked = Vec::new();
        let mut stale = 0;
        while stale < STALE && u64::try_from(looked.len()).is_ok_and(|n| n < most) {
            let left = most.saturating_sub(u64::try_from(looked.len()).unwrap_or(u64::MAX));
            match self.receive(left).await {
                Ok(Some(batch)) => {
                    stale = if batch.is_empty() { stale + 1 } else { 0 };
                    self.keep(&batch);
                    looked.extend(batch);
                }
                Ok(None) => break,
                Err(error) => {
                    self.give_back().await;
                    return Err(error);
                }
            }
        }
        self.give_back().await;
        Ok(looked)
    }

    fn keep(&mut self, messages: &[Message]) {
        let pairs = messages.iter().filter_map(|message| Some((message.message_id()?, message.receipt_handle()?)));
        self.stay.extend(pairs.map(|(id, handle)| (id.to_owned(), handle.to_owned())));
    }

    /// Makes visible again what stays. What is not told now comes back by itself.
    async fn give_back(&mut self) {
        let handles: Vec<String> = std::mem::take(&mut self.stay).into_values().collect();
        for batch in handles.chunks(BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(index, handle)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(handle)
                    .visibility_timeout(0)
                    .build()
                    .ok()
            });
            let change = self.sqs.change_message_visibility_batch().queue_url(&self.queue.url);
            let _ = change.set_entries(Some(entries.collect())).send().await;
        }
    }

    /// Hands the records that are wanted to `work`, batch by batch, and gives the others back at the end. Records that have come since the
    /// walk began stay: what is replayed and given up at once is not replayed again and again.
    pub(super) async fn work_off(
        &mut self,
        which: &Which,
        work: impl AsyncFn(&Self, &[Message]) -> Result<Worked, QueueError>,
    ) -> Result<Done, QueueError> {
        let mut done = Done { hidden: self.queue.hidden, ..Done::default() };
        let mut stale = 0;
        loop {
            if stale == STALE {
                done.broken_off = true;
                break;
            }
            let batch = match self.receive(u64::MAX).await {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(error) => {
                    self.give_back().await;
                    return Err(error.after(done.worked));
                }
            };
            stale = if batch.is_empty() { stale + 1 } else { 0 };
            let (wanted, others): (Vec<_>, Vec<_>) =
                batch.into_iter().partition(|message| which.is(&Record::read(message)));
            done.others += u64::try_from(others.len()).unwrap_or_default();
            self.keep(&others);
            let is_younger = |message: &Message| record::sent_at(message).is_some_and(|at| at > self.began);
            let (younger, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_younger);
            done.younger += u64::try_from(younger.len()).unwrap_or_default();
            self.keep(&younger);
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
                    self.keep(&wanted);
                }
                Err(error) => {
                    // SQS may have taken them without saying so: they stay hidden for a while, so that nobody sends them twice at once.
                    self.give_back().await;
                    return Err(error.after(done.worked));
                }
            }
        }
        self.give_back().await;
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
    #![allow(clippy::unwrap_used)]
    use super::super::queues;
    use super::*;
    use crate::operator::ward::Ward;

    #[tokio::test]
    async fn a_walk_that_is_handed_the_same_over_and_over_says_that_it_ended_early() {
        let ward = Ward::empty().await;
        let letter = crate::aws::sqs::Outgoing { body: "{}".to_owned(), ..Default::default() };
        ward.stack.aws.queues.send("DeliverDeadLetters", &letter).unwrap();
        let deployment = ward.deployment().await;
        let sqs = Client::new(&deployment.config);
        let all = queues::all(&deployment, &sqs).await.unwrap();
        let queue = queues::named(&all, "deliver").unwrap();
        let of_another = Which { task: Some(7), ..Which::default() };
        // What is met is hidden for no time at all.
        let mut visit = Visit::new(&sqs, queue, Duration::ZERO, deployment.now());
        let done = visit.work_off(&of_another, async |_, _| Ok(Worked::Left)).await.unwrap();
        assert_eq!(done, Done { others: 1, broken_off: true, ..Done::default() });
        assert!(!done.is_complete());
    }

    #[test]
    fn what_is_left_is_told_with_what_to_do() {
        let done = Done { worked: 3, ..Done::default() };
        assert_eq!(done.left(), "");
        assert!(done.is_complete());
        let done = Done { left_matching: 1, others: 2, younger: 5, hidden: 3, broken_off: true, ..done };
        assert_eq!(
            done.left(),
            " SQS did not take 1: run it again in five minutes. 2 others stay. 5 came meanwhile: look why before you run it again. \
             3 were hidden, as somebody was at them; they come back within five minutes. The queue is too long for one walk, and there may be \
             more: run it again in five minutes."
        );
        assert!(!done.is_complete());
        assert!(!Done { broken_off: true, ..Done::default() }.is_complete());
    }
}
