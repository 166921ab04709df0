//! The store that holds the recipients: counting, looking, and what a count's answer means.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValue};

use super::expression::{Expression, Operand};
use super::marks::rotation_is_due;
use super::units::Units;
use super::{MOST_ROOMS, Recipient, names, wire};
use crate::aws::lean::{self, Said};
pub(super) use crate::aws::{number, text};
use crate::env::{EnvError, Environment, Table};
use crate::id::{AppId, ClientId, DeviceKey, Mark, RoomKey, Token};
use crate::time::{QueueClock, Timestamp};

/// Tries of an update that another transaction on the same item stands in the way of. The SDK does not retry those.
const CONFLICT_TRIES: u32 = 4;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Throttled, timed out, not reached: the same call may work later.
    #[error("the recipients table did not answer")]
    Unavailable(#[source] Box<aws_sdk_dynamodb::Error>),
    /// Not within the time that the caller had.
    #[error("the recipients table did not answer in time")]
    Late,
    /// Another write to the same client stood in the way of every try.
    #[error("the client's item was being changed by others")]
    Conflict,
    /// A cap would be passed: of muted rooms, sources, senders, attributes.
    #[error("the client has too many {0}")]
    TooMany(&'static str),
}

impl<E, R> From<SdkError<E, R>> for StoreError
where
    aws_sdk_dynamodb::Error: From<SdkError<E, R>>,
{
    fn from(error: SdkError<E, R>) -> Self {
        Self::Unavailable(Box::new(error.into()))
    }
}

/// What is counted: the same for every recipient of a chunk, but for `mentioned`.
#[derive(Debug, Clone)]
pub struct Counting {
    /// The message's mark.
    pub mark: Mark,
    /// The mark that its withdrawal leaves.
    pub withdrawn: Mark,
    /// The attribute that is added to: a room's or a source's.
    pub counter: String,
    /// How much is added.
    pub n: u32,
    /// The message's room, for muting and reading.
    pub room: Option<RoomKey>,
    /// Who wrote it, for muting and blocking.
    pub sender: Option<String>,
    /// When the message was written, by the chat server's clock.
    pub written_at: Option<Timestamp>,
    /// When the task was claimed.
    pub claimed_at: Timestamp,
    /// The queue records' own time, not the worker's clock.
    pub clock: QueueClock,
    /// Whether the clock tells the time of now: false when every record was received before, as they have the time of their first
    /// receipt.
    pub may_rotate: bool,
}

/// A recipient after a count, and whether the count was made.
#[derive(Debug)]
pub struct Counted {
    /// The client as it is now.
    pub recipient: Recipient,
    /// `None`: it was counted. Otherwise why not.
    pub not: Option<NotCounted>,
}

/// Why a message was not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCounted {
    /// Its mark is there: an earlier try counted it and may have died before it sent. It is sent.
    Repeat,
    /// It was claimed so long ago that its mark may have been forgotten. It is sent, not counted.
    Uncounted,
    /// The room or the sender is muted and the client not mentioned. It is not sent and leaves no mark.
    Muted,
    /// The sender is blocked. It is not sent and leaves no mark.
    Blocked,
    /// The room was read past it. It is not sent.
    Read,
    /// It was withdrawn before it was counted. It is not sent.
    Withdrawn,
}

/// The recipients table.
pub struct Recipients {
    pub(super) client: Client,
    pub(super) table: String,
    units: Option<Units>,
    lean: lean::Lazy,
}

fn mark_value(mark: &Mark) -> AttributeValue {
    AttributeValue::B(Blob::new(mark.as_bytes()))
}

fn marks_value(marks: &[&Mark]) -> AttributeValue {
    AttributeValue::Bs(marks.iter().map(|mark| Blob::new(mark.as_bytes())).collect())
}

/// Whether another transaction on the same item stood in the way.
fn is_conflict(error: &SdkError<UpdateItemError>) -> bool {
    error.as_service_error().is_some_and(|error| {
        matches!(error, UpdateItemError::TransactionConflictException(_))
            || error.code() == Some("TransactionConflictException")
    })
}

/// A short wait before a conflicting write is tried again; spread so that two writers do not meet again.
pub(super) async fn after_conflict(attempt: u32) {
    let most = 20_u64 << attempt;
    tokio::time::sleep(Duration::from_millis(fastrand::u64(most / 2..=most))).await;
}

/// What a conditional update answered.
pub(super) enum Updated {
    /// The item after it.
    Done(Recipient),
    /// The condition failed; the item as it is.
    Refused(Recipient),
}

