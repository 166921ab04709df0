//! Chunks as fan-out queues them: chosen devices, roads, heads of cancelled tasks, totals.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pushbell::delivery::Channel as Road;
use pushbell::id::{AppId, ClientId, DeviceKey, TaskId};
use pushbell::recipient::Recipients;
use pushbell::task::{Attempt, Extent, Head, Outcome, ResultRow, Results, TaskKey};
use pushbell::time::Timestamp;
use pushbell_local::aws::sqs::Outgoing;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::phones::View;
use serde_json::{Value, json};

use crate::bell::{API_KEY, Bell};

const TASK: u64 = 77;

fn key() -> TaskKey {
    TaskKey { task: TaskId::from_number(TASK).unwrap(), nonce: "abcdefgh".to_owned() }
}

fn app() -> AppId {
    AppId::parse("demo").unwrap()
}

/// A chunk of the task to `to`. `message` is laid over a short text.
fn chunk(to: &Value, message: &Value) -> Value {
    let mut whole = json!({
        "origin": {"app": "demo", "dialect": "lanying", "message": "77-abcdefgh"}, "text": {"title": "T", "body": "B"},
    });
    whole.as_object_mut().unwrap().extend(message.as_object().unwrap().clone());
    json!({
        "task": TASK, "nonce": "abcdefgh", "seq": 0, "claimed_at": Timestamp::now().as_millis(), "message": whole, "to": to,
    })
}

/// A stack whose `deliver` is given chunks.
struct Chunks(Bell);

impl std::ops::Deref for Chunks {
    type Target = Bell;

    fn deref(&self) -> &Bell {
        &self.0
    }
}

impl Chunks {
    async fn start() -> Self {
        Self(Bell::start().await)
    }

    fn queue_chunk(&self, chunk: &Value) {
        let record = Outgoing { body: chunk.to_string(), group: Some("demo".to_owned()), ..Outgoing::default() };
        self.stack.aws.queues.send("DeliverQueue", &record).unwrap();
    }

    /// A phone of `user` on a road that only Lanying's callers name.
    async fn bind(&self, user: &str, number: u64, token: &str, notifier: &str) {
        let claims = json!({"app": "demo", "sub": user, "role": "user", "exp": 4_000_000_000_u64});
        let jwt = pushbell::auth::jwt::sign_hs256(b"demo-user-key-0123456789abcdef0123456789ab", &claims);
        let body = json!({"device_sn": number, "device_token": token, "notifier_name": notifier});
        let headers = [("app_id", "demo"), ("access-token", jwt.as_str())];
        let answer = self.caller.post("/user/token/bind", &headers, &body).await;
        assert_eq!(answer.json()["code"], 200, "{}", answer.text);
    }

    async fn device(&self, client: &str, token: &str) -> DeviceKey {
        let recipients = Recipients::new(&self.operator()).unwrap();
        let found = recipients.get(&app(), &ClientId::parse(client).unwrap(), true).await.unwrap().unwrap();
        found.devices.into_iter().find(|device| device.token.expose() == token).unwrap().key
    }

    async fn row(&self, attempt: u64) -> Option<ResultRow> {
        let results = Results::new(&self.operator()).unwrap();
        results.get(&key(), 0, Attempt::from_number(attempt)).await.unwrap()
    }

    /// What became of whom on which road, in the first attempt.
    async fn fates(&self) -> Vec<(String, Option<Road>, Outcome)> {
        let results = self.row(0).await.unwrap().results.into_iter();
        results
            .flat_map(|result| {
                let client = result.client.to_string();
                result.fates.into_iter().map(move |fate| (client.clone(), fate.channel, fate.outcome))
            })
            .collect()
    }

    async fn sums(&self) -> BTreeMap<String, i64> {
        self.outcomes(&json!(TASK)).await
    }

    async fn cancel(&self) {
        let results = Results::new(&self.operator()).unwrap();
        assert!(results.cancel(&app(), key().task, Timestamp::now()).await.unwrap().is_some());
    }

    /// A worker of this test's own, which measures.
    fn deliver(&self) -> deliver::State {
        let variables = self.stack.variables("deliver").unwrap();
        let env = pushbell::env::Environment::from_lookup(|name| variables.get(name).cloned()).unwrap();
        deliver::State::new(&env).unwrap().measured()
    }

    async fn put_head(&self) {
        let at = Timestamp::now();
        let extent = Extent::Chunks(vec![ClientId::parse("aaa").unwrap()]);
        let head = Head {
            key: key(),
            app: app(),
            created_at: at,
            due: at,
            online_only: false,
            extent,
            queued: true,
            cancelled_at: None,
        };
        Results::new(&self.operator()).unwrap().put_head(&head).await.unwrap();
    }
}

