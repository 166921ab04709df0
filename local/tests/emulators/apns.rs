//! APNs' credentials, over HTTP/2 and HTTP/1.1.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use pushbell::auth::jwt;
use pushbell_local::vendors::IssuedKey;
use serde_json::{Value, json};

use crate::fcm::http;
use crate::stack::Stack;

const TOPIC: &str = "com.example.app";

struct Push<'a> {
    stack: &'a Stack,
    two: bool,
    method: &'a str,
    authorization: Option<String>,
    topic: Option<&'a str>,
    token: String,
}

fn bearer(key: &IssuedKey, team: &str, age: i64) -> Option<String> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let claims = json!({ "iss": team, "iat": now - age });
    Some(format!("bearer {}", jwt::sign_es256(&key.key, Some(&key.key_id), &claims).unwrap()))
}

impl<'a> Push<'a> {
    fn good(stack: &'a Stack, key: &IssuedKey) -> Self {
        let authorization = bearer(key, &key.team_id, 0);
        Self { stack, two: true, method: "POST", authorization, topic: Some(TOPIC), token: "ab".repeat(32) }
    }

    async fn send(&self) -> (StatusCode, String) {
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("{}/3/device/{}", self.stack.vendors_url, self.token))
            .header("apns-id", "eabeae54-14a8-11e5-b60b-1697f925ec7b");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(topic) = self.topic {
            request = request.header("apns-topic", topic);
        }
        let request = request.body(Full::from(r#"{"aps":{}}"#)).unwrap();
        let reply = http(self.two).request(request).await.unwrap();
        assert_eq!(reply.headers()["apns-id"], "eabeae54-14a8-11e5-b60b-1697f925ec7b");
        let status = reply.status();
        let body: Value = serde_json::from_slice(&reply.into_body().collect().await.unwrap().to_bytes()).unwrap();
        (status, body["reason"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn who_may_push_is_told_that_nobody_has_the_device_token() {
    let stack = Stack::start().await;
    let key = stack.vendors.apple().issue("TEAM123456", &[TOPIC.to_owned()]).unwrap();
    for two in [true, false] {
        let push = Push { two, ..Push::good(&stack, &key) };
        assert_eq!(push.send().await, (StatusCode::BAD_REQUEST, "BadDeviceToken".to_owned()));
    }
}

#[tokio::test]
async fn who_may_not_push_is_told_why_in_apns_own_words() {
    let stack = Stack::start().await;
    let apple = stack.vendors.apple();
    let key = apple.issue("TEAM123456", &[TOPIC.to_owned()]).unwrap();
    let revoked = apple.issue("TEAM123456", &[TOPIC.to_owned()]).unwrap();
    assert!(apple.revoke(&revoked.key_id));
    let renamed = IssuedKey { key_id: key.key_id.clone(), team_id: key.team_id.clone(), key: revoked.key.clone() };
    let good = || Push::good(&stack, &key);
    let by = |authorization| Push { authorization, ..good() };
    let unsigned = "bearer eyJhbGciOiJub25lIn0.e30.".to_owned();
    for (push, status, reason) in [
        (by(None), 403, "MissingProviderToken"),
        (by(Some("Basic x".to_owned())), 403, "MissingProviderToken"),
        (by(Some("bearer x".to_owned())), 403, "InvalidProviderToken"),
        (by(Some(unsigned)), 403, "InvalidProviderToken"),
        (by(bearer(&revoked, &revoked.team_id, 0)), 403, "InvalidProviderToken"),
        (by(bearer(&renamed, &renamed.team_id, 0)), 403, "InvalidProviderToken"),
        (by(bearer(&key, "TEAM654321", 0)), 403, "InvalidProviderToken"),
        (by(bearer(&key, &key.team_id, -600)), 403, "InvalidProviderToken"),
        (by(bearer(&key, &key.team_id, 3601)), 403, "ExpiredProviderToken"),
        (Push { topic: None, ..good() }, 400, "MissingTopic"),
        (Push { topic: Some("com/example"), ..good() }, 400, "BadTopic"),
        (Push { topic: Some("com.example.other"), ..good() }, 400, "TopicDisallowed"),
        (Push { token: String::new(), ..good() }, 400, "MissingDeviceToken"),
        (Push { token: "no-hexadecimals".to_owned(), ..good() }, 400, "BadDeviceToken"),
        (Push { method: "GET", ..good() }, 405, "MethodNotAllowed"),
    ] {
        assert_eq!(push.send().await, (StatusCode::from_u16(status).unwrap(), reason.to_owned()));
    }
}

#[tokio::test]
async fn a_provider_token_is_good_for_almost_an_hour() {
    let stack = Stack::start().await;
    let key = stack.vendors.apple().issue("TEAM123456", &[TOPIC.to_owned()]).unwrap();
    let push = Push { authorization: bearer(&key, &key.team_id, 3500), ..Push::good(&stack, &key) };
    assert_eq!(push.send().await.1, "BadDeviceToken");
}
