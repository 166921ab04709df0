//! What FCM's answers mean.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

use crate::delivery::http2::Answer;
use crate::delivery::{Class, Verdict};

/// A throttled sender without a `Retry-After` waits so long: the quota is refilled every minute.
const MINUTE: Duration = Duration::from_secs(60);

/// The token belongs to another project than the account.
pub(super) const OTHER_PROJECT: &str = "SENDER_ID_MISMATCH";

/// What follows from a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    DeadToken,
    Retry,
    Throttled,
    Unauthorized,
    Misconfigured,
    BadMessage,
    Unrecognised,
}

/// What an `INVALID_ARGUMENT` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// The table's row says it without.
    Anything,
    /// The token: a field violation of `message.token`, or the text about a registration token without any violations.
    Token,
}

/// FCM's `errorCode`, which wins over `status`; `status` where there is none; empty for an answer that is not FCM's JSON (a
/// front end's). Sources: Firebase's reference, `ErrorCode`; firebase-admin-node, `src/utils/error.ts`.
const TABLE: [(u16, &str, About, Then); 16] = [
    (404, "UNREGISTERED", About::Anything, Then::DeadToken),
    (404, "NOT_FOUND", About::Anything, Then::DeadToken),
    (400, "INVALID_ARGUMENT", About::Token, Then::DeadToken),
    (400, "INVALID_ARGUMENT", About::Anything, Then::BadMessage),
    // The token is another project's: dead for this app, if the account is the app's.
    (403, OTHER_PROJECT, About::Anything, Then::DeadToken),
    (403, "PERMISSION_DENIED", About::Anything, Then::Misconfigured),
    (401, "UNAUTHENTICATED", About::Anything, Then::Unauthorized),
    (401, "THIRD_PARTY_AUTH_ERROR", About::Anything, Then::Misconfigured),
    (401, "", About::Anything, Then::Unauthorized),
    (429, "QUOTA_EXCEEDED", About::Anything, Then::Throttled),
    (429, "RESOURCE_EXHAUSTED", About::Anything, Then::Throttled),
    (429, "", About::Anything, Then::Throttled),
    (500, "INTERNAL", About::Anything, Then::Retry),
    (503, "UNAVAILABLE", About::Anything, Then::Retry),
    // A front end's own, on the way to FCM.
    (408, "", About::Anything, Then::Retry),
    (500, "UNSPECIFIED_ERROR", About::Anything, Then::Unrecognised),
];

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

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(borrow, rename = "@type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    error_code: Option<Cow<'a, str>>,
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
    fn code(&self) -> &str {
        let own = self.details.iter().find(|detail| detail.kind.ends_with("google.firebase.fcm.v1.FcmError"));
        own.and_then(|detail| detail.error_code.as_deref()).unwrap_or(&self.status)
    }

    fn about(&self) -> About {
        let mut violations =
            self.details.iter().filter(|detail| detail.kind.ends_with("google.rpc.BadRequest")).peekable();
        let token = if violations.peek().is_some() {
            violations.flat_map(|detail| &detail.field_violations).any(|violation| violation.field == "message.token")
        } else {
            // The one answer of FCM's that only its text tells apart: without a violation, `INVALID_ARGUMENT` is said of a
            // malformed token as well as of a message that is too large, and the latter must not cost a token.
            self.message.contains("registration token")
        };
        if token { About::Token } else { About::Anything }
    }
}

