//! IMKIT's message object: which of its fields are read, and how tolerantly.
//!
//! Source: IMKIT's "Message Format" and "Model" pages. Every field but the id may be absent or `null`; fields that are not read
//! here are passed on to the app.

use serde_json::{Map, Value};

use super::callback::CallbackError;
use super::message_type::{self, Content, MessageType, Sign};
use crate::id::{IdError, MessageId};
use crate::time::Timestamp;

/// The most bytes of a `messageType`. The known ones have up to 17; it becomes part of a localisation key.
const LONGEST_TYPE: usize = 64;

/// The most bytes of a room's id.
const LONGEST_ROOM: usize = 256;

/// Nicknames that a body names before it says "and 3 more".
const MOST_NAMES: usize = 3;

/// A message object that can be worked with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ChatMessage {
    fields: Map<String, Value>,
    id: MessageId,
    room: Option<String>,
    kind: String,
    sender: Option<String>,
}

impl ChatMessage {
    /// Reads what is read strictly: id, room and type.
    pub(super) fn new(fields: Map<String, Value>) -> Result<Self, CallbackError> {
        let id = match fields.get("_id").filter(|id| !id.is_null()).or(fields.get("id")) {
            None | Some(Value::Null) => return Err(CallbackError::Missing("_id")),
            Some(id) => id.as_str().ok_or(CallbackError::WrongType { field: "_id", expected: "a string" })?,
        };
        let id = MessageId::parse(id).map_err(|rule| CallbackError::Identifier { field: "_id", rule })?;
        let room = string(&fields, "room")?.filter(|room| !room.is_empty());
        if let Some(room) = room {
            let rule = if room.len() > LONGEST_ROOM {
                Some(IdError::TooLong(LONGEST_ROOM))
            } else {
                room.chars().any(char::is_control).then_some(IdError::Character)
            };
            if let Some(rule) = rule {
                return Err(CallbackError::Identifier { field: "room", rule });
            }
        }
        let room = room.map(str::to_owned);
        let kind = string(&fields, "messageType")?.filter(|kind| !kind.is_empty()).unwrap_or("text");
        if kind.len() > LONGEST_TYPE {
            let rule = IdError::TooLong(LONGEST_TYPE);
            return Err(CallbackError::Identifier { field: "messageType", rule });
        }
        let kind = kind.to_owned();
        let sender = fields.get("sender").and_then(client_id);
        Ok(Self { fields, id, room, kind, sender })
    }

    pub(super) const fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    pub(super) const fn id(&self) -> &MessageId {
        &self.id
    }

    pub(super) fn room(&self) -> Option<&str> {
        self.room.as_deref()
    }

    /// `messageType`; an object without one is a text.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn row(&self) -> &'static MessageType {
        message_type::row(&self.kind)
    }

    pub(super) fn sender(&self) -> Option<&str> {
        self.sender.as_deref()
    }

    pub(super) fn nickname(&self) -> Option<&str> {
        visible(self.fields.get("sender")?.get("nickname"))
    }

    pub(super) fn room_name(&self) -> Option<&str> {
        visible(self.fields.get("roomName"))
    }

    pub(super) fn app_name(&self) -> Option<&str> {
        visible(self.fields.get("appID"))
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.fields.get("isHidden") == Some(&Value::Bool(true))
    }

    /// By the chat server's clock.
    pub(super) fn written_at(&self) -> Option<Timestamp> {
        let point = |name| self.fields.get(name).and_then(Value::as_u64).filter(|ms| *ms > 0);
        point("messageTimeMS").or_else(|| point("createdAtMS")).map(Timestamp::from_millis)
    }

    /// The second argument of the localised text; empty when there is none.
    pub(super) fn content(&self) -> String {
        let message = || visible(self.fields.get("message")).unwrap_or_default();
        match self.row().content {
            Content::None => String::new(),
            Content::Message => message().to_owned(),
            Content::PlainMessage => {
                let looks_like_json = message().trim_start().starts_with(['{', '[']);
                if looks_like_json { String::new() } else { message().to_owned() }
            }
            Content::Title => visible(self.extra("title")).unwrap_or_else(message).to_owned(),
            Content::Names(list) => self.names(list).unwrap_or_else(|| message().to_owned()),
        }
    }

    /// The body's pattern: the type's own, or that of the variant that the object is.
    pub(super) fn pattern(&self, has_content: bool) -> &'static str {
        let row = self.row();
        let is = |sign: &Sign| match sign {
            Sign::ExtraType(kind) => self.extra("type").and_then(Value::as_str) == Some(*kind),
            Sign::SeveralImages => self.fields.get("images").and_then(Value::as_array).is_some_and(|all| all.len() > 1),
        };
        let variant = row.variants.iter().find(|(sign, _)| is(sign)).map(|(_, pattern)| *pattern);
        variant.unwrap_or(if has_content { row.with_content } else { row.without_content })
    }

    /// The address of a picture of an image or a video: the small one, if there is one.
    pub(super) fn picture(&self) -> Option<&str> {
        if !matches!(self.kind.as_str(), "image" | "video") {
            return None;
        }
        let first = self.fields.get("images").and_then(|images| images.get(0));
        let find = |name: &str| {
            let nested = first.and_then(|image| image.get(name));
            [self.fields.get(name), nested].into_iter().find_map(https)
        };
        // A video's own address is no picture.
        find("thumbnailUrl").or_else(|| if self.kind == "image" { find("originalUrl") } else { None })
    }

    fn extra(&self, name: &str) -> Option<&Value> {
        self.fields.get("extra")?.get(name)
    }

    fn names(&self, list: &str) -> Option<String> {
        let people = self.extra(list)?.as_array()?;
        let names: Vec<&str> = people.iter().filter_map(|person| visible(person.get("nickname"))).collect();
        if names.is_empty() || names.len() < people.len() {
            return None;
        }
        let (named, rest) = names.split_at(names.len().min(MOST_NAMES));
        let named = named.join(", ");
        Some(if rest.is_empty() { named } else { format!("{named} and {} more", rest.len()) })
    }
}

/// A client's id: the text itself, or `_id` or `id` of a client object. Numbers are taken as they are written.
pub(super) fn client_id(value: &Value) -> Option<String> {
    match value {
        Value::String(id) => Some(id.clone()).filter(|id| !id.is_empty()),
        Value::Number(id) => Some(id.to_string()),
        Value::Object(client) => ["_id", "id"]
            .into_iter()
            .filter_map(|name| client.get(name))
            .find_map(|id| if id.is_object() { None } else { client_id(id) }),
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    }
}

/// A text that shows something.
fn visible(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

fn https(value: Option<&Value>) -> Option<&str> {
    /// FCM and APNs take 4096 bytes in all; an address of this length leaves no room for a text.
    const LONGEST: usize = 1024;
    value.and_then(Value::as_str).filter(|url| url.len() <= LONGEST && url.starts_with("https://"))
}

fn string<'a>(fields: &'a Map<String, Value>, field: &'static str) -> Result<Option<&'a str>, CallbackError> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(CallbackError::WrongType { field, expected: "a string" })
        }
    }
}
