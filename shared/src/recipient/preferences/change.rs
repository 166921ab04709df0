//! What is said to become of a client's preferences, and what can be a preference.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use super::super::store::number;
use super::super::{MOST_SENDERS, QuietHours, Zone, names};
use super::{Preferences, senders_value};
use crate::id::{ClientId, IdError};
use crate::message::language;

/// Why a value is no preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PreferenceError {
    /// Not well-formed by RFC 5646, or over 35 bytes.
    #[error("is not a language tag like \"de-AT\"")]
    Locale,
    /// Empty, over 128 bytes, or with control characters.
    #[error("{0}")]
    Nickname(IdError),
    /// A sender that cannot be a client.
    #[error("entry {index} {rule}")]
    Sender {
        /// Counted from 0.
        index: usize,
        /// What is wrong with it.
        rule: IdError,
    },
    /// More than [`MOST_SENDERS`].
    #[error("has more than 50 entries")]
    TooManySenders,
}

/// What is to become of a client's preferences: only what was said. Whatever it holds is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PreferencesChange {
    pub(super) changed: Preferences,
    pub(super) said: BTreeSet<&'static str>,
}

impl PreferencesChange {
    /// The longest language tag. Registered ones are far shorter.
    pub const LONGEST_LOCALE: usize = 35;
    /// The longest nickname, in bytes.
    pub const LONGEST_NICKNAME: usize = 128;

    /// Push goes off or on.
    pub fn off(&mut self, off: bool) {
        self.changed.off = off;
        self.said.insert(names::PUSH_OFF);
    }

    /// Quiet hours; `None`: none.
    pub fn quiet(&mut self, quiet: Option<QuietHours>) {
        self.changed.quiet = quiet;
        self.said.insert(names::QUIET);
    }

    /// The zone of quiet hours; `None`: the app's.
    pub fn zone(&mut self, zone: Option<Zone>) {
        self.changed.zone = zone;
        self.said.insert(names::ZONE);
    }

    /// Content is hidden, or shown.
    pub fn hide(&mut self, hide: bool) {
        self.changed.hide = hide;
        self.said.insert(names::HIDE);
    }

    /// All muted senders.
    ///
    /// # Errors
    /// When they are more than [`MOST_SENDERS`], or one is not a client's id.
    pub fn muted_senders<'a>(&mut self, senders: impl IntoIterator<Item = &'a str>) -> Result<(), PreferenceError> {
        self.changed.muted_senders = checked(senders)?;
        self.said.insert(names::MUTED_SENDERS);
        Ok(())
    }

    /// All blocked senders.
    ///
    /// # Errors
    /// As [`PreferencesChange::muted_senders`].
    pub fn blocked_senders<'a>(&mut self, senders: impl IntoIterator<Item = &'a str>) -> Result<(), PreferenceError> {
        self.changed.blocked_senders = checked(senders)?;
        self.said.insert(names::BLOCKED_SENDERS);
        Ok(())
    }

    /// The language; `None`: what the device says.
    ///
    /// # Errors
    /// When it is not a language tag.
    pub fn locale(&mut self, locale: Option<&str>) -> Result<(), PreferenceError> {
        if locale.is_some_and(|tag| tag.len() > Self::LONGEST_LOCALE || !language::is_tag(tag)) {
            return Err(PreferenceError::Locale);
        }
        self.changed.locale = locale.map(str::to_owned);
        self.said.insert(names::LOCALE);
        Ok(())
    }

    /// What others' notifications call the client; `None`: what the chat server calls them.
    ///
    /// # Errors
    /// When it is empty, too long, or has control characters.
    pub fn nickname(&mut self, nickname: Option<&str>) -> Result<(), PreferenceError> {
        if let Some(nickname) = nickname {
            let rule = match nickname {
                _ if nickname.trim().is_empty() => Some(IdError::Empty),
                _ if nickname.len() > Self::LONGEST_NICKNAME => Some(IdError::TooLong(Self::LONGEST_NICKNAME)),
                _ if nickname.chars().any(char::is_control) => Some(IdError::Character),
                _ => None,
            };
            if let Some(rule) = rule {
                return Err(PreferenceError::Nickname(rule));
            }
        }
        self.changed.nickname = nickname.map(str::to_owned);
        self.said.insert(names::NICKNAME);
        Ok(())
    }

    /// What becomes of each attribute that is changed: a value, or nothing, which is the default.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'static str, Option<AttributeValue>)> {
        let changed = &self.changed;
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let set = |senders: &BTreeSet<String>| (!senders.is_empty()).then(|| senders_value(senders));
        let all = [
            (names::PUSH_OFF, changed.off.then_some(AttributeValue::Bool(true))),
            (names::QUIET, changed.quiet.map(|quiet| number(quiet.to_number()))),
            (names::ZONE, changed.zone.as_ref().map(|zone| text(zone.as_str()))),
            (names::HIDE, changed.hide.then_some(AttributeValue::Bool(true))),
            (names::MUTED_SENDERS, set(&changed.muted_senders)),
            (names::BLOCKED_SENDERS, set(&changed.blocked_senders)),
            (names::LOCALE, changed.locale.as_deref().map(text)),
            (names::NICKNAME, changed.nickname.as_deref().map(text)),
        ];
        all.into_iter().filter(|(name, _)| self.said.contains(name))
    }

    /// The set of senders that stays as it is while the other one is written, and counts towards the cap of both.
    pub(super) fn other_set(&self) -> Option<&'static str> {
        let writes = |name, senders: &BTreeSet<String>| self.said.contains(name) && !senders.is_empty();
        match (
            writes(names::MUTED_SENDERS, &self.changed.muted_senders),
            writes(names::BLOCKED_SENDERS, &self.changed.blocked_senders),
        ) {
            (true, _) if !self.said.contains(names::BLOCKED_SENDERS) => Some(names::BLOCKED_SENDERS),
            (_, true) if !self.said.contains(names::MUTED_SENDERS) => Some(names::MUTED_SENDERS),
            _ => None,
        }
    }
}

