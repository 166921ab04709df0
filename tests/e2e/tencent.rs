//! Tencent's push callbacks: what is taken, and that each event counts once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use pushbell::auth::jwt::sign_hs256;
use pushbell::auth::tencent::sign;
use pushbell::time::Timestamp;
use pushbell_local::faults::{Effect, Rule, Target};
use serde_json::{Value, json};

use crate::bell::{API_KEY, Answer, Bell};

const HOOK: &str = "/hooks/demo/demo-secret/tencent";
const TOKEN: &str = "pb-demo-token-01";

macro_rules! body_of {
    ($name:literal) => {
        body(include_str!(concat!("../../events/push-results/", $name, ".json")))
    };
}

/// The body of a sample.
fn body(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap();
    event["body"].as_str().unwrap().to_owned()
}

/// An address of the demo app with its signature at `time`.
pub fn signed(address: &str, time: u64) -> String {
    format!("{address}&Sign={}&RequestTime={time}", sign(TOKEN, &time.to_string()))
}

fn address(app: &str, command: &str) -> String {
    format!("{HOOK}?SdkAppid={app}&CallbackCommand={command}&contenttype=json")
}

async fn call(bell: &Bell, address: &str, body: &str) -> Answer {
    bell.caller.send("POST", address, &[("content-type", "application/json")], body.to_owned()).await
}

/// A stack whose function knows the app: the first call of a process has no time for that on a slow machine.
async fn start() -> Bell {
    let bell = Bell::start().await;
    while tell(&bell, "Alert.RequestOverLimit", "{}").await.status == 503 {}
    bell
}

/// As Tencent calls now.
async fn tell(bell: &Bell, command: &str, body: &str) -> Answer {
    let address = address("1400000001", command);
    call(bell, &signed(&address, Timestamp::now().as_secs()), body).await
}

#[track_caller]
fn taken(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.text, r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}"#);
}

#[track_caller]
fn refused(answer: &Answer, status: u16, reason: &str) {
    let said = answer.json();
    assert_eq!((answer.status, &said["ActionStatus"], &said["ErrorCode"]), (status, &json!("FAILURE"), &json!(1)));
    assert!(said["ErrorInfo"].as_str().unwrap().contains(reason), "{said}");
}

async fn stats(bell: &Bell, query: &str) -> Value {
    let answer = bell.caller.get(&format!("/push/stats?{query}"), &[API_KEY]).await;
    assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(200)), "{}", answer.text);
    answer.json()["data"].clone()
}

/// What was reported of pushes and tasks, in the order of their ids.
async fn pushes(bell: &Bell, ids: &[String]) -> Vec<Value> {
    let claims = json!({"app": "demo", "sub": "admin", "role": "admin", "exp": 4_000_000_000_u64});
    let token = sign_hs256(b"demo-user-key-0123456789abcdef0123456789ab", &claims);
    let headers = [("app_id", "demo"), ("access-token", token.as_str())];
    let answer = bell.caller.post("/push/task/detail", &headers, &json!({"push_ids": ids})).await;
    assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(200)), "{}", answer.text);
    answer.json()["data"].as_array().unwrap().clone()
}

/// Sent, delivered, clicked, failed.
fn sums(row: &Value) -> [u64; 4] {
    ["sent", "delivered", "clicked", "failed"].map(|name| row[name].as_u64().unwrap_or_else(|| panic!("{name}: {row}")))
}

/// An event of the second of January 2026.
fn push(id: &str) -> Value {
    json!({
        "CallbackCommand": "Push.OfflinePush", "EventType": 1, "EventTime": 1_767_312_000, "From_Account": "ana", "To_Account": "bo",
        "PushPlatform": 4, "PushStage": 1, "MsgKey": "1_2_3", "MsgSeq": 1, "MsgRandom": 3_054_198_827_u32, "MsgTime": 1_767_312_000,
        "PushID": id, "ErrCode": 0, "ErrInfo": "OK"
    })
}

