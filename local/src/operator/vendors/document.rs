//! The document `apns`: with what Apple is spoken to. No function reads it: SNS sends, and never gives back what it was given. It is kept as
//! `pushbell/<stage>/apps/<app>/apns`, to try it and to make the platform applications anew.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The document: credentials for each of Apple's services that the app is known to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ApnsDocument {
    /// For apps from the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<ApnsCredentials>,
    /// For development builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<ApnsCredentials>,
}

/// An app's credentials at one of Apple's services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub enum ApnsCredentials {
    /// A signing key.
    Key(ApnsKey),
    /// A certificate.
    Certificate(ApnsCertificate),
}

/// A signing key of a team's, for one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApnsKey {
    /// The text of `AuthKey_<key id>.p8`.
    pub key: PrivateKey,
    /// Names the key at Apple: ten letters and digits.
    pub key_id: String,
    /// Whose it is: ten letters and digits.
    pub team_id: String,
    /// The app's bundle id.
    pub topic: String,
}

/// A certificate of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApnsCertificate {
    /// As PEM.
    pub certificate: String,
    /// As PEM.
    pub private_key: PrivateKey,
    /// The app's bundle id, where it is to be held against the certificate's own.
    pub topic: Option<String>,
}

/// A private key as PEM. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrivateKey(String);

impl PrivateKey {
    /// The key of this text, whatever it is.
    #[must_use]
    pub fn new(pem: impl Into<String>) -> Self {
        Self(pem.into())
    }

    /// The text. Never to be logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// Why a text is no `apns` document. Names fields and never a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApnsDocumentError {
    /// Not JSON, or a field that is of another type, or that the document does not have.
    #[error("the app's apns document is malformed at line {line}, column {column}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The fields do not make credentials.
    #[error("the app's credentials for APNs cannot be used: {0}")]
    Fields(#[from] FieldsError),
    /// The fields of one service do not make credentials.
    #[error("the app's apns document cannot be used: {service}: {source}")]
    Service {
        /// `production` or `sandbox`.
        service: &'static str,
        /// Why not.
        source: FieldsError,
    },
}

/// Why fields do not make credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// Both kinds, or parts of both.
    #[error(
        "it has a signing key's fields (key, key_id, team_id) and a certificate's (certificate, private_key); it is one of the two"
    )]
    Both,
    /// A field of its kind is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Not as Apple writes them.
    #[error("{0} is ten capital letters and digits")]
    Id(&'static str),
    /// Nothing that Apple could take for a topic.
    #[error("topic is a bundle id: letters, digits, hyphens and dots")]
    Topic,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<PrivateKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    team_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private_key: Option<PrivateKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Services {
    production: Option<Form>,
    sandbox: Option<Form>,
}

impl ApnsDocument {
    /// The document in this text.
    ///
    /// # Errors
    /// When it is not of its shape.
    pub fn parse(text: &str) -> Result<Self, ApnsDocumentError> {
        let services: Services = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        let of = |service: &'static str, form: Option<Form>| {
            let credentials = form.map(ApnsCredentials::try_from).transpose();
            credentials.map_err(|source| ApnsDocumentError::Service { service, source })
        };
        Ok(Self { production: of("production", services.production)?, sandbox: of("sandbox", services.sandbox)? })
    }

    /// All credentials that there are.
    pub fn all(&self) -> impl Iterator<Item = &ApnsCredentials> {
        self.production.iter().chain(&self.sandbox)
    }
}

// In two steps: serde's own message may quote a value.
fn malformed(error: &serde_json::Error) -> ApnsDocumentError {
    ApnsDocumentError::Malformed { line: error.line(), column: error.column() }
}

impl ApnsCredentials {
    /// The credentials in this text.
    ///
    /// # Errors
    /// When it is not of its shape.
    pub fn parse(text: &str) -> Result<Self, ApnsDocumentError> {
        let form: Form = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        Ok(Self::try_from(form)?)
    }

    /// The credentials as attributes of SNS's `CreatePlatformApplication`. Secret, as the document is.
    #[must_use]
    pub fn attributes(&self) -> Vec<(String, String)> {
        let pairs = match self {
            Self::Key(ApnsKey { key, key_id, team_id, topic }) => vec![
                ("PlatformCredential", key.expose()),
                ("PlatformPrincipal", key_id),
                ("ApplePlatformTeamID", team_id),
                ("ApplePlatformBundleID", topic),
            ],
            Self::Certificate(ApnsCertificate { certificate, private_key, topic: _ }) => {
                vec![("PlatformCredential", private_key.expose()), ("PlatformPrincipal", certificate)]
            }
        };
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl TryFrom<Form> for ApnsCredentials {
    type Error = FieldsError;

    fn try_from(form: Form) -> Result<Self, FieldsError> {
        let of_key = form.key.is_some() || form.key_id.is_some() || form.team_id.is_some();
        let of_certificate = form.certificate.is_some() || form.private_key.is_some();
        if of_key && of_certificate {
            return Err(FieldsError::Both);
        }
        if form.topic.as_deref().is_some_and(|topic| !is_topic(topic)) {
            return Err(FieldsError::Topic);
        }
        if of_certificate {
            let certificate = form.certificate.ok_or(FieldsError::Missing("certificate"))?;
            let private_key = form.private_key.ok_or(FieldsError::Missing("private_key"))?;
            return Ok(Self::Certificate(ApnsCertificate { certificate, private_key, topic: form.topic }));
        }
        Ok(Self::Key(ApnsKey {
            key: form.key.ok_or(FieldsError::Missing("key"))?,
            key_id: id("key_id", form.key_id)?,
            team_id: id("team_id", form.team_id)?,
            topic: form.topic.ok_or(FieldsError::Missing("topic"))?,
        }))
    }
}

impl From<ApnsCredentials> for Form {
    fn from(document: ApnsCredentials) -> Self {
        let none = Self { key: None, key_id: None, team_id: None, certificate: None, private_key: None, topic: None };
        match document {
            ApnsCredentials::Key(ApnsKey { key, key_id, team_id, topic }) => {
                Self { key: Some(key), key_id: Some(key_id), team_id: Some(team_id), topic: Some(topic), ..none }
            }
            ApnsCredentials::Certificate(ApnsCertificate { certificate, private_key, topic }) => {
                Self { certificate: Some(certificate), private_key: Some(private_key), topic, ..none }
            }
        }
    }
}

fn id(field: &'static str, value: Option<String>) -> Result<String, FieldsError> {
    let value = value.ok_or(FieldsError::Missing(field))?;
    let fits = value.len() == 10 && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if fits { Ok(value) } else { Err(FieldsError::Id(field)) }
}

fn is_topic(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}
