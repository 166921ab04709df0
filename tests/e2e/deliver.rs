//! What happens when vendors, tables and queues do not do as they should.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use pushbell::time::Timestamp;
use pushbell_local::aws::sqs::Outgoing;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::phones::{Channel, View};
use serde_json::json;

use crate::bell::{Bell, MASTER, text_message};

async fn with_phones() -> Bell {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell
}

pub(crate) async fn tokens(bell: &Bell, user: &str) -> Vec<String> {
    let answer = bell.caller.get(&format!("/push/demo/devices?userId={user}"), &[MASTER]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let tokens = answer.json()["_messaging"]["pushTokens"].as_array().unwrap().clone();
    tokens.iter().map(|token| token["token"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_token_is_deleted_and_the_other_phone_stays() {
    let bell = with_phones().await;
    bell.stack.phones.set_dead(Channel::Fcm, "fcm-aaa", true).unwrap();
    // Registered less than five seconds before the send, it stays: the vendor may speak of the time before.
    let now = Timestamp::now();
    register_at(&bell, "aaa", now.plus(Duration::from_secs(3_600))).await;
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert_eq!(tokens(&bell, "aaa").await.len(), 2);
    register_at(&bell, "aaa", now.minus(Duration::from_secs(60))).await;
    bell.caller.imkit(&text_message("m2", &["aaa"])).await;
    bell.settled().await;
    assert_eq!(tokens(&bell, "aaa").await, ["a1b2c3"]);
    assert_eq!(bell.iphone("a1b2c3").len(), 2);
}

/// Moves the registrations of a client a minute back, as if time had passed.
pub(crate) async fn age_devices(bell: &Bell, client: &str) {
    register_at(bell, client, Timestamp::now().minus(Duration::from_secs(60))).await;
}

/// Has the devices of a client be registered at this time.
pub(crate) async fn register_at(bell: &Bell, client: &str, at: Timestamp) {
    let dynamodb = pushbell::aws::dynamodb(&bell.operator());
    let table = bell.stack.variables("deliver").unwrap()["TABLE_RECIPIENTS"].clone();
    let key = AttributeValue::S(format!("demo#{client}"));
    let item = dynamodb.get_item().table_name(&table).key("pk", key).send().await.unwrap().item.unwrap();
    let mut moved = item.clone();
    for (name, value) in item {
        if let (true, AttributeValue::M(mut device)) = (name.starts_with("d#"), value) {
            device.insert("a".to_owned(), AttributeValue::N(at.as_millis().to_string())).unwrap();
            moved.insert(name, AttributeValue::M(device));
        }
    }
    dynamodb.put_item().table_name(&table).set_item(Some(moved)).send().await.unwrap();
}

/// A message to aaa and bbb whose chunk is in the paused queue twice: whoever queues it and gets no answer queues it again. Neither has a
/// result row when the other begins.
async fn queued_twice(bell: &Bell) -> serde_json::Value {
    let queues = &bell.stack.aws.queues;
    queues.pause("DeliverQueue", true);
    bell.fault(Rule::new(Target::Sqs, Effect::LoseAnswer).caller("generic-push").times(1));
    let task = bell.caller.imkit(&text_message("m1", &["aaa", "bbb"])).await.json()["task_id"].clone();
    assert_eq!(queues.depth("DeliverQueue").unwrap().visible, 2);
    task
}

#[tokio::test(flavor = "multi_thread")]
async fn two_copies_in_one_batch_are_sent_once() {
    let bell = with_phones().await;
    let task = queued_twice(&bell).await;
    bell.stack.aws.queues.pause("DeliverQueue", false);
    bell.settled().await;
    let raw = |channel, token| bell.stack.phones.notifications(channel, token, View::Raw).unwrap().len();
    assert_eq!((raw(Channel::Fcm, "fcm-aaa"), raw(Channel::Sns, "a1b2c3"), bell.badge("aaa").await), (1, 1, 1));
    assert_eq!(bell.outcomes(&task).await, [("delivered".to_owned(), 2), ("no_device".to_owned(), 1)].into());
}

/// The copy of a record that fails has its turn at once.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_copies_in_one_batch_the_second_does_what_the_first_could_not() {
    let bell = with_phones().await;
    let task = queued_twice(&bell).await;
    // The SDK makes the call once more, whatever the answer to ours was.
    let row =
        Rule::new(Target::Dynamodb, Effect::Refuse).action("PutItem").table("TasksTable").body_contains("#c#").times(2);
    let row = bell.fault(row);
    let queues = &bell.stack.aws.queues;
    queues.pause("DeliverQueue", false);
    bell.stack.quiet().await.unwrap();
    assert_eq!(bell.stack.aws.faults.fired(row), 2);
    assert_eq!(queues.depth("DeliverQueue").unwrap().in_flight, 1, "one of them failed, and comes again");
    assert_eq!(bell.outcomes(&task).await, [("delivered".to_owned(), 2), ("no_device".to_owned(), 1)].into());
    assert_eq!((bell.android("fcm-aaa").len(), bell.badge("aaa").await), (1, 1), "shown once, counted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_sns_endpoint_is_a_dead_token() {
    let bell = with_phones().await;
    bell.stack.phones.set_dead(Channel::Sns, "a1b2c3", true).unwrap();
    age_devices(&bell, "aaa").await;
    for id in ["m1", "m2", "m3"] {
        bell.caller.imkit(&text_message(id, &["aaa"])).await;
        bell.drained().await;
    }
    assert_eq!(tokens(&bell, "aaa").await, ["fcm-aaa"]);
    let application = "arn:aws:sns:us-east-1:000000000000:app/APNS/demo";
    assert_eq!(bell.stack.aws.sns.endpoints(application).unwrap(), 0, "its endpoint is deleted too");
    assert_eq!(bell.android("fcm-aaa")[0].badge, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vendor_refuses_for_a_while_comes_later_with_the_badge_of_then() {
    let bell = with_phones().await;
    for effect in [Effect::Error503, Effect::Error429 { retry_after: 30 }, Effect::Error500, Effect::Cut] {
        bell.fault(Rule::new(Target::Fcm, effect).times(1));
    }
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert_eq!(bell.iphone("a1b2c3").len(), 1, "one vendor's trouble does not hold up another");
    assert!(bell.android("fcm-aaa").is_empty());
    bell.drained().await;
    assert_eq!(bell.android("fcm-aaa").len(), 1);
    assert_eq!(bell.iphone("a1b2c3").len(), 1, "who was served is not served again");
    assert_eq!(bell.badge("aaa").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_while_it_waited_is_not_shown() {
    let bell = with_phones().await;
    bell.fault(Rule::new(Target::Fcm, Effect::Error429 { retry_after: 600 }).times(1));
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    bell.caller.post("/hooks/demo/demo-secret/badges/aaa", &[], &json!({"read": "demo-room"})).await;
    bell.drained().await;
    assert!(bell.android("fcm-aaa").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_changed_hands_while_a_retry_waited_gets_nobody_else_s_text() {
    let bell = with_phones().await;
    bell.fault(Rule::new(Target::Fcm, Effect::Error429 { retry_after: 600 }).times(1));
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    bell.caller.register("bbb", "android", "fcm-aaa").await;
    bell.drained().await;
    assert!(bell.android("fcm-aaa").is_empty());
    assert_eq!(tokens(&bell, "bbb").await, ["fcm-aaa"]);
    assert_eq!(tokens(&bell, "aaa").await, ["a1b2c3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_whose_update_is_throttled_is_left_over_alone_and_counted_once() {
    let bell = with_phones().await;
    bell.caller.register("bbb", "android", "fcm-bbb").await;
    let throttle =
        Rule::new(Target::Dynamodb, Effect::Throttle).action("UpdateItem").body_contains("demo#bbb").times(6);
    bell.fault(throttle);
    bell.caller.imkit(&text_message("m1", &["aaa", "bbb"])).await;
    bell.stack.phones.wait_for(Channel::Fcm, "fcm-aaa", 1).await.unwrap();
    bell.drained().await;
    assert_eq!(bell.android("fcm-bbb").len(), 1);
    assert_eq!(bell.android("fcm-bbb")[0].badge, Some(1));
    assert_eq!(bell.stack.phones.accepted(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_with_a_transaction_is_tried_again_at_once() {
    let bell = with_phones().await;
    let conflict =
        Rule::new(Target::Dynamodb, Effect::Conflict).action("UpdateItem").body_contains("demo#aaa").times(2);
    let id = bell.fault(conflict);
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert_eq!(bell.stack.aws.faults.fired(id), 2);
    assert_eq!(bell.android("fcm-aaa").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_whose_answer_is_lost_counts_once() {
    let bell = with_phones().await;
    let lost = Rule::new(Target::Dynamodb, Effect::LoseAnswer).action("UpdateItem").body_contains("demo#aaa").times(1);
    bell.fault(lost);
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.drained().await;
    assert_eq!(bell.badge("aaa").await, 1);
    assert_eq!(bell.android("fcm-aaa").len(), 1);
    assert_eq!(bell.stack.phones.accepted(), 2);
}

/// How often deliver called the tables for a message to aaa: counts, and rows with the claim.
async fn calls(bell: &Bell, id: &str) -> (u64, u64) {
    bell.stack.aws.calls.start();
    bell.caller.imkit(&text_message(id, &["aaa"])).await;
    bell.drained().await;
    let made = bell.stack.aws.calls.made();
    let of = |kind: &str| made.get(kind).map_or(0, |count| count.calls);
    (of("dynamodb:UpdateItem"), of("dynamodb:PutItem"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_and_a_row_are_one_call_each_and_a_try_that_fails_is_made_again_at_once() {
    let bell = with_phones().await;
    // The first message's iPhone gets its endpoint.
    calls(&bell, "m0").await;
    assert_eq!(calls(&bell, "m1").await, (1, 2));
    for (n, effect) in [Effect::Throttle, Effect::Error500, Effect::Cut].into_iter().enumerate() {
        bell.fault(Rule::new(Target::Dynamodb, effect.clone()).action("UpdateItem").times(1));
        bell.fault(Rule::new(Target::Dynamodb, effect.clone()).action("PutItem").body_contains("#c#").times(1));
        assert_eq!(calls(&bell, &format!("f{n}")).await, (2, 3), "{effect:?}");
        bell.stack.aws.faults.clear();
    }
    assert_eq!(bell.badge("aaa").await, 5);
    assert_eq!(bell.stack.phones.accepted(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_comes_again_after_its_result_was_lost_counts_nothing_twice() {
    let bell = with_phones().await;
    let lost = bell.fault(Rule::new(Target::Dynamodb, Effect::Error500).action("PutItem").body_contains("kc"));
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.stack.phones.wait_for(Channel::Fcm, "fcm-aaa", 1).await.unwrap();
    bell.stack.quiet().await.unwrap();
    assert!(bell.stack.aws.faults.fired(lost) > 0);
    bell.stack.aws.faults.clear();
    // The record is invisible until its time is over.
    bell.stack.aws.queues.advance(Duration::from_secs(400)).unwrap();
    bell.settled().await;
    assert_eq!(bell.badge("aaa").await, 1);
    assert_eq!(bell.android("fcm-aaa").len(), 1, "what is sent again replaces what is shown");
    assert_eq!(bell.android("fcm-aaa")[0].badge, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_throttled_after_the_sends_makes_nobody_send_again() {
    let bell = with_phones().await;
    for (effect, sent) in [(Effect::Throttle, 2), (Effect::Error503, 4), (Effect::Error500, 6)] {
        // One by the lean client, three by the SDK, and the first of the patient ones.
        let rows =
            Rule::new(Target::Dynamodb, effect).action("PutItem").table("TasksTable").body_contains("#c#").times(5);
        let rows = bell.fault(rows);
        bell.caller.imkit(&text_message(&format!("m{sent}"), &["aaa"])).await;
        bell.until(|| bell.stack.aws.faults.fired(rows) == 5).await;
        bell.drained().await;
        assert_eq!(bell.stack.phones.accepted(), sent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_refuses_during_the_callback_loses_nothing() {
    let bell = with_phones().await;
    bell.fault(Rule::new(Target::Sqs, Effect::Refuse));
    let answer = bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    bell.settled().await;
    assert!(bell.android("fcm-aaa").is_empty());
    assert!(bell.stack.tick("retry").await.unwrap().is_err(), "a run that hands nothing on has failed");
    bell.stack.aws.faults.clear();
    bell.stack.tick("retry").await.unwrap().unwrap();
    bell.drained().await;
    assert_eq!(bell.android("fcm-aaa").len(), 1);
    bell.stack.tick("retry").await.unwrap().unwrap();
    bell.drained().await;
    assert_eq!(bell.stack.phones.accepted(), 2, "what was handed on is gone from the table");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tasks_table_that_does_not_answer_during_the_callback_loses_nothing() {
    let bell = with_phones().await;
    for effect in [Effect::Error500, Effect::Throttle, Effect::Conflict, Effect::LoseAnswer] {
        bell.fault(Rule::new(Target::Dynamodb, effect).action("PutItem").table("TasksTable").times(3));
        let id = format!("m{}", bell.stack.phones.accepted());
        let message = text_message(&id, &["aaa"]);
        let answer = bell.caller.imkit(&message).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        bell.stack.aws.faults.clear();
        bell.drained().await;
        assert_eq!(bell.caller.imkit(&message).await.status, 200);
        bell.drained().await;
    }
    assert_eq!(bell.android("fcm-aaa").len(), 4, "each shows once");
    assert_eq!(bell.badge("aaa").await, 4, "each counts once");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_queue_and_table_both_refuse_the_caller_is_told_and_may_come_again() {
    let bell = with_phones().await;
    bell.fault(Rule::new(Target::Sqs, Effect::Refuse).action("SendMessage"));
    bell.fault(Rule::new(Target::Dynamodb, Effect::Error500).action("PutItem").table("DeferredTable"));
    let message = text_message("m1", &["aaa"]);
    let refused = bell.caller.imkit(&message).await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"));
    bell.stack.aws.faults.clear();
    assert_eq!(bell.caller.imkit(&message).await.status, 200);
    bell.drained().await;
    assert_eq!(bell.android("fcm-aaa").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_chunks_that_is_refused_in_part_loses_none() {
    let bell = Bell::start().await;
    bell.fault(Rule::new(Target::Sqs, Effect::FailEntries { n: 3 }).action("SendMessageBatch").times(1));
    let clients: Vec<String> = (0..1_000).map(|n| format!("c{n}")).collect();
    for client in clients.iter().step_by(100) {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
    }
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    bell.caller.imkit(&text_message("m1", &names)).await;
    bell.settled().await;
    assert_eq!(bell.stack.phones.accepted(), 7);
    bell.stack.tick("retry").await.unwrap().unwrap();
    bell.drained().await;
    assert_eq!(bell.stack.phones.accepted(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_no_chunk_ends_in_the_dead_letter_queue_and_holds_up_nobody() {
    let bell = with_phones().await;
    let queues = &bell.stack.aws.queues;
    queues
        .send("DeliverQueue", &Outgoing { body: "{\"not\": \"a chunk\"}".to_owned(), ..Outgoing::default() })
        .unwrap();
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.stack.phones.wait_for(Channel::Fcm, "fcm-aaa", 1).await.unwrap();
    bell.until(|| queues.depth("DeliverQueue").unwrap().in_flight <= 1).await;
    // Once per receive: what is let pass for nothing counts against the time that a queue keeps a record.
    bell.until(|| {
        let depth = queues.depth("DeliverQueue").unwrap();
        if depth.in_flight > 0 && depth.visible == 0 {
            queues.advance(Duration::from_secs(400)).unwrap();
        }
        bell.dead_letters() > 0
    })
    .await;
    bell.settled().await;
    assert_eq!(bell.dead_letters(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_taken_is_given_up_and_kept_in_the_dead_letter_queue() {
    let bell = with_phones().await;
    bell.fault(Rule::new(Target::Fcm, Effect::Error503));
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.drained().await;
    assert!(bell.android("fcm-aaa").is_empty());
    assert_eq!(bell.dead_letters(), 1);
    assert_eq!(bell.iphone("a1b2c3").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_phone_s_wait_does_not_hold_up_another() {
    let bell = with_phones().await;
    bell.caller.register("bbb", "android", "fcm-bbb").await;
    bell.fault(Rule::new(Target::Fcm, Effect::Error429 { retry_after: 600 }).token("fcm-aaa").times(1));
    bell.fault(Rule::new(Target::Fcm, Effect::Error503).token("fcm-bbb").times(1));
    bell.caller.imkit(&text_message("m1", &["aaa", "bbb"])).await;
    bell.settled().await;
    bell.stack.aws.queues.advance_delayed(Duration::from_secs(30)).unwrap();
    bell.stack.phones.wait_for(Channel::Fcm, "fcm-bbb", 1).await.unwrap();
    bell.settled().await;
    assert!(bell.android("fcm-aaa").is_empty(), "it has to wait as its vendor asked");
    bell.drained().await;
    assert_eq!(bell.android("fcm-aaa").len(), 1);
    assert_eq!(bell.stack.phones.accepted(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_time_left_recipients_are_left_over_and_not_lost() {
    let bell = with_phones().await;
    let variables = bell.stack.variables("deliver").unwrap();
    let env = pushbell::env::Environment::from_lookup(|name| variables.get(name).cloned()).unwrap();
    let state = deliver::State::new(&env).unwrap();
    let chunk = json!({
        "task": 7, "nonce": "abcdefgh", "seq": 0, "claimed_at": pushbell::time::Timestamp::now().as_millis(),
        "message": {
            "origin": {"app": "demo", "dialect": "imkit", "message": "m1", "room": "demo-room"},
            "text": {"title": "Demo Room", "body": "SSS: lala"}, "badge": {"add": {"n": 1, "source": "room"}}
        },
        "to": ["aaa"]
    });
    let event =
        json!({"Records": [{"messageId": "r1", "body": chunk.to_string(), "attributes": {}, "messageAttributes": {}}]});
    let response = deliver::handle(&state, serde_json::from_value(event).unwrap(), std::time::Instant::now()).await;
    assert!(response.batch_item_failures.is_empty());
    bell.drained().await;
    assert_eq!((bell.android("fcm-aaa").len(), bell.iphone("a1b2c3").len()), (1, 1));
    assert_eq!(bell.badge("aaa").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_sent_uncounted_is_tried_again_and_not_taken_for_read() {
    let bell = with_phones().await;
    let far = pushbell::time::Timestamp::now().plus(Duration::from_secs(3_600)).as_millis().to_string();
    let table = bell.stack.variables("deliver").unwrap()["TABLE_RECIPIENTS"].clone();
    let update = pushbell::aws::dynamodb(&bell.operator()).update_item().table_name(table);
    let update = update.key("pk", AttributeValue::S("demo#aaa".to_owned())).update_expression("SET trimmed = :far");
    update.expression_attribute_values(":far", AttributeValue::N(far)).send().await.unwrap();
    bell.fault(Rule::new(Target::Fcm, Effect::Error503).times(1));
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.drained().await;
    assert_eq!((bell.android("fcm-aaa").len(), bell.badge("aaa").await), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_access_token_is_renewed_once() {
    let bell = with_phones().await;
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert_eq!(bell.stack.vendors.tokens_issued(), 1, "one token serves all sends");
    bell.stack.vendors.revoke_tokens();
    bell.caller.imkit(&text_message("m2", &["aaa"])).await;
    bell.settled().await;
    assert_eq!(bell.android("fcm-aaa").len(), 2);
    assert_eq!(bell.stack.vendors.tokens_issued(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_made_again() {
    let bell = with_phones().await;
    let arn = bell.caller.get("/push/demo/devices?userId=aaa", &[MASTER]).await.json();
    let arn = arn["_messaging"]["pushTokens"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|token| token["arn"].as_str())
        .unwrap()
        .to_owned();
    pushbell::aws::sns(&bell.operator()).delete_endpoint().endpoint_arn(&arn).send().await.unwrap();
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert_eq!(bell.iphone("a1b2c3").len(), 1);
    let now = bell.caller.get("/push/demo/devices?userId=aaa", &[MASTER]).await.text;
    assert!(!now.contains(&arn), "the new endpoint is kept: {now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_is_trimmed_to_what_the_vendors_take() {
    let bell = with_phones().await;
    let mut body = text_message("m1", &["aaa"]);
    body["message"] = json!("🎉语".repeat(3_000));
    assert_eq!(bell.caller.imkit(&body).await.status, 200);
    bell.settled().await;
    for phone in [bell.android("fcm-aaa"), bell.iphone("a1b2c3")] {
        assert_eq!(phone.len(), 1);
        let text = phone[0].body.clone().unwrap();
        assert!(text.starts_with("SSS: 🎉语") && text.ends_with('…'), "{text}");
    }
    let raw = bell.stack.phones.list(View::Raw, None).unwrap();
    assert_eq!(raw.len(), 2);
}
