//! What happened to one device, or to a recipient none of whose devices was sent to.

use crate::delivery::Class;

/// What happened. Once a task is done, the sum over all outcomes is its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The vendor has it.
    Delivered,
    /// The token is dead, and deleted unless it was registered anew.
    DeadToken,
    /// The vendor will not take this message.
    BadMessage,
    /// Credentials, app or rights are wrong.
    Misconfigured,
    /// Tried until its time to live was over, or too often. In the dead-letter queue.
    GaveUp,
    /// There is no channel to this device's vendor.
    ChannelUnavailable,
    /// The device was unregistered while a retry was waiting.
    Gone,
    /// The recipient has no device.
    NoDevice,
    /// The recipient muted the room and was not mentioned.
    Muted,
    /// The recipient read the room meanwhile.
    Read,
    /// The message was withdrawn meanwhile.
    Withdrawn,
    /// Left over, to be tried again: not final, and in no sum.
    Pending,
}

impl Outcome {
    /// All of them, with the letter that the result rows hold and the word that answers and metrics show.
    pub const ALL: [(Self, char, &'static str); 12] = [
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

    /// Whether nothing more is done about it.
    #[must_use]
    pub fn is_final(self) -> bool {
        self != Self::Pending
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_s_letter_leads_back_to_it() {
        for (index, (outcome, letter, _)) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
            assert_eq!(Outcome::from_letter(letter), Some(outcome));
        }
    }
}
