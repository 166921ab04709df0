//! Text as it is compared: without case, width, composition and what cannot be seen, with a way back to the text as it was.

use unicode_normalization::char::{
    canonical_combining_class, decompose_canonical, decompose_compatible, is_combining_mark,
};

/// A folded text. Each of its characters knows the part of the original that it comes from.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) text: String,
    pub(super) items: Vec<Item>,
}

/// A character of a folded text. One of the original may become several (`ß`: `ss`), several may become one (a run of white space).
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// Where it begins in the folded text.
    pub(super) at: usize,
    pub(super) c: char,
    /// Where the part of the original begins that it comes from.
    pub(super) from: usize,
    /// Where that part ends.
    pub(super) to: usize,
}

impl Item {
    /// Whether a word goes on between the character on its left and this one.
    pub(super) fn joins(&self, left: &Self) -> bool {
        let word = |c: char| c.is_alphanumeric() || is_combining_mark(c);
        word(left.c) && word(self.c) && !is_unspaced(left.c) && !is_unspaced(self.c)
    }
}

/// Whether `c` belongs to the character before it: an accent, a vowel sign, the rest of a Hangul syllable.
pub(super) fn continues(c: char) -> bool {
    is_combining_mark(c) || matches!(c, '\u{1160}'..='\u{11FF}' | '\u{D7B0}'..='\u{D7FF}')
}

impl Folded {
    /// Compatibility decomposition in canonical order, then case folding, which leaves it decomposed (Unicode 3.13, definition D146).
    /// `char`'s own tables serve: lower, upper, lower case is the full folding of every character, but that `ı` becomes `i`
    /// as well.
    pub(super) fn of(text: &str) -> Self {
        let mut items: Vec<Item> = Vec::with_capacity(text.len());
        for (from, c) in text.char_indices() {
            let to = from + c.len_utf8();
            if c.is_ascii() {
                items.push(Item { at: 0, c, from, to });
            } else if is_modifier(c) {
                if let Some(last) = items.last_mut().filter(|last| last.to == from) {
                    last.to = to;
                }
            } else {
                decompose(c, |c| items.push(Item { at: 0, c, from, to }));
            }
        }
        order(&mut items);
        let mut folded = Self { text: String::with_capacity(text.len()), items: Vec::with_capacity(items.len()) };
        for item in items {
            if item.c.is_ascii() {
                folded.push(Item { c: item.c.to_ascii_lowercase(), ..item });
            } else {
                let cases = item.c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
                cases.for_each(|c| folded.push(Item { c, ..item }));
            }
        }
        folded
    }

    /// Takes the next item. Runs of white space become one space; a dot above `i` goes, with which Turkish capitals are folded.
    fn push(&mut self, mut item: Item) {
        if item.c.is_whitespace() {
            item.c = ' ';
        }
        if let Some(last) =
            self.items.last_mut().filter(|last| matches!((last.c, item.c), (' ', ' ') | ('i', '\u{307}')))
        {
            last.to = last.to.max(item.to);
            return;
        }
        item.at = self.text.len();
        self.text.push(item.c);
        self.items.push(item);
    }

    /// Whether a word goes on between the item before this one and this one.
    pub(super) fn joins_at(&self, item: usize) -> bool {
        let left = item.checked_sub(1).and_then(|left| self.items.get(left));
        left.zip(self.items.get(item)).is_some_and(|(left, right)| right.joins(left))
    }

    /// The item that begins at this place of the folded text, or the number of items at its end.
    pub(super) fn item_at(&self, at: usize) -> usize {
        self.items.partition_point(|item| item.at < at)
    }
}

/// Says the characters that `c` is compared as.
fn decompose(c: char, mut say: impl FnMut(char)) {
    // Letters of the Korean keyboard stay what they are: as parts of syllables, those that are typed alone would join.
    if matches!(c, '\u{3131}'..='\u{318E}') {
        say(c);
        return;
    }
    // Accents that stand alone would become a space and an accent, some ligatures several words.
    let mut spaced = false;
    decompose_compatible(c, |part| spaced |= part == ' ');
    if spaced && !c.is_whitespace() {
        decompose_canonical(c, say);
        return;
    }
    decompose_compatible(c, |part| match part {
        // Phones type these for ', " and - by themselves.
        '\u{2018}' | '\u{2019}' | '\u{2BC}' => say('\''),
        '\u{201C}' | '\u{201D}' => say('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => say('-'),
        part if is_ignorable(part) => {}
        part => say(part),
    });
}

/// Puts marks that stack on one character into their canonical order.
fn order(items: &mut [Item]) {
    for marks in items.chunk_by_mut(|left, right| class(left.c) != 0 && class(right.c) != 0) {
        marks.sort_by_key(|item| class(item.c));
    }
}

fn class(c: char) -> u8 {
    if c.is_ascii() { 0 } else { canonical_combining_class(c) }
}

/// Changes only how the character before it looks: variation selectors, colours of skin.
fn is_modifier(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' | '\u{1F3FB}'..='\u{1F3FF}')
}

/// Shows nothing: the property `Default_Ignorable_Code_Point` of Unicode 17 (soft hyphen, zero-width characters, controls of direction,
/// fillers), without the variation selectors.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFF8}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E00FF}'
            | '\u{E01F0}'..='\u{E0FFF}'
    )
}

/// Of a script that writes no spaces between words, or none before particles: Han, kana, bopomofo, Hangul, Thai, Lao, Khmer, Myanmar.
fn is_unspaced(c: char) -> bool {
    matches!(
        c,
        '\u{E00}'..='\u{EFF}'
            | '\u{1000}'..='\u{109F}'
            | '\u{1100}'..='\u{11FF}'
            | '\u{1780}'..='\u{17FF}'
            | '\u{2E80}'..='\u{2FDF}'
            | '\u{3005}'..='\u{3007}'
            | '\u{3021}'..='\u{302F}'
            | '\u{3031}'..='\u{318F}'
            | '\u{31A0}'..='\u{31BF}'
            | '\u{31F0}'..='\u{31FF}'
            | '\u{3400}'..='\u{4DBF}'
            | '\u{4E00}'..='\u{9FFF}'
            | '\u{A960}'..='\u{A97F}'
            | '\u{A9E0}'..='\u{A9FF}'
            | '\u{AA60}'..='\u{AA7F}'
            | '\u{AC00}'..='\u{D7FF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{1AFF0}'..='\u{1B16F}'
            | '\u{20000}'..='\u{3FFFF}'
    )
}
