//! Parsed identifiers. A value of one of these types has been checked: code that holds one never checks again.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Why a text is not an identifier. The message names the rule, never the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// No characters at all.
    #[error("is empty")]
    Empty,
    /// More bytes than the kind of identifier allows.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// A character that the kind of identifier does not allow.
    #[error("holds a character that is not allowed")]
    Character,
}

/// The first bytes of the SHA-256 of `parts`, each closed by a zero byte so that moving a boundary changes the digest.
#[must_use]
pub fn digest<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    const { assert!(N <= 32) };
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
        context.update(&[0]);
    }
    let mut out = [0; N];
    out.copy_from_slice(&context.finish().as_ref()[..N]);
    out
}

fn short(parts: &[&[u8]]) -> String {
    URL_SAFE_NO_PAD.encode(digest::<6>(parts))
}

fn check(text: &str, longest: usize, allowed: impl Fn(char) -> bool) -> Result<(), IdError> {
    if text.is_empty() {
        Err(IdError::Empty)
    } else if text.len() > longest {
        Err(IdError::TooLong(longest))
    } else if text.chars().all(allowed) {
        Ok(())
    } else {
        Err(IdError::Character)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $longest:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The most bytes that this kind of identifier may have.
            pub const LONGEST: usize = $longest;

            /// Takes `text` as it is.
            ///
            /// # Errors
            /// When it is empty, too long, or holds a character that is not allowed.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check(&text, $longest, $allowed)?;
                Ok(Self(text))
            }

            /// The identifier as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A tenant: the part of a key before the first `#`, and a path segment of its hooks and secrets.
    AppId, 64, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}
text_id! {
    /// A person in an app, as the chat server names them. Any text without control characters.
    ClientId, 256, |c| !c.is_control()
}
text_id! {
    /// A word that an app puts on a client, to notify everybody who has it.
    Tag, 64, |c| !c.is_control()
}
text_id! {
    /// Another name of a client, which no other client of the app has.
    Alias, 128, |c| !c.is_control()
}
text_id! {
    /// A message as its chat server names it.
    MessageId, 256, |c| !c.is_control()
}

/// A room's short hash: 8 characters, as attribute names are paid for in every write.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoomKey(String);

impl RoomKey {
    /// The key of the room that the chat server calls `room`.
    #[must_use]
    pub fn of(room: &str) -> Self {
        Self(short(&[room.as_bytes()]))
    }

