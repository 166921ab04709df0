//! IMKIT's push callbacks: `PUSH_GENERIC` (v2, one call per message, with `pushToClients`) and `PUSH` (v1, one call per recipient,
//! with `toClient`, `badge` and `alert`).
//!
//! A body is read in two steps, so that 25,000 recipients cost no tree of values: first the object's fields as slices of the
//! body, then the few that make the message.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use lambda_http::http::StatusCode;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::chat_message::ChatMessage;
use super::compose::{self, V1};
use super::envelope::Failure;
use super::message_type::Phone;
use super::subscription::whole;
use crate::app::{ImkitSettings, ImkitVersion};
use crate::dialect::recipients::{Recipients, text};
use crate::id::{AppId, ClientId, IdError};
use crate::message::{MOST_BYTES, Message};

/// Why a callback cannot be worked with. Names the field and the rule, never a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// The body is not JSON.
    #[error("the body is not valid JSON: line {line}, column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// In bytes, as `serde_json` counts them.
        column: usize,
    },
    /// A field that the work cannot be done without.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Neither `pushToClients` nor `toClient`.
    #[error("pushToClients is missing (or toClient, for the v1 callback)")]
    NoRecipients,
    /// A field, or the body, is not what it has to be.
    #[error("{field} must be {expected}")]
    WrongType {
        /// Its name in the protocol.
        field: &'static str,
        /// In English, with its article.
        expected: &'static str,
    },
    /// An identifier that breaks a rule.
    #[error("{field} {rule}")]
    Identifier {
        /// Its name in the protocol.
        field: &'static str,
        /// The rule.
        rule: IdError,
    },
    /// The message, without its recipients and mentions, is longer than [`MOST_BYTES`].
    #[error("the message without its recipients is longer than 64 KiB")]
    TooLarge,
}

impl CallbackError {
    /// The answer to it.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let (status, code) = match self {
            Self::Syntax { .. } => (StatusCode::BAD_REQUEST, "INVALID_JSON"),
            Self::Missing(_) | Self::NoRecipients => (StatusCode::BAD_REQUEST, "MISSING_PARAMETER"),
            Self::WrongType { .. } | Self::Identifier { .. } => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "MESSAGE_TOO_LARGE"),
        };
        Failure::new(status, code, self.to_string())
    }
}

/// What a callback asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Callback {
    /// These are told this. The list may be empty: then there is nothing to do.
    Deliver(Box<Message>, Recipients),
    /// Nothing is delivered, and that is no error.
    Ignored(Ignored),
}

/// Why a callback is answered and not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// The app takes the other of the two callbacks: a server that is set to both would notify twice.
    Version(ImkitVersion),
    /// A message type that is not for phones.
    Type(&'static str),
    /// The message is hidden in its room (`isHidden`).
    Hidden,
}

impl Ignored {
    /// The word in answers, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Version(ImkitVersion::V1) => "v1",
            Self::Version(ImkitVersion::V2) => "v2",
            Self::Type(name) => name,
            Self::Hidden => "hidden",
        }
    }
}

/// Reads a callback's body.
///
/// # Errors
/// When it is not a JSON object, has no recipients' field, or lacks what the work cannot be done without.
pub fn read(app: &AppId, settings: &ImkitSettings, body: &[u8]) -> Result<Callback, CallbackError> {
    let body = Text::new(body)?;
    let outer = Fields::of(body.0, &body)?;
    let version = match (outer.get(RECIPIENTS), outer.get(RECIPIENT)) {
        (Some(_), _) => ImkitVersion::V2,
        (None, Some(_)) => ImkitVersion::V1,
        (None, None) => match outer.nested(&body)? {
            Some(inner) if inner.get(RECIPIENT).is_some() => ImkitVersion::V1,
            Some(_) | None => return Err(CallbackError::NoRecipients),
        },
    };
    if version != settings.version {
        return Ok(Callback::Ignored(Ignored::Version(version)));
    }
    match version {
        ImkitVersion::V2 => read_v2(app, settings, &outer, &body),
        ImkitVersion::V1 => read_v1(app, settings, &outer, &body),
    }
}

