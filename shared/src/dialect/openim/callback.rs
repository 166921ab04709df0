//! What a push hook says, as real servers send it: lists that are `null`, offline fields that are missing as a group, JSON inside
//! `content`. Only fields that are read can be wrong; all others are passed over.
//!
//! Source: OpenIM's `callbackstruct` (`CommonCallbackReq`, `UserStatusBatchCallbackReq`, `CallbackBeforePushReq`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::content::Content;
use super::searched;
use super::texts::said;
use crate::dialect::recipients::{LeftOut, Recipients};
use crate::filter::Reach;
use crate::id::{ClientId, IdError};

/// The most bytes of `operationID` that are carried on.
const LONGEST_OPERATION: usize = 128;

/// What `signalInfo` holds where there is no call, without white space: what a client's language writes for nothing.
const NO_CALL: [&str; 6] = ["", "null", "{}", "[]", "0", "\"\""];

/// Stands for everybody in `atUserIDList`.
const EVERYBODY: &str = "AtAllTag";

/// Why a call cannot be worked with. Names the field and the rule, never a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// The body is not a JSON object.
    #[error("the body is not a JSON object: line {line}, column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// In bytes, as `serde_json` counts them.
        column: usize,
    },
    /// A field is not what it has to be.
    #[error("{field} must be {expected}")]
    WrongType {
        /// Its name in the protocol.
        field: &'static str,
        /// In English, with its article.
        expected: &'static str,
    },
    /// A field that delivery cannot do without.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An identifier that breaks a rule.
    #[error("{field} {rule}")]
    Identifier {
        /// Its name in the protocol.
        field: &'static str,
        /// The rule.
        rule: IdError,
    },
    /// A single chat has one other side.
    #[error("userIDList names more than one recipient of a single chat")]
    SeveralInSingleChat,
}

/// A body whose fields are not looked at yet, so that its command and `operationID` are known whatever else is wrong with it.
#[derive(Debug)]
pub struct Received<'a> {
    fields: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

impl<'a> Received<'a> {
    /// Reads a JSON object's outer level.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(body: &'a [u8]) -> Result<Self, CallbackError> {
        serde_json::from_slice(body)
            .map(|fields| Self { fields })
            .map_err(|error| CallbackError::Syntax { line: error.line(), column: error.column() })
    }

    /// `callbackCommand`.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        self.string("callbackCommand").ok().flatten()
    }

    /// `operationID`; `header` is the header of that name, which comes first where there is one.
    #[must_use]
    pub fn operation(&self, header: Option<&str>) -> Option<String> {
        operation(header).or_else(|| operation(self.string("operationID").ok().flatten().as_deref()))
    }

    /// `null` is as good as absent.
    fn get(&self, field: &str) -> Option<&'a RawValue> {
        self.fields.get(field).copied().filter(|value| value.get() != "null")
    }

    fn read<T: Deserialize<'a>>(
        &self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, CallbackError> {
        let wrong = |_| CallbackError::WrongType { field, expected };
        self.get(field).map(|value| serde_json::from_str(value.get()).map_err(wrong)).transpose()
    }

    fn string(&self, field: &'static str) -> Result<Option<String>, CallbackError> {
        self.read(field, "a string")
    }

    fn filled(&self, field: &'static str) -> Result<Option<String>, CallbackError> {
        Ok(self.string(field)?.filter(|text| !text.is_empty()))
    }

    /// An identifier that breaks a rule names nobody, and nothing.
    fn id(&self, field: &'static str) -> Result<Option<String>, CallbackError> {
        Ok(self.string(field)?.filter(|id| ClientId::parse(id.as_str()).is_ok()))
    }

    fn number(&self, field: &'static str) -> Result<i32, CallbackError> {
        Ok(self.read(field, "a whole number")?.unwrap_or_default())
    }

    fn list(&self, field: &'static str) -> Result<Vec<&'a RawValue>, CallbackError> {
        Ok(self.read(field, "a list or null")?.unwrap_or_default())
    }

    fn offline(&self) -> Result<Option<OfflinePush>, CallbackError> {
        let title = self.string("title")?;
        let desc = self.string("desc")?;
        let ex = self.string("ex")?;
        let sound = self.string("iOSPushSound")?;
        let counts: Option<bool> = self.read("iOSBadgeCount", "true or false")?;
        let signal = self.string("signalInfo")?;
        let texts = [&title, &desc, &ex, &sound, &signal];
        if counts.is_none() && texts.into_iter().all(Option::is_none) {
            return Ok(None);
        }
        Ok(Some(OfflinePush {
            title: title.unwrap_or_default(),
            desc: desc.unwrap_or_default(),
            ex: ex.unwrap_or_default(),
            ios_push_sound: sound.unwrap_or_default(),
            ios_badge_count: counts.unwrap_or_default(),
            signal_info: signal.unwrap_or_default(),
        }))
    }
}

