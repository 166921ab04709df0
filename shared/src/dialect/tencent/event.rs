//! One event of a callback.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Command;
use super::callback::BadEvent;
use crate::id::{ClientId, digest};
use crate::tally::{About, Event, Stage, Vendor};
use crate::time::Timestamp;

/// The most bytes of a push's or a task's name.
const LONGEST_NAME: usize = 128;
/// The most bytes of `ErrInfo` that are kept.
const LONGEST_INFO: usize = 128;
/// How far ahead of ours a reporter's clock may be.
const AHEAD: Duration = Duration::from_secs(24 * 3600);
/// From so many characters on a run is as good as a token.
const TOKEN: usize = 20;
/// Vendors' words have no digits, and are no longer than this: `messaging/registration-token-not-registered`.
const LONGEST_WORD: usize = 48;
/// From here on seconds are milliseconds: as seconds it is the year 5138.
const MILLISECONDS: u64 = 100_000_000_000;

const INTEGER: &str = "must be a whole number that is not negative";
const U32: &str = "must be a whole number from 0 to 4294967295";
const TEXT: &str = "must be a string";
const VENDOR: &str = "must be a whole number from 0 to 8";
const MISSING: &str = "is missing";

type Read<T> = Result<T, BadEvent>;

const fn bad(field: &'static str, rule: &'static str) -> BadEvent {
    BadEvent { field, rule }
}

/// A field's values, by the field.
struct Fields<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    /// `null` is as good as absent.
    fn get<T: Deserialize<'a>>(&self, field: &'static str, rule: &'static str) -> Read<Option<T>> {
        match self.0.get(field).filter(|value| value.get() != "null") {
            None => Ok(None),
            Some(value) => serde_json::from_str(value.get()).map(Some).map_err(|_| bad(field, rule)),
        }
    }

    fn need<T: Deserialize<'a>>(&self, field: &'static str, rule: &'static str) -> Read<T> {
        self.get(field, rule)?.ok_or(bad(field, MISSING))
    }

    fn text(&self, field: &'static str) -> Read<Option<Cow<'a, str>>> {
        self.get(field, TEXT)
    }

    /// Fields that say nothing here, and are of their type all the same.
    fn rest(&self, command: Command) -> Read<()> {
        let (texts, numbers, times): (&[_], &[_], _) = match command {
            Command::OfflinePush => (&["From_Account", "MsgKey", "GroupID"], &["MsgSeq", "MsgRandom"], "MsgTime"),
            Command::AllMemberPush => (&["DataId"], &[], "TaskTime"),
        };
        for field in texts {
            self.text(field)?;
        }
        for field in numbers {
            self.get::<u32>(field, U32)?;
        }
        self.get::<u64>(times, INTEGER).map(|_| ())
    }

    fn command(&self, of_the_call: Command) -> Read<()> {
        const COMMAND: &str = "CallbackCommand";
        match self.text(COMMAND)?.as_deref() {
            None | Some("") => Ok(()),
            Some(name) if name == of_the_call.name() => Ok(()),
            Some(_) => Err(bad(COMMAND, "must be the one in the query")),
        }
    }

    fn about(&self, command: Command) -> Read<About> {
        const RULE: &str = "must have 1 to 128 bytes, and no control characters";
        let field = match command {
            Command::OfflinePush => "PushID",
            Command::AllMemberPush => "TaskId",
        };
        let name: String = self.need(field, TEXT)?;
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(bad(field, RULE));
        }
        Ok(match command {
            Command::OfflinePush => About::Push(name),
            Command::AllMemberPush => About::Task(name),
        })
    }

    fn time(&self, now: Timestamp) -> Read<Timestamp> {
        const TIME: &str = "EventTime";
        let seconds: u64 = self.need(TIME, INTEGER)?;
        if seconds == 0 {
            return Err(bad(TIME, "must be a time in seconds since 1970"));
        }
        if seconds >= MILLISECONDS {
            return Err(bad(TIME, "must be in seconds, not in milliseconds"));
        }
        let time = Timestamp::from_millis(seconds * 1000);
        if time > now.plus(AHEAD) { Err(bad(TIME, "is more than a day ahead")) } else { Ok(time) }
    }

    fn vendor(&self, field: &'static str) -> Read<Option<Vendor>> {
        let number: Option<u8> = self.get(field, VENDOR)?;
        number.map(|number| Vendor::from_number(number).ok_or(bad(field, VENDOR))).transpose()
    }
}

