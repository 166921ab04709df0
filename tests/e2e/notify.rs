//! Pushes to audiences in Lanying's words: who is told, how often, and what of a request a phone is sent.

use pushbell::time::Timestamp;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::runtime_api::Output;
use pushbell_local::stack::Options;
use serde_json::{Value, json};

use crate::bell::{Answer, Bell, processes};

const NOTIFY: &str = "/push/notify";

pub(crate) fn token(app: &str, role: &str, user: &str) -> String {
    pushbell::auth::jwt::sign_hs256(
        b"demo-user-key-0123456789abcdef0123456789ab",
        &json!({"app": app, "sub": user, "role": role, "exp": 4_000_000_000_u64}),
    )
}

fn code(answer: &Answer) -> (u16, u64) {
    (answer.status, answer.json()["code"].as_u64().unwrap())
}

impl Bell {
    /// The app's server calls.
    async fn asks(&self, path: &str, body: &Value) -> Answer {
        let token = token("demo", "admin", "console");
        self.caller.post(path, &[("app_id", "demo"), ("access-token", &token)], body).await
    }

    /// Pushes, and gives the task.
    async fn pushes(&self, body: &Value) -> Value {
        let answer = self.asks(NOTIFY, body).await;
        assert_eq!((code(&answer), &answer.json()["message"]), ((200, 200), &Value::Null), "{}", answer.text);
        answer.json()["data"]["task_id"].clone()
    }

    /// A user says something about themself.
    async fn user_says(&self, user: &str, path: &str, body: &Value) {
        let token = token("demo", "user", user);
        let answer = self.caller.post(path, &[("app_id", "demo"), ("access-token", &token)], body).await;
        assert_eq!(code(&answer), (200, 200), "{}", answer.text);
    }

    /// How many notifications of `body` each of these Android phones got.
    fn told(&self, tokens: &[&str], body: &str) -> Vec<usize> {
        let of = |token: &&str| self.android(token).iter().filter(|shown| shown.body.as_deref() == Some(body)).count();
        tokens.iter().map(of).collect()
    }

    async fn push_tokens(&self, user: &str) -> Vec<Value> {
        let token = token("demo", "user", user);
        let answer = self.caller.get("/user/device/list", &[("app_id", "demo"), ("access-token", &token)]).await;
        let devices = answer.json()["data"].as_array().unwrap().clone();
        devices.into_iter().map(|device| device["push_token"].clone()).collect()
    }

    async fn all_delivered(&self, task: &Value) -> i64 {
        let outcomes = self.outcomes(task).await;
        assert!(outcomes.keys().all(|outcome| outcome == "delivered"), "{outcomes:?}");
        outcomes.values().sum()
    }
}

/// A push of `text` to `audience`.
fn to(audience: Value, text: &str) -> Value {
    json!({"audience": audience, "message": {"title": "t", "body": text}})
}

