//! Lanying's envelope: `{"code", "message", "data"}`. What a caller did wrong is told by the code, and HTTP's status stays 200, as its
//! servers do (its server API's quick start). `message` is null where all is well.

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::call;

/// The codes that we use: Lanying's own, and HTTP's for what HTTP decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A parameter or a header is missing or cannot be.
    BadParameter,
    /// There is no access token.
    NoToken,
    /// The access token is not valid, has ended, or is another app's.
    BadToken,
    /// A good token that may not do this.
    NoPermission,
    /// What was to be bound is another user's. Lanying's table says it of user ids, and has no code of its own for aliases.
    AlreadyBound,
    /// More than 500 in an audience's list.
    TooManyTargets,
    /// The app's settings switch pushes off.
    PushOff,
    /// There is no such app.
    NoApp,
    /// There is nothing at this address.
    NotFound,
    /// Not with this method.
    MethodNotAllowed,
    /// Our trouble; the same call may work later.
    Unavailable,
}

impl Code {
    /// The number in the envelope.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::BadParameter => 10_002,
            Self::NoToken => 10_003,
            Self::BadToken => 10_008,
            Self::NoPermission => 10_010,
            Self::AlreadyBound => 10_011,
            Self::TooManyTargets => 12_005,
            Self::PushOff => 12_006,
            Self::NoApp => 40_000,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Unavailable => 503,
        }
    }

    /// HTTP's status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadParameter
            | Self::NoToken
            | Self::BadToken
            | Self::NoPermission
            | Self::AlreadyBound
            | Self::TooManyTargets
            | Self::PushOff
            | Self::NoApp => StatusCode::OK,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A call that is refused, in Lanying's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    /// A failure. `message` names the parameter and the rule, never a value.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The answer.
    #[must_use]
    pub fn response(&self) -> Response<Body> {
        let body = json!({"code": self.code.number(), "message": self.message, "data": null});
        call::json(self.code.status(), &body)
    }
}

/// The answer to a call that was taken.
#[must_use]
pub fn ok(data: impl Serialize) -> Response<Body> {
    let data = serde_json::to_value(data).unwrap_or(Value::Null);
    call::json(StatusCode::OK, &json!({"code": 200, "message": null, "data": data}))
}

/// The answer to a call that was taken, with a whole list: one without a cursor is the last page, and there are no versions of it.
#[must_use]
pub fn ok_list(data: Value) -> Response<Body> {
    call::json(StatusCode::OK, &json!({"code": 200, "message": null, "data": data, "cursor": null, "version": 0}))
}

/// The answer to a method that an address does not take.
#[must_use]
pub fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = Failure::new(Code::MethodNotAllowed, format!("this address takes {allowed}")).response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn body(response: &Response<Body>) -> Value {
        let Body::Text(text) = response.body() else { unreachable!("a JSON body is a text") };
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_a_caller_did_wrong_is_a_code_under_status_200() {
        let refused = Failure::new(Code::BadParameter, "value is neither true nor false").response();
        assert_eq!(refused.status(), 200);
        let told = json!({"code": 10002, "message": "value is neither true nor false", "data": null});
        assert_eq!(body(&refused), told);
        let trouble = Failure::new(Code::Unavailable, "later").response();
        assert_eq!((trouble.status().as_u16(), &body(&trouble)["code"]), (503, &json!(503)));
    }

    #[test]
    fn what_is_well_has_code_200_and_no_message() {
        assert_eq!(body(&ok(true)), json!({"code": 200, "message": null, "data": true}));
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        let response = method_not_allowed("POST, PUT");
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::ALLOW]),
            (405, &HeaderValue::from_static("POST, PUT"))
        );
    }
}
