//! Google access tokens for a service account: a signed assertion is exchanged for a token of an hour (RFC 7523).

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::http2::{Address, Answer, Pool, SendError};
use super::{Class, Verdict};
use crate::app::ServiceAccount;
use crate::auth::jwt::{self, JwtError};
use crate::time::Timestamp;

/// What the token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// An assertion may be valid for an hour at most.
const ASSERTION: Duration = Duration::from_secs(60 * 60);
/// A token is renewed so long before its end.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// When the renewal fails, the old one serves until so long before its end.
const LATEST: Duration = Duration::from_secs(30);
/// How long one fetch may take: less than a send, which then goes on with the old token if there is one.
const FETCH: Duration = Duration::from_secs(2);
/// After a failure nobody asks again for so long: after trouble on the way, and after a refusal.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// Why there is no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OauthError {
    /// The service account's private key can not sign.
    #[error("the service account's key is unusable")]
    Key(#[source] Arc<JwtError>),
    /// The service account's token address is none.
    #[error("the token address is not usable")]
    Address,
    /// The account or the assertion was refused.
    #[error("the service account was refused: {code}")]
    Refused {
        /// RFC 6749's word (`invalid_grant`).
        code: &'static str,
    },
    /// An answer that is in no table.
    #[error("the token service answered {status}, for no reason that is known")]
    Unrecognised {
        /// The HTTP status.
        status: StatusCode,
    },
    /// Passing trouble at the other side.
    #[error("the token service answered {status}")]
    Busy {
        /// The HTTP status.
        status: StatusCode,
        /// Its `Retry-After`.
        after: Option<Duration>,
    },
    /// No answer.
    #[error("the token service did not answer")]
    Unreachable(#[source] Arc<SendError>),
    /// An answer without a token in it.
    #[error("the token service's answer is not understood")]
    Answer,
}

impl OauthError {
    /// What it means for the send that wanted the token.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let retry = |after| Class::Retry { after };
        match self {
            Self::Key(_) => Verdict::new(Class::Misconfigured, "oauth_key"),
            Self::Address => Verdict::new(Class::Misconfigured, "oauth_address"),
            Self::Refused { code } => Verdict::new(Class::Misconfigured, code),
            Self::Unrecognised { status } => {
                Verdict { class: Class::Unrecognised, code: Cow::Owned(format!("oauth_http_{}", status.as_u16())) }
            }
            Self::Busy { after, .. } => Verdict::new(retry(*after), "oauth_busy"),
            Self::Unreachable(_) => Verdict::new(retry(None), "oauth_unreachable"),
            Self::Answer => Verdict::new(retry(None), "oauth_answer"),
        }
    }

    fn pause(&self) -> Duration {
        match self {
            Self::Busy { after: Some(after), .. } => *after,
            Self::Busy { after: None, .. } | Self::Unreachable(_) | Self::Answer => PAUSE.0,
            Self::Key(_) | Self::Address | Self::Refused { .. } | Self::Unrecognised { .. } => PAUSE.1,
        }
    }
}

/// A token as the `authorization` header's value. Without `Debug`: whoever holds it can send.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer(HeaderValue);

impl Bearer {
    /// The header's value. Not marked sensitive: `h2` puts it into no compression table either way.
    #[must_use]
    pub const fn value(&self) -> &HeaderValue {
        &self.0
    }
}

/// One service account and its token of now.
pub struct Account {
    account: ServiceAccount,
    state: Mutex<State>,
    /// Held while a token is fetched: one fetch at a time.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    token: Option<(Bearer, Timestamp)>,
    /// Why, when, and for how long nobody asks again.
    failed: Option<(OauthError, Timestamp, Duration)>,
    /// Fetches that came to an end.
    fetches: u64,
    /// When a token was last thrown away because it was refused.
    refused_at: Option<Timestamp>,
}

impl State {
    /// What can be said without asking; else how many fetches there were.
    fn known(&self, now: Timestamp) -> Result<Result<Bearer, OauthError>, u64> {
        let valid =
            |margin| self.token.as_ref().filter(|(_, end)| now.plus(margin) < *end).map(|(token, _)| token.clone());
        if let Some(token) = valid(EARLY) {
            return Ok(Ok(token));
        }
        match &self.failed {
            Some((error, at, pause)) if apart(now, *at) < *pause => Ok(valid(LATEST).ok_or_else(|| error.clone())),
            Some(_) | None => Err(self.fetches),
        }
    }
}

/// How far two points are apart: records that come again bring times back.
fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

