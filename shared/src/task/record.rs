//! What travels in the queues: a part of a task on its way to fan-out, a chunk on its way to deliver. Client and device ids, never
//! tokens.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Attempt, Outcome};
use crate::delivery::Channel;
use crate::id::{ClientId, DeviceKey, TaskId};
use crate::message::Values;
use crate::queue;
use crate::time::Timestamp;

/// The most recipients of a chunk.
pub const MOST_RECIPIENTS: usize = 100;

/// A task's number and its nonce. Two tasks of one millisecond can draw the same number, so rows are told apart by both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskKey {
    /// The number that callers see.
    pub task: TaskId,
    /// 8 characters, from the claim.
    pub nonce: String,
}

/// Up to [`MOST_RECIPIENTS`] recipients of a task, or what is left of them after an attempt.
///
/// `M` is the message: parsed where it is read, raw where it is only passed on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chunk<M> {
    /// Whose part it is.
    #[serde(flatten)]
    pub key: TaskKey,
    /// Which part of the task.
    pub seq: u32,
    /// Which try of it.
    #[serde(default)]
    pub attempt: Attempt,
    /// It was given up, and waits in the dead-letter queue for a replay: the outcomes that it has then take the place of those that it
    /// had.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
    /// When the task was claimed, or was to begin if that is later.
    pub claimed_at: Timestamp,
    /// The record may have been queued before: the result row is read first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    /// The task has a head, and may be cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub headed: bool,
    /// The content.
    pub message: M,
    /// Who it is for.
    pub to: Vec<Target>,
}

impl<M> Chunk<M> {
    /// The chunk once more, as another try of `to`.
    #[must_use]
    pub fn again(&self, attempt: Attempt, to: Vec<Target>) -> Chunk<&M> {
        Chunk {
            key: self.key.clone(),
            seq: self.seq,
            attempt,
            given_up: self.given_up,
            claimed_at: self.claimed_at,
            repeat: self.repeat,
            headed: self.headed,
            message: &self.message,
            to,
        }
    }
}

/// A recipient of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// Not counted yet, as far as the record knows.
    Fresh(ClientId),
    /// Counted; these devices are still owed.
    Left {
        /// Who.
        #[serde(rename = "c")]
        client: ClientId,
        /// Which devices.
        #[serde(rename = "d")]
        devices: Vec<DeviceKey>,
        /// Not before this point: a vendor asked for the wait.
        #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
        /// The channels of these devices.
        #[serde(rename = "v", default, skip_serializing_if = "Vec::is_empty")]
        channels: Vec<Channel>,
        /// How often they were sent to in vain.
        #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
        tries: u32,
        /// The outcome that these devices were given up with.
        #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
        was: Option<Outcome>,
        /// What the caller gave for the places of a template.
        #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
        values: Option<Values>,
    },
    /// Not counted yet, as far as the record knows; of the client's devices, these are targets.
    Chosen {
        /// Who.
        #[serde(rename = "c")]
        client: ClientId,
        /// Which devices.
        #[serde(rename = "o")]
        only: Vec<DeviceKey>,
    },
    /// Not counted yet, as far as the record knows; what fills the places of a template came with the request.
    With {
        /// Who.
        #[serde(rename = "c")]
        client: ClientId,
        /// What the caller gave. Nothing else fills a place for this client.
        #[serde(rename = "x")]
        values: Values,
    },
}

