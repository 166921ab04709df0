//! The files that credentials come in.

use std::path::{Path, PathBuf};

use pushbell::app::{AppError, FcmVendor};
use serde_json::{Value, json};

use super::super::Deployment;
use super::super::vendors::{ApnsCredentials, ApnsDocumentError};
use super::Credentials;

/// A file that cannot be used. What is in it is never shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no JSON.
    #[error(
        "{path} is no JSON (line {line}, column {column}); --fcm takes the key file of a service account, as Google gives it"
    )]
    Json {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It is the file that the Android app is built with, and no key.
    #[error(
        "{0} is the file that the Android app is built with; --fcm takes a service account's key file: Firebase console, project settings, service accounts, generate new private key"
    )]
    GoogleServices(PathBuf),
    /// A field is missing.
    #[error("{path} has no {field}; --fcm takes the key file of a service account, as Google gives it")]
    Field {
        /// The file.
        path: PathBuf,
        /// Which.
        field: &'static str,
    },
    /// It is no `callers` document.
    #[error("{path} cannot be used")]
    Callers {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: AppError,
    },
    /// It is no PEM.
    #[error("{path} has no such PEM block; {wanted}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is.
        wanted: &'static str,
    },
    /// What is said of iOS does not make credentials.
    #[error(transparent)]
    Apns(#[from] ApnsDocumentError),
}

fn read(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(|source| FileError::Read { path: path.to_owned(), source })
}

/// The `fcm` part of the `vendors` document, and what it says.
pub(super) fn fcm(deployment: &Deployment, path: &Path) -> Result<(Value, FcmVendor), FileError> {
    let text = read(path)?;
    let json = |error: serde_json::Error| FileError::Json {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    };
    let account: Value = serde_json::from_str(&text).map_err(json)?;
    if account.get("project_info").is_some() {
        return Err(FileError::GoogleServices(path.to_owned()));
    }
    for field in ["project_id", "private_key", "client_email"] {
        if account[field].as_str().is_none_or(str::is_empty) {
            return Err(FileError::Field { path: path.to_owned(), field });
        }
    }
    let mut document = json!({ "service_account": account });
    // An account of the fake Google's is for the fake FCM. A real one reaches real phones, from this machine too.
    if let Some(vendors) = &deployment.vendors
        && document["service_account"]["token_uri"].as_str().is_some_and(|uri| uri.starts_with(vendors.as_str()))
    {
        document["endpoint"] = json!(vendors);
    }
    let vendor = serde_json::from_value(document.clone());
    // What is missing was told by its name.
    let vendor = vendor.map_err(|_| FileError::Field { path: path.to_owned(), field: "text where one is expected" })?;
    Ok((document, vendor))
}

/// A `callers` document.
pub(super) fn callers(path: &Path) -> Result<Value, FileError> {
    let text = read(path)?;
    let unreadable = |source| FileError::Callers { path: path.to_owned(), source };
    pushbell::app::check("callers", &text).map_err(unreadable)?;
    // It was read just now.
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

/// What is said of iOS, if anything is.
pub(super) fn apns(credentials: &Credentials) -> Result<Option<ApnsCredentials>, FileError> {
    let document = match (&credentials.apns, &credentials.apns_certificate, &credentials.apns_private_key) {
        (Some(path), _, _) => json!({
            "key": pem(path, &["PRIVATE KEY"], "--apns takes a signing key (AuthKey_….p8), as Apple gives it")?,
            "key_id": credentials.key_id,
            "team_id": credentials.team,
            "topic": credentials.topic,
        }),
        (None, Some(certificate), Some(key)) => {
            // What Keychain Access writes is encrypted as OpenSSL 3 reads it with its legacy algorithms only.
            let wanted = "`openssl pkcs12 -legacy -in apns.p12 -nodes -out apns.pem` (without -legacy on OpenSSL 1.1 and LibreSSL) makes one of a .p12 that both options take";
            json!({
                "certificate": pem(certificate, &["CERTIFICATE"], wanted)?,
                "private_key": pem(key, &["PRIVATE KEY", "RSA PRIVATE KEY"], wanted)?,
            })
        }
        (None, Some(_), None) | (None, None, _) => return Ok(None),
    };
    Ok(Some(ApnsCredentials::parse(&document.to_string())?))
}

/// The first block with one of these labels, and nothing beside it: what a file holds more is nobody's business.
fn pem(path: &Path, labels: &[&str], wanted: &'static str) -> Result<String, FileError> {
    let text = read(path)?;
    let block = |label: &&str| {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let from = text.find(&begin)?;
        let to = from + text[from..].find(&end)? + end.len();
        Some(format!("{}\n", &text[from..to]))
    };
    labels.iter().find_map(block).ok_or_else(|| FileError::Pem { path: path.to_owned(), wanted })
}
