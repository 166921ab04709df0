//! SQS as its clients see it: the JSON 1.0 protocol, its limits and its errors, over the queues of [`queue`].

mod limits;
mod queue;
mod wire;

pub(crate) use queue::Order;
pub use queue::{Attribute, Attributes, Delayed, Depth, Outgoing, QueueError, QueueSpec, Queues, Received, Redrive};

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::Refusal;
use wire::{
    BatchRequest, ChangeEntry, ChangeRequest, CreateRequest, DeleteEntry, DeleteRequest, NameRequest, QueueAttributes,
    QueueRequest, ReceiveRequest, SendEntry, SendRequest, SetRequest,
};

pub(super) fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{}:{}:{queue}", super::REGION, super::ACCOUNT)
}

/// Answers one call. `host` is the address the client used, for queue URLs; `fail` is how many entries of a batch
/// a fault lets fail.
pub(super) async fn call(
    queues: &Queues,
    action: &str,
    body: &[u8],
    host: &str,
    fail: usize,
) -> Result<Value, Refusal> {
    match action {
        "CreateQueue" => create(queues, &read(body)?, host),
        "GetQueueUrl" => {
            let request: NameRequest = read(body)?;
            queues.spec(&request.queue_name)?;
            Ok(json!({ "QueueUrl": url(host, &request.queue_name) }))
        }
        "ListQueues" => {
            let names = queues.names().map_err(QueueError::from)?;
            let urls: Vec<_> = names.iter().map(|name| url(host, name)).collect();
            Ok(json!({ "QueueUrls": urls }))
        }
        "DeleteQueue" => {
            let request: QueueRequest = read(body)?;
            queues.remove(request.queue())?;
            Ok(json!({}))
        }
        "SetQueueAttributes" => {
            let request: SetRequest = read(body)?;
            let mut spec = queues.spec(name_of(&request.queue_url))?;
            request.attributes.apply(&mut spec)?;
            queues.ensure(&spec).map_err(QueueError::from)?;
            Ok(json!({}))
        }
        "GetQueueAttributes" => attributes(queues, &read(body)?),
        "PurgeQueue" => {
            let request: QueueRequest = read(body)?;
            queues.purge(request.queue())?;
            Ok(json!({}))
        }
        "SendMessage" => send(queues, read(body)?),
        "SendMessageBatch" => send_batch(queues, read(body)?, fail),
        "ReceiveMessage" => receive(queues, &read(body)?).await,
        "DeleteMessage" => {
            let request: DeleteRequest = read(body)?;
            let queue = name_of(&request.queue_url);
            queues.spec(queue)?;
            queues.delete(queue, &request.receipt_handle)?;
            Ok(json!({}))
        }
        "DeleteMessageBatch" => {
            let batch: BatchRequest<DeleteEntry> = read(body)?;
            each(queues, &batch, fail, |queue, entry| Ok(queues.delete(queue, &entry.receipt_handle)?))
        }
        "ChangeMessageVisibility" => {
            let request: ChangeRequest = read(body)?;
            let queue = name_of(&request.queue_url);
            queues.spec(queue)?;
            let timeout = visibility(request.visibility_timeout)?;
            queues.change_visibility(queue, &request.receipt_handle, timeout)?;
            Ok(json!({}))
        }
        "ChangeMessageVisibilityBatch" => {
            let batch: BatchRequest<ChangeEntry> = read(body)?;
            each(queues, &batch, fail, |queue, entry| {
                let timeout = visibility(entry.visibility_timeout)?;
                Ok(queues.change_visibility(queue, &entry.receipt_handle, timeout)?)
            })
        }
        _ => Err(Refusal::unknown_operation(action)),
    }
}

