//! What Lambda's event source mapping does between a queue and a function.
//!
//! Nothing here changes a message's visibility: a record that failed comes back when its timeout has run out, as on
//! AWS, and after its last receive goes to the dead-letter queue.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::aws::sqs::{Attribute, Attributes, Order, Queues, Received};
use crate::aws::{ACCOUNT, REGION};
use crate::closing::Closing;
use crate::faults::{Effect, Faults};
use crate::invocation::{InvokeError, Invoker, PAYLOAD_LIMIT};
use crate::template::QueueSource;

/// The longest a receive waits for a message. Only how often an idle poller looks around depends on it.
const LONG_POLL: Duration = Duration::from_secs(20);
/// How long a poller rests when its queue cannot be read, before it tries again.
const REST: Duration = Duration::from_millis(200);

/// Works off a queue with a function until the stack closes, then waits for the invocations that are under way.
///
/// Messages whose invocation is cut short stay in flight.
pub async fn run(queues: Queues, source: QueueSource, invoker: Invoker, faults: Faults, mut closing: Closing) {
    let source = Arc::new(source);
    let permits = Arc::new(Semaphore::new(usize::try_from(source.maximum_concurrency).unwrap_or(1)));
    // Lambda fills a batch from several receives, and waits for that as long as the window says; here it takes what is there at once.
    let most = usize::try_from(source.batch_size).unwrap_or(1).max(1);
    let mut batches = JoinSet::new();
    loop {
        let received = tokio::select! {
            biased;
            () = closing.closed() => break,
            Some(_) = batches.join_next() => continue,
            received = receive(&permits, &queues, &faults, &source.queue, most) => received,
        };
        let Some((permit, messages)) = received else { continue };
        for batch in split(messages, &source.queue) {
            let happens = faults.on_receive(&source.queue, &[Effect::Duplicate, Effect::KeepRecords]);
            let (queues, source, invoker, permit) =
                (queues.clone(), Arc::clone(&source), invoker.clone(), Arc::clone(&permit));
            batches.spawn(async move {
                let keep = happens == Some(Effect::KeepRecords);
                if happens == Some(Effect::Duplicate) {
                    tokio::join!(
                        work_off(&queues, &source, &invoker, &batch, keep),
                        work_off(&queues, &source, &invoker, &batch, keep)
                    );
                } else {
                    work_off(&queues, &source, &invoker, &batch, keep).await;
                }
                queues.give_back(batch.len());
                drop(permit);
            });
        }
    }
    while batches.join_next().await.is_some() {}
}

/// Waits for a free invocation first, so that nothing is received that would lie around invisible.
async fn receive(
    permits: &Arc<Semaphore>,
    queues: &Queues,
    faults: &Faults,
    queue: &str,
    most: usize,
) -> Option<(Arc<tokio::sync::OwnedSemaphorePermit>, Vec<Received>)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    let order = || match faults.on_receive(queue, &[Effect::Reverse]) {
        Some(_) => Order::Reverse,
        None => Order::Forward,
    };
    match queues.receive_to_work(queue, most, LONG_POLL, order).await {
        Ok(messages) if messages.is_empty() => None,
        Ok(messages) => Some((Arc::new(permit), messages)),
        Err(error) => {
            tracing::warn!(queue, error = &error as &dyn std::error::Error, "a queue cannot be read");
            tokio::time::sleep(REST).await;
            None
        }
    }
}

/// Invokes the function with one batch and deletes what it worked off, unless it is to `keep` everything.
async fn work_off(queues: &Queues, source: &QueueSource, invoker: &Invoker, batch: &[Received], keep: bool) {
    let result = match event(batch, &source.queue) {
        Ok(event) => invoker.invoke(event).await,
        Err(_) => Err(InvokeError::Failed),
    };
    let failed = match &result {
        Ok(answer) if source.reports_failures => failures(answer, batch),
        Ok(_) => Failures::Some(HashSet::new()),
        Err(error) => {
            tracing::warn!(
                queue = source.queue,
                records = batch.len(),
                error = error as &dyn std::error::Error,
                "a batch failed"
            );
            Failures::All
        }
    };
    let Failures::Some(failed) = failed else { return };
    for message in batch {
        if keep || failed.contains(&message.message_id) {
            continue;
        }
        if let Err(error) = queues.delete(&source.queue, &message.receipt) {
            tracing::warn!(
                queue = source.queue,
                error = &error as &dyn std::error::Error,
                "a record that was worked off cannot be deleted"
            );
        }
    }
}

