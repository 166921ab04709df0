//! The number of a try. Result rows are named by it, so no two tries of a chunk may ever bear the same one.

use serde::{Deserialize, Serialize};

use crate::app::RetrySettings;

/// Tries of one life; a replay from the dead-letter queue begins another.
const LIFE: u64 = RetrySettings::MOST_ATTEMPTS as u64;

/// The number of a try of a chunk.
///
/// A chunk's tries are 0, 1, 2 and so on, up to 199. What one of them gives up may be replayed, with 200 tries again. Their numbers are
/// those of a tree in which every try has 200 below it: the replay of what try `a` gave up begins at `200 (a + 1)`. So a leftover's try
/// and a replay's never meet, whatever is given up when. Six replays in a row are told apart; after them, numbers stay where they are
/// and a seventh finds the row of the sixth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(u64);

impl Attempt {
    /// The first try.
    pub const FIRST: Self = Self(0);
    /// JSON numbers are exact below 2^53.
    const LAST: u64 = (1 << 53) - 1;

    /// The try of that number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether nothing was tried before.
    #[must_use]
    pub const fn is_first(self) -> bool {
        self.0 == 0
    }

    /// How many tries came before it in its life.
    #[must_use]
    pub fn tries(self) -> u32 {
        u32::try_from(self.0 % LIFE).unwrap_or(u32::MAX)
    }

    /// The try of what this one leaves over.
    #[must_use]
    pub fn next(self) -> Self {
        Self((self.0 + 1).min(Self::LAST))
    }

    /// The first try of a replay of what this one gives up.
    #[must_use]
    pub fn replay(self) -> Self {
        match self.0.checked_add(1).and_then(|after| after.checked_mul(LIFE)) {
            Some(number) if number <= Self::LAST => Self(number),
            Some(_) | None => self,
        }
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_tries_have_the_same_number() {
        let mut seen = HashSet::new();
        let mut lives = vec![Attempt::FIRST];
        for depth in 0..3 {
            let mut replays = Vec::new();
            for first in lives {
                let mut attempt = first;
                for tries in 0..200 {
                    assert_eq!(attempt.tries(), tries);
                    assert!(seen.insert(attempt), "{attempt} at depth {depth}");
                    // Every try of the first lives, some of the later ones.
                    if depth == 0 || tries % 67 == 0 {
                        replays.push(attempt.replay());
                    }
                    attempt = attempt.next();
                }
            }
            lives = replays;
        }
    }

    #[test]
    fn numbers_stay_exact_in_json() {
        let mut attempt = Attempt::FIRST;
        for _ in 0..6 {
            let replay = attempt.replay();
            assert!(replay > attempt);
            attempt = replay;
        }
        assert_eq!(attempt.replay(), attempt);
        assert!(attempt.get() < 1 << 53);
    }
}