fn checked<'a>(senders: impl IntoIterator<Item = &'a str>) -> Result<BTreeSet<String>, PreferenceError> {
    let mut set = BTreeSet::new();
    for (index, sender) in senders.into_iter().enumerate() {
        let sender = ClientId::parse(sender).map_err(|rule| PreferenceError::Sender { index, rule })?;
        set.insert(sender.into());
        if set.len() > MOST_SENDERS {
            return Err(PreferenceError::TooManySenders);
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_that_cannot_be_are_refused() {
        let mut change = PreferencesChange::default();
        let many: Vec<String> = (0..=MOST_SENDERS).map(|n| n.to_string()).collect();
        let many = || many.iter().map(String::as_str);
        assert_eq!(change.muted_senders(many()), Err(PreferenceError::TooManySenders));
        assert_eq!(change.blocked_senders(many().skip(1).chain(["1"])), Ok(()), "a repeated one is one");
        let empty = PreferenceError::Sender { index: 1, rule: IdError::Empty };
        assert_eq!(change.blocked_senders(["a", ""]), Err(empty));
        assert_eq!(change.nickname(Some(" ")), Err(PreferenceError::Nickname(IdError::Empty)));
        assert_eq!(change.nickname(Some("a\u{7}")), Err(PreferenceError::Nickname(IdError::Character)));
        assert_eq!(change.nickname(Some(&"a".repeat(129))), Err(PreferenceError::Nickname(IdError::TooLong(128))));
        assert_eq!(change.nickname(Some(&"a".repeat(128))), Ok(()));
    }

    #[test]
    fn a_locale_is_a_well_formed_language_tag() {
        for tag in [
            "de",
            "de-AT",
            "zh-Hant-TW",
            "es-419",
            "sl-rozaj-biske",
            "de-1996",
            "yue",
            "zh-yue-HK",
            "en-a-bb",
            "fil-x-q",
        ] {
            assert!(language::is_tag(tag), "{tag}");
        }
        for wrong in [
            "",
            "d",
            "de_AT",
            "de-",
            "-de",
            "de--AT",
            "x-mine",
            "i-klingon",
            "deutschland",
            "de-A",
            "en-a",
            "de-x",
            "dé",
            "de-AT-AT",
        ] {
            assert!(!language::is_tag(wrong), "{wrong}");
        }
        let long = "de-x-12345678-12345678-12345678-1234567";
        assert!(language::is_tag(long) && PreferencesChange::default().locale(Some(long)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_breaks_a_tag(text in ".{0,12}", parts in proptest::collection::vec("[a-zA-Z0-9é]{0,9}", 0..6)) {
            let _ = language::is_tag(&text);
            let _ = language::is_tag(&parts.join("-"));
        }
    }
}
