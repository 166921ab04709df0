//! Delivery: the roads to a phone, and what became of a send.
//!
//! A channel prepares a message once, then sends it to one device at a time with what that recipient adds. It answers with a
//! verdict; what follows from a verdict (a token deleted, a retry queued) is the caller's act.

mod aps;
pub mod breaker;
pub mod fcm;
pub mod http2;
pub mod oauth;
pub mod sns;
mod splice;
mod trim;

pub(crate) use trim::{MOST_BYTES, bytes_of, is_too_long, is_too_long_whole};

use std::borrow::Cow;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// The road to a device. As its letter where it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// APNs through an Amazon SNS platform endpoint.
    Sns,
    /// FCM HTTP v1.
    Fcm,
    /// APNs directly.
    Apns,
    /// Huawei Push Kit.
    Huawei,
    /// Xiaomi.
    Xiaomi,
    /// OPPO.
    Oppo,
    /// vivo.
    Vivo,
    /// Meizu.
    Meizu,
    /// Honor.
    Honor,
}

impl Channel {
    const ALL: [(Self, &'static str, &'static str); 9] = [
        (Self::Sns, "s", "sns"),
        (Self::Fcm, "f", "fcm"),
        (Self::Apns, "a", "apns"),
        (Self::Huawei, "h", "huawei"),
        (Self::Xiaomi, "x", "xiaomi"),
        (Self::Oppo, "o", "oppo"),
        (Self::Vivo, "v", "vivo"),
        (Self::Meizu, "m", "meizu"),
        (Self::Honor, "n", "honor"),
    ];

    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, each at its own number.
    #[must_use]
    pub fn every() -> [Self; Self::COUNT] {
        Self::ALL.map(|(channel, _, _)| channel)
    }

    /// One character, for the table.
    #[must_use]
    pub fn letter(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The word in logs, metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].2
    }

    /// The channel of a letter in the table.
    #[must_use]
    pub fn from_letter(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, own, _)| *own == letter).map(|(channel, _, _)| channel)
    }

    /// Whether its tokens are Apple's.
    #[must_use]
    pub fn is_apple(self) -> bool {
        matches!(self, Self::Sns | Self::Apns)
    }
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.letter())
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let letter = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::from_letter(&letter).ok_or_else(|| D::Error::custom("no channel has this letter"))
    }
}

/// What one recipient adds to a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patch {
    /// The number on the icon; `None` leaves it as it is.
    pub badge: Option<u32>,
    /// Without sound.
    pub silent: bool,
}

/// What a vendor's answer means for what is done next. Every answer falls into exactly one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The vendor has it.
    Delivered,
    /// The token is dead. The only class that deletes.
    DeadToken,
    /// Passing trouble. After the vendor's own delay, where it gave one.
    Retry {
        /// The vendor's `Retry-After`.
        after: Option<Duration>,
    },
    /// Too fast.
    Throttled {
        /// The vendor's `Retry-After`.
        after: Option<Duration>,
    },
    /// The day's allowance is used up.
    QuotaUntil(Timestamp),
    /// The credential was refused. Refreshed once; then it counts as misconfigured.
    Unauthorized,
    /// Credentials, app or rights are wrong: an alarm, nothing is deleted.
    Misconfigured,
    /// This message is not acceptable.
    BadMessage,
    /// An answer that is in no table: tried again a few times, counted on its own.
    Unrecognised,
}

impl Class {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::DeadToken => "dead_token",
            Self::Retry { .. } => "retry",
            Self::Throttled { .. } => "throttled",
            Self::QuotaUntil(_) => "quota",
            Self::Unauthorized => "unauthorized",
            Self::Misconfigured => "misconfigured",
            Self::BadMessage => "bad_message",
            Self::Unrecognised => "unrecognised",
        }
    }
}

/// A class, and the vendor's own word for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What follows from it.
    pub class: Class,
    /// The vendor's code (`UNREGISTERED`, `EndpointDisabled`), or ours when there was no answer (`timeout`, `connection`).
    pub code: Cow<'static, str>,
}

impl Verdict {
    /// A verdict with a code of ours or one from a table.
    #[must_use]
    pub const fn new(class: Class, code: &'static str) -> Self {
        Self { class, code: Cow::Borrowed(code) }
    }

    /// The vendor has it.
    pub const DELIVERED: Self = Self::new(Class::Delivered, "ok");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_s_letter_leads_back_to_it() {
        for (index, (channel, letter, _)) in Channel::ALL.into_iter().enumerate() {
            assert_eq!(channel as usize, index);
            assert_eq!(Channel::from_letter(letter), Some(channel));
        }
        assert_eq!(Channel::from_letter("?"), None);
    }

    /// The page is what people read, the tables are what the code does: neither changes without the other.
    #[test]
    fn every_answer_of_a_vendor_has_the_class_that_the_documentation_says() {
        let page = include_str!("../../../docs/classes.md");
        let documented = |heading: &str| -> Vec<String> {
            let part = page.split("\n## ").find(|part| part.starts_with(heading)).unwrap_or_default();
            part.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect()
        };
        let code = |text: &str| match text.split_once(", ") {
            None if text.is_empty() => "`-`".to_owned(),
            None => format!("`{text}`"),
            Some((word, about)) => format!("`{word}`, {about}"),
        };
        let with_status = |rows: Vec<[String; 3]>| -> Vec<String> {
            rows.iter().map(|[http, word, class]| format!("| `{http}` | {} | `{class}` |", code(word))).collect()
        };
        let sns: Vec<String> =
            sns::answer::rows().iter().map(|[_, word, class]| format!("| `{word}` | `{class}` |")).collect();
        assert_eq!(documented("FCM"), with_status(fcm::answer::rows()));
        assert_eq!(documented("Access tokens"), with_status(oauth::rows()));
        assert_eq!(documented("Amazon SNS"), sns);
    }
}
