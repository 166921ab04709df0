//! Lanying's credentials: the headers `app_id` (or `app-id`) and `access-token`, a JWT whose role is user or admin. With an admin's
//! token the header `user_id` says as whom it acts, and `group_id` as admin of which group (the Chinese original of its push page; the
//! English one says otherwise). Groups are the chat server's: nothing here depends on one.

use std::sync::Arc;

use lambda_http::http::HeaderMap;

use super::envelope::{Code, Failure};
use crate::app::{Callers, SecretDocuments};
use crate::auth::jwt::{self, JwtError, Role};
use crate::call;
use crate::id::{AppId, ClientId};
use crate::time::Timestamp;

const APP: [&str; 2] = ["app_id", "app-id"];
const TOKEN: &str = "access-token";
const USER: [&str; 2] = ["user_id", "user-id"];
const GROUP: [&str; 2] = ["group_id", "group-id"];

/// Who calls, and for which app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The app.
    pub app: AppId,
    /// Whose part.
    pub who: Who,
}

/// Whose part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The app's own server.
    Admin {
        /// Its token's `sub`: what the app calls its server or who works at its console. No user's id, and no secret.
        sub: String,
        /// As whom it acts, if not as itself.
        user: Option<ClientId>,
    },
    /// A user, as themself.
    User(ClientId),
}

/// Why a token is refused. Holds no part of it.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Token(#[from] JwtError),
    #[error("the token is for another app")]
    OtherApp,
    #[error("the token's claim `sub` is no user's id")]
    User,
}

fn either<'a>(headers: &'a HeaderMap, names: [&str; 2]) -> Option<&'a str> {
    names.into_iter().find_map(|name| call::header(headers, name))
}

/// The app that a call says it is for. Nothing is verified yet.
///
/// # Errors
/// When the header is missing, or holds what is no app's name.
pub fn app(headers: &HeaderMap) -> Result<AppId, Failure> {
    let named = either(headers, APP).ok_or_else(|| Failure::new(Code::BadParameter, "the header app_id is missing"))?;
    AppId::parse(named).map_err(|_| no_app())
}

