//! Kinvey's credentials: `Basic appKey:masterSecret`, `Basic username:password`, and a session, `Kinvey <token>`.

use std::sync::Arc;

use lambda_http::http::{HeaderMap, header};

use super::error::{Failure, Kind};
use crate::app::{Callers, SecretDocuments, any_matches};
use crate::auth::basic::{Basic, scheme};
use crate::auth::password::{PasswordError, Passwords};
use crate::auth::user;
use crate::call;
use crate::id::{AppId, ClientId};
use crate::telemetry;
use crate::time::Timestamp;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The app's own server, for any user.
    Master,
    /// A user, for themself.
    User(ClientId),
}

/// The app that a key in a path names, and who may call in its name.
///
/// # Errors
/// When there is no such app, or its callers cannot be read.
pub async fn app(documents: &SecretDocuments<Callers>, key: String) -> Result<(AppId, Arc<Callers>), Failure> {
    let unknown = || Failure::new(Kind::AppNotFound, "the app key in the path is not known");
    let app = AppId::parse(key).map_err(|_| unknown())?;
    let callers = documents.get(&app).await.map_err(|error| {
        tracing::error!(app = %app, error = %error, cause = telemetry::cause(&error), "a call could not be served");
        Failure::new(Kind::KinveyInternalErrorRetry, "the storage did not answer")
    })?;
    Ok((app, callers.ok_or_else(unknown)?))
}