const RECIPIENTS: &str = "pushToClients";
const RECIPIENT: &str = "toClient";
const MENTIONS: &str = "mentions";

fn read_v2(
    app: &AppId,
    settings: &ImkitSettings,
    fields: &Fields<'_>,
    body: &Text<'_>,
) -> Result<Callback, CallbackError> {
    let wrong = CallbackError::WrongType { field: RECIPIENTS, expected: "a list" };
    let list = fields.get(RECIPIENTS).filter(|list| list.get().starts_with('[')).ok_or(wrong)?;
    let list: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(|error| body.syntax(list.get(), &error))?;
    let chat = fields.chat_message(body)?;
    if let Some(ignored) = ignored(&chat) {
        return Ok(Callback::Ignored(ignored));
    }
    let recipients = Recipients::sort(&list, chat.sender());
    let mut message = compose::message(app, settings, &chat, None);
    mention(&mut message, fields.mentions(), &recipients.clients);
    Ok(Callback::Deliver(Box::new(message), recipients))
}

fn read_v1(
    app: &AppId,
    settings: &ImkitSettings,
    outer: &Fields<'_>,
    body: &Text<'_>,
) -> Result<Callback, CallbackError> {
    // Older pages of IMKIT show the message under `payload`, newer ones flat.
    let nested = if outer.get("_id").or(outer.get("id")).is_some() { None } else { outer.nested(body)? };
    let get = |name: &str| outer.get(name).or_else(|| nested.as_ref().and_then(|inner| inner.get(name)));
    let wrong = CallbackError::WrongType { field: RECIPIENT, expected: "a string" };
    let client = get(RECIPIENT).and_then(|value| text(&value)).ok_or(wrong)?;
    let client =
        ClientId::parse(client.into_owned()).map_err(|rule| CallbackError::Identifier { field: RECIPIENT, rule })?;
    let badge = match get("badge") {
        None => None,
        Some(value) => Some(
            whole_number(value.get())
                .ok_or(CallbackError::WrongType { field: "badge", expected: "a whole number of 0 or more" })?,
        ),
    };
    let alert = get("alert").and_then(|value| text(&value)).filter(|alert| !alert.is_empty());

    let fields = nested.as_ref().unwrap_or(outer);
    let chat = fields.chat_message(body)?;
    if let Some(ignored) = ignored(&chat) {
        return Ok(Callback::Ignored(ignored));
    }
    let own = chat.sender() == Some(client.as_str());
    let recipients = Recipients { clients: if own { Vec::new() } else { vec![client] }, ..Recipients::default() };
    let mut message = compose::message(app, settings, &chat, Some(V1 { badge, alert: alert.as_deref() }));
    mention(&mut message, fields.mentions(), &recipients.clients);
    Ok(Callback::Deliver(Box::new(message), recipients))
}

fn ignored(chat: &ChatMessage) -> Option<Ignored> {
    match chat.row().phone {
        Phone::Nothing => Some(Ignored::Type(chat.row().name)),
        // Taking something back is right for a hidden message, too.
        Phone::Withdraw => None,
        Phone::Alert | Phone::Silent => chat.is_hidden().then_some(Ignored::Hidden),
    }
}

/// Badges beyond `u32` are nonsense.
fn whole_number(json: &str) -> Option<u32> {
    let value: Value = serde_json::from_str(json).ok()?;
    whole(&value).and_then(|number| u32::try_from(number).ok())
}

/// From this many on, a list that names every recipient is written as "everybody".
const MANY_MENTIONS: usize = 100;

/// Keeps those mentions that concern a recipient: IMKIT calls a whole room by naming all of its members, and every chunk of the
/// task carries the list.
fn mention(message: &mut Message, mentioned: BTreeSet<String>, recipients: &[ClientId]) {
    if mentioned.is_empty() {
        return;
    }
    let called: Vec<String> = recipients
        .iter()
        .map(ClientId::as_str)
        .filter(|client| mentioned.contains(*client))
        .map(str::to_owned)
        .collect();
    if called.len() >= MANY_MENTIONS && called.len() == recipients.len() {
        message.origin.mentions_all = true;
    } else {
        message.origin.mentions = called;
    }
}

