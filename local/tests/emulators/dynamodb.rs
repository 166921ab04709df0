//! DynamoDB, through its SDK client.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, ReturnValue, TransactWriteItem, Update, WriteRequest};
use pushbell_local::faults::{Effect, Rule, Target};

use crate::stack::{Stack, code};

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

async fn add(client: &Client, table: &str) -> Result<String, String> {
    let updated = client
        .update_item()
        .table_name(table)
        .key("pk", text("a"))
        .update_expression("ADD n :one")
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        .return_values(ReturnValue::AllNew)
        .send()
        .await;
    match updated {
        Ok(updated) => Ok(updated.attributes().unwrap()["n"].as_n().unwrap().clone()),
        Err(error) => Err(code(&error).to_owned()),
    }
}

fn fail(stack: &Stack, effect: Effect) {
    let rule = Rule::new(Target::Dynamodb, effect).table("recipients").action("UpdateItem").times(1);
    stack.faults.add(rule).unwrap();
}

#[tokio::test]
async fn an_update_goes_through_and_is_seen_at_both_addresses() {
    let stack = Stack::start().await;
    stack.table("recipients");
    assert_eq!(add(&stack.dynamodb(), "recipients").await.unwrap(), "1");
    assert_eq!(add(&stack.dynamodb_direct(), "recipients").await.unwrap(), "2");
    let missing = add(&stack.dynamodb(), "none").await.unwrap_err();
    assert_eq!(missing, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_fault_has_the_error_that_dynamodb_has_and_writes_nothing() {
    let stack = Stack::start().await;
    stack.table("recipients");
    stack.table("tasks");
    let client = stack.dynamodb();
    for (effect, expected) in [
        (Effect::Throttle, "ProvisionedThroughputExceededException"),
        (Effect::Conflict, "TransactionConflictException"),
        (Effect::Error500, "InternalServerError"),
        (Effect::Error503, "ServiceUnavailableException"),
        (Effect::Refuse, "AccessDeniedException"),
        (Effect::Cut, "no service error"),
    ] {
        fail(&stack, effect);
        assert!(add(&client, "tasks").await.is_ok());
        assert_eq!(add(&client, "recipients").await.unwrap_err(), expected);
    }
    assert_eq!(add(&client, "recipients").await.unwrap(), "1");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_was_done() {
    let stack = Stack::start().await;
    stack.table("recipients");
    let client = stack.dynamodb();
    fail(&stack, Effect::LoseAnswer);
    assert_eq!(add(&client, "recipients").await.unwrap_err(), "no service error");
    fail(&stack, Effect::LoseAnswer500);
    assert_eq!(add(&client, "recipients").await.unwrap_err(), "InternalServerError");
    assert_eq!(add(&client, "recipients").await.unwrap(), "3");
}

#[tokio::test]
async fn a_transaction_in_conflict_is_cancelled_for_that_reason() {
    let stack = Stack::start().await;
    stack.table("recipients");
    stack.faults.add(Rule::new(Target::Dynamodb, Effect::Conflict).table("recipients")).unwrap();
    let step = |key: &str| {
        let update = Update::builder()
            .table_name("recipients")
            .key("pk", text(key))
            .update_expression("SET x = :x")
            .expression_attribute_values(":x", text("y"))
            .build()
            .unwrap();
        TransactWriteItem::builder().update(update).build()
    };
    let error = stack
        .dynamodb()
        .transact_write_items()
        .transact_items(step("a"))
        .transact_items(step("b"))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
        cancelled,
    ) = error
    else {
        panic!("another error");
    };
    let codes: Vec<_> = cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!(codes, ["TransactionConflict", "None"]);
}

#[tokio::test]
async fn the_last_entries_of_a_batch_come_back_unprocessed() {
    let stack = Stack::start().await;
    stack.table("recipients");
    let client = stack.dynamodb();
    stack.faults.add(Rule::new(Target::Dynamodb, Effect::FailEntries { n: 2 }).times(1)).unwrap();
    let put = |key: &str| {
        let put = PutRequest::builder().item("pk", text(key)).build().unwrap();
        WriteRequest::builder().put_request(put).build()
    };
    let items = ["a", "b", "c"].into_iter().map(put).collect();
    let written = client
        .batch_write_item()
        .set_request_items(Some(HashMap::from([("recipients".to_owned(), items)])))
        .send()
        .await
        .unwrap();
    assert_eq!(written.unprocessed_items().unwrap()["recipients"].len(), 2);
    let kept = client.scan().table_name("recipients").send().await.unwrap();
    assert_eq!(kept.count(), 1);
}

#[tokio::test]
async fn a_sweep_deletes_what_has_expired() {
    let stack = Stack::start().await;
    stack.table("recipients");
    let client = stack.dynamodb();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (key, ttl) in [("old", now - 60), ("new", now + 600)] {
        client
            .put_item()
            .table_name("recipients")
            .item("pk", text(key))
            .item("ttl", AttributeValue::N(ttl.to_string()))
            .send()
            .await
            .unwrap();
    }
    assert_eq!(stack.dynamodb.sweep_ttl().await.unwrap(), 1);
    let left = client.scan().table_name("recipients").send().await.unwrap();
    assert_eq!(left.items()[0]["pk"], text("new"));
}

#[tokio::test]
async fn tables_in_a_file_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let before = Stack::on(folder.path()).await;
    before.table("recipients");
    assert_eq!(add(&before.dynamodb(), "recipients").await.unwrap(), "1");
    let after = Stack::on(folder.path()).await;
    after.table("recipients");
    assert_eq!(add(&after.dynamodb(), "recipients").await.unwrap(), "2");
}

#[tokio::test]
async fn what_calls_cost_is_told_by_table_while_it_is_measured() {
    let stack = Stack::start().await;
    stack.table("recipients");
    stack.table("tasks");
    let client = stack.dynamodb();
    add(&client, "recipients").await.unwrap();
    let meter = stack.dynamodb.meter();
    assert!(meter.used().is_empty(), "not unless asked for");
    meter.start();
    add(&client, "recipients").await.unwrap();
    let read = client.get_item().table_name("tasks").key("pk", text("a"));
    read.clone().send().await.unwrap();
    read.consistent_read(true).send().await.unwrap();
    let used = meter.used();
    let of = |table: &str| (used[table].read, used[table].write);
    assert_eq!((of("recipients"), of("tasks")), ((0.0, 1.0), (1.5, 0.0)));
}