    /// The key as it stands in an attribute name, without its prefix.
    #[must_use]
    pub fn from_attribute(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The 8 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A device's short key within its client: 8 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceKey(String);

impl DeviceKey {
    /// The key of the installation that the app calls `device` among those of its `kind` (`ios`, `android`, ...).
    #[must_use]
    pub fn of(kind: &str, device: &str) -> Self {
        Self(short(&[kind.as_bytes(), device.as_bytes()]))
    }

    /// The key of the installation that the app calls by a number.
    #[must_use]
    pub fn numbered(number: DeviceNumber) -> Self {
        let [a, b, c, d] = number.get().to_be_bytes();
        Self(URL_SAFE_NO_PAD.encode([0, 0, a, b, c, d]))
    }

    /// The number by which its app calls the installation, or one from 2^30 up for an installation that has another name: made from
    /// the key, so that two of a client's twenty share one about once in five million clients.
    #[must_use]
    pub fn number(&self) -> DeviceNumber {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).ok().and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
        DeviceNumber(match bytes {
            Some([0, 0, a, b, c, d]) if a < 128 => u32::from_be_bytes([a, b, c, d]),
            _ => DeviceNumber::hashed(self.0.as_bytes()),
        })
    }

    /// The key as it stands in an attribute name, without its prefix.
    #[must_use]
    pub fn from_attribute(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The 8 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The number that some apps call an installation by: 0 to 2^31 - 1, as theirs are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceNumber(u32);

impl DeviceNumber {
    /// The number that a caller gave.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        i32::try_from(number).ok().map(|number| Self(number.unsigned_abs()))
    }

    /// A number for an installation that has a name instead; from 2^30 up, where few apps count to.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(Self::hashed(name.as_bytes()))
    }

    fn hashed(name: &[u8]) -> u32 {
        u32::from_be_bytes(digest(&[name])) >> 2 | 1 << 30
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The key of everybody who has an attribute's value: 16 characters, whatever name and value are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttributeKey(String);

impl AttributeKey {
    /// The key of those whose attribute `name` is `value`.
    #[must_use]
    pub fn of(name: &str, value: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(digest::<12>(&[name.as_bytes(), value.as_bytes()])))
    }

    /// The key as a client's item holds it.
    #[must_use]
    pub(crate) fn from_attribute(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The 16 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A vendor's address of one installation. It lets its holder notify the phone, so it never shows in logs or in `Debug`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

impl Token {
    /// FCM documents no length; the longest seen are under 300. SNS takes 400 for APNs broadcast tokens.
    pub const LONGEST: usize = 1024;

    /// Takes `text` as it is: printable ASCII, no spaces.
    ///
    /// # Errors
    /// When it is empty, too long, or not printable ASCII.
    pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        check(&text, Self::LONGEST, |c| c.is_ascii_graphic())?;
        Ok(Self(text))
    }

    /// The token itself. Never to be logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Token {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl From<Token> for String {
    fn from(token: Token) -> String {
        token.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// A task: positive, below 2^53 (so that it is exact in JavaScript), ordered by the time it was made.
///
/// 41 bits of milliseconds since 2024 and 12 random bits. Two tasks of one millisecond can draw the same number, so nothing
/// leans on it alone: rows of a task carry the task's nonce beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(u64);

impl TaskId {
    const EPOCH_MS: u64 = 1_704_067_200_000;

    /// A new id of the millisecond `now`, told apart from others of that millisecond by 12 bits of `random`.
    #[must_use]
    pub fn new(now: Timestamp, random: u16) -> Self {
        let ms = now.as_millis().saturating_sub(Self::EPOCH_MS).max(1) & ((1 << 41) - 1);
        Self((ms << 12) | u64::from(random & 0xfff))
    }

    /// The id as a number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// When it was made, to the millisecond.
    #[must_use]
    pub const fn made_at(self) -> Timestamp {
        Timestamp::from_millis(Self::EPOCH_MS + (self.0 >> 12))
    }

    /// The id that a caller gave as a number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        (1..1 << 53).contains(&number).then_some(Self(number))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The mark that a counted message leaves with its recipient: a hash of app and message id only, so that the same message
/// counts once however many callbacks carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark([u8; Self::LEN]);

impl Mark {
    /// Bytes of a mark.
    pub const LEN: usize = 6;

    /// The mark of a message that was counted.
    #[must_use]
    pub fn counted(app: &AppId, message: &MessageId) -> Self {
        Self(digest(&[app.as_str().as_bytes(), message.as_str().as_bytes()]))
    }

    /// The mark of a message that was withdrawn, whether it had been counted or not.
    #[must_use]
    pub fn withdrawn(app: &AppId, message: &MessageId) -> Self {
        Self(digest(&[app.as_str().as_bytes(), message.as_str().as_bytes(), b"withdrawn"]))
    }

    /// The 6 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_id_says_which_rule_it_breaks() {
        assert_eq!(AppId::parse("").unwrap_err().to_string(), "is empty");
        assert_eq!(AppId::parse("a".repeat(65)).unwrap_err().to_string(), "is longer than 64 bytes");
        assert_eq!(AppId::parse("a#b").unwrap_err().to_string(), "holds a character that is not allowed");
        assert_eq!(ClientId::parse("line\nbreak").unwrap_err(), IdError::Character);
        assert_eq!(ClientId::parse("名前 #1").unwrap().as_str(), "名前 #1");
    }

    #[test]
    fn a_number_is_a_device_s_key_and_every_device_has_a_number() {
        for number in [0, 1, 4711, u64::from(i32::MAX.unsigned_abs())] {
            let number = DeviceNumber::from_number(number).unwrap();
            let key = DeviceKey::numbered(number);
            assert_eq!((key.as_str().len(), key.number()), (8, number));
        }
        assert_eq!(DeviceNumber::from_number(1 << 31), None);
        for key in [DeviceKey::of("ios", "d1"), DeviceKey::from_attribute("AAD_____"), DeviceKey::from_attribute("?")] {
            let number = key.number().get();
            assert!((1 << 30..1 << 31).contains(&number), "{number}");
        }
        assert_ne!(DeviceKey::of("ios", "d1").number(), DeviceKey::of("ios", "d2").number());
        assert_eq!(DeviceNumber::of("guid"), DeviceNumber::of("guid"));
    }

    #[test]
    fn a_token_does_not_show_in_debug() {
        let token = Token::parse("fMx1:APA91bE").unwrap();
        assert_eq!(format!("{token:?}"), "Token(redacted)");
    }

    #[test]
    fn task_ids_are_ordered_by_time_and_fit_a_double() {
        let early = TaskId::new(Timestamp::from_millis(1_767_225_600_000), 0xffff);
        let late = TaskId::new(Timestamp::from_millis(1_767_225_600_001), 0);
        assert!(early < late);
        let far = TaskId::new(Timestamp::from_millis(TaskId::EPOCH_MS + (1 << 41) - 1), 0xfff);
        assert!(far.get() < 1 << 53);
        assert!(TaskId::new(Timestamp::from_millis(0), 0).get() > 0);
        assert_eq!(early.made_at(), Timestamp::from_millis(1_767_225_600_000));
    }

    #[test]
    fn moving_a_boundary_changes_a_digest() {
        assert_ne!(digest::<6>(&[b"ab", b"c"]), digest::<6>(&[b"a", b"bc"]));
    }

    #[test]
    fn an_attribute_s_key_is_of_its_name_and_its_value_and_short_whatever_they_are() {
        let key = AttributeKey::of("favoriteTeam", "Boston Red Sox");
        assert_eq!(key.as_str(), "oyZhtb74vspwxfQm");
        assert_eq!(AttributeKey::of(&"n".repeat(64), &"v".repeat(1024)).as_str().len(), 16);
        for (name, value) in
            [("favoriteTeam", "Boston"), ("team", "Boston Red Sox"), ("favoriteTeamBoston", " Red Sox")]
        {
            assert_ne!(AttributeKey::of(name, value), key);
        }
    }

    #[test]
    fn a_withdrawal_has_a_mark_of_its_own() {
        let (app, message) = (AppId::parse("demo").unwrap(), MessageId::parse("m1").unwrap());
        assert_ne!(Mark::counted(&app, &message), Mark::withdrawn(&app, &message));
    }
}
