//! `POST /push/push2clients`: an app's server pushes to clients (imkit/api-doc, `pages/en/push/push-to-clients.md`).
//!
//! `alert`, `badge`, `sound`, `expiry` are Apple's, `title` and `body` Android's; who has no text of their own gets the other's. `topic` is the
//! platform application's to know and is left alone. What is ours: `sendAt`, `requestId`.

use std::borrow::Cow;

use lambda_http::{Body, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::envelope::{Failure, ok};
use super::subscription::{invalid, missing, object, whole};
use crate::call::BodyError;
use crate::delivery;
use crate::dialect::recipients::{LeftOut, Recipients};
use crate::dialect::timing;
use crate::id::{AppId, MessageId, TaskId};
use crate::message::{
    Badge, Behaviour, Dialect, IosBlock, Kind, Localised, Media, Message, Origin, Roads, Text, Vendors,
};
use crate::task::Target;
use crate::time::Timestamp;

/// The last second that a `u64` of milliseconds can hold.
const LAST_SECOND: u64 = u64::MAX / 1000;

/// A push as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientPush {
    /// Who is to be told.
    pub to: Vec<Target>,
    /// What of the list tells nobody.
    pub left_out: LeftOut,
    /// The caller's name for the request: the same name again is the same push.
    pub request: Option<String>,
    /// When it is to be sent; `None`: at once.
    pub due: Option<Timestamp>,
    text: Text,
    badge: Option<u32>,
    behaviour: Behaviour,
    data: Map<String, Value>,
    aps: Option<Map<String, Value>>,
}

impl ClientPush {
    /// Reads a call.
    ///
    /// # Errors
    /// When a field is missing or cannot be; the failure names it and the rule.
    pub fn parse(body: Result<&[u8], BodyError>, now: Timestamp) -> Result<Self, Failure> {
        let fields = object(body)?;
        let payload = match fields.get("payload") {
            None | Some(Value::Null) => return Err(missing("payload")),
            Some(Value::Object(payload)) => Payload(payload),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                return Err(wrong("payload", "is not an object"));
            }
        };
        let clients = match fields.get("clients") {
            None | Some(Value::Null) => return Err(missing("clients")),
            Some(Value::Array(clients)) => clients,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                return Err(wrong("clients", "is not a list"));
            }
        };
        let texts = clients.iter().map(|client| client.as_str().map(Cow::Borrowed));
        let Recipients { clients, left_out } = Recipients::sort_texts(texts, None);
        if clients.is_empty()
            && let Some(first) = left_out.skipped.first()
        {
            let rule = format!("has nobody who can be told: clients[{}] {}", first.index, first.reason);
            return Err(wrong("clients", rule));
        }
        let due = timing::send_at(&fields, now).map_err(|error| wrong("sendAt", error))?;
        let request = timing::request(&fields).map_err(|error| wrong("requestId", error))?;
        let (text, badge) = (payload.texts()?, payload.badge()?);
        let aps = payload.aps(badge)?;
        let behaviour = payload.behaviour(&text, badge, due.unwrap_or(now))?;
        let data = payload.data()?;
        let to = clients.into_iter().map(Target::Fresh).collect();
        Ok(Self { to, left_out, request, due, text, badge, behaviour, data, aps })
    }

    /// The message of a task in `app`; `id` is the task's own. The badge is the caller's: it is shown, and nothing is counted.
    #[must_use]
    pub fn message(&self, app: AppId, id: MessageId) -> Message {
        let ios = IosBlock {
            aps: self.aps.clone(),
            // `collapseKey` is Android's.
            apns_collapse_id: self.behaviour.collapse.is_some().then(|| id.as_str().to_owned()),
            ..IosBlock::default()
        };
        Message {
            origin: Origin::of_server(app, Dialect::Imkit, id),
            text: self.text.clone(),
            badge: self.badge.map_or(Badge::None, Badge::Show),
            behaviour: self.behaviour.clone(),
            media: Media::default(),
            data: self.data.clone(),
            vendors: Vendors { ios: Some(ios), ..Vendors::default() },
            roads: Roads::default(),
            values: None,
        }
    }
}

struct Payload<'a>(&'a Map<String, Value>);

