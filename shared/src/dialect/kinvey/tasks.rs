//! What became of a push, and that it is taken back, by its number. Ours: Kinvey's push module tells nothing of what it sent. IMKIT's callers
//! are told the same.

use serde_json::{Map, Value, json};

use crate::id::TaskId;
use crate::task::{Detail, Outcome};
use crate::time::Timestamp;

/// The task of a path; `None` where it can be none.
#[must_use]
pub fn task(number: &str) -> Option<TaskId> {
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| digits).and_then(TaskId::from_number)
}

/// What became of a task.
#[must_use]
pub fn told(task: TaskId, detail: &Detail) -> Value {
    let sums = &detail.sums;
    let finals = Outcome::ALL.into_iter().filter(|(outcome, ..)| outcome.is_final());
    let had = finals.map(|(outcome, _, word)| (word.to_owned(), sums.of(outcome))).filter(|(_, n)| *n > 0);
    let outcomes: Map<String, Value> = had.map(|(word, n)| (word, json!(n))).collect();
    let mut told = json!({
        "task_id": task,
        "state": detail.state.as_str(),
        "created_at": detail.created_at,
        "done_at": detail.done_at,
        "target": sums.target(),
        "pending": sums.pending(),
        "outcomes": outcomes,
    });
    let missing: Map<String, Value> = sums.missing().map(|(name, n)| (name.to_owned(), json!(n))).collect();
    if !missing.is_empty() {
        told["missing_values"] = Value::Object(missing);
    }
    told
}

/// The answer to a task that is cancelled.
#[must_use]
pub fn cancelled(task: TaskId, at: Timestamp) -> Value {
    json!({"task_id": task, "cancelled_at": at})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_task_by_its_digits() {
        assert_eq!(task("373000000000007").map(TaskId::get), Some(373_000_000_000_007));
        for none in ["", "0", "-7", "+7", "7.0", "x", "9007199254740992", "99999999999999999999"] {
            assert_eq!(task(none), None, "{none}");
        }
    }
}
