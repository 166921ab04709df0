//! The one vendor-neutral message: made by a dialect, read by the channels. Nothing else carries content.
//!
//! A message travels in queue records, so every part that is not there takes no bytes. What one recipient adds (the badge,
//! a silenced sound, the cohort's copy) is not in here: it is worked out when the recipient is read.

mod filled;
pub mod language;
pub mod template;
#[cfg(test)]
mod tests;
mod text;
mod vendor;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::delivery::Channel;
use crate::id::{AppId, MessageId};
use crate::time::Timestamp;

pub use template::Values;
pub use text::{Copy, Localised, Text, Translation, Wording};
pub use vendor::{AndroidBlock, ClickAction, DataOnly, HuaweiBlock, IosBlock, VendorBlock, Vendors, VivoBlock};

/// The most bytes a message may have as JSON, without its recipients: a queue record of 100 recipients stays far under
/// SQS's 1 MiB, and ten of them still fit one batch.
pub const MOST_BYTES: usize = 64 * 1024;

/// How deep a message may be nested as JSON. What reads queue records goes 128 deep, and records add a few levels; no app means more than
/// a handful.
pub const MOST_DEPTH: usize = 64;

/// How deep `json`, which is valid JSON, is nested.
#[must_use]
pub fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// How long a message may wait for its delivery when it says nothing itself.
pub const DEFAULT_TIME_TO_LIVE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is to be shown, to do, or to be known by an app, on the phones of a task's audience.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Where it comes from.
    pub origin: Origin,
    /// What a person reads.
    #[serde(default, skip_serializing_if = "is_default")]
    pub text: Text,
    /// What becomes of the badge.
    #[serde(default, skip_serializing_if = "is_default")]
    pub badge: Badge,
    /// How it arrives.
    #[serde(default, skip_serializing_if = "is_default")]
    pub behaviour: Behaviour,
    /// What is shown beside the text, and what a tap does.
    #[serde(default, skip_serializing_if = "is_default")]
    pub media: Media,
    /// For the app: strings on FCM, nested JSON on APNs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
    /// Each read by its own channel only.
    #[serde(default, skip_serializing_if = "is_default")]
    pub vendors: Vendors,
    /// Which ways to a phone it may take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub roads: Roads,
    /// It is a template: its texts, the caller's `aps` and the data have places that each recipient's values fill. These values everybody
    /// has; they go before a recipient's own. `None`: texts are what they are, braces too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
}

/// Which ways to a phone a message may take, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Roads {
    /// A live connection of the app's, or a vendor's channel.
    #[serde(skip_serializing_if = "is_default")]
    pub strategy: Strategy,
    /// The Android channels that may be used, in this order. Empty: all of them. Devices on another are no targets; Apple's always are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub android: Vec<Channel>,
    /// The only phones that it is for: of the others none is a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Family>,
}

/// Whose phones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Apple's.
    Apple,
    /// All others.
    Android,
}

/// A live connection of the app's, or a vendor's channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The live connection where there is one, else the vendor's.
    #[default]
    Combined,
    /// The live connection only. There is none yet: every device counts as a target without a channel.
    Online,
    /// The vendor's only.
    Vendors,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The protocol that a message was received in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// IMKIT's generic push callback, v1 and v2.
    Imkit,
    /// OpenIM's before-push callback with delivery taken over.
    Openim,
    /// Kinvey's push module.
    Kinvey,
    /// Lanying's push interface.
    Lanying,
    /// Pushbell's own: the operator's commands, triggers.
    Pushbell,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Imkit, Self::Openim, Self::Kinvey, Self::Lanying, Self::Pushbell];

    /// The word in keys, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imkit => "imkit",
            Self::Openim => "openim",
            Self::Kinvey => "kinvey",
            Self::Lanying => "lanying",
            Self::Pushbell => "pushbell",
        }
    }
}

/// Where a message comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The tenant.
    pub app: AppId,
    /// The protocol.
    pub dialect: Dialect,
    /// The message's own id. With the app it makes the mark: one id counts once.
    pub message: MessageId,
    /// Who wrote it. Never notified of their own message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The room it was written in, as the chat server names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Who is called by name in it: told although the room is muted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// Everybody in the room is called.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mentions_all: bool,
    /// When it was written, by the chat server's clock. Compared with read watermarks of the same clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_at: Option<Timestamp>,
    /// When the message that this one withdraws was accepted; `None` when it never was, or nothing is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_accepted_at: Option<Timestamp>,
    /// The caller's name for the request, carried through logs and traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

impl Origin {
    /// Of a message that nobody wrote in a room: what an app's server says.
    #[must_use]
    pub fn of_server(app: AppId, dialect: Dialect, message: MessageId) -> Self {
        Self {
            app,
            dialect,
            message,
            sender: None,
            room: None,
            mentions: Vec::new(),
            mentions_all: false,
            written_at: None,
            withdrawn_accepted_at: None,
            operation: None,
        }
    }

