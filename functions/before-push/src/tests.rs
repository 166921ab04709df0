#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod aws;
mod counts;
mod documents;
mod lines;
mod rules;
mod samples;

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use aws::{Aws, Fault};

macro_rules! event {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../events/before-push/", $name, ".json")))
    };
}

const EVENTS: [(&str, &str); 18] = [
    event!("page-example"),
    event!("v2.3-offline"),
    event!("v2.3-revoke"),
    event!("v2.3-super-group-online"),
    event!("v3.4-offline"),
    event!("v3.4-offline-single"),
    event!("v3.6-offline"),
    event!("v3.8-call"),
    event!("v3.8-dismissed"),
    event!("v3.8-group-online"),
    event!("v3.8-kicked"),
    event!("v3.8-null-lists"),
    event!("v3.8-offline-group"),
    event!("v3.8-offline-single"),
    event!("v3.8-online-single"),
    event!("v3.8-other-webhook"),
    event!("v3.8-quit"),
    event!("v3.8-revoke"),
];

/// A group of two, as 3.8 asks for it.
const GROUP: &str = "v3.8-offline-group";

/// By when the app's setting wants an answer where it says nothing.
const DEADLINE: Duration = Duration::from_secs(1);

/// OpenIM's structs, as strict as Go's decoder: a value of another type loses the push.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
struct Reply {
    actionCode: i32,
    errCode: i32,
    errMsg: String,
    errDlt: String,
    nextCode: i32,
    #[serde(default, deserialize_with = "there")]
    userIDList: Option<Vec<String>>,
    #[serde(default, deserialize_with = "there")]
    offlinePushInfo: Option<Info>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
struct Info {
    title: String,
    desc: String,
    ex: String,
    iOSPushSound: String,
    iOSBadgeCount: bool,
    signalInfo: String,
}

/// Absent, or what it is: never `null`.
fn there<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Reply {
    #[track_caller]
    fn of(response: &Response<Body>) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
        let Body::Text(text) = response.body() else { panic!("a text") };
        let reply: Self = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_ne!(reply.userIDList.as_deref(), Some(&[][..]), "an empty list is everybody");
        reply
    }

    const fn codes(&self) -> (i32, i32, i32) {
        (self.actionCode, self.errCode, self.nextCode)
    }

    fn allows(&self) -> bool {
        self.codes() == (0, 0, 0)
    }
}

fn event(name: &str) -> Request {
    changed(name, &[])
}

/// An event with changes: `/pathParameters/secret`, `/headers`, ...
fn changed(name: &str, changes: &[(&str, Value)]) -> Request {
    let (_, text) = EVENTS.iter().find(|(own, _)| *own == name).unwrap();
    let mut event: Value = serde_json::from_str(text).unwrap();
    for (pointer, value) in changes {
        *event.pointer_mut(pointer).unwrap() = value.clone();
    }
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

/// [`GROUP`] with other fields in its body.
fn saying(fields: Value) -> Request {
    let (_, text) = EVENTS.iter().find(|(own, _)| *own == GROUP).unwrap();
    let event: Value = serde_json::from_str(text).unwrap();
    let mut body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
    let Value::Object(fields) = fields else { panic!("an object") };
    body.as_object_mut().unwrap().extend(fields);
    changed(GROUP, &[("/body", json!(body.to_string()))])
}

async fn ask(state: &State, request: Request) -> Reply {
    Reply::of(&handle(state, request).await)
}

/// Beside the answer, when it came.
async fn timed(state: &State, request: Request) -> (Reply, Duration) {
    let begun = Instant::now();
    let reply = ask(state, request).await;
    (reply, begun.elapsed())
}