fn sums(list: &[(&str, i64)]) -> BTreeMap<String, i64> {
    list.iter().map(|(outcome, n)| ((*outcome).to_owned(), *n)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_chosen_devices_each_has_a_fate_and_the_client_s_others_none() {
    let bell = Chunks::start().await;
    for token in ["f1", "f2"] {
        bell.caller.register("aaa", "android", token).await;
    }
    bell.caller.register("off", "android", "f3").await;
    let answer = bell
        .caller
        .send(
            "PATCH",
            "/me/preferences?clientId=off",
            &[API_KEY, ("content-type", "application/json")],
            json!({"push": false}).to_string(),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let (one, off) = (bell.device("aaa", "f1").await, bell.device("off", "f3").await);
    let gone = DeviceKey::of("android", "gone");
    let to = json!([{"c": "aaa", "o": [one, gone]}, {"c": "off", "o": [off, gone]}, {"c": "nobody", "o": [gone]}]);
    bell.queue_chunk(&chunk(&to, &json!({"badge": {"add": {"n": 1, "source": {"named": "badge"}}}})));
    bell.settled().await;
    assert_eq!((bell.android("f1").len(), bell.android("f2").len(), bell.android("f3").len()), (1, 0, 0));
    let fate = |client: &str, road, outcome| (client.to_owned(), road, outcome);
    let mut expected = [
        fate("aaa", None, Outcome::Gone),
        fate("aaa", Some(Road::Fcm), Outcome::Delivered),
        fate("off", None, Outcome::Gone),
        fate("off", Some(Road::Fcm), Outcome::Off),
        fate("nobody", None, Outcome::Gone),
    ];
    let mut fates = bell.fates().await;
    fates.sort();
    expected.sort();
    assert_eq!(fates, expected);
    assert_eq!((bell.badge("aaa").await, bell.badge("off").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_device_that_an_older_copy_of_its_client_lacks_is_sent_to_all_the_same() {
    let bell = Chunks::start().await;
    // Whoever does not ask for the item of now is answered with the item as its last count left it.
    bell.fault(Rule::new(Target::Dynamodb, Effect::Stale).action("GetItem").body_contains("\"ConsistentRead\":false"));
    bell.caller.register("aaa", "android", "f1").await;
    let state = bell.deliver();
    shows(&bell, &state, 1, json!({"add": {"n": 1, "source": {"named": "badge"}}})).await;
    bell.caller.register("aaa", "android", "f2").await;
    let to = json!([{"c": "aaa", "o": [bell.device("aaa", "f2").await]}]);
    bell.queue_chunk(&chunk(&to, &json!({"badge": "none"})));
    bell.settled().await;
    assert_eq!(bell.fates().await, [("aaa".to_owned(), Some(Road::Fcm), Outcome::Delivered)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_road_that_is_not_named_makes_no_target_and_a_live_connection_none_that_is_reached() {
    let bell = Chunks::start().await;
    bell.caller.register("aaa", "android", "f1").await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    bell.bind("aaa", 3, "huawei-1", "huawei").await;
    bell.caller.register("bbb", "android", "f2").await;
    let badge = json!({"add": {"n": 1, "source": {"named": "badge"}}});
    let to = json!(["aaa", {"c": "bbb", "o": [bell.device("bbb", "f2").await]}]);
    bell.queue_chunk(&chunk(&to, &json!({"roads": {"android": ["h"]}, "badge": badge})));
    bell.settled().await;
    let of = |sums: &[(&str, i64)]| self::sums(sums);
    assert_eq!(bell.sums().await, of(&[("delivered", 1), ("channel_unavailable", 1), ("no_device", 1)]));
    assert_eq!((bell.iphone("a1b2c3").len(), bell.stack.phones.accepted()), (1, 1));

    let online = json!({"roads": {"strategy": "online", "android": ["h"]}, "badge": badge});
    let mut second = chunk(&json!(["aaa", "nobody"]), &online);
    second["nonce"] = json!("bbbbbbbb");
    second["message"]["origin"]["message"] = json!("77-bbbbbbbb");
    bell.queue_chunk(&second);
    bell.settled().await;
    assert_eq!(bell.sums().await, of(&[("delivered", 1), ("channel_unavailable", 4), ("no_device", 2)]));
    assert_eq!((bell.stack.phones.accepted(), bell.badge("aaa").await), (1, 1), "what reaches nobody counts nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_cancelled_task_is_sent_or_counted_and_every_target_is_in_the_sums() {
    let bell = Chunks::start().await;
    bell.caller.register("aaa", "android", "f1").await;
    bell.caller.register("bbb", "android", "f2").await;
    bell.put_head().await;
    bell.cancel().await;
    let to = json!([
        "aaa", {"c": "bbb", "o": [bell.device("bbb", "f2").await, "x"]}, {"c": "ccc", "d": ["y"], "v": ["f"], "t": 1},
    ]);
    let mut cancelled = chunk(&to, &json!({"badge": {"add": {"n": 1, "source": {"named": "badge"}}}}));
    cancelled["headed"] = json!(true);
    bell.queue_chunk(&cancelled);
    bell.drained().await;
    assert_eq!(bell.sums().await, sums(&[("cancelled", 4)]));
    assert_eq!(bell.fates().await[3], ("ccc".to_owned(), Some(Road::Fcm), Outcome::Cancelled));
    let row = bell.row(0).await.unwrap();
    assert_eq!((row.tally, row.leftovers), (pushbell::task::Tally::default(), None));
    assert_eq!((bell.stack.phones.accepted(), bell.badge("aaa").await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_vendor_when_its_task_is_cancelled_is_not_sent() {
    let bell = Chunks::start().await;
    bell.caller.register("aaa", "android", "f1").await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    bell.put_head().await;
    bell.fault(Rule::new(Target::Fcm, Effect::Error429 { retry_after: 600 }).times(1));
    let mut headed = chunk(&json!(["aaa"]), &json!({}));
    headed["headed"] = json!(true);
    bell.queue_chunk(&headed);
    bell.settled().await;
    bell.cancel().await;
    bell.drained().await;
    assert_eq!(bell.sums().await, sums(&[("delivered", 1), ("cancelled", 1)]));
    assert_eq!((bell.iphone("a1b2c3").len(), bell.android("f1").len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_cannot_be_read_holds_the_chunk_back() {
    let bell = Chunks::start().await;
    bell.caller.register("aaa", "android", "f1").await;
    bell.put_head().await;
    let state = bell.deliver();
    let mut headed = chunk(&json!(["aaa"]), &json!({}));
    headed["headed"] = json!(true);
    bell.fault(Rule::new(Target::Dynamodb, Effect::Error500).action("GetItem").table("TasksTable"));
    assert_eq!(handle(&state, &headed).await, 1, "the record comes again");
    bell.stack.aws.faults.clear();
    assert_eq!((bell.stack.phones.accepted(), bell.row(0).await), (0, None));
    assert_eq!(handle(&state, &headed).await, 0);
    assert_eq!(bell.sums().await, sums(&[("delivered", 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_chunk_is_done_when_its_row_is_there() {
    let bell = Chunks::start().await;
    bell.queue_chunk(&chunk(&json!([]), &json!({})));
    bell.settled().await;
    let row = bell.row(0).await.unwrap();
    assert_eq!((row.results, row.leftovers), (Vec::new(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_are_told_the_task_to_report_by_whatever_the_caller_says() {
    let bell = Chunks::start().await;
    bell.caller.register("aaa", "android", "f1").await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    let told = json!({"behaviour": {"receipts": true}, "data": {"pushbell_task": "mine", "order": 771}});
    bell.queue_chunk(&chunk(&json!(["aaa"]), &told));
    bell.settled().await;
    let (android, iphone) = (bell.android("f1")[0].payload.clone(), bell.iphone("a1b2c3")[0].payload.clone());
    assert_eq!((&android["data"]["pushbell_task"], &android["data"]["order"]), (&json!("77"), &json!("771")));
    assert_eq!((&iphone["pushbell_task"], &iphone["order"]), (&json!(TASK), &json!(771)));
}

/// How many of one record come again.
async fn handle(state: &deliver::State, chunk: &Value) -> usize {
    let record = json!({"messageId": "r1", "body": chunk.to_string(), "attributes": {}, "messageAttributes": {}});
    let event = serde_json::from_value(json!({"Records": [record]})).unwrap();
    let response = deliver::handle(state, event, Instant::now() + Duration::from_secs(60)).await;
    response.batch_item_failures.len()
}

/// The badge that the phone of `aaa` shows after a chunk with `badge`, and the units that were written.
async fn shows(bell: &Chunks, state: &deliver::State, number: u64, badge: Value) -> (Option<i64>, f64) {
    let written = || {
        let (counts, others, _) = state.recipients().units().unwrap().snapshot();
        counts
            .into_iter()
            .fold(others, |sum, (units, times)| sum + f64::from(units) * f64::from(u32::try_from(times).unwrap()))
    };
    let before = written();
    let mut chunk = chunk(&json!(["aaa"]), &json!({"badge": badge}));
    chunk["nonce"] = json!(format!("nonce{number:03}"));
    chunk["message"]["origin"]["message"] = json!(format!("m{number}"));
    assert_eq!(handle(state, &chunk).await, 0);
    let newest = bell.stack.phones.notifications(pushbell_local::phones::Channel::Fcm, "f1", View::Raw).unwrap();
    (newest[0].badge, written() - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_badge_is_written_once_and_not_at_all_where_it_does_not_change() {
    let bell = Chunks::start().await;
    bell.caller.register("aaa", "android", "f1").await;
    let state = bell.deliver();
    let total = |n: u32| json!({"total": {"n": n, "source": "badge"}});
    let add = |n: u32| json!({"add": {"n": n, "source": {"named": "badge"}}});
    let mut shown = Vec::new();
    for (number, badge) in (0..).zip([total(3), add(2), total(7), total(7), add(1), add(0), json!("keep")]) {
        shown.push(shows(&bell, &state, number, badge).await);
    }
    let expected = [(3, 1.0), (5, 1.0), (7, 1.0), (7, 0.0), (8, 1.0), (8, 0.0), (8, 0.0)];
    assert_eq!(shown, expected.map(|(badge, units)| (Some(badge), units)));
    // The same record once more finds its row.
    let row = shows(&bell, &state, 0, total(3)).await;
    assert_eq!((row.1, bell.badge("aaa").await), (0.0, 8));
}
