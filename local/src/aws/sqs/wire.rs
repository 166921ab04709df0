//! The JSON of SQS's requests and messages.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::queue::{Attributes, QueueSpec, Received, Redrive};
use super::{Refusal, invalid, limits, name_of};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NameRequest {
    pub(super) queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueRequest {
    queue_url: String,
}

impl QueueRequest {
    pub(super) fn queue(&self) -> &str {
        name_of(&self.queue_url)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateRequest {
    pub(super) queue_name: String,
    #[serde(default)]
    pub(super) attributes: Settings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetRequest {
    pub(super) queue_url: String,
    pub(super) attributes: Settings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueAttributes {
    pub(super) queue_url: String,
    #[serde(default)]
    pub(super) attribute_names: Vec<String>,
}

/// A queue's attributes as they are set.
#[derive(Default, Deserialize)]
pub(super) struct Settings(BTreeMap<String, String>);

impl Settings {
    pub(super) fn apply(&self, spec: &mut QueueSpec) -> Result<(), Refusal> {
        for (name, value) in &self.0 {
            let number =
                || value.parse::<u64>().map_err(|_| invalid(&format!("Invalid value for the parameter {name}.")));
            match name.as_str() {
                "VisibilityTimeout" => spec.visibility = Duration::from_secs(number()?),
                "DelaySeconds" => spec.delay = Duration::from_secs(number()?),
                "MessageRetentionPeriod" => spec.retention = Duration::from_secs(number()?),
                "ReceiveMessageWaitTimeSeconds" => spec.wait = Duration::from_secs(number()?),
                "MaximumMessageSize" => {
                    spec.max_bytes = usize::try_from(number()?)
                        .ok()
                        .filter(|bytes| (1024..=limits::MAX_BYTES).contains(bytes))
                        .ok_or_else(|| invalid("Invalid value for the parameter MaximumMessageSize."))?;
                }
                "RedrivePolicy" => spec.redrive = redrive(value)?,
                // Encryption, policies and tags have nothing to act on here.
                "KmsMasterKeyId"
                | "KmsDataKeyReusePeriodSeconds"
                | "SqsManagedSseEnabled"
                | "Policy"
                | "RedriveAllowPolicy" => {}
                _ => {
                    return Err(Refusal::sqs(
                        "InvalidAttributeName",
                        "InvalidAttributeName",
                        &format!("Unknown Attribute {name}."),
                    ));
                }
            }
        }
        Ok(())
    }
}

fn redrive(policy: &str) -> Result<Option<Redrive>, Refusal> {
    if policy.is_empty() {
        return Ok(None);
    }
    let bad = || invalid("Invalid value for the parameter RedrivePolicy.");
    let policy: Value = serde_json::from_str(policy).map_err(|_| bad())?;
    let target = policy["deadLetterTargetArn"].as_str().ok_or_else(bad)?;
    let max_receives = match &policy["maxReceiveCount"] {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let max_receives = max_receives
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=1000).contains(count))
        .ok_or_else(bad)?;
    let queue = target.rsplit(':').next().unwrap_or_default().to_owned();
    Ok(Some(Redrive { queue, max_receives }))
}

/// What a send says of its message, alone or in a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    pub(super) message_body: String,
    pub(super) delay_seconds: Option<i64>,
    #[serde(rename = "MessageAttributes", default)]
    pub(super) attributes: Attributes,
    #[serde(rename = "MessageSystemAttributes", default)]
    pub(super) system_attributes: Attributes,
    pub(super) message_group_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendRequest {
    pub(super) queue_url: String,
    #[serde(flatten)]
    pub(super) message: Message,
}

/// The entry of a batch.
pub(super) trait Entry {
    fn id(&self) -> &str;
}

#[derive(Deserialize)]
pub(super) struct SendEntry {
    #[serde(rename = "Id")]
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteRequest {
    pub(super) queue_url: String,
    pub(super) receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteEntry {
    id: String,
    pub(super) receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeRequest {
    pub(super) queue_url: String,
    pub(super) receipt_handle: String,
    pub(super) visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeEntry {
    id: String,
    pub(super) receipt_handle: String,
    #[serde(default)]
    pub(super) visibility_timeout: i64,
}

impl Entry for SendEntry {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Entry for DeleteEntry {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Entry for ChangeEntry {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchRequest<T> {
    pub(super) queue_url: String,
    pub(super) entries: Vec<T>,
}

impl<T: Entry> BatchRequest<T> {
    /// What makes SQS refuse a batch as a whole.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let whole = |kind: &str, message: &str| {
            let query = format!("AWS.SimpleQueueService.{kind}");
            Err(Refusal::sqs(kind, &query, message))
        };
        if self.entries.is_empty() {
            return whole("EmptyBatchRequest", "There should be at least one entry in the request.");
        }
        if self.entries.len() > limits::MAX_BATCH {
            return whole(
                "TooManyEntriesInBatchRequest",
                &format!("Maximum number of entries per request are 10. You have sent {}.", self.entries.len()),
            );
        }
        let characters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let mut ids = HashSet::new();
        for entry in &self.entries {
            let id = entry.id();
            if id.is_empty() || id.len() > 80 || !id.chars().all(characters) {
                return whole(
                    "InvalidBatchEntryId",
                    "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
                );
            }
            if !ids.insert(id) {
                return whole("BatchEntryIdsNotDistinct", &format!("Id {id} repeated."));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveRequest {
    pub(super) queue_url: String,
    pub(super) max_number_of_messages: Option<i64>,
    pub(super) wait_time_seconds: Option<i64>,
    pub(super) visibility_timeout: Option<i64>,
    /// The older name of the list that follows.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

impl ReceiveRequest {
    fn wants_system(&self, name: &str) -> bool {
        self.attribute_names
            .iter()
            .chain(&self.message_system_attribute_names)
            .any(|want| want == "All" || want == name)
    }

    fn wants(&self, name: &str) -> bool {
        self.message_attribute_names.iter().any(|want| match want.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => want == "All" || want == name,
        })
    }
}

/// A received message, with the attributes that the receive asked for.
pub(super) fn message(message: &Received, request: &ReceiveRequest) -> Value {
    let mut reply = json!({
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": limits::md5_of_body(&message.body),
        "Body": message.body,
    });
    let system = [
        ("SenderId", Some("AIDAPUSHBELLLOCAL".to_owned())),
        ("SentTimestamp", Some(message.sent_ms.to_string())),
        ("ApproximateReceiveCount", Some(message.receives.to_string())),
        ("ApproximateFirstReceiveTimestamp", Some(message.first_received_ms.to_string())),
        ("MessageGroupId", message.group.clone()),
        ("AWSTraceHeader", message.trace.clone()),
    ];
    let system: Map<String, Value> = system
        .into_iter()
        .filter(|(name, _)| request.wants_system(name))
        .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))))
        .collect();
    if !system.is_empty() {
        reply["Attributes"] = Value::Object(system);
    }
    let attributes: Attributes = message
        .attributes
        .iter()
        .filter(|(name, _)| request.wants(name))
        .map(|(name, attribute)| (name.clone(), attribute.clone()))
        .collect();
    if let Some(digest) = limits::md5_of_attributes(&attributes) {
        reply["MD5OfMessageAttributes"] = json!(digest);
        reply["MessageAttributes"] = json!(attributes);
    }
    reply
}