/// Reads one event of a callback of `command` that came in `now`.
///
/// What is not documented is passed over. A number is a JSON number without a fraction.
pub(super) fn read(command: Command, event: &RawValue, now: Timestamp) -> Read<Event> {
    let fields: BTreeMap<_, _> =
        serde_json::from_str(event.get()).map_err(|_| bad("the event", "must be a JSON object"))?;
    let fields = Fields(fields);
    fields.command(command)?;
    let about = fields.about(command)?;
    let kind: u8 = fields.need("EventType", "must be 1 or 2")?;
    if !matches!(kind, 1 | 2) {
        return Err(bad("EventType", "must be 1 or 2"));
    }
    let at = fields.time(now)?;
    let account: String = fields.need("To_Account", TEXT)?;
    if ClientId::parse(account.as_str()).is_err() {
        return Err(bad("To_Account", "must have 1 to 256 bytes, and no control characters"));
    }
    let is_online = command == Command::AllMemberPush && kind == 2;
    let vendor = match fields.vendor("PushPlatform")? {
        Some(vendor) => vendor,
        // No vendor takes an online push.
        None if is_online => Vendor::Unknown,
        None => return Err(bad("PushPlatform", MISSING)),
    };
    let device = fields.vendor("DeviceType")?;
    let stage = Stage::from_number(fields.need("PushStage", "must be 1, 2 or 3")?);
    let stage = stage.ok_or(bad("PushStage", "must be 1, 2 or 3"))?;
    let code: i64 = fields.need("ErrCode", "must be a whole number")?;
    let info = fields.text("ErrInfo")?.unwrap_or_default();
    fields.rest(command)?;
    let (About::Push(name) | About::Task(name)) = &about;
    // Free text is not in it: a vendor may word one answer in two ways. No part holds a zero byte, by which parts are told apart.
    let numbers = [
        stage.number().to_string(),
        vendor.number().to_string(),
        device.map(|device| device.number().to_string()).unwrap_or_default(),
        kind.to_string(),
        at.as_secs().to_string(),
        code.to_string(),
    ];
    let mut parts = vec![command.name().as_bytes(), name.as_bytes(), account.as_bytes()];
    parts.extend(numbers.iter().map(String::as_bytes));
    let key = URL_SAFE_NO_PAD.encode(digest::<12>(&parts));
    Ok(Event { key, about, vendor, stage, code, info: short(&info), at })
}

/// What is kept of a vendor's words: a line, no longer than [`LONGEST_INFO`], in which no token is quoted.
fn short(info: &str) -> String {
    let mut short = String::new();
    for character in without_tokens(info.trim()).chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if short.len() + character.len_utf8() > LONGEST_INFO {
            break;
        }
        short.push(character);
    }
    short.truncate(short.trim_end().len());
    short
}

/// `info` with an ellipsis for each run of characters that may be a token, or most of one.
fn without_tokens(info: &str) -> String {
    let is_of_a_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-' | '+' | '/' | '=');
    let mut out = String::with_capacity(info.len());
    let mut rest = info;
    while !rest.is_empty() {
        let (run, behind) = rest.split_at(rest.find(|c| !is_of_a_token(c)).unwrap_or(rest.len()));
        let is_word = run.len() <= LONGEST_WORD && !run.contains(|c: char| c.is_ascii_digit());
        out.push_str(if run.len() < TOKEN || is_word { run } else { "…" });
        let (between, behind) = behind.split_at(behind.find(is_of_a_token).unwrap_or(behind.len()));
        out.push_str(between);
        rest = behind;
    }
    out
}

#[cfg(test)]
mod tests;
