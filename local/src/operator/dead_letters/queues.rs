//! Which dead-letter queues a bundle has, and which queues give up to them: as their redrive policies say.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::future::try_join_all;
use serde_json::Value;

use super::super::Deployment;
use super::super::aws::reason;

/// Why a queue was not worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// No such queue.
    #[error("there is no dead-letter queue {0}; see `dead-letters list`")]
    Unknown(String),
    /// Its records are no other queue's.
    #[error("the records of {0} cannot be replayed: {1}")]
    NotReplayed(String, &'static str),
    /// SQS refuses or does not answer.
    #[error("SQS did not {verb} {queue}: {reason}")]
    Sqs {
        /// What was asked of it.
        verb: &'static str,
        /// Of which queue.
        queue: String,
        /// Why not.
        reason: String,
    },
    /// It broke off.
    #[error("after {done} records: {source}; those under way are hidden for five minutes, then run it again")]
    BrokeOff {
        /// How many were worked off before.
        done: u64,
        /// Why.
        source: Box<QueueError>,
    },
}

impl QueueError {
    /// The same, if anything was done before it.
    pub(super) fn after(self, done: u64) -> Self {
        if done == 0 { self } else { Self::BrokeOff { done, source: Box::new(self) } }
    }
}

/// A queue that others give up to.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Its logical id.
    pub(super) name: String,
    /// Its address.
    pub(super) url: String,
}

/// A dead-letter queue.
#[derive(Debug, Clone)]
pub(super) struct DeadLetters {
    /// Its logical id.
    pub(super) name: String,
    /// Its address.
    pub(super) url: String,
    /// What its records are replayed to.
    pub(super) source: Option<Source>,
    /// About how many records can be received.
    pub(super) visible: u64,
    /// And how many are with somebody.
    pub(super) hidden: u64,
}

impl DeadLetters {
    /// What its records are, in a few words.
    pub(super) fn holds(&self) -> &'static str {
        match self.name.as_str() {
            "DeliverDeadLetters" => "chunks of pushes that were given up, or failed five times",
            "FanOutDeadLetters" => "tasks that could not be cut into chunks",
            "ResultsDeadLetters" => "callbacks of vendors' results that could not be counted",
            "ReportDeadLetters" => "outcomes that an app's own address did not take",
            "FeedbackDeadLetters" => "what SNS told of an endpoint and could not be worked off",
            "TriggerDeadLetters" => "changes and events that could not trigger their pushes",
            "TimerDeadLetters" => "failed runs of the timer: a notice only, as the next run does the work",
            _ => "records that failed too often",
        }
    }

    /// Where it is told what to do.
    pub(super) fn section(&self) -> &'static str {
        match self.name.as_str() {
            "ReportDeadLetters" => "docs/operations.md#reportdeadlettersalarm",
            _ => "docs/operations.md#deadlettersalarm",
        }
    }

    /// What is done with records that are no queue's.
    pub(super) fn by_hand(&self) -> &'static str {
        match self.name.as_str() {
            "TimerDeadLetters" => {
                "they only tell that runs of the timer failed, and the next run did their work. Drop them once `retry` runs again"
            }
            "TriggerDeadLetters" => {
                "they are handed to the function again, within a week, as docs/operations.md#deadlettersalarm says"
            }
            _ => "no queue gives up to it",
        }
    }
}

/// A queue as SQS tells of it.
struct Queue {
    name: String,
    url: String,
    arn: String,
    gives_up_to: Option<String>,
    visible: u64,
    hidden: u64,
}

/// The dead-letter queues, by name: those that redrive policies point at, and those that something else than SQS gives up to.
pub(super) async fn all(deployment: &Deployment, sqs: &Client) -> Result<Vec<DeadLetters>, QueueError> {
    let queues = deployment.resources.iter().filter(|(_, resource)| resource.kind == "AWS::SQS::Queue");
    let queues = queues.map(|(name, resource)| read(sqs, name, &resource.physical_id));
    let queues = try_join_all(queues).await?;
    let mut all = Vec::new();
    for queue in &queues {
        let source = queues.iter().find(|source| source.gives_up_to.as_deref() == Some(queue.arn.as_str()));
        if source.is_some() || queue.name.ends_with("DeadLetters") {
            all.push(DeadLetters {
                name: queue.name.clone(),
                url: queue.url.clone(),
                source: source.map(|source| Source { name: source.name.clone(), url: source.url.clone() }),
                visible: queue.visible,
                hidden: queue.hidden,
            });
        }
    }
    Ok(all)
}

async fn read(sqs: &Client, name: &str, url: &str) -> Result<Queue, QueueError> {
    let asked = sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All).send().await;
    let asked =
        asked.map_err(|error| QueueError::Sqs { verb: "tell of", queue: name.to_owned(), reason: reason(&error) })?;
    let of = |name: QueueAttributeName| asked.attributes().and_then(|all| all.get(&name)).map(String::as_str);
    let number = |name| of(name).and_then(|n| n.parse().ok()).unwrap_or_default();
    let policy: Option<Value> =
        of(QueueAttributeName::RedrivePolicy).and_then(|policy| serde_json::from_str(policy).ok());
    Ok(Queue {
        name: name.to_owned(),
        url: url.to_owned(),
        arn: of(QueueAttributeName::QueueArn).unwrap_or_default().to_owned(),
        gives_up_to: policy.and_then(|policy| policy["deadLetterTargetArn"].as_str().map(str::to_owned)),
        visible: number(QueueAttributeName::ApproximateNumberOfMessages),
        hidden: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
    })
}

/// The queue of that name: `DeliverDeadLetters`, or `deliver` for short.
pub(super) fn named<'q>(queues: &'q [DeadLetters], name: &str) -> Result<&'q DeadLetters, QueueError> {
    let plain = |name: &str| name.replace('-', "").to_lowercase();
    let short = |name: &str| plain(name).trim_end_matches("deadletters").to_owned();
    let found = queues.iter().find(|queue| short(&queue.name) == short(name));
    found.ok_or_else(|| QueueError::Unknown(name.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_queue_is_known_by_its_name_or_its_function_s() {
        let queue =
            |name: &str| DeadLetters { name: name.to_owned(), url: String::new(), source: None, visible: 0, hidden: 0 };
        let queues = [queue("DeliverDeadLetters"), queue("FanOutDeadLetters")];
        for name in ["FanOutDeadLetters", "fan-out", "FanOut", "fan-out-dead-letters"] {
            assert_eq!(named(&queues, name).unwrap().name, "FanOutDeadLetters", "{name}");
        }
        let unknown = named(&queues, "DeliverQueue").err().unwrap().to_string();
        assert_eq!(unknown, "there is no dead-letter queue DeliverQueue; see `dead-letters list`");
    }
}
