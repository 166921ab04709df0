//! Google's token endpoint for service accounts: an assertion signed with the account's key for an access token.
//! Sources: developers.google.com, "Using OAuth 2.0 for Server to Server Applications"; RFC 7523.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{json_reply, with_retry_after};
use crate::faults::Effect;
use crate::store::{Store, random_hex};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// The wider scope that covers messaging too.
const WIDE_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The life of an access token, in seconds.
const LIFE: i64 = 3600;
/// How far a client's clock may be off, in seconds.
const SKEW: i64 = 300;

/// The key file of the demo app's service account. `${VENDORS}` in it stands for the vendors' base URL.
pub const DEMO_SERVICE_ACCOUNT: &str = include_str!("../../demo/fcm-service-account.json");

/// A service account's key file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not a service account's JSON.
    #[error("the service account is not the JSON of one")]
    Json(#[from] serde_json::Error),
    /// Its key is not PEM with base64 in it.
    #[error("the private key is not PEM")]
    Pem(#[from] base64::DecodeError),
    /// Its key is not an RSA key in PKCS #8.
    #[error("the private key is not an RSA key in PKCS #8")]
    Key,
}

/// What the endpoint knows of a service account.
pub struct ServiceAccount {
    project: String,
    email: String,
    keys: Vec<Key>,
}

/// The public half of a key, and its name.
struct Key {
    id: Option<String>,
    public: Vec<u8>,
}

impl ServiceAccount {
    /// Reads a key file; of the private key only the public part is kept.
    pub fn read(key_file: &str) -> Result<Self, KeyError> {
        #[derive(Deserialize)]
        struct File {
            project_id: String,
            client_email: String,
            private_key_id: Option<String>,
            private_key: String,
        }
        let file: File = serde_json::from_str(key_file)?;
        let base64: String = file.private_key.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(base64)?;
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| KeyError::Key)?;
        let key = Key { id: file.private_key_id, public: pair.public_key().as_ref().to_vec() };
        Ok(Self { project: file.project_id, email: file.client_email, keys: vec![key] })
    }
}

/// Why a send call is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// No token, or one that is unknown, revoked or over.
    Unauthenticated,
    /// The token is of another project.
    Denied,
}

pub(super) struct OAuth {
    /// Whose clock tokens expire by.
    store: Store,
    audience: String,
    accounts: Mutex<Vec<ServiceAccount>>,
    tokens: Mutex<HashMap<String, Granted>>,
    issued: AtomicU64,
}

struct Granted {
    project: String,
    /// Seconds since 1970.
    expires: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    iat: i64,
    #[serde(default)]
    scope: String,
}

impl OAuth {
    pub(super) fn new(audience: String, accounts: Vec<ServiceAccount>, store: Store) -> Self {
        let oauth = Self {
            store,
            audience,
            accounts: Mutex::default(),
            tokens: Mutex::new(HashMap::new()),
            issued: AtomicU64::new(0),
        };
        accounts.into_iter().for_each(|account| oauth.know(account));
        oauth
    }