fn create(queues: &Queues, request: &CreateRequest, host: &str) -> Result<Value, Refusal> {
    let name = &request.queue_name;
    let characters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 80 || !name.chars().all(characters) {
        return Err(invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"));
    }
    let mut spec = QueueSpec::new(name);
    request.attributes.apply(&mut spec)?;
    match queues.spec(name) {
        Ok(there) if there == spec => {}
        Ok(_) => {
            return Err(Refusal::sqs(
                "QueueNameExists",
                "QueueAlreadyExists",
                "A queue already exists with the same name and a different value for an attribute.",
            ));
        }
        Err(QueueError::NoQueue) => queues.ensure(&spec).map_err(QueueError::from)?,
        Err(other) => return Err(other.into()),
    }
    Ok(json!({ "QueueUrl": url(host, name) }))
}

fn attributes(queues: &Queues, request: &QueueAttributes) -> Result<Value, Refusal> {
    let queue = name_of(&request.queue_url);
    let spec = queues.spec(queue)?;
    let depth = queues.depth(queue)?;
    let created = (queues.created_ms(queue)? / 1000).to_string();
    let seconds = |time: Duration| time.as_secs().to_string();
    let mut all = vec![
        ("QueueArn", arn(queue)),
        ("ApproximateNumberOfMessages", depth.visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", depth.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", depth.delayed.to_string()),
        ("CreatedTimestamp", created.clone()),
        ("LastModifiedTimestamp", created),
        ("VisibilityTimeout", seconds(spec.visibility)),
        ("DelaySeconds", seconds(spec.delay)),
        ("MessageRetentionPeriod", seconds(spec.retention)),
        ("MaximumMessageSize", spec.max_bytes.to_string()),
        ("ReceiveMessageWaitTimeSeconds", seconds(spec.wait)),
    ];
    if let Some(redrive) = spec.redrive {
        let policy = json!({
            "deadLetterTargetArn": arn(&redrive.queue),
            "maxReceiveCount": redrive.max_receives,
        });
        all.push(("RedrivePolicy", policy.to_string()));
    }
    let wanted = |name: &str| request.attribute_names.iter().any(|want| want == "All" || want == name);
    let found: serde_json::Map<_, _> = all
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect();
    Ok(json!({ "Attributes": found }))
}

fn send(queues: &Queues, request: SendRequest) -> Result<Value, Refusal> {
    let queue = name_of(&request.queue_url).to_owned();
    let spec = queues.spec(&queue)?;
    let message = outgoing(request.message, &spec)?;
    let id = queues.send(&queue, &message)?;
    Ok(sent(&message, &id))
}

fn send_batch(queues: &Queues, batch: BatchRequest<SendEntry>, fail: usize) -> Result<Value, Refusal> {
    let queue = name_of(&batch.queue_url).to_owned();
    let spec = queues.spec(&queue)?;
    batch.check()?;
    let total: usize =
        batch.entries.iter().map(|entry| limits::size(&entry.message.message_body, &entry.message.attributes)).sum();
    if total > limits::MAX_BYTES {
        return Err(Refusal::sqs(
            "BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            "Batch requests cannot be longer than 1048576 bytes.",
        ));
    }
    let good = batch.entries.len().saturating_sub(fail);
    let mut failed = Vec::new();
    let mut accepted = Vec::new();
    for (at, entry) in batch.entries.into_iter().enumerate() {
        if at >= good {
            failed.push(broken(&entry.id));
            continue;
        }
        match outgoing(entry.message, &spec) {
            Ok(message) => accepted.push((entry.id, message)),
            Err(refusal) => failed.push(refused(&entry.id, &refusal)),
        }
    }
    let messages: Vec<Outgoing> = accepted.iter().map(|(_, message)| message.clone()).collect();
    let ids = queues.send_all(&queue, &messages)?;
    let successful: Vec<Value> = accepted
        .iter()
        .zip(&ids)
        .map(|((id, message), message_id)| {
            let mut entry = sent(message, message_id);
            entry["Id"] = json!(id);
            entry
        })
        .collect();
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

async fn receive(queues: &Queues, request: &ReceiveRequest) -> Result<Value, Refusal> {
    let queue = name_of(&request.queue_url);
    let spec = queues.spec(queue)?;
    let max = request.max_number_of_messages.unwrap_or(1);
    let max = usize::try_from(max).ok().filter(|max| (1..=limits::MAX_BATCH).contains(max)).ok_or_else(|| {
        invalid(&format!(
            "Value {max} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
        ))
    })?;
    let wait = match request.wait_time_seconds {
        None => spec.wait,
        Some(wait) => seconds_within(wait, limits::MAX_WAIT, "WaitTimeSeconds")?,
    };
    let timeout = request.visibility_timeout.map(visibility).transpose()?;
    let received = queues.receive(queue, max, wait, timeout).await?;
    if received.is_empty() {
        return Ok(json!({}));
    }
    let messages: Vec<Value> = received.iter().map(|message| wire::message(message, request)).collect();
    Ok(json!({ "Messages": messages }))
}

/// Runs a call for every entry of a batch; what is refused is reported entry by entry.
fn each<T: wire::Entry>(
    queues: &Queues,
    batch: &BatchRequest<T>,
    fail: usize,
    work: impl Fn(&str, &T) -> Result<(), Refusal>,
) -> Result<Value, Refusal> {
    let queue = name_of(&batch.queue_url);
    queues.spec(queue)?;
    batch.check()?;
    let good = batch.entries.len().saturating_sub(fail);
    let mut failed = Vec::new();
    let mut successful = Vec::new();
    for (at, entry) in batch.entries.iter().enumerate() {
        if at >= good {
            failed.push(broken(entry.id()));
            continue;
        }
        match work(queue, entry) {
            Ok(()) => successful.push(json!({ "Id": entry.id() })),
            Err(refusal) => failed.push(refused(entry.id(), &refusal)),
        }
    }
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

fn outgoing(message: wire::Message, spec: &QueueSpec) -> Result<Outgoing, Refusal> {
    let body = message.message_body;
    if body.is_empty() {
        return Err(Refusal::sqs(
            "MissingParameter",
            "MissingParameter",
            "The request must contain the parameter MessageBody.",
        ));
    }
    if let Some(character) = limits::invalid_character(&body) {
        return Err(Refusal::sqs(
            "InvalidMessageContents",
            "InvalidMessageContents",
            &format!(
                "Invalid binary character '#x{:X}' was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
                u32::from(character)
            ),
        ));
    }
    if let Some(reason) = limits::bad_attributes(&message.attributes) {
        return Err(invalid(&reason));
    }
    let longest = spec.max_bytes.min(limits::MAX_BYTES);
    if limits::size(&body, &message.attributes) > longest {
        return Err(invalid(&format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {longest} bytes."
        )));
    }
    let delay =
        message.delay_seconds.map(|delay| seconds_within(delay, limits::MAX_DELAY, "DelaySeconds")).transpose()?;
    let group = message.message_group_id.unwrap_or_default();
    if group.chars().count() > 128 || group.chars().any(|c| !c.is_ascii_graphic()) {
        return Err(invalid(
            "The request include invalid MessageGroupId: alphanumeric characters and punctuation, at most 128.",
        ));
    }
    let trace = message.system_attributes.get("AWSTraceHeader").and_then(|header| header.string.clone());
    Ok(Outgoing {
        body,
        delay,
        attributes: message.attributes,
        group: Some(group).filter(|group| !group.is_empty()),
        trace,
    })
}

fn sent(message: &Outgoing, id: &str) -> Value {
    let mut reply = json!({
        "MessageId": id,
        "MD5OfMessageBody": limits::md5_of_body(&message.body),
    });
    if let Some(digest) = limits::md5_of_attributes(&message.attributes) {
        reply["MD5OfMessageAttributes"] = json!(digest);
    }
    reply
}

fn refused(id: &str, refusal: &Refusal) -> Value {
    json!({
        "Id": id,
        "SenderFault": refusal.status.is_client_error(),
        "Code": refusal.query,
        "Message": refusal.message,
    })
}

fn broken(id: &str) -> Value {
    json!({
        "Id": id,
        "SenderFault": false,
        "Code": "InternalError",
        "Message": "We encountered an internal error. Please try again.",
    })
}

fn visibility(seconds: i64) -> Result<Duration, Refusal> {
    seconds_within(seconds, limits::MAX_VISIBILITY, "VisibilityTimeout")
}

fn seconds_within(seconds: i64, most: i64, name: &str) -> Result<Duration, Refusal> {
    u64::try_from(seconds).ok().filter(|_| seconds <= most).map(Duration::from_secs).ok_or_else(|| {
        invalid(&format!(
            "Value {seconds} for parameter {name} is invalid. Reason: Must be between 0 and {most}, if provided."
        ))
    })
}

fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::unreadable(&error))
}

