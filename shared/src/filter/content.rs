//! The app's rules on the content of a message.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::words::{Words, WordsError};
use super::{Reach, Rule};
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
    /// Its texts as they were sent, shown or not. Words are looked for as far as a [`Reach`] goes: what matters most comes first.
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
            reject: Words::new(&settings.reject)?,
            mask: Words::new(&settings.mask)?,
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
        } else if self.rejects_one_of(about.texts) {
            Some(Rule::DeniedWord)
        } else {
            None
        }
    }

    fn rejects_one_of(&self, texts: &[&str]) -> bool {
        let mut reach = Reach::default();
        texts.iter().any(|text| self.rejects(reach.split(text).0))
    }

    /// Whether a word of the list that rejects is in `text`. To be given what a [`Reach`] allows.
    #[must_use]
    pub fn rejects(&self, text: &str) -> bool {
        self.reject.find(text)
    }

    /// `text` with the words of the list that masks as stars. To be given what a [`Reach`] allows.
    #[must_use]
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.mask.mask(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn filter(settings: serde_json::Value) -> Filter {
        Filter::new(&serde_json::from_value(settings).unwrap()).unwrap()
    }

    fn every_rule(block_senders_online: bool) -> Filter {
        filter(json!({
            "denied_types": [113], "blocked_senders": ["eve"], "block_senders_online": block_senders_online,
            "never_push_groups": ["noise"], "words": {"reject": ["buy now"], "mask": ["damn*"]},
        }))
    }

    #[test]
    fn of_all_combinations_the_first_rule_in_the_order_that_holds_at_the_stage_is_the_answer() {
        for (stage, senders_online) in
            [(Stage::Offline, false), (Stage::Offline, true), (Stage::Online, false), (Stage::Online, true)]
        {
            let filter = every_rule(senders_online);
            for bits in 0..16_u32 {
                let bit = |n: u32| bits & (1 << n) != 0;
                let offline = stage == Stage::Offline;
                let about = About {
                    stage,
                    kind: if bit(1) { "113" } else { "101" },
                    sender: if bit(0) { "eve" } else { "bob" },
                    group: bit(2).then_some("noise"),
                    texts: &["Hello", if bit(3) { "BUY  now!" } else { "buy it now" }],
                };
                let first = [
                    (Rule::BlockedSender, bit(0) && (offline || senders_online)),
                    (Rule::DeniedType, bit(1)),
                    (Rule::NeverPushGroup, bit(2) && offline),
                    (Rule::DeniedWord, bit(3)),
                ]
                .into_iter()
                .find(|(_, holds)| *holds);
                assert_eq!(filter.content(&about), first.map(|(rule, _)| rule), "{about:?}");
            }
        }
    }

    #[test]
    fn words_that_are_masked_do_not_refuse_a_message() {
        let filter = every_rule(false);
        let texts = ["Damnation!"];
        let about = About { stage: Stage::Offline, kind: "101", sender: "bob", group: Some("team"), texts: &texts };
        assert_eq!(filter.content(&about), None);
        assert_eq!(filter.mask("Damnation! We buy now."), "*********! We buy now.");
    }

    #[test]
    fn words_are_looked_for_in_the_first_64_kib_of_a_text_and_256_kib_in_all() {
        let filter = every_rule(false);
        let refused = |texts: &[&str]| {
            filter.content(&About { stage: Stage::Offline, kind: "101", sender: "bob", group: None, texts }).is_some()
        };
        let words = "so ".repeat(64 * 1024 / 3 - 3);
        let (within, beyond) = (format!("{words}buy now"), format!("{words}so so so buy now"));
        assert!(refused(&[&within]));
        assert!(!refused(&[&beyond]));
        assert!(refused(&[&beyond, &beyond, &beyond, &within[8..]]));
        assert!(!refused(&[&beyond, &beyond, &beyond, &beyond, "buy now"]));
    }

    #[test]
    fn without_settings_nothing_is_refused_and_nothing_masked() {
        let filter = filter(json!({}));
        let about = About { stage: Stage::Offline, kind: "113", sender: "eve", group: Some("noise"), texts: &["any"] };
        assert_eq!((filter.content(&about), filter.mask("any").as_ref()), (None, "any"));
    }
}