fn events(events: &[Value]) -> String {
    json!({"Events": events}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_s_sample_and_the_examples_are_counted_and_sent_twice_nothing_changes() {
    let bell = start().await;
    for _ in 0..2 {
        taken(&tell(&bell, "Push.OfflinePush", &body_of!("page-sample")).await);
        taken(&tell(&bell, "Push.OfflinePush", &body_of!("reference-example")).await);
        taken(&tell(&bell, "Push.OfflinePush", &body_of!("signed")).await);
        taken(&tell(&bell, "Push.AllMemberPush", &body_of!("all-member")).await);
        bell.settled().await;
        // The page's events are of 2019.
        assert_eq!(sums(&stats(&bell, "from=2019-05-10&to=2019-05-10").await["total"]), [2, 0, 0, 0]);
        let data = stats(&bell, "from=2026-01-01&to=2026-01-01&by=vendor").await;
        assert_eq!(sums(&data["total"]), [2, 2, 0, 2], "{data}");
        let vendors: Vec<_> =
            data["rows"].as_array().unwrap().iter().map(|row| (row["vendor"].clone(), sums(row))).collect();
        let expected = [
            (json!("unknown"), [0, 1, 0, 0]),
            (json!("apns"), [0, 0, 0, 1]),
            (json!("fcm"), [2, 1, 0, 0]),
            (json!("oppo"), [0, 0, 0, 1]),
        ];
        assert_eq!(vendors, expected);
        let ids = ["69560c00_b60a_200001_77", "69560c00_b60a_200001_78", "demo_task_20260101_1", "no_such_push"];
        let told = pushes(&bell, &ids.map(str::to_owned)).await;
        assert_eq!(told.iter().map(sums).collect::<Vec<_>>(), [[1, 0, 0, 0], [0, 0, 0, 1], [1, 2, 0, 1], [0; 4]]);
        let failed = &told[1]["codes"][0];
        assert_eq!((&failed["err_code"], &failed["err_info"]), (&json!(410), &json!("Unregistered")));
        assert_eq!((&failed["class"], &failed["push_platform"]), (&json!("dead_token"), &json!(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_to_show_the_app_s_secret_number_and_signature() {
    let bell = start().await;
    let now = Timestamp::now().as_secs();
    let (body, page) = (events(&[push("p1")]), address("1400000001", "Push.OfflinePush"));
    taken(&call(&bell, &signed(&page, now), &body).await);
    taken(&call(&bell, &signed(&page, now - 30), &body).await);
    let upper = format!("{page}&RequestTime={now}&Sign={}", sign(TOKEN, &now.to_string()).to_uppercase());
    taken(&call(&bell, &upper, &body).await);

    refused(&call(&bell, &page, &body).await, 401, "Sign is missing");
    refused(&call(&bell, &format!("{page}&Sign=&RequestTime={now}"), &body).await, 401, "Sign is missing");
    let other = sign("xxxxyyyy", &now.to_string());
    refused(&call(&bell, &format!("{page}&Sign={other}&RequestTime={now}"), &body).await, 401, "Sign is not made");
    // The signature is of another time than the one that is said.
    let moved = format!("{page}&Sign={}&RequestTime={now}", sign(TOKEN, &(now - 1).to_string()));
    refused(&call(&bell, &moved, &body).await, 401, "Sign is not made");
    for time in [now - 100, now + 100] {
        refused(&call(&bell, &signed(&page, time), &body).await, 401, "more than a minute");
    }
    let without_time = format!("{page}&Sign={}", sign(TOKEN, &now.to_string()));
    refused(&call(&bell, &without_time, &body).await, 401, "RequestTime is missing");

    let other = address("1400000002", "Push.OfflinePush");
    refused(&call(&bell, &signed(&other, now), &body).await, 403, "SdkAppid is not this app's");
    let wrong = signed(&page, now).replace("demo-secret", "wrong");
    refused(&call(&bell, &wrong, &body).await, 401, "secret");
    let nobody = signed(&page, now).replace("/demo/", "/nobody/");
    refused(&call(&bell, &nobody, &body).await, 404, "no such app");
    // An app that is not set up for it.
    let unset = signed(&page, now).replace("/demo/", "/demo-deliver/");
    refused(&call(&bell, &unset, &body).await, 403, "tencent.sdk_app_id");
    let got = bell.caller.get(&signed(&page, now), &[]).await;
    refused(&got, 405, "only POST");
    assert_eq!(got.headers["allow"], "POST");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_by_name_and_one_bad_event_does_not_lose_the_others() {
    let bell = start().await;
    let of = |body: String| {
        let bell = &bell;
        async move { tell(bell, "Push.OfflinePush", &body).await }
    };
    refused(&of(events(&[])).await, 200, "Events must hold 1 to 100 events, and holds 0");
    refused(&of(events(&vec![push("p1"); 101])).await, 200, "and holds 101");
    refused(&of("{}".to_owned()).await, 200, "Events is missing");
    refused(&of(r#"{"Events": {}}"#.to_owned()).await, 200, "Events must be an array");
    refused(&of(String::new()).await, 200, "no body");
    let commented = body_of!("page-sample").replacen('[', "[ // The length of the events array\n", 1);
    refused(&of(commented).await, 200, "comments");
    let trailing = body_of!("page-sample").replacen("\"OK\"}", "\"OK\",}", 1);
    refused(&of(trailing).await, 200, "trailing commas");
    let mut bad = push("p2");
    bad["MsgRandom"] = json!(-1);
    refused(&of(events(std::slice::from_ref(&bad))).await, 200, "MsgRandom");
    refused(&of(events(&[json!({"TaskId": "t"})])).await, 200, "PushID is missing");
    let none = signed(&format!("{HOOK}?SdkAppid=1400000001"), Timestamp::now().as_secs());
    refused(&call(&bell, &none, "{}").await, 200, "CallbackCommand is missing");
    // Another callback: one address serves all.
    taken(&tell(&bell, "Alert.RequestOverLimit", r#"{"not": "ours"}"#).await);

    let mut hundred: Vec<Value> = (0..100).map(|n| push(&format!("p{n}"))).collect();
    hundred[41] = bad;
    taken(&of(events(&hundred)).await);
    bell.settled().await;
    assert_eq!(sums(&stats(&bell, "from=2026-01-02&to=2026-01-02").await["total"]), [99, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_queue_refuses_is_counted_later_and_only_with_nothing_to_keep_it_the_call_fails() {
    let bell = start().await;
    let body = events(&[push("p1"), push("p2")]);
    let refuses = bell.fault(Rule::new(Target::Sqs, Effect::Refuse));
    taken(&tell(&bell, "Push.OfflinePush", &body).await);
    bell.settled().await;
    let total = || async { sums(&stats(&bell, "from=2026-01-02&to=2026-01-02").await["total"]) };
    assert_eq!(total().await, [0; 4]);
    let table = bell.fault(Rule::new(Target::Dynamodb, Effect::Refuse).table("DeferredTable"));
    let lost = tell(&bell, "Push.OfflinePush", &events(&[push("p3")])).await;
    refused(&lost, 503, "nothing was taken");
    assert!(bell.stack.aws.faults.remove(refuses) && bell.stack.aws.faults.remove(table));
    bell.stack.tick("retry").await.unwrap().unwrap();
    bell.settled().await;
    assert_eq!(total().await, [2, 0, 0, 0]);
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(n).unwrap()).unwrap()
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }

    /// Cut into callbacks of 1 to 100 events.
    fn callbacks(&mut self, mut all: Vec<Value>) -> Vec<String> {
        let mut callbacks = Vec::new();
        while !all.is_empty() {
            let n = (1 + self.below(100)).min(all.len());
            callbacks.push(events(&all.split_off(all.len() - n)));
        }
        callbacks
    }
}

/// Each vendor's word, a code of its own, and the class of that.
const FAILURES: [(&str, i64, &str); 9] = [
    ("unknown", 1, "retry"),
    ("apns", 410, "dead_token"),
    ("xiaomi", 10_027, "throttled"),
    ("huawei", 80_300_007, "dead_token"),
    ("fcm", 404, "dead_token"),
    ("meizu", 110_019, "quota"),
    ("oppo", 55, "throttled"),
    ("vivo", 987, "unrecognised"),
    ("honor", 401, "misconfigured"),
];

/// Works everything off, whatever it takes: what failed becomes visible again, what is deferred is handed on.
async fn worked_off(bell: &Bell) {
    for round in 0..20 {
        bell.stack.quiet().await.unwrap();
        // A record that fails five times is given up.
        if round == 2 {
            bell.stack.aws.faults.clear();
        }
        let _ = bell.stack.tick("retry").await.unwrap();
        bell.stack.quiet().await.unwrap();
        let depth = bell.stack.aws.queues.depth("ResultsQueue").unwrap();
        if round > 2 && depth.visible + depth.in_flight + depth.delayed == 0 {
            return;
        }
        bell.stack.aws.queues.advance(Duration::from_secs(400)).unwrap();
    }
    panic!("there is no end to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_events_in_any_order_with_repeats_are_counted_once_each_while_the_table_throttles() {
    const PUSHES: usize = 2_250;
    const TASK_EVENTS: usize = 1_000;
    let bell = start().await;
    let mut dice = Dice(0x5eed_cafe_f00d_0001);
    let mut by_day = [[0_u64; 4]; 2];
    let mut by_vendor: BTreeMap<&str, [u64; 4]> = BTreeMap::new();
    let mut failures: BTreeMap<&str, u64> = BTreeMap::new();
    let mut by_push = vec![[0_u64; 4]; PUSHES];
    let mut note = |index: usize, vendor: usize, time: usize, push: Option<usize>| {
        by_day[time / 86_400][index] += 1;
        by_vendor.entry(FAILURES[vendor].0).or_default()[index] += 1;
        if index == 3 {
            *failures.entry(FAILURES[vendor].2).or_default() += 1;
        }
        if let Some(push) = push {
            by_push[push][index] += 1;
        }
    };
    // Of each push: sent, delivered and clicked on one account's phone, and not taken for another's.
    let mut told = Vec::new();
    for n in 0..PUSHES {
        for stage in 0..4 {
            let (vendor, time) = (n % 9, (n * 4 + stage) * 19 % (2 * 86_400));
            let mut event = push(&format!("push-{n}"));
            event["EventTime"] = json!(1_767_225_600 + time);
            event["PushPlatform"] = json!(vendor);
            event["PushStage"] = json!(stage % 3 + 1);
            if stage == 3 {
                event["To_Account"] = json!("cy");
                event["ErrCode"] = json!(FAILURES[vendor].1);
            }
            note(stage, vendor, time, Some(n));
            told.push(event);
        }
    }
    let mut of_tasks = Vec::new();
    for n in 0..TASK_EVENTS {
        let (vendor, time) = (n % 9, n * 172 % (2 * 86_400));
        note(0, vendor, time, None);
        of_tasks.push(json!({
            "CallbackCommand": "Push.AllMemberPush", "EventType": 1, "TaskId": format!("task-{}", n % 4), "TaskTime": 1_767_225_600,
            "EventTime": 1_767_225_600 + time, "To_Account": format!("u{n}"), "PushPlatform": vendor, "PushStage": 1,
            "ErrCode": 0, "ErrInfo": ""
        }));
    }
    assert_eq!(told.len() + of_tasks.len(), 10_000);
    let mut callbacks = Vec::new();
    for (command, mut all) in [("Push.OfflinePush", told), ("Push.AllMemberPush", of_tasks)] {
        for _ in 0..all.len() / 5 {
            all.push(all[dice.below(all.len())].clone());
        }
        dice.shuffle(&mut all);
        callbacks.extend(dice.callbacks(all).into_iter().map(|body| (command, body)));
    }
    dice.shuffle(&mut callbacks);

    let throttles = bell.fault(Rule::new(Target::Dynamodb, Effect::Throttle).table("TasksTable").rate(0.15));
    bell.fault(Rule::new(Target::Dynamodb, Effect::LoseAnswer).table("TasksTable").rate(0.02));
    bell.fault(Rule::new(Target::Sqs, Effect::Refuse).rate(0.1));
    // Two invocations of one record at once, and records that come again although they were worked off.
    bell.fault(Rule::new(Target::Mapping, Effect::Duplicate).table("ResultsQueue").rate(0.1));
    bell.fault(Rule::new(Target::Mapping, Effect::KeepRecords).table("ResultsQueue").rate(0.1));
    // A callback has less than two seconds: nobody counts beside it, and what was not taken in time is told again.
    bell.stack.aws.queues.pause("ResultsQueue", true);
    let calls = callbacks.iter().map(async |(command, body)| {
        let mut answer = tell(&bell, command, body).await;
        while answer.status == 503 {
            answer = tell(&bell, command, body).await;
        }
        taken(&answer);
    });
    stream::iter(calls).buffer_unordered(8).collect::<()>().await;
    bell.stack.aws.queues.pause("ResultsQueue", false);
    bell.stack.quiet().await.unwrap();
    let throttled = bell.stack.aws.faults.fired(throttles);
    assert!(throttled > 100, "the table throttled {throttled} times");
    worked_off(&bell).await;
    assert_eq!(bell.stack.aws.queues.depth("ResultsDeadLetters").unwrap().visible, 0);

    let days = "from=2026-01-01&to=2026-01-02";
    let data = stats(&bell, days).await;
    let rows: Vec<_> = data["rows"].as_array().unwrap().iter().map(sums).collect();
    assert_eq!(rows, by_day);
    assert_eq!(sums(&data["total"]).iter().sum::<u64>(), 10_000);
    for (class, n) in data["total"]["failed_by_class"].as_object().unwrap() {
        assert_eq!(n.as_u64().unwrap(), failures.get(class.as_str()).copied().unwrap_or_default(), "{class}");
    }
    let data = stats(&bell, &format!("{days}&by=vendor")).await;
    let rows: BTreeMap<_, _> =
        data["rows"].as_array().unwrap().iter().map(|row| (row["vendor"].as_str().unwrap(), sums(row))).collect();
    assert_eq!(rows, by_vendor);
    let codes: BTreeMap<_, _> = data["codes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| (code["err_code"].as_i64().unwrap(), code["count"].as_u64().unwrap()))
        .collect();
    let expected = FAILURES.map(|(vendor, code, _)| (code, by_vendor[vendor][3]));
    assert_eq!(codes, BTreeMap::from(expected));
    for first in (0..PUSHES).step_by(100) {
        let ids: Vec<String> = (first..(first + 100).min(PUSHES)).map(|n| format!("push-{n}")).collect();
        let rows: Vec<_> = pushes(&bell, &ids).await.iter().map(sums).collect();
        assert_eq!(rows, by_push[first..first + ids.len()]);
    }
    let tasks: Vec<String> = (0..4).map(|n| format!("task-{n}")).collect();
    let rows: Vec<_> = pushes(&bell, &tasks).await.iter().map(sums).collect();
    assert_eq!(rows, [[250, 0, 0, 0]; 4]);
}
