//! What happened to one device, or to a recipient none of whose devices was sent to.

use serde::{Deserialize, Serialize};

use crate::delivery::Class;
use crate::filter::Rule;

/// What happened. Once a task is done, the sum over all outcomes is its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "char", try_from = "char")]
pub enum Outcome {
    /// The vendor has it.
    Delivered,
    /// The token is dead, and deleted unless it was registered anew.
    DeadToken,
    /// The vendor will not take this message.
    BadMessage,
    /// Credentials, app or rights are wrong. In the dead-letter queue, unless the app has no credentials at all.
    Misconfigured,
    /// Tried until its time to live was over, or too often. In the dead-letter queue, unless it came from there too late.
    GaveUp,
    /// There is no channel to this device's vendor.
    ChannelUnavailable,
    /// The device was unregistered while a retry was waiting.
    Gone,
    /// The recipient has no device.
    NoDevice,
    /// The recipient muted the room or the sender, and was not mentioned.
    Muted,
    /// The recipient read the room meanwhile.
    Read,
    /// The message was withdrawn meanwhile.
    Withdrawn,
    /// The recipient switched push off. Counted all the same: the badge is right when they switch it on again.
    Off,
    /// The recipient blocked the sender.
    Blocked,
    /// The recipient belongs to a cohort that is not notified, to compare the others with. Counted.
    HeldOut,
    /// The task was cancelled before this was sent.
    Cancelled,
    /// The message is a template, and the recipient has no value for one of its places.
    MissingValue,
    /// Left over, to be tried again: not final, and in no sum.
    Pending,
}

impl Outcome {
    /// All of them, with the letter that the result rows hold and the word that answers and metrics show.
    pub const ALL: [(Self, char, &'static str); 17] = [
        (Self::Delivered, 'd', "delivered"),
        (Self::DeadToken, 'x', "dead_token"),
        (Self::BadMessage, 'b', "bad_message"),
        (Self::Misconfigured, 'c', "misconfigured"),
        (Self::GaveUp, 'g', "gave_up"),
        (Self::ChannelUnavailable, 'v', "channel_unavailable"),
        (Self::Gone, 'o', "gone"),
        (Self::NoDevice, 'n', "no_device"),
        (Self::Muted, 'm', "muted"),
        (Self::Read, 'r', "read"),
        (Self::Withdrawn, 'w', "withdrawn"),
        (Self::Off, 'f', "off"),
        (Self::Blocked, 'k', "blocked"),
        (Self::HeldOut, 'h', "held_out"),
        (Self::Cancelled, 'a', "cancelled"),
        (Self::MissingValue, 'i', "missing_value"),
        (Self::Pending, 'p', "pending"),
    ];

    /// The letter in result rows.
    #[must_use]
    pub fn letter(self) -> char {
        Self::ALL[self as usize].1
    }

    /// The word in answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].2
    }

    /// The outcome of a letter.
    #[must_use]
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, own, _)| *own == letter).map(|(outcome, _, _)| outcome)
    }

    /// The outcome of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, _, own)| *own == word).map(|(outcome, _, _)| outcome)
    }

    /// Whether nothing more is done about it.
    #[must_use]
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }

    /// What a rule of a recipient's makes of them. `None` for a rule that keeps nobody from being sent to: quiet hours are silent, and what
    /// the app's own rules refuse is no task.
    #[must_use]
    pub fn of_rule(rule: Rule) -> Option<Self> {
        match rule {
            Rule::PushOff => Some(Self::Off),
            Rule::RoomMuted | Rule::SenderMuted => Some(Self::Muted),
            Rule::SenderBlocked => Some(Self::Blocked),
            Rule::HeldOut => Some(Self::HeldOut),
            Rule::QuietHours | Rule::BlockedSender | Rule::DeniedType | Rule::DeniedWord | Rule::NeverPushGroup => None,
        }
    }

    /// What a vendor's verdict makes of a device.
    #[must_use]
    pub fn of(class: Class) -> Self {
        match class {
            Class::Delivered => Self::Delivered,
            Class::DeadToken => Self::DeadToken,
            Class::BadMessage => Self::BadMessage,
            Class::Unauthorized | Class::Misconfigured => Self::Misconfigured,
            Class::Retry { .. } | Class::Throttled { .. } | Class::QuotaUntil(_) | Class::Unrecognised => Self::Pending,
        }
    }
}

impl From<Outcome> for char {
    fn from(outcome: Outcome) -> Self {
        outcome.letter()
    }
}

/// No outcome has this letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no outcome has this letter")]
pub struct UnknownOutcome;

impl TryFrom<char> for Outcome {
    type Error = UnknownOutcome;

    fn try_from(letter: char) -> Result<Self, Self::Error> {
        Self::from_letter(letter).ok_or(UnknownOutcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_s_letter_leads_back_to_it() {
        for (index, (outcome, letter, _)) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
            assert_eq!(Outcome::from_letter(letter), Some(outcome));
            assert_eq!(Outcome::from_word(outcome.as_str()), Some(outcome));
        }
    }
}
