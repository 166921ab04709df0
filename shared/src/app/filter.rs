//! What an app keeps from phones, whoever would be told.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use crate::filter::words::{self, MOST_ENTRIES};

/// Denied types.
const MOST_TYPES: usize = 1_000;
/// Blocked senders; groups that never push.
const MOST_IDS: usize = 10_000;
/// Bytes of a type.
const LONGEST_TYPE: usize = 128;
/// Bytes of an id, as of every other.
const LONGEST_ID: usize = 256;

/// What an app keeps from phones: member `filter` of the settings.
///
/// A list that breaks a rule makes the document malformed, at the entry's own line and column: so the document before it goes on
/// serving, and no message ever waits for a list that cannot be compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "FilterForm")]
pub struct FilterSettings {
    pub(crate) denied_types: BTreeSet<String>,
    pub(crate) blocked_senders: BTreeSet<String>,
    pub(crate) block_senders_online: bool,
    pub(crate) never_push_groups: BTreeSet<String>,
    /// A message with one of these is not pushed.
    pub(crate) reject: Vec<String>,
    /// These are shown as stars.
    pub(crate) mask: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FilterForm {
    denied_types: Vec<Name<LONGEST_TYPE>>,
    blocked_senders: Vec<Name<LONGEST_ID>>,
    block_senders_online: bool,
    never_push_groups: Vec<Name<LONGEST_ID>>,
    words: WordsForm,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WordsForm {
    reject: Vec<Entry>,
    mask: Vec<Entry>,
}

/// A type or an id, of up to `LONGEST` bytes: text, or a number, as OpenIM's types are, which is kept as text.
struct Name<const LONGEST: usize>(String);

/// An entry of a list of words.
struct Entry(String);

impl TryFrom<FilterForm> for FilterSettings {
    type Error = String;

    fn try_from(form: FilterForm) -> Result<Self, Self::Error> {
        Ok(Self {
            denied_types: names("denied_types", form.denied_types, MOST_TYPES)?,
            blocked_senders: names("blocked_senders", form.blocked_senders, MOST_IDS)?,
            block_senders_online: form.block_senders_online,
            never_push_groups: names("never_push_groups", form.never_push_groups, MOST_IDS)?,
            reject: entries("words.reject", form.words.reject)?,
            mask: entries("words.mask", form.words.mask)?,
        })
    }
}

fn names<const LONGEST: usize>(
    field: &str,
    names: Vec<Name<LONGEST>>,
    most: usize,
) -> Result<BTreeSet<String>, String> {
    capped(field, names.len(), most)?;
    Ok(names.into_iter().map(|name| name.0).collect())
}

fn entries(field: &str, entries: Vec<Entry>) -> Result<Vec<String>, String> {
    capped(field, entries.len(), MOST_ENTRIES)?;
    Ok(entries.into_iter().map(|entry| entry.0).collect())
}

fn capped(field: &str, entries: usize, most: usize) -> Result<(), String> {
    if entries > most { Err(format!("{field} holds more than {most} entries")) } else { Ok(()) }
}

// Visitors, and no `try_from`: what they refuse, serde_json names by its line and column, and not by the next one's.

impl<'de, const LONGEST: usize> Deserialize<'de> for Name<LONGEST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<const LONGEST: usize>;

        impl<const LONGEST: usize> Visitor<'_> for Read<LONGEST> {
            type Value = Name<LONGEST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a text or a number")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Name(number.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                if text.is_empty() || text.len() > LONGEST {
                    return Err(E::custom(format_args!("not of 1 to {LONGEST} bytes")));
                }
                Ok(Name(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Read::<LONGEST>)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl Visitor<'_> for Read {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a word")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
                words::check(text).map_err(E::custom)?;
                Ok(Entry(text.to_owned()))
            }
        }

        deserializer.deserialize_str(Read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn types_and_ids_are_text_or_numbers_and_kept_as_text() {
        let settings: FilterSettings =
            serde_json::from_value(json!({"denied_types": [113, "typing", "113"], "blocked_senders": [7]})).unwrap();
        assert_eq!(settings.denied_types, BTreeSet::from(["113".to_owned(), "typing".to_owned()]));
        assert_eq!(settings.blocked_senders, BTreeSet::from(["7".to_owned()]));
    }

    #[test]
    fn ids_are_as_long_as_everywhere() {
        let longest = "x".repeat(256);
        assert!(crate::id::ClientId::parse(longest.as_str()).is_ok());
        let lists = json!({"blocked_senders": [longest], "never_push_groups": [longest]});
        assert!(serde_json::from_value::<FilterSettings>(lists).is_ok());
    }

    #[test]
    fn what_breaks_a_rule_is_named_by_its_line_and_column_and_not_shown() {
        let (long, longer) = ("secret".repeat(22), "secret".repeat(43));
        for (list, said) in [
            ("{\"denied_types\": [\n1,\n\"\",\n3]}".to_owned(), "not of 1 to 128 bytes at line 3 column 2"),
            (format!("{{\"denied_types\": [\n\"a\",\n\"{long}\"]}}"), "not of 1 to 128 bytes at line 3 column 134"),
            (
                format!("{{\"blocked_senders\": [\n\"a\",\n\"{longer}\"]}}"),
                "not of 1 to 256 bytes at line 3 column 260",
            ),
            (
                format!("{{\"words\": {{\"reject\": [\"a\",\n\"{long}\",\n\"b\"]}}}}"),
                "is longer than 128 bytes at line 2 column 134",
            ),
            (
                "{\"words\": {\"mask\": [\"a\",\n\"*\",\n\"b\"]}}".to_owned(),
                "holds nothing that could be found at line 2 column 3",
            ),
        ] {
            assert_eq!(serde_json::from_str::<FilterSettings>(&list).unwrap_err().to_string(), said);
        }
        let many: Vec<String> = (0..10_001).map(|n| format!("w{n}")).collect();
        for (list, field) in [
            (json!({"never_push_groups": many}), "never_push_groups"),
            (json!({"blocked_senders": many}), "blocked_senders"),
            (json!({"words": {"mask": many}}), "words.mask"),
        ] {
            let error = serde_json::from_value::<FilterSettings>(list).unwrap_err();
            assert_eq!(error.to_string(), format!("{field} holds more than 10000 entries"));
        }
    }

    #[test]
    fn a_misspelt_member_is_an_error() {
        assert!(serde_json::from_value::<FilterSettings>(json!({"denied_words": []})).is_err());
        assert!(serde_json::from_value::<FilterSettings>(json!({"words": {"rejects": []}})).is_err());
        assert!(serde_json::from_value::<FilterSettings>(json!({"words": {"reject": [7]}})).is_err());
    }
}
