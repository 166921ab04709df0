//! What a certificate says of itself.

use pushbell::time::Timestamp;

use super::ApnsCertificate;
use crate::pem::{self, Certificate};

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

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
        "certificate is no certificate in PEM; export it from Keychain Access as .p12, then `openssl pkcs12 -legacy -in apns.p12 -clcerts -nokeys -out cert.pem` (without -legacy on OpenSSL 1.1 and LibreSSL)"
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
    #[error(
        "private_key is no unencrypted key in PEM; export it with `openssl pkcs12 -legacy -in apns.p12 -nocerts -nodes -out key.pem` (without -legacy on OpenSSL 1.1 and LibreSSL)"
    )]
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
    let certificate = Certificate::read(&document.certificate).ok_or(CertificateTrouble::Unreadable)?;
    if certificate.ends <= now {
        return Err(CertificateTrouble::Expired(certificate.ends.to_rfc3339()));
    }
    if now < certificate.begins {
        return Err(CertificateTrouble::NotYet(certificate.begins.to_rfc3339()));
    }
    let key = pem::public_key(document.private_key.expose()).ok_or(CertificateTrouble::Key)?;
    if key != certificate.public_key {
        return Err(CertificateTrouble::OtherKey);
    }
    if !certificate.for_development && !certificate.for_production {
        return Err(CertificateTrouble::NotForPushes);
    }
    let topic = certificate.user_id.ok_or(CertificateTrouble::NoTopic)?;
    if document.topic.as_ref().is_some_and(|wanted| *wanted != topic) {
        return Err(CertificateTrouble::OtherTopic(topic));
    }
    Ok(CertificateFacts {
        topic,
        production: certificate.for_production,
        sandbox: certificate.for_development,
        ends: certificate.ends,
        days_left: certificate.ends.since(now).as_secs() / DAY,
    })
}