/// The verdict on an answer.
pub(super) fn verdict(answer: &Answer) -> Verdict {
    let http = answer.status.as_u16();
    if http == 200 {
        return Verdict::DELIVERED;
    }
    let body = serde_json::from_slice::<Body<'_>>(&answer.body).unwrap_or_default();
    let (code, about) = (body.error.code(), body.error.about());
    let row = TABLE
        .iter()
        .find(|(status, word, of, _)| *status == http && *word == code && (*of == About::Anything || *of == about));
    let Some((_, word, _, then)) = row else {
        // A front end's 502, a word for 500 that we do not know: it is the vendor's trouble whatever it is called.
        let trouble = (500..=599).contains(&http);
        let class = if trouble { Class::Retry { after: answer.retry_after } } else { Class::Unrecognised };
        return Verdict { class, code: Cow::Owned(unknown(http, code)) };
    };
    let class = match then {
        Then::DeadToken => Class::DeadToken,
        Then::Retry => Class::Retry { after: answer.retry_after },
        Then::Throttled => Class::Throttled { after: Some(answer.retry_after.unwrap_or(MINUTE)) },
        Then::Unauthorized => Class::Unauthorized,
        Then::Misconfigured => Class::Misconfigured,
        Then::BadMessage => Class::BadMessage,
        Then::Unrecognised => Class::Unrecognised,
    };
    let code = if word.is_empty() { Cow::Owned(unknown(http, "")) } else { Cow::Borrowed(*word) };
    Verdict { class, code }
}

/// A code of the vendor's that we do not know, if it is fit for a metric.
fn unknown(http: u16, code: &str) -> String {
    let fit =
        !code.is_empty() && code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if fit { code.to_owned() } else { format!("http_{http}") }
}

