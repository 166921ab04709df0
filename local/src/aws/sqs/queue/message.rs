//! What a queue is made with, and the messages that go in and come out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::limits;

/// What a queue is made with. The default is SQS's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// Its name.
    pub name: String,
    /// How long a received message stays invisible.
    pub visibility: Duration,
    /// The delay of messages that bring none.
    pub delay: Duration,
    /// After this time a message is dropped.
    pub retention: Duration,
    /// The longest message, in bytes.
    pub max_bytes: usize,
    /// The long poll of receives that bring none.
    pub wait: Duration,
    /// Where messages go that were received too often.
    pub redrive: Option<Redrive>,
}

/// The dead-letter queue of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The name of the dead-letter queue.
    pub queue: String,
    /// A message received so often is moved instead of being received once more.
    pub max_receives: u32,
}

impl QueueSpec {
    /// SQS's defaults under this name: 30 s visibility, 4 days retention, 1 MiB.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            visibility: Duration::from_secs(30),
            delay: Duration::ZERO,
            retention: Duration::from_secs(345_600),
            max_bytes: limits::MAX_BYTES,
            wait: Duration::ZERO,
            redrive: None,
        }
    }
}

/// A message attribute as SQS carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, with an optional suffix.
    #[serde(rename = "DataType")]
    pub data_type: String,
    /// The value of a string or number.
    #[serde(rename = "StringValue", default, skip_serializing_if = "Option::is_none")]
    pub string: Option<String>,
    /// The value of a binary, in base64.
    #[serde(rename = "BinaryValue", default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
}

/// Attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// A message to send.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// The body.
    pub body: String,
    /// The delay; the queue's own when `None`.
    pub delay: Option<Duration>,
    /// The message attributes.
    pub attributes: Attributes,
    /// The message group, for fairness.
    pub group: Option<String>,
    /// `AWSTraceHeader`.
    pub trace: Option<String>,
}

/// A message that was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The id given when it was sent.
    pub message_id: String,
    /// The handle of this receive.
    pub receipt: String,
    /// The body.
    pub body: String,
    /// The message attributes.
    pub attributes: Attributes,
    /// When it was sent, in milliseconds since 1970.
    pub sent_ms: i64,
    /// When it was first received, in milliseconds since 1970.
    pub first_received_ms: i64,
    /// How often it was received, with this one.
    pub receives: u32,
    /// The message group.
    pub group: Option<String>,
    /// `AWSTraceHeader`.
    pub trace: Option<String>,
}