/// The records that the function did not work off.
#[derive(Debug, PartialEq, Eq)]
enum Failures {
    All,
    Some(HashSet<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchResponse {
    #[serde(default)]
    batch_item_failures: Option<Vec<ItemFailure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: Option<String>,
}

/// Reads a partial batch response. No answer, `null` and an empty list are a success; what cannot be read, an
/// identifier that is missing or is none of the batch's fails the whole batch (Lambda developer guide, "Handling
/// errors for an SQS event source").
fn failures(answer: &Bytes, batch: &[Received]) -> Failures {
    if answer.is_empty() {
        return Failures::Some(HashSet::new());
    }
    let Ok(response) = serde_json::from_slice::<Option<BatchResponse>>(answer) else { return Failures::All };
    let mut failed = HashSet::new();
    for item in response.and_then(|response| response.batch_item_failures).unwrap_or_default() {
        match item.item_identifier {
            Some(id) if batch.iter().any(|message| message.message_id == id) => failed.insert(id),
            Some(_) | None => return Failures::All,
        };
    }
    Failures::Some(failed)
}

#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "Records")]
    records: Vec<Record<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    message_id: &'a str,
    receipt_handle: &'a str,
    body: &'a str,
    attributes: BTreeMap<&'static str, String>,
    message_attributes: BTreeMap<&'a str, MessageAttribute<'a>>,
    event_source: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: String,
    aws_region: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageAttribute<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<&'a str>,
    string_list_values: [&'static str; 0],
    binary_list_values: [&'static str; 0],
    data_type: &'a str,
}

fn record<'a>(message: &'a Received, queue: &str) -> Record<'a> {
    let mut attributes = BTreeMap::from([
        ("ApproximateReceiveCount", message.receives.to_string()),
        ("SentTimestamp", message.sent_ms.to_string()),
        ("ApproximateFirstReceiveTimestamp", message.first_received_ms.to_string()),
        ("SenderId", ACCOUNT.to_owned()),
    ]);
    if let Some(group) = &message.group {
        attributes.insert("MessageGroupId", group.clone());
    }
    if let Some(trace) = &message.trace {
        attributes.insert("AWSTraceHeader", trace.clone());
    }
    Record {
        message_id: &message.message_id,
        receipt_handle: &message.receipt,
        body: &message.body,
        attributes,
        message_attributes: message_attributes(&message.attributes),
        event_source: "aws:sqs",
        event_source_arn: format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"),
        aws_region: REGION,
    }
}

fn message_attributes(attributes: &Attributes) -> BTreeMap<&str, MessageAttribute<'_>> {
    attributes
        .iter()
        .map(|(name, attribute)| {
            let Attribute { data_type, string, binary } = attribute;
            let attribute = MessageAttribute {
                string_value: string.as_deref(),
                binary_value: binary.as_deref(),
                string_list_values: [],
                binary_list_values: [],
                data_type,
            };
            (name.as_str(), attribute)
        })
        .collect()
}

fn event(batch: &[Received], queue: &str) -> Result<Bytes, serde_json::Error> {
    let records = batch.iter().map(|message| record(message, queue)).collect();
    Ok(serde_json::to_vec(&Event { records })?.into())
}

