//! Outcomes at an app's own address: each arrives, signed, however long the address is down, and nobody else waits for it.

mod receiver;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pushbell_local::aws::sqs::Outgoing;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::phones::Channel;
use pushbell_local::stack::Options;
use serde_json::{Value, json};

use crate::bell::{API_KEY, Bell, text_message};
use crate::openapi::description::Description;
use receiver::{KEY, Mode, OTHER_KEY, Receiver};

/// The demo app's settings, with an address for outcomes.
fn settings(url: &str) -> Value {
    json!({
        "sns": {"apns": "arn:aws:sns:us-east-1:000000000000:app/APNS/demo"},
        "results": {"url": url, "allow_private": true},
    })
}

async fn reporting_to(receiver: &Receiver) -> Bell {
    let bell = Bell::start().await;
    bell.stack.put_settings("demo", &settings(&receiver.url())).await.unwrap();
    bell
}

async fn taken(bell: &Bell, message: &Value) -> Value {
    let answer = bell.caller.imkit(message).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["task_id"].clone()
}

fn depth(bell: &Bell, queue: &str) -> pushbell_local::aws::sqs::Depth {
    bell.stack.aws.queues.depth(queue).unwrap()
}

/// How many records of outcomes are not done with: one that failed waits, or is tried again already.
fn kept(bell: &Bell) -> u64 {
    let depth = depth(bell, "ReportQueue");
    depth.visible + depth.in_flight + depth.delayed
}

/// Time passes, a quarter of an hour at once, until `is_so`.
async fn in_time(bell: &Bell, is_so: impl Fn() -> bool) {
    for _ in 0..400 {
        bell.settled().await;
        if is_so() {
            return;
        }
        bell.stack.aws.queues.advance(Duration::from_secs(900)).unwrap();
        bell.stack.tick("retry").await.unwrap().unwrap();
    }
    panic!("four days have passed, and it is not so");
}

