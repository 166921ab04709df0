//! Turns: rows of one client or one token are written in the file's order, all others at once. So of two rows for one token always the
//! first gets it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use pushbell::id::{ClientId, Token};
use tokio::sync::watch;

/// Entries that are kept before those that are over are looked for.
const MANY: usize = 16 * 1024;

/// Who comes last, by what rows have in common.
#[derive(Default)]
pub(super) struct Turns {
    last: HashMap<u64, watch::Receiver<()>>,
}

/// One turn. It is over when this is dropped.
pub(super) struct Turn {
    before: Vec<watch::Receiver<()>>,
    _mine: watch::Sender<()>,
}

impl Turns {
    /// The next turn of everybody of these `keys`.
    pub(super) fn take(&mut self, keys: impl Iterator<Item = u64>) -> Turn {
        if self.last.len() > MANY {
            self.last.retain(|_, turn| turn.has_changed().is_ok());
        }
        let (mine, over) = watch::channel(());
        let before = keys.filter_map(|key| self.last.insert(key, over.clone()));
        // Of one record with the same key twice: nobody waits for themself.
        let before = before.filter(|turn| !turn.same_channel(&over)).collect();
        Turn { before, _mine: mine }
    }
}

impl Turn {
    /// Waits until all turns before it are over.
    pub(super) async fn comes(&mut self) {
        for mut turn in self.before.drain(..) {
            // Nothing is ever sent: it fails when the turn is over.
            let _ = turn.changed().await;
        }
    }
}

/// What rows of one client have in common.
pub(super) fn of_client(client: &ClientId) -> u64 {
    hash(b'c', client.as_str())
}

/// What rows of one token have in common. Apple's have no case.
pub(super) fn of_token(token: &Token) -> u64 {
    hash(b't', &token.expose().to_ascii_lowercase())
}

pub(super) fn hash(kind: u8, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, text).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn a_turn_comes_when_those_of_the_same_keys_are_over() {
        let mut turns = Turns::default();
        let mut first = turns.take([1, 2, 2].into_iter());
        let mut second = turns.take([2, 3].into_iter());
        let mut apart = turns.take([4].into_iter());
        let mut third = turns.take([1, 3].into_iter());
        assert!(first.comes().now_or_never().is_some() && apart.comes().now_or_never().is_some());
        assert!(second.comes().now_or_never().is_none());
        drop(first);
        assert!(third.comes().now_or_never().is_none());
        drop(second);
        assert!(third.comes().now_or_never().is_some());
    }
}
