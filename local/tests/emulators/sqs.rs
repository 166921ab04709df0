//! SQS, through its SDK client.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
    MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use pushbell_local::aws::sqs::{Delayed, Outgoing, QueueSpec, Queues, Redrive};
use pushbell_local::store::Store;

use crate::stack::{Stack, code};

async fn queue(client: &Client, name: &str) -> String {
    client.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap()
}

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

async fn count(client: &Client, url: &str, name: QueueAttributeName) -> String {
    let found = client.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await.unwrap();
    found.attributes.unwrap().remove(&name).unwrap()
}

#[tokio::test]
async fn a_message_comes_with_what_was_sent_and_is_gone_once_deleted() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&client, "work").await;
    let attribute =
        |value: &str| MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap();
    let trace = MessageSystemAttributeValue::builder().data_type("String").string_value("Root=1-2").build().unwrap();
    let sent = client
        .send_message()
        .queue_url(&url)
        .message_body("hello")
        .message_group_id("demo")
        .message_attributes("kind", attribute("chunk"))
        .message_attributes("other", attribute("x"))
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("5d41402abc4b2a76b9719d911017c592"));

    let received = client
        .receive_message()
        .queue_url(&url)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("kind")
        .send()
        .await
        .unwrap();
    let message = &received.messages()[0];
    assert_eq!(message.body(), Some("hello"));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.message_attributes().unwrap().len(), 1);
    let attributes = message.attributes().unwrap();
    let value = |name| attributes.get(&name).map(String::as_str);
    assert_eq!(value(MessageSystemAttributeName::MessageGroupId), Some("demo"));
    assert_eq!(value(MessageSystemAttributeName::AwsTraceHeader), Some("Root=1-2"));
    assert_eq!(value(MessageSystemAttributeName::ApproximateReceiveCount), Some("1"));
    let first = value(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp).unwrap();
    let sent_at = value(MessageSystemAttributeName::SentTimestamp).unwrap();
    assert!(sent_at.len() == 13 && first.parse::<i64>().unwrap() >= sent_at.parse().unwrap());

    assert_eq!(count(&client, &url, QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "1");
    client.delete_message().queue_url(&url).receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    assert_eq!(count(&client, &url, QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "0");
}

/// Digests computed outside of this code, after the developer guide's rules.
#[tokio::test]
async fn the_digest_of_the_attributes_is_that_of_aws() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&client, "work").await;
    let text = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
    let sent =
        client.send_message().queue_url(&url).message_body("b").message_attributes("k", text).send().await.unwrap();
    assert_eq!(sent.md5_of_message_attributes(), Some("0a77b0642718c3d9dd47090567d11e0d"));
}

#[tokio::test]
async fn a_batch_takes_ten_entries_and_a_mebibyte() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&client, "work").await;
    let batch = |entries: Vec<_>| client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send();

    let ten = batch((0..10).map(|n| entry(&n.to_string(), "x")).collect()).await.unwrap();
    assert_eq!(ten.successful().len(), 10);
    let error = batch((0..11).map(|n| entry(&n.to_string(), "x")).collect()).await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_too_many_entries_in_batch_request());
    let error = batch(vec![]).await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_empty_batch_request());
    let error = batch(vec![entry("a", "x"), entry("a", "y")]).await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_batch_entry_ids_not_distinct());
    let error = batch(vec![entry("a b", "x")]).await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_invalid_batch_entry_id());

    let half = "x".repeat(524_288);
    let full = batch(vec![entry("a", &half), entry("b", &half)]).await.unwrap();
    assert_eq!(full.successful().len(), 2);
    let over = format!("{half}y");
    let error = batch(vec![entry("a", &half), entry("b", &over)]).await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_batch_request_too_long());
}

#[tokio::test]
async fn a_bad_entry_fails_alone() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&client, "work").await;
    let late = SendMessageBatchRequestEntry::builder().id("late").message_body("x").delay_seconds(901).build().unwrap();
    let sent = client
        .send_message_batch()
        .queue_url(&url)
        .entries(entry("good", "x"))
        .entries(entry("bad", "a\u{1}b"))
        .entries(late)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.successful().len(), 1);
    let failed: Vec<_> = sent.failed().iter().map(|entry| (entry.id(), entry.code(), entry.sender_fault())).collect();
    assert_eq!(failed, [("bad", "InvalidMessageContents", true), ("late", "InvalidParameterValue", true)]);
    assert_eq!(stack.queues.depth("work").unwrap().visible, 1);
}