#[tokio::test(flavor = "multi_thread")]
async fn each_audience_reaches_its_phones_once_and_nobody_else_s() {
    let bell = Bell::start().await;
    let phones = ["a1", "a2", "b1", "c1"];
    for (user, phone) in [("aaa", "a1"), ("aaa", "a2"), ("bbb", "b1"), ("ccc", "c1")] {
        bell.caller.register(user, "android", phone).await;
    }
    bell.caller.register("aaa", "ios", "0a11").await;
    bell.user_says("aaa", "/user/push/tag", &json!({"tags": ["riders", "berlin"]})).await;
    bell.user_says("bbb", "/user/push/tag", &json!({"tags": ["berlin"]})).await;
    bell.user_says("ccc", "/user/push/alias", &json!({"alias": "rider-12"})).await;
    let own = bell.push_tokens("aaa").await;
    let (second, third) = (bell.push_tokens("bbb").await.remove(0), own[1].clone());
    for (name, audience, expected, iphone) in [
        ("all", json!("all"), [1, 1, 1, 1], 1),
        ("two tags", json!({"tag": ["riders", "berlin"]}), [1, 1, 1, 0], 1),
        ("one tag", json!({"tag": ["riders"]}), [1, 1, 0, 0], 1),
        ("alias", json!({"alias": ["rider-12", "nobody"]}), [0, 0, 0, 1], 0),
        ("users", json!({"user_id": ["aaa", "ccc", "aaa"]}), [1, 1, 0, 1], 1),
        ("tokens", json!({"push_token": [third, second]}), [0, 1, 1, 0], 0),
    ] {
        let task = bell.pushes(&to(audience, name)).await;
        bell.drained().await;
        assert_eq!(bell.told(&phones, name), expected, "{name}");
        let shown = bell.iphone("0a11").iter().filter(|shown| shown.body.as_deref() == Some(name)).count();
        assert_eq!(shown, iphone, "{name}");
        let sent: usize = expected.iter().sum::<usize>() + iphone;
        assert_eq!(bell.all_delivered(&task).await, i64::try_from(sent).unwrap(), "{name}");
    }
    // Nobody has the tag: a task with nothing in it.
    let nobody = bell.pushes(&to(json!({"tag": ["nobody"]}), "nobody")).await;
    bell.drained().await;
    assert_eq!(bell.all_delivered(&nobody).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_is_the_same_task_and_shows_once() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "a1").await;
    let request = |body: &str| {
        let mut push = to(json!({"user_id": ["aaa"]}), body);
        push["setting"] = json!({"request_id": "r1"});
        push
    };
    let body = request("hello");
    let eight = futures_util::future::join_all((0..8).map(|_| bell.pushes(&body))).await;
    bell.drained().await;
    let again = bell.pushes(&body).await;
    let changed = bell.pushes(&request("another text")).await;
    bell.drained().await;
    assert!(eight.iter().all(|task| *task == again) && changed == again, "{eight:?}");
    assert_eq!((bell.told(&["a1"], "hello"), bell.android("a1").len()), (vec![1], 1));
    assert_eq!(bell.stack.phones.accepted(), 1, "nothing was sent twice and replaced");
    assert_eq!((bell.all_delivered(&again).await, bell.badge("aaa").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_over_eight_connections_to_several_processes_is_one_task() {
    let options = Options { processes: Some(processes(4, Output::Hidden)), ..Options::test() };
    let bell = Bell::start_with(options).await;
    for n in 0..120 {
        bell.caller.register(&format!("c{n}"), "android", &format!("fcm-{n}")).await;
    }
    let users: Vec<String> = (0..120).map(|n| format!("c{n}")).collect();
    for (request, audience, phones) in [("list", json!({"user_id": users}), 120), ("all", json!("all"), 240)] {
        let mut push = to(audience, request);
        push["setting"] = json!({"request_id": request});
        let eight = futures_util::future::join_all((0..8).map(|_| bell.pushes(&push))).await;
        assert!(eight.iter().all(|task| *task == eight[0]), "{eight:?}");
        bell.drained().await;
        assert_eq!((bell.all_delivered(&eight[0]).await, bell.stack.phones.accepted()), (120, phones), "{request}");
    }
    assert_eq!(bell.badge("c0").await, 2);
}

/// A push to `aaa` that begins so many seconds from now.
fn later(seconds: u64) -> (Value, u64) {
    let begin = Timestamp::now().as_secs() + seconds;
    let message = json!({"body": "later", "show_begin_time": begin, "show_end_time": begin + 3600});
    (json!({"audience": {"user_id": ["aaa"]}, "message": message}), begin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_for_later_is_sent_when_it_is_due_and_says_its_times() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "a1").await;
    let (body, begin) = later(600);
    let task = bell.pushes(&body).await;
    bell.settled().await;
    assert!(bell.android("a1").is_empty() && bell.outcomes(&task).await.is_empty());
    bell.stack.aws.queues.advance(std::time::Duration::from_secs(601)).unwrap();
    bell.settled().await;
    let [shown] = &bell.android("a1")[..] else { panic!("one") };
    let data = &shown.payload["data"];
    let times = [begin, begin + 3600].map(|time| time.to_string());
    assert_eq!(
        ["show_begin_time", "show_end_time"].map(|name| data[name].as_str()),
        times.each_ref().map(|time| Some(time.as_str()))
    );
    assert_eq!(bell.all_delivered(&task).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_taken_back_before_it_is_due_is_not_sent_and_not_counted() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "a1").await;
    let task = bell.pushes(&later(600).0).await;
    let before = Timestamp::now().as_millis();
    let cancel = bell.asks("/push/task/cancel", &json!({"task_id": task})).await.json();
    assert_eq!((&cancel["code"], &cancel["data"]["task_id"]), (&json!(200), &task), "{cancel}");
    let at = cancel["data"]["cancelled_at"].as_u64().unwrap();
    assert!((before..=Timestamp::now().as_millis()).contains(&at), "{at}");
    assert_eq!(bell.asks("/push/task/cancel", &json!({"task_id": task})).await.json(), cancel, "again");
    bell.drained().await;
    assert!(bell.android("a1").is_empty());
    assert_eq!(bell.outcomes(&task).await, [("cancelled".to_owned(), 1)].into());
    assert_eq!(bell.badge("aaa").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_code_of_the_interface_is_answered_where_it_belongs() {
    let bell = Bell::start().await;
    let (admin, user) = (token("demo", "admin", "console"), token("demo", "user", "aaa"));
    let body = to(json!("all"), "b");
    let as_app = |app: &'static str, token: &str| {
        let (token, body) = (token.to_owned(), body.clone());
        let bell = &bell;
        async move { bell.caller.post(NOTIFY, &[("app_id", app), ("access-token", &token)], &body).await }
    };
    assert_eq!(code(&as_app("demo", &user).await), (200, 10010));
    assert_eq!(code(&as_app("demo", "x").await), (200, 10008));
    assert_eq!(code(&as_app("demo-deliver", &admin).await), (200, 10008), "another app's");
    assert_eq!(code(&as_app("nobody", &admin).await), (200, 40000));
    assert_eq!(code(&bell.caller.post(NOTIFY, &[("app_id", "demo")], &body).await), (200, 10003));
    assert_eq!(code(&bell.caller.post(NOTIFY, &[("access-token", &admin)], &body).await), (200, 10002));
    assert_eq!(code(&bell.asks(NOTIFY, &to(json!({"tag": [1]}), "b")).await), (200, 10002));
    assert_eq!(code(&bell.asks(NOTIFY, &to(json!({"tag": vec!["a"; 501]}), "b")).await), (200, 12005));
    assert_eq!(
        code(&bell.asks(NOTIFY, &to(json!({"user_id": (0..501).collect::<Vec<_>>()}), "b")).await),
        (200, 12005)
    );
    assert_eq!(code(&bell.asks("/push/task/cancel", &json!({"task_id": 7})).await), (200, 10002));
    let certificate = async |app: &str, token: &str, query: &str| {
        let headers = [("app_id", app), ("access-token", token)];
        bell.caller.get(&format!("/push/certificate{query}"), &headers).await
    };
    assert_eq!(certificate("demo", &admin, "?provider=7").await.json()["data"]["app_id"], "pushbell-demo");
    assert_eq!(code(&certificate("demo", &admin, "?provider=1").await), (200, 10002), "none is stored");
    assert_eq!(code(&certificate("demo", &admin, "").await), (200, 10002));
    assert_eq!(code(&certificate("demo", &user, "?provider=7").await), (200, 10010));
    let other = token("demo-deliver", "admin", "console");
    assert_eq!(code(&certificate("demo-deliver", &other, "?provider=7").await), (200, 10010), "off unless switched on");
    bell.fault(Rule::new(Target::Dynamodb, Effect::Refuse));
    bell.fault(Rule::new(Target::Sqs, Effect::Refuse));
    let trouble = bell.asks(NOTIFY, &body).await;
    assert_eq!((code(&trouble), &trouble.headers["retry-after"]), ((503, 503), &http::HeaderValue::from_static("5")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_badge_is_a_total_or_what_is_added_and_one_by_itself() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "a1").await;
    let push = async |badge: Value| {
        bell.pushes(&json!({"audience": {"user_id": ["aaa"]}, "message": {"body": "b", "badge": badge}})).await;
        bell.drained().await;
        let shown = bell.android("a1").first().and_then(|shown| shown.badge);
        (shown, bell.badge("aaa").await)
    };
    for (badge, expected) in [("3", 3), ("+2", 5), ("7", 7), ("", 8), ("+0", 8), ("0", 0)] {
        assert_eq!(push(json!(badge)).await, (Some(expected), expected), "{badge:?}");
    }
    let cmd = json!({"audience": {"user_id": ["aaa"]}, "message": {"type": "cmd", "ext": {"a": 1}}});
    bell.pushes(&cmd).await;
    bell.drained().await;
    let (last, badge) = (bell.android("a1").swap_remove(0), bell.badge("aaa").await);
    assert_eq!((last.silent, last.payload["data"]["a"].as_str(), badge), (true, Some("1"), 0));
}
