//! `message`: what is shown and counted, when, and what the app is told.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::body::Fields;
use super::super::envelope::Failure;
use super::super::labels::{BADGE_SOURCE, MOST_BADGE};
use super::blocks;
use crate::delivery;
use crate::id::{AppId, MessageId};
use crate::message::{Badge, Behaviour, Dialect, Kind, Media, Message, Origin, Roads, Source, Text, Vendors};
use crate::time::Timestamp;

/// How far ahead a push may begin.
const MOST_AHEAD: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The end of the year 9999 in seconds: more is milliseconds by mistake.
const LAST_SECOND: u64 = 253_402_300_799;
/// The longest `attachment_url`, in bytes.
const MOST_URL: usize = 2048;
/// What an image's path ends in, in whatever case.
const IMAGES: [&str; 3] = [".jpg", ".jpeg", ".png"];

/// What a push says.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    text: Text,
    badge: Badge,
    behaviour: Behaviour,
    media: Media,
    data: Map<String, Value>,
    vendors: Vendors,
}

/// `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Image,
    /// For the app only.
    Cmd,
}

impl Content {
    pub(super) fn parse(message: &mut Fields, now: Timestamp) -> Result<Self, Failure> {
        let kind = kind(message)?;
        let text = |name: &str| message.text(name).map(|text| text.map(str::to_owned));
        let text = Text { title: text("title")?, body: text("body")?, big: text("big_text")?, ..Text::default() };
        let shows = kind != Type::Cmd && [&text.title, &text.body, &text.big].into_iter().any(Option::is_some);
        let badge = badge(message, shows)?;
        let media = media(message, kind)?;
        let (begin, end) = times(message, now)?;
        let vendors = blocks::vendors(message)?;
        let mut data = message.object("ext")?.unwrap_or_default();
        if delivery::is_too_long(&data) {
            return Err(message.wrong("ext", "is longer than 4096 bytes as JSON"));
        }
        for (name, time) in [("show_begin_time", begin), ("show_end_time", end)] {
            if let Some(time) = time {
                data.insert(name.to_owned(), json!(time.as_secs()));
            }
        }
        let behaviour = Behaviour {
            kind: if kind == Type::Cmd { Kind::Data } else { Kind::Alert },
            show_from: begin,
            expires_at: end,
            receipts: true,
            ..Behaviour::default()
        };
        Ok(Self { text, badge, behaviour, media, data, vendors })
    }

    /// When it is to be sent, if later than now.
    pub(super) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        self.behaviour.show_from.filter(|begin| *begin > now)
    }

    /// The message of a task in `app`, on `roads`; `id` is the task's own.
    #[must_use]
    pub fn message(&self, app: AppId, id: MessageId, roads: Roads) -> Message {
        Message {
            origin: Origin::of_server(app, Dialect::Lanying, id),
            text: self.text.clone(),
            badge: self.badge.clone(),
            behaviour: self.behaviour.clone(),
            media: self.media.clone(),
            data: self.data.clone(),
            vendors: self.vendors.clone(),
            roads,
            values: None,
        }
    }
}

fn kind(message: &Fields) -> Result<Type, Failure> {
    match message.text("type")?.map(str::to_ascii_lowercase).as_deref() {
        None | Some("text") => Ok(Type::Text),
        Some("image") => Ok(Type::Image),
        Some("cmd") => Ok(Type::Cmd),
        Some(_) => Err(message.wrong("type", "is none of text, image and cmd")),
    }
}

/// "7" is a total, "+2" is added. Blank adds one; of what nobody sees (a command, or no text at all), nothing.
fn badge(message: &Fields, shows: bool) -> Result<Badge, Failure> {
    let wrong = || message.wrong("badge", "is neither a number from 0 to 999999 nor one after a +");
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        let number = if plain { digits.parse().ok() } else { None };
        number.filter(|n: &u32| u64::from(*n) <= MOST_BADGE).ok_or_else(wrong)
    };
    let add = |n| Badge::Add { n, source: Source::Named(BADGE_SOURCE.to_owned()) };
    let text = match message.given("badge") {
        None if !shows => return Ok(Badge::None),
        None => return Ok(add(1)),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => return Err(wrong()),
    };
    match text.strip_prefix('+') {
        Some(more) => Ok(match number(more)? {
            0 => Badge::Keep,
            n => add(n),
        }),
        None => Ok(Badge::Total { n: number(&text)?, source: BADGE_SOURCE.to_owned() }),
    }
}

fn media(message: &Fields, kind: Type) -> Result<Media, Failure> {
    const NAME: &str = "attachment_url";
    let Some(url) = message.text(NAME)? else {
        return match kind {
            Type::Image => Err(message.wrong(NAME, "is missing, as the type is image")),
            Type::Text | Type::Cmd => Ok(Media::default()),
        };
    };
    if url.len() > MOST_URL {
        return Err(message.wrong(NAME, "is longer than 2048 bytes"));
    }
    let address = address(url).ok_or_else(|| message.wrong(NAME, "is no http or https address"))?;
    let path = address.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let is_image = path.contains('/') && IMAGES.into_iter().any(|suffix| path.ends_with(suffix));
    let url = Some(url.to_owned());
    match (is_image, kind) {
        (true, _) => Ok(Media { image: url, ..Media::default() }),
        (false, Type::Image) => Err(message.wrong(NAME, "ends in none of .jpg, .jpeg and .png")),
        (false, Type::Text | Type::Cmd) => Ok(Media { attachment: url, ..Media::default() }),
    }
}

/// What follows the scheme of an address; `None` when it is none.
fn address(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let known = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let printable = url.chars().all(|c| !c.is_control() && !c.is_whitespace());
    (known && printable && !host.is_empty()).then_some(rest)
}

fn times(message: &Fields, now: Timestamp) -> Result<(Option<Timestamp>, Option<Timestamp>), Failure> {
    const BEGIN: &str = "show_begin_time";
    const END: &str = "show_end_time";
    let time = |name: &str| {
        let Some(value) = message.given(name) else { return Ok(None) };
        match value.as_u64() {
            Some(0) => Ok(None),
            Some(seconds) if seconds <= LAST_SECOND => Ok(Some(Timestamp::from_millis(seconds * 1000))),
            Some(_) | None => Err(message.wrong(name, "is not a time in seconds since 1970")),
        }
    };
    let (begin, end) = (time(BEGIN)?, time(END)?);
    if begin.is_some_and(|begin| begin > now.plus(MOST_AHEAD)) {
        return Err(message.wrong(BEGIN, "is more than 30 days ahead"));
    }
    if end.is_some_and(|end| end <= now) {
        return Err(message.wrong(END, "is past"));
    }
    if let (Some(begin), Some(end)) = (begin, end)
        && end <= begin
    {
        return Err(message.wrong(END, format!("is not after {}", message.name(BEGIN))));
    }
    Ok((begin, end))
}