/// Cuts what was received into batches that fit into one event: ten messages of a mebibyte do not.
fn split(messages: Vec<Received>, queue: &str) -> Vec<Vec<Received>> {
    // `{"Records":[]}`, and a comma for each record.
    let mut room = 0;
    let mut batches: Vec<Vec<Received>> = Vec::new();
    for message in messages {
        let size = 1 + serde_json::to_vec(&record(&message, queue)).map_or(0, |json| json.len());
        match batches.last_mut() {
            Some(batch) if size <= room => {
                room -= size;
                batch.push(message);
            }
            Some(_) | None => {
                room = (PAYLOAD_LIMIT - 14).saturating_sub(size);
                batches.push(vec![message]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::aws::sqs::{Delayed, Outgoing, QueueSpec, Redrive};
    use crate::closing::closer;
    use crate::faults::{Rule, Target};
    use crate::store::Store;
    use aws_lambda_events::event::sqs::SqsEvent;
    use serde_json::json;
    use std::sync::Mutex;

    fn received(id: &str, body: &str) -> Received {
        Received {
            message_id: id.to_owned(),
            receipt: format!("r-{id}"),
            body: body.to_owned(),
            attributes: Attributes::new(),
            sent_ms: 1,
            first_received_ms: 2,
            receives: 3,
            group: Some("demo".to_owned()),
            trace: None,
        }
    }

    fn queues() -> Queues {
        let queues = Queues::new(Store::memory().unwrap()).unwrap();
        queues.ensure(&QueueSpec::new("dead")).unwrap();
        let mut spec = QueueSpec::new("work");
        spec.redrive = Some(Redrive { queue: "dead".to_owned(), max_receives: 2 });
        queues.ensure(&spec).unwrap();
        queues
    }

    fn source(maximum_concurrency: u32) -> QueueSource {
        QueueSource {
            queue: "work".to_owned(),
            batch_size: 10,
            window: Duration::ZERO,
            maximum_concurrency,
            reports_failures: true,
        }
    }

    fn send(queues: &Queues, bodies: &[&str]) -> Vec<String> {
        let messages: Vec<_> =
            bodies.iter().map(|body| Outgoing { body: (*body).to_owned(), ..Outgoing::default() }).collect();
        queues.send_all("work", &messages).unwrap()
    }

    /// A function that notes the bodies of every batch and fails the records whose body is `bad`.
    fn noting(seen: &Arc<Mutex<Vec<Vec<String>>>>) -> Invoker {
        let seen = Arc::clone(seen);
        Invoker::stub(move |event| {
            let event: SqsEvent = serde_json::from_slice(&event).unwrap();
            let bodies: Vec<_> = event.records.iter().map(|record| record.body.clone().unwrap()).collect();
            let failures: Vec<_> = event
                .records
                .iter()
                .filter(|record| record.body.as_deref() == Some("bad"))
                .map(|record| json!({ "itemIdentifier": record.message_id }))
                .collect();
            seen.lock().unwrap().push(bodies);
            Ok(serde_json::to_vec(&json!({ "batchItemFailures": failures })).unwrap().into())
        })
    }

    #[test]
    fn the_event_reads_as_the_runtime_reads_it() {
        let mut message = received("1", "{}");
        let attribute = Attribute { data_type: "String".to_owned(), string: Some("x".to_owned()), binary: None };
        message.attributes.insert("a".to_owned(), attribute);
        let event: SqsEvent = serde_json::from_slice(&event(&[message], "work").unwrap()).unwrap();
        let record = &event.records[0];
        assert_eq!(record.body.as_deref(), Some("{}"));
        assert_eq!(record.attributes["ApproximateReceiveCount"], "3");
        assert_eq!(record.attributes["SentTimestamp"], "1");
        assert_eq!(record.attributes["MessageGroupId"], "demo");
        assert_eq!(record.message_attributes["a"].string_value.as_deref(), Some("x"));
        assert_eq!(record.event_source_arn.as_deref(), Some("arn:aws:sqs:us-east-1:000000000000:work"));
    }

    #[test]
    fn a_partial_response_fails_its_records_and_a_wrong_one_the_batch() {
        let batch = [received("1", ""), received("2", "")];
        let read = |answer: &str| failures(&Bytes::copy_from_slice(answer.as_bytes()), &batch);
        let none = Failures::Some(HashSet::new());
        for success in ["", "null", "{}", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#] {
            assert_eq!(read(success), none, "{success}");
        }
        assert_eq!(
            read(r#"{"batchItemFailures":[{"itemIdentifier":"2"}]}"#),
            Failures::Some(HashSet::from(["2".to_owned()]))
        );
        for whole in [
            "oops",
            r#"{"batchItemFailures":[{"itemIdentifier":"3"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{}]}"#,
        ] {
            assert_eq!(read(whole), Failures::All, "{whole}");
        }
    }

    #[test]
    fn ten_messages_of_a_mebibyte_are_two_events() {
        let body = "x".repeat(1_000_000);
        let batches = split((0..10).map(|id| received(&id.to_string(), &body)).collect(), "work");
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [6, 4]);
        for batch in batches {
            assert!(event(&batch, "work").unwrap().len() <= PAYLOAD_LIMIT);
        }
    }

    #[tokio::test]
    async fn what_is_worked_off_is_deleted_and_what_failed_ends_in_the_dead_letter_queue() {
        let queues = queues();
        let seen = Arc::default();
        let (closer, closing) = closer();
        let poller = tokio::spawn(run(queues.clone(), source(2), noting(&seen), Faults::default(), closing));
        send(&queues, &["good", "bad"]);
        // Each time the queue's own visibility timeout is let pass; on the third receive the message is moved.
        while queues.depth("dead").unwrap().visible == 0 {
            queues.advance(Duration::from_secs(30)).unwrap();
            tokio::task::yield_now().await;
        }
        queues.wait_until_empty(&["work"], Delayed::Counted).await.unwrap();
        closer.close();
        poller.await.unwrap();
        let bodies: Vec<_> = seen.lock().unwrap().concat();
        assert_eq!(bodies.iter().filter(|body| *body == "good").count(), 1);
        assert_eq!(bodies.iter().filter(|body| *body == "bad").count(), 2);
    }

    /// What a function sees of one message when this happens to each receive, until the queue is quiet.
    async fn seen_when(effect: Effect) -> usize {
        let queues = queues();
        let seen = Arc::default();
        let faults = Faults::default();
        faults.add(Rule::new(Target::Mapping, effect).table("work")).unwrap();
        let (closer, closing) = closer();
        queues.pause("work", true);
        let poller = tokio::spawn(run(queues.clone(), source(2), noting(&seen), faults, closing));
        send(&queues, &["good"]);
        queues.wait_until_quiet(&["work"]).await.unwrap();
        assert_eq!(seen.lock().unwrap().len(), 0, "a paused queue is quiet and gives nothing");
        queues.pause("work", false);
        queues.wait_until_quiet(&["work"]).await.unwrap();
        closer.close();
        poller.await.unwrap();
        let bodies: Vec<String> = seen.lock().unwrap().concat();
        bodies.len() + 10 * usize::try_from(queues.depth("work").unwrap().in_flight).unwrap()
    }

    #[tokio::test]
    async fn a_record_is_handed_out_twice_at_once_or_kept_where_it_is() {
        assert_eq!(seen_when(Effect::Duplicate).await, 2);
        assert_eq!(seen_when(Effect::KeepRecords).await, 11, "it was worked off, and is in flight still");
    }

    #[tokio::test]
    async fn a_queue_is_not_empty_before_the_slower_of_two_invocations_is_done() {
        let queues = queues();
        send(&queues, &["good"]);
        let taken = queues.receive_to_work("work", 1, Duration::ZERO, || Order::Forward).await.unwrap();
        // The faster one.
        queues.delete("work", &taken[0].receipt).unwrap();
        let waiting = queues.clone();
        let empty = tokio::spawn(async move { waiting.wait_until_empty(&["work"], Delayed::Counted).await });
        tokio::task::yield_now().await;
        assert!(!empty.is_finished());
        queues.give_back(1);
        assert_eq!(empty.await.unwrap().unwrap(), 0);
    }

    #[tokio::test]
    async fn who_waits_for_quiet_hears_that_a_queue_is_paused() {
        let queues = queues();
        send(&queues, &["good"]);
        let waiting = queues.clone();
        let quiet = tokio::spawn(async move { waiting.wait_until_quiet(&["work"]).await });
        tokio::task::yield_now().await;
        assert!(!quiet.is_finished());
        queues.pause("work", true);
        quiet.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn records_come_in_reverse_order() {
        let queues = queues();
        let seen = Arc::default();
        let faults = Faults::default();
        faults.add(Rule::new(Target::Mapping, Effect::Reverse)).unwrap();
        send(&queues, &["1"]);
        send(&queues, &["2"]);
        queues.advance(Duration::from_secs(1)).unwrap();
        send(&queues, &["3"]);
        let (closer, closing) = closer();
        let source = QueueSource { batch_size: 1, ..source(1) };
        let poller = tokio::spawn(run(queues.clone(), source, noting(&seen), faults, closing));
        queues.wait_until_quiet(&["work"]).await.unwrap();
        closer.close();
        poller.await.unwrap();
        assert_eq!(seen.lock().unwrap().concat(), ["3", "2", "1"]);
    }

    #[tokio::test]
    async fn no_more_invocations_run_at_once_than_the_mapping_allows() {
        let queues = queues();
        let (closer, closing) = closer();
        let poller = tokio::spawn(run(queues.clone(), source(2), Invoker::stuck(), Faults::default(), closing));
        send(&queues, &["1"; 25]);
        while queues.depth("work").unwrap().in_flight < 20 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(queues.depth("work").unwrap().in_flight, 20);
        closer.close();
        poller.abort();
    }
}
