//! Stars in place of what was found.

use super::Found;
use super::fold::{Item, continues};

/// What of a folded text was found. Any number of overlapping matches costs a step each.
pub(super) struct Stars {
    /// By item: how many more matches cover it than the one before.
    steps: Vec<i32>,
    /// By item: a match that stands for the rest of the word ends before it.
    on: Vec<bool>,
    /// By item: a match that stands for the word so far begins with it.
    back: Vec<bool>,
}

impl Stars {
    pub(super) fn none(items: usize) -> Self {
        Self { steps: vec![0; items + 1], on: vec![false; items + 1], back: vec![false; items + 1] }
    }

    pub(super) fn add(&mut self, found: &Found) {
        self.steps[found.first] += 1;
        self.steps[found.after] -= 1;
        self.on[found.after] |= !found.ends.right;
        self.back[found.first] |= !found.ends.left;
    }

    /// Which items are covered, and the rest of their words where it is meant.
    fn covered(&self, items: &[Item]) -> Vec<bool> {
        let joined = |at: usize| at > 0 && items[at].joins(&items[at - 1]);
        let (mut depth, mut goes_on) = (0, false);
        let mut covered = Vec::with_capacity(items.len());
        for at in 0..items.len() {
            depth += self.steps[at];
            goes_on = joined(at) && (goes_on || self.on[at]);
            covered.push(depth > 0 || goes_on);
        }
        let mut comes = false;
        for at in (0..items.len()).rev() {
            covered[at] |= comes;
            comes = joined(at) && (comes || self.back[at]);
        }
        covered
    }

    /// `text` with a star for every character of it that something of a match comes from.
    pub(super) fn put(&self, text: &str, items: &[Item]) -> String {
        let mut out = String::with_capacity(text.len());
        let (mut copied, mut starred, mut inside) = (0, None, false);
        for (item, covered) in items.iter().zip(self.covered(items)) {
            if !covered {
                inside = false;
                continue;
            }
            if !std::mem::replace(&mut inside, true) {
                out.push_str(text.get(copied..item.from).unwrap_or_default());
            }
            copied = copied.max(item.to);
            if item.c == ' ' {
                out.extend(text.get(item.from..item.to).unwrap_or_default().chars().filter(|c| c.is_whitespace()));
            } else if !continues(item.c) && starred != Some(item.from) {
                out.push('*');
                starred = Some(item.from);
            }
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        out
    }
}