/// What may stand in a log line: a caller's own text goes into one.
#[must_use]
pub fn operation(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    let sound = !text.is_empty() && text.len() <= LONGEST_OPERATION && !text.chars().any(char::is_control);
    sound.then(|| text.to_owned())
}

/// `offlinePushInfo`: six fields that are there or missing together. Its single fields may be missing all the same, as Go leaves out
/// what is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OfflinePush {
    /// First line.
    pub title: String,
    /// The text.
    pub desc: String,
    /// The app's own.
    pub ex: String,
    /// A sound's name; `default` or empty for the platform's.
    #[serde(rename = "iOSPushSound")]
    pub ios_push_sound: String,
    /// The badge grows by one.
    #[serde(rename = "iOSBadgeCount")]
    pub ios_badge_count: bool,
    /// Of a call.
    #[serde(rename = "signalInfo")]
    pub signal_info: String,
}

/// `sessionType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Session {
    /// 1: two people.
    Single,
    /// 2: a group whose messages are written once per member.
    WriteGroup,
    /// 3: a group.
    Group,
    /// 4: from the system to one person.
    Notification,
    /// Any other number.
    Other(i32),
}

impl Session {
    const fn of(number: i32) -> Self {
        match number {
            1 => Self::Single,
            2 => Self::WriteGroup,
            3 => Self::Group,
            4 => Self::Notification,
            other => Self::Other(other),
        }
    }

    /// The number in the protocol.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Single => 1,
            Self::WriteGroup => 2,
            Self::Group => 3,
            Self::Notification => 4,
            Self::Other(other) => other,
        }
    }
}

/// A hook's call.
#[derive(Debug, Clone, PartialEq)]
pub struct Callback {
    /// The caller's name for the request, for logs and traces.
    pub operation: Option<String>,
    /// `userIDList`: distinct, in the order of the list, without the sender, for whom no push is. Single chats list them beside the
    /// recipient, before live delivery and, until 3.5, after it.
    pub clients: Vec<ClientId>,
    /// What of the list names nobody, or somebody again.
    pub left_out: LeftOut,
    /// What the phones of the recipients are to show; absent before live delivery, and where the message says nothing about it.
    pub offline: Option<OfflinePush>,
    /// `clientMsgID`.
    pub message: Option<String>,
    /// `sendID`.
    pub sender: Option<String>,
    /// `groupID`.
    pub group: Option<String>,
    /// `contentType`.
    pub content_type: i32,
    /// `sessionType`.
    pub session: Session,
    /// Who is called by name.
    pub mentions: BTreeSet<String>,
    /// Everybody is called.
    pub mentions_all: bool,
    /// What the message says.
    pub content: Content,
    /// `offline` as it was sent.
    sent: Option<OfflinePush>,
    /// The texts of `content` as they were sent.
    searched: Vec<String>,
    /// The list names nobody but the sender.
    to_oneself: bool,
}

