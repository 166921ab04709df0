//! FCM's send call, over HTTP/2 and HTTP/1.1.

use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::phones::{Channel, View};
use serde_json::{Value, json};

use crate::oauth::{Assertion, exchange};
use crate::stack::Stack;

pub(crate) type Http = Client<HttpConnector, Full<bytes::Bytes>>;

pub(crate) fn http(two: bool) -> Http {
    Client::builder(TokioExecutor::new()).http2_only(two).build_http()
}

struct Sender<'a> {
    stack: &'a Stack,
    http: Http,
    bearer: String,
}

struct Answer {
    status: StatusCode,
    retry_after: Option<String>,
    body: Value,
}

impl Answer {
    fn error_code(&self) -> Option<&str> {
        self.body["error"]["details"][0]["errorCode"].as_str()
    }

    fn violation(&self) -> (&str, &str) {
        let details = self.body["error"]["details"].as_array().unwrap();
        let violation = &details.last().unwrap()["fieldViolations"][0];
        (violation["field"].as_str().unwrap(), violation["description"].as_str().unwrap())
    }
}

impl<'a> Sender<'a> {
    async fn new(stack: &'a Stack, two: bool) -> Self {
        let http = http(two);
        let (status, body) = exchange(&http, &Assertion::good(stack)).await;
        assert_eq!(status, StatusCode::OK);
        let bearer = body["access_token"].as_str().unwrap().to_owned();
        Self { stack, http, bearer }
    }

    async fn post(&self, project: &str, body: String) -> Result<Answer, hyper_util::client::legacy::Error> {
        let request = Request::post(format!("{}/v1/projects/{project}/messages:send", self.stack.vendors_url))
            .header("authorization", format!("Bearer {}", self.bearer))
            .header("content-type", "application/json")
            .body(Full::from(body))
            .unwrap();
        let reply = self.http.request(request).await?;
        let status = reply.status();
        let retry_after = reply.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        Ok(Answer { status, retry_after, body: serde_json::from_slice(&body).unwrap() })
    }

    async fn send(&self, message: Value) -> Answer {
        self.post("pushbell-demo", json!({ "message": message }).to_string()).await.unwrap()
    }
}

fn message(token: &str) -> Value {
    json!({"token": token, "notification": {"title": "T", "body": "B"}, "data": {"k": "v"}})
}

#[tokio::test]
async fn a_message_arrives_over_either_http() {
    let stack = Stack::start().await;
    for two in [true, false] {
        let sender = Sender::new(&stack, two).await;
        let answer = sender.send(message("t1")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body["name"].as_str().unwrap().starts_with("projects/pushbell-demo/messages/"));
    }
    let shown = stack.phones.wait_for(Channel::Fcm, "t1", 2).await.unwrap();
    assert_eq!(shown[0].title.as_deref(), Some("T"));
    assert_eq!(shown[0].payload["data"]["k"], "v");
    assert_eq!(stack.vendors.sends(), 2);
}

