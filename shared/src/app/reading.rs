//! What the app's people read of a message, and what they are told of although they muted it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::message::language;

/// What is shown in place of hidden content, by language.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct HiddenTexts(Vec<(String, String)>);

/// The texts of apps that set none.
const BUILT_IN: [(&str, &str); 2] = [("en", "You have a new message"), ("zh", "您有一条新消息")];
/// The most languages, and the most bytes of a text.
const MOST_LANGUAGES: usize = 50;
const MOST_BYTES: usize = 256;

impl Default for HiddenTexts {
    fn default() -> Self {
        Self(BUILT_IN.map(|(language, text)| (language.to_owned(), text.to_owned())).to_vec())
    }
}

impl TryFrom<BTreeMap<String, String>> for HiddenTexts {
    type Error = &'static str;

    fn try_from(own: BTreeMap<String, String>) -> Result<Self, Self::Error> {
        if own.len() > MOST_LANGUAGES {
            return Err("hidden_texts has at most 50 languages");
        }
        if own.iter().any(|(tag, text)| !language::is_tag(tag) || text.is_empty() || text.len() > MOST_BYTES) {
            return Err("hidden_texts holds texts of 1 to 256 bytes, each under a language tag");
        }
        let mut texts: Vec<(String, String)> = own.into_iter().collect();
        for (language, text) in Self::default().0 {
            if !texts.iter().any(|(own, _)| own.eq_ignore_ascii_case(&language)) {
                texts.push((language, text));
            }
        }
        Ok(Self(texts))
    }
}

impl HiddenTexts {
    /// How many languages there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The number of the text for a reader of the first of `languages` that there is a text in; of the English one, if there is none.
    #[must_use]
    pub fn pick<'a>(&self, languages: impl IntoIterator<Item = &'a str>) -> usize {
        let find = |wanted: &str| language::pick(self.0.iter().map(|(own, _)| own.as_str()), wanted);
        languages.into_iter().find_map(find).or_else(|| find("en")).unwrap_or_default()
    }

    /// The text with that number.
    #[must_use]
    pub fn text(&self, number: usize) -> &str {
        self.0.get(number).map_or(BUILT_IN[0].1, |(_, text)| text)
    }
}

/// What comes through although its room or sender is muted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MuteYieldsTo {
    /// Nothing.
    Nobody,
    /// Messages that call the client by name.
    Mention,
    /// Those, and messages that call everybody.
    #[default]
    MentionAndAll,
}

impl MuteYieldsTo {
    /// Whether a message comes through to who muted it: one that calls them by `name`, or `everybody`.
    #[must_use]
    pub const fn lets(self, name: bool, everybody: bool) -> bool {
        match self {
            Self::Nobody => false,
            Self::Mention => name,
            Self::MentionAndAll => name || everybody,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn the_app_s_texts_go_before_those_built_in() {
        let texts: HiddenTexts =
            serde_json::from_value(json!({"EN": "New message", "de-AT": "Neue Nachricht"})).unwrap();
        assert_eq!(texts.count(), 3);
        let read = |languages: &[&str]| texts.text(texts.pick(languages.iter().copied()));
        assert_eq!(read(&["en-GB"]), "New message");
        assert_eq!(read(&["de"]), "Neue Nachricht");
        assert_eq!(read(&["zh-TW"]), "您有一条新消息");
        assert_eq!(read(&["fr", "de"]), "Neue Nachricht");
        assert_eq!(read(&["fr"]), "New message");
        assert_eq!(HiddenTexts::default().text(HiddenTexts::default().pick([])), "You have a new message");
    }

    #[test]
    fn an_empty_or_endless_text_is_no_setting() {
        for wrong in [json!({"en": ""}), json!({"": "x"}), json!({"en": "x".repeat(257)})] {
            assert!(serde_json::from_value::<HiddenTexts>(wrong).is_err());
        }
    }

    #[test]
    fn what_a_mute_yields_to_is_the_app_s_to_say() {
        for (setting, expected) in [
            (MuteYieldsTo::Nobody, [false, false, false]),
            (MuteYieldsTo::Mention, [false, true, false]),
            (MuteYieldsTo::MentionAndAll, [false, true, true]),
        ] {
            let lets = [(false, false), (true, false), (false, true)].map(|(name, all)| setting.lets(name, all));
            assert_eq!(lets, expected);
        }
    }
}
