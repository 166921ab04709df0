//! `/push/task/cancel`. Ours: Lanying's interface takes nothing back.

use serde_json::{Value, json};

use super::body::{self, Fields, bad};
use super::envelope::Failure;
use crate::call::BodyError;
use crate::id::TaskId;
use crate::time::Timestamp;

/// The task of a body.
///
/// # Errors
/// When it is missing or cannot be.
pub fn task(said: Result<&[u8], BodyError>) -> Result<TaskId, Failure> {
    let fields = Fields::parse(said)?;
    let number = fields.given("task_id").ok_or_else(|| bad("task_id is missing"))?;
    let number = body::whole(number).ok_or_else(|| bad("task_id is not a whole number"))?;
    body::task(&number).ok_or_else(no_task)
}

/// The failure of a number that no task of the app has.
#[must_use]
pub fn no_task() -> Failure {
    bad("task_id is no task of this app")
}

/// The answer's data.
#[must_use]
pub fn cancelled(task: TaskId, at: Timestamp) -> Value {
    json!({"task_id": task, "cancelled_at": at})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_task_is_a_number_or_its_digits() {
        let of = |body: &str| task(Ok(body.as_bytes())).map(TaskId::get).map_err(|failure| failure.to_string());
        assert_eq!(of(r#"{"task_id": 7}"#), Ok(7));
        assert_eq!(of(r#"{"task_id": "373000000000007"}"#), Ok(373_000_000_000_007));
        assert_eq!(of("{}"), Err("task_id is missing".to_owned()));
        for wrong in ["7.5", "\"x7\"", "\"+7\"", "\"7 \"", "[7]", "true", "1e30"] {
            let told = of(&format!(r#"{{"task_id": {wrong}}}"#));
            assert_eq!(told, Err("task_id is not a whole number".to_owned()), "{wrong}");
        }
        for none in ["-7", "\"-7\"", "0", "9007199254740992", "\"18446744073709551615\""] {
            let told = of(&format!(r#"{{"task_id": {none}}}"#));
            assert_eq!(told, Err("task_id is no task of this app".to_owned()), "{none}");
        }
        let told = cancelled(TaskId::from_number(7).unwrap(), Timestamp::from_millis(1_767_225_600_000));
        assert_eq!(told, json!({"task_id": 7, "cancelled_at": 1_767_225_600_000_u64}));
    }
}