fn url(host: &str, queue: &str) -> String {
    format!("http://{host}/{}/{queue}", super::ACCOUNT)
}

/// The queue a request names, for the faults.
pub(super) fn queue_of(body: &[u8]) -> Vec<String> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let url = request["QueueUrl"].as_str().map(name_of);
    let name = url.or(request["QueueName"].as_str());
    name.map(str::to_owned).into_iter().collect()
}

/// A queue's name from its URL; SQS does not look at the host either.
fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

pub(super) fn invalid(message: &str) -> Refusal {
    Refusal::sqs("InvalidParameterValueException", "InvalidParameterValue", message)
}

impl From<QueueError> for Refusal {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::NoQueue => Self::sqs(
                "QueueDoesNotExist",
                "AWS.SimpleQueueService.NonExistentQueue",
                "The specified queue does not exist.",
            ),
            QueueError::BadReceipt => {
                Self::sqs("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
            }
            QueueError::NoMessage => invalid(
                "Value for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.",
            ),
            QueueError::NotInFlight => Self::sqs(
                "MessageNotInflight",
                "AWS.SimpleQueueService.MessageNotInflight",
                "The specified message isn't in flight.",
            ),
            QueueError::Store(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "com.amazonaws.sqs#InternalFailure".to_owned(),
                "InternalFailure",
                "The local store failed.",
            ),
        }
    }
}
