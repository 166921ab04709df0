//! What is to be reported to an app's own address: outcomes, by the result rows that hold them. A record of the report queue holds no
//! outcome, so that it stays small however many there are.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Attempt, TaskKey};
use crate::id::{AppId, MessageId};
use crate::message::Dialect;
use crate::time::Timestamp;

/// What a task does on phones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It brings a message.
    #[default]
    Push,
    /// It takes back the message whose id it has.
    Recall,
}

/// The outcomes of one attempt of a chunk. They are read from the attempt's result row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reportable {
    /// Whose task.
    pub app: AppId,
    /// Whose chunk.
    pub key: TaskKey,
    /// Which chunk.
    pub seq: u32,
    /// Which attempt.
    pub attempt: Attempt,
    /// The protocol that the message came by.
    pub dialect: Dialect,
    /// Push or recall. A record without it waited since before it was told.
    #[serde(default)]
    pub kind: Deed,
    /// The caller's id of the message.
    pub message: MessageId,
    /// What the caller named its request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// When the attempt ended.
    pub at: Timestamp,
}

impl Reportable {
    /// Whether both have one result row.
    fn is_of_the_row_of(&self, other: &Self) -> bool {
        (&self.app, &self.key, self.seq, self.attempt) == (&other.app, &other.key, other.seq, other.attempt)
    }
}

/// Some of the outcomes of an attempt: those with these numbers among the final ones of its row, in the row's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// Which attempt.
    pub of: Reportable,
    /// Which of its final outcomes.
    pub numbers: Range<usize>,
}

/// What an app's address did not take yet: the content of one post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreported {
    /// Whose outcomes.
    pub app: AppId,
    /// Which, in the order of the post.
    pub excerpts: Vec<Excerpt>,
    /// How often it was posted in vain, or held back as others were.
    #[serde(default)]
    pub tries: u32,
    /// When it was to be posted first; `None` when it was given up since, and begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When the app was seen first to have no address, if it has had none since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unaddressed: Option<Timestamp>,
}

/// A record of the report queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Report {
    /// It was posted before, or was to be.
    Again(Unreported),
    /// As `deliver` puts it.
    Fresh(Reportable),
}

impl Report {
    /// Whose outcomes.
    #[must_use]
    pub const fn app(&self) -> &AppId {
        match self {
            Self::Again(unreported) => &unreported.app,
            Self::Fresh(reportable) => &reportable.app,
        }
    }

    /// Whether `other` has the same outcomes to tell, in one post with them: a copy, or one that was handed back twice.
    #[must_use]
    pub fn tells_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fresh(one), Self::Fresh(other)) => one.is_of_the_row_of(other),
            (Self::Again(one), Self::Again(other)) => {
                let pairs = one.excerpts.iter().zip(&other.excerpts);
                one.excerpts.len() == other.excerpts.len()
                    && pairs
                        .into_iter()
                        .all(|(one, other)| one.numbers == other.numbers && one.of.is_of_the_row_of(&other.of))
            }
            (Self::Fresh(_), Self::Again(_)) | (Self::Again(_), Self::Fresh(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::id::TaskId;

    #[test]
    fn a_record_is_read_as_what_it_was_written_as() {
        let of = Reportable {
            app: AppId::parse("demo").unwrap(),
            key: TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() },
            seq: 3,
            attempt: Attempt::from_number(1),
            dialect: Dialect::Imkit,
            kind: Deed::Recall,
            message: MessageId::parse("m1").unwrap(),
            operation: None,
            at: Timestamp::from_millis(5),
        };
        let again = Unreported {
            app: of.app.clone(),
            excerpts: vec![Excerpt { of: of.clone(), numbers: 100..200 }],
            tries: 2,
            since: Some(Timestamp::from_millis(9)),
            unaddressed: Some(Timestamp::from_millis(10)),
        };
        for report in [Report::Fresh(of), Report::Again(again)] {
            let text = serde_json::to_string(&report).unwrap();
            assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        }
    }

    #[test]
    fn a_record_that_does_not_say_its_kind_is_a_push() {
        let text = r#"{"app":"demo","key":{"task":7,"nonce":"abcdefgh"},"seq":0,"attempt":0,"dialect":"imkit","message":"m1","at":5}"#;
        let Report::Fresh(of) = serde_json::from_str(text).unwrap() else { panic!("as deliver put it") };
        assert_eq!(of.kind, Deed::Push);
    }
}
