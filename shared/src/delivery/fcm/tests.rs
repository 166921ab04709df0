//! FCM: the payload, and sends against a vendor on loopback.

#![allow(clippy::unwrap_used)]

mod payload;
mod sends;

use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn message(parts: Value) -> Message {
    let mut whole = json!({"origin": {"app": "demo", "dialect": "imkit", "message": "m1"}});
    whole.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    serde_json::from_value(whole).unwrap()
}

fn imkit() -> Value {
    json!({
        "text": {
            "title": "Demo Room", "body": "SSS: lala",
            "localised": {"key": "im_loc_text", "args": ["SSS", "lala"]},
        },
        "behaviour": {"mutable": true, "thread": "demo-room"},
        "data": {
            "type": "text", "redirect": "/chat", "title": "Demo Room", "body": "SSS: lala", "loc-key": "im_loc_text",
            "loc-args": ["SSS", "lala"], "payload": {"_id": "m1", "n": 1},
        },
    })
}

fn patch(badge: Option<u32>) -> Patch {
    Patch { badge, ..Patch::default() }
}
