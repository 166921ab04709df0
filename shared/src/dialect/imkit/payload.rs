//! `payload`: the message object for the app on the phone.

use serde_json::{Map, Value};

/// The most bytes of a payload and what is sent beside it. FCM and APNs take 4096 in all; the rest is for what a channel adds. A
/// channel gives up a payload that does not fit; so that the app can open the room all the same, only the [`CORE`] is sent then.
const MOST_BYTES: usize = 3584;

/// The most bytes of one core field.
const MOST_FIELD: usize = 512;

/// What an app needs to open the room, and what is passed on of an encrypted message.
const CORE: [&str; 13] = [
    "_id",
    "id",
    "appID",
    "room",
    "roomName",
    "messageType",
    "sender",
    "messageTime",
    "messageTimeMS",
    "createdAtMS",
    "updatedAtMS",
    "rtcSession",
    "mentions",
];

const CORE_OF_A_SENDER: [&str; 5] = ["_id", "id", "nickname", "avatarUrl", "isRobot"];

/// The message object as the app expects it: whole when it fits with `beside` bytes of other JSON, and without cipher text.
pub(super) fn whole(fields: &Map<String, Value>, beside: usize) -> Value {
    let payload = Value::Object(without_cipher_text(fields));
    // FCM takes texts only, so that there the payload is JSON inside JSON, every quote with a backslash.
    let json = Value::String(payload.to_string()).to_string();
    if json.len() + beside <= MOST_BYTES && is_shallow(&payload) { payload } else { core(fields) }
}

/// The message object without what it says.
pub(super) fn core(fields: &Map<String, Value>) -> Value {
    let mut core = Map::new();
    for name in CORE {
        let value = match fields.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(sender)) => Value::Object(pick(sender, &CORE_OF_A_SENDER)),
            Some(value) => value.clone(),
        };
        if is_shallow(&value) && value.to_string().len() <= MOST_FIELD {
            core.insert(name.to_owned(), value);
        }
    }
    Value::Object(core)
}

/// Nothing that an app reads is nested so deep that a queue record or a phone could not read it.
fn is_shallow(value: &Value) -> bool {
    crate::message::depth(&value.to_string()) <= crate::message::MOST_DEPTH / 2
}

fn pick(object: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    object
        .iter()
        .filter(|(name, value)| names.contains(&name.as_str()) && !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A copy in which every encrypted message object, also one that is replied to, is cut down to its core.
fn without_cipher_text(object: &Map<String, Value>) -> Map<String, Value> {
    if object.get("messageType").and_then(Value::as_str) == Some("encrypted") {
        return match core(object) {
            Value::Object(core) => core,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        };
    }
    object.iter().map(|(name, value)| (name.clone(), clean(value))).collect()
}

fn clean(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(without_cipher_text(object)),
        Value::Array(list) => Value::Array(list.iter().map(clean).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_payload_that_fits_is_the_message_object() {
        let fields = object(json!({"_id": "m1", "room": "r", "message": "lala", "own": {"field": [1, null]}}));
        assert_eq!(whole(&fields, 500), Value::Object(fields));
    }

    #[test]
    fn a_number_comes_out_as_it_came_in() {
        // A place as JavaScript writes it. Read without `float_roundtrip` it would be another number, by its last digit.
        let text = r#"{"_id":"m1","extra":{"latitude":25.397153207976398,"longitude":125.76673022489713}}"#;
        let fields: Map<String, Value> = serde_json::from_str(text).unwrap();
        assert_eq!(whole(&fields, 500).to_string(), text);
    }

    #[test]
    fn a_payload_that_never_arrives_whole_is_cut_down_to_what_opens_the_room() {
        let fields = object(json!({
            "_id": "m1", "room": "r", "messageType": "text", "message": "x".repeat(MOST_BYTES),
            "sender": {"_id": "sss", "nickname": "SSS", "description": "long", "avatarUrl": null},
        }));
        let expected = json!({
            "_id": "m1", "room": "r", "messageType": "text", "sender": {"_id": "sss", "nickname": "SSS"},
        });
        assert_eq!(whole(&fields, 0), expected);
        let short = object(json!({"_id": "m1", "own": "x".repeat(100)}));
        assert_eq!(whole(&short, MOST_BYTES - 50), json!({"_id": "m1"}), "the texts beside it take the room");
    }

    #[test]
    fn a_payload_that_is_nested_without_end_is_cut_down_to_what_opens_the_room() {
        let deep: Value = serde_json::from_str(&format!("{}{}", "[".repeat(100), "]".repeat(100))).unwrap();
        let fields = object(json!({"_id": "m1", "extra": deep, "appID": deep}));
        assert_eq!(whole(&fields, 0), json!({"_id": "m1"}));
    }

    #[test]
    fn a_core_field_without_end_is_left_out() {
        let fields = object(json!({"_id": "m1", "appID": "x".repeat(5000), "sender": {"nickname": "x".repeat(5000)}}));
        assert_eq!(core(&fields), json!({"_id": "m1"}));
    }

    #[test]
    fn cipher_text_is_left_out_however_deep() {
        let fields = object(json!({
            "_id": "m2", "messageType": "text", "message": "yes",
            "reply": {"_id": "m1", "messageType": "encrypted", "message": "cipher", "extra": {"hint": "cipher"}},
        }));
        let payload = whole(&fields, 0);
        assert_eq!(payload["reply"], json!({"_id": "m1", "messageType": "encrypted"}));
        assert!(!payload.to_string().contains("cipher"));
    }
}