    /// Whether `client` is called by name.
    #[must_use]
    pub fn names(&self, client: &str) -> bool {
        self.mentions.iter().any(|name| name == client)
    }
}

/// What becomes of a recipient's badge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Badge {
    /// The number is not mentioned: the phone keeps what it shows.
    #[default]
    None,
    /// The badge of now is shown, nothing is counted.
    Keep,
    /// So much is added to a source.
    Add {
        /// How many.
        n: u32,
        /// Which counter.
        source: Source,
    },
    /// A named counter becomes this number.
    Set {
        /// The new count.
        n: u32,
        /// Which counter.
        source: String,
    },
    /// The caller's own number is shown, nothing is stored.
    Show(u32),
    /// The number on the icon becomes this one: a named counter takes up the difference.
    Total {
        /// The number to show.
        n: u32,
        /// Which counter.
        source: String,
    },
    /// The message's room counts as read up to when the message was accepted: its unread messages go, and the badge of now is shown. For
    /// who left a room.
    Clear,
}

/// A counter of a client's badge.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Unread messages of the message's own room.
    Room,
    /// Something else that is counted under a name: orders, calls.
    Named(String),
}

/// How a message arrives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Behaviour {
    /// Shown, or not.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: Kind,
    /// The sound's name in the app; `None` is the platform's default sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    /// At once, or when the phone is awake.
    #[serde(skip_serializing_if = "is_default")]
    pub priority: Priority,
    /// Not delivered after this point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Not delivered before this point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Shown by the phone from this point on (Lanying's timed display).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_from: Option<Timestamp>,
    /// Replaces what is shown under the same key. `None`: the message's own id, so that a repeat shows once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapse: Option<String>,
    /// Groups notifications on the phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The set of buttons, on APNs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The app may change the notification before it is shown (APNs `mutable-content`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mutable: bool,
    /// The app is woken as well (APNs `content-available`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wakes_app: bool,
    /// How far it may interrupt, on APNs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interruption: Option<Interruption>,
    /// Phones are told the task's number (`pushbell_task` in the data), to report receipt and click by.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub receipts: bool,
}

/// Whether and how a message shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A notification.
    #[default]
    Alert,
    /// A notification without sound.
    Silent,
    /// For the app only.
    Data,
    /// The number on the icon only.
    Badge,
    /// Takes back an earlier message with the same id: the app is told to remove it, the badge loses it.
    Withdraw,
}

/// APNs 10 or 5, FCM high or normal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// At once.
    #[default]
    High,
    /// When it suits the phone's battery.
    Normal,
}

/// APNs interruption levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interruption {
    /// Into the list, screen stays dark.
    Passive,
    /// The default.
    Active,
    /// Through scheduled summaries and focus.
    TimeSensitive,
    /// Through everything; needs an entitlement.
    Critical,
}

/// What is shown beside the text, and what a tap does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Media {
    /// HTTPS address of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// HTTPS address of another attachment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachment: Option<String>,
    /// What a tap does: an intent filter's action on Android.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub click_action: Option<String>,
    /// Android notification channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

impl Message {
    /// The point after which it is not delivered: its own, or a day after `accepted`.
    #[must_use]
    pub fn expiry(&self, accepted: Timestamp) -> Timestamp {
        self.behaviour.expires_at.unwrap_or_else(|| accepted.plus(DEFAULT_TIME_TO_LIVE))
    }

    /// Whether it adds to its recipients' badges, so that its mark is left with each of them: it counts once, however often it comes.
    #[must_use]
    pub fn counts(&self) -> bool {
        let is_sent = self.roads.strategy != Strategy::Online && self.behaviour.kind != Kind::Withdraw;
        is_sent
            && match &self.badge {
                Badge::Add { n, source: Source::Room } => *n > 0 && self.origin.room.is_some(),
                Badge::Add { n, source: Source::Named(_) } => *n > 0,
                Badge::None | Badge::Keep | Badge::Set { .. } | Badge::Show(_) | Badge::Total { .. } | Badge::Clear => {
                    false
                }
            }
    }

    /// The key under which a repeat replaces what is shown, at most 64 bytes (APNs' limit for `apns-collapse-id`).
    #[must_use]
    pub fn collapse_id(&self) -> String {
        collapse_id_of(self.behaviour.collapse.as_deref().unwrap_or(self.origin.message.as_str()))
    }
}

/// `own` as a header takes it: printable ASCII, at most 64 bytes; else a digest of it, so that the same is the same.
pub(crate) fn collapse_id_of(own: &str) -> String {
    if own.len() <= 64 && own.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return own.to_owned();
    }
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(crate::id::digest::<24>(&[own.as_bytes()]))
}
