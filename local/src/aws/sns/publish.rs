//! What a publish to an endpoint says: the platform's part of the message, its attributes and its limits.

use std::fmt;

use http::StatusCode;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::{Value, json};

use super::endpoints::Endpoint;
use super::{Form, Refusal, invalid};
use crate::phones::{Channel, Lifetime, Push};

/// The longest message with all its platforms, in bytes.
pub(super) const MAX_ENVELOPE: usize = 262_144;
/// The longest payload of APNs and FCM, in bytes.
const MAX_PAYLOAD: usize = 4096;
/// The longest collapse id of APNs, in bytes.
const MAX_COLLAPSE_ID: usize = 64;
/// The longest time to live, four weeks in seconds.
const MAX_TTL: i64 = 2_419_200;

const PUSH_TYPES: [&str; 9] =
    ["alert", "background", "complication", "controls", "fileprovider", "liveactivity", "location", "mdm", "voip"];

pub(super) fn push(form: &Form, message: &str, endpoint: &Endpoint) -> Result<Push, Refusal> {
    let platform = endpoint.platform();
    let payload = payload(form, message, platform)?;
    let attributes = Attributes::read(form, platform)?;
    if payload.len() > MAX_PAYLOAD {
        return Err(invalid(&format!(
            "Message Reason: Invalid notification for protocol {platform}: the payload of {} bytes is over the limit of {MAX_PAYLOAD}",
            payload.len()
        )));
    }
    let value: Value = serde_json::from_str(&payload).ok().filter(Value::is_object).ok_or_else(|| {
        invalid(&format!(
            "Message Reason: Invalid notification for protocol {platform}: the payload is not a JSON object"
        ))
    })?;
    if platform.starts_with("APNS") {
        let app = attributes.topic.as_deref().unwrap_or(&endpoint.application);
        return Ok(Push::apns(
            Channel::Sns,
            &endpoint.token,
            app,
            value,
            attributes.push_type.as_deref(),
            attributes.collapse_id.as_deref(),
            Lifetime::of(attributes.ttl),
        ));
    }
    let mut message = value;
    // The form from before FCM v1 has the same notification and data, without the wrapping.
    if message.get("fcmV1Message").is_some() {
        message = message["fcmV1Message"]["message"].take();
    }
    if !message.is_object() {
        return Err(invalid("Message Reason: Invalid notification for protocol GCM: fcmV1Message has no message"));
    }
    if let Some(ttl) = attributes.ttl
        && message["android"]["ttl"].is_null()
    {
        message["android"]["ttl"] = json!(format!("{ttl}s"));
    }
    Ok(Push::fcm(Channel::Sns, &endpoint.token, &endpoint.application, message))
}

/// The text for the platform.
fn payload(form: &Form, message: &str, platform: &str) -> Result<String, Refusal> {
    let plain = |text: &str| {
        if platform.starts_with("APNS") {
            json!({ "aps": { "alert": text } }).to_string()
        } else {
            json!({ "data": { "default": text } }).to_string()
        }
    };
    match form.get("MessageStructure") {
        None | Some("") => return Ok(plain(message)),
        Some("json") => {}
        Some(_) => return Err(invalid("MessageStructure")),
    }
    let Members(members) =
        serde_json::from_str(message).map_err(|_| invalid("Message Structure - JSON message body failed to parse"))?;
    let text = |name: &str| members.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_str());
    let default =
        text("default").ok_or_else(|| invalid("Message Structure - No default entry in JSON message body"))?;
    Ok(text(platform).map_or_else(|| plain(default), str::to_owned))
}

/// The members of a JSON object, refused when one comes twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if members.iter().any(|(there, _)| *there == key) {
                        return Err(M::Error::custom("a key comes twice"));
                    }
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Read)
    }
}

/// The message attributes that SNS takes for itself.
#[derive(Default)]
struct Attributes {
    ttl: Option<i64>,
    push_type: Option<String>,
    collapse_id: Option<String>,
    topic: Option<String>,
}

impl Attributes {
    fn read(form: &Form, platform: &str) -> Result<Self, Refusal> {
        let mut found = Self::default();
        for (name, value) in form.message_attributes() {
            if value.is_empty() {
                return Err(Refusal::sns(
                    StatusCode::BAD_REQUEST,
                    "ParameterValueInvalid",
                    &format!(
                        "The message attribute '{name}' must contain non-empty message attribute value for message attribute type 'String'."
                    ),
                ));
            }
            let Some((of, name)) = name.strip_prefix("AWS.SNS.MOBILE.").and_then(|rest| rest.split_once('.')) else {
                continue;
            };
            // All but the time to live are spelled APNS also for the sandbox; a publisher may write either.
            let ours = of == platform
                || (of == "APNS" && platform.starts_with("APNS") && name != "TTL")
                || (matches!(of, "FCM" | "GCM") && platform == "GCM");
            let bad = || invalid(&format!("MessageAttributes Reason: {name} is not valid"));
            match name {
                _ if !ours => {}
                "TTL" => {
                    let ttl = value.parse().map_err(|_| bad())?;
                    if !(0..=MAX_TTL).contains(&ttl) {
                        return Err(bad());
                    }
                    found.ttl = Some(ttl);
                }
                "PUSH_TYPE" => {
                    if !PUSH_TYPES.contains(&value.as_str()) {
                        return Err(bad());
                    }
                    found.push_type = Some(value);
                }
                "PRIORITY" if !matches!(value.as_str(), "1" | "5" | "10") => return Err(bad()),
                "COLLAPSE_ID" => {
                    // APNs itself refuses a longer one, after SNS has accepted it; here it is found at once.
                    if value.len() > MAX_COLLAPSE_ID {
                        return Err(bad());
                    }
                    found.collapse_id = Some(value);
                }
                "TOPIC" => found.topic = Some(value),
                _ => {}
            }
        }
        Ok(found)
    }
}
