//! A callback's body: up to a hundred events, each taken or left out by itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::error::Category;
use serde_json::value::RawValue;

use super::{Command, event};
use crate::tally::Event;
use crate::time::Timestamp;

/// The most events of a callback.
pub const MOST_EVENTS: usize = 100;

/// Why an event is left out. Names the field and the rule, never a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct BadEvent {
    /// Its name in the protocol.
    pub field: &'static str,
    /// In English.
    pub rule: &'static str,
}

/// Why nothing of a body can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// The body is not JSON. The sample on Tencent's page is none.
    #[error("the body is not JSON at line {line}, column {column}; JSON has no comments and no trailing commas")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// In bytes, as `serde_json` counts them.
        column: usize,
    },
    /// The body is JSON, and no object.
    #[error("the body must be a JSON object")]
    NoObject,
    /// There are no events.
    #[error("Events is missing")]
    Missing,
    /// `Events` is something else.
    #[error("Events must be an array")]
    NoArray,
    /// None, or too many.
    #[error("Events must hold 1 to 100 events, and holds {0}")]
    Count(usize),
}

/// What a body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// What can be taken; nothing, where all are left out.
    pub events: Vec<Event>,
    /// What is left out, by its index in `Events`, from 0 on.
    pub left_out: Vec<(usize, BadEvent)>,
}

/// Reads the body of a callback of `command` that came in `now`.
///
/// # Errors
/// When it is no callback of 1 to [`MOST_EVENTS`] events.
pub fn read(command: Command, body: &[u8], now: Timestamp) -> Result<Callback, CallbackError> {
    let fields: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            Category::Syntax | Category::Eof | Category::Io => {
                CallbackError::Syntax { line: error.line(), column: error.column() }
            }
            Category::Data => CallbackError::NoObject,
        })?;
    let events = fields.get("Events").ok_or(CallbackError::Missing)?;
    let events: Vec<&RawValue> = serde_json::from_str(events.get()).map_err(|_| CallbackError::NoArray)?;
    if !(1..=MOST_EVENTS).contains(&events.len()) {
        return Err(CallbackError::Count(events.len()));
    }
    let mut callback = Callback { events: Vec::with_capacity(events.len()), left_out: Vec::new() };
    for (index, event) in events.into_iter().enumerate() {
        match event::read(command, event, now) {
            Ok(event) => callback.events.push(event),
            Err(bad) => callback.left_out.push((index, bad)),
        }
    }
    Ok(callback)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_606_000);
    const EVENT: &str = r#"{"CallbackCommand":"Push.OfflinePush","EventType":1,"EventTime":1767225605,"From_Account":"ana","To_Account":"bo",
        "PushPlatform":4,"PushStage":1,"MsgKey":"91774_3054198827_1767225600","MsgSeq":91774,"MsgRandom":3054198827,
        "MsgTime":1767225600,"PushID":"69560c00_b60a_200001_77","ErrCode":0,"ErrInfo":"OK"}"#;

    fn of(body: &str) -> Result<Callback, CallbackError> {
        read(Command::OfflinePush, body.as_bytes(), NOW)
    }

    fn many(events: &[&str]) -> Result<Callback, CallbackError> {
        of(&format!(r#"{{"Events":[{}]}}"#, events.join(",")))
    }

    #[test]
    fn a_callback_has_one_to_a_hundred_events() {
        assert_eq!(many(&[]), Err(CallbackError::Count(0)));
        assert_eq!(many(&[EVENT]).unwrap().events.len(), 1);
        assert_eq!(many(&[EVENT; 100]).unwrap().events.len(), 100);
        assert_eq!(many(&[EVENT; 101]), Err(CallbackError::Count(101)));
        let text = many(&[EVENT; 101]).unwrap_err().to_string();
        assert_eq!(text, "Events must hold 1 to 100 events, and holds 101");
    }

    #[test]
    fn a_body_that_is_none_is_told_what_it_lacks() {
        assert_eq!(of("{}"), Err(CallbackError::Missing));
        assert_eq!(of(r#"{"events":[]}"#), Err(CallbackError::Missing));
        for other in ["null", "{}", "\"x\"", "1"] {
            assert_eq!(of(&format!(r#"{{"Events":{other}}}"#)), Err(CallbackError::NoArray), "{other}");
        }
        for other in ["[]", "null", "\"x\"", "1"] {
            assert_eq!(of(other), Err(CallbackError::NoObject), "{other}");
        }
    }

    #[test]
    fn comments_and_trailing_commas_are_refused_by_their_place() {
        let comment = "{\n\"Events\": [ // The length\n{}]}";
        assert_eq!(of(comment), Err(CallbackError::Syntax { line: 2, column: 13 }));
        assert_eq!(of("{\"Events\": [{},]}"), Err(CallbackError::Syntax { line: 1, column: 16 }));
        assert_eq!(
            of("{\"Events\": [{\"EventType\": 1,}]}").unwrap_err().to_string(),
            "the body is not JSON at line 1, column 29; JSON has no comments and no trailing commas"
        );
        assert!(matches!(of("{\"Events\": [{}"), Err(CallbackError::Syntax { .. })));
        assert!(matches!(of("{\"Events\": []} x"), Err(CallbackError::Syntax { .. })));
    }

    #[test]
    fn one_bad_event_does_not_lose_the_others() {
        let bad = EVENT.replace("\"PushStage\":1", "\"PushStage\":4");
        let callback = many(&[EVENT, &bad, "7", EVENT]).unwrap();
        assert_eq!(callback.events.len(), 2);
        let told: Vec<_> = callback.left_out.iter().map(|(index, bad)| (*index, bad.to_string())).collect();
        assert_eq!(
            told,
            [(1, "PushStage must be 1, 2 or 3".to_owned()), (2, "the event must be a JSON object".to_owned())]
        );
        let none = many(&[&bad, "7"]).unwrap();
        assert_eq!((none.events.len(), none.left_out.len()), (0, 2));
    }
}