impl Recipients {
    /// The table that `env` names.
    ///
    /// # Errors
    /// When it names none.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        let table = env.table(Table::Recipients)?;
        Ok(Self { client: crate::aws::dynamodb(env), table, units: None, lean: lean::Lazy::new(env) })
    }

    /// Has DynamoDB report the units of every call. A benchmark's switch: the answers grow by it.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.units = Some(Units::default());
        self
    }

    /// What was used, when it is [`Recipients::measured`].
    #[must_use]
    pub fn units(&self) -> Option<&Units> {
        self.units.as_ref()
    }

    pub(super) fn capacity(&self) -> Option<ReturnConsumedCapacity> {
        self.units.as_ref().map(|_| ReturnConsumedCapacity::Total)
    }

    /// The client's item; `None` when there is none.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn get(&self, app: &AppId, client: &ClientId, consistent: bool) -> Result<Option<Recipient>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(names::PK, text(names::client(app, client)))
            .consistent_read(consistent)
            .set_return_consumed_capacity(self.capacity())
            .send()
            .await?;
        if let (Some(units), Some(used)) = (&self.units, answer.consumed_capacity()) {
            units.read(used.capacity_units().unwrap_or_default());
        }
        Ok(answer.item.map(Recipient::from_item))
    }

    /// Counts a message for `client`, once: one update that adds to the counter and leaves the mark, on condition that no mark is
    /// there, that it was claimed after everything that may have been forgotten, that its sender is not blocked, that neither its room
    /// nor its sender is muted (unless `mentioned`), and that it was not read past. Either way the answer holds the client.
    ///
    /// Housekeeping that the answer shows to be due (marks, rooms) is done on the way; its failure is not the count's.
    ///
    /// # Errors
    /// When the table does not answer, or the item is changed by others all the time. It may have been counted: the same call
    /// again counts it once.
    pub async fn count(
        &self,
        app: &AppId,
        client: &ClientId,
        counting: &Counting,
        mentioned: bool,
    ) -> Result<Counted, StoreError> {
        let expression = Expression::of_count(counting, mentioned);
        let answer = match self.count_leanly(app, client, &expression).await {
            Some(answer) => answer,
            // Boxed: the state of an SDK call takes kilobytes, and a thousand counts may be under way.
            None => Box::pin(self.conditional(expression.apply(self.update(app, client)), true)).await?,
        };
        match answer {
            Updated::Done(recipient) => {
                self.keep_house(app, client, counting, &recipient).await;
                Ok(Counted { recipient, not: None })
            }
            Updated::Refused(recipient) => {
                let not = why_not(&recipient, counting, mentioned);
                Ok(Counted { recipient, not: Some(not) })
            }
        }
    }

    /// Takes a message back for `client`: its unread count loses it if it was counted and not read since, and it will not be
    /// counted if it is still on its way. Done once. `counting` has the times of the message that is taken back, not those of the
    /// request to do so.
    ///
    /// # Errors
    /// As [`Recipients::count`].
    pub async fn withdraw(&self, app: &AppId, client: &ClientId, counting: &Counting) -> Result<Recipient, StoreError> {
        if let Some(room) = &counting.room {
            // A count that was folded away comes back first, so that it is the room's own that loses one.
            self.unfold(app, client, room).await?;
        }
        let mut counted = Expression::new(
            "ADD #u :less, m0 :ws",
            "(contains(m0, :m) OR contains(m1, :m)) AND NOT contains(m0, :w) AND NOT contains(m1, :w) AND #u >= :n",
        );
        counted.name("#u", counting.counter.as_str());
        counted.value(":n", Operand::Number(counting.n.into()));
        counted.value(":less", Operand::Number(-i64::from(counting.n)));
        counted.value(":m", Operand::Mark(counting.mark));
        counted.value(":w", Operand::Mark(counting.withdrawn));
        counted.value(":ws", Operand::Marks(counting.withdrawn));
        if let Some(room) = &counting.room {
            counted.value(":c", Operand::time(counting.claimed_at));
            counted.unread_still(room, counting);
        }
        let counted = counted.apply(self.update(app, client));
        let marked = self
            .update(app, client)
            .update_expression("SET g = if_not_exists(g, :now) ADD m0 :ws")
            .expression_attribute_values(":now", number(counting.clock.now().as_millis()))
            .expression_attribute_values(":ws", marks_value(&[&counting.withdrawn]));
        // Message and withdrawal are often on their way together. One that is counted between the two updates is to be taken off after all.
        let uncounted = marked
            .clone()
            .condition_expression("NOT contains(m0, :m) AND NOT contains(m1, :m)")
            .expression_attribute_values(":m", mark_value(&counting.mark));
        for _ in 0..CONFLICT_TRIES {
            let recipient = match self.conditional(counted.clone(), false).await? {
                Updated::Done(recipient) => return Ok(recipient),
                Updated::Refused(recipient) => recipient,
            };
            if recipient.has_mark(&counting.withdrawn) {
                return Ok(recipient);
            }
            // Counted, and read since: nothing is to be taken off.
            let read = recipient.has_mark(&counting.mark);
            let mark = if read { marked.clone() } else { uncounted.clone() };
            if let Updated::Done(recipient) = self.conditional(mark, false).await? {
                return Ok(recipient);
            }
        }
        Err(StoreError::Conflict)
    }

    /// Keeps the SNS endpoint that was made for a device, if the device still has that token.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn set_endpoint(
        &self,
        app: &AppId,
        client: &ClientId,
        device: &DeviceKey,
        token: &Token,
        endpoint: &str,
    ) -> Result<(), StoreError> {
        let update = self
            .update(app, client)
            .update_expression("SET #d.e = :e")
            .condition_expression("#d.t = :t")
            .expression_attribute_names("#d", names::device(device))
            .expression_attribute_values(":e", text(endpoint))
            .expression_attribute_values(":t", text(token.expose()));
        self.conditional(update, false).await.map(|_| ())
    }

    pub(super) fn update(&self, app: &AppId, client: &ClientId) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(names::PK, text(names::client(app, client)))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(
                aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld,
            )
            .set_return_consumed_capacity(self.capacity())
    }

    /// Tries a count once without the SDK. `None` when it is not known to be done: it may have been, and the SDK's repeat finds its mark then,
    /// as it does when the SDK itself repeats a try whose answer was lost.
    async fn count_leanly(&self, app: &AppId, client: &ClientId, expression: &Expression) -> Option<Updated> {
        let body = expression.to_body(&self.table, &names::client(app, client), self.units.is_some())?;
        match self.lean.call("UpdateItem", body).await? {
            Said::Done(answer) => {
                let done: wire::Done = serde_json::from_slice(&answer).ok()?;
                if let (Some(units), Some(used)) = (&self.units, &done.consumed_capacity) {
                    units.count(used.capacity_units);
                }
                Some(Updated::Done(done.attributes.0))
            }
            Said::ConditionFailed(answer) => {
                let refused: wire::Refused = serde_json::from_slice(&answer).ok()?;
                Some(Updated::Refused(refused.item.0))
            }
        }
    }

    /// Sends an update, again when a transaction on the same item stood in the way.
    pub(super) async fn conditional(
        &self,
        update: UpdateItemFluentBuilder,
        counts: bool,
    ) -> Result<Updated, StoreError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match update.clone().send().await {
                Ok(answer) => {
                    if let (Some(units), Some(used)) = (&self.units, answer.consumed_capacity()) {
                        let used = used.capacity_units().unwrap_or_default();
                        if counts { units.count(used) } else { units.write(used) }
                    }
                    return Ok(Updated::Done(Recipient::from_item(answer.attributes.unwrap_or_default())));
                }
                Err(SdkError::ServiceError(refused))
                    if matches!(refused.err(), UpdateItemError::ConditionalCheckFailedException(_)) =>
                {
                    let UpdateItemError::ConditionalCheckFailedException(refused) = refused.into_err() else {
                        return Err(StoreError::Conflict);
                    };
                    return Ok(Updated::Refused(Recipient::from_item(refused.item.unwrap_or_default())));
                }
                Err(error) if is_conflict(&error) => {
                    if attempt == CONFLICT_TRIES {
                        return Err(StoreError::Conflict);
                    }
                    after_conflict(attempt).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn keep_house(&self, app: &AppId, client: &ClientId, counting: &Counting, recipient: &Recipient) {
        // Taken after the count's answer: every mark that the answer shows was left, and its message claimed, before.
        let now = counting.clock.now();
        if counting.may_rotate
            && let Some(begun) = recipient.begun
            && rotation_is_due(recipient.marks().0, begun, now)
            && let Err(error) = Box::pin(self.rotate(app, client, recipient, begun, now)).await
        {
            tracing::warn!(app = %app, error = %error, "marks were not rotated");
        }
        if recipient.unread.len() > MOST_ROOMS
            && let Err(error) = Box::pin(self.fold(app, client, recipient, counting.room.as_ref())).await
        {
            tracing::warn!(app = %app, error = %error, "rooms were not folded");
        }
    }
}

/// Which part of the condition failed. Preferences come first: a client who muted the room since an earlier try is left alone.
fn why_not(recipient: &Recipient, counting: &Counting, mentioned: bool) -> NotCounted {
    if recipient.has_mark(&counting.withdrawn) {
        return NotCounted::Withdrawn;
    }
    if let Some(sender) = &counting.sender {
        if recipient.preferences.blocked_senders.contains(sender) {
            return NotCounted::Blocked;
        }
        if !mentioned && recipient.preferences.muted_senders.contains(sender) {
            return NotCounted::Muted;
        }
    }
    if let Some(room) = &counting.room {
        if !mentioned && recipient.muted.contains(room) {
            return NotCounted::Muted;
        }
        if recipient.has_read(room, counting.written_at, counting.claimed_at) {
            return NotCounted::Read;
        }
    }
    if recipient.has_mark(&counting.mark) { NotCounted::Repeat } else { NotCounted::Uncounted }
}