#[tokio::test]
async fn a_message_takes_a_mebibyte_of_valid_characters_and_a_delay_of_fifteen_minutes() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&client, "work").await;
    let send =
        |body: String, delay: i32| client.send_message().queue_url(&url).message_body(body).delay_seconds(delay).send();
    send("x".repeat(1_048_576), 900).await.unwrap();
    let error = send("x".repeat(1_048_577), 0).await.unwrap_err();
    assert_eq!(code(&error), "InvalidParameterValue");
    let error = send("x".into(), 901).await.unwrap_err();
    assert_eq!(code(&error), "InvalidParameterValue");
    let error = send("\u{0}".into(), 0).await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_invalid_message_contents());
    let error = client.send_message().queue_url("http://x/1/none").message_body("x").send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_queue_does_not_exist());
}

#[tokio::test]
async fn a_receive_takes_one_to_ten_and_waits_no_longer_than_twenty_seconds() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&client, "work").await;
    for _ in 0..2 {
        let entries = (0..10).map(|n| entry(&n.to_string(), "x")).collect();
        client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await.unwrap();
    }
    let receive = |max: i32, wait: i32| {
        client.receive_message().queue_url(&url).max_number_of_messages(max).wait_time_seconds(wait).send()
    };
    assert_eq!(receive(10, 0).await.unwrap().messages().len(), 10);
    for (max, wait) in [(0, 0), (11, 0), (1, 21)] {
        let error = receive(max, wait).await.unwrap_err();
        assert_eq!(code(&error), "InvalidParameterValue", "{max} {wait}");
    }
}

#[tokio::test]
async fn a_waiting_receive_is_woken_by_a_message() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&client, "work").await;
    let waiting = {
        let (client, url) = (client.clone(), url.clone());
        tokio::spawn(async move { client.receive_message().queue_url(url).wait_time_seconds(15).send().await })
    };
    client.send_message().queue_url(&url).message_body("x").send().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().messages().len(), 1);
    // And not at its end, which is in an hour here.
    let queues = queues(QueueSpec::new("work"));
    let long = queues.clone();
    let waiting = tokio::spawn(async move { long.receive("work", 1, Duration::from_secs(3_600), None).await });
    tokio::task::yield_now().await;
    queues.send("work", &body("x")).unwrap();
    let woken = tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
    assert_eq!(woken.unwrap().unwrap().len(), 1);
}

fn queues(spec: QueueSpec) -> Queues {
    let queues = Queues::new(Store::memory().unwrap()).unwrap();
    queues.ensure(&spec).unwrap();
    queues
}

fn body(text: &str) -> Outgoing {
    Outgoing { body: text.to_owned(), ..Outgoing::default() }
}

async fn take(queues: &Queues, queue: &str) -> Option<pushbell_local::aws::sqs::Received> {
    queues.receive(queue, 1, Duration::ZERO, None).await.unwrap().pop()
}

#[tokio::test]
async fn a_delayed_message_comes_when_its_time_has_come() {
    let queues = queues(QueueSpec::new("work"));
    let delayed = Outgoing { delay: Some(Duration::from_secs(900)), ..body("later") };
    queues.send("work", &delayed).unwrap();
    assert!(take(&queues, "work").await.is_none());
    assert_eq!(queues.depth("work").unwrap().delayed, 1);
    queues.advance(Duration::from_secs(899)).unwrap();
    assert!(take(&queues, "work").await.is_none());
    let waiting = {
        let queues = queues.clone();
        tokio::spawn(async move { queues.receive("work", 1, Duration::from_secs(20), None).await.unwrap() })
    };
    tokio::task::yield_now().await;
    queues.advance_delayed(Duration::from_secs(1)).unwrap();
    assert_eq!(waiting.await.unwrap()[0].body, "later");
}