impl Account {
    /// An account whose token is fetched when it is first asked for.
    #[must_use]
    pub fn new(account: ServiceAccount) -> Self {
        Self { account, state: Mutex::new(State::default()), turn: tokio::sync::Mutex::new(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token of now. While one is fetched everybody else waits for it, and for its failure too.
    ///
    /// # Errors
    /// When there is none and none can be had.
    pub async fn bearer(&self, pool: &Pool, now: Timestamp) -> Result<Bearer, OauthError> {
        let fetches = match self.lock().known(now) {
            Ok(known) => return known,
            Err(fetches) => fetches,
        };
        let _turn = self.turn.lock().await;
        if let state = self.lock()
            && state.fetches != fetches
            && let Ok(known) = state.known(now)
        {
            return known;
        }
        let result = self.fetch(pool, now).await;
        let mut state = self.lock();
        state.fetches += 1;
        match result {
            Ok((token, end)) => {
                state.token = Some((token.clone(), end));
                state.failed = None;
                Ok(token)
            }
            Err(error) => {
                tracing::warn!(project = %self.account.project_id, error = %error, metric = "no_access_token", "no access token");
                state.failed = Some((error.clone(), now, error.pause()));
                state.known(now).unwrap_or(Err(error))
            }
        }
    }

    /// `token` was refused (401): the next call fetches a new one. Once per token, and once in half a minute: an account whose fresh
    /// tokens are refused as well is out of order.
    pub fn refused(&self, token: &Bearer, now: Timestamp) {
        let mut state = self.lock();
        if state.token.as_ref().is_none_or(|(current, _)| current != token) {
            return;
        }
        state.token = None;
        if state.refused_at.is_some_and(|at| apart(now, at) < PAUSE.1) {
            let error = OauthError::Refused { code: "UNAUTHENTICATED" };
            state.failed = Some((error, now, PAUSE.1));
        }
        state.refused_at = Some(now);
    }

    async fn fetch(&self, pool: &Pool, now: Timestamp) -> Result<(Bearer, Timestamp), OauthError> {
        let address = Address::parse(&self.account.token_uri).map_err(|_| OauthError::Address)?;
        let body = token_request(&self.account, now).map_err(|error| OauthError::Key(Arc::new(error)))?;
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))];
        let answer = pool
            .post(&address, &headers, Bytes::from(body), FETCH)
            .await
            .map_err(|error| OauthError::Unreachable(Arc::new(error)))?;
        read(&answer, now)
    }
}

/// The form that `account` asks for a token with, at its `token_uri`. Whoever has it can have the token.
///
/// # Errors
/// When the account's private key can not sign.
pub fn token_request(account: &ServiceAccount, now: Timestamp) -> Result<String, JwtError> {
    let claims = serde_json::json!({
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": now.as_secs(),
        "exp": now.plus(ASSERTION).as_secs(),
    });
    let assertion = jwt::sign_rs256(account.private_key.expose(), account.private_key_id.as_deref(), &claims)?;
    // The assertion is base64url and dots: nothing to escape.
    Ok(format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"))
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds. Google's are 3600; RFC 6749 does not require it to be told.
    #[serde(default = "hour")]
    expires_in: u64,
}

const fn hour() -> u64 {
    3600
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

/// What follows from a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Busy,
    Refused,
}

/// What the token service's answers mean, by HTTP status and by RFC 6749's `error` (5.2), which counts where it is known: Google says
/// `invalid_grant` with 400, `invalid_client` with 401. Whatever is not here is [`OauthError::Unrecognised`].
const TABLE: [(RangeInclusive<u16>, &str, Then); 11] = [
    (400..=499, "invalid_grant", Then::Refused),
    (400..=499, "invalid_client", Then::Refused),
    (400..=499, "invalid_request", Then::Refused),
    (400..=499, "invalid_scope", Then::Refused),
    (400..=499, "unauthorized_client", Then::Refused),
    (400..=499, "unsupported_grant_type", Then::Refused),
    // RFC 6749 has these two for authorization requests; Google answers them for disabled accounts and policies, too.
    (400..=499, "access_denied", Then::Refused),
    (400..=599, "temporarily_unavailable", Then::Busy),
    (408..=408, "", Then::Busy),
    (429..=429, "", Then::Busy),
    (500..=599, "", Then::Busy),
];

fn read(answer: &Answer, now: Timestamp) -> Result<(Bearer, Timestamp), OauthError> {
    let status = answer.status;
    if status == StatusCode::OK {
        let granted: Granted = serde_json::from_slice(&answer.body).map_err(|_| OauthError::Answer)?;
        let value = HeaderValue::try_from(format!("Bearer {}", granted.access_token));
        let end = now.plus(Duration::from_secs(granted.expires_in));
        return Ok((Bearer(value.map_err(|_| OauthError::Answer)?), end));
    }
    let denied = serde_json::from_slice::<Denied>(&answer.body).map(|denied| denied.error).unwrap_or_default();
    let row = TABLE.iter().find(|(of, word, _)| of.contains(&status.as_u16()) && (word.is_empty() || *word == denied));
    Err(match row {
        Some((_, _, Then::Busy)) => OauthError::Busy { status, after: answer.retry_after },
        Some((_, word, Then::Refused)) => OauthError::Refused { code: word },
        None => OauthError::Unrecognised { status },
    })
}

/// Every row, as the documentation shows it: statuses, code, class.
#[cfg(test)]
pub(super) fn rows() -> Vec<[String; 3]> {
    let rows = TABLE.iter().map(|(of, word, _)| {
        let statuses =
            if of.start() == of.end() { of.start().to_string() } else { format!("{}-{}", of.start(), of.end()) };
        let status = StatusCode::from_u16(*of.start()).unwrap_or_default();
        let body = Bytes::from(serde_json::json!({ "error": word }).to_string());
        let class = read(&Answer { status, retry_after: None, body }, Timestamp::from_millis(0))
            .err()
            .map_or("granted", |error| error.verdict().class.as_str());
        [statuses, (*word).to_owned(), class.to_owned()]
    });
    rows.collect()
}
