//! The AWS services that the function talks to, on loopback: as much of them as its calls need, and their ways to fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pushbell::env::Environment;
use serde_json::{Value, json};

use crate::State;
use pushbell::telemetry::Lines;

/// How calls of one kind fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// An error that is not worth a second try.
    Refuse,
    /// No answer, ever.
    Hang,
    /// An answer in time for who does not wait for two of them, one after the other.
    Slow,
}

struct Seen {
    callers: Value,
    settings: Value,
    queued: Vec<Value>,
    deferred: Vec<Value>,
    faults: HashMap<String, Fault>,
}

pub(super) struct Aws {
    url: String,
    seen: Arc<Mutex<Seen>>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Aws {
    /// The app `demo`, with a token for Tencent or without. As long as this lives the runtime's clock is its own, and runs fast.
    pub(super) async fn start(tokens: Value) -> Self {
        Lines::collect(env!("CARGO_CRATE_NAME"));
        tokio::time::pause();
        let callers =
            json!({"hook_secrets": ["demo-secret"], "hook_sources": ["203.0.113.0/24"], "tencent_tokens": tokens});
        let seen = Seen {
            callers,
            settings: json!({"tencent": {"sdk_app_id": 1_400_000_001_u64}}),
            queued: Vec::new(),
            deferred: Vec::new(),
            faults: HashMap::new(),
        };
        let seen = Arc::new(Mutex::new(seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen, tasks: [server, tokio::spawn(tick())] }
    }

    pub(super) fn state(&self) -> State {
        let env = Environment::from_lookup(|name| match name {
            // The SDK keeps one quota of retries per service and region for the whole process: tests must not use up each other's.
            "AWS_REGION" => self.url.rsplit_once(':').map(|(_, port)| format!("eu-west-{port}")),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "STAGE" => Some("local".to_owned()),
            "AWS_ENDPOINT_URL" => Some(self.url.clone()),
            "QUEUE_RESULTS" => Some(format!("{}/results", self.url)),
            _ => name.strip_prefix("TABLE_").map(str::to_lowercase),
        });
        State::new(&env.unwrap()).unwrap()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on calls of `call` fail: `GetSecretValue`, `GetItem`, `PutItem`, `SendMessage`.
    pub(super) fn fail(&self, call: &str, fault: Fault) {
        self.seen().faults.insert(call.to_owned(), fault);
    }

    pub(super) fn set(&self, settings: Value) {
        self.seen().settings = settings;
    }

    /// The records in the queue.
    pub(super) fn queued(&self) -> Vec<Value> {
        self.seen().queued.clone()
    }

    /// The rows in the deferred table.
    pub(super) fn deferred(&self) -> Vec<Value> {
        self.seen().deferred.clone()
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        tokio::time::resume();
    }
}

/// The clock. A paused one jumps to the next timer whenever nothing but the network is waited for, and the network is real here: so there
/// is always a timer that is near, and a moment for the network before it. A second takes a quarter of one.
async fn tick() {
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        std::thread::sleep(Duration::from_micros(200));
    }
}

async fn answer(Shared(seen): Shared<Arc<Mutex<Seen>>>, headers: HeaderMap, body: Bytes) -> Response {
    let (_, call) = headers["x-amz-target"].to_str().unwrap().split_once('.').unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let fault = seen.lock().unwrap().faults.get(call).copied();
    match fault {
        Some(Fault::Refuse) => failure("AccessDeniedException"),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Slow) => {
            tokio::time::sleep(Duration::from_millis(600)).await;
            seen.lock().unwrap().answer(call, &body)
        }
        None => seen.lock().unwrap().answer(call, &body),
    }
}

impl Seen {
    fn answer(&mut self, call: &str, body: &Value) -> Response {
        match call {
            "GetSecretValue" if body["SecretId"] == "pushbell/local/apps/demo/callers" => {
                success(&json!({"Name": body["SecretId"], "SecretString": self.callers.to_string()}))
            }
            "GetSecretValue" => failure("ResourceNotFoundException"),
            "GetItem" => success(&json!({"Item": {"doc": {"S": self.settings.to_string()}}})),
            "PutItem" if body["TableName"] == "deferred" => {
                self.deferred.push(body["Item"].clone());
                success(&json!({}))
            }
            "SendMessage" => {
                assert!(body["QueueUrl"].as_str().unwrap().ends_with("/results"), "{body}");
                self.queued.push(serde_json::from_str(body["MessageBody"].as_str().unwrap()).unwrap());
                success(&json!({"MessageId": "1"}))
            }
            other => panic!("an unexpected call: {other}"),
        }
    }
}

fn success(body: &Value) -> Response {
    (StatusCode::OK, body.to_string()).into_response()
}

fn failure(code: &str) -> Response {
    (StatusCode::BAD_REQUEST, json!({"__type": code, "message": "refused"}).to_string()).into_response()
}