/// Finds out who calls `app`.
///
/// # Errors
/// When the credentials are missing, wrong, or of a kind that may not push.
pub async fn authenticate(
    callers: &Callers,
    passwords: &Passwords,
    app: &AppId,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Caller, Failure> {
    let invalid = |debug: &'static str| Failure::new(Kind::InvalidCredentials, debug);
    let Some(authorization) = call::header(headers, header::AUTHORIZATION.as_str()) else {
        return Err(invalid("the header Authorization is missing"));
    };
    let Some((scheme, rest)) = scheme(authorization) else {
        return Err(invalid("the header Authorization is not \"<scheme> <credentials>\""));
    };
    match scheme.as_str() {
        "basic" => {
            let basic = Basic::parse(rest).ok_or_else(|| invalid("the Basic credentials cannot be read"))?;
            if basic.name == app.as_str() {
                of_app(callers, &basic.secret, now)
            } else {
                of_user(callers, passwords, app, authorization).await
            }
        }
        "kinvey" => match user::verify(callers, app, rest, now) {
            Ok(client) => Ok(Caller::User(client)),
            Err(_) => Err(invalid("the session token is not valid for this app")),
        },
        // A session whose second factor is still to come.
        "kinveymfa" => Err(Failure::new(
            Kind::InsufficientCredentials,
            "the session is not complete: its second factor is missing",
        )),
        _ => Err(invalid("the header Authorization has neither the scheme Basic nor Kinvey")),
    }
}

/// Finds out whether the app's own server calls `app`. Nobody else may.
///
/// # Errors
/// When the credentials are missing, wrong, or anybody else's.
pub fn master(callers: &Callers, app: &AppId, headers: &HeaderMap, now: Timestamp) -> Result<(), Failure> {
    let invalid = |debug: &'static str| Failure::new(Kind::InvalidCredentials, debug);
    let Some(authorization) = call::header(headers, header::AUTHORIZATION.as_str()) else {
        return Err(invalid("the header Authorization is missing"));
    };
    let Some((scheme, rest)) = scheme(authorization) else {
        return Err(invalid("the header Authorization is not \"<scheme> <credentials>\""));
    };
    if scheme.as_str() != "basic" {
        return Err(Failure::new(Kind::InsufficientCredentials, "this call needs Basic appKey:masterSecret"));
    }
    let basic = Basic::parse(rest).ok_or_else(|| invalid("the Basic credentials cannot be read"))?;
    if basic.name != app.as_str() {
        return Err(invalid("the name in the Basic credentials is not the app key in the path"));
    }
    of_app(callers, &basic.secret, now).map(|_| ())
}

fn of_app(callers: &Callers, secret: &str, now: Timestamp) -> Result<Caller, Failure> {
    // Both are compared whichever matches, so that time tells nothing.
    let master = any_matches(&callers.master_secrets, secret, now);
    let app_secret = any_matches(&callers.app_secrets, secret, now);
    match (master, app_secret) {
        (true, _) => Ok(Caller::Master),
        (false, true) => Err(Failure::new(
            Kind::InsufficientCredentials,
            "this call needs the master secret or a user's session, not the app secret",
        )),
        (false, false) => Err(Failure::new(Kind::InvalidCredentials, "the secret is not one of this app's")),
    }
}

async fn of_user(
    callers: &Callers,
    passwords: &Passwords,
    app: &AppId,
    authorization: &str,
) -> Result<Caller, Failure> {
    let Some(verify_url) = &callers.verify_url else {
        return Err(Failure::new(
            Kind::InvalidCredentials,
            "the user name is not this app's key, and the app checks no passwords: use a session token",
        ));
    };
    passwords.ask(verify_url, authorization).await.map(Caller::User).map_err(|error| {
        if !matches!(error, PasswordError::Refused) {
            tracing::warn!(app = %app, error = %error, metric = "verify_url_failed", "a password could not be checked");
        }
        match error {
            PasswordError::Refused => {
                Failure::new(Kind::InvalidCredentials, "the app refused the user name and password")
            }
            PasswordError::Address => {
                Failure::new(Kind::MissingConfiguration, "the app's verify_url is not an https address")
            }
            PasswordError::Unreachable(_)
            | PasswordError::Timeout
            | PasswordError::Status(_)
            | PasswordError::Answer => {
                Failure::new(Kind::KinveyInternalErrorRetry, "the app that checks passwords gave no usable answer")
            }
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::auth::jwt;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    const KEY: &str = "demo-user-key-0123456789abcdef0123456789ab";
    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    async fn of(authorization: Option<&str>, extra: serde_json::Value) -> Result<Caller, Kind> {
        let mut document = json!({
            "master_secrets": ["master"],
            "app_secrets": ["app"],
            "user_keys": [{"alg": "HS256", "key": KEY}],
        });
        document.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let callers: Callers = serde_json::from_value(document).unwrap();
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        let app = AppId::parse("demo").unwrap();
        let caller = authenticate(&callers, &Passwords::default(), &app, &headers, NOW).await;
        caller.map_err(|failure| failure.kind())
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn session(app: &str) -> String {
        let claims = json!({"app": app, "sub": "aaa", "role": "user", "exp": NOW.as_secs() + 60});
        jwt::sign_hs256(KEY.as_bytes(), &claims)
    }

    #[tokio::test]
    async fn the_master_secret_is_the_app_s_server_and_the_app_secret_is_told_that_it_is_not_enough() {
        assert_eq!(of(Some(&basic("demo:master")), json!({})).await, Ok(Caller::Master));
        assert_eq!(of(Some(&basic("demo:app")), json!({})).await, Err(Kind::InsufficientCredentials));
        assert_eq!(of(Some(&basic("demo:wrong")), json!({})).await, Err(Kind::InvalidCredentials));
        assert_eq!(of(Some(&basic("demo:")), json!({})).await, Err(Kind::InvalidCredentials));
        assert_eq!(of(Some(&basic("other:master")), json!({})).await, Err(Kind::InvalidCredentials));
    }

    #[tokio::test]
    async fn a_session_is_its_user_and_only_in_its_app() {
        let user = Caller::User(ClientId::parse("aaa").unwrap());
        assert_eq!(of(Some(&format!("Kinvey {}", session("demo"))), json!({})).await, Ok(user));
        assert_eq!(of(Some(&format!("Kinvey {}", session("other"))), json!({})).await, Err(Kind::InvalidCredentials));
        assert_eq!(of(Some("Kinvey x"), json!({})).await, Err(Kind::InvalidCredentials));
        let half = format!("KinveyMFA {}", session("demo"));
        assert_eq!(of(Some(&half), json!({})).await, Err(Kind::InsufficientCredentials));
    }

    #[test]
    fn a_push_needs_the_master_secret() {
        let callers: Callers = serde_json::from_value(json!({"master_secrets": ["m"], "app_secrets": ["a"]})).unwrap();
        let of = |header: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert("authorization", header.parse().unwrap());
            }
            let app = AppId::parse("demo").unwrap();
            master(&callers, &app, &headers, Timestamp::now()).map_err(|failure| failure.kind())
        };
        assert_eq!(of(Some(&basic("demo:m"))), Ok(()));
        assert_eq!(of(Some(&basic("demo:a"))), Err(Kind::InsufficientCredentials));
        assert_eq!(of(Some("Kinvey abc")), Err(Kind::InsufficientCredentials));
        for wrong in [None, Some("Basic"), Some("Basic %%%"), Some(basic("demo:x").as_str()), Some(&basic("other:m"))] {
            assert_eq!(of(wrong), Err(Kind::InvalidCredentials), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn nothing_and_nonsense_are_invalid() {
        for header in [None, Some("Basic"), Some("Basic %%%"), Some("Bearer abc"), Some("Basic YQ==")] {
            assert_eq!(of(header, json!({})).await, Err(Kind::InvalidCredentials), "{header:?}");
        }
    }

    #[tokio::test]
    async fn a_password_is_refused_where_the_app_names_no_address_to_ask() {
        assert_eq!(of(Some(&basic("mira:pass")), json!({})).await, Err(Kind::InvalidCredentials));
        let plain = json!({"verify_url": "http://example.com/"});
        assert_eq!(of(Some(&basic("mira:pass")), plain).await, Err(Kind::MissingConfiguration));
        let closed = json!({"verify_url": "http://127.0.0.1:1/"});
        assert_eq!(of(Some(&basic("mira:pass")), closed).await, Err(Kind::KinveyInternalErrorRetry));
    }
}
