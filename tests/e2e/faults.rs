//! Everything goes wrong now and then, at once: nothing is lost, nothing is counted twice, nothing shows twice, and the sums add up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::bell::{Bell, text_message};
use pushbell::env::Table;
use pushbell_local::faults::{Effect, Rule, Target};

/// What goes wrong, and how often.
fn rules() -> Vec<Rule> {
    vec![
        Rule::new(Target::Fcm, Effect::Error503).rate(0.08),
        Rule::new(Target::Fcm, Effect::Error429 { retry_after: 20 }).rate(0.05),
        Rule::new(Target::Fcm, Effect::Cut).rate(0.03),
        Rule::new(Target::Fcm, Effect::LoseAnswer).rate(0.03),
        Rule::new(Target::Sns, Effect::Error500).rate(0.05),
        Rule::new(Target::Sns, Effect::LoseAnswer).rate(0.03),
        Rule::new(Target::Dynamodb, Effect::Throttle).rate(0.05),
        Rule::new(Target::Dynamodb, Effect::Conflict).rate(0.05),
        Rule::new(Target::Dynamodb, Effect::LoseAnswer).action("UpdateItem").rate(0.05),
        Rule::new(Target::Dynamodb, Effect::LoseAnswer).action("PutItem").rate(0.05),
        Rule::new(Target::Sqs, Effect::Refuse).rate(0.1),
        Rule::new(Target::Sqs, Effect::FailEntries { n: 1 }).action("SendMessageBatch").rate(0.3),
    ]
}

/// Works everything off, whatever it takes: what failed becomes visible again, what is deferred is handed on.
async fn worked_off(bell: &Bell) {
    for _ in 0..200 {
        // A run fails as long as a queue refuses, and leaves what was refused where it is.
        let _ = bell.stack.tick("retry").await.unwrap();
        bell.stack.quiet().await.unwrap();
        let waiting = ["DeliverQueue", "FanOutQueue"].map(|queue| bell.stack.aws.queues.depth(queue).unwrap());
        let nothing = waiting.iter().all(|depth| depth.visible + depth.in_flight + depth.delayed == 0);
        if nothing && deferred(bell).await == 0 {
            return;
        }
        bell.stack.aws.queues.advance(Duration::from_secs(400)).unwrap();
    }
    panic!("there is no end to it");
}

/// Calls as a caller who was told to come again does: now and then queue and table refuse at once. The task's number.
async fn taken(bell: &Bell, message: &serde_json::Value) -> serde_json::Value {
    for _ in 0..10 {
        let answer = bell.caller.imkit(message).await;
        match answer.status {
            200 => return answer.json()["task_id"].clone(),
            status => assert_eq!(status, 503, "{}", answer.text),
        }
    }
    panic!("refused ten times");
}

async fn deferred(bell: &Bell) -> i32 {
    let env = bell.operator();
    let table = env.table(Table::Deferred).unwrap();
    pushbell::aws::dynamodb(&env)
        .scan()
        .table_name(table)
        .filter_expression("begins_with(pk, :shard)")
        .expression_attribute_values(":shard", aws_sdk_dynamodb::types::AttributeValue::S("s#".to_owned()))
        .consistent_read(true)
        .send()
        .await
        .map_or(1, |page| page.count)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_everything_failing_now_and_then_each_message_counts_once_and_shows_once() {
    const MESSAGES: usize = 12;
    let bell = Bell::start().await;
    let clients: Vec<String> = (0..130).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    for client in clients.iter().step_by(3) {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
        bell.caller.register(client, "ios", &format!("abc{}", &client[1..])).await;
    }
    // The app's documents are read once, before anything goes wrong.
    bell.caller.imkit(&text_message("warm", &["nobody"])).await;
    bell.settled().await;
    bell.stack.aws.faults.replace(rules()).unwrap();
    let mut tasks = Vec::new();
    for n in 0..MESSAGES {
        // Through fan-out, straight to deliver, and a second callback for some of the same clients.
        let to = if n % 3 == 0 { &names[..] } else { &names[..60] };
        let message = text_message(&format!("m{n}"), to);
        tasks.push((taken(&bell, &message).await, to.len()));
        if n % 4 == 1 {
            taken(&bell, &message).await;
            taken(&bell, &text_message(&format!("m{n}"), &names[30..90])).await;
        }
    }
    worked_off(&bell).await;
    bell.stack.aws.faults.clear();
    worked_off(&bell).await;
    assert_eq!(bell.dead_letters(), 0, "nothing was given up");

    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    for (index, client) in clients.iter().enumerate() {
        let counts = |n: usize| n.is_multiple_of(3) || index < 60 || (n % 4 == 1 && (30..90).contains(&index));
        let expected: BTreeSet<String> = (0..MESSAGES).filter(|n| counts(*n)).map(|n| format!("m{n}")).collect();
        let badge = bell.badge(client).await;
        if badge != i64::try_from(expected.len()).unwrap() {
            wrong.insert(client.clone(), format!("badge {badge} of {}", expected.len()));
        }
        if index % 3 == 0 {
            for phone in [bell.android(&format!("fcm-{client}")), bell.iphone(&format!("abc{}", &client[1..]))] {
                let shown: Vec<String> = phone.iter().filter_map(|push| push.collapse_id.clone()).collect();
                if shown.len() != expected.len() || shown.into_iter().collect::<BTreeSet<_>>() != expected {
                    wrong.insert(format!("{client}'s phone"), format!("{} shown of {}", phone.len(), expected.len()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    sums_add_up(&bell, &tasks).await;
}

/// Every task's outcomes sum up to its target: each device of who has some, one for each who has none.
async fn sums_add_up(bell: &Bell, tasks: &[(serde_json::Value, usize)]) {
    for (task, recipients) in tasks {
        let with_phones = recipients.div_ceil(3);
        let target = i64::try_from(recipients - with_phones + 2 * with_phones).unwrap();
        let outcomes = bell.outcomes(task).await;
        assert_eq!(outcomes.values().sum::<i64>(), target, "{task}: {outcomes:?}");
    }
}
