//! What is to be reported to an app's own address: outcomes, by the result rows that hold them.

use serde::{Deserialize, Serialize};

use super::{Attempt, TaskKey};
use crate::id::AppId;
use crate::time::Timestamp;

/// The outcomes of one attempt of a chunk, to be reported: a record of the report queue. They are read from the attempt's result row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reportable {
    /// Whose task.
    pub app: AppId,
    /// Whose chunk.
    pub key: TaskKey,
    /// Which chunk.
    pub seq: u32,
    /// Which attempt.
    pub attempt: Attempt,
    /// The dialect's word: `imkit`, `openim`, `lanying`.
    pub dialect: String,
    /// The caller's id of the message.
    pub message: String,
    /// What the caller named its request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// When the attempt ended.
    pub at: Timestamp,
}
