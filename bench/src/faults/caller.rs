//! Callers as the real ones are: they come again when they are refused or get no answer.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::facts::{Span, now};
use crate::Error;

/// `demo:demo-master`, and the demo app's API key.
pub(crate) const MASTER: (&str, &str) = ("authorization", "Basic ZGVtbzpkZW1vLW1hc3Rlcg==");
const API_KEY: (&str, &str) = ("im-api-key", "demo.demo-api-key");
/// A call that is refused so often is a defect of its own.
const MOST_TRIES: u32 = 100;
/// Between two tries of a call.
const REST: Duration = Duration::from_millis(25);

pub(crate) struct Caller {
    url: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// A call that was done in the end.
pub(super) struct Done {
    pub(super) span: Span,
    pub(super) tries: u32,
    pub(super) answer: Value,
}

impl Caller {
    pub(crate) fn new(url: String) -> Self {
        Self { url, http: Client::builder(TokioExecutor::new()).build_http() }
    }

    async fn once(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<(u16, Bytes), Error> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let answer = self.http.request(request.body(Full::new(body))?).await?;
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }

    /// Makes a call until it is done. What is answered with 4xx is an error of the campaign's.
    async fn done(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Done, Error> {
        let begun = now();
        for tries in 1..=MOST_TRIES {
            if let Ok((status, text)) = self.once(method, path, headers, body).await {
                if status < 300 {
                    let answer = serde_json::from_slice(&text).unwrap_or_default();
                    return Ok(Done { span: Span { begun, answered: now() }, tries, answer });
                }
                if status < 500 {
                    return Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&text)).into());
                }
            }
            tokio::time::sleep(REST).await;
        }
        Err(format!("{method} {path}: refused {MOST_TRIES} times").into())
    }

    /// A call that is made until it is done, and its answer.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Value, Error> {
        Ok(self.done("POST", path, headers, body).await?.answer)
    }

    pub(super) async fn register(&self, client: &str, platform: &str, token: &str) -> Result<Span, Error> {
        let body = json!({"platform": platform, "deviceId": token, "userId": client});
        Ok(self.done("POST", "/push/demo/register-device", &[MASTER], &body).await?.span)
    }

    pub(super) async fn mute(&self, client: &str, room: &str) -> Result<Span, Error> {
        Ok(self.done("POST", &format!("/me/mute/{room}?clientId={client}"), &[API_KEY], &Value::Null).await?.span)
    }

    pub(super) async fn read(&self, client: &str, room: &str) -> Result<Span, Error> {
        Ok(self.done("POST", &format!("/badges/{client}"), &[API_KEY], &json!({"read": room})).await?.span)
    }

    /// The badges of up to 100 clients, in their order.
    pub(super) async fn badges(&self, clients: &[String]) -> Result<Vec<i64>, Error> {
        let done = self.done("POST", "/badges", &[API_KEY], &json!(clients)).await?;
        let list = done.answer.as_array().cloned().unwrap_or_default();
        list.iter().map(|badge| badge["total"].as_i64().ok_or_else(|| "a badge without a total".into())).collect()
    }

    /// A message of the chat server, or a recall.
    pub(super) async fn callback(&self, id: &str, room: &str, kind: &str, to: &[&str]) -> Result<Done, Error> {
        let body = json!({
            "_id": id, "id": id, "appID": "demo", "room": room, "roomName": "Night shift", "messageType": kind,
            "message": "gate 4 is open, please come over with both keys and the list",
            "sender": {"_id": "u-207", "id": "u-207", "nickname": "Mira"},
            "pushToClients": to,
        });
        self.done("POST", "/hooks/demo/demo-secret/imkit", &[], &body).await
    }
}
