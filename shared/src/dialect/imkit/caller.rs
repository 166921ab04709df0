//! IMKIT's credentials: `IM-API-KEY` for servers, `IM-Authorization` (older: `Authorization`) for a client's own app.

use std::sync::Arc;

use lambda_http::http::{HeaderMap, StatusCode};

use super::envelope::Failure;
use crate::app::{Callers, SecretDocuments};
use crate::auth::{api_key, user};
use crate::call;
use crate::id::{AppId, ClientId};
use crate::time::Timestamp;

const API_KEY: &str = "im-api-key";
const USER_TOKEN: &str = "im-authorization";
const OLDER_USER_TOKEN: &str = "authorization";

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
    /// The app's own server, for any client.
    Server,
    /// A client, for themself.
    Client(ClientId),
}

/// What the headers hold, before anything is verified.
#[derive(Debug, PartialEq, Eq)]
enum Given<'a> {
    Key(&'a str),
    Token(&'a str),
    Nothing,
}

fn given(headers: &HeaderMap) -> Given<'_> {
    if let Some(key) = call::header(headers, API_KEY) {
        return Given::Key(key);
    }
    let token = call::header(headers, USER_TOKEN).or_else(|| call::header(headers, OLDER_USER_TOKEN));
    token.map_or(Given::Nothing, |token| {
        let bare = token.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        Given::Token(bare.map_or(token, |(_, rest)| rest.trim()))
    })
}

/// Finds out who calls. An API key goes before a user token: who sends both is a server.
///
/// # Errors
/// When there are no credentials, they are wrong, or the app's keys cannot be read.
pub async fn authenticate(
    documents: &SecretDocuments<Callers>,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Caller, Failure> {
    let given = given(headers);
    let app = match given {
        Given::Key(key) => api_key::app(key).ok_or_else(invalid_key)?,
        Given::Token(token) => user::app(token).ok_or_else(invalid_token)?,
        Given::Nothing => {
            return Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                "MISSING_CREDENTIALS",
                "send the header IM-API-KEY, or IM-Authorization with a user token",
            ));
        }
    };
    let callers = documents.get(&app).await.map_err(|error| {
        tracing::error!(app = %app, error = %error, "the app's callers could not be read");
        unavailable()
    })?;
    // An app that does not exist is told as a wrong key: who is an app's customer is nobody's business.
    let callers = callers.unwrap_or_else(|| Arc::new(Callers::default()));
    let who = match given {
        Given::Key(key) if api_key::is_valid(&callers, key, now) => Who::Server,
        Given::Key(_) | Given::Nothing => return Err(invalid_key()),
        Given::Token(token) => Who::Client(user::verify(&callers, &app, token, now).map_err(|_| invalid_token())?),
    };
    Ok(Caller { app, who })
}

fn invalid_key() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "INVALID_API_KEY", "the header IM-API-KEY holds no valid key")
}

fn invalid_token() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "INVALID_TOKEN", "the user token is not valid, or has ended")
}

/// The failure of a call that may work later.
#[must_use]
pub fn unavailable() -> Failure {
    Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "UNAVAILABLE",
        "the service is in trouble; please make the call again",
    )
}

impl Caller {
    /// Whom a call is for, given the `clientId` that it names: a server must name one, a client may name themself only.
    ///
    /// # Errors
    /// When a server names nobody, a client somebody else, or the name is not usable.
    pub fn client(&self, named: Option<&str>) -> Result<ClientId, Failure> {
        match (&self.who, named) {
            (Who::Server, None) => Err(Failure::new(
                StatusCode::BAD_REQUEST,
                "MISSING_PARAMETER",
                "clientId is missing: an API key names the client",
            )),
            (Who::Server, Some(named)) => client_id("clientId", named),
            (Who::Client(own), Some(named)) if named != own.as_str() => {
                Err(Failure::new(StatusCode::FORBIDDEN, "FORBIDDEN", "clientId is not the client of this token"))
            }
            (Who::Client(own), _) => Ok(own.clone()),
        }
    }
}

/// A client's id out of the field `name`.
pub(super) fn client_id(name: &str, text: &str) -> Result<ClientId, Failure> {
    ClientId::parse(text)
        .map_err(|rule| Failure::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER", format!("{name} {rule}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_key_goes_before_a_token_and_the_newer_header_before_the_older() {
        let all = headers(&[("im-api-key", "demo.k"), ("im-authorization", "t1"), ("authorization", "t2")]);
        assert_eq!(given(&all), Given::Key("demo.k"));
        let tokens = headers(&[("im-authorization", "t1"), ("authorization", "t2"), ("im-client-key", "c")]);
        assert_eq!(given(&tokens), Given::Token("t1"));
        assert_eq!(given(&headers(&[("authorization", "Bearer  t2")])), Given::Token("t2"));
        assert_eq!(given(&headers(&[("authorization", "t2")])), Given::Token("t2"));
        assert_eq!(given(&headers(&[("im-api-key", " ")])), Given::Nothing);
    }

    #[test]
    fn a_server_names_the_client_and_a_client_nobody_else() {
        let app = AppId::parse("demo").unwrap();
        let server = Caller { app: app.clone(), who: Who::Server };
        assert_eq!(server.client(Some("u1")).unwrap().as_str(), "u1");
        assert_eq!(server.client(None).unwrap_err().code(), "MISSING_PARAMETER");
        assert_eq!(server.client(Some("a\u{1}")).unwrap_err().code(), "INVALID_PARAMETER");
        let own = Caller { app, who: Who::Client(ClientId::parse("u1").unwrap()) };
        assert_eq!(own.client(None).unwrap().as_str(), "u1");
        assert_eq!(own.client(Some("u1")).unwrap().as_str(), "u1");
        assert_eq!(own.client(Some("u2")).unwrap_err().status(), StatusCode::FORBIDDEN);
    }
}
