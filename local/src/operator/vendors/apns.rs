//! APNs' dry run: a push to a device token that nobody has. Apple looks at the credentials first.
//! Sources: developer.apple.com, "Handling notification responses from APNs" and "Establishing a token-based connection to APNs".

use std::borrow::Cow;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use pushbell::auth::jwt;
use pushbell::delivery::http2::Address;
use pushbell::time::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{ApnsKey, Said};
use crate::operator::http::{CallError, Http};

/// Where apps from the store are.
pub const PRODUCTION: &str = "https://api.push.apple.com";
/// Where development builds are.
pub const SANDBOX: &str = "https://api.sandbox.push.apple.com";

/// Why Apple does not take a signing key, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ApnsTrouble {
    /// Not a `.p8` file.
    #[error(
        "key is no signing key of Apple's (a P-256 key in PKCS #8 PEM); put in the whole text of AuthKey_<key id>.p8, as it was downloaded"
    )]
    Key,
    /// The address to ask is none.
    #[error("APNs' address is not usable; it is {PRODUCTION} or {SANDBOX}")]
    Address,
    /// 403 `InvalidProviderToken`.
    #[error(
        "Apple does not know the key; compare key_id (it is in the file's name) and team_id (Membership, in Apple's developer account), and see under Keys whether it was revoked; this machine's clock must not be fast either"
    )]
    UnknownKey,
    /// 403 `ExpiredProviderToken`.
    #[error("Apple takes a token that was signed now for an old one; set this machine's clock")]
    Clock,
    /// 403 `BadEnvironmentKeyIdInToken`, which APNs spells `BadEnvironmentKeyInToken` too.
    #[error(
        "the key is for the other one of Apple's environments; make one for \"Sandbox & Production\", or leave this environment out"
    )]
    OtherEnvironment,
    /// 400 `TopicDisallowed`.
    #[error(
        "the key may not push to topic; compare topic with the app's bundle id, see that the app is of team_id, and that the key is not restricted to other topics"
    )]
    TopicDisallowed,
    /// 400 `BadTopic`.
    #[error("topic is none; it is the app's bundle id")]
    BadTopic,
    /// 400 `MissingTopic`.
    #[error("topic is empty; it is the app's bundle id")]
    MissingTopic,
    /// 429.
    #[error("Apple was asked too often ({0}); try again in half an hour")]
    Throttled(Said),
    /// 5xx.
    #[error("APNs is out of order at the moment ({0}); try again later")]
    Busy(Said),
    /// No answer.
    #[error("{0}; see that this machine may reach it (port 443, HTTP/2)")]
    Unreachable(#[from] CallError),
    /// Whatever else Apple says: refused for a reason that is in no table, or no answer of APNs' at all.
    #[error(
        "APNs answers {0}, for no reason that is known here; look it up under \"Handling notification responses from APNs\""
    )]
    Unrecognised(Said),
}

impl ApnsTrouble {
    /// Whether it passes by itself. Of the credentials nothing is known then.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Throttled(_) | Self::Busy(_) | Self::Unreachable(_) => true,
            Self::Key
            | Self::Address
            | Self::UnknownKey
            | Self::Clock
            | Self::OtherEnvironment
            | Self::TopicDisallowed
            | Self::BadTopic
            | Self::MissingTopic
            | Self::Unrecognised(_) => false,
        }
    }
}

/// What follows from a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Apple has looked at the credentials, and went on to the device.
    Accepted,
    UnknownKey,
    Clock,
    OtherEnvironment,
    TopicDisallowed,
    BadTopic,
    MissingTopic,
}

/// What APNs' reasons mean to a dry run. What is not here goes by its status.
const TABLE: [(u16, &str, Then); 11] = [
    (400, "BadDeviceToken", Then::Accepted),
    (400, "DeviceTokenNotForTopic", Then::Accepted),
    (410, "Unregistered", Then::Accepted),
    (410, "ExpiredToken", Then::Accepted),
    (403, "InvalidProviderToken", Then::UnknownKey),
    (403, "ExpiredProviderToken", Then::Clock),
    (403, "BadEnvironmentKeyIdInToken", Then::OtherEnvironment),
    (403, "BadEnvironmentKeyInToken", Then::OtherEnvironment),
    (400, "TopicDisallowed", Then::TopicDisallowed),
    (400, "BadTopic", Then::BadTopic),
    (400, "MissingTopic", Then::MissingTopic),
];

/// A device token that nobody has: 32 bytes, as Apple's are.
const NOBODY: &str = "7075736862656c6c7075736862656c6c7075736862656c6c7075736862656c6c";
/// Should somebody have it after all, nothing is shown to them.
const BODY: &str = r#"{"aps":{"content-available":1}}"#;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