/// The body as text, for the places of errors.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn new(body: &'a [u8]) -> Result<Self, CallbackError> {
        std::str::from_utf8(body).map(Self).map_err(|error| {
            let (line, column) = place(&body[..error.valid_up_to()]);
            CallbackError::Syntax { line, column }
        })
    }

    /// `error` of reading `part`, a slice of the body, at its place in the body.
    fn syntax(&self, part: &str, error: &serde_json::Error) -> CallbackError {
        let offset = (part.as_ptr() as usize).saturating_sub(self.0.as_ptr() as usize);
        let (line, column) = place(self.0.as_bytes().get(..offset).unwrap_or_default());
        if error.line() <= 1 {
            CallbackError::Syntax { line, column: column - 1 + error.column() }
        } else {
            CallbackError::Syntax { line: line + error.line() - 1, column: error.column() }
        }
    }
}

/// Line and column of what follows `before`, both from 1.
fn place(before: &[u8]) -> (usize, usize) {
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
    (line, column)
}

/// A JSON object's fields as they stand in the body. `null` is as good as absent.
struct Fields<'a> {
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
    too_large: bool,
}

impl<'a> Fields<'a> {
    fn of(json: &'a str, body: &Text<'_>) -> Result<Self, CallbackError> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let fields = reader.deserialize_map(FieldsVisitor).and_then(|fields| reader.end().map(|()| fields));
        fields.map_err(|error| {
            if error.is_data() {
                CallbackError::WrongType { field: "the body", expected: "a JSON object" }
            } else {
                body.syntax(json, &error)
            }
        })
    }

    /// The last field of this name, as in JavaScript.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.entries.iter().rev().find(|(key, _)| key == name)?;
        (value.get() != "null").then_some(*value)
    }

    /// The fields of the object under `payload`.
    fn nested(&self, body: &Text<'_>) -> Result<Option<Self>, CallbackError> {
        match self.get("payload") {
            Some(payload) if payload.get().starts_with('{') => Self::of(payload.get(), body).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    fn chat_message(&self, body: &Text<'_>) -> Result<ChatMessage, CallbackError> {
        if self.too_large {
            return Err(CallbackError::TooLarge);
        }
        let mut fields = Map::new();
        for (name, value) in &self.entries {
            // A room's members by the thousand are of no use to a phone.
            let left_out = ADDRESSING.contains(&name.as_ref())
                || (name == MENTIONS && value.get().len() > MOST_MENTIONS_FOR_THE_APP);
            if !left_out {
                let value: Value =
                    serde_json::from_str(value.get()).map_err(|error| body.syntax(value.get(), &error))?;
                fields.insert(name.as_ref().to_owned(), value);
            }
        }
        ChatMessage::new(fields)
    }

    /// `mentions`: ids, or client objects with one. Anything else in it calls nobody.
    fn mentions(&self) -> BTreeSet<String> {
        let Some(list) = self.get(MENTIONS) else { return BTreeSet::new() };
        let list: Vec<Value> = serde_json::from_str(list.get()).unwrap_or_default();
        list.iter().filter_map(super::chat_message::client_id).collect()
    }
}

/// What a callback adds to the message object.
const ADDRESSING: [&str; 4] = [RECIPIENTS, RECIPIENT, "badge", "alert"];

/// The most bytes of `mentions` that are passed on to the app.
const MOST_MENTIONS_FOR_THE_APP: usize = 1024;

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut entries = Vec::new();
        let mut size = 2_usize;
        let mut too_large = false;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let outside = name == RECIPIENTS || name == MENTIONS;
            if too_large && !outside && name != RECIPIENT {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: &'de RawValue = map.next_value()?;
            if !outside {
                size = size.saturating_add(name.len() + value.get().len() + 4);
                too_large = size > MOST_BYTES;
            }
            entries.push((name, value));
        }
        Ok(Fields { entries, too_large })
    }
}

#[cfg(test)]
mod tests;
