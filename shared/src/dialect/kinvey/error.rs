//! Kinvey's error dictionary: `{"error": name, "description": text, "debug": text}`, each name with its HTTP status.
//!
//! Names and statuses are those that Kinvey publishes (its troubleshooting guide) and its SDKs know; the SDKs read the name.

use std::borrow::Cow;

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use serde_json::json;

use crate::call;

/// The names that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value outside of what is allowed.
    ParameterValueOutOfRange,
    /// The body is not JSON.
    JsonParseError,
    /// A header that must be there is not.
    MissingRequestHeader,
    /// There is no body.
    IncompleteRequestBody,
    /// A field that must be there is not.
    MissingRequestParameter,
    /// Anything else that is wrong with a request.
    BadRequest,
    /// Wrong secret, password or token.
    InvalidCredentials,
    /// Good credentials that may not do this.
    InsufficientCredentials,
    /// The app is not set up for this.
    MissingConfiguration,
    /// No such app.
    AppNotFound,
    /// No such thing in the app.
    EntityNotFound,
    /// Not with this method.
    MethodNotAllowed,
    /// Our trouble; the same call may work later.
    KinveyInternalErrorRetry,
}

impl Kind {
    /// Every name, with its status and what it means.
    pub const ALL: [(Self, &'static str, StatusCode, &'static str); 13] = [
        (
            Self::ParameterValueOutOfRange,
            "ParameterValueOutOfRange",
            StatusCode::BAD_REQUEST,
            "A parameter has a value that is not allowed.",
        ),
        (Self::JsonParseError, "JSONParseError", StatusCode::BAD_REQUEST, "The body is not valid JSON."),
        (
            Self::MissingRequestHeader,
            "MissingRequestHeader",
            StatusCode::BAD_REQUEST,
            "A header that this call needs is missing.",
        ),
        (
            Self::IncompleteRequestBody,
            "IncompleteRequestBody",
            StatusCode::BAD_REQUEST,
            "The body is missing or not complete.",
        ),
        (
            Self::MissingRequestParameter,
            "MissingRequestParameter",
            StatusCode::BAD_REQUEST,
            "A parameter that this call needs is missing.",
        ),
        (Self::BadRequest, "BadRequest", StatusCode::BAD_REQUEST, "The request cannot be understood."),
        (Self::InvalidCredentials, "InvalidCredentials", StatusCode::UNAUTHORIZED, "The credentials are not valid."),
        (
            Self::InsufficientCredentials,
            "InsufficientCredentials",
            StatusCode::UNAUTHORIZED,
            "The credentials are valid and do not allow this call.",
        ),
        (
            Self::MissingConfiguration,
            "MissingConfiguration",
            StatusCode::FORBIDDEN,
            "The app is not configured for this call.",
        ),
        (Self::AppNotFound, "AppNotFound", StatusCode::NOT_FOUND, "There is no app with this key."),
        (Self::EntityNotFound, "EntityNotFound", StatusCode::NOT_FOUND, "There is nothing with this id in the app."),
        (
            Self::MethodNotAllowed,
            "MethodNotAllowed",
            StatusCode::METHOD_NOT_ALLOWED,
            "This address does not take this method.",
        ),
        // Kinvey's SDKs go by the name. 503 is what proxies and other clients understand as "later".
        (
            Self::KinveyInternalErrorRetry,
            "KinveyInternalErrorRetry",
            StatusCode::SERVICE_UNAVAILABLE,
            "The service is in trouble. Please make the call again.",
        ),
    ];

    fn row(self) -> (&'static str, StatusCode, &'static str) {
        let (_, name, status, description) = Self::ALL[self as usize];
        (name, status, description)
    }
}

/// A call that is refused, in Kinvey's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{debug}")]
pub struct Failure {
    kind: Kind,
    debug: Cow<'static, str>,
}

impl Failure {
    /// A failure. `debug` names the field and the rule, never a value.
    #[must_use]
    pub fn new(kind: Kind, debug: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, debug: debug.into() }
    }

    /// Its name.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The answer.
    #[must_use]
    pub fn response(&self) -> Response<Body> {
        let (name, status, description) = self.kind.row();
        let body = json!({"error": name, "description": description, "debug": self.debug});
        let mut response = call::json(status, &body);
        if self.kind == Kind::KinveyInternalErrorRetry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// The answer to a method that an address does not take.
#[must_use]
pub fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = Failure::new(Kind::MethodNotAllowed, format!("this address takes {allowed}")).response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_name_has_its_row() {
        for (index, (kind, ..)) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }

    #[test]
    fn an_error_is_kinvey_s_dictionary_with_its_status() {
        let response = Failure::new(Kind::JsonParseError, "line 1, column 2").response();
        assert_eq!(response.status(), 400);
        let Body::Text(text) = response.body() else { unreachable!("a JSON body is a text") };
        let body: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(body["error"], "JSONParseError");
        assert_eq!(body["debug"], "line 1, column 2");
        assert!(body["description"].is_string());
    }

    #[test]
    fn a_wrong_method_is_told_the_right_one() {
        let response = method_not_allowed("POST");
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[header::ALLOW], "POST");
    }
}