    fn accounts(&self) -> MutexGuard<'_, Vec<ServiceAccount>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn know(&self, account: ServiceAccount) {
        let mut accounts = self.accounts();
        match accounts.iter_mut().find(|known| known.email == account.email) {
            Some(known) => known.keys.extend(account.keys),
            None => accounts.push(account),
        }
    }

    /// A key file of a fresh service account. Its key is the demo's: ring makes no RSA keys, and what a key is known by here is its name.
    pub(super) fn add_account(&self, project_id: &str, token_uri: &str) -> Result<Value, KeyError> {
        let demo: Value = serde_json::from_str(DEMO_SERVICE_ACCOUNT)?;
        let email = format!("firebase-adminsdk-{}@{project_id}.iam.gserviceaccount.example", random_hex::<3>());
        let encoded: String = form_urlencoded::byte_serialize(email.as_bytes()).collect();
        let file = json!({
            "type": "service_account",
            "project_id": project_id,
            "private_key_id": random_hex::<20>(),
            "private_key": demo["private_key"],
            "client_email": email,
            "client_id": "000000000000000000000",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_uri,
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": format!("https://www.googleapis.com/robot/v1/metadata/x509/{encoded}"),
            "universe_domain": "googleapis.com",
        });
        self.know(ServiceAccount::read(&file.to_string())?);
        Ok(file)
    }

    pub(super) fn delete_account(&self, email: &str) -> bool {
        let mut accounts = self.accounts();
        let before = accounts.len();
        accounts.retain(|account| account.email != email);
        accounts.len() < before
    }

    pub(super) fn delete_key(&self, email: &str, id: &str) -> bool {
        let mut accounts = self.accounts();
        let Some(account) = accounts.iter_mut().find(|account| account.email == email) else { return false };
        let before = account.keys.len();
        account.keys.retain(|key| key.id.as_deref() != Some(id));
        account.keys.len() < before
    }

    pub(super) fn exchange(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let mut grant = None;
        let mut assertion = None;
        for (name, value) in form_urlencoded::parse(body) {
            match name.as_ref() {
                "grant_type" => grant = Some(value),
                "assertion" => assertion = Some(value),
                _ => {}
            }
        }
        if grant.as_deref() != Some(GRANT) {
            let text = "Invalid grant_type: the JWT bearer grant is the only one here";
            return error(StatusCode::BAD_REQUEST, "unsupported_grant_type", text);
        }
        let now = self.store.stamp() / 1000;
        match self.verify(assertion.as_deref().unwrap_or_default(), now) {
            Ok(project) => {
                let token = format!("ya29.local-{}", random_hex::<24>());
                let granted = Granted { project, expires: now + LIFE };
                let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                tokens.retain(|_, granted| granted.expires > now);
                tokens.insert(token.clone(), granted);
                self.issued.fetch_add(1, Ordering::Relaxed);
                let body = json!({"access_token": token, "expires_in": LIFE, "token_type": "Bearer"});
                json_reply(StatusCode::OK, &body)
            }
            Err((code, text)) => error(StatusCode::BAD_REQUEST, code, text),
        }
    }

    /// The project of the account that signed this assertion.
    fn verify(&self, assertion: &str, now: i64) -> Result<String, (&'static str, &'static str)> {
        let malformed = ("invalid_grant", "Invalid JWT: Failed to parse the assertion.");
        let (signed, signature) = assertion.rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(malformed)?;
        let header: Header = part(header).ok_or(malformed)?;
        let claims: Claims = part(claims).ok_or(malformed)?;
        if header.alg != "RS256" {
            return Err(("invalid_grant", "Invalid JWT: the algorithm must be RS256."));
        }
        let accounts = self.accounts();
        let account = accounts
            .iter()
            .find(|account| account.email == claims.iss)
            .ok_or(("invalid_grant", "Invalid grant: account not found"))?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed)?;
        // A key that was deleted still signs well: it is its name that is not known any more.
        let signs = |key: &Key| {
            (header.kid.is_none() || key.id.is_none() || key.id == header.kid)
                && UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.public)
                    .verify(signed.as_bytes(), &signature)
                    .is_ok()
        };
        if !account.keys.iter().any(signs) {
            return Err(("invalid_grant", "Invalid JWT Signature."));
        }
        if claims.aud != self.audience {
            return Err(("invalid_grant", "Invalid JWT: the audience is not this endpoint."));
        }
        let in_time = claims.exp > now - SKEW
            && claims.iat < now + SKEW
            && claims.exp - claims.iat <= LIFE
            && claims.exp > claims.iat;
        if !in_time {
            return Err((
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
            ));
        }
        if !claims.scope.split(' ').any(|scope| scope == SCOPE || scope == WIDE_SCOPE) {
            return Err(("invalid_scope", "Invalid OAuth scope or ID token audience provided."));
        }
        Ok(account.project.clone())
    }

    pub(super) fn check(&self, bearer: Option<&str>, project: &str) -> Result<(), Refused> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let granted = bearer
            .and_then(|token| tokens.get(token))
            .filter(|granted| granted.expires > self.store.stamp() / 1000)
            .ok_or(Refused::Unauthenticated)?;
        if granted.project == project { Ok(()) } else { Err(Refused::Denied) }
    }

    pub(super) fn revoke(&self) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }
}

/// A part of a JSON web token.
pub(super) fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&bytes).ok()
}

pub(super) fn error(status: StatusCode, code: &str, text: &str) -> Response<Full<Bytes>> {
    json_reply(status, &json!({"error": code, "error_description": text}))
}

/// The answer to a call that a fault kept from being done; none for effects that do not keep it.
pub(super) fn failed(effect: &Effect) -> Option<Response<Full<Bytes>>> {
    let busy = |status| error(status, "temporarily_unavailable", "Try again later.");
    match effect {
        Effect::Throttle => Some(busy(StatusCode::TOO_MANY_REQUESTS)),
        Effect::Error429 { retry_after } => Some(with_retry_after(busy(StatusCode::TOO_MANY_REQUESTS), *retry_after)),
        Effect::Error500 => Some(error(StatusCode::INTERNAL_SERVER_ERROR, "internal_failure", "Internal error.")),
        Effect::Error503 => Some(busy(StatusCode::SERVICE_UNAVAILABLE)),
        Effect::Unavailable { retry_after } => {
            Some(with_retry_after(busy(StatusCode::SERVICE_UNAVAILABLE), *retry_after))
        }
        Effect::Refuse => Some(error(StatusCode::BAD_REQUEST, "invalid_grant", "Invalid JWT Signature.")),
        Effect::Conflict
        | Effect::Unregistered
        | Effect::Hang
        | Effect::Cut
        | Effect::LoseAnswer
        | Effect::LoseAnswer500
        | Effect::Delay { .. }
        | Effect::FailEntries { .. }
        | Effect::Pass
        | Effect::Rewrite { .. }
        | Effect::Stale
        | Effect::Duplicate
        | Effect::KeepRecords
        | Effect::Reverse => None,
    }
}
