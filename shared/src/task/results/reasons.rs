//! Reasons, as an attribute of their own that most rows do not have: readers of earlier releases pass it over.

use super::TargetResult;
use crate::task::{Reason, Recount};

pub(super) const ATTRIBUTE: &str = "y";
/// In the place of a fate's letter: its outcome says it all.
const NONE: char = '-';

/// For each recipient with something to tell: its index, a letter for each fate, and one for how it was counted. Separated by commas; the
/// index is digits, everything else is not.
pub(super) fn text_of(results: &[TargetResult]) -> String {
    let mut out = String::new();
    for (index, result) in results.iter().enumerate() {
        let told = result.recount.is_some() || result.fates.iter().any(|fate| fate.reason.is_some());
        if !told {
            continue;
        }
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&index.to_string());
        out.extend(result.fates.iter().map(|fate| fate.reason.map_or(NONE, Reason::letter)));
        out.extend(result.recount.map(Recount::letter));
    }
    out
}

/// Puts them to the fates that they are of. What is not understood is passed over: a newer release may have written it.
pub(super) fn read_into(results: &mut [TargetResult], text: &str) {
    for part in text.split(',') {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let Some((index, letters)) = part.split_at_checked(digits) else { continue };
        let Some(result) = index.parse().ok().and_then(|index: usize| results.get_mut(index)) else { continue };
        for (fate, letter) in result.fates.iter_mut().zip(letters.chars()) {
            fate.reason = Reason::from_letter(letter);
        }
        result.recount =
            [Recount::Repeat, Recount::Late].into_iter().find(|recount| letters.ends_with(recount.letter()));
    }
}
