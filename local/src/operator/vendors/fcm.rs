//! FCM's dry run: an access token by the service account, then a send that is only looked at, to a token that cannot be one.
//! Sources: developers.google.com, "Using OAuth 2.0 for Server to Server Applications"; firebase.google.com, `projects.messages` and
//! `ErrorCode`; cloud.google.com, `google.rpc.ErrorInfo` and its reasons.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use pushbell::app::FcmVendor;
use pushbell::delivery::http2::Address;
use pushbell::delivery::oauth;
use pushbell::time::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::Said;
use crate::operator::http::{CallError, Http};

/// Why Google does not take a service account, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FcmTrouble {
    /// The private key cannot sign.
    #[error(
        "private_key of the key file is no RSA key in PEM; download a key file anew (Firebase, Project settings, Service accounts) and put it in whole"
    )]
    Key,
    /// `token_uri` is no address.
    #[error("token_uri of the key file is no address; put the key file in as Google gives it")]
    TokenAddress,
    /// `endpoint` and `project_id` make no address.
    #[error(
        "fcm.endpoint, or project_id of the key file, makes no address; leave fcm.endpoint out, and put the key file in as Google gives it"
    )]
    Address,
    /// `Invalid JWT Signature`.
    #[error(
        "Google does not know the key (Invalid JWT Signature): it was deleted, or it is another account's; download a key file anew and put it in whole"
    )]
    UnknownKey,
    /// `account not found`, or disabled.
    #[error(
        "Google does not know the service account, or has it disabled; enable it (IAM, Service accounts), or make a key file of another one"
    )]
    UnknownAccount,
    /// Not within `a reasonable timeframe`.
    #[error("Google takes what was signed now for too old or too new; set this machine's clock")]
    Clock,
    /// Another refusal of the token service's.
    #[error(
        "Google gives no access token ({0}); download a key file anew, and see what the organisation's policies say of service accounts"
    )]
    TokenRefused(Said),
    /// The token service says 200, and there is no token.
    #[error("what answers at token_uri is no token service; put the key file in as Google gives it")]
    NoToken,
    /// 401: the fresh access token is none to FCM.
    #[error("FCM does not take Google's own access token; leave fcm.endpoint out, and try again")]
    Unauthenticated,
    /// 403 with `SERVICE_DISABLED`.
    #[error(
        "the project has FCM's API off; enable \"Firebase Cloud Messaging API\" (Google Cloud, APIs & Services), and wait some minutes"
    )]
    ApiDisabled,
    /// 403 with `CONSUMER_INVALID`, or a 404 that is not about the token.
    #[error(
        "Google does not know the project, or it was deleted; put in the key file of the app's own Firebase project, as Google gives it"
    )]
    UnknownProject,
    /// 403 `PERMISSION_DENIED` for any other reason.
    #[error(
        "the service account may not send in the project: either it lacks the permission cloudmessaging.messages.create (give it the role Firebase Cloud Messaging API Admin), or project_id is not its own; put the key file in as Google gives it"
    )]
    Denied,
    /// 403 `SENDER_ID_MISMATCH`.
    #[error(
        "the key file is of another Firebase project than the app's; take the one whose google-services.json the app was built with"
    )]
    OtherProject,
    /// 429, of either.
    #[error("Google was asked too often; try again in some minutes")]
    Throttled,
    /// 5xx, of either.
    #[error("{0} is out of order at the moment ({1}); try again later")]
    Busy(Service, Said),
    /// No answer.
    #[error("{0}; see that this machine may reach it")]
    Unreachable(#[from] CallError),
    /// Whatever else FCM says.
    #[error(
        "FCM answers {0}, for no reason that is known here; look it up under \"FCM error codes\" in Firebase's documentation"
    )]
    Unrecognised(Said),
}

impl FcmTrouble {
    /// Whether it passes by itself. Of the credentials nothing is known then.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Throttled | Self::Busy(..) | Self::Unreachable(_) => true,
            Self::Key
            | Self::TokenAddress
            | Self::Address
            | Self::UnknownKey
            | Self::UnknownAccount
            | Self::Clock
            | Self::TokenRefused(_)
            | Self::NoToken
            | Self::Unauthenticated
            | Self::ApiDisabled
            | Self::UnknownProject
            | Self::Denied
            | Self::OtherProject
            | Self::Unrecognised(_) => false,
        }
    }
}

/// Which of Google's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// At `token_uri`.
    Tokens,
    /// At `endpoint`.
    Fcm,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokens => "Google's token service",
            Self::Fcm => "FCM",
        })
    }
}

/// No registration token has a space in it.
const NO_TOKEN: &str = "a dry run";

#[derive(Deserialize)]
struct Granted<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Denied<'a> {
    #[serde(borrow)]
    error: Cow<'a, str>,
    #[serde(borrow)]
    error_description: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    error: Failure<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    details: Vec<Detail<'a>>,
}