#[tokio::test]
async fn a_message_that_nobody_deleted_comes_again_under_a_new_handle() {
    let queues = queues(QueueSpec::new("work"));
    queues.send("work", &body("x")).unwrap();
    let first = take(&queues, "work").await.unwrap();
    assert!(take(&queues, "work").await.is_none());
    queues.advance(Duration::from_secs(30)).unwrap();
    let second = take(&queues, "work").await.unwrap();
    assert_eq!(second.receives, 2);
    assert_eq!(second.message_id, first.message_id);
    assert_eq!(second.first_received_ms, first.first_received_ms);
    // The older handle succeeds and deletes nothing.
    queues.delete("work", &first.receipt).unwrap();
    assert_eq!(queues.depth("work").unwrap().in_flight, 1);
    queues.delete("work", &second.receipt).unwrap();
    assert_eq!(queues.depth("work").unwrap(), Default::default());
}

#[tokio::test]
async fn a_message_made_visible_comes_at_once() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&client, "work").await;
    client.send_message().queue_url(&url).message_body("x").send().await.unwrap();
    let receive = || client.receive_message().queue_url(&url).send();
    let first = receive().await.unwrap().messages.unwrap().remove(0);
    let handle = first.receipt_handle.unwrap();
    let change = |seconds: i32| {
        client.change_message_visibility().queue_url(&url).receipt_handle(&handle).visibility_timeout(seconds).send()
    };
    assert_eq!(code(&change(43_201).await.unwrap_err()), "InvalidParameterValue");
    change(0).await.unwrap();
    assert!(change(10).await.unwrap_err().as_service_error().unwrap().is_message_not_inflight());
    assert_eq!(receive().await.unwrap().messages().len(), 1);
    assert_eq!(code(&change(10).await.unwrap_err()), "InvalidParameterValue");
    let bad = client.delete_message().queue_url(&url).receipt_handle("nonsense").send().await.unwrap_err();
    assert!(bad.as_service_error().unwrap().is_receipt_handle_is_invalid());
}

#[tokio::test]
async fn a_message_goes_to_the_dead_letter_queue_instead_of_one_receive_too_many() {
    let redrive = Redrive { queue: "dead".to_owned(), max_receives: 2 };
    let queues = queues(QueueSpec { redrive: Some(redrive), ..QueueSpec::new("work") });
    queues.ensure(&QueueSpec::new("dead")).unwrap();
    queues.send("work", &body("poison")).unwrap();
    let mut sent = 0;
    for receive in 1..=2 {
        let message = take(&queues, "work").await.unwrap();
        assert_eq!(message.receives, receive);
        sent = message.sent_ms;
        queues.change_visibility("work", &message.receipt, Duration::ZERO).unwrap();
        assert_eq!(queues.depth("dead").unwrap().visible, 0);
    }
    assert!(take(&queues, "work").await.is_none());
    assert_eq!(queues.depth("work").unwrap(), Default::default());
    let dead = take(&queues, "dead").await.unwrap();
    assert_eq!((dead.body.as_str(), dead.sent_ms), ("poison", sent));
}

#[tokio::test]
async fn the_redrive_policy_is_that_of_the_queue_s_attributes() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    queue(&client, "dead").await;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"3"}"#;
    let url = client
        .create_queue()
        .queue_name("work")
        .attributes(QueueAttributeName::RedrivePolicy, policy)
        .attributes(QueueAttributeName::VisibilityTimeout, "180")
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    let spec = stack.queues.spec("work").unwrap();
    assert_eq!(spec.redrive, Some(Redrive { queue: "dead".to_owned(), max_receives: 3 }));
    assert_eq!(spec.visibility, Duration::from_secs(180));
    assert_eq!(count(&client, &url, QueueAttributeName::VisibilityTimeout).await, "180");
    let error = client.create_queue().queue_name("work").send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_queue_name_exists());
    assert_eq!(client.get_queue_url().queue_name("work").send().await.unwrap().queue_url.unwrap(), url);
}

#[tokio::test]
async fn a_message_is_dropped_when_its_retention_is_over() {
    let queues = queues(QueueSpec { retention: Duration::from_secs(60), ..QueueSpec::new("work") });
    queues.send("work", &body("old")).unwrap();
    queues.advance(Duration::from_secs(60)).unwrap();
    queues.send("work", &body("new")).unwrap();
    assert_eq!(take(&queues, "work").await.unwrap().body, "new");
    assert!(take(&queues, "work").await.is_none());
}