/// Tries a signing key at `base_url` ([`PRODUCTION`], [`SANDBOX`]). Nobody is pushed to.
///
/// # Errors
/// When Apple does not take it, or does not answer.
pub async fn apns(http: &Http, base_url: &str, document: &ApnsKey, now: Timestamp) -> Result<(), ApnsTrouble> {
    let claims = json!({ "iss": document.team_id, "iat": now.as_secs() });
    let token =
        jwt::sign_es256(document.key.expose(), Some(&document.key_id), &claims).map_err(|_| ApnsTrouble::Key)?;
    let url = format!("{}/3/device/{NOBODY}", base_url.trim_end_matches('/'));
    Address::parse(&url).map_err(|_| ApnsTrouble::Address)?;
    let topic = HeaderValue::try_from(&document.topic).map_err(|_| ApnsTrouble::BadTopic)?;
    let request = Request::post(url)
        .header(AUTHORIZATION, format!("bearer {token}"))
        .header("apns-topic", topic)
        .header("apns-push-type", "background")
        .header("apns-priority", "5")
        .header("apns-expiration", "0")
        .body(Full::new(Bytes::from_static(BODY.as_bytes())))
        .map_err(|_| ApnsTrouble::Address)?;
    // APNs refuses keys that have nothing to do with the first one on their connection (`UnrelatedKeyIdInToken`).
    let answer = http.apart().send(request).await?;
    read(answer.status, &answer.body)
}

fn read(status: StatusCode, body: &[u8]) -> Result<(), ApnsTrouble> {
    if status == StatusCode::OK {
        return Ok(());
    }
    let reason = serde_json::from_slice::<Refusal<'_>>(body).unwrap_or_default().reason;
    let said = Said::new(status, &reason);
    let row = TABLE.iter().find(|(of, word, _)| *of == status.as_u16() && *word == reason);
    Err(match row {
        Some((_, _, Then::Accepted)) => return Ok(()),
        Some((_, _, Then::UnknownKey)) => ApnsTrouble::UnknownKey,
        Some((_, _, Then::Clock)) => ApnsTrouble::Clock,
        Some((_, _, Then::OtherEnvironment)) => ApnsTrouble::OtherEnvironment,
        Some((_, _, Then::TopicDisallowed)) => ApnsTrouble::TopicDisallowed,
        Some((_, _, Then::BadTopic)) => ApnsTrouble::BadTopic,
        Some((_, _, Then::MissingTopic)) => ApnsTrouble::MissingTopic,
        None if status == StatusCode::TOO_MANY_REQUESTS => ApnsTrouble::Throttled(said),
        None if status.is_server_error() => ApnsTrouble::Busy(said),
        None => ApnsTrouble::Unrecognised(said),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, reason: &str) -> Result<(), String> {
        let body = json!({ "reason": reason }).to_string();
        read(StatusCode::from_u16(status).unwrap_or_default(), body.as_bytes()).map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn an_answer_about_the_device_says_that_the_credentials_are_taken() {
        for (status, reason) in [
            (200, ""),
            (400, "BadDeviceToken"),
            (400, "DeviceTokenNotForTopic"),
            (410, "Unregistered"),
            (410, "ExpiredToken"),
        ] {
            assert_eq!(told(status, reason), Ok(()), "{reason}");
        }
    }

    #[test]
    fn only_what_is_busy_passes_by_itself() {
        for (status, passes) in [(400, false), (403, false), (404, false), (429, true), (500, true), (503, true)] {
            let trouble = read(StatusCode::from_u16(status).unwrap_or_default(), b"{}").err();
            assert_eq!(trouble.map(|trouble| trouble.is_passing()), Some(passes), "{status}");
        }
    }

    #[test]
    fn every_other_answer_says_what_to_do() {
        for (status, reason, says) in [
            (403, "InvalidProviderToken", "compare key_id"),
            (403, "ExpiredProviderToken", "set this machine's clock"),
            (403, "BadEnvironmentKeyIdInToken", "\"Sandbox & Production\""),
            (403, "BadEnvironmentKeyInToken", "\"Sandbox & Production\""),
            (400, "TopicDisallowed", "compare topic with the app's bundle id"),
            (400, "BadTopic", "topic is none"),
            (400, "MissingTopic", "topic is empty"),
            (
                429,
                "TooManyProviderTokenUpdates",
                "too often (429 Too Many Requests, TooManyProviderTokenUpdates); try again",
            ),
            (429, "TooManyRequests", "in half an hour"),
            (500, "InternalServerError", "(500 Internal Server Error, InternalServerError); try again later"),
            (503, "ServiceUnavailable", "out of order"),
            (503, "Shutdown", "out of order"),
            (400, "PayloadEmpty", "answers 400 Bad Request, PayloadEmpty, for no reason that is known"),
            (403, "Forbidden", "answers 403 Forbidden, Forbidden, for no reason that is known"),
            (404, "BadPath", "answers 404 Not Found, BadPath"),
            (418, "what a sentence", "answers 418 I'm a teapot, for no reason"),
        ] {
            let told = told(status, reason).err().unwrap_or_default();
            assert!(told.contains(says), "{told}");
        }
    }
}
