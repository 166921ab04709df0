//! Tally: what vendors report about pushes that went their own way, each event counted once.
//!
//! A callback's events are one [`Batch`], and travel in one queue record. An event is known by its [`Event::key`]; callbacks may repeat it,
//! and bring it late or out of order.

mod class;
mod counts;
mod day;
mod query;
mod store;

use serde::{Deserialize, Serialize};

pub use class::Class;
pub use counts::{Code, Counts};
pub use day::Day;
pub use store::{DAYS_KEPT, EVENTS_KEPT, SPARE, Tallies, TallyError};

use crate::id::AppId;
use crate::time::Timestamp;

/// Who took a push to the phone. The numbers are Tencent's: <https://trtc.io/document/67552>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Vendor {
    /// Not told; of an online push, nobody.
    Unknown,
    /// Apple.
    Apns,
    /// Xiaomi.
    Xiaomi,
    /// Huawei.
    Huawei,
    /// Google.
    Fcm,
    /// Meizu.
    Meizu,
    /// OPPO.
    Oppo,
    /// vivo.
    Vivo,
    /// Honor.
    Honor,
}

impl Vendor {
    /// All of them, each at its own number, with the word in answers and metrics.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Unknown, "unknown"),
        (Self::Apns, "apns"),
        (Self::Xiaomi, "xiaomi"),
        (Self::Huawei, "huawei"),
        (Self::Fcm, "fcm"),
        (Self::Meizu, "meizu"),
        (Self::Oppo, "oppo"),
        (Self::Vivo, "vivo"),
        (Self::Honor, "honor"),
    ];

    /// 0 to 8.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The vendor of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).map(|(vendor, _)| *vendor)
    }

    /// The word in answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl From<Vendor> for u8 {
    fn from(vendor: Vendor) -> Self {
        vendor.number()
    }
}

impl TryFrom<u8> for Vendor {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::from_number(number).ok_or("vendors are numbered from 0 to 8")
    }
}

/// How far a push has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Stage {
    /// The vendor was asked to take it to the phone.
    Sent,
    /// It came to the phone.
    Delivered,
    /// Somebody tapped it.
    Clicked,
}

impl Stage {
    /// All of them, in their order, with the word in answers and metrics.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Sent, "sent"), (Self::Delivered, "delivered"), (Self::Clicked, "clicked")];

    /// 1 to 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The stage of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        let index = usize::from(number.checked_sub(1)?);
        Self::ALL.get(index).map(|(stage, _)| *stage)
    }

    /// The word in answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl From<Stage> for u8 {
    fn from(stage: Stage) -> Self {
        stage.number()
    }
}

impl TryFrom<u8> for Stage {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::from_number(number).ok_or("stages are numbered from 1 to 3")
    }
}

/// What an event is about. As `p…` or `t…` in records and keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum About {
    /// A push of one message; one person's, mostly.
    #[serde(rename = "p")]
    Push(String),
    /// A task for many.
    #[serde(rename = "t")]
    Task(String),
}

/// Something that happened to a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The same for every copy of the event, and for no other event of its push or task: a digest of all that tells it from others.
    #[serde(rename = "k")]
    pub key: String,
    /// Of which push.
    #[serde(rename = "of")]
    pub about: About,
    /// Whose.
    #[serde(rename = "v")]
    pub vendor: Vendor,
    /// What happened.
    #[serde(rename = "s")]
    pub stage: Stage,
    /// The vendor's own code; 0 when it went well.
    #[serde(rename = "c")]
    pub code: i64,
    /// What the vendor says to it; 128 bytes at most.
    #[serde(rename = "i", default, skip_serializing_if = "String::is_empty")]
    pub info: String,
    /// When, by the reporter's clock.
    #[serde(rename = "at")]
    pub at: Timestamp,
}

/// The events of one callback: a queue record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Whose.
    pub app: AppId,
    /// Names the batch, however often it is received: 8 letters or digits.
    pub id: String,
    /// When the callback was accepted.
    pub accepted_at: Timestamp,
    /// What happened.
    pub events: Vec<Event>,
}

impl Batch {
    /// The events of a callback that is accepted `now`, under a name of its own.
    #[must_use]
    pub fn new(app: AppId, events: Vec<Event>, now: Timestamp) -> Self {
        let id = std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
        Self { app, id, accepted_at: now, events }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod spelling {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_lead_back_to_their_vendors_and_stages() {
        for (index, (vendor, _)) in Vendor::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(vendor.number()), index);
            assert_eq!(Vendor::from_number(vendor.number()), Some(vendor));
        }
        for (index, (stage, _)) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(stage.number()), index + 1);
            assert_eq!(Stage::from_number(stage.number()), Some(stage));
        }
        assert_eq!((Vendor::from_number(9), Stage::from_number(0), Stage::from_number(4)), (None, None, None));
    }

    #[test]
    fn an_event_is_short_in_its_record_and_reads_back() {
        let event = Event {
            key: "k".to_owned(),
            about: About::Task("t1".to_owned()),
            vendor: Vendor::Fcm,
            stage: Stage::Clicked,
            code: 0,
            info: String::new(),
            at: Timestamp::from_millis(1_767_225_600_000),
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(text, r#"{"k":"k","of":{"t":"t1"},"v":4,"s":3,"c":0,"at":1767225600000}"#);
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        assert!(serde_json::from_str::<Event>(&text.replace("\"v\":4", "\"v\":9")).is_err());
    }
}