async fn clients(bell: &Bell, n: usize) -> Vec<String> {
    let clients: Vec<String> = (0..n).map(|n| format!("c{n}")).collect();
    for client in &clients {
        bell.caller.register(client, "android", &format!("fcm-{client}")).await;
    }
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_is_posted_with_its_channel_and_a_signature() {
    let receiver = Receiver::start(KEY).await;
    let bell = reporting_to(&receiver).await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell.caller.register("aaa", "ios", "a1a2a3").await;
    bell.caller.register("bbb", "android", "fcm-bbb").await;
    bell.caller.post("/me/mute/demo-room?clientId=bbb", &[API_KEY], &json!({})).await;
    let task = taken(&bell, &text_message("m1", &["aaa", "bbb", "ccc"])).await;
    bell.settled().await;
    let [post] = receiver.posts().try_into().unwrap();
    assert!(post.verified && post.id.starts_with("msg_"), "{post:?}");
    assert_eq!((&post.body["type"], &post.body["data"]["app"]), (&json!("push.results"), &json!("demo")));
    let mut told: Vec<_> =
        post.results().iter().map(|one| [&one["client"], &one["channel"], &one["outcome"]]).collect();
    told.sort_by_key(|one| one.map(ToString::to_string));
    assert_eq!(
        json!(told),
        json!([
            ["aaa", "fcm", "delivered"],
            ["aaa", "sns", "delivered"],
            ["bbb", null, "muted"],
            ["ccc", null, "no_device"]
        ])
    );
    let description = Description::read();
    description.valid(description.get("/components/schemas/PushResultsPost"), &post.body).unwrap();
    for one in post.results() {
        let said = [&one["task"], &one["message"], &one["dialect"], &one["kind"], &one["attempt"]];
        assert_eq!(said, [&task, &json!("m1"), &json!("imkit"), &json!("push"), &json!(0)]);
        assert_eq!(one["at"], post.body["timestamp"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recall_s_outcomes_are_told_from_those_of_the_message_it_takes_back() {
    let receiver = Receiver::start(KEY).await;
    let bell = reporting_to(&receiver).await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    taken(&bell, &text_message("m1", &["aaa"])).await;
    bell.settled().await;
    let mut recall = text_message("m1", &["aaa"]);
    recall["messageType"] = json!("recall");
    recall["message"] = json!("");
    let task = taken(&bell, &recall).await;
    bell.settled().await;
    let told = receiver.results().into_values();
    let mut told: Vec<_> = told.map(|one| json!([one["message"], one["kind"], one["task"] == task])).collect();
    told.sort_by_key(ToString::to_string);
    assert_eq!(told, [json!(["m1", "push", false]), json!(["m1", "recall", true])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_an_address_costs_no_record() {
    let bell = Bell::start().await;
    bell.stack.aws.queues.pause("ReportQueue", true);
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    taken(&bell, &text_message("m1", &["aaa"])).await;
    bell.stack.phones.wait_for(Channel::Fcm, "fcm-aaa", 1).await.unwrap();
    bell.until(|| depth(&bell, "DeliverQueue").in_flight == 0).await;
    assert_eq!(depth(&bell, "ReportQueue").visible, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_down_gets_every_outcome_and_repeats_have_equal_ids() {
    let mut receiver = Receiver::start(KEY).await;
    let bell = reporting_to(&receiver).await;
    let clients = clients(&bell, 150).await;
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    receiver.set(Mode::Status(500));
    taken(&bell, &text_message("m1", &names)).await;
    bell.settled().await;
    let failed = receiver.posts();
    assert!(!failed.is_empty());
    receiver.stop().await;
    taken(&bell, &text_message("m2", &names)).await;
    for _ in 0..5 {
        bell.settled().await;
        bell.stack.aws.queues.advance(Duration::from_secs(900)).unwrap();
        bell.stack.tick("retry").await.unwrap().unwrap();
    }
    bell.settled().await;
    receiver.again().await;
    receiver.set(Mode::LoseAnswer);
    taken(&bell, &text_message("m3", &names)).await;
    in_time(&bell, || receiver.posts().len() > failed.len()).await;
    receiver.set(Mode::Take);
    in_time(&bell, || receiver.results().len() == 450).await;
    let mut bodies: BTreeMap<String, Value> = BTreeMap::new();
    for post in receiver.posts() {
        assert!(post.verified, "{post:?}");
        assert!(post.results().len() <= 100);
        let first = bodies.entry(post.id.clone()).or_insert_with(|| post.body.clone());
        assert_eq!(*first, post.body, "the same again");
    }
    for message in ["m1", "m2", "m3"] {
        for client in &clients {
            let of = |one: &Value| one["message"] == message && one["client"] == client.as_str();
            let told: Vec<_> = receiver.results().into_values().filter(of).collect();
            assert!(matches!(told.as_slice(), [one] if one["outcome"] == "delivered"), "{message} {client}: {told:?}");
        }
    }
    assert_eq!(depth(&bell, "ReportDeadLetters").visible, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_rotation_the_receiver_may_have_either_key() {
    let apps = one_app(&json!({"keys": [OTHER_KEY, {"value": KEY, "until": 4_102_444_800_000_u64}]}));
    let bell = Bell::start_with(Options { apps: apps.path().to_owned(), ..Options::test() }).await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    let (before, after) = (Receiver::start(KEY).await, Receiver::start(OTHER_KEY).await);
    before.set(Mode::Forward(after.url()));
    bell.stack.put_settings("demo", &settings(&before.url())).await.unwrap();
    taken(&bell, &text_message("m1", &["aaa"])).await;
    bell.settled().await;
    let (before, after) = (before.posts(), after.posts());
    assert_eq!((before.len(), after.len()), (1, 1));
    assert!(before[0].verified && after[0].verified);
    assert_eq!(before[0].signatures.split(' ').count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_valid_key_nothing_is_posted_and_nothing_is_lost() {
    let receiver = Receiver::start(KEY).await;
    let apps = one_app(&json!({"keys": [{"value": KEY, "until": 1}]}));
    let bell = Bell::start_with(Options { apps: apps.path().to_owned(), ..Options::test() }).await;
    bell.stack.put_settings("demo", &settings(&receiver.url())).await.unwrap();
    taken(&bell, &text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert_eq!((receiver.posts().len(), kept(&bell)), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_a_private_address_is_not_followed() {
    let (receiver, target) = (Receiver::start(KEY).await, Receiver::start(KEY).await);
    receiver.set(Mode::Redirect(target.url()));
    let bell = reporting_to(&receiver).await;
    taken(&bell, &text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert!(!receiver.posts().is_empty());
    assert_eq!((target.connections(), kept(&bell)), (0, 1), "it is tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_not_even_connected_to_however_it_is_written() {
    let receiver = Receiver::start(KEY).await;
    let bell = Bell::start().await;
    let url = format!("https://2130706433:{}/", receiver.port());
    bell.stack.put_settings("demo", &json!({"results": {"url": url}})).await.unwrap();
    taken(&bell, &text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert_eq!((receiver.connections(), kept(&bell)), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_arrive_while_the_receiver_hangs() {
    let receiver = Receiver::start(KEY).await;
    receiver.set(Mode::Hang);
    let bell = reporting_to(&receiver).await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    for n in 1..=5 {
        taken(&bell, &text_message(&format!("m{n}"), &["aaa"])).await;
        bell.stack.phones.wait_for(Channel::Fcm, "fcm-aaa", n).await.unwrap();
    }
    bell.until(|| receiver.posts().iter().any(|post| post.verified)).await;
    let queue = depth(&bell, "DeliverQueue");
    assert_eq!((queue.visible, queue.delayed), (0, 0));
}

/// A folder with the demo app, its `results` document replaced.
fn one_app(results: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_demo(folder.path(), "demo");
    std::fs::write(folder.path().join("demo/results.json"), results.to_string()).unwrap();
    folder
}

fn copy_demo(folder: &Path, app: &str) {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../local/apps/demo");
    std::fs::create_dir(folder.join(app)).unwrap();
    for document in std::fs::read_dir(demo).unwrap() {
        let document = document.unwrap();
        std::fs::copy(document.path(), folder.join(app).join(document.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_does_not_delay_another_app_s() {
    let folder = tempfile::tempdir().unwrap();
    copy_demo(folder.path(), "demo");
    copy_demo(folder.path(), "quick");
    let bell = Bell::start_with(Options { apps: folder.path().to_owned(), ..Options::test() }).await;
    let (slow, quick) = (Receiver::start(KEY).await, Receiver::start(KEY).await);
    bell.stack.put_settings("demo", &settings(&slow.url())).await.unwrap();
    bell.stack.put_settings("quick", &settings(&quick.url())).await.unwrap();
    let both = async |id: &str| {
        taken(&bell, &text_message(id, &["aaa"])).await;
        let answer = bell.caller.post("/hooks/quick/demo-secret/imkit", &[], &text_message(id, &["q"])).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    // Nothing is to be learned about the apps any more: the slow one's post has five seconds.
    both("m0").await;
    bell.drained().await;
    assert_eq!((quick.results().len(), slow.results().len()), (1, 1));
    let before = slow.posts().len();
    slow.set(Mode::Hang);
    // Both are taken up by one invocation.
    bell.stack.aws.queues.pause("ReportQueue", true);
    both("m1").await;
    bell.until(|| depth(&bell, "ReportQueue").visible == 2).await;
    bell.stack.aws.queues.pause("ReportQueue", false);
    bell.until(|| quick.results().len() == 2 && slow.posts().len() > before).await;
    assert_eq!(depth(&bell, "ReportQueue").delayed, 0, "and the other one's post has not ended yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_does_not_want_is_kept_as_a_dead_letter_that_can_be_sent_again() {
    let receiver = Receiver::start(KEY).await;
    receiver.set(Mode::Status(410));
    let bell = reporting_to(&receiver).await;
    taken(&bell, &text_message("m1", &["aaa"])).await;
    bell.settled().await;
    let queues = &bell.stack.aws.queues;
    assert_eq!((receiver.posts().len(), depth(&bell, "ReportDeadLetters").visible), (1, 1));
    receiver.set(Mode::Take);
    let letter = queues.receive("ReportDeadLetters", 1, Duration::ZERO, None).await.unwrap().remove(0);
    queues.send("ReportQueue", &Outgoing { body: letter.body, group: letter.group, ..Outgoing::default() }).unwrap();
    bell.settled().await;
    let posts = receiver.posts();
    assert_eq!((posts.len(), &posts[0].id), (2, &posts[1].id));
    assert_eq!(receiver.results().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_three_days_is_given_up() {
    let receiver = Receiver::start(KEY).await;
    receiver.set(Mode::Status(503));
    let bell = reporting_to(&receiver).await;
    taken(&bell, &text_message("m1", &["aaa"])).await;
    in_time(&bell, || depth(&bell, "ReportDeadLetters").visible == 1).await;
    let tries = receiver.posts().len();
    assert!((8..=80).contains(&tries), "waits grow: {tries}");
    assert_eq!(depth(&bell, "ReportQueue").delayed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_s_retry_after_is_kept() {
    let receiver = Receiver::start(KEY).await;
    receiver.set(Mode::RetryAfter(600));
    let bell = reporting_to(&receiver).await;
    taken(&bell, &text_message("m1", &["aaa"])).await;
    bell.settled().await;
    receiver.set(Mode::Take);
    bell.stack.aws.queues.advance(Duration::from_secs(500)).unwrap();
    bell.settled().await;
    assert_eq!(receiver.posts().len(), 1);
    bell.stack.aws.queues.advance(Duration::from_secs(101)).unwrap();
    bell.settled().await;
    assert_eq!(receiver.posts().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_that_no_queue_takes_are_queued_when_the_record_comes_again_and_nobody_is_pushed_to_twice() {
    let receiver = Receiver::start(KEY).await;
    let bell = reporting_to(&receiver).await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    // SQS refuses, and the deferred table takes it.
    let refused = bell.fault(Rule::new(Target::Sqs, Effect::Refuse).table("ReportQueue"));
    taken(&bell, &text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert_eq!((bell.stack.aws.faults.fired(refused), receiver.posts().len()), (1, 0));
    assert!(bell.stack.tick("retry").await.unwrap().is_err(), "the queue refuses the timer too");
    // Neither takes it.
    let lost = bell.fault(Rule::new(Target::Dynamodb, Effect::Error500).action("PutItem").table("DeferredTable"));
    taken(&bell, &text_message("m2", &["aaa"])).await;
    bell.until(|| bell.stack.aws.faults.fired(lost) >= 3).await;
    bell.stack.aws.faults.clear();
    // The record is back, or is as if its worker had died.
    bell.stack.aws.queues.advance(Duration::from_secs(361)).unwrap();
    in_time(&bell, || receiver.results().len() == 2).await;
    assert_eq!(bell.stack.phones.accepted(), 2);
}
