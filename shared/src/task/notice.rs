//! Notices: tasks that an app's own server asks for, to be known by their numbers. Unlike a hook's, their caller makes the same call again
//! when it fails: nothing is queued that is not written down before.

use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;

use super::intake::{Accepted, Intake, REPEAT_DELAY, SubmitError, content, drawn_nonce, number_of, record_text};
use super::results::KEPT;
use super::walk::Walk;
use super::{Extent, Head, MOST_RECIPIENTS, Part, ResultsError, Target, TaskKey, Whom};
use crate::aws::{number, text};
use crate::env::Queue;
use crate::id::{AppId, MessageId, TaskId, digest};
use crate::message::{Dialect, Message};
use crate::queue::Refused;
use crate::time::Timestamp;

/// What an app's server asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The app.
    pub app: AppId,
    /// The protocol that it was asked in.
    pub dialect: Dialect,
    /// Whom it is for.
    pub whom: Whom,
    /// The caller's name for the request: what bears the same name within seven days is the same request.
    pub request: Option<String>,
    /// When it is to begin, if not now.
    pub due: Option<Timestamp>,
    /// It takes live connections only.
    pub online_only: bool,
}

/// The name that a request was accepted under.
struct Claim {
    key: TaskKey,
    /// When it was first asked for.
    at: Timestamp,
    /// When it was to begin.
    due: Timestamp,
    /// It was accepted before.
    repeated: bool,
    /// For the same audience.
    alike: bool,
}

impl Intake {
    /// Queues a notice, once for each request's name. `message` makes the content from the message's id, which is the task's own.
    ///
    /// # Errors
    /// When the message is too long, or the task is not safely written down and queued. The same call may then be made again.
    pub async fn notify(
        &self,
        notice: Notice,
        message: impl Fn(MessageId) -> Message,
        now: Timestamp,
    ) -> Result<Accepted, SubmitError> {
        let whom = in_order(notice.whom.clone());
        let drawn = TaskId::new(now, fastrand::u16(..));
        let due = notice.due.map_or(now, |due| due.max(now));
        let (claim, raw) = match &notice.request {
            None => {
                let key = TaskKey { task: drawn, nonce: drawn_nonce() };
                let raw = content(&message(message_id(&key)))?;
                (Claim { key, at: now, due, repeated: false, alike: true }, raw)
            }
            Some(request) => {
                // Looked at before the name is taken: a caller who mends a message that is too long may use it again.
                content(&message(message_id(&TaskKey { task: drawn, nonce: "-".repeat(8) })))?;
                let claim = self.claim_request(&notice, request, &whom, (drawn, due), now).await?;
                let raw = content(&message(message_id(&claim.key)))?;
                (claim, raw)
            }
        };
        let later = (claim.due > claim.at).then_some(claim.due);
        let accepted = Accepted { task: claim.key.task, repeated: claim.repeated, due: later };
        if claim.repeated {
            if self.has_begun(&claim.key).await {
                return Ok(accepted);
            }
            if !claim.alike {
                // Only who asked for the first may queue it in its place.
                return Err(SubmitError::OtherRequest);
            }
        }
        let head = Head {
            key: claim.key.clone(),
            app: notice.app.clone(),
            created_at: claim.at,
            due: claim.due,
            online_only: notice.online_only,
            extent: extent(&whom),
            cancelled_at: None,
            queued: false,
        };
        self.results.put_head(&head).await.map_err(SubmitError::Unavailable)?;
        // A repeat begins when the first was to, or now: it may come long after a first that was never queued, whose life would be over.
        let due = claim.due.max(now);
        let delay = due.since(now) + if claim.repeated { REPEAT_DELAY } else { Duration::ZERO };
        // The claim stays if this fails: somebody else may have queued the same request under this name already.
        self.queue_notice(&notice.app, raw, whom, &claim, due, (delay, now)).await.map_err(SubmitError::Queue)?;
        if due > now || notice.dialect == Dialect::Pushbell {
            // Nothing else will say for a while that it is in the queue. Without this the same request queues it once more; and a stream hands
            // an event over again and again while anything else of its batch fails.
            if let Err(error) = self.results.head_is_queued(&claim.key).await {
                tracing::warn!(app = %notice.app, error = %error, "a task was not noted as queued");
            }
        }
        Ok(accepted)
    }

