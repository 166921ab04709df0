//! The three AWS services that the function talks to, on loopback: as much of them as its calls need.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pushbell::env::Environment;
use serde_json::{Value, json};

use crate::State;

#[derive(Default)]
struct Seen {
    queued: Vec<String>,
    deferred: Vec<Value>,
    refused: HashSet<String>,
}

pub(super) struct Aws {
    url: String,
    seen: Arc<Mutex<Seen>>,
    server: tokio::task::JoinHandle<()>,
}

impl Aws {
    pub(super) async fn start() -> Self {
        super::Lines::collect();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen, server }
    }

    pub(super) fn state(&self) -> State {
        let env = Environment::from_lookup(|name| match name {
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "STAGE" => Some("local".to_owned()),
            "AWS_ENDPOINT_URL" => Some(self.url.clone()),
            "TABLE_RECIPIENTS" => Some("recipients".to_owned()),
            "TABLE_REGISTRY" => Some("registry".to_owned()),
            "TABLE_TASKS" => Some("tasks".to_owned()),
            "TABLE_DEFERRED" => Some("deferred".to_owned()),
            "QUEUE_FAN_OUT" => Some(format!("{}/fan-out", self.url)),
            "QUEUE_DELIVER" => Some(format!("{}/deliver", self.url)),
            _ => None,
        });
        State::new(&env.unwrap()).unwrap()
    }

    /// From now on the service answers calls of `target` with an error that is not worth a second try.
    pub(super) fn refuse(&self, target: &str) {
        self.seen.lock().unwrap().refused.insert(target.to_owned());
    }

    pub(super) fn queued(&self) -> Vec<String> {
        self.seen.lock().unwrap().queued.clone()
    }

    pub(super) fn deferred(&self) -> Vec<Value> {
        self.seen.lock().unwrap().deferred.clone()
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(Shared(seen): Shared<Arc<Mutex<Seen>>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let mut seen = seen.lock().unwrap();
    if seen.refused.contains(target) {
        return failure("AccessDeniedException");
    }
    match target {
        "secretsmanager.GetSecretValue" if body["SecretId"] == "pushbell/local/apps/demo/callers" => {
            let callers = json!({"hook_secrets": ["demo-secret"], "hook_sources": ["203.0.113.0/24"]});
            success(&json!({"Name": body["SecretId"], "SecretString": callers.to_string()}))
        }
        "secretsmanager.GetSecretValue" => failure("ResourceNotFoundException"),
        "DynamoDB_20120810.GetItem" => success(&json!({})),
        "DynamoDB_20120810.PutItem" => {
            if body["TableName"] == "deferred" {
                seen.deferred.push(body["Item"].clone());
            }
            success(&json!({}))
        }
        "DynamoDB_20120810.DeleteItem" => success(&json!({})),
        "AmazonSQS.SendMessage" => {
            seen.queued.push(body["MessageBody"].as_str().unwrap().to_owned());
            success(&json!({"MessageId": "1"}))
        }
        other => panic!("an unexpected call: {other}"),
    }
}

fn success(body: &Value) -> Response {
    (StatusCode::OK, body.to_string()).into_response()
}

fn failure(code: &str) -> Response {
    (StatusCode::BAD_REQUEST, json!({"__type": code, "message": "refused"}).to_string()).into_response()
}