/// One of FCM's own errors, of `google.rpc.ErrorInfo` or of `google.rpc.BadRequest`, by the fields that it has.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(borrow)]
    error_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    field_violations: Vec<Violation<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Violation<'a> {
    #[serde(borrow)]
    field: Cow<'a, str>,
}

impl Failure<'_> {
    /// FCM's own code, which wins over the status.
    fn code(&self) -> &str {
        self.details.iter().find_map(|detail| detail.error_code.as_deref()).unwrap_or(&self.status)
    }

    fn reason(&self) -> &str {
        self.details.iter().find_map(|detail| detail.reason.as_deref()).unwrap_or_default()
    }

    /// As `deliver` tells it: by the field, and by the text where no field is named.
    fn is_about_the_token(&self) -> bool {
        let mut violations = self.details.iter().flat_map(|detail| &detail.field_violations).peekable();
        if violations.peek().is_some() {
            violations.any(|violation| violation.field == "message.token")
        } else {
            self.message.contains("registration token")
        }
    }
}

/// Tries a service account. Nobody is sent to.
///
/// # Errors
/// When Google does not take it, or does not answer.
pub async fn fcm(http: &Http, vendor: &FcmVendor, now: Timestamp) -> Result<(), FcmTrouble> {
    let account = &vendor.service_account;
    let form = oauth::token_request(account, now).map_err(|_| FcmTrouble::Key)?;
    Address::parse(&account.token_uri).map_err(|_| FcmTrouble::TokenAddress)?;
    let url = format!("{}/v1/projects/{}/messages:send", vendor.endpoint.trim_end_matches('/'), account.project_id);
    Address::parse(&url).map_err(|_| FcmTrouble::Address)?;
    let request = Request::post(&account.token_uri)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(form)))
        .map_err(|_| FcmTrouble::TokenAddress)?;
    let answer = http.send(request).await?;
    let bearer = bearer(answer.status, &answer.body)?;
    let send = json!({ "validate_only": true, "message": { "token": NO_TOKEN } });
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, bearer)
        .body(Full::new(Bytes::from(send.to_string())))
        .map_err(|_| FcmTrouble::Address)?;
    let answer = http.send(request).await?;
    sent(answer.status, &answer.body)
}

/// The access token as a header's value.
fn bearer(status: StatusCode, body: &[u8]) -> Result<HeaderValue, FcmTrouble> {
    if status == StatusCode::OK {
        let granted: Granted<'_> = serde_json::from_slice(body).map_err(|_| FcmTrouble::NoToken)?;
        let value = HeaderValue::try_from(format!("Bearer {}", granted.access_token));
        return value.map_err(|_| FcmTrouble::NoToken);
    }
    let denied = serde_json::from_slice::<Denied<'_>>(body).unwrap_or_default();
    let (code, text) = (denied.error.as_ref(), denied.error_description.as_ref());
    let said = Said::new(status, code);
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(FcmTrouble::Throttled);
    }
    if status.is_server_error() {
        return Err(FcmTrouble::Busy(Service::Tokens, said));
    }
    // Google has one code for all of these; only its text tells them apart.
    let gone = ["account not found", "deleted or disabled"].iter().any(|gone| text.contains(gone));
    Err(if text.contains("Invalid JWT Signature") {
        FcmTrouble::UnknownKey
    } else if gone || matches!(code, "deleted_client" | "disabled_client") {
        FcmTrouble::UnknownAccount
    } else if text.contains("reasonable timeframe") {
        FcmTrouble::Clock
    } else {
        FcmTrouble::TokenRefused(said)
    })
}

