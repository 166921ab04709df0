//! Whether FCM would take a send request: its fields first, as Google's front end checks them, then its content.

use serde_json::{Map, Value};

use super::schema::{Field, Kind, REQUEST};

/// The longest message: notification and data, in bytes. Source: "About FCM messages".
const MAX_MESSAGE: usize = 4096;
/// The longest message to a topic, in bytes.
const MAX_TOPIC_MESSAGE: usize = 2048;
/// The longest APNs payload that FCM passes on, in bytes.
const MAX_APNS: usize = 4096;
/// Four weeks, in seconds.
const MAX_TTL: u64 = 2_419_200;
/// What a message can be sent to. Exactly one.
const TARGETS: [&str; 4] = ["token", "topic", "condition", "fid"];

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// Where, as a path of names.
    pub(super) field: String,
    /// What is wrong.
    pub(super) description: String,
    /// FCM itself found it; otherwise the request could not even be read.
    pub(super) parsed: bool,
}

pub(super) fn request(request: &Value) -> Result<(), Violation> {
    message(request, REQUEST, "")?;
    let message = request["message"].as_object().ok_or_else(|| refused("message", "Message is missing."))?;
    target(message)?;
    for (data, field) in
        [(message.get("data"), "message.data"), (at(message, &["android", "data"]), "message.android.data")]
    {
        reserved_keys(data, field)?;
    }
    if let Some(count) = android(message, "notification_count", "notificationCount")
        && count.as_i64().is_some_and(|count| count < 0)
    {
        return Err(refused(
            "message.android.notification.notification_count",
            "The notification count must not be negative.",
        ));
    }
    sizes(message)
}

fn target(message: &Map<String, Value>) -> Result<(), Violation> {
    let given: Vec<&str> =
        TARGETS.into_iter().filter(|name| message.get(*name).is_some_and(|value| !value.is_null())).collect();
    let [target] = given.as_slice() else {
        // More than one member of a oneof does not parse; none is FCM's own error.
        return Err(if given.is_empty() {
            refused("message", "Recipient of the message is not set.")
        } else {
            unread(
                "message",
                &format!(
                    "Invalid value at 'message' (oneof), oneof field 'target' is already set. Cannot set '{}'",
                    given[1]
                ),
            )
        });
    };
    let value = message[*target].as_str().unwrap_or_default();
    let bad_token = value.is_empty() || value.len() > 4096 || value.chars().any(char::is_whitespace);
    if *target == "token" && bad_token {
        return Err(refused("message.token", "The registration token is not a valid FCM registration token"));
    }
    if value.is_empty() {
        return Err(refused(&format!("message.{target}"), "Recipient of the message is not set."));
    }
    Ok(())
}

fn reserved_keys(data: Option<&Value>, field: &str) -> Result<(), Violation> {
    let keys = data.and_then(Value::as_object).into_iter().flat_map(Map::keys);
    for key in keys {
        let reserved = matches!(key.as_str(), "from" | "message_type" | "collapse_key")
            || key.starts_with("google")
            || key.starts_with("gcm");
        if reserved || key.is_empty() {
            return Err(refused(field, &format!("Invalid data payload key: {key}")));
        }
    }
    Ok(())
}

fn sizes(message: &Map<String, Value>) -> Result<(), Violation> {
    let parts = [
        message.get("notification"),
        message.get("data"),
        at(message, &["android", "notification"]),
        at(message, &["android", "data"]),
    ];
    let size: usize = parts.into_iter().flatten().map(bytes).sum();
    let limit = if message.contains_key("topic") || message.contains_key("condition") {
        MAX_TOPIC_MESSAGE
    } else {
        MAX_MESSAGE
    };
    if size > limit {
        return Err(refused("message", "Android message is too big"));
    }
    let apns = at(message, &["apns", "payload"]);
    if apns.is_some_and(|payload| payload.to_string().len() > MAX_APNS) {
        return Err(refused("message.apns.payload", "APNs payload is too big"));
    }
    Ok(())
}

/// The bytes of all names and texts.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + bytes(value)).sum(),
        Value::Array(values) => values.iter().map(bytes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string().len(),
    }
}

fn at<'a>(message: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(message.get(*first)?, |value, name| value.get(*name))
}

fn android<'a>(message: &'a Map<String, Value>, snake: &str, camel: &str) -> Option<&'a Value> {
    let notification = at(message, &["android", "notification"])?;
    notification.get(snake).or_else(|| notification.get(camel))
}

