//! The one envelope of every answer.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use serde::Serialize;

use crate::call;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<'a> {
    action_status: &'a str,
    error_info: &'a str,
    error_code: u8,
}

/// The callback is taken, or is none of ours. To a callback that asks whether something may go on, it says that it may.
#[must_use]
pub fn ok() -> Response<Body> {
    call::json(StatusCode::OK, &Envelope { action_status: "OK", error_info: "", error_code: 0 })
}

/// The callback is not taken. `reason` is for people.
#[must_use]
pub fn failure(status: StatusCode, reason: &str) -> Response<Body> {
    call::json(status, &Envelope { action_status: "FAILURE", error_info: reason, error_code: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_page_s_word_for_word() {
        let text = r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}"#;
        assert_eq!(ok().body(), &Body::Text(text.to_owned()));
        let text = r#"{"ActionStatus":"FAILURE","ErrorInfo":"why","ErrorCode":1}"#;
        let failure = failure(StatusCode::UNAUTHORIZED, "why");
        assert_eq!((failure.status(), failure.body()), (StatusCode::UNAUTHORIZED, &Body::Text(text.to_owned())));
    }
}
