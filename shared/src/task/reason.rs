//! Why a device is tried again or was not sent to: kept beside its outcome for whoever asks what happened. A success has none.

use crate::delivery::Class;

/// Why an outcome is what it is, where the outcome alone does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Passing trouble at the vendor's, or on the way there.
    Retry,
    /// The vendor said: too fast.
    Throttled,
    /// The vendor's allowance of the day was used up.
    Quota,
    /// The vendor refused the credential.
    Unauthorized,
    /// Credentials, app or rights are wrong.
    Misconfigured,
    /// The vendor's answer is in no table.
    Unrecognised,
    /// The app has no credentials for the channel.
    NoCredentials,
    /// Not sent: the vendor was left alone for a while, after too many failures.
    LeftAlone,
    /// Not sent: the vendor's own wait was not over.
    Waiting,
    /// Not sent: no time was left, or the client's item could not be read or written.
    NotBegun,
    /// Not sent: the message's end had come.
    Over,
}

impl Reason {
    const ALL: [(Self, char, &'static str); 11] = [
        (Self::Retry, 't', "retry"),
        (Self::Throttled, 'h', "throttled"),
        (Self::Quota, 'q', "quota"),
        (Self::Unauthorized, 'a', "unauthorized"),
        (Self::Misconfigured, 'm', "misconfigured"),
        (Self::Unrecognised, 'u', "unrecognised"),
        (Self::NoCredentials, 'c', "no_credentials"),
        (Self::LeftAlone, 'l', "left_alone"),
        (Self::Waiting, 'w', "waiting"),
        (Self::NotBegun, 'n', "not_begun"),
        (Self::Over, 'o', "over"),
    ];

    /// The letter in result rows.
    #[must_use]
    pub fn letter(self) -> char {
        Self::ALL[self as usize].1
    }

    /// The word in answers: of a vendor's answer, its class's.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].2
    }

    /// The reason of a letter.
    #[must_use]
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, own, _)| *own == letter).map(|(reason, _, _)| reason)
    }

    /// Whether something was sent, and this was the answer.
    #[must_use]
    pub const fn is_of_the_vendor(self) -> bool {
        match self {
            Self::Retry
            | Self::Throttled
            | Self::Quota
            | Self::Unauthorized
            | Self::Misconfigured
            | Self::Unrecognised => true,
            Self::NoCredentials | Self::LeftAlone | Self::Waiting | Self::NotBegun | Self::Over => false,
        }
    }

    /// What a vendor's verdict adds to the outcome; `None` where that says it all.
    #[must_use]
    pub const fn of(class: Class) -> Option<Self> {
        match class {
            Class::Delivered | Class::DeadToken | Class::BadMessage => None,
            Class::Retry { .. } => Some(Self::Retry),
            Class::Throttled { .. } => Some(Self::Throttled),
            Class::QuotaUntil(_) => Some(Self::Quota),
            Class::Unauthorized => Some(Self::Unauthorized),
            Class::Misconfigured => Some(Self::Misconfigured),
            Class::Unrecognised => Some(Self::Unrecognised),
        }
    }
}

/// How a recipient's badge came through an attempt, where it was not plainly counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Recount {
    /// It was counted before: by an earlier try, or by another callback of the same message.
    Repeat,
    /// It was claimed too long ago to be counted.
    Late,
}

impl Recount {
    /// The letter in result rows.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Repeat => 'R',
            Self::Late => 'L',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_s_letter_leads_back_to_it_and_is_no_recount_s() {
        for (index, (reason, letter, word)) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert_eq!((Reason::from_letter(letter), reason.as_str()), (Some(reason), word));
            assert!(letter.is_ascii_lowercase());
        }
    }

    #[test]
    fn the_reason_of_a_vendor_s_answer_has_its_class_s_word() {
        for class in [
            Class::Retry { after: None },
            Class::Throttled { after: None },
            Class::QuotaUntil(crate::time::Timestamp::from_millis(1)),
            Class::Unauthorized,
            Class::Misconfigured,
            Class::Unrecognised,
        ] {
            assert_eq!(Reason::of(class).map(Reason::as_str), Some(class.as_str()));
        }
        assert_eq!(Reason::of(Class::Delivered), None);
    }
}
