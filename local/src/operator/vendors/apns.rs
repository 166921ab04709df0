//! APNs' dry run: a push to a device token that nobody has. Apple looks at the credentials first.
//! Sources: developer.apple.com, "Handling notification responses from APNs" and "Establishing a token-based connection to APNs".

use http::StatusCode;
use pushbell::time::Timestamp;

use super::ApnsKey;
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
        "Apple does not know the key; compare key_id (it is in the file's name) and team_id (Membership, in Apple's developer account), and see under Keys whether it was revoked"
    )]
    UnknownKey,
    /// 403 `ExpiredProviderToken`.
    #[error("Apple takes a token that was signed now for an old one; set this machine's clock")]
    Clock,
    /// 403 `BadEnvironmentKeyIdInToken`.
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
    #[error("Apple was asked too often ({reason}); try again in half an hour")]
    Throttled {
        /// Apple's word.
        reason: String,
    },
    /// 5xx.
    #[error("APNs is out of order at the moment ({status}); try again later")]
    Busy {
        /// The HTTP status.
        status: StatusCode,
    },
    /// No answer.
    #[error("{0}; see that this machine may reach it (port 443, HTTP/2)")]
    Unreachable(#[from] CallError),
    /// Whatever else Apple says: refused for a reason that is in no table, or no answer of APNs' at all.
    #[error(
        "APNs answers {status} {reason}, for no reason that is known here; look it up under \"Handling notification responses from APNs\""
    )]
    Unrecognised {
        /// The HTTP status.
        status: StatusCode,
        /// Apple's word; empty where there is none.
        reason: String,
    },
}

/// Tries a signing key at `base_url` ([`PRODUCTION`], [`SANDBOX`]). Nobody is pushed to.
///
/// # Errors
/// When Apple does not take it, or does not answer.
pub async fn apns(http: &Http, base_url: &str, document: &ApnsKey, now: Timestamp) -> Result<(), ApnsTrouble> {
    let _ = (http, base_url, document, now);
    Err(ApnsTrouble::Address)
}
