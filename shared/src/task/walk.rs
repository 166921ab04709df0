//! The record of a task for audiences on its way to fan-out: no list, but where to look.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Members, Part, TaskKey};
use crate::time::Timestamp;

/// A task for audiences, or the part of it that is one shard.
#[derive(Debug, Serialize, Deserialize)]
pub struct Walk {
    /// Whose.
    #[serde(flatten)]
    pub key: TaskKey,
    /// When the task was claimed, or was to begin if that is later. Who became a member after that is none of it.
    pub claimed_at: Timestamp,
    /// The record may have been queued before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    /// Whom it is for.
    pub members: Members,
    /// Which shard; `None`: all of them, a record for each is to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u8>,
    /// The content, not looked into.
    pub message: Box<RawValue>,
}

/// A record for fan-out.
#[derive(Debug)]
pub enum Work {
    /// A list.
    Part(Part),
    /// Audiences.
    Walk(Walk),
}

impl Work {
    /// Reads a record.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        /// What tells them apart. Content that is only passed on cannot be read out of an untagged enum.
        #[derive(Deserialize)]
        struct Kind {
            members: Option<serde::de::IgnoredAny>,
        }
        let Kind { members } = serde_json::from_str(text)?;
        match members {
            Some(_) => serde_json::from_str(text).map(Self::Walk),
            None => serde_json::from_str(text).map(Self::Part),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::id::{Tag, TaskId};

    #[test]
    fn a_walk_is_told_from_a_part() {
        let walk = Walk {
            key: TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() },
            claimed_at: Timestamp::from_millis(1),
            repeat: false,
            members: Members::Tags(vec![Tag::parse("a").unwrap()]),
            shard: Some(3),
            message: RawValue::from_string(r#"{"a":1}"#.to_owned()).unwrap(),
        };
        let text = serde_json::to_string(&walk).unwrap();
        let expected =
            r#"{"task":7,"nonce":"abcdefgh","claimed_at":1,"members":{"tags":["a"]},"shard":3,"message":{"a":1}}"#;
        assert_eq!(text, expected);
        assert!(matches!(Work::parse(&text), Ok(Work::Walk(read)) if read.members == walk.members));
        let part = r#"{"task":7,"nonce":"abcdefgh","first":0,"claimed_at":1,"message":{"members":1},"to":["a"]}"#;
        assert!(matches!(Work::parse(part), Ok(Work::Part(_))));
        for wrong in ["{}", "[]", r#"{"members":"some"}"#, "no part of a task"] {
            assert!(Work::parse(wrong).is_err(), "{wrong}");
        }
    }
}
