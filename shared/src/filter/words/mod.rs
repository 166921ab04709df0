//! Words: a list of them, found in a text in one pass.
//!
//! Text and list are compared folded: without case (full folding: `ß` is `SS`, `ς` is `Σ`), width and composition; what shows nothing is
//! passed over, white space is one space. An entry is a whole word, or with a star at an end goes on there: `word`, `word*`, `*word`,
//! `*word*`. Scripts that write no spaces need none around a word. A character is matched whole: `e` is not in `é`.

mod fold;
mod stars;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

use fold::Folded;
use stars::Stars;

/// Entries of one list.
pub const MOST_ENTRIES: usize = 10_000;
/// Bytes of an entry, stars included.
pub const LONGEST_ENTRY: usize = 128;

/// Why a list is not one. Entries are named by their place and never shown.
#[derive(Debug, thiserror::Error)]
pub enum WordsError {
    /// Over [`MOST_ENTRIES`].
    #[error("more than {MOST_ENTRIES} entries")]
    TooMany,
    /// An entry breaks a rule.
    #[error("entry {place} {rule}")]
    Entry {
        /// Counted from 0.
        place: usize,
        /// The rule.
        #[source]
        rule: EntryError,
    },
    /// The list cannot be compiled.
    #[error("too large to be compiled")]
    TooLarge(#[source] Box<BuildError>),
}

/// Why a text is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Over [`LONGEST_ENTRY`].
    #[error("is longer than {LONGEST_ENTRY} bytes")]
    TooLong,
    /// Nothing is left of it but stars, white space and what shows nothing: it would match everywhere or never.
    #[error("holds nothing that could be found")]
    Empty,
    /// A star stands for more of a word, at its ends.
    #[error("has a star that is not at an end")]
    StarInside,
    /// It begins with an accent or a vowel sign, which belongs to a character that it does not have.
    #[error("begins with a mark that belongs to the character before it")]
    MarkFirst,
}

/// A compiled list of words.
#[derive(Debug, Clone)]
pub struct Words {
    /// `None` without entries.
    automaton: Option<AhoCorasick>,
    /// By pattern.
    ends: Vec<Ends>,
}

/// Whether a word ends where the entry does.
#[derive(Debug, Clone, Copy)]
struct Ends {
    left: bool,
    right: bool,
}

/// A match, as items of the folded text.
struct Found {
    first: usize,
    /// The one after the last.
    after: usize,
    ends: Ends,
}

impl Words {
    /// Compiles the list. An entry that is there twice changes nothing.
    ///
    /// # Errors
    /// When it breaks a rule of [`WordsError`].
    pub fn new<S: AsRef<str>>(entries: &[S]) -> Result<Self, WordsError> {
        if entries.len() > MOST_ENTRIES {
            return Err(WordsError::TooMany);
        }
        let (mut patterns, mut ends) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        for (place, entry) in entries.iter().enumerate() {
            let (pattern, own) = read(entry.as_ref()).map_err(|rule| WordsError::Entry { place, rule })?;
            patterns.push(pattern);
            ends.push(own);
        }
        if patterns.is_empty() {
            return Ok(Self { automaton: None, ends });
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(&patterns)
            .map_err(|error| WordsError::TooLarge(Box::new(error)))?;
        Ok(Self { automaton: Some(automaton), ends })
    }

    /// Whether there is no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// Whether an entry is in `text`.
    #[must_use]
    pub fn find(&self, text: &str) -> bool {
        let Some(automaton) = &self.automaton else { return false };
        self.matches(automaton, &Folded::of(text)).next().is_some()
    }

    /// `text` with a `*` in place of every character that an entry matches, the rest of the word where its star stands for that; white
    /// space in it stays.
    #[must_use]
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(automaton) = &self.automaton else { return Cow::Borrowed(text) };
        let folded = Folded::of(text);
        let mut stars: Option<Stars> = None;
        for found in self.matches(automaton, &folded) {
            stars.get_or_insert_with(|| Stars::none(folded.items.len())).add(&found);
        }
        match stars {
            None => Cow::Borrowed(text),
            Some(stars) => Cow::Owned(stars.put(text, &folded.items)),
        }
    }

    /// The matches that keep to their entries' ends.
    fn matches<'a>(&'a self, automaton: &'a AhoCorasick, folded: &'a Folded) -> impl Iterator<Item = Found> + 'a {
        automaton.find_overlapping_iter(&folded.text).filter_map(|found| {
            let ends = *self.ends.get(found.pattern().as_usize())?;
            let (first, after) = (folded.item_at(found.start()), folded.item_at(found.end()));
            let split = folded.items.get(after).is_some_and(|item| fold::continues(item.c));
            let cut = (ends.left && folded.joins_at(first)) || (ends.right && folded.joins_at(after));
            (!split && !cut).then_some(Found { first, after, ends })
        })
    }
}

/// Whether `entry` may stand in a list.
///
/// # Errors
/// The rule that it breaks.
pub fn check(entry: &str) -> Result<(), EntryError> {
    read(entry).map(|_| ())
}

/// What of an entry is looked for, and where it ends.
fn read(entry: &str) -> Result<(String, Ends), EntryError> {
    if entry.len() > LONGEST_ENTRY {
        return Err(EntryError::TooLong);
    }
    let entry = entry.trim();
    let word = entry.strip_prefix('*').unwrap_or(entry);
    let ends = Ends { left: word.len() == entry.len(), right: !word.ends_with('*') };
    let folded = Folded::of(word.strip_suffix('*').unwrap_or(word));
    let text = folded.text.trim();
    match text.chars().next() {
        None => Err(EntryError::Empty),
        Some(first) if fold::continues(first) => Err(EntryError::MarkFirst),
        Some(_) if text.contains('*') => Err(EntryError::StarInside),
        Some(_) => Ok((text.to_owned(), ends)),
    }
}
