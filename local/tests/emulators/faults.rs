//! Faults of the AWS endpoint as clients meet them, and requests that are no client's.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use pushbell_local::faults::{Effect, Rule, Target};

use crate::fcm::http;
use crate::stack::{Stack, code};

async fn queue(stack: &Stack) -> String {
    stack.sqs().create_queue().queue_name("work").send().await.unwrap().queue_url.unwrap()
}

#[tokio::test]
async fn sqs_fails_in_its_own_words() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&stack).await;
    for (effect, expected, kept) in [
        (Effect::Throttle, "RequestThrottled", 0),
        (Effect::Error500, "InternalFailure", 0),
        (Effect::Error503, "ServiceUnavailable", 0),
        (Effect::Refuse, "AccessDenied", 0),
        (Effect::Cut, "no service error", 0),
        (Effect::LoseAnswer, "no service error", 1),
        (Effect::LoseAnswer500, "InternalFailure", 2),
    ] {
        let rule = Rule::new(Target::Sqs, effect).table("work").action("SendMessage").times(1);
        let id = stack.faults.add(rule).unwrap();
        let error = client.send_message().queue_url(&url).message_body("x").send().await.unwrap_err();
        assert_eq!(code(&error), expected);
        assert_eq!(stack.queues.depth("work").unwrap().visible, kept);
        assert_eq!(stack.faults.fired(id), 1);
    }
    client.send_message().queue_url(&url).message_body("x").send().await.unwrap();
}

#[tokio::test]
async fn the_last_entries_of_a_batch_fail_and_are_not_kept() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&stack).await;
    stack.faults.add(Rule::new(Target::Sqs, Effect::FailEntries { n: 2 }).times(1)).unwrap();
    let entries = ["a", "b", "c"]
        .into_iter()
        .map(|id| SendMessageBatchRequestEntry::builder().id(id).message_body(id).build().unwrap())
        .collect();
    let sent = client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await.unwrap();
    assert_eq!(sent.successful().iter().map(|entry| entry.id()).collect::<Vec<_>>(), ["a"]);
    let failed: Vec<_> = sent.failed().iter().map(|entry| (entry.id(), entry.sender_fault())).collect();
    assert_eq!(failed, [("b", false), ("c", false)]);
    assert_eq!(stack.queues.depth("work").unwrap().visible, 1);
}

#[tokio::test]
async fn a_call_hangs_until_the_rules_are_cleared() {
    let stack = Stack::start().await;
    let client = stack.sqs();
    let url = queue(&stack).await;
    let id = stack.faults.add(Rule::new(Target::Sqs, Effect::Hang)).unwrap();
    let call = tokio::spawn(client.send_message().queue_url(&url).message_body("x").send());
    while stack.faults.fired(id) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished());
    stack.faults.clear();
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_is_delayed() {
    let stack = Stack::start().await;
    stack.faults.add(Rule::new(Target::Sqs, Effect::Delay { ms: 200 })).unwrap();
    let begun = Instant::now();
    queue(&stack).await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_request_without_a_signature_or_with_an_unknown_action_is_refused_in_the_service_s_shape() {
    let stack = Stack::start().await;
    let http = http(false);
    let signed = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/x/aws4_request, SignedHeaders=host, Signature=0";
    for (kind, target, body, auth, status, text) in [
        ("application/x-amz-json-1.0", "AmazonSQS.ListQueues", "{}", "", 403, "MissingAuthenticationToken"),
        ("application/x-amz-json-1.0", "AmazonSQS.Fly", "{}", signed, 400, "UnknownOperationException"),
        ("application/x-amz-json-1.0", "AmazonSQS.SendMessage", "{", signed, 400, "SerializationException"),
        ("application/x-amz-json-1.0", "DynamoDB_20120810.Fly", "{}", signed, 400, "UnknownOperationException"),
        ("application/x-amz-json-1.1", "secretsmanager.Fly", "{}", signed, 400, "UnknownOperationException"),
        ("application/x-www-form-urlencoded", "", "Action=Fly", signed, 400, "<Code>InvalidAction</Code>"),
        ("application/x-www-form-urlencoded", "", "Action=Publish", "", 403, "<Code>MissingAuthenticationToken</Code>"),
        ("application/x-amz-json-1.0", "Other.Call", "{}", signed, 404, ""),
    ] {
        let mut request = Request::post(format!("http://{}/", stack.address)).header("content-type", kind);
        if !target.is_empty() {
            request = request.header("x-amz-target", target);
        }
        if !auth.is_empty() {
            request = request.header("authorization", auth).header("x-amz-date", "20260101T000000Z");
        }
        let reply = http.request(request.body(Full::from(body)).unwrap()).await.unwrap();
        assert_eq!(reply.status(), StatusCode::from_u16(status).unwrap(), "{target} {body}");
        let answer = reply.into_body().collect().await.unwrap().to_bytes();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains(text), "{answer}");
    }
}