#[tokio::test]
async fn every_field_of_the_reference_is_taken_in_either_spelling() {
    let stack = Stack::start().await;
    let sender = Sender::new(&stack, true).await;
    let full = json!({
        "token": "t1",
        "notification": {"title": "T", "body": "B", "image": "https://x/i.png"},
        "data": {"a": "b"},
        "android": {
            "collapse_key": "c", "priority": "high", "ttl": "3600.5s",
            "notification": {
                "channel_id": "chat", "tag": "m1", "notification_count": 3, "sound": "s", "click_action": "OPEN",
                "title_loc_key": "k", "title_loc_args": ["a"], "visibility": "PRIVATE",
                "notification_priority": "PRIORITY_HIGH", "event_time": "2026-01-01T00:00:00Z",
                "light_settings": {"color": {"red": 0.5}, "light_on_duration": "1s", "light_off_duration": "2s"},
            },
        },
        "apns": {"headers": {"apns-priority": "10"}, "payload": {"aps": {"badge": 3}}, "fcm_options": {"image": "x"}},
        "webpush": {"headers": {"TTL": "60"}},
        "fcm_options": {"analytics_label": "chat"},
    });
    assert_eq!(sender.send(full).await.status, StatusCode::OK);
    let camel = json!({"token": "t1", "android": {"collapseKey": "c", "notification": {"channelId": "x"}}});
    assert_eq!(sender.send(camel).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_bad_message_is_refused_with_the_field_that_is_wrong() {
    let stack = Stack::start().await;
    let sender = Sender::new(&stack, true).await;
    let with = |part: Value| {
        let mut message = json!({"token": "t1"});
        message.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        message
    };
    for (part, field) in [
        (json!({"data": {"n": 1}}), "message.data[n]"),
        (json!({"data": "x"}), "message.data"),
        (json!({"data": {"from": "x"}}), "message.data"),
        (json!({"data": {"google.x": "x"}}), "message.data"),
        (json!({"data": {"gcm": "x"}}), "message.data"),
        (json!({"colour": "red"}), "message"),
        (json!({"notification": {"badge": 1}}), "message.notification"),
        (json!({"notification": {"title": 1}}), "message.notification.title"),
        (json!({"android": {"ttl": 60}}), "message.android.ttl"),
        (json!({"android": {"ttl": "60"}}), "message.android.ttl"),
        (json!({"android": {"ttl": "2419201s"}}), "message.android.ttl"),
        (json!({"android": {"priority": "URGENT"}}), "message.android.priority"),
        (
            json!({"android": {"notification": {"notification_count": "x"}}}),
            "message.android.notification.notification_count",
        ),
        (json!({"topic": "news"}), "message"),
        (json!({"token": null}), "message"),
        (json!({"token": ""}), "message.token"),
    ] {
        let answer = sender.send(with(part.clone())).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{part}");
        assert_eq!(answer.body["error"]["status"], "INVALID_ARGUMENT");
        assert_eq!(answer.violation().0, field, "{part}");
    }
    let unknown = sender.send(with(json!({"colour": "red"}))).await;
    let text = "Invalid JSON payload received. Unknown name \"colour\" at 'message': Cannot find field.";
    assert_eq!(unknown.violation().1, text);
    for body in ["", "{", "[]", "{}", r#"{"message":{"token":"t1"},"more":1}"#] {
        let answer = sender.post("pushbell-demo", body.to_owned()).await.unwrap();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
    assert!(stack.phones.list(View::Raw, None).unwrap().is_empty());
}

#[tokio::test]
async fn notification_and_data_have_4096_bytes() {
    let stack = Stack::start().await;
    let sender = Sender::new(&stack, true).await;
    let of = |bytes: usize| {
        // "title" and "k" are counted too.
        json!({"token": "t1", "notification": {"title": "T"}, "data": {"k": "x".repeat(bytes - 7)}})
    };
    assert_eq!(sender.send(of(4096)).await.status, StatusCode::OK);
    let answer = sender.send(of(4097)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.error_code(), Some("INVALID_ARGUMENT"));
    let payload = json!({"token": "t1", "apns": {"payload": {"aps": {"alert": "x".repeat(4096)}}}});
    assert_eq!(sender.send(payload).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_dead_token_is_unregistered() {
    let stack = Stack::start().await;
    let sender = Sender::new(&stack, true).await;
    stack.phones.set_dead(Channel::Fcm, "gone", true).unwrap();
    let answer = sender.send(message("gone")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.error_code(), Some("UNREGISTERED"));
    assert_eq!(answer.body["error"]["status"], "NOT_FOUND");
    assert!(stack.phones.list(View::Raw, None).unwrap().is_empty());
}

#[tokio::test]
async fn validate_only_reaches_no_phone() {
    let stack = Stack::start().await;
    let sender = Sender::new(&stack, true).await;
    let body = json!({"validate_only": true, "message": message("t1")}).to_string();
    assert_eq!(sender.post("pushbell-demo", body).await.unwrap().status, StatusCode::OK);
    assert!(stack.phones.list(View::Raw, None).unwrap().is_empty());
}

#[tokio::test]
async fn a_token_that_is_unknown_or_of_another_project_is_not_let_in() {
    let stack = Stack::start().await;
    let mut sender = Sender::new(&stack, true).await;
    let other = sender.post("another", json!({"message": message("t1")}).to_string()).await.unwrap();
    assert_eq!((other.status, &other.body["error"]["status"]), (StatusCode::FORBIDDEN, &json!("PERMISSION_DENIED")));
    stack.vendors.revoke_tokens();
    let revoked = sender.send(message("t1")).await;
    assert_eq!(revoked.status, StatusCode::UNAUTHORIZED);
    assert_eq!(revoked.body["error"]["status"], "UNAUTHENTICATED");
    sender.bearer = "made up".to_owned();
    assert_eq!(sender.send(message("t1")).await.status, StatusCode::UNAUTHORIZED);
    assert!(stack.phones.list(View::Raw, None).unwrap().is_empty());
}

#[tokio::test]
async fn faults_are_those_of_fcm() {
    let stack = Stack::start().await;
    let sender = Sender::new(&stack, true).await;
    for (effect, status, code, retry_after) in [
        (Effect::Error429 { retry_after: 7 }, 429, Some("QUOTA_EXCEEDED"), Some("7")),
        (Effect::Throttle, 429, Some("QUOTA_EXCEEDED"), None),
        (Effect::Error503, 503, Some("UNAVAILABLE"), None),
        (Effect::Unavailable { retry_after: 30 }, 503, Some("UNAVAILABLE"), Some("30")),
        (Effect::Error500, 500, Some("INTERNAL"), None),
        (Effect::Unregistered, 404, Some("UNREGISTERED"), None),
        (Effect::Refuse, 403, None, None),
    ] {
        stack.faults.add(Rule::new(Target::Fcm, effect.clone()).token("t1").times(1)).unwrap();
        assert_eq!(sender.send(message("t2")).await.status, StatusCode::OK);
        let answer = sender.send(message("t1")).await;
        assert_eq!(answer.status, status, "{effect:?}");
        assert_eq!(answer.error_code(), code);
        assert_eq!(answer.retry_after.as_deref(), retry_after);
    }
    assert!(stack.phones.list(View::Raw, Some("t1")).unwrap().is_empty());
}

#[tokio::test]
async fn a_cut_ends_the_connection_and_a_lost_answer_was_delivered() {
    let stack = Stack::start().await;
    let sender = Sender::new(&stack, true).await;
    for (effect, delivered) in [(Effect::Cut, 0), (Effect::LoseAnswer, 1)] {
        stack.faults.add(Rule::new(Target::Fcm, effect).times(1)).unwrap();
        let body = json!({"message": message("t1")}).to_string();
        assert!(sender.post("pushbell-demo", body).await.is_err());
        let raw = stack.phones.notifications(Channel::Fcm, "t1", View::Raw).unwrap();
        assert_eq!(raw.len(), delivered);
    }
    stack.faults.add(Rule::new(Target::Fcm, Effect::LoseAnswer500).times(1)).unwrap();
    assert_eq!(sender.send(message("t1")).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(stack.phones.accepted(), 2);
}

#[tokio::test]
async fn sends_are_held_for_the_latency_beside_each_other() {
    let stack = Stack::start().await;
    let sender = Sender::new(&stack, true).await;
    const LATENCY: Duration = Duration::from_millis(1_500);
    stack.vendors.set_latency(LATENCY);
    let begun = Instant::now();
    let sends = (0..50).map(|n| sender.send(message(&format!("t{n}"))));
    let answers = futures_util::future::join_all(sends).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    let took = begun.elapsed();
    // One after the other they would take more than a minute.
    assert!(took >= LATENCY && took < 40 * LATENCY, "{took:?}");
}