impl Target {
    /// Who it is.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        match self {
            Self::Fresh(client)
            | Self::Left { client, .. }
            | Self::Chosen { client, .. }
            | Self::With { client, .. } => client,
        }
    }

    /// What the caller gave for the places of a template, instead of what is stored with the client.
    #[must_use]
    pub fn values(&self) -> Option<&Values> {
        match self {
            Self::Fresh(_) | Self::Chosen { .. } => None,
            Self::Left { values, .. } => values.as_ref(),
            Self::With { values, .. } => Some(values),
        }
    }

    /// The same without the caller's values, as result rows hold it: they would be in a row up to three times, and are in the record.
    #[must_use]
    pub fn without_values(self) -> Self {
        match self {
            Self::With { client, .. } => Self::Fresh(client),
            Self::Left { client, devices, not_before, channels, tries, was, values: _ } => {
                Self::Left { client, devices, not_before, channels, tries, was, values: None }
            }
            Self::Fresh(_) | Self::Chosen { .. } => self,
        }
    }

    /// The same with the values that the record had for the client.
    #[must_use]
    pub fn with_values(self, given: Option<&Values>) -> Self {
        match (self, given) {
            (Self::Fresh(client), Some(given)) => Self::With { client, values: given.clone() },
            (Self::Left { client, devices, not_before, channels, tries, was, values }, Some(given)) => {
                let values = values.or_else(|| Some(given.clone()));
                Self::Left { client, devices, not_before, channels, tries, was, values }
            }
            (target, _) => target,
        }
    }

    /// What was counted of it when it was given up: how many times which outcome.
    #[must_use]
    pub fn was(&self) -> (Outcome, u32) {
        match self {
            Self::Fresh(_) | Self::With { .. } => (Outcome::GaveUp, 1),
            Self::Left { devices, was, .. } => {
                (was.unwrap_or(Outcome::GaveUp), u32::try_from(devices.len()).unwrap_or(u32::MAX))
            }
            Self::Chosen { only, .. } => (Outcome::GaveUp, u32::try_from(only.len()).unwrap_or(u32::MAX)),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A task, or the part of it that fits one record, on its way to fan-out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    /// Whose part it is.
    #[serde(flatten)]
    pub key: TaskKey,
    /// The number of its first chunk.
    pub first: u32,
    /// When the task was claimed.
    pub claimed_at: Timestamp,
    /// The record may have been queued before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    /// The task has a head, and may be cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub headed: bool,
    /// The content, not looked into.
    pub message: Box<RawValue>,
    /// Who it is for.
    pub to: Vec<Target>,
}

impl Part {
    /// The chunks, in their order. `repeat` marks them as possibly queued before.
    pub fn chunks(&self, repeat: bool) -> impl Iterator<Item = Chunk<&RawValue>> {
        self.to.chunks(MOST_RECIPIENTS).zip(self.first..).map(move |(targets, seq)| Chunk {
            key: self.key.clone(),
            seq,
            attempt: Attempt::FIRST,
            given_up: false,
            claimed_at: self.claimed_at,
            repeat: repeat || self.repeat,
            headed: self.headed,
            message: &*self.message,
            to: targets.to_vec(),
        })
    }

    /// How many chunks it makes.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.to.len().div_ceil(MOST_RECIPIENTS)).unwrap_or(u32::MAX)
    }

    /// Whether it makes none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to.is_empty()
    }

    /// Cuts the part into such that take at most `most` bytes as a record, along chunk boundaries, so that every chunk keeps its number
    /// however often the same list is cut. A part of one chunk is not cut further.
    #[must_use]
    pub fn split(self, most: usize) -> Vec<Self> {
        let fixed = self.message.get().len() + 256;
        let room = most.saturating_sub(fixed);
        let mut parts = Vec::new();
        let (mut to, mut bytes, mut first, mut next) = (Vec::new(), 0, self.first, self.first);
        for targets in self.to.chunks(MOST_RECIPIENTS) {
            let size: usize = targets.iter().map(|target| queue::body(target).map_or(0, |json| json.len() + 1)).sum();
            if bytes + size > room && !to.is_empty() {
                parts.push(self.cut(first, std::mem::take(&mut to)));
                (bytes, first) = (0, next);
            }
            to.extend_from_slice(targets);
            bytes += size;
            next += 1;
        }
        if !to.is_empty() {
            parts.push(self.cut(first, to));
        }
        parts
    }

    fn cut(&self, first: u32, to: Vec<Target>) -> Self {
        Self {
            key: self.key.clone(),
            first,
            claimed_at: self.claimed_at,
            repeat: self.repeat,
            headed: self.headed,
            message: self.message.clone(),
            to,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn part(ids: &[String]) -> Part {
        Part {
            key: TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() },
            first: 0,
            claimed_at: Timestamp::from_millis(1),
            repeat: false,
            headed: false,
            message: RawValue::from_string(r#"{"a":1}"#.to_owned()).unwrap(),
            to: ids.iter().map(|id| Target::Fresh(ClientId::parse(id.as_str()).unwrap())).collect(),
        }
    }

    #[test]
    fn a_chunk_survives_its_record() {
        let chunk = Chunk {
            key: TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() },
            seq: 3,
            attempt: Attempt::from_number(1),
            given_up: false,
            claimed_at: Timestamp::from_millis(1),
            repeat: true,
            headed: true,
            message: serde_json::json!({"a": 1}),
            to: vec![
                Target::Fresh(ClientId::parse("aaa").unwrap()),
                Target::Left {
                    client: ClientId::parse("bbb").unwrap(),
                    devices: vec![DeviceKey::of("ios", "1")],
                    not_before: None,
                    channels: vec![Channel::Fcm],
                    tries: 2,
                    was: Some(Outcome::Misconfigured),
                    values: None,
                },
                Target::With {
                    client: ClientId::parse("ddd").unwrap(),
                    values: Values::from_iter([("name".to_owned(), "{{Joe}}".to_owned())]),
                },
                Target::Left {
                    client: ClientId::parse("ddd").unwrap(),
                    devices: vec![DeviceKey::of("ios", "1")],
                    not_before: None,
                    channels: Vec::new(),
                    tries: 0,
                    was: None,
                    values: Some(Values::default()),
                },
                Target::Chosen { client: ClientId::parse("ccc").unwrap(), only: vec![DeviceKey::of("ios", "1")] },
            ],
        };
        let text = serde_json::to_string(&chunk).unwrap();
        assert!(
            text.starts_with(
                r#"{"task":7,"nonce":"abcdefgh","seq":3,"attempt":1,"claimed_at":1,"repeat":true,"headed":true"#
            ),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Chunk<serde_json::Value>>(&text).unwrap(), chunk);
    }

    #[test]
    fn a_row_holds_no_values_and_they_come_back_from_the_record() {
        let client = || ClientId::parse("aaa").unwrap();
        let values = || Values::from_iter([("name".to_owned(), "Joe".to_owned())]);
        let left = |values| Target::Left {
            client: client(),
            devices: vec![DeviceKey::of("ios", "1")],
            not_before: None,
            channels: vec![Channel::Fcm],
            tries: 1,
            was: None,
            values,
        };
        for (whole, bare) in [
            (Target::With { client: client(), values: values() }, Target::Fresh(client())),
            (left(Some(values())), left(None)),
        ] {
            assert_eq!(whole.clone().without_values(), bare);
            assert_eq!(bare.clone().with_values(Some(&values())), whole);
            assert_eq!(bare.clone().with_values(None), bare);
        }
    }

    #[test]
    fn a_chunk_of_the_longest_values_is_a_record_that_the_deferred_table_takes() {
        let mut names = crate::message::template::Names::default();
        names.take("{{a}}{{b}}").unwrap();
        // What takes the most bytes as JSON.
        let fits = |n: usize| {
            let document = serde_json::json!({"a": "\u{1}".repeat(n), "b": "\"".repeat(n)});
            Values::of(document.as_object().unwrap(), &names).ok()
        };
        let values = (0..=1024).rev().find_map(fits).unwrap();
        let json = serde_json::to_string(&values).unwrap();
        assert!((2000..=2060).contains(&json.len()), "{}", json.len());
        let left = |n: usize| Target::Left {
            client: ClientId::parse(format!("{n:03}{}", "\"".repeat(253))).unwrap(),
            devices: (0..20).map(|device| DeviceKey::of("ios", &device.to_string())).collect(),
            not_before: Some(Timestamp::from_millis(1_767_225_600_000)),
            channels: vec![Channel::Huawei; 20],
            tries: 199,
            was: Some(Outcome::Misconfigured),
            values: Some(values.clone()),
        };
        let message = RawValue::from_string(format!("\"{}\"", "x".repeat(crate::message::MOST_BYTES))).unwrap();
        let chunk = Chunk {
            key: TaskKey { task: TaskId::from_number((1 << 53) - 1).unwrap(), nonce: "abcdefgh".to_owned() },
            seq: u32::MAX,
            attempt: Attempt::from_number(199),
            given_up: true,
            claimed_at: Timestamp::from_millis(1_767_225_600_000),
            repeat: true,
            headed: true,
            message,
            to: (0..MOST_RECIPIENTS).map(left).collect(),
        };
        let bytes = queue::body(&chunk).unwrap().len();
        assert!(bytes <= crate::deferred::MOST_BYTES, "{bytes}");
    }

    proptest! {
        #[test]
        fn every_recipient_is_in_one_chunk_and_chunks_keep_their_numbers_however_the_part_is_cut(
            ids in proptest::collection::vec("[a-z\"\\\\部]{1,12}", 1..450),
            most in 300_usize..4_000,
        ) {
            let whole: Vec<_> = part(&ids).chunks(false).map(|chunk| (chunk.seq, chunk.to)).collect();
            prop_assert_eq!(whole.iter().map(|(_, to)| to.len()).sum::<usize>(), ids.len());
            prop_assert!(whole.iter().all(|(_, to)| to.len() <= MOST_RECIPIENTS));
            let parts = part(&ids).split(most);
            let cut: Vec<_> = parts.iter().flat_map(|part| part.chunks(false)).map(|chunk| (chunk.seq, chunk.to)).collect();
            prop_assert_eq!(cut, whole);
            for part in &parts {
                prop_assert!(part.len() == 1 || queue::body(part).unwrap().len() <= most);
            }
        }
    }
}