/// Every row, as the documentation shows it: status, code, class.
#[cfg(test)]
pub(in crate::delivery) fn rows() -> Vec<[String; 3]> {
    let rows = TABLE.iter().map(|(http, word, about, _)| {
        let token = *about == About::Token;
        let message = if token { "not a valid registration token" } else { "" };
        let details = [serde_json::json!({
            "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": word
        })];
        let body = serde_json::json!({"error": {"status": word, "message": message, "details": details}});
        let answer = Answer {
            status: http::StatusCode::from_u16(*http).unwrap_or_default(),
            retry_after: None,
            body: bytes::Bytes::from(body.to_string()),
        };
        let code = if token { format!("{word}, of the token") } else { (*word).to_owned() };
        [http.to_string(), code, verdict(&answer).class.as_str().to_owned()]
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;
    use serde_json::{Value, json};

    use super::*;

    fn answer(http: u16, body: impl Into<Bytes>, retry_after: Option<u64>) -> Answer {
        Answer {
            status: StatusCode::from_u16(http).unwrap_or_default(),
            retry_after: retry_after.map(Duration::from_secs),
            body: body.into(),
        }
    }

    fn failure(status: &str, code: Option<&str>, message: &str, violations: Option<&[&str]>) -> String {
        let mut details: Vec<Value> = Vec::new();
        if let Some(code) = code {
            details.push(json!({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}));
        }
        if let Some(fields) = violations {
            let list: Vec<_> = fields.iter().map(|field| json!({"field": field, "description": "x"})).collect();
            details.push(json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": list}));
        }
        json!({"error": {"code": 400, "message": message, "status": status, "details": details}}).to_string()
    }

    #[test]
    fn every_row_of_the_table_has_its_class() {
        const TOKEN: &str = "The registration token is not a valid FCM registration token";
        let retry = Class::Retry { after: None };
        let throttled = Class::Throttled { after: Some(MINUTE) };
        let rows: [(u16, String, Class, &str); 24] = [
            (404, failure("NOT_FOUND", Some("UNREGISTERED"), "", None), Class::DeadToken, "UNREGISTERED"),
            (404, failure("NOT_FOUND", None, "", None), Class::DeadToken, "NOT_FOUND"),
            (
                400,
                failure("INVALID_ARGUMENT", None, "", Some(&["message.android.ttl"])),
                Class::BadMessage,
                "INVALID_ARGUMENT",
            ),
            (
                400,
                failure("INVALID_ARGUMENT", None, TOKEN, Some(&["message.data"])),
                Class::BadMessage,
                "INVALID_ARGUMENT",
            ),
            (
                400,
                failure("INVALID_ARGUMENT", None, "", Some(&["message.token"])),
                Class::DeadToken,
                "INVALID_ARGUMENT",
            ),
            (
                400,
                failure("INVALID_ARGUMENT", Some("INVALID_ARGUMENT"), TOKEN, None),
                Class::DeadToken,
                "INVALID_ARGUMENT",
            ),
            (
                400,
                failure("INVALID_ARGUMENT", Some("INVALID_ARGUMENT"), "Android message is too big", None),
                Class::BadMessage,
                "INVALID_ARGUMENT",
            ),
            (
                403,
                failure("PERMISSION_DENIED", Some("SENDER_ID_MISMATCH"), "", None),
                Class::DeadToken,
                "SENDER_ID_MISMATCH",
            ),
            (403, failure("PERMISSION_DENIED", None, "", None), Class::Misconfigured, "PERMISSION_DENIED"),
            (401, failure("UNAUTHENTICATED", None, "", None), Class::Unauthorized, "UNAUTHENTICATED"),
            (401, "<html>".to_owned(), Class::Unauthorized, "http_401"),
            (
                401,
                failure("UNAUTHENTICATED", Some("THIRD_PARTY_AUTH_ERROR"), "", None),
                Class::Misconfigured,
                "THIRD_PARTY_AUTH_ERROR",
            ),
            (429, failure("RESOURCE_EXHAUSTED", Some("QUOTA_EXCEEDED"), "", None), throttled, "QUOTA_EXCEEDED"),
            (429, failure("RESOURCE_EXHAUSTED", None, "", None), throttled, "RESOURCE_EXHAUSTED"),
            (429, String::new(), throttled, "http_429"),
            (500, failure("INTERNAL", Some("INTERNAL"), "", None), retry, "INTERNAL"),
            (500, String::new(), retry, "http_500"),
            (503, failure("UNAVAILABLE", Some("UNAVAILABLE"), "", None), retry, "UNAVAILABLE"),
            (503, "{}".to_owned(), retry, "http_503"),
            (408, String::new(), retry, "http_408"),
            (502, "<html>502</html>".to_owned(), retry, "http_502"),
            (504, failure("DEADLINE_EXCEEDED", None, "", None), retry, "DEADLINE_EXCEEDED"),
            (500, failure("UNKNOWN", Some("UNSPECIFIED_ERROR"), "", None), Class::Unrecognised, "UNSPECIFIED_ERROR"),
            (200, r#"{"name": "projects/p/messages/1"}"#.to_owned(), Class::Delivered, "ok"),
        ];
        for (http, body, class, code) in &rows {
            let verdict = verdict(&answer(*http, body.clone(), None));
            assert_eq!((&verdict.class, &*verdict.code), (class, *code), "{http} {body}");
        }
        for (http, word, _, _) in TABLE {
            let tested = rows.iter().any(|(of, _, _, code)| {
                *of == http && (*code == word || (word.is_empty() && *code == format!("http_{http}")))
            });
            assert!(tested, "{http} {word}");
        }
    }

    #[test]
    fn what_is_in_no_row_is_unrecognised_and_kills_nothing() {
        let rows = [
            (404, "<html>404</html>".to_owned(), "http_404"),
            (400, failure("FAILED_PRECONDITION", Some("NEW_THING"), "", None), "NEW_THING"),
            (200 + 4, String::new(), "http_204"),
            (404, failure("what a sentence", None, "", None), "http_404"),
            (418, "[1]".to_owned(), "http_418"),
        ];
        for (http, body, code) in rows {
            let verdict = verdict(&answer(http, body, None));
            assert_eq!((verdict.class, &*verdict.code), (Class::Unrecognised, code));
        }
    }

    #[test]
    fn a_vendor_s_delay_is_kept() {
        let delay = Some(Duration::from_secs(120));
        let busy = verdict(&answer(503, failure("UNAVAILABLE", None, "", None), Some(120)));
        assert_eq!(busy.class, Class::Retry { after: delay });
        let fast = verdict(&answer(429, failure("RESOURCE_EXHAUSTED", None, "", None), Some(120)));
        assert_eq!(fast.class, Class::Throttled { after: delay });
    }
}
