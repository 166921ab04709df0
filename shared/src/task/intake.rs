//! Intake: from an accepted request to one queue record.
//!
//! A request is claimed first, by app, dialect, message id and the set of recipients (IMKIT v1 posts the same message once per
//! recipient). Who wins the claim queues the task. Who loses it does not wait for the winner to have done so: unless the winner's task has
//! visibly begun it queues the same task under the same name once more, marked as a repeat and a little later. If the winner lived, the
//! repeat finds its result row and does nothing; if it died between claim and queue, the repeat is the delivery. So an answer is given
//! only once the task is in the queue, nobody holds a lease, and nothing is lost.
//!
//! An app may do without the claims of messages that count and are for one client ([`FrugalSettings`]): each of their callbacks is a task of
//! its own, and the recipient's mark alone tells a repeat.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::results::KEPT;
use super::{MOST_RECIPIENTS, Part, Results, ResultsError, Target, TaskKey};
use crate::app::FrugalSettings;
use crate::deferred;
use crate::env::{EnvError, Environment, Queue, Table};
use crate::id::{AppId, ClientId, MessageId, RoomKey, TaskId, digest};
use crate::message::{self, Dialect, Message};
use crate::queue::{self, Refused, Work};
use crate::time::Timestamp;

/// How long a repeat waits in the queue: the first record should be done by then.
pub(super) const REPEAT_DELAY: Duration = Duration::from_secs(30);
/// How long a look-up that can be done without may take.
const LOOK_UP: Duration = Duration::from_secs(12);
/// The same for a caller who is waited for; and how long one try of a claim may take then.
const HASTY_LOOK_UP: Duration = Duration::from_millis(400);
/// And all tries of a claim.
const HASTY_CLAIM: Duration = Duration::from_millis(800);

/// A task that is in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its number.
    pub task: TaskId,
    /// The same request was accepted before, under this number.
    pub repeated: bool,
    /// When it begins, or began, if that was not when it was accepted.
    pub due: Option<Timestamp>,
}

/// Why a task is not in the queue.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The message is longer than [`message::MOST_BYTES`] as JSON.
    #[error("the message is longer than 64 KiB")]
    TooLarge,
    /// The message is nested deeper than [`message::MOST_DEPTH`] levels.
    #[error("the message is nested deeper than 64 levels")]
    TooDeep,
    /// It takes back a message that was written in another room.
    #[error("the message that is taken back was written in another room")]
    OtherRoom,
    /// Neither the queue nor the deferred table took it.
    #[error("neither the queue nor the deferred table took the task")]
    Queue(#[source] Refused),
    /// It could not be written down, and was not queued.
    #[error("the task could not be written down")]
    Unavailable(#[source] ResultsError),
    /// The request's name was taken by one for another audience, which is not known to be in the queue.
    #[error("the request's name is that of one for another audience, which is not in the queue yet")]
    OtherRequest,
}

/// Claims tasks and queues them.
pub struct Intake {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) results: Results,
    pub(super) work: Work,
    look_up: Duration,
}

struct Claim {
    key: TaskKey,
    claimed_at: Timestamp,
    repeated: bool,
}

