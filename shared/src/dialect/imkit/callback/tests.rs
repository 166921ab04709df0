#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bodies;
mod messages;

use serde_json::json;

use super::*;

fn app() -> AppId {
    AppId::parse("demo").unwrap()
}

fn v1() -> ImkitSettings {
    ImkitSettings { version: ImkitVersion::V1, ..ImkitSettings::default() }
}

fn v2() -> ImkitSettings {
    ImkitSettings::default()
}

fn try_read(settings: &ImkitSettings, body: &Value) -> Result<Callback, CallbackError> {
    read(&app(), settings, body.to_string().as_bytes())
}

fn delivered(settings: &ImkitSettings, body: &Value) -> (Message, Recipients) {
    match try_read(settings, body).unwrap() {
        Callback::Deliver(message, recipients) => (*message, recipients),
        Callback::Ignored(ignored) => panic!("ignored: {ignored:?}"),
    }
}

fn message(body: &Value) -> Message {
    delivered(&v2(), body).0
}

fn body_text(body: &Value) -> String {
    message(body).text.body.unwrap()
}

/// A callback of type `kind` from Mira, with `more` in it.
fn chat(kind: &str, more: &Value) -> Value {
    let mut body = json!({
        "_id": "m1", "id": "m1", "appID": "acme", "room": "r1", "roomName": "Night shift", "messageType": kind,
        "sender": {"_id": "u-207", "id": "u-207", "nickname": "Mira", "avatarUrl": null},
        "messageTimeMS": 1_767_225_601_500_u64, "pushToClients": ["u-310", "u-311"],
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A text callback from Mira that says "lala", with `more` in it.
fn text(more: &Value) -> Value {
    let mut body = chat("text", more);
    if more.get("message").is_none() {
        body["message"] = json!("lala");
    }
    body
}
