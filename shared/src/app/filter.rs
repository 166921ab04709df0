//! What an app keeps from phones, whoever would be told.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::filter::words::Words;

/// Denied types.
const MOST_TYPES: usize = 1_000;
/// Bytes of one.
const LONGEST_TYPE: usize = 64;
/// Blocked senders; groups that never push.
const MOST_IDS: usize = 10_000;
/// Bytes of one.
const LONGEST_ID: usize = 128;

/// What an app keeps from phones: member `filter` of the settings. A list that breaks a rule makes the document malformed, so that the one
/// before it goes on serving, and no message has to wait for a list that cannot be compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "FilterForm")]
pub struct FilterSettings {
    pub(crate) denied_types: BTreeSet<String>,
    pub(crate) blocked_senders: BTreeSet<String>,
    pub(crate) block_senders_online: bool,
    pub(crate) never_push_groups: BTreeSet<String>,
    pub(crate) words: WordSettings,
}

/// Lists of words; [`Words`] says how an entry is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WordSettings {
    /// A message with one of these is not pushed.
    pub(crate) reject: Vec<String>,
    /// These are shown as stars.
    pub(crate) mask: Vec<String>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct FilterForm {
    denied_types: Vec<TypeForm>,
    blocked_senders: BTreeSet<String>,
    block_senders_online: bool,
    never_push_groups: BTreeSet<String>,
    words: WordSettings,
}

/// OpenIM numbers the types of messages, others name them.
#[derive(Deserialize)]
#[serde(untagged)]
enum TypeForm {
    Number(u32),
    Name(String),
}

impl TryFrom<FilterForm> for FilterSettings {
    type Error = String;

    fn try_from(form: FilterForm) -> Result<Self, Self::Error> {
        let denied_types = form.denied_types.into_iter().map(|kind| match kind {
            TypeForm::Number(number) => number.to_string(),
            TypeForm::Name(name) => name,
        });
        let settings = Self {
            denied_types: denied_types.collect(),
            blocked_senders: form.blocked_senders,
            block_senders_online: form.block_senders_online,
            never_push_groups: form.never_push_groups,
            words: form.words,
        };
        bounded("denied_types", &settings.denied_types, MOST_TYPES, LONGEST_TYPE)?;
        bounded("blocked_senders", &settings.blocked_senders, MOST_IDS, LONGEST_ID)?;
        bounded("never_push_groups", &settings.never_push_groups, MOST_IDS, LONGEST_ID)?;
        Words::check(&settings.words.reject).map_err(|error| format!("words.reject: {error}"))?;
        Words::check(&settings.words.mask).map_err(|error| format!("words.mask: {error}"))?;
        Ok(settings)
    }
}

fn bounded(field: &str, values: &BTreeSet<String>, most: usize, longest: usize) -> Result<(), String> {
    if values.len() > most {
        return Err(format!("{field} holds more than {most}"));
    }
    if values.iter().any(|value| value.is_empty() || value.len() > longest) {
        return Err(format!("{field} holds one that is not of 1 to {longest} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_numbers_or_names_and_kept_as_text() {
        let settings: FilterSettings = serde_json::from_value(json!({"denied_types": [113, "typing", "113"]})).unwrap();
        assert_eq!(settings.denied_types, BTreeSet::from(["113".to_owned(), "typing".to_owned()]));
    }

    #[test]
    fn an_error_names_the_list_and_the_rule_and_shows_no_entry() {
        let long = "secret".repeat(22);
        let many: Vec<String> = (0..10_001).map(|n| format!("w{n}")).collect();
        for (list, said) in [
            (json!({"denied_types": [""]}), "denied_types holds one that is not of 1 to 64 bytes"),
            (json!({"blocked_senders": [long]}), "blocked_senders holds one that is not of 1 to 128 bytes"),
            (json!({"never_push_groups": many}), "never_push_groups holds more than 10000"),
            (json!({"words": {"reject": ["a", long]}}), "words.reject: entry 1 is longer than 128 bytes"),
            (json!({"words": {"mask": ["*"]}}), "words.mask: entry 0 holds nothing that could be found"),
            (json!({"words": {"mask": many}}), "words.mask: more than 10000 entries"),
        ] {
            let error = serde_json::from_value::<FilterSettings>(list).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
        assert!(serde_json::from_value::<FilterSettings>(json!({"denied_words": []})).is_err());
        assert!(serde_json::from_value::<FilterSettings>(json!({"words": {"rejects": []}})).is_err());
    }
}