    async fn claim_request(
        &self,
        notice: &Notice,
        request: &str,
        whom: &Whom,
        (task, due): (TaskId, Timestamp),
        now: Timestamp,
    ) -> Result<Claim, SubmitError> {
        let pk = format!("q#{}#{}#{request}", notice.app, notice.dialect.as_str());
        let nonce = URL_SAFE_NO_PAD.encode(digest::<6>(&[pk.as_bytes()]));
        let audience = URL_SAFE_NO_PAD.encode(digest::<16>(&[&audience_text(whom)]));
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(pk))
            .item("sk", text("-"))
            .item("task", number(task.get()))
            .item("at", number(now.as_millis()))
            .item("due", number(due.as_millis()))
            .item("whom", text(&*audience))
            // Seven days, and not before what waits has begun.
            .item("ttl", number(due.plus(KEPT).as_secs()))
            // A row past its time may still be there for days: it counts as gone.
            .condition_expression("attribute_not_exists(pk) OR #ttl < :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", number(now.as_secs()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
            Ok(_) => Ok(Claim { key: TaskKey { task, nonce }, at: now, due, repeated: false, alike: true }),
            Err(PutItemError::ConditionalCheckFailedException(lost)) => {
                let old = lost.item.unwrap_or_default();
                let winner = number_of(&old, "task").and_then(TaskId::from_number).unwrap_or(task);
                Ok(Claim {
                    key: TaskKey { task: winner, nonce },
                    at: number_of(&old, "at").map_or(now, Timestamp::from_millis),
                    due: number_of(&old, "due").map_or(now, Timestamp::from_millis),
                    // A put whose answer was lost meets its own row when the SDK tries it again.
                    repeated: winner != task,
                    alike: old.get("whom").and_then(|whom| whom.as_s().ok()) == Some(&audience),
                })
            }
            Err(error) => Err(SubmitError::Unavailable(ResultsError::Unavailable(Box::new(error.into())))),
        }
    }

    async fn queue_notice(
        &self,
        app: &AppId,
        raw: Box<RawValue>,
        whom: Whom,
        claim: &Claim,
        due: Timestamp,
        when: (Duration, Timestamp),
    ) -> Result<(), Refused> {
        let (key, repeat) = (claim.key.clone(), claim.repeated);
        match whom {
            Whom::Targets(to) => {
                let part = Part { key, first: 0, claimed_at: due, repeat, headed: true, message: raw, to };
                self.queue_part(app, part, when).await
            }
            Whom::Members(members) => {
                let walk = Walk { key, claimed_at: due, repeat, members, shard: None, message: raw };
                let (delay, now) = when;
                self.work.put(Queue::FanOut, app, record_text(&walk)?, delay, now).await
            }
        }
    }
}

/// Unique for the task, whatever number others draw.
pub(super) fn message_id(key: &TaskKey) -> MessageId {
    let name = format!("{}-{}", key.task, key.nonce);
    // Digits and letters, far below the longest id.
    #[expect(clippy::expect_used, reason = "digits, a hyphen and base64 are a message's id")]
    MessageId::parse(name).expect("a task's name is a message id")
}

/// A list in the order of its clients: so a client's chunk is found by the first of each chunk.
fn in_order(whom: Whom) -> Whom {
    match whom {
        Whom::Targets(mut targets) => {
            targets.sort_unstable_by(|a, b| a.client().cmp(b.client()));
            Whom::Targets(targets)
        }
        Whom::Members(members) => Whom::Members(members),
    }
}

fn extent(whom: &Whom) -> Extent {
    match whom {
        Whom::Targets(targets) => {
            let firsts = targets.chunks(MOST_RECIPIENTS).filter_map(|chunk| chunk.first().map(Target::client).cloned());
            Extent::Chunks(firsts.collect())
        }
        Whom::Members(members) => Extent::Shards(members.shards()),
    }
}

fn audience_text(whom: &Whom) -> Vec<u8> {
    // Lists of texts: always JSON.
    match whom {
        // What fills a template is content.
        Whom::Targets(targets) => {
            let bare: Vec<Target> = targets.iter().cloned().map(Target::without_values).collect();
            serde_json::to_vec(&bare).unwrap_or_default()
        }
        Whom::Members(members) => serde_json::to_vec(members).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
