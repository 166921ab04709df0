//! Words: a list of them, found in a text in one pass.
//!
//! Text and list are compared folded: without case (full folding: `ß` is `SS`, `ς` is `Σ`), width and composition; what shows nothing is
//! passed over, white space is one space. An entry is a whole word, or with a star at an end goes on there: `word`, `word*`, `*word`,
//! `*word*`. Scripts that write no spaces need none around a word. A character is matched whole: `e` is not in `é`.

mod fold;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

use fold::Folded;

/// Entries of one list.
pub const MOST_ENTRIES: usize = 10_000;
/// Bytes of an entry, stars included.
pub const LONGEST_ENTRY: usize = 128;

/// Why a list is not one. Entries are named by their place, counted from 0, and never shown.
#[derive(Debug, thiserror::Error)]
pub enum WordsError {
    /// Over [`MOST_ENTRIES`].
    #[error("more than {MOST_ENTRIES} entries")]
    TooMany,
    /// Over [`LONGEST_ENTRY`].
    #[error("entry {0} is longer than {LONGEST_ENTRY} bytes")]
    TooLong(usize),
    /// Nothing is left of it but stars, white space and what shows nothing: it would match everywhere or never.
    #[error("entry {0} holds nothing that could be found")]
    Empty(usize),
    /// A star stands for more of a word, at its ends.
    #[error("entry {0} has a star that is not at an end")]
    StarInside(usize),
    /// It begins with an accent or a vowel sign, which belongs to a character that it does not have.
    #[error("entry {0} begins with a mark that belongs to the character before it")]
    MarkFirst(usize),
    /// The list cannot be compiled.
    #[error("too large to be compiled")]
    TooLarge(#[source] Box<BuildError>),
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

impl Words {
    /// Compiles the list. An entry that is there twice changes nothing.
    ///
    /// # Errors
    /// When it breaks a rule of [`WordsError`].
    pub fn new<S: AsRef<str>>(entries: &[S]) -> Result<Self, WordsError> {
        let (mut patterns, mut ends) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        read(entries, |text, own| {
            patterns.push(text);
            ends.push(own);
        })?;
        if patterns.is_empty() {
            return Ok(Self { automaton: None, ends });
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(&patterns)
            .map_err(|error| WordsError::TooLarge(Box::new(error)))?;
        Ok(Self { automaton: Some(automaton), ends })
    }

    /// Whether the list would compile, but for its size: without the cost of doing so.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn check<S: AsRef<str>>(entries: &[S]) -> Result<(), WordsError> {
        read(entries, |_, _| ())
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

    /// `text` with a `*` in place of every character that an entry matches; white space in it stays.
    #[must_use]
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(automaton) = &self.automaton else { return Cow::Borrowed(text) };
        let folded = Folded::of(text);
        // Where matches begin and end, so that any number of overlapping ones costs a step each.
        let mut steps: Vec<i32> = Vec::new();
        for (first, after) in self.matches(automaton, &folded) {
            steps.resize(folded.items.len() + 1, 0);
            steps[first] += 1;
            steps[after] -= 1;
        }
        if steps.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(masked(text, &folded, &steps)) }
    }

    /// The matches that keep to their entries' ends, as items of `folded`: the first, and the one after the last.
    fn matches<'a>(
        &'a self,
        automaton: &'a AhoCorasick,
        folded: &'a Folded,
    ) -> impl Iterator<Item = (usize, usize)> + 'a {
        automaton.find_overlapping_iter(&folded.text).filter_map(|found| {
            let ends = self.ends.get(found.pattern().as_usize())?;
            let (first, after) = (folded.item_at(found.start()), folded.item_at(found.end()));
            let joined = |at: usize| {
                let left = at.checked_sub(1).and_then(|left| folded.items.get(left));
                left.zip(folded.items.get(at)).is_some_and(|(left, right)| right.joins(left))
            };
            let split = folded.items.get(after).is_some_and(|item| fold::continues(item.c));
            let cut = split || (ends.left && joined(first)) || (ends.right && joined(after));
            (!cut).then_some((first, after))
        })
    }
}

/// Reads the entries, and says each with its ends.
fn read<S: AsRef<str>>(entries: &[S], mut say: impl FnMut(String, Ends)) -> Result<(), WordsError> {
    if entries.len() > MOST_ENTRIES {
        return Err(WordsError::TooMany);
    }
    for (index, entry) in entries.iter().enumerate() {
        let entry = entry.as_ref();
        if entry.len() > LONGEST_ENTRY {
            return Err(WordsError::TooLong(index));
        }
        let entry = entry.trim();
        let word = entry.strip_prefix('*').unwrap_or(entry);
        let ends = Ends { left: word.len() == entry.len(), right: !word.ends_with('*') };
        let folded = Folded::of(word.strip_suffix('*').unwrap_or(word));
        let text = folded.text.trim();
        match text.chars().next() {
            None => return Err(WordsError::Empty(index)),
            Some(first) if fold::continues(first) => return Err(WordsError::MarkFirst(index)),
            Some(_) if text.contains('*') => return Err(WordsError::StarInside(index)),
            Some(_) => say(text.to_owned(), ends),
        }
    }
    Ok(())
}

/// `text` with a star for each character of the original of which an item is inside a match.
fn masked(text: &str, folded: &Folded, steps: &[i32]) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut depth, mut starred, mut inside) = (0, 0, None, false);
    for (item, step) in folded.items.iter().zip(steps) {
        depth += step;
        if depth == 0 {
            inside = false;
            continue;
        }
        if !std::mem::replace(&mut inside, true) {
            out.push_str(text.get(copied..item.from).unwrap_or_default());
        }
        copied = copied.max(item.to);
        if item.c == ' ' {
            out.extend(text.get(item.from..item.to).unwrap_or_default().chars().filter(|c| c.is_whitespace()));
        } else if !fold::continues(item.c) && starred != Some(item.from) {
            out.push('*');
            starred = Some(item.from);
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}
