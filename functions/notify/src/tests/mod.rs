//! The function over HTTP events, against an embedded DynamoDB.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod certificate;
mod cloud;
mod imkit;
mod kinvey;
mod lines;
mod push;
mod samples;

use std::time::Duration;

use lambda_http::{Body, Response};
use pushbell::auth::jwt;
use serde_json::{Map, Value, json};

use cloud::Cloud;

const USER_KEY: &str = "demo-user-key-0123456789abcdef0123456789ab";
const NOTIFY: &str = "/push/notify";
const CANCEL: &str = "/push/task/cancel";
const CERTIFICATE: &str = "/push/certificate";
const MESSAGE: &str = "/push/{appKey}/sendMessage";
const BROADCAST: &str = "/push/{appKey}/sendBroadcast";
const CLIENTS: &str = "/push/push2clients";
const API_KEY: &str = "demo.demo-api-key";
/// When calls come in, in milliseconds.
const NOW: u64 = 1_767_225_601_500;
/// API Gateway's name for each call.
const REQUEST: &str = "JKJaXmPLvHcESHA=";
/// A limit for calls whose tables hang.
const SHORT: Duration = Duration::from_millis(100);

/// A call as API Gateway hands it over.
struct Call {
    route: &'static str,
    method: &'static str,
    query: String,
    headers: Map<String, Value>,
    app_key: &'static str,
    body: Option<String>,
}

impl Call {
    /// A call of the app's own server.
    fn admin(method: &'static str, route: &'static str) -> Self {
        Self::bare(method, route).header("app_id", "demo").header("access-token", &token("admin", "console"))
    }

    fn bare(method: &'static str, route: &'static str) -> Self {
        let headers = Map::from_iter([("host".to_owned(), json!("abc123.execute-api.eu-west-1.amazonaws.com"))]);
        Self { route, method, query: String::new(), headers, app_key: "demo", body: None }
    }

    /// A call of the app's own server in Kinvey's words, as its SDK makes it.
    fn kinvey(method: &'static str, route: &'static str) -> Self {
        let basic = "Basic ZGVtbzpkZW1vLW1hc3Rlcg==";
        Self::bare(method, route).header("authorization", basic).header("x-kinvey-api-version", "3")
    }

    /// A call of the app's own server in IMKIT's words.
    fn imkit(method: &'static str, route: &'static str) -> Self {
        Self::bare(method, route).header("im-api-key", API_KEY)
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), json!(value));
        self
    }

    fn query(mut self, query: &str) -> Self {
        self.query = query.to_owned();
        self
    }

    fn body(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self.header("content-type", "application/json")
    }

    async fn send(self, cloud: &Cloud) -> Answer {
        let route_key = format!("ANY {}", self.route);
        let path = self.route.replace("{appKey}", self.app_key);
        let event = json!({
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": path,
            "rawQueryString": self.query,
            "headers": self.headers,
            "requestContext": {
                "http": {"method": self.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7"},
                "requestId": REQUEST,
                "routeKey": route_key,
                "stage": "$default",
                "time": "01/Jan/2026:00:00:01 +0000",
                "timeEpoch": NOW,
            },
            "pathParameters": {"appKey": self.app_key},
            "body": self.body,
            "isBase64Encoded": false,
        });
        answer(cloud, &event.to_string()).await
    }
}

struct Answer {
    status: u16,
    body: Value,
    response: Response<Body>,
}

impl Answer {
    fn code(&self) -> (u16, u64) {
        (self.status, self.body["code"].as_u64().unwrap())
    }

    #[track_caller]
    fn task(&self) -> u64 {
        assert_eq!((self.code(), &self.body["message"]), ((200, 200), &Value::Null), "{}", self.body);
        self.body["data"]["task_id"].as_u64().unwrap()
    }

    /// Kinvey's name for what is wrong.
    #[track_caller]
    fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap_or_else(|| panic!("{}", self.body)))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).map(|value| value.to_str().unwrap())
    }
}

async fn answer(cloud: &Cloud, event: &str) -> Answer {
    let request = lambda_http::request::from_str(event).unwrap();
    let response = crate::handle(&cloud.state, request).await;
    let Body::Text(text) = response.body() else { panic!("every answer has a body") };
    Answer { status: response.status().as_u16(), body: serde_json::from_str(text).unwrap(), response }
}

/// What comes long before the SDK gives a table up.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(3), work).await.expect("it is answered in time")
}

fn token(role: &str, user: &str) -> String {
    let claims = json!({"app": "demo", "sub": user, "role": role, "exp": 4_102_444_800_u64});
    jwt::sign_hs256(USER_KEY.as_bytes(), &claims)
}

/// A push of a text to `audience`.
fn push(audience: Value) -> Call {
    Call::admin("POST", NOTIFY).body(&json!({"audience": audience, "message": {"title": "t", "body": "hello"}}))
}
