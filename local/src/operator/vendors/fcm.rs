//! FCM's dry run: an access token by the service account, then a send that is only looked at, to a token that cannot be one.
//! Sources: developers.google.com, "Using OAuth 2.0 for Server to Server Applications"; firebase.google.com, `projects.messages` and
//! `ErrorCode`; cloud.google.com, `google.rpc.ErrorInfo` and its reasons.

use http::StatusCode;
use pushbell::app::FcmVendor;
use pushbell::time::Timestamp;

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
        "endpoint of vendors.fcm, or project_id of the key file, makes no address; leave endpoint out, and put the key file in as Google gives it"
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
        "Google gives no access token ({status} {code}); download a key file anew, and see what the organisation's policies say of service accounts"
    )]
    TokenRefused {
        /// The HTTP status.
        status: StatusCode,
        /// RFC 6749's word; empty where there is none.
        code: String,
    },
    /// The token service says 200, and there is no token.
    #[error("what answers at token_uri is no token service; put the key file in as Google gives it")]
    NoToken,
    /// 401: the fresh access token is none to FCM.
    #[error("FCM does not take Google's own access token; leave endpoint of vendors.fcm out, and try again")]
    Unauthenticated,
    /// 403 with `SERVICE_DISABLED`.
    #[error(
        "the project has FCM's API off; enable \"Firebase Cloud Messaging API\" (Google Cloud, APIs & Services), and wait some minutes"
    )]
    ApiDisabled,
    /// 403 with `CONSUMER_INVALID`, or 404 that is no token's.
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
    #[error("{service} is out of order at the moment ({status}); try again later")]
    Busy {
        /// Which of the two.
        service: Service,
        /// The HTTP status.
        status: StatusCode,
    },
    /// No answer.
    #[error("{0}; see that this machine may reach it")]
    Unreachable(#[from] CallError),
    /// Whatever else FCM says.
    #[error(
        "FCM answers {status} {code}, for no reason that is known here; look it up under \"FCM error codes\" in Firebase's documentation"
    )]
    Unrecognised {
        /// The HTTP status.
        status: StatusCode,
        /// FCM's word; empty where there is none.
        code: String,
    },
}

/// Which of Google's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// At `token_uri`.
    Tokens,
    /// At `endpoint`.
    Fcm,
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tokens => "Google's token service",
            Self::Fcm => "FCM",
        })
    }
}

/// Tries a service account. Nobody is sent to.
///
/// # Errors
/// When Google does not take it, or does not answer.
pub async fn fcm(http: &Http, vendor: &FcmVendor, now: Timestamp) -> Result<(), FcmTrouble> {
    let _ = (http, vendor, now);
    Err(FcmTrouble::Address)
}