impl Intake {
    /// The tables and queues that `env` names.
    ///
    /// # Errors
    /// When it names no tasks or no deferred table.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self {
            client: crate::aws::dynamodb(env),
            table: env.table(Table::Tasks)?,
            results: Results::new(env)?,
            work: Work::new(env)?,
            look_up: LOOK_UP,
        })
    }

    /// As [`Self::new`], for a caller who is waited for: claims that hang are given up for the queue's sake, and a queue that hangs for the
    /// deferred table's.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn hasty(env: &Environment) -> Result<Self, EnvError> {
        let client = crate::aws::hasty_dynamodb(env, HASTY_LOOK_UP, HASTY_CLAIM);
        Ok(Self { client, work: Work::hasty(env)?, look_up: HASTY_LOOK_UP, ..Self::new(env)? })
    }

    /// Claims the task, unless the app does without, and puts it into the queue. `recipients` are distinct; with none of them there is nothing
    /// to submit.
    ///
    /// # Errors
    /// When the message is too long, or the task is not safely queued. The same call may then be made again.
    pub async fn submit(
        &self,
        mut message: Message,
        recipients: Vec<ClientId>,
        frugal: FrugalSettings,
        now: Timestamp,
    ) -> Result<Accepted, SubmitError> {
        if message.behaviour.kind == message::Kind::Withdraw {
            // Withdrawn all the same; whether it was read since is then told by the recall's own times.
            let missed = "a recall's message was not looked up";
            match timeout(self.look_up, self.take_times_of_the_original(&mut message)).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return Err(SubmitError::OtherRoom),
                Ok(Err(error)) => tracing::warn!(app = %message.origin.app, error = %error, "{missed}"),
                Err(late) => tracing::warn!(app = %message.origin.app, error = %late, "{missed}"),
            }
        }
        let raw = content(&message)?;
        if !frugal.claims && does_without_a_claim(&message, &recipients) {
            let claim = unclaimed(now);
            let accepted = Accepted { task: claim.key.task, repeated: false, due: None };
            let queued = self.queue(&message, raw, recipients, claim, now).await;
            return queued.map(|()| accepted).map_err(SubmitError::Queue);
        }
        let (pk, sk) = claim_key(&message, &recipients);
        let claim = self.claim(&pk, &sk, &message, recipients.len(), now).await;
        let accepted = Accepted { task: claim.key.task, repeated: claim.repeated, due: None };
        if claim.repeated && self.has_begun(&claim.key).await {
            return Ok(accepted);
        }
        let repeated = claim.repeated;
        match self.queue(&message, raw, recipients, claim, now).await {
            Ok(()) => Ok(accepted),
            Err(refused) => {
                if !repeated {
                    self.release(&pk, &sk).await;
                }
                Err(SubmitError::Queue(refused))
            }
        }
    }

    /// A recall has times of its own, and whether its message was read since is told by the message's: they stand in its claims. Whether the
    /// message was written in the recall's room: who may write in one room takes back nothing in another, whatever id they name.
    async fn take_times_of_the_original(&self, message: &mut Message) -> Result<bool, aws_sdk_dynamodb::Error> {
        let (pk, _) = claim_key(message, &[]);
        let claims = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pk))
            .consistent_read(true)
            .send()
            .await?;
        let of_message = claims.items().iter().filter(|claim| !claim.contains_key("withdraws"));
        let original = of_message.max_by_key(|claim| number_of(claim, "at"));
        message.origin.withdrawn_accepted_at =
            original.and_then(|claim| number_of(claim, "at")).map(Timestamp::from_millis);
        if let Some(written_at) = original.and_then(|claim| number_of(claim, "written")) {
            message.origin.written_at = Some(Timestamp::from_millis(written_at));
        }
        let room = original.and_then(|claim| claim.get("room")?.as_s().ok());
        Ok(room.is_none_or(|room| message.origin.room.as_deref().is_none_or(|own| RoomKey::of(own).as_str() == room)))
    }

    async fn claim(&self, pk: &str, sk: &str, message: &Message, recipients: usize, now: Timestamp) -> Claim {
        let task = TaskId::new(now, fastrand::u16(..));
        let nonce = claim_nonce(pk, sk);
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let number = |value: u64| AttributeValue::N(value.to_string());
        let mut put = self.client.put_item();
        if let Some(written_at) = message.origin.written_at {
            put = put.item("written", number(written_at.as_millis()));
        }
        if let Some(room) = &message.origin.room {
            put = put.item("room", text(RoomKey::of(room).as_str()));
        }
        if message.behaviour.kind == message::Kind::Withdraw {
            put = put.item("withdraws", AttributeValue::Bool(true));
        }
        let answer = put
            .table_name(&self.table)
            .item("pk", text(pk))
            .item("sk", text(sk))
            .item("task", number(task.get()))
            .item("at", number(now.as_millis()))
            .item("of", number(recipients as u64))
            .item("ttl", number(now.plus(KEPT).as_secs()))
            // A row past its time may still be there for days: it counts as gone.
            .condition_expression("attribute_not_exists(pk) OR #ttl < :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", number(now.as_secs()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
            Ok(_) => Claim { key: TaskKey { task, nonce }, claimed_at: now, repeated: false },
            Err(PutItemError::ConditionalCheckFailedException(lost)) => {
                let old = lost.item.unwrap_or_default();
                let winner = number_of(&old, "task").and_then(TaskId::from_number).unwrap_or(task);
                Claim {
                    key: TaskKey { task: winner, nonce },
                    claimed_at: number_of(&old, "at").map_or(now, Timestamp::from_millis),
                    // A put whose answer was lost meets its own row when the SDK tries it again.
                    repeated: winner != task,
                }
            }
            Err(error) => {
                // Hooks are not resent: a task without a claim is better than none. Should the claim be there after all, it has this
                // name. A repeat of the callback would be a second task, which counts nobody twice and shows once.
                let error = aws_sdk_dynamodb::Error::from(error);
                tracing::error!(app = %message.origin.app, error = %error, metric = "unclaimed", "queued without a claim");
                Claim { key: TaskKey { task, nonce }, claimed_at: now, repeated: false }
            }
        }
    }

    /// Whether the task was surely queued. Not knowing it, it is queued again: as a repeat that does no harm.
    pub(super) async fn has_begun(&self, key: &TaskKey) -> bool {
        let missed = "a repeat's first task was not looked up";
        match timeout(self.look_up, self.results.has_begun(key)).await {
            Ok(Ok(has_begun)) => return has_begun,
            Ok(Err(error)) => tracing::warn!(error = %error, "{missed}"),
            Err(late) => tracing::warn!(error = %late, "{missed}"),
        }
        false
    }

    async fn queue(
        &self,
        message: &Message,
        raw: Box<RawValue>,
        recipients: Vec<ClientId>,
        claim: Claim,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let delay = if claim.repeated { REPEAT_DELAY } else { Duration::ZERO };
        let to = recipients.into_iter().map(Target::Fresh).collect();
        let part = Part {
            key: claim.key,
            first: 0,
            claimed_at: claim.claimed_at,
            repeat: claim.repeated,
            headed: false,
            message: raw,
            to,
        };
        self.queue_part(&message.origin.app, part, (delay, now)).await
    }

    /// Queues a whole task, to be received `delay` from `now` on: as a chunk where it is one.
    pub(super) async fn queue_part(
        &self,
        app: &AppId,
        part: Part,
        (delay, now): (Duration, Timestamp),
    ) -> Result<(), Refused> {
        if part.to.len() <= MOST_RECIPIENTS {
            for chunk in part.chunks(false) {
                self.work.put(Queue::Deliver, app, record_text(&chunk)?, delay, now).await?;
            }
            return Ok(());
        }
        // Nearly always one. A list too long for one record goes as several, each with its own chunk numbers; the answer waits for all.
        // Last part first: once the first part is seen to have begun, all of them are in.
        for part in part.split(queue::MOST_BYTES).into_iter().rev() {
            let record = record_text(&part)?;
            if record.len() <= deferred::MOST_BYTES {
                self.work.put(Queue::FanOut, app, record, delay, now).await?;
            } else if delay > queue::LONGEST_DELAY || !self.work.hand_on(Queue::FanOut, app, &record, delay).await {
                for piece in part.split(deferred::MOST_BYTES).into_iter().rev() {
                    let put = self.work.deferred().put(Queue::FanOut, app, record_text(&piece)?, now.plus(delay)).await;
                    put.map_err(Refused)?;
                }
            }
        }
        Ok(())
    }

    /// Gives a claim back whose task was refused, so that the caller's next try is a first one. If this fails too, the next try is a
    /// repeat, and that queues the task as well.
    async fn release(&self, pk: &str, sk: &str) {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(pk.to_owned()))
            .key("sk", AttributeValue::S(sk.to_owned()))
            .send()
            .await;
        if let Err(error) = answer {
            tracing::warn!(error = %aws_sdk_dynamodb::Error::from(error), "a claim was not given back");
        }
    }
}

