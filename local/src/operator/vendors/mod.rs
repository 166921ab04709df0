//! What vendors say to an app's credentials: dry runs, that reach no phone and leave nothing behind.
//!
//! | vendor | asked | says yes with |
//! |---|---|---|
//! | FCM | an access token, then a `validate_only` send to a token that cannot be one | `INVALID_ARGUMENT` about the token |
//! | APNs, signing key | a push to a device token that nobody has | `BadDeviceToken` |
//! | APNs, certificate | nobody: the certificate is read | |

mod apns;
mod certificate;
mod document;
mod fcm;

pub use apns::{ApnsTrouble, PRODUCTION, SANDBOX, apns};
pub use certificate::{CertificateFacts, CertificateTrouble, certificate_checks};
pub use document::{
    ApnsCertificate, ApnsCredentials, ApnsDocument, ApnsDocumentError, ApnsKey, FieldsError, PrivateKey,
};
pub use fcm::{FcmTrouble, Service, fcm};

use std::fmt;

use http::StatusCode;

/// What a vendor said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The HTTP status.
    pub status: StatusCode,
    /// The vendor's word for it; empty where there is none.
    pub word: String,
}

impl Said {
    /// A word that is not fit to be shown, as whatever else may stand in its place, is left out.
    fn new(status: StatusCode, word: &str) -> Self {
        let fit = word.len() <= 40 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        Self { status, word: if fit { word.to_owned() } else { String::new() } }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word.as_str() {
            "" => write!(f, "{}", self.status),
            word => write!(f, "{}, {word}", self.status),
        }
    }
}

#[cfg(test)]
mod tests;
