//! With what platform applications go to Apple: checked when they are given, asked for again at each publish, never shown.
//!
//! Of a private key its public half is kept. Applications of this stack's own settings were given none, and are always let through.
//! Sources: API reference, `CreatePlatformApplication`; developer guide, "Common Amazon SNS mobile push API errors". Texts as localstack's
//! tests against AWS and users' reports have them.

use pushbell::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Refusal, invalid};
use crate::pem::{self, Certificate};
use crate::vendors::Apple;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS sns_credentials (
  application TEXT PRIMARY KEY, principal TEXT NOT NULL, public_key BLOB NOT NULL
) STRICT;
";

/// Names of attributes.
pub(super) const CREDENTIAL: &str = "PlatformCredential";
pub(super) const PRINCIPAL: &str = "PlatformPrincipal";
pub(super) const TEAM: &str = "ApplePlatformTeamID";
pub(super) const BUNDLE: &str = "ApplePlatformBundleID";
/// So is it called in SNS's answers; the API reference calls it `AppleCertificateExpiryDate`.
pub(super) const ENDS: &str = "AppleCertificateExpirationDate";

/// Attributes by name.
type Entries = [(String, String)];

pub(super) fn attribute<'a>(attributes: &'a Entries, name: &str) -> Option<&'a str> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// What is kept of an application's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    /// A signing key's name, or a certificate.
    principal: String,
    public_key: Vec<u8>,
    /// Of a certificate, and not kept here: it is one of the application's attributes.
    pub(super) ends: Option<String>,
}

/// The credentials among these attributes; none where none are given, as when others are set.
pub(super) fn given(platform: &str, attributes: &Entries, now: Timestamp) -> Result<Option<Credentials>, Refusal> {
    let credential = attribute(attributes, CREDENTIAL);
    let principal = attribute(attributes, PRINCIPAL);
    if !platform.starts_with("APNS") {
        return Ok(None);
    }
    let (credential, principal) = match (credential, principal) {
        (None, None) => return Ok(None),
        (Some(credential), Some(principal)) => (credential, principal),
        (Some(_), None) => {
            return Err(invalid("Attributes Reason: PlatformCredential attribute provided without PlatformPrincipal"));
        }
        (None, Some(_)) => {
            return Err(invalid("Attributes Reason: PlatformPrincipal attribute provided without PlatformCredential"));
        }
    };
    let bad = || invalid("Attributes Reason: Platform credentials are invalid");
    if principal.contains("-----BEGIN") {
        // SNS looks at who issued it, too. Here anybody may.
        let certificate = Certificate::read(principal).ok_or_else(bad)?;
        let public_key = pem::public_key(credential).ok_or_else(bad)?;
        if certificate.ends <= now || certificate.public_key != public_key {
            return Err(bad());
        }
        let ends = Some(certificate.ends.to_rfc3339());
        return Ok(Some(Credentials { principal: principal.to_owned(), public_key, ends }));
    }
    let public_key = pem::signing_key(credential).ok_or_else(bad)?;
    let named = |name: &str| attribute(attributes, name).is_some_and(|value| !value.is_empty());
    if principal.is_empty() || !named(TEAM) || !named(BUNDLE) {
        return Err(bad());
    }
    Ok(Some(Credentials { principal: principal.to_owned(), public_key, ends: None }))
}

pub(super) fn keep(tx: &Transaction<'_>, application: &str, credentials: &Credentials) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT OR REPLACE INTO sns_credentials (application, principal, public_key) VALUES (?1, ?2, ?3)",
        params![application, credentials.principal, credentials.public_key],
    )?;
    Ok(())
}

pub(super) fn kept(db: &Connection, application: &str) -> rusqlite::Result<Option<Credentials>> {
    db.prepare_cached("SELECT principal, public_key FROM sns_credentials WHERE application = ?1")?
        .query_row([application], |row| Ok(Credentials { principal: row.get(0)?, public_key: row.get(1)?, ends: None }))
        .optional()
}

pub(super) fn forget(tx: &Transaction<'_>, application: &str) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM sns_credentials WHERE application = ?1", [application])?;
    Ok(())
}

impl Credentials {
    pub(super) fn same(&self, other: &Self) -> bool {
        self.principal == other.principal && self.public_key == other.public_key
    }

    /// Whether Apple lets in who comes with them. `attributes` are the application's.
    pub(super) fn taken(&self, apple: &Apple, attributes: &Entries, now: Timestamp) -> bool {
        let named = |name: &str| attribute(attributes, name).unwrap_or_default();
        match attribute(attributes, ENDS).and_then(Timestamp::from_rfc3339) {
            Some(ends) => now < ends,
            None => apple.takes(&self.principal, named(TEAM), named(BUNDLE), &self.public_key),
        }
    }
}
