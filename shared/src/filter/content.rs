//! The app's rules on the content of a message.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::Rule;
use super::words::{Words, WordsError};
use crate::app::FilterSettings;

/// When the question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before the message is delivered to who is connected. To refuse it here is to lose it, so only rules on the content itself apply.
    Online,
    /// Before it is pushed to who is not.
    Offline,
}

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// When the question is asked.
    pub stage: Stage,
    /// The message's type, as the chat server names or numbers it.
    pub kind: &'a str,
    /// Who has sent it.
    pub sender: &'a str,
    /// The group that it was sent to.
    pub group: Option<&'a str>,
    /// Whatever of it would be shown.
    pub texts: &'a [&'a str],
}

/// An app's rules on content, compiled. To be kept as long as the settings: 10,000 words take a while.
#[derive(Debug, Clone)]
pub struct Filter {
    denied_types: BTreeSet<String>,
    blocked_senders: BTreeSet<String>,
    block_senders_online: bool,
    never_push_groups: BTreeSet<String>,
    reject: Words,
    mask: Words,
}

impl Filter {
    /// Compiles the rules.
    ///
    /// # Errors
    /// When a list of words is too large to be compiled. What else a list may break was found when the settings were read.
    pub fn new(settings: &FilterSettings) -> Result<Self, WordsError> {
        Ok(Self {
            denied_types: settings.denied_types.clone(),
            blocked_senders: settings.blocked_senders.clone(),
            block_senders_online: settings.block_senders_online,
            never_push_groups: settings.never_push_groups.clone(),
            reject: Words::new(&settings.words.reject)?,
            mask: Words::new(&settings.words.mask)?,
        })
    }

    /// The first rule that keeps the message from every phone, in the order of [`Rule::ALL`].
    #[must_use]
    pub fn content(&self, about: &About<'_>) -> Option<Rule> {
        let offline = match about.stage {
            Stage::Online => false,
            Stage::Offline => true,
        };
        if (offline || self.block_senders_online) && self.blocked_senders.contains(about.sender) {
            Some(Rule::BlockedSender)
        } else if self.denied_types.contains(about.kind) {
            Some(Rule::DeniedType)
        } else if offline && about.group.is_some_and(|group| self.never_push_groups.contains(group)) {
            Some(Rule::NeverPushGroup)
        } else if about.texts.iter().any(|text| self.reject.find(text)) {
            Some(Rule::DeniedWord)
        } else {
            None
        }
    }

    /// `text` with the words of the list that masks as stars.
    #[must_use]
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.mask.mask(text)
    }
}
