//! User tokens: JWTs that an app's own back end signs.

use crate::app::Callers;
use crate::auth::jwt;
use crate::id::{AppId, ClientId, IdError};
use crate::time::Timestamp;

/// Why a user token is refused.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Not signed by one of the app's keys, ended, or not a token.
    #[error("the token is not valid")]
    Token(#[source] jwt::JwtError),
    /// A good token of another app.
    #[error("the token is another app's")]
    OtherApp,
    /// Its `sub` names no client.
    #[error("the token's sub {0}")]
    Subject(#[source] IdError),
}

/// The app that a token says it is for: whose keys to verify it with. Nothing is verified yet.
#[must_use]
pub fn app(token: &str) -> Option<AppId> {
    AppId::parse(jwt::unverified_app(token)?).ok()
}

/// Verifies a token with the app's keys; the client that it was signed for.
///
/// # Errors
/// When the token is not valid, or is not for this app.
pub fn verify(callers: &Callers, app: &AppId, token: &str, now: Timestamp) -> Result<ClientId, UserError> {
    let claims = jwt::verify(&callers.user_keys, token, now).map_err(UserError::Token)?;
    if claims.app != app.as_str() {
        return Err(UserError::OtherApp);
    }
    ClientId::parse(claims.sub).map_err(UserError::Subject)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const KEY: &str = "demo-user-key-0123456789abcdef0123456789ab";
    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn callers() -> Callers {
        serde_json::from_str(&format!(r#"{{"user_keys": [{{"alg": "HS256", "key": "{KEY}"}}]}}"#)).unwrap()
    }

    fn token(app: &str, sub: &str) -> String {
        let claims = json!({"app": app, "sub": sub, "role": "user", "exp": NOW.as_secs() + 60});
        jwt::sign_hs256(KEY.as_bytes(), &claims)
    }

    #[test]
    fn a_token_names_its_client() {
        let demo = AppId::parse("demo").unwrap();
        let good = token("demo", "aaa");
        assert_eq!(app(&good), Some(demo.clone()));
        assert_eq!(verify(&callers(), &demo, &good, NOW).unwrap().as_str(), "aaa");
    }

    #[test]
    fn a_token_of_another_app_is_refused_whoever_signed_it() {
        let demo = AppId::parse("demo").unwrap();
        assert!(matches!(verify(&callers(), &demo, &token("other", "aaa"), NOW), Err(UserError::OtherApp)));
        assert!(matches!(verify(&Callers::default(), &demo, &token("demo", "aaa"), NOW), Err(UserError::Token(_))));
        assert!(matches!(verify(&callers(), &demo, &token("demo", "a\nb"), NOW), Err(UserError::Subject(_))));
        assert!(matches!(verify(&callers(), &demo, "nonsense", NOW), Err(UserError::Token(_))));
    }
}
