//! Vendors that are down, hang or refuse: they are left alone and probed, nobody else waits for them, and nothing is lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pushbell::delivery::breaker::{Breakers, Pass};
use pushbell::delivery::{Channel as Road, Class};
use pushbell::id::{AppId, DeviceKey};
use pushbell::time::Timestamp;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::phones::Channel;
use pushbell_local::stack::Options;
use serde_json::{Value, json};

use crate::bell::{Bell, Caller, text_message};

/// Clients with one Android phone each.
async fn clients(bell: &Bell, n: usize) -> Vec<String> {
    let clients: Vec<String> = (0..n).map(|n| format!("c{n}")).collect();
    for client in &clients {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
    }
    clients
}

async fn taken(caller: &Caller, message: &Value) -> Value {
    let answer = caller.imkit(message).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["task_id"].clone()
}

fn sums(list: &[(&str, i64)]) -> BTreeMap<String, i64> {
    list.iter().map(|(outcome, n)| ((*outcome).to_owned(), *n)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_is_down_is_left_alone_and_probed_by_single_sends() {
    let bell = Bell::start().await;
    let clients = clients(&bell, 30).await;
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    let down = bell.fault(Rule::new(Target::Fcm, Effect::Unavailable { retry_after: 60 }));
    let asked = || bell.stack.aws.faults.fired(down);
    let first = taken(&bell.caller, &text_message("m1", &names[..9])).await;
    bell.settled().await;
    // One too few to say anything, however long they took.
    assert_eq!(asked(), 9);
    bell.stack.aws.queues.advance(Duration::from_secs(1)).unwrap();
    let second = taken(&bell.caller, &text_message("m2", &names)).await;
    bell.settled().await;
    // The first of them opens the breaker, and the others may be under way.
    let seen_enough = asked();
    assert!((10..=39).contains(&seen_enough), "{seen_enough}");
    let third = taken(&bell.caller, &text_message("m3", &names)).await;
    bell.settled().await;
    assert_eq!(asked(), seen_enough, "nobody is asked while the breaker is open");
    assert_eq!(bell.badge("c7").await, 3, "and everything is counted");
    for probes in 1..=2 {
        bell.stack.aws.queues.advance_delayed(Duration::from_secs(900)).unwrap();
        bell.settled().await;
        assert_eq!(asked(), seen_enough + probes, "one finds out, the others wait");
    }
    bell.stack.aws.faults.clear();
    bell.drained().await;
    for (n, client) in clients.iter().enumerate() {
        assert_eq!(bell.android(&format!("fcm-{client}")).len(), if n < 9 { 3 } else { 2 }, "{client}");
    }
    for (task, clients) in [(first, 9), (second, 30), (third, 30)] {
        assert_eq!(bell.outcomes(&task).await, sums(&[("delivered", clients)]));
    }
    assert_eq!(bell.dead_letters(), 0);
}

/// A folder with two apps: `demo`, and one beside it that is set up alike.
fn two_apps() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../local/apps/demo");
    for app in ["demo", "quick"] {
        let target = folder.path().join(app);
        std::fs::create_dir(&target).unwrap();
        for document in ["callers.json", "settings.json", "vendors.json"] {
            std::fs::copy(demo.join(document), target.join(document)).unwrap();
        }
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_whose_vendor_hangs_does_not_hold_up_another() {
    let apps = two_apps();
    let bell = Bell::start_with(Options { apps: apps.path().to_owned(), ..Options::test() }).await;
    let names: Vec<String> = (0..150).map(|n| format!("c{n}")).collect();
    for (n, client) in names.iter().enumerate() {
        bell.caller.register(client, "ios", &format!("a{n:03}")).await;
        bell.fault(Rule::new(Target::Sns, Effect::Hang).action("Publish").token(&format!("a{n:03}")));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let basic = ("authorization", "Basic cXVpY2s6ZGVtby1tYXN0ZXI=");
    let device = json!({"platform": "ios", "deviceId": "b1b2b3", "userId": "q"});
    let answer = bell.caller.post("/push/quick/register-device", &[basic], &device).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    // Nobody has to make connections within the five seconds that a send has.
    taken(&bell.caller, &text_message("warm", &["nobody"])).await;
    let answer = bell.caller.post("/hooks/quick/demo-secret/imkit", &[], &text_message("warm", &["nobody"])).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    bell.settled().await;
    taken(&bell.caller, &text_message("m1", &names)).await;
    let hang = || bell.stack.aws.faults.list().iter().filter(|rule| rule.fired > 0).count();
    // Three quarters of the sends to SNS are the first app's.
    bell.until(|| hang() >= 75).await;
    let answer = bell.caller.post("/hooks/quick/demo-secret/imkit", &[], &text_message("m1", &["q"])).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    bell.stack.phones.wait_for(Channel::Sns, "b1b2b3", 1).await.unwrap();
    assert_eq!(bell.stack.phones.accepted(), 1, "and none of the first app's is through");
    bell.stack.aws.faults.clear();
    bell.drained().await;
    assert_eq!(bell.stack.phones.accepted(), 151);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vendor_refuses_for_its_credentials_waits_for_a_replay_and_the_sums_stay_exact() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell.fault(Rule::new(Target::Fcm, Effect::Refuse));
    let task = taken(&bell.caller, &text_message("m1", &["aaa"])).await;
    bell.drained().await;
    assert_eq!(bell.outcomes(&task).await, sums(&[("delivered", 1), ("misconfigured", 1)]));
    assert_eq!(bell.dead_letters(), 1);
    bell.replay().await;
    bell.drained().await;
    assert_eq!(bell.outcomes(&task).await, sums(&[("delivered", 1), ("misconfigured", 1)]), "nobody mended it");
    assert_eq!(bell.dead_letters(), 1);
    bell.stack.aws.faults.clear();
    bell.replay().await;
    bell.drained().await;
    assert_eq!(bell.outcomes(&task).await, sums(&[("delivered", 2)]));
    assert_eq!(bell.dead_letters(), 0);
    assert_eq!(bell.android("fcm-aaa").len(), 1);
    assert_eq!(bell.iphone("a1b2c3").len(), 1, "only what was owed is sent");
    assert_eq!(bell.badge("aaa").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_what_was_given_up_is_tried_as_often_as_a_new_one_and_too_late_a_one_leaves_the_queue() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    let settings = json!({"retry": {"attempts": 3}});
    bell.stack.put_settings("demo", &settings).await.unwrap();
    bell.fault(Rule::new(Target::Fcm, Effect::Error500).times(5));
    let task = taken(&bell.caller, &text_message("m1", &["aaa"])).await;
    bell.drained().await;
    assert_eq!(bell.outcomes(&task).await, sums(&[("gave_up", 1)]), "after three tries");
    bell.replay().await;
    bell.drained().await;
    assert_eq!(bell.outcomes(&task).await, sums(&[("delivered", 1)]), "after three more");
    assert_eq!(bell.android("fcm-aaa").len(), 1);

    bell.fault(Rule::new(Target::Fcm, Effect::Error500));
    let task = taken(&bell.caller, &text_message("m2", &["aaa"])).await;
    bell.drained().await;
    assert_eq!(bell.dead_letters(), 1);
    bell.stack.aws.faults.clear();
    bell.stack.aws.queues.advance(Duration::from_secs(25 * 3600)).unwrap();
    bell.replay().await;
    bell.drained().await;
    assert_eq!(bell.outcomes(&task).await, sums(&[("gave_up", 1)]));
    assert_eq!(bell.dead_letters(), 0, "another replay would find it no earlier");
    assert_eq!(bell.android("fcm-aaa").len(), 1, "a message past its end is not shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_for_a_vendor_that_is_left_alone_is_put_back_unread_and_is_no_attempt() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    let now = Timestamp::now();
    let breaker = Breakers::new(&bell.operator()).unwrap().of(&AppId::parse("demo").unwrap());
    let quota = Class::QuotaUntil(now.plus(Duration::from_secs(600)));
    breaker.tell(Road::Fcm, Pass::Free, quota, now, now).await;
    let reads = bell.fault(Rule::new(Target::Dynamodb, Effect::Delay { ms: 0 }).table("recipients"));
    let chunk = json!({
        "task": 7, "nonce": "abcdefgh", "seq": 0, "attempt": 1, "claimed_at": now.as_millis(),
        "message": {
            "origin": {"app": "demo", "dialect": "imkit", "message": "m1", "room": "demo-room"},
            "text": {"title": "Demo Room", "body": "SSS: lala"}
        },
        "to": [{"c": "aaa", "d": [DeviceKey::of("android", "fcm-aaa").as_str()], "v": ["f"]}]
    });
    let event =
        json!({"Records": [{"messageId": "r1", "body": chunk.to_string(), "attributes": {}, "messageAttributes": {}}]});
    let variables = bell.stack.variables("deliver").unwrap();
    let env = pushbell::env::Environment::from_lookup(|name| variables.get(name).cloned()).unwrap();
    let state = deliver::State::new(&env).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    let response = deliver::handle(&state, serde_json::from_value(event).unwrap(), deadline).await;
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(bell.stack.aws.faults.fired(reads), 0, "the recipient is not read");
    assert_eq!(bell.outcomes(&json!(7)).await, sums(&[]), "there is no result row");
    assert_eq!(bell.stack.aws.queues.depth("DeliverQueue").unwrap().delayed, 1);
    bell.drained().await;
    assert_eq!(bell.android("fcm-aaa").len(), 1);
    assert_eq!(bell.outcomes(&json!(7)).await, sums(&[("delivered", 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_is_no_try() {
    let bell = Bell::start().await;
    // Too few to open the breaker.
    let clients = clients(&bell, 9).await;
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    bell.stack.put_settings("demo", &json!({"retry": {"attempts": 2}})).await.unwrap();
    let failed = bell.fault(Rule::new(Target::Fcm, Effect::Unavailable { retry_after: 30 }).times(9));
    let task = taken(&bell.caller, &text_message("m1", &names)).await;
    bell.settled().await;
    assert_eq!(bell.stack.aws.faults.fired(failed), 9);
    let now = Timestamp::now();
    let breaker = Breakers::new(&bell.operator()).unwrap().of(&AppId::parse("demo").unwrap());
    breaker.tell(Road::Fcm, Pass::Free, Class::QuotaUntil(now.plus(Duration::from_secs(600))), now, now).await;
    for _ in 0..5 {
        // The environments look at the row every ten seconds.
        bell.stack.aws.queues.advance_delayed(Duration::from_secs(11)).unwrap();
        bell.settled().await;
    }
    assert_eq!(bell.stack.phones.accepted(), 0);
    bell.drained().await;
    assert_eq!(bell.outcomes(&task).await, sums(&[("delivered", 9)]));
}
