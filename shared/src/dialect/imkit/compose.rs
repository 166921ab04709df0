//! From IMKIT's message object to the one [`Message`].

use serde_json::{Map, Value, json};

use super::chat_message::ChatMessage;
use super::message_type::Phone;
use super::{payload, wording};
use crate::app::ImkitSettings;
use crate::id::{AppId, MessageId};
use crate::message::{Badge, Behaviour, Dialect, Kind, Media, Message, Origin, Roads, Source, Text, Vendors};

/// What the v1 callback says beside the message object.
#[derive(Debug, Clone, Copy)]
pub(super) struct V1<'a> {
    /// The client's total unread count, by the chat server.
    pub(super) badge: Option<u32>,
    /// The chat server's own text.
    pub(super) alert: Option<&'a str>,
}

/// The message of `chat`, without mentions: those depend on the recipients.
pub(super) fn message(app: &AppId, settings: &ImkitSettings, chat: &ChatMessage, v1: Option<V1<'_>>) -> Message {
    let row = chat.row();
    let (kind, shown) = match row.phone {
        Phone::Alert => (Kind::Alert, true),
        Phone::Silent => (Kind::Silent, true),
        Phone::Withdraw => (Kind::Withdraw, false),
        // Not delivered; whoever asks all the same gets a message that shows nothing.
        Phone::Nothing => (Kind::Data, false),
    };
    let text = if shown { wording::text(app, settings, chat, v1.and_then(|v1| v1.alert)) } else { Text::default() };
    let badge = match v1 {
        Some(V1 { badge, .. }) => badge.map_or(Badge::None, Badge::Show),
        // Without a room there is no counter that reading could clear.
        None if row.counts && chat.room().is_some() => Badge::Add { n: 1, source: Source::Room },
        None => Badge::Keep,
    };
    let data = data(chat, &text, shown);
    let (claimed, collapse) = claimed(chat);
    Message {
        origin: Origin {
            app: app.clone(),
            dialect: Dialect::Imkit,
            message: claimed,
            sender: chat.sender().map(str::to_owned),
            room: chat.room().map(str::to_owned),
            mentions: Vec::new(),
            mentions_all: false,
            written_at: chat.written_at(),
            withdrawn_accepted_at: None,
            operation: None,
        },
        badge,
        behaviour: Behaviour {
            kind,
            collapse,
            thread: chat.room().map(str::to_owned),
            // As IMKIT's own server sends it: the app may decrypt, translate or fetch a picture first.
            mutable: shown,
            ..Behaviour::default()
        },
        media: Media { image: chat.picture().filter(|_| shown).map(str::to_owned), ..Media::default() },
        data,
        text,
        vendors: Vendors::default(),
        roads: Roads::default(),
        values: None,
    }
}

/// The id that is claimed, and the key under which notifications replace each other where the two differ. A call keeps its
/// message id while it rings, is missed or ends: as one id, the later states would be repeats of the first.
fn claimed(chat: &ChatMessage) -> (MessageId, Option<String>) {
    let plain = chat.id();
    let own = || MessageId::parse(format!("{plain}/{}", chat.kind())).ok();
    match chat.row().own_claim.then(own).flatten() {
        Some(own) => (own, Some(plain.as_str().to_owned())),
        None => (plain.clone(), None),
    }
}

/// For the app, by IMKIT's "Push Payload Format", in the form that its server builds. `room` is ours: it is there when a channel had
/// to give up the payload. The badge is the channel's to add.
fn data(chat: &ChatMessage, text: &Text, shown: bool) -> Map<String, Value> {
    let fields = chat.fields();
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    put("type", Value::from(chat.kind()));
    if let Some(room) = chat.room() {
        put("room", Value::from(room));
    }
    if !shown {
        put("payload", payload::core(fields));
        return data;
    }
    put("redirect", Value::from("/chat"));
    put("title", json!(text.title));
    put("body", json!(text.body));
    if let Some(localised) = &text.localised {
        put("loc-key", json!(localised.key));
        put("loc-args", json!(localised.args));
    }
    if let Some(tags) = fields.get("roomTags").filter(|tags| tags.is_array() && is_short(tags)) {
        put("roomTags", tags.clone());
    }
    // Title and body stand in the notification once more.
    let again = [&text.title, &text.body].into_iter().flatten().map(String::len).sum::<usize>();
    let beside = json!(data).to_string().len() + again;
    data.insert("payload".to_owned(), payload::whole(fields, beside));
    data
}

/// Whether it leaves room for a text in the 4096 bytes of a notification.
fn is_short(value: &Value) -> bool {
    value.to_string().len() <= 512
}