impl Callback {
    /// Reads the fields. `header` is the header `operationID`.
    ///
    /// # Errors
    /// When a field is of a wrong type.
    pub fn read(received: &Received<'_>, header: Option<&str>) -> Result<Self, CallbackError> {
        let sender = received.id("sendID")?;
        let list = received.list("userIDList")?;
        let Recipients { clients, left_out } = Recipients::sort(&list, sender.as_deref());
        let mut mentions: BTreeSet<String> = received
            .list("atUserIDList")?
            .into_iter()
            .filter_map(|entry| serde_json::from_str(entry.get()).ok())
            .collect();
        let content_type = received.number("contentType")?;
        let content: Option<Cow<'_, str>> = received.read("content", "a string")?;
        let content = content.as_deref().unwrap_or_default();
        let offline = received.offline()?;
        Ok(Self {
            operation: received.operation(header),
            to_oneself: clients.is_empty() && list.len() > left_out.skipped_count,
            clients,
            left_out,
            message: received.filled("clientMsgID")?,
            sender,
            group: received.id("groupID")?,
            content_type,
            session: Session::of(received.number("sessionType")?),
            mentions_all: mentions.remove(EVERYBODY),
            mentions,
            content: Content::read(content_type, content),
            searched: searched::texts(content),
            sent: offline.clone(),
            offline,
        })
    }

    /// Whether `client` is called by name.
    #[must_use]
    pub fn names(&self, client: &str) -> bool {
        self.mentions.contains(client)
    }

    /// The conversation as OpenIM's SDK names it, by which apps mute and read: `sg_<group>`, `g_<group>`, `si_<a>_<b>`, `sn_<a>_<b>`.
    /// `None` where the call does not tell it: no group, no sender, or a single chat without its one recipient.
    #[must_use]
    pub fn conversation(&self) -> Option<String> {
        let group = || self.group.as_deref().or(self.content.group_id.as_deref());
        match self.session {
            Session::Group => group().map(|group| format!("sg_{group}")),
            Session::WriteGroup => group().map(|group| format!("g_{group}")),
            Session::Single => self.pair("si"),
            Session::Notification => self.pair("sn"),
            Session::Other(_) => None,
        }
    }

    fn pair(&self, prefix: &str) -> Option<String> {
        let sender = self.sender.as_deref()?;
        let other = match self.clients.as_slice() {
            [one] => one.as_str(),
            [] if self.to_oneself => sender,
            [] | [_, _, ..] => return None,
        };
        let (first, second) = if sender <= other { (sender, other) } else { (other, sender) };
        Some(format!("{prefix}_{first}_{second}"))
    }

    /// Whether the server says itself what the notification is to say.
    #[must_use]
    pub fn is_worded(&self) -> bool {
        self.offline.as_ref().is_some_and(|offline| said(&offline.title).is_some() && said(&offline.desc).is_some())
    }

    /// Whether a call is announced.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.offline.as_ref().is_some_and(|offline| {
            let longest = NO_CALL.map(str::len).into_iter().max().unwrap_or_default();
            let said: String = offline.signal_info.chars().filter(|c| !c.is_whitespace()).take(longest + 1).collect();
            !NO_CALL.contains(&said.as_str())
        })
    }

    /// What of the list is left out because it names nobody, for people: `left out: 3 of userIDList`.
    #[must_use]
    pub fn omission(&self) -> Option<String> {
        let count = self.left_out.skipped_count;
        (count > 0).then(|| format!("left out: {count} of userIDList"))
    }

    /// The texts that rules on words look at, each once: what a push would show comes first, then whatever else `content` says, also
    /// where no push shows it.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        let offline = self.offline.iter().flat_map(|offline| [offline.title.as_str(), offline.desc.as_str()]);
        let sent = self.searched.iter().map(String::as_str);
        let mut seen = HashSet::new();
        offline.chain(self.content.texts()).chain(sent).filter(|text| !text.is_empty() && seen.insert(*text)).collect()
    }

    /// Puts what `mask` makes of each text that is shown in its place, as far as a [`Reach`] goes.
    pub fn mask(&mut self, mask: impl Fn(&str) -> Cow<'_, str>) {
        let mut reach = Reach::default();
        let mut apply = |text: &mut String| {
            let (seen, rest) = reach.split(text);
            if let Cow::Owned(masked) = mask(seen) {
                *text = masked + rest;
            }
        };
        if let Some(offline) = &mut self.offline {
            apply(&mut offline.title);
            apply(&mut offline.desc);
        }
        self.content.texts_mut().for_each(apply);
    }

    /// `offlinePushInfo` as it was sent, whatever was masked since.
    #[must_use]
    pub const fn sent(&self) -> Option<&OfflinePush> {
        self.sent.as_ref()
    }
}

#[cfg(test)]
mod tests;