#[tokio::test]
async fn a_busy_group_does_not_hold_up_another() {
    let queues = queues(QueueSpec::new("work"));
    let of = |group: &str| Outgoing { group: Some(group.to_owned()), ..body("x") };
    for _ in 0..20 {
        queues.send("work", &of("noisy")).unwrap();
    }
    queues.send("work", &of("quiet")).unwrap();
    let batch = queues.receive("work", 2, Duration::ZERO, None).await.unwrap();
    let groups: Vec<_> = batch.iter().filter_map(|message| message.group.as_deref()).collect();
    assert_eq!(groups, ["noisy", "quiet"]);
}

#[tokio::test]
async fn a_wait_for_an_empty_queue_ends_with_the_last_delete() {
    let queues = queues(QueueSpec::new("work"));
    let delayed = Outgoing { delay: Some(Duration::from_secs(600)), ..body("later") };
    queues.send("work", &delayed).unwrap();
    queues.send("work", &body("now")).unwrap();
    let message = take(&queues, "work").await.unwrap();
    let wait = |delayed| {
        let queues = queues.clone();
        async move { queues.wait_until_empty(&["work"], delayed).await.unwrap() }
    };
    let ignoring = tokio::spawn(wait(Delayed::Ignored));
    tokio::task::yield_now().await;
    assert!(!ignoring.is_finished());
    queues.delete("work", &message.receipt).unwrap();
    assert_eq!(ignoring.await.unwrap(), 1, "one is not due yet");
    let counting = tokio::spawn(wait(Delayed::Counted));
    tokio::task::yield_now().await;
    assert!(!counting.is_finished());
    queues.purge("work").unwrap();
    assert_eq!(counting.await.unwrap(), 0);
}

#[tokio::test]
async fn messages_survive_the_end_of_the_process_and_those_in_flight_can_be_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store");
    let before = Queues::new(Store::open(&file).unwrap()).unwrap();
    before.ensure(&QueueSpec::new("work")).unwrap();
    before.send("work", &body("kept")).unwrap();
    take(&before, "work").await.unwrap();
    let after = Queues::new(Store::open(&file).unwrap()).unwrap();
    assert!(take(&after, "work").await.is_none());
    after.release_in_flight().unwrap();
    assert_eq!(take(&after, "work").await.unwrap().body, "kept");
}

#[tokio::test]
async fn a_delete_batch_names_what_failed() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&client, "work").await;
    client.send_message().queue_url(&url).message_body("x").send().await.unwrap();
    let received = client.receive_message().queue_url(&url).send().await.unwrap();
    let handle = received.messages()[0].receipt_handle().unwrap();
    let entry = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let deleted = client
        .delete_message_batch()
        .queue_url(&url)
        .entries(entry("a", handle))
        .entries(entry("b", "nonsense"))
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.successful()[0].id(), "a");
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert_eq!(stack.queues.depth("work").unwrap(), Default::default());
    client.send_message().queue_url(&url).message_body("x").send().await.unwrap();
    client.purge_queue().queue_url(&url).send().await.unwrap();
    assert_eq!(count(&client, &url, QueueAttributeName::ApproximateNumberOfMessages).await, "0");
}

#[tokio::test]
async fn what_was_only_looked_at_is_visible_again_at_once_and_counts_its_receives() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&client, "letters").await;
    for body in ["a", "b"] {
        client.send_message().queue_url(&url).message_body(body).message_group_id("demo").send().await.unwrap();
    }
    let receive = || {
        client
            .receive_message()
            .queue_url(&url)
            .max_number_of_messages(10)
            .visibility_timeout(60)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
    };
    for times in ["1", "2"] {
        let messages = receive().await.unwrap().messages.unwrap();
        assert_eq!(messages.len(), 2);
        assert_eq!(receive().await.unwrap().messages, None, "they are hidden meanwhile");
        let mut give_back = client.change_message_visibility_batch().queue_url(&url);
        for (id, message) in messages.iter().enumerate() {
            let attributes = message.attributes().unwrap();
            assert_eq!(attributes[&MessageSystemAttributeName::ApproximateReceiveCount], times);
            assert_eq!(attributes[&MessageSystemAttributeName::MessageGroupId], "demo");
            let handle = message.receipt_handle().unwrap();
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id.to_string()).receipt_handle(handle);
            give_back = give_back.entries(entry.visibility_timeout(0).build().unwrap());
        }
        assert_eq!(give_back.send().await.unwrap().successful().len(), 2);
    }
}
