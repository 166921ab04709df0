//! `sendMessage` and `sendBroadcast`, as Kinvey's server SDK calls them (`kinvey-flex-sdk`, `lib/service/modules/push.js`): `recipients` and
//! `messageContent`. What is ours beside them: `sendAt`, `requestId`, `template`. The SDK hands an object `messageContent` on as it is, so they
//! may stand in there as well.

mod content;
mod recipients;
mod tokens;

use lambda_http::http::{HeaderMap, StatusCode};
use lambda_http::{Body, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::body::{self, missing, wrong};
use super::error::{Failure, Kind};
use crate::app::KinveySettings;
use crate::call::{self, BodyError};
use crate::dialect::recipients::LeftOut;
use crate::dialect::timing;
use crate::id::TaskId;
use crate::task::{Members, Whom};
use crate::time::Timestamp;

pub use content::Content;
pub use tokens::{EntryError, Import, MOST_IMPORTED};

/// The field that holds what is sent.
const CONTENT: &str = "messageContent";

/// Which of the two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// `sendMessage`: to the recipients that it names.
    Recipients,
    /// `sendBroadcast`: to every device of the app.
    Everybody,
}

/// A push as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// Whom it is for; `None` when the list names nobody who can be told.
    pub whom: Option<Whom>,
    /// How many recipients were accepted; none of a broadcast, whose audience is counted when it is read.
    pub accepted: Option<usize>,
    /// What of the list tells nobody.
    pub left_out: LeftOut,
    /// The caller's name for the request: the same name again is the same push.
    pub request: Option<String>,
    /// When it is to be sent; `None`: at once.
    pub due: Option<Timestamp>,
    /// What is sent.
    pub content: Content,
    /// The push tokens in the recipients' documents, where the app wants them registered.
    pub imports: Vec<Import>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form<'a> {
    #[serde(borrow)]
    recipients: Option<&'a RawValue>,
    message_content: Option<Value>,
    send_at: Option<Value>,
    request_id: Option<Value>,
    template: Option<Value>,
}

impl Send {
    /// Reads a call.
    ///
    /// # Errors
    /// When a field is missing or cannot be, with its name; or when none of the recipients can be told, with the first one's reason.
    pub fn parse(
        headers: &HeaderMap,
        said: Result<&[u8], BodyError>,
        to: To,
        settings: &KinveySettings,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        if said == Err(BodyError::TooLarge) {
            let rule =
                "the body is longer than 5 MiB: send to the recipients in several calls, each with a part of the list";
            return Err(Failure::new(Kind::ParameterValueOutOfRange, rule));
        }
        let Form { recipients, message_content, send_at, request_id, template } = body::read(headers, said)?;
        let mut content = message_content.filter(|content| !content.is_null()).ok_or_else(|| missing(CONTENT))?;
        let own = [("sendAt", send_at), ("requestId", request_id), ("template", template)];
        let fields = ours(own, &mut content)?;
        let due = timing::send_at(&fields, now).map_err(|error| wrong("sendAt", error))?;
        let request = timing::request(&fields).map_err(|error| wrong("requestId", error))?;
        let is_template = match fields.get("template") {
            None => settings.templates,
            Some(Value::Bool(is_template)) => *is_template,
            Some(_) => return Err(wrong("template", "is not a boolean")),
        };
        let content = Content::parse(content, is_template, settings)?;
        let (whom, accepted, left_out, imports) = match to {
            To::Everybody => (Some(Whom::Members(Members::All)), None, LeftOut::default(), Vec::new()),
            To::Recipients => {
                let list = recipients.filter(|list| list.get() != "null").ok_or_else(|| missing("recipients"))?;
                let sorted = recipients::sort(list, content.names(), settings)?;
                let whom = (!sorted.targets.is_empty()).then_some(Whom::Targets(sorted.targets));
                (whom, Some(sorted.accepted), sorted.left_out, sorted.imports)
            }
        };
        if whom.is_none()
            && let Some(first) = left_out.skipped.first()
        {
            let rule = format!("have none who can be told: recipients[{}] {}", first.index, first.reason);
            return Err(wrong("recipients", rule));
        }
        Ok(Self { whom, accepted, left_out, request, due, content, imports })
    }
}

/// The fields that are ours, each from where it stands. They are taken out of the content.
fn ours(own: [(&'static str, Option<Value>); 3], content: &mut Value) -> Result<Map<String, Value>, Failure> {
    let mut fields = Map::new();
    for (name, value) in own {
        let inside = content.as_object_mut().and_then(|members| members.remove(name));
        let [value, inside] = [value, inside].map(|value| value.filter(|value| !value.is_null()));
        if value.is_some() && inside.is_some() {
            return Err(wrong(name, "is there twice: in the body and in messageContent"));
        }
        fields.extend(value.or(inside).map(|value| (name.to_owned(), value)));
    }
    Ok(fields)
}

/// The answer to a push that was taken.
#[derive(Debug, Serialize)]
pub struct Taken<'a> {
    /// Its number; none when there was nobody to tell.
    pub task_id: Option<TaskId>,
    /// As [`Send::accepted`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<usize>,
    /// The same request was accepted before, under this number.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
    /// When it is sent, if not now.
    #[serde(rename = "sendAt", skip_serializing_if = "Option::is_none")]
    pub send_at: Option<String>,
    /// Devices that were registered by their tokens in the documents, where the app wants that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported: Option<usize>,
    /// What of the list tells nobody.
    #[serde(flatten)]
    pub left_out: &'a LeftOut,
}

impl Taken<'_> {
    /// The answer.
    #[must_use]
    pub fn response(&self) -> Response<Body> {
        call::json(StatusCode::OK, self)
    }
}

#[cfg(test)]
mod tests;
