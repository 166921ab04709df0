//! APNs as far as credentials go: who signs, for which team, for which topic. No phone is behind it, so every device token is one that
//! nobody has; what reaches phones goes through SNS.
//! Sources: developer.apple.com, "Establishing a token-based connection to APNs" and "Handling notification responses from APNs".

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::json_reply;
use super::oauth::part;
use crate::pem;
use crate::store::random_id;

/// How old a provider token may be, in seconds.
const LIFE: i64 = 3600;
/// How far a client's clock may be ahead, in seconds.
const SKEW: i64 = 300;
/// What Apple's key ids are made of.
const ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The fake Apple's signing keys; clones share them.
#[derive(Clone, Default)]
pub struct Apple(Arc<Mutex<Vec<SigningKey>>>);

struct SigningKey {
    key_id: String,
    team_id: String,
    topics: Vec<String>,
    public_key: Vec<u8>,
}

/// A signing key as its owner downloads it, once.
#[derive(Serialize)]
pub struct IssuedKey {
    /// Names it.
    pub key_id: String,
    /// Whose it is.
    pub team_id: String,
    /// The text of the `.p8` file.
    pub key: String,
}

/// No key could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no key could be made")]
pub struct NoKey;

/// What a call is refused for: APNs' word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    BadDeviceToken,
    BadTopic,
    MissingDeviceToken,
    MissingTopic,
    TopicDisallowed,
    ExpiredProviderToken,
    InvalidProviderToken,
    MissingProviderToken,
    MethodNotAllowed,
}

impl Reason {
    fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadDeviceToken => (StatusCode::BAD_REQUEST, "BadDeviceToken"),
            Self::BadTopic => (StatusCode::BAD_REQUEST, "BadTopic"),
            Self::MissingDeviceToken => (StatusCode::BAD_REQUEST, "MissingDeviceToken"),
            Self::MissingTopic => (StatusCode::BAD_REQUEST, "MissingTopic"),
            Self::TopicDisallowed => (StatusCode::BAD_REQUEST, "TopicDisallowed"),
            Self::ExpiredProviderToken => (StatusCode::FORBIDDEN, "ExpiredProviderToken"),
            Self::InvalidProviderToken => (StatusCode::FORBIDDEN, "InvalidProviderToken"),
            Self::MissingProviderToken => (StatusCode::FORBIDDEN, "MissingProviderToken"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
}

impl Apple {
    fn keys(&self) -> MutexGuard<'_, Vec<SigningKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a key of a team's, that may push to these topics.
    pub fn issue(&self, team_id: &str, topics: &[String]) -> Result<IssuedKey, NoKey> {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| NoKey)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random);
        let public_key = pair.map_err(|_| NoKey)?.public_key().as_ref().to_vec();
        let mut drawn = [0u8; 10];
        random.fill(&mut drawn).map_err(|_| NoKey)?;
        let key_id: String = drawn.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % 36])).collect();
        let (topics, team) = (topics.to_vec(), team_id.to_owned());
        self.keys().push(SigningKey { key_id: key_id.clone(), team_id: team.clone(), topics, public_key });
        Ok(IssuedKey { key_id, team_id: team, key: pem::write("PRIVATE KEY", der.as_ref()) })
    }

    /// Knows a key that was made before, with one more topic; false when the text is no key.
    pub fn know(&self, key_id: &str, team_id: &str, topic: &str, p8: &str) -> bool {
        let Some(public_key) = pem::signing_key(p8) else { return false };
        let mut keys = self.keys();
        match keys.iter_mut().find(|key| key.key_id == key_id && key.public_key == public_key) {
            Some(known) => known.topics.push(topic.to_owned()),
            None => keys.push(SigningKey {
                key_id: key_id.to_owned(),
                team_id: team_id.to_owned(),
                topics: vec![topic.to_owned()],
                public_key,
            }),
        }
        true
    }

    /// Takes a key back for good; false when there is none of the name.
    pub fn revoke(&self, key_id: &str) -> bool {
        let mut keys = self.keys();
        let before = keys.len();
        keys.retain(|key| key.key_id != key_id);
        keys.len() < before
    }

    /// Whether who signs with this key may push to the topic.
    pub(crate) fn takes(&self, key_id: &str, team_id: &str, topic: &str, public_key: &[u8]) -> bool {
        self.keys().iter().any(|key| {
            key.key_id == key_id
                && key.team_id == team_id
                && key.public_key == public_key
                && key.topics.iter().any(|own| own == topic)
        })
    }

    /// Answers a push. `token` is what stands in the path; `now` is in seconds since 1970.
    pub(super) fn push(&self, method: &Method, token: &str, headers: &HeaderMap, now: i64) -> Response<Full<Bytes>> {
        let (status, reason) = self.refuse(method, token, headers, now).parts();
        let mut reply = json_reply(status, &json!({ "reason": reason }));
        let id = headers.get("apns-id").cloned();
        let id = id.or_else(|| HeaderValue::try_from(random_id()).ok());
        if let Some(id) = id {
            reply.headers_mut().insert(HeaderName::from_static("apns-id"), id);
        }
        reply
    }

    fn refuse(&self, method: &Method, token: &str, headers: &HeaderMap, now: i64) -> Reason {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if *method != Method::POST {
            return Reason::MethodNotAllowed;
        }
        let Some(bearer) = text(AUTHORIZATION.as_str()) else { return Reason::MissingProviderToken };
        let bearer = bearer.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, bearer)) = bearer else { return Reason::MissingProviderToken };
        let topics = match self.signer(bearer, now) {
            Ok(topics) => topics,
            Err(reason) => return reason,
        };
        let topic = text("apns-topic").unwrap_or_default();
        if topic.is_empty() {
            return Reason::MissingTopic;
        }
        if !topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')) {
            return Reason::BadTopic;
        }
        if !topics.iter().any(|own| own == topic) {
            return Reason::TopicDisallowed;
        }
        // One that is well formed is refused by the same word: nobody has it.
        if token.is_empty() { Reason::MissingDeviceToken } else { Reason::BadDeviceToken }
    }

    /// The topics of the key that signed a provider token.
    fn signer(&self, token: &str, now: i64) -> Result<Vec<String>, Reason> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Reason::InvalidProviderToken)?;
        let (header, claims) = signed.split_once('.').ok_or(Reason::InvalidProviderToken)?;
        let header: Header = part(header).ok_or(Reason::InvalidProviderToken)?;
        let claims: Claims = part(claims).ok_or(Reason::InvalidProviderToken)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Reason::InvalidProviderToken)?;
        let keys = self.keys();
        let signer = keys.iter().find(|key| {
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.public_key);
            header.alg == "ES256"
                && key.key_id == header.kid
                && key.team_id == claims.iss
                && public.verify(signed.as_bytes(), &signature).is_ok()
        });
        let signer = signer.filter(|_| claims.iat < now + SKEW).ok_or(Reason::InvalidProviderToken)?;
        if claims.iat <= now - LIFE {
            return Err(Reason::ExpiredProviderToken);
        }
        Ok(signer.topics.clone())
    }
}
