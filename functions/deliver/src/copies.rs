//! Copies of a record in one invocation. A sender that got no answer sends its batch again, so a copy may lie right behind its original,
//! where the two would be worked on at once and neither find the other's result row.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pushbell::message::Message;
use pushbell::task::{Attempt, Chunk, TaskKey};
use tokio::sync::OnceCell;

/// What a result row is named by.
type Name = (TaskKey, u32, Attempt);

/// The attempts that the records of one invocation stand for.
#[derive(Default)]
pub(crate) struct Copies(Mutex<HashMap<Name, Arc<OnceCell<()>>>>);

impl Copies {
    /// Is set once the attempt that `chunk` names is done with: by this record, or by a copy. Whoever sets it keeps the others waiting; when
    /// it fails, the next of them has its turn.
    pub(crate) fn done(&self, chunk: &Chunk<Message>) -> Arc<OnceCell<()>> {
        let name: Name = (chunk.key.clone(), chunk.seq, chunk.attempt);
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default())
    }
}
