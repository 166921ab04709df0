//! What a vendor's code in a report means.

use super::{Stage, Vendor};

/// What an event says. The words are those of [`crate::delivery::Class`], with `ok` for what went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It went well.
    Ok,
    /// The token is dead.
    DeadToken,
    /// Passing trouble.
    Retry,
    /// Too fast.
    Throttled,
    /// The day's allowance is used up.
    Quota,
    /// The credential was refused, or the app has no right to it.
    Misconfigured,
    /// The message is not acceptable.
    BadMessage,
    /// A code that is in no table.
    Unrecognised,
}

impl Class {
    /// All of them, with the letter in keys and the word in answers and metrics.
    pub const ALL: [(Self, char, &'static str); 8] = [
        (Self::Ok, 'o', "ok"),
        (Self::DeadToken, 'x', "dead_token"),
        (Self::Retry, 'r', "retry"),
        (Self::Throttled, 't', "throttled"),
        (Self::Quota, 'q', "quota"),
        (Self::Misconfigured, 'c', "misconfigured"),
        (Self::BadMessage, 'b', "bad_message"),
        (Self::Unrecognised, 'u', "unrecognised"),
    ];

    /// The letter in keys.
    #[must_use]
    pub fn letter(self) -> char {
        Self::ALL[self as usize].1
    }

    /// The word in answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].2
    }

    /// The class of a letter.
    #[must_use]
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, own, _)| *own == letter).map(|(class, _, _)| class)
    }

    /// The class of a vendor's own code. 0 is always well; a code that no table knows is unrecognised.
    #[must_use]
    pub fn of(_vendor: Vendor, _stage: Stage, code: i64) -> Self {
        if code == 0 { Self::Ok } else { Self::Unrecognised }
    }
}