fn sent(status: StatusCode, body: &[u8]) -> Result<(), FcmTrouble> {
    let failure = serde_json::from_slice::<Body<'_>>(body).unwrap_or_default().error;
    let (code, reason) = (failure.code(), failure.reason());
    let said = Said::new(status, code);
    match (status.as_u16(), code) {
        (200, _) | (404, "UNREGISTERED") => Ok(()),
        (400, "INVALID_ARGUMENT") if failure.is_about_the_token() => Ok(()),
        (401, "UNAUTHENTICATED" | "") => Err(FcmTrouble::Unauthenticated),
        (403, "SENDER_ID_MISMATCH") => Err(FcmTrouble::OtherProject),
        (403, "PERMISSION_DENIED") => Err(match reason {
            "SERVICE_DISABLED" => FcmTrouble::ApiDisabled,
            "CONSUMER_INVALID" => FcmTrouble::UnknownProject,
            _ => FcmTrouble::Denied,
        }),
        (404, "NOT_FOUND") => Err(FcmTrouble::UnknownProject),
        (429, _) => Err(FcmTrouble::Throttled),
        (500..=599, _) => Err(FcmTrouble::Busy(Service::Fcm, said)),
        _ => Err(FcmTrouble::Unrecognised(said)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn told<T>(result: Result<T, FcmTrouble>) -> String {
        result.map_or_else(|trouble| trouble.to_string(), |_| "accepted".to_owned())
    }

    fn status(status: u16) -> StatusCode {
        StatusCode::from_u16(status).unwrap_or_default()
    }

    #[test]
    fn the_token_service_s_answers_are_told_apart_by_google_s_texts() {
        for (http, code, text, says) in [
            (400, "invalid_grant", "Invalid JWT Signature.", "it was deleted, or it is another account's"),
            (400, "invalid_grant", "Invalid grant: account not found", "does not know the service account"),
            (401, "deleted_client", "The OAuth client was deleted.", "does not know the service account"),
            (401, "disabled_client", "The OAuth client was disabled.", "does not know the service account"),
            (
                400,
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
                "set this machine's clock",
            ),
            (400, "invalid_scope", "x", "no access token (400 Bad Request, invalid_scope); download"),
            (403, "access_denied", "x", "the organisation's policies"),
            (404, "a sentence with spaces", "x", "no access token (404 Not Found); download"),
            (429, "rate_limit_exceeded", "x", "too often"),
            (503, "temporarily_unavailable", "x", "Google's token service is out of order"),
        ] {
            let body = json!({ "error": code, "error_description": text }).to_string();
            let told = told(bearer(status(http), body.as_bytes()));
            assert!(told.contains(says), "{told}");
        }
        for body in ["<html>", "{}", r#"{"access_token": "a\nb"}"#] {
            assert!(told(bearer(status(200), body.as_bytes())).contains("no token service"), "{body}");
        }
    }

    #[test]
    fn only_what_is_busy_passes_by_itself() {
        for (http, passes) in
            [(400, false), (401, false), (403, false), (404, false), (429, true), (500, true), (503, true)]
        {
            let of = |trouble: Option<FcmTrouble>| trouble.map(|trouble| trouble.is_passing());
            assert_eq!(of(bearer(status(http), b"{}").err()), Some(passes), "{http}");
            assert_eq!(of(sent(status(http), b"{}").err()), Some(passes), "{http}");
        }
    }

    #[test]
    fn fcm_s_answers_are_told_apart_by_code_and_reason() {
        let failure = |status: &str, message: &str, details: Value| {
            json!({"error": {"code": 0, "message": message, "status": status, "details": details}}).to_string()
        };
        let code =
            |code: &str| json!([{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]);
        let info = |reason: &str| json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]);
        let field = |field: &str| json!([{"fieldViolations": [{"field": field, "description": "x"}]}]);
        let token = "The registration token is not a valid FCM registration token";
        for (http, body, says) in [
            (200, "{}".to_owned(), "accepted"),
            (400, failure("INVALID_ARGUMENT", token, code("INVALID_ARGUMENT")), "accepted"),
            (400, failure("INVALID_ARGUMENT", "x", field("message.token")), "accepted"),
            (404, failure("NOT_FOUND", "x", code("UNREGISTERED")), "accepted"),
            (
                400,
                failure("INVALID_ARGUMENT", token, field("message.data")),
                "answers 400 Bad Request, INVALID_ARGUMENT",
            ),
            (400, failure("INVALID_ARGUMENT", "x", json!([])), "answers 400 Bad Request, INVALID_ARGUMENT"),
            (401, failure("UNAUTHENTICATED", "x", json!([])), "leave fcm.endpoint out"),
            (401, "<html>".to_owned(), "leave fcm.endpoint out"),
            (
                401,
                failure("UNAUTHENTICATED", "x", code("THIRD_PARTY_AUTH_ERROR")),
                "THIRD_PARTY_AUTH_ERROR, for no reason",
            ),
            (
                403,
                failure("PERMISSION_DENIED", "x", info("SERVICE_DISABLED")),
                "enable \"Firebase Cloud Messaging API\"",
            ),
            (403, failure("PERMISSION_DENIED", "x", info("CONSUMER_INVALID")), "does not know the project"),
            (403, failure("PERMISSION_DENIED", "x", info("IAM_PERMISSION_DENIED")), "cloudmessaging.messages.create"),
            (403, failure("PERMISSION_DENIED", "x", json!([])), "cloudmessaging.messages.create"),
            (403, failure("PERMISSION_DENIED", "x", code("SENDER_ID_MISMATCH")), "of another Firebase project"),
            (403, "<html>".to_owned(), "answers 403 Forbidden, for no reason"),
            (404, failure("NOT_FOUND", "x", json!([])), "does not know the project"),
            (404, "<html>".to_owned(), "answers 404 Not Found, for no reason"),
            (429, failure("RESOURCE_EXHAUSTED", "x", code("QUOTA_EXCEEDED")), "too often"),
            (
                503,
                failure("UNAVAILABLE", "x", json!([])),
                "FCM is out of order at the moment (503 Service Unavailable, UNAVAILABLE)",
            ),
        ] {
            let told = told(sent(status(http), body.as_bytes()));
            assert!(told.contains(says), "{body}: {told}");
        }
    }
}
