//! User tokens, as an app's own back end signs them.

use std::time::Duration;

use clap::ValueEnum;
use pushbell::auth::jwt;
use pushbell::id::AppId;
use pushbell::time::Timestamp;
use serde_json::json;

use super::Deployment;
use super::app::{DocumentError, Documents, Kind, first_valid};

/// The role in a user token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// For a client's own devices and preferences.
    User,
    /// For the app's back end.
    Admin,
}

impl Role {
    /// The word in the token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

/// Signs a token with an HS256 key of the app's.
pub fn sign(key: &str, app: &AppId, user: &str, role: Role, seconds: u64, now: Timestamp) -> String {
    let claims = json!({
        "app": app.as_str(),
        "sub": user,
        "role": role.as_str(),
        "exp": now.plus(Duration::from_secs(seconds)).as_secs(),
    });
    jwt::sign_hs256(key.as_bytes(), &claims)
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// No such app.
    #[error("there is no app {0} here; see `app list`")]
    Unknown(AppId),
    /// Its keys are of other kinds, or over.
    #[error("the app {0} has no valid HS256 key that tokens could be signed with here; its own back end has the key")]
    NoKey(AppId),
    /// Its document was not read.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// The first HS256 key of an app that is valid now.
pub async fn key(deployment: &Deployment, app: &AppId, now: Timestamp) -> Result<String, TokenError> {
    let callers = Documents::new(deployment)?.secret(app, "callers").await?;
    let mut callers = callers.ok_or_else(|| TokenError::Unknown(app.clone()))?;
    if let Some(keys) = callers["user_keys"].as_array_mut() {
        keys.retain(|key| key["alg"] == "HS256");
    }
    first_valid(Kind::UserKey, &callers, now).ok_or_else(|| TokenError::NoKey(app.clone()))
}
