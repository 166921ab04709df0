//! IMKIT's envelope: `{"RC":0,"RM":"OK","result":…}`, and for errors `{"RC":401,"RM":"Unauthorized","error":{code,message}}`.

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::call;

/// A call that is refused, in IMKIT's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Failure {
    /// A failure with one of IMKIT's codes, or one of ours where IMKIT has none. `message` names the field and the rule, never a
    /// value.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The answer.
    #[must_use]
    pub fn response(&self) -> Response<Body> {
        let body = json!({
            "RC": self.status.as_u16(),
            "RM": self.status.canonical_reason().unwrap_or_default(),
            "error": {"code": self.code, "message": self.message},
        });
        call::json(self.status, &body)
    }
}

/// The answer to a method that an address does not take.
#[must_use]
pub fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let message = format!("this address takes {allowed}");
    let mut response = Failure::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message).response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The answer to a call that was taken.
#[must_use]
pub fn ok(result: impl Serialize) -> Response<Body> {
    let result = serde_json::to_value(result).unwrap_or(Value::Null);
    call::json(StatusCode::OK, &json!({"RC": 0, "RM": "OK", "result": result}))
}
