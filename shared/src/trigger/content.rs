//! What a rule's pushes say.

use std::time::Duration;

use serde_json::{Map, Value};

use super::audience::{Filled, RuleError, values};
use super::rule::{Fields, FormError};
use crate::delivery;
use crate::id::{AppId, MessageId};
use crate::message::template::Names;
use crate::message::{
    Badge, Behaviour, DataOnly, Dialect, Family, IosBlock, Kind, Media, Message, Origin, Roads, Source, Text, Values,
    VendorBlock, Vendors,
};
use crate::recipient::{MOST_COUNT, check_source};
use crate::time::Timestamp;

/// The longest time to live: FCM keeps nothing longer.
const MOST_TTL: u64 = 28 * 24 * 60 * 60;
/// The most bytes of title and text each.
const MOST_TEXT: usize = 4096;

/// What a rule's pushes say: templates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    title: Option<String>,
    text: Option<String>,
    sound: Option<String>,
    data: Map<String, Value>,
    badge: Badge,
    ttl: Option<Duration>,
    collapse: Option<Filled>,
    ios_aps: Option<Map<String, Value>>,
    ios_extras: Option<Map<String, Value>>,
    android_payload: Option<Map<String, Value>>,
    /// What the templates ask for.
    names: Names,
}

/// What an event makes of it.
pub(super) struct Made<'a> {
    content: &'a Content,
    values: Values,
    collapse: Option<String>,
}

impl Content {
    pub(super) fn parse(mut fields: Fields) -> Result<Self, FormError> {
        let mut names = Names::default();
        let content = Self {
            title: text(&mut fields, "title", &mut names)?,
            text: text(&mut fields, "text", &mut names)?,
            sound: fields.text("sound")?,
            data: payload(&mut fields, "data", &mut names)?.unwrap_or_default(),
            badge: badge(&mut fields)?,
            ttl: fields.seconds("ttl_s", 1..=MOST_TTL)?,
            collapse: if fields.has("collapse") { Some(fields.filled("collapse")?) } else { None },
            ios_aps: payload(&mut fields, "ios_aps", &mut names)?,
            ios_extras: payload(&mut fields, "ios_extras", &mut names)?,
            android_payload: payload(&mut fields, "android_payload", &mut names)?,
            names,
        };
        fields.end()?;
        let apple = content.ios_aps.iter().chain(&content.ios_extras);
        if apple.map(delivery::bytes_of).sum::<usize>() > delivery::MOST_BYTES {
            return Err(fields.wrong("ios_aps", "is longer than 4096 bytes as JSON, with ios_extras"));
        }
        if !content.is_shown_or_read() && content.badge == Badge::None {
            return Err(fields.wrong_itself("has none of title, text, data, badge, ios_aps and android_payload"));
        }
        Ok(content)
    }

    /// Whether it has more than a badge.
    fn is_shown_or_read(&self) -> bool {
        self.title.is_some()
            || self.text.is_some()
            || !self.data.is_empty()
            || self.ios_aps.is_some()
            || self.android_payload.is_some()
    }

    /// Whose phones it is for, where it says nothing to the others.
    fn only(&self) -> Option<Family> {
        let everybody =
            self.title.is_some() || self.text.is_some() || !self.data.is_empty() || self.badge != Badge::None;
        match (everybody, self.ios_aps.is_some(), self.android_payload.is_some()) {
            (false, true, false) => Some(Family::Apple),
            (false, false, true) => Some(Family::Android),
            _ => None,
        }
    }

    /// What becomes of it for an event.
    pub(super) fn make(&self, document: &Map<String, Value>) -> Result<Made<'_>, RuleError> {
        let collapse =
            self.collapse.as_ref().map(|collapse| collapse.fill(document, "message.collapse")).transpose()?;
        Ok(Made { content: self, values: values(document, &self.names, "message")?, collapse })
    }
}

impl Made<'_> {
    /// The message of a task in `app` that begins then; `id` is the task's own.
    pub(super) fn message(&self, app: AppId, id: MessageId, begin: Timestamp) -> Message {
        let content = self.content;
        let ios = IosBlock { aps: content.ios_aps.clone(), data: content.ios_extras.clone(), ..IosBlock::default() };
        let android = content.android_payload.clone().map(|payload| VendorBlock {
            data: Some(payload),
            // As Kinvey's: the app is handed it and shows what it will.
            data_only: Some(DataOnly::default()),
            ..VendorBlock::default()
        });
        Message {
            origin: Origin::of_server(app, Dialect::Pushbell, id),
            text: Text { title: content.title.clone(), body: content.text.clone(), ..Text::default() },
            badge: content.badge.clone(),
            behaviour: Behaviour {
                kind: if content.is_shown_or_read() { Kind::Alert } else { Kind::Badge },
                sound: content.sound.clone(),
                expires_at: content.ttl.map(|ttl| begin.plus(ttl)),
                collapse: self.collapse.clone(),
                ..Behaviour::default()
            },
            media: Media::default(),
            data: content.data.clone(),
            vendors: Vendors {
                ios: Some(ios).filter(|ios| *ios != IosBlock::default()),
                android,
                ..Vendors::default()
            },
            roads: Roads { only: content.only(), ..Roads::default() },
            values: Some(self.values.clone()),
        }
    }
}

fn text(fields: &mut Fields, name: &str, names: &mut Names) -> Result<Option<String>, FormError> {
    let text = fields.text(name)?;
    if let Some(text) = &text {
        if text.len() > MOST_TEXT {
            return Err(fields.wrong(name, "is longer than 4096 bytes"));
        }
        names.take(text).map_err(|error| fields.wrong(name, error))?;
    }
    Ok(text)
}

fn payload(fields: &mut Fields, name: &str, names: &mut Names) -> Result<Option<Map<String, Value>>, FormError> {
    let Some(payload) = fields.object(name)? else { return Ok(None) };
    if delivery::is_too_long_whole(&payload) {
        return Err(fields.wrong(name, "is longer than 4096 bytes as JSON"));
    }
    for (key, value) in &payload {
        names
            .take_all(value, &format!("{}.{key}", fields.at(name)))
            .map_err(|(path, error)| FormError::new(&path, error))?;
    }
    Ok(Some(payload))
}

/// "none", "keep", or what is added to which source.
fn badge(fields: &mut Fields) -> Result<Badge, FormError> {
    const NAME: &str = "badge";
    match fields.take(NAME) {
        None => Ok(Badge::None),
        Some(Value::String(word)) if word == "none" => Ok(Badge::None),
        Some(Value::String(word)) if word == "keep" => Ok(Badge::Keep),
        Some(Value::Object(object)) => {
            let mut badge = fields.inside(NAME, object);
            let source = badge.needed("source")?;
            check_source(&source).map_err(|rule| badge.wrong("source", rule))?;
            let n = badge.number("add", 1..=MOST_COUNT)?.ok_or_else(|| badge.wrong("add", "is missing"))?;
            badge.end()?;
            // Within the range.
            Ok(Badge::Add { n: u32::try_from(n).unwrap_or(u32::MAX), source: Source::Named(source) })
        }
        Some(_) => Err(fields.wrong(NAME, "is none of \"none\", \"keep\" and an object with add and source")),
    }
}
