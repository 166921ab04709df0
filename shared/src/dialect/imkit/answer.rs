//! The answer to a callback that was taken: `{"task_id": 123, "accepted": 48}`, and what was left out. IMKIT reads its status
//! only; people read the rest.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use serde::Serialize;

use super::callback::Ignored;
use crate::call;
use crate::dialect::recipients::LeftOut;
use crate::id::TaskId;

#[derive(Serialize)]
struct Answer<'a> {
    task_id: Option<TaskId>,
    accepted: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<&'static str>,
    #[serde(flatten)]
    left_out: Option<&'a LeftOut>,
}

/// The answer to a callback of which `accepted` recipients were taken under `task`; without one when nobody was left to tell.
#[must_use]
pub fn taken(task: Option<TaskId>, accepted: usize, left_out: &LeftOut) -> Response<Body> {
    call::json(StatusCode::OK, &Answer { task_id: task, accepted, ignored: None, left_out: Some(left_out) })
}

/// The answer to a callback that is not delivered.
#[must_use]
pub fn ignored(why: Ignored) -> Response<Body> {
    call::json(StatusCode::OK, &Answer { task_id: None, accepted: 0, ignored: Some(why.as_str()), left_out: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::wildcard_enum_match_arm)]
    use super::*;
    use crate::app::ImkitVersion;

    fn text(response: &Response<Body>) -> &str {
        assert_eq!(response.status(), StatusCode::OK);
        match response.body() {
            Body::Text(text) => text,
            _ => "",
        }
    }

    #[test]
    fn the_task_is_a_number_and_what_was_left_out_is_named() {
        let left_out = LeftOut {
            skipped: vec![crate::dialect::recipients::Skipped {
                index: 1,
                value: Some(String::new()),
                reason: "is empty".to_owned(),
            }],
            skipped_count: 1,
            duplicates: 2,
        };
        assert_eq!(
            text(&taken(TaskId::from_number(123), 1, &left_out)),
            r#"{"task_id":123,"accepted":1,"duplicates":2,"skipped":[{"index":1,"value":"","reason":"is empty"}],"skipped_count":1}"#
        );
    }

    #[test]
    fn an_empty_list_is_answered_without_a_task() {
        assert_eq!(text(&taken(None, 0, &LeftOut::default())), r#"{"task_id":null,"accepted":0}"#);
    }

    #[test]
    fn the_other_callback_is_answered_as_ignored() {
        assert_eq!(
            text(&ignored(Ignored::Version(ImkitVersion::V1))),
            r#"{"task_id":null,"accepted":0,"ignored":"v1"}"#
        );
    }
}