/// Finds out who calls for `app`.
///
/// # Errors
/// When there is no token, it is not valid for the app, the app is not known, its keys cannot be read, or a user would act as another.
pub async fn authenticate(
    documents: &SecretDocuments<Callers>,
    app: AppId,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Caller, Failure> {
    let token = call::header(headers, TOKEN);
    let token = token.ok_or_else(|| Failure::new(Code::NoToken, "the header access-token is missing"))?;
    let callers: Option<Arc<Callers>> = documents.get(&app).await.map_err(|error| {
        tracing::error!(app = %app, error = %error, "the app's callers could not be read");
        unavailable()
    })?;
    let callers = callers.ok_or_else(no_app)?;
    let who = who(&callers, &app, token, either(headers, USER), now)?;
    if matches!(who, Who::User(_)) && either(headers, GROUP).is_some() {
        return Err(Failure::new(Code::NoPermission, "the header group_id takes an admin's token"));
    }
    Ok(Caller { app, who })
}

fn who(callers: &Callers, app: &AppId, token: &str, as_user: Option<&str>, now: Timestamp) -> Result<Who, Failure> {
    // The answer says the same of every token: whoever may know more reads the log.
    let refused = |reason: &Refused| {
        tracing::info!(app = %app, reason = %reason, "an access token was refused");
        Failure::new(Code::BadToken, "the access token is not valid, or has ended")
    };
    let claims = jwt::verify(&callers.user_keys, token, now).map_err(|error| refused(&error.into()))?;
    if claims.app != app.as_str() {
        return Err(refused(&Refused::OtherApp));
    }
    match claims.role {
        Role::Admin => {
            let user = as_user.map(ClientId::parse).transpose();
            let user = user.map_err(|rule| Failure::new(Code::BadParameter, format!("the header user_id {rule}")))?;
            Ok(Who::Admin { sub: claims.sub, user })
        }
        Role::User => {
            let own = ClientId::parse(claims.sub).map_err(|_| refused(&Refused::User))?;
            if as_user.is_some_and(|named| named != own.as_str()) {
                return Err(Failure::new(Code::NoPermission, "the header user_id takes an admin's token"));
            }
            Ok(Who::User(own))
        }
    }
}

impl Caller {
    /// The `sub` of the app's own server, or the refusal of a user.
    ///
    /// # Errors
    /// When it is a user.
    pub fn admin(&self) -> Result<&str, Failure> {
        match &self.who {
            Who::Admin { sub, .. } => Ok(sub),
            Who::User(_) => Err(Failure::new(Code::NoPermission, "this call takes an admin's token")),
        }
    }

    /// The user that a call is about, where it must be about one.
    ///
    /// # Errors
    /// When an admin acts as nobody.
    pub fn user(&self) -> Result<&ClientId, Failure> {
        match &self.who {
            Who::User(user) | Who::Admin { user: Some(user), .. } => Ok(user),
            Who::Admin { user: None, .. } => {
                let rule = "the header user_id is missing: an admin's token says as whom it acts";
                Err(Failure::new(Code::BadParameter, rule))
            }
        }
    }
}

/// Whether a caller may register `user` for push: users themselves, admins anybody.
///
/// # Errors
/// When it is a user who names another, or an admin who acts as another.
pub fn may_register(caller: &Caller, user: &ClientId) -> Result<(), Failure> {
    match &caller.who {
        Who::Admin { user: None, .. } => Ok(()),
        Who::Admin { user: Some(named), .. } | Who::User(named) if named == user => Ok(()),
        Who::Admin { user: Some(_), .. } => {
            Err(Failure::new(Code::BadParameter, "username is not the user of the header user_id"))
        }
        Who::User(_) => Err(Failure::new(Code::NoPermission, "username is another user than the access token's")),
    }
}

fn no_app() -> Failure {
    Failure::new(Code::NoApp, "there is no app with this app_id")
}

/// The failure of a call that may work later.
#[must_use]
pub fn unavailable() -> Failure {
    Failure::new(Code::Unavailable, "the service is in trouble; please make the call again")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const KEY: &str = "demo-user-key-0123456789abcdef0123456789ab";
    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn asks(app: &str, role: &str, as_user: Option<&str>) -> Result<Who, Code> {
        let callers: Callers =
            serde_json::from_str(&format!(r#"{{"user_keys": [{{"alg": "HS256", "key": "{KEY}"}}]}}"#)).unwrap();
        let claims = json!({"app": app, "sub": "u1", "role": role, "exp": NOW.as_secs() + 60});
        let token = jwt::sign_hs256(KEY.as_bytes(), &claims);
        who(&callers, &AppId::parse("demo").unwrap(), &token, as_user, NOW).map_err(|failure| failure.code())
    }

    fn client(id: &str) -> ClientId {
        ClientId::parse(id).unwrap()
    }

    #[test]
    fn a_user_acts_as_themself_and_as_nobody_else() {
        assert_eq!(asks("demo", "user", None), Ok(Who::User(client("u1"))));
        assert_eq!(asks("demo", "user", Some("u1")), Ok(Who::User(client("u1"))));
        assert_eq!(asks("demo", "user", Some("u2")), Err(Code::NoPermission));
    }

    #[test]
    fn an_admin_acts_as_whom_they_name() {
        let admin = |user| Who::Admin { sub: "u1".to_owned(), user };
        assert_eq!(asks("demo", "admin", Some("u2")), Ok(admin(Some(client("u2")))));
        assert_eq!(asks("demo", "admin", None), Ok(admin(None)));
        let nobody = Caller { app: AppId::parse("demo").unwrap(), who: asks("demo", "admin", None).unwrap() };
        assert_eq!(nobody.user().unwrap_err().code(), Code::BadParameter);
        assert_eq!(asks("demo", "admin", Some("a\u{1}")), Err(Code::BadParameter));
    }

    #[test]
    fn what_is_the_server_s_is_refused_to_users() {
        let caller = |role| Caller { app: AppId::parse("demo").unwrap(), who: asks("demo", role, None).unwrap() };
        assert_eq!(caller("admin").admin(), Ok("u1"));
        assert_eq!(caller("user").admin().unwrap_err().code(), Code::NoPermission);
    }

    #[test]
    fn a_token_of_another_app_or_role_is_no_token() {
        assert_eq!(asks("other", "admin", None), Err(Code::BadToken));
        assert_eq!(asks("demo", "owner", None), Err(Code::BadToken));
    }

    #[test]
    fn the_app_s_header_has_two_spellings() {
        let headers =
            |name: &'static str, value: &str| HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        assert_eq!(app(&headers("app_id", "demo")).unwrap().as_str(), "demo");
        assert_eq!(app(&headers("app-id", "demo")).unwrap().as_str(), "demo");
        assert_eq!(app(&HeaderMap::new()).unwrap_err().code(), Code::BadParameter);
        assert_eq!(app(&headers("app_id", "a#b")).unwrap_err().code(), Code::NoApp);
    }
}
