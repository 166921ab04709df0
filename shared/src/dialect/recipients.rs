//! A callback's list of recipients (`pushToClients`, `userIDList`): who is to be told, without what cannot be told.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::id::{ClientId, IdError};

/// The most skipped entries that an answer names. All of them are counted.
pub const MOST_NAMED: usize = 20;

/// The most bytes of a skipped entry that an answer repeats.
const MOST_REPEATED: usize = 64;

/// An entry of a list that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its place in the list, counted from 0.
    pub index: usize,
    /// The entry itself, when it is short and printable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The rule that it breaks.
    pub reason: String,
}

/// Who is to be told, and who of the list is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Distinct, in the order of the list, without the sender.
    pub clients: Vec<ClientId>,
    /// The rest of the list.
    pub left_out: LeftOut,
}

/// What of a list tells nobody. It stands in answers as it is, where there is any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Entries that repeat an earlier one.
    #[serde(skip_serializing_if = "is_zero")]
    pub duplicates: usize,
    /// The first [`MOST_NAMED`] entries that name nobody who can be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// All such entries.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped_count: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl Recipients {
    /// Sorts the entries of `list`. A bad entry never fails the others: no server sends a callback twice.
    /// `sender` is left out.
    pub(super) fn sort(list: &[&RawValue], sender: Option<&str>) -> Self {
        Self::sort_texts(list.iter().map(text), sender)
    }

    /// The same of entries as texts; `None` for one that is none.
    pub(super) fn sort_texts<'a>(
        list: impl ExactSizeIterator<Item = Option<Cow<'a, str>>>,
        sender: Option<&str>,
    ) -> Self {
        let mut sorted = Self::default();
        let mut seen = HashSet::with_capacity(list.len());
        for (index, entry) in list.enumerate() {
            let Some(text) = entry else {
                sorted.left_out.skip(index, None, "is not a string".to_owned());
                continue;
            };
            match ClientId::parse(text.as_ref()) {
                Err(error) => sorted.left_out.skip(index, repeatable(&text, error), error.to_string()),
                Ok(client) => {
                    let own = sender == Some(text.as_ref());
                    if !seen.insert(text) {
                        sorted.left_out.duplicates += 1;
                    } else if !own {
                        sorted.clients.push(client);
                    }
                }
            }
        }
        sorted
    }
}

impl LeftOut {
    pub(super) fn skip(&mut self, index: usize, value: Option<String>, reason: String) {
        self.skipped_count += 1;
        if self.skipped.len() < MOST_NAMED {
            self.skipped.push(Skipped { index, value, reason });
        }
    }
}

pub(super) fn repeatable(text: &str, error: IdError) -> Option<String> {
    let printable = match error {
        IdError::Empty => true,
        IdError::TooLong(_) | IdError::Character => !text.chars().any(char::is_control),
    };
    (printable && text.len() <= MOST_REPEATED).then(|| text.to_owned())
}

/// The text of a JSON string, borrowed when it has no escapes; `None` for anything else, and for a string that is no text (half a
/// surrogate pair).
pub(super) fn text<'a>(value: &&'a RawValue) -> Option<Cow<'a, str>> {
    let json: &'a str = value.get();
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') { serde_json::from_str(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inside)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sort(json: &str, sender: Option<&str>) -> Recipients {
        let list: Vec<&RawValue> = serde_json::from_str(json).unwrap();
        Recipients::sort(&list, sender)
    }

    fn names(recipients: &Recipients) -> Vec<&str> {
        recipients.clients.iter().map(ClientId::as_str).collect()
    }

    #[test]
    fn a_bad_entry_is_skipped_and_named_and_the_others_are_told() {
        let long = "x".repeat(257);
        let json = format!(r#"["aaa", "", 7, null, "b\nb", "{long}", {{"_id": "ccc"}}, "bbb"]"#);
        let recipients = sort(&json, None);
        assert_eq!(names(&recipients), ["aaa", "bbb"]);
        assert_eq!(recipients.left_out.skipped_count, 6);
        let reasons: Vec<(usize, Option<&str>, &str)> = recipients
            .left_out
            .skipped
            .iter()
            .map(|skipped| (skipped.index, skipped.value.as_deref(), skipped.reason.as_str()))
            .collect();
        assert_eq!(
            reasons,
            [
                (1, Some(""), "is empty"),
                (2, None, "is not a string"),
                (3, None, "is not a string"),
                (4, None, "holds a character that is not allowed"),
                (5, None, "is longer than 256 bytes"),
                (6, None, "is not a string"),
            ]
        );
    }

    #[test]
    fn at_most_twenty_skipped_entries_are_named_and_all_are_counted() {
        let recipients = sort(&format!("[{}]", vec!["0"; 500].join(",")), None);
        assert_eq!((recipients.left_out.skipped.len(), recipients.left_out.skipped_count), (MOST_NAMED, 500));
    }

    #[test]
    fn a_repeat_is_dropped_however_it_is_spelt() {
        let recipients = sort(r#"["aaa", "bbb", "\u0061aa", "aaa"]"#, None);
        assert_eq!(names(&recipients), ["aaa", "bbb"]);
        assert_eq!((recipients.left_out.duplicates, recipients.left_out.skipped_count), (2, 0));
    }

    #[test]
    fn the_sender_is_not_told() {
        assert_eq!(names(&sort(r#"["aaa", "sss", "sss"]"#, Some("sss"))), ["aaa"]);
    }

    #[test]
    fn half_a_surrogate_pair_is_no_name() {
        assert_eq!(sort(r#"["\ud800"]"#, None).left_out.skipped_count, 1);
    }
}
