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
pub use document::{ApnsCertificate, ApnsDocument, ApnsDocumentError, ApnsKey, FieldsError, PrivateKey};
pub use fcm::{FcmTrouble, Service, fcm};

#[cfg(test)]
mod tests;
