//! The function over HTTP events, against an embedded DynamoDB.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attributes;
mod cloud;
mod erasing;
mod imkit;
mod kinvey;
mod lanying;
mod preferences;
mod samples;

use base64::Engine as _;
use lambda_http::{Body, Response};
use pushbell::auth::jwt;
use pushbell::time::Timestamp;
use serde_json::{Map, Value, json};

use cloud::Cloud;

const USER_KEY: &str = "demo-user-key-0123456789abcdef0123456789ab";

/// A call as API Gateway hands it over.
struct Call {
    route: &'static str,
    method: &'static str,
    parameters: Map<String, Value>,
    query: String,
    headers: Map<String, Value>,
    body: Option<String>,
}

impl Call {
    fn new(method: &'static str, route: &'static str) -> Self {
        let headers = Map::from_iter([("host".to_owned(), json!("abc123.execute-api.eu-west-1.amazonaws.com"))]);
        Self { route, method, parameters: Map::new(), query: String::new(), headers, body: None }
    }

    fn with(mut self, parameter: &str, value: &str) -> Self {
        self.parameters.insert(parameter.to_owned(), json!(value));
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), json!(value));
        self
    }

    fn query(mut self, query: &str) -> Self {
        self.query = query.to_owned();
        self
    }

    fn body(self, body: Value) -> Self {
        self.text(&body.to_string())
    }

    fn text(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self.header("content-type", "application/json")
    }

    async fn send(self, cloud: &Cloud) -> Answer {
        let path = self.parameters.iter().fold(self.route.replace("+}", "}"), |path, (name, value)| {
            path.replace(&format!("{{{name}}}"), value.as_str().unwrap())
        });
        let route_key = format!("ANY {}", self.route);
        let event = json!({
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": path,
            "rawQueryString": self.query,
            "headers": self.headers,
            "requestContext": {
                "http": {"method": self.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7"},
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": route_key,
                "stage": "$default",
                "time": "01/Jan/2026:00:00:01 +0000",
                "timeEpoch": 1_767_225_601_500_u64,
            },
            "pathParameters": self.parameters,
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
    /// Status and the error's name, in either dialect.
    fn error(&self) -> (u16, &str) {
        let name = self.body["error"].as_str().or_else(|| self.body["error"]["code"].as_str());
        (self.status, name.unwrap_or_default())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).map(|value| value.to_str().unwrap())
    }
}

async fn answer(cloud: &Cloud, event: &str) -> Answer {
    let request = lambda_http::request::from_str(event).unwrap();
    let response = crate::handle(&cloud.state, request).await;
    let body = if let Body::Text(text) = response.body() { serde_json::from_str(text).unwrap() } else { Value::Null };
    Answer { status: response.status().as_u16(), body, response }
}

fn user_token(client: &str) -> String {
    token("user", client)
}

fn token(role: &str, client: &str) -> String {
    let exp = Timestamp::now().as_secs() + 600;
    jwt::sign_hs256(USER_KEY.as_bytes(), &json!({"app": "demo", "sub": client, "role": role, "exp": exp}))
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials))
}
