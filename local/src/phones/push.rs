//! What a push says, read from an APNs payload or an FCM v1 message.

use serde_json::Value;

use super::Channel;

/// How long the vendor keeps a push for a phone that is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Not at all.
    NowOrNever,
    /// For these seconds.
    Seconds(i64),
    /// Until the phone is back.
    Unlimited,
}

impl Lifetime {
    /// A time to live in seconds, where one was given.
    pub(crate) fn of(seconds: Option<i64>) -> Self {
        match seconds {
            None => Self::Unlimited,
            Some(..=0) => Self::NowOrNever,
            Some(seconds) => Self::Seconds(seconds),
        }
    }
}

/// A push on its way to a phone.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(super) channel: Channel,
    pub(super) token: String,
    /// APNs' rules; otherwise FCM's.
    pub(super) apns: bool,
    /// Tells the apps of one phone apart, for what is kept while it is off.
    pub(super) app: String,
    pub(super) title: Option<String>,
    pub(super) body: Option<String>,
    pub(super) badge: Option<i64>,
    pub(super) sound: Option<String>,
    pub(super) silent: bool,
    pub(super) collapse_id: Option<String>,
    pub(super) collapse_key: Option<String>,
    pub(super) lifetime: Lifetime,
    pub(super) payload: Value,
}

impl Push {
    /// A push by APNs. It shows when it has an alert and is not of the type `background`.
    pub(crate) fn apns(
        channel: Channel,
        token: &str,
        app: &str,
        payload: Value,
        push_type: Option<&str>,
        collapse_id: Option<&str>,
        lifetime: Lifetime,
    ) -> Self {
        let aps = &payload["aps"];
        let alert = &aps["alert"];
        let (title, body) = match alert {
            Value::String(body) => (None, Some(body.clone())),
            Value::Object(_) => (text(&alert["title"]), text(&alert["body"])),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => (None, None),
        };
        let shows = match alert {
            Value::String(body) => !body.is_empty(),
            Value::Object(parts) => !parts.is_empty(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
        };
        Self {
            channel,
            token: token.to_owned(),
            apns: true,
            app: app.to_owned(),
            title,
            body,
            badge: aps["badge"].as_i64(),
            sound: text(&aps["sound"]).or_else(|| text(&aps["sound"]["name"])),
            silent: !shows || push_type == Some("background"),
            collapse_id: collapse_id.map(str::to_owned),
            collapse_key: None,
            lifetime,
            payload,
        }
    }

    /// A push by FCM to an Android phone: `message` is the v1 message. It shows when it has a notification; it then
    /// collapses, while the phone is off, with every other notification of its app, whatever its collapse key.
    /// Source: firebase.google.com, "Non-collapsible and collapsible messages".
    pub(crate) fn fcm(channel: Channel, token: &str, app: &str, message: Value) -> Self {
        let android = &message["android"];
        let own = either(&android["notification"], None);
        let shared = either(&message["notification"], None);
        let from =
            |name: &str| own.and_then(|own| text(&own[name])).or_else(|| shared.and_then(|shared| text(&shared[name])));
        let only = |snake: &str, camel: &str| own.and_then(|own| either(&own[snake], Some(&own[camel])));
        let key = either(&android["collapse_key"], Some(&android["collapseKey"]));
        let ttl = text(&android["ttl"]).and_then(|ttl| {
            let seconds = ttl.strip_suffix('s')?.split('.').next()?;
            seconds.parse().ok()
        });
        let silent = own.is_none() && shared.is_none();
        let collapse_key = if silent { key.and_then(text) } else { Some(app.to_owned()) };
        Self {
            channel,
            token: token.to_owned(),
            apns: false,
            app: app.to_owned(),
            title: from("title"),
            body: from("body"),
            badge: only("notification_count", "notificationCount").and_then(Value::as_i64),
            sound: from("sound"),
            silent,
            collapse_id: only("tag", "tag").and_then(text),
            collapse_key,
            lifetime: Lifetime::of(ttl),
            payload: message,
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The first of the two that is there.
fn either<'a>(first: &'a Value, second: Option<&'a Value>) -> Option<&'a Value> {
    [Some(first), second].into_iter().flatten().find(|value| !value.is_null())
}