pub(super) fn number_of(item: &HashMap<String, AttributeValue>, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(super) fn record_text(record: &impl serde::Serialize) -> Result<String, Refused> {
    // Records are structs of strings and numbers: they are always JSON.
    queue::body(record).map_err(|_| Refused(deferred::DeferredError::TooLarge))
}

/// A message as records carry it.
pub(super) fn content(message: &Message) -> Result<Box<RawValue>, SubmitError> {
    let raw = serde_json::value::to_raw_value(message).map_err(|_| SubmitError::TooLarge)?;
    if raw.get().len() > message::MOST_BYTES {
        return Err(SubmitError::TooLarge);
    }
    if message::depth(raw.get()) > message::MOST_DEPTH {
        return Err(SubmitError::TooDeep);
    }
    Ok(raw)
}

/// Whether the message is one of those whose claims an app may do without: its mark at the one client whom it is for tells a repeat. What
/// begins later keeps its claim: by then the mark of a first may be forgotten.
fn does_without_a_claim(message: &Message, recipients: &[ClientId]) -> bool {
    recipients.len() == 1 && message.counts() && message.behaviour.not_before.is_none()
}

/// A task of its own, whatever else bears its message's id.
fn unclaimed(now: Timestamp) -> Claim {
    let nonce = drawn_nonce();
    Claim { key: TaskKey { task: TaskId::new(now, fastrand::u16(..)), nonce }, claimed_at: now, repeated: false }
}

/// The nonce of a task that no claim names.
pub(super) fn drawn_nonce() -> String {
    URL_SAFE_NO_PAD.encode(fastrand::u64(..).to_be_bytes().get(..6).unwrap_or_default())
}

fn claim_key(message: &Message, recipients: &[ClientId]) -> (String, String) {
    let origin = &message.origin;
    let withdraws = match message.behaviour.kind {
        message::Kind::Withdraw => true,
        message::Kind::Alert | message::Kind::Silent | message::Kind::Data | message::Kind::Badge => false,
    };
    (claim_partition(&origin.app, origin.dialect, &origin.message), claim_set(recipients, withdraws))
}

/// Claims of one message stand together, so that what became of a message can be found by its id.
pub(super) fn claim_partition(app: &AppId, dialect: Dialect, message: &MessageId) -> String {
    format!("c#{app}#{}#{message}", dialect.as_str())
}

/// A recall has the id of the message it takes back, and is a task of its own.
pub(super) fn claim_set(recipients: &[ClientId], withdraws: bool) -> String {
    let mut sorted: Vec<&[u8]> = recipients.iter().map(|client| client.as_str().as_bytes()).collect();
    sorted.sort_unstable();
    sorted.push(if withdraws { b"withdraw" } else { b"" });
    URL_SAFE_NO_PAD.encode(digest::<16>(&sorted))
}

/// The nonce of the task that a claim is of.
pub(super) fn claim_nonce(pk: &str, sk: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::<6>(&[pk.as_bytes(), sk.as_bytes()]))
}

#[cfg(test)]
mod tests;
