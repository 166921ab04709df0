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
use serde_json::{Map, Value, json};

use crate::State;
use pushbell::telemetry::Lines;

/// How calls of one kind fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// An error that is not worth a second try.
    Refuse,
    /// The table's or the queue's throughput is used up.
    Throttle,
    /// No answer, ever.
    Hang,
    /// No answer to the first of them, as on a connection that is dead.
    HangOnce,
    /// The answer, later.
    Slow(Duration),
    /// `BatchGetItem` does the first key alone and leaves the others unprocessed.
    LeaveUnprocessed,
}

#[derive(Default)]
struct Seen {
    calls: Vec<String>,
    queued: Vec<String>,
    read: Vec<String>,
    deferred: usize,
    settings: Value,
    items: HashMap<String, Value>,
    faults: HashMap<String, Fault>,
    unreadable: Option<String>,
    hanging: Option<String>,
}

pub(super) struct Aws {
    url: String,
    seen: Arc<Mutex<Seen>>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Aws {
    /// The app `demo` has these settings. As long as this lives the runtime's clock is its own, and runs fast.
    pub(super) async fn start(settings: Value) -> Self {
        Lines::collect(env!("CARGO_CRATE_NAME"));
        tokio::time::pause();
        let seen = Arc::new(Mutex::new(Seen { settings, ..Seen::default() }));
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
            "QUEUE_FAN_OUT" => Some(format!("{}/fan-out", self.url)),
            "QUEUE_DELIVER" => Some(format!("{}/deliver", self.url)),
            _ => name.strip_prefix("TABLE_").map(str::to_lowercase),
        });
        State::new(&env.unwrap()).unwrap()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on calls of `call` fail: `GetItem registry`, `BatchGetItem recipients`, `PutItem tasks`, `SendMessage`, ...
    pub(super) fn fail(&self, call: &str, fault: Fault) {
        self.seen().faults.insert(call.to_owned(), fault);
    }

    pub(super) fn mend(&self, call: &str) {
        self.seen().faults.remove(call);
    }

    /// From now on a read that asks for `client` is refused.
    pub(super) fn refuse_reading(&self, client: &str) {
        self.seen().unreadable = Some(format!("demo#{client}"));
    }

    /// From now on a read that asks for `client` is not answered.
    pub(super) fn hang_reading(&self, client: &str) {
        self.seen().hanging = Some(format!("demo#{client}"));
    }

    /// All tables and queues that are not the app's documents fail.
    pub(super) fn fail_storage(&self, fault: Fault) {
        for call in ["BatchGetItem recipients", "PutItem tasks", "PutItem deferred", "Query tasks", "SendMessage"] {
            self.fail(call, fault);
        }
    }

    /// What a client prefers, as the recipients table spells it: `{"po": {"BOOL": true}}`.
    pub(super) fn put(&self, client: &str, item: Value) {
        self.seen().items.insert(format!("demo#{client}"), item);
    }

    pub(super) fn set(&self, settings: Value) {
        self.seen().settings = settings;
    }

    /// What was called since this was asked last.
    pub(super) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.seen().calls)
    }

    pub(super) fn queued(&self) -> Vec<String> {
        self.seen().queued.clone()
    }

    /// The keys of all clients who were asked for.
    pub(super) fn read(&self) -> Vec<String> {
        self.seen().read.clone()
    }

    pub(super) fn deferred(&self) -> usize {
        self.seen().deferred
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
    let batch = body["RequestItems"].as_object().and_then(|tables| tables.keys().next()).map(String::as_str);
    let call = match body["TableName"].as_str().or(batch) {
        Some(table) => format!("{call} {table}"),
        None => call.to_owned(),
    };
    let fault = {
        let mut seen = seen.lock().unwrap();
        seen.calls.push(call.clone());
        let asked = body["RequestItems"]["recipients"]["Keys"].as_array();
        let hangs = asked.is_some_and(|keys| keys.iter().any(|key| key["pk"]["S"].as_str() == seen.hanging.as_deref()));
        let fault = if hangs { Some(Fault::Hang) } else { seen.faults.get(&call).copied() };
        if fault == Some(Fault::HangOnce) {
            seen.faults.remove(&call);
        }
        fault
    };
    match fault {
        Some(Fault::Refuse) => failure("AccessDeniedException"),
        Some(Fault::Throttle) => failure("ThrottlingException"),
        Some(Fault::Hang | Fault::HangOnce) => std::future::pending().await,
        Some(Fault::Slow(by)) => {
            tokio::time::sleep(by).await;
            seen.lock().unwrap().answer(&call, &body, false)
        }
        Some(Fault::LeaveUnprocessed) | None => seen.lock().unwrap().answer(&call, &body, fault.is_some()),
    }
}

impl Seen {
    fn answer(&mut self, call: &str, body: &Value, leave: bool) -> Response {
        match call {
            "GetSecretValue" if body["SecretId"] == "pushbell/local/apps/demo/callers" => {
                let callers = json!({"hook_secrets": ["demo-secret"], "hook_sources": ["203.0.113.0/24"]});
                success(&json!({"Name": body["SecretId"], "SecretString": callers.to_string()}))
            }
            "GetSecretValue" => failure("ResourceNotFoundException"),
            "GetItem registry" => success(&json!({"Item": {"doc": {"S": self.settings.to_string()}}})),
            "BatchGetItem recipients" => self.items(&body["RequestItems"]["recipients"], leave),
            "PutItem tasks" | "GetItem tasks" | "DeleteItem tasks" => success(&json!({})),
            "Query tasks" => success(&json!({"Items": [], "Count": 0, "ScannedCount": 0})),
            "PutItem deferred" => {
                self.deferred += 1;
                success(&json!({}))
            }
            "SendMessage" => {
                self.queued.push(body["MessageBody"].as_str().unwrap().to_owned());
                success(&json!({"MessageId": "1"}))
            }
            other => panic!("an unexpected call: {other}"),
        }
    }

    /// The items of the keys that are asked for, with the attributes that are.
    fn items(&mut self, asked: &Value, leave: bool) -> Response {
        let keys = asked["Keys"].as_array().unwrap();
        self.read.extend(keys.iter().filter_map(|key| key["pk"]["S"].as_str().map(str::to_owned)));
        let names = asked["ExpressionAttributeNames"].as_object().unwrap();
        if keys.iter().any(|key| key["pk"]["S"].as_str() == self.unreadable.as_deref()) {
            return failure("AccessDeniedException");
        }
        let (done, left) = keys.split_at(if leave { 1 } else { keys.len() });
        let items = done.iter().filter_map(|key| {
            let item = self.items.get(key["pk"]["S"].as_str().unwrap())?.as_object()?;
            let mut shown: Map<String, Value> =
                item.iter().filter(|(name, _)| names.values().any(|asked| asked == *name)).map(own).collect();
            shown.insert("pk".to_owned(), key["pk"].clone());
            Some(Value::Object(shown))
        });
        let items: Vec<Value> = items.collect();
        let left = if left.is_empty() { json!({}) } else { json!({"recipients": {"Keys": left}}) };
        success(&json!({"Responses": {"recipients": items}, "UnprocessedKeys": left}))
    }
}

fn own((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

fn success(body: &Value) -> Response {
    (StatusCode::OK, body.to_string()).into_response()
}

fn failure(code: &str) -> Response {
    (StatusCode::BAD_REQUEST, json!({"__type": code, "message": "refused"}).to_string()).into_response()
}
