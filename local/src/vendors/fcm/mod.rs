//! FCM's HTTP v1 send call: its checks, its answers, its errors.
//! Source: firebase.google.com, REST resource `projects.messages` and `ErrorCode`.

mod check;
mod schema;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::oauth::Refused;
use super::{json_reply, with_retry_after};
use crate::faults::Effect;
use crate::phones::{Channel, Phones, Push, Taken};
use crate::store::random_hex;
use check::Violation;

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// Answers a send that was let in.
pub(super) fn send(phones: &Phones, project: &str, body: &[u8]) -> Response<Full<Bytes>> {
    let Ok(mut request) = serde_json::from_slice::<Value>(body) else {
        return violated(&Violation {
            field: String::new(),
            description: "Invalid JSON payload received. Unexpected token.".to_owned(),
            parsed: false,
        });
    };
    if let Err(violation) = check::request(&request) {
        return violated(&violation);
    }
    let message = request["message"].take();
    let name = format!("projects/{project}/messages/0:{}", random_hex::<12>());
    let done = json_reply(StatusCode::OK, &json!({ "name": name }));
    let validate_only = ["validate_only", "validateOnly"].iter().any(|name| request[*name] == true);
    let Some(token) = message["token"].as_str().map(str::to_owned) else {
        // Topics, conditions and installations have no phone here.
        return done;
    };
    let taken = if validate_only {
        phones.is_dead(Channel::Fcm, &token).map(|dead| if dead { Taken::Dead } else { Taken::Accepted })
    } else {
        phones.accept(&Push::fcm(Channel::Fcm, &token, project, message))
    };
    match taken {
        Ok(Taken::Accepted) => done,
        Ok(Taken::Dead) => unregistered(),
        Err(_) => internal(),
    }
}

pub(super) fn unauthorised(refused: Refused) -> Response<Full<Bytes>> {
    match refused {
        Refused::Unauthenticated => error(
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            None,
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        ),
        Refused::Denied => {
            let body = json!({"error": {
                "code": 403,
                "message": "Permission 'cloudmessaging.messages.create' denied on the resource (or it may not exist).",
                "status": "PERMISSION_DENIED",
                "details": [{
                    "@type": ERROR_INFO,
                    "reason": "IAM_PERMISSION_DENIED",
                    "domain": "cloudresourcemanager.googleapis.com",
                    "metadata": {"permission": "cloudmessaging.messages.create"},
                }],
            }});
            json_reply(StatusCode::FORBIDDEN, &body)
        }
    }
}

/// The answer to a call that a fault kept from being done; none for effects that do not keep it.
pub(super) fn failed(effect: &Effect) -> Option<Response<Full<Bytes>>> {
    let quota = || {
        error(
            StatusCode::TOO_MANY_REQUESTS,
            "RESOURCE_EXHAUSTED",
            Some("QUOTA_EXCEEDED"),
            "Quota exceeded for quota metric 'Send requests' of service 'fcm.googleapis.com'.",
        )
    };
    let away = || {
        error(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            Some("UNAVAILABLE"),
            "The service is currently unavailable.",
        )
    };
    match effect {
        Effect::Throttle => Some(quota()),
        Effect::Error429 { retry_after } => Some(with_retry_after(quota(), *retry_after)),
        Effect::Error500 => Some(internal()),
        Effect::Error503 => Some(away()),
        Effect::Unavailable { retry_after } => Some(with_retry_after(away(), *retry_after)),
        Effect::Unregistered => Some(unregistered()),
        Effect::Refuse => Some(unauthorised(Refused::Denied)),
        Effect::Conflict
        | Effect::Hang
        | Effect::Cut
        | Effect::LoseAnswer
        | Effect::LoseAnswer500
        | Effect::Delay { .. }
        | Effect::FailEntries { .. }
        | Effect::Pass
        | Effect::Rewrite { .. }
        | Effect::Stale
        | Effect::Duplicate
        | Effect::KeepRecords
        | Effect::Reverse => None,
    }
}

fn internal() -> Response<Full<Bytes>> {
    error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", Some("INTERNAL"), "Internal error encountered.")
}

fn unregistered() -> Response<Full<Bytes>> {
    error(StatusCode::NOT_FOUND, "NOT_FOUND", Some("UNREGISTERED"), "Requested entity was not found.")
}

fn violated(violation: &Violation) -> Response<Full<Bytes>> {
    let bad_request = json!({
        "@type": BAD_REQUEST,
        "fieldViolations": [{"field": violation.field, "description": violation.description}],
    });
    // What Google's front end refuses never reached FCM, so it carries no code of FCM's.
    let details = if violation.parsed {
        json!([{"@type": FCM_ERROR, "errorCode": "INVALID_ARGUMENT"}, bad_request])
    } else {
        json!([bad_request])
    };
    let body = json!({"error": {
        "code": 400,
        "message": violation.description,
        "status": "INVALID_ARGUMENT",
        "details": details,
    }});
    json_reply(StatusCode::BAD_REQUEST, &body)
}

/// An error in Google's shape, with FCM's own code where there is one.
pub(super) fn error(status: StatusCode, name: &str, code: Option<&str>, message: &str) -> Response<Full<Bytes>> {
    let mut body = json!({"error": {
        "code": status.as_u16(),
        "message": message,
        "status": name,
    }});
    if let Some(code) = code {
        body["error"]["details"] = json!([{"@type": FCM_ERROR, "errorCode": code}]);
    }
    json_reply(status, &body)
}