/// Checks the fields of a message: their names, each once, and their types.
fn message(value: &Value, fields: &[Field], path: &str) -> Result<(), Violation> {
    let Some(members) = value.as_object() else {
        return Err(unread(path, &format!("Invalid value at '{path}'")));
    };
    for (name, value) in members {
        let Some(Field(_, kind)) = fields.iter().find(|Field(known, _)| spelled(known, name)) else {
            let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
            return Err(unread(
                path,
                &format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."),
            ));
        };
        let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        // Proto JSON reads null as not set.
        if !value.is_null() {
            field(value, kind, &inner)?;
        }
    }
    Ok(())
}

/// Whether `name` is `known`, in snake or in camel case.
fn spelled(known: &str, name: &str) -> bool {
    if known == name {
        return true;
    }
    let mut camel = String::with_capacity(known.len());
    let mut upper = false;
    for character in known.chars() {
        if character == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            camel.push(character.to_ascii_uppercase());
        } else {
            camel.push(character);
        }
    }
    camel == name
}

fn field(value: &Value, kind: &Kind, path: &str) -> Result<(), Violation> {
    let wrong = |kind: &str| Err(unread(path, &format!("Invalid value at '{path}' ({kind}), {value}")));
    match kind {
        Kind::Text if value.is_string() => Ok(()),
        Kind::Text => wrong("TYPE_STRING"),
        Kind::Flag if value.is_boolean() => Ok(()),
        Kind::Flag => wrong("TYPE_BOOL"),
        Kind::Integer => {
            let text = value.as_str().and_then(|text| text.parse::<i32>().ok());
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
            text.or(number).map_or_else(|| wrong("TYPE_INT32"), |_| Ok(()))
        }
        Kind::Number if value.is_number() => Ok(()),
        Kind::Number => wrong("TYPE_FLOAT"),
        Kind::Struct if value.is_object() => Ok(()),
        Kind::Struct => wrong("type.googleapis.com/google.protobuf.Struct"),
        Kind::TextMap => {
            let Some(members) = value.as_object() else {
                return wrong("TYPE_MESSAGE");
            };
            match members.iter().find(|(_, value)| !value.is_string()) {
                None => Ok(()),
                Some((name, value)) => Err(unread(
                    &format!("{path}[{name}]"),
                    &format!("Invalid value at '{path}[{name}].value' (TYPE_STRING), {value}"),
                )),
            }
        }
        Kind::Duration => duration(value, path),
        Kind::Time => match value.as_str() {
            Some(text) if text.len() >= 20 && text.contains('T') => Ok(()),
            Some(_) | None => wrong("type.googleapis.com/google.protobuf.Timestamp"),
        },
        Kind::OneOf(names) => {
            let known = value.as_str().is_some_and(|text| names.iter().any(|name| name.eq_ignore_ascii_case(text)));
            if known { Ok(()) } else { wrong("TYPE_ENUM") }
        }
        Kind::Texts => match value.as_array() {
            Some(values) if values.iter().all(Value::is_string) => Ok(()),
            Some(_) | None => wrong("TYPE_STRING"),
        },
        Kind::Durations => match value.as_array() {
            Some(values) => values.iter().try_for_each(|value| duration(value, path)),
            None => wrong("type.googleapis.com/google.protobuf.Duration"),
        },
        Kind::Message(fields) => message(value, fields, path),
    }
}

/// Seconds with up to nine decimals and an `s` behind; at most four weeks for a time to live.
fn duration(value: &Value, path: &str) -> Result<(), Violation> {
    let wrong = || {
        unread(
            path,
            &format!(
                "Invalid value at '{path}' (type.googleapis.com/google.protobuf.Duration), Field '{path}', Illegal duration format; duration must end with 's'"
            ),
        )
    };
    let number = value.as_str().and_then(|text| text.strip_suffix('s')).ok_or_else(wrong)?;
    let (seconds, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(decimals) || decimals.len() > 9 {
        return Err(wrong());
    }
    let seconds: u64 = seconds.parse().map_err(|_| wrong())?;
    if seconds > MAX_TTL {
        return Err(refused(path, "The time to live is over four weeks."));
    }
    Ok(())
}

fn unread(field: &str, description: &str) -> Violation {
    Violation { field: field.to_owned(), description: description.to_owned(), parsed: false }
}

fn refused(field: &str, description: &str) -> Violation {
    Violation { field: field.to_owned(), description: description.to_owned(), parsed: true }
}
