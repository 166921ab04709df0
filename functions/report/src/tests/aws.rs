//! The AWS services that the function talks to, and the app's own address, on loopback: as much of them as its calls need.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pushbell::env::Environment;
use serde_json::{Value, json};

use crate::State;

pub(super) const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Seen {
    settings: Value,
    keys: Value,
    /// What the app's address answers.
    status: u16,
    posts: usize,
    /// Queue, delay, record.
    queued: Vec<(String, u64, String)>,
    refuses: bool,
}

pub(super) struct Aws {
    url: String,
    seen: Arc<Mutex<Seen>>,
    server: tokio::task::JoinHandle<()>,
}

impl Aws {
    /// With an app that signs with `key`, if there is one, and whose address answers `status`.
    pub(super) async fn start(key: &str, status: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen {
            settings: json!({"results": {"url": format!("{url}/outcomes"), "allow_private": true}}),
            keys: if key.is_empty() { json!({}) } else { json!({"keys": [key]}) },
            status,
            posts: 0,
            queued: Vec::new(),
            refuses: false,
        }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen, server }
    }

    /// With an app whose address is private, which its settings do not allow.
    pub(super) async fn private() -> Self {
        let aws = Self::start(KEY, 204).await;
        let url = aws.url.replace("http:", "https:");
        aws.seen.lock().unwrap().settings = json!({"results": {"url": url}});
        aws
    }

    /// With an app whose settings name no address.
    pub(super) async fn unaddressed() -> Self {
        let aws = Self::start(KEY, 204).await;
        aws.seen.lock().unwrap().settings = json!({});
        aws
    }

    pub(super) fn state(&self) -> State {
        let env = Environment::from_lookup(|name| match name {
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "STAGE" => Some("local".to_owned()),
            "AWS_ENDPOINT_URL" => Some(self.url.clone()),
            "TABLE_REGISTRY" => Some("registry".to_owned()),
            "TABLE_TASKS" => Some("tasks".to_owned()),
            "TABLE_DEFERRED" => Some("deferred".to_owned()),
            "QUEUE_REPORT" => Some(format!("{}/report", self.url)),
            "QUEUE_REPORT_DEAD_LETTERS" => Some(format!("{}/report-dead-letters", self.url)),
            _ => None,
        });
        State::new(&env.unwrap()).unwrap()
    }

    /// From now on neither queue nor table takes anything.
    pub(super) fn refuse(&self) {
        self.seen.lock().unwrap().refuses = true;
    }

    pub(super) fn posts(&self) -> usize {
        self.seen.lock().unwrap().posts
    }

    pub(super) fn queued(&self) -> Vec<(String, u64, String)> {
        self.seen.lock().unwrap().queued.clone()
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(Shared(seen): Shared<Arc<Mutex<Seen>>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut seen = seen.lock().unwrap();
    let Some(target) = headers.get("x-amz-target") else {
        seen.posts += 1;
        return StatusCode::from_u16(seen.status).unwrap().into_response();
    };
    let body: Value = serde_json::from_slice(&body).unwrap();
    match target.to_str().unwrap() {
        "secretsmanager.GetSecretValue" => {
            assert_eq!(body["SecretId"], "pushbell/local/apps/demo/results");
            success(&json!({"Name": body["SecretId"], "SecretString": seen.keys.to_string()}))
        }
        "DynamoDB_20120810.GetItem" if body["TableName"] == "registry" => {
            success(&json!({"Item": {"doc": {"S": seen.settings.to_string()}}}))
        }
        "DynamoDB_20120810.GetItem" => success(&row(&body["Key"])),
        "AmazonSQS.SendMessage" | "DynamoDB_20120810.PutItem" if seen.refuses => failure("AccessDeniedException"),
        "AmazonSQS.SendMessage" => {
            let queue = body["QueueUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let delay = body["DelaySeconds"].as_u64().unwrap_or_default();
            seen.queued.push((queue, delay, body["MessageBody"].as_str().unwrap().to_owned()));
            success(&json!({"MessageId": "1"}))
        }
        other => panic!("an unexpected call: {other}"),
    }
}

/// A result row with two final outcomes. Chunk 9 has none.
fn row(key: &Value) -> Value {
    let sort = key["sk"]["S"].as_str().unwrap();
    if sort.contains("#0000000009#") {
        return json!({});
    }
    let outcomes = "aaa\tabcdefghfd\nbbb\tabcdefghfp\nccc\tn\n";
    json!({"Item": {
        "pk": key["pk"], "sk": key["sk"], "app": {"S": "demo"}, "at": {"N": "1767225600500"}, "o": {"S": outcomes}
    }})
}

fn success(body: &Value) -> Response {
    (StatusCode::OK, body.to_string()).into_response()
}

fn failure(code: &str) -> Response {
    (StatusCode::BAD_REQUEST, json!({"__type": code, "message": "refused"}).to_string()).into_response()
}