impl<'a> Payload<'a> {
    fn text(&self, name: &str) -> Result<Option<&'a str>, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(wrong(&format!("payload.{name}"), "is not a string"))
            }
        }
    }

    fn badge(&self) -> Result<Option<u32>, Failure> {
        let rule = "is not a whole number from 0 to 4294967295";
        self.number("badge", rule)?.map(|n| u32::try_from(n).map_err(|_| wrong("payload.badge", rule))).transpose()
    }

    fn number(&self, name: &str, rule: &str) -> Result<Option<u64>, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => whole(value).map(Some).ok_or_else(|| wrong(&format!("payload.{name}"), rule)),
        }
    }

    fn alert(&self) -> Result<Option<&'a Value>, Failure> {
        match self.0.get("alert") {
            None | Some(Value::Null) => Ok(None),
            Some(alert @ Value::String(text)) => Ok(Some(alert).filter(|_| !text.is_empty())),
            Some(alert @ Value::Object(parts)) => Ok(Some(alert).filter(|_| !parts.is_empty())),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
                Err(wrong("payload.alert", "is neither a string nor an object"))
            }
        }
    }

    /// Android's texts; where there are none, the alert's.
    fn texts(&self) -> Result<Text, Failure> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (title, body) = (owned(self.text("title")?), owned(self.text("body")?));
        let alert = self.alert()?;
        let part = |name: &str| owned(alert.and_then(|alert| alert[name].as_str()));
        let localised = part("loc-key").map(|key| Localised {
            key,
            args: alert
                .and_then(|alert| alert["loc-args"].as_array())
                .map(|args| args.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                .unwrap_or_default(),
        });
        let body = body.or_else(|| owned(alert.and_then(Value::as_str))).or_else(|| part("body"));
        Ok(Text { title: title.or_else(|| part("title")), body, localised, ..Text::default() })
    }

    /// Apple's dictionary, where there is an alert.
    fn aps(&self, badge: Option<u32>) -> Result<Option<Map<String, Value>>, Failure> {
        let Some(alert) = self.alert()? else { return Ok(None) };
        let mut aps = Map::from_iter([("alert".to_owned(), alert.clone())]);
        aps.extend(badge.map(|badge| ("badge".to_owned(), json!(badge))));
        aps.extend(self.text("sound")?.map(|sound| ("sound".to_owned(), json!(sound))));
        if delivery::is_too_long_whole(&aps) {
            return Err(wrong("payload.alert", "is longer than 4096 bytes as JSON"));
        }
        Ok(Some(aps))
    }

    fn behaviour(&self, text: &Text, badge: Option<u32>, begins: Timestamp) -> Result<Behaviour, Failure> {
        let rule = "is not a time in seconds since 1970";
        let expires_at = match self.number("expiry", rule)? {
            None => None,
            Some(seconds) if seconds <= LAST_SECOND => Some(Timestamp::from_millis(seconds * 1000)),
            Some(_) => return Err(wrong("payload.expiry", rule)),
        };
        if expires_at.is_some_and(|end| end <= begins) {
            return Err(wrong("payload.expiry", "is not after the time at which the push is sent"));
        }
        let shows = self.alert()?.is_some() || text.title.is_some() || text.body.is_some();
        if !shows && badge.is_none() {
            return Err(missing("payload.alert (or title, body, badge)"));
        }
        Ok(Behaviour {
            kind: if shows { Kind::Alert } else { Kind::Badge },
            sound: self.text("sound")?.map(str::to_owned),
            expires_at,
            collapse: self.text("collapseKey")?.map(str::to_owned),
            ..Behaviour::default()
        })
    }

    fn data(&self) -> Result<Map<String, Value>, Failure> {
        let mut data = Map::new();
        for name in ["type", "icon"] {
            data.extend(self.text(name)?.map(|text| (name.to_owned(), json!(text))));
        }
        if delivery::is_too_long_whole(&data) {
            return Err(wrong("payload.type and payload.icon", "are longer than 4096 bytes as JSON"));
        }
        Ok(data)
    }
}

/// The answer to a push that was taken: IMKIT's has an empty `result`; what stands in it is ours.
#[must_use]
pub fn taken(task: Option<TaskId>, repeated: bool, accepted: usize, left_out: &LeftOut) -> Response<Body> {
    ok(Taken { task_id: task, accepted, repeated, left_out })
}

#[derive(Serialize)]
struct Taken<'a> {
    task_id: Option<TaskId>,
    accepted: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    #[serde(flatten)]
    left_out: &'a LeftOut,
}

fn wrong(field: &str, rule: impl std::fmt::Display) -> Failure {
    invalid(format!("{field} {rule}"))
}

#[cfg(test)]
mod tests;
