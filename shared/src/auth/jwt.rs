//! JSON web tokens: those that users call with, and those that we sign towards Google and Apple.
//!
//! The signatures are `ring`'s, which TLS brings anyway; the `jsonwebtoken` crate does the form. The algorithm is always the
//! key's: what a token's header asks for is compared with it and chooses nothing, so a public key never serves as a secret.

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::rand::SystemRandom;
use ring::{hmac, signature};
use serde_json::Value;

use crate::app::UserKey;
use crate::time::Timestamp;

/// How far the signer's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(60);

/// Why a token is refused, or could not be signed. Never holds a part of the token.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` lies ahead.
    #[error("the token is not valid yet")]
    NotYet,
    /// None of the keys made this signature, or the token names an algorithm that none of them is for.
    #[error("the token's signature is not by one of the app's keys")]
    Signature,
    /// Not three parts of base64 with JSON in them, or an extension that must be understood and is not.
    #[error("the token is malformed")]
    Malformed,
    /// A claim is not there, or is not what it should be.
    #[error("the token's claim `{0}` is missing or unusable")]
    Claim(&'static str),
    /// The app's own key cannot be used: not PEM of its kind, or shorter than its algorithm allows.
    #[error("the key is unusable")]
    Key(#[source] Option<jsonwebtoken::errors::Error>),
}

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Acts for themselves.
    User,
    /// Acts for the app.
    Admin,
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The app that the token is for. Its keys verified it; whoever looked the keys up by [`unverified_app`] need not compare.
    pub app: String,
    /// The user.
    pub sub: String,
    /// What they may do.
    pub role: Role,
}

/// The app that a token says it is for, to look up the keys that it is to be verified with. Nothing else follows from it.
#[must_use]
pub fn unverified_app(token: &str) -> Option<String> {
    // As a tree and not as a struct, like in `verify`: both then take the same one of two `app` members.
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    claims.get("app")?.as_str().map(str::to_owned)
}

/// Verifies `token` with the app's keys. `exp` is required, `nbf` is heeded, both with a minute of leeway.
///
/// # Errors
/// When no key verifies it, when it is not valid at `now`, or when a claim is missing.
pub fn verify(keys: &[UserKey], token: &str, now: Timestamp) -> Result<Claims, JwtError> {
    install();
    let header = jsonwebtoken::decode_header(token).map_err(|_| JwtError::Malformed)?;
    if header.crit.is_some() {
        return Err(JwtError::Malformed);
    }
    let mut refused = JwtError::Signature;
    for key in keys {
        let (algorithm, secret) = parts(key);
        if algorithm != header.alg || !secret.matches(secret.expose(), now) {
            continue;
        }
        match verify_with(key, algorithm, secret.expose().as_bytes(), token) {
            Ok(claims) => return check(&claims, now),
            Err(error @ JwtError::Key(_)) => refused = error,
            Err(JwtError::Signature) => {}
            Err(error @ (JwtError::Expired | JwtError::NotYet | JwtError::Malformed | JwtError::Claim(_))) => {
                return Err(error);
            }
        }
    }
    Err(refused)
}

fn parts(key: &UserKey) -> (Algorithm, &crate::app::Secret) {
    match key {
        UserKey::HS256 { key } => (Algorithm::HS256, key),
        UserKey::HS384 { key } => (Algorithm::HS384, key),
        UserKey::HS512 { key } => (Algorithm::HS512, key),
        UserKey::RS256 { key } => (Algorithm::RS256, key),
        UserKey::ES256 { key } => (Algorithm::ES256, key),
    }
}

fn verify_with(kind: &UserKey, algorithm: Algorithm, key: &[u8], token: &str) -> Result<Value, JwtError> {
    let key = match kind {
        UserKey::RS256 { .. } => DecodingKey::from_rsa_pem(key).map_err(|error| JwtError::Key(Some(error)))?,
        UserKey::ES256 { .. } => DecodingKey::from_ec_pem(key).map_err(|error| JwtError::Key(Some(error)))?,
        UserKey::HS256 { .. } | UserKey::HS384 { .. } | UserKey::HS512 { .. } => {
            // RFC 7518, 3.2: a key at least as long as the hash.
            if hash_of(algorithm).is_none_or(|hash| key.len() < hash.digest_algorithm().output_len()) {
                return Err(JwtError::Key(None));
            }
            DecodingKey::from_secret(key)
        }
    };
    // The crate would read the clock: times are checked by `check`, against the caller's.
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<Value>(token, &key, &validation).map(|data| data.claims).map_err(|error| {
        if matches!(error.kind(), ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm) {
            JwtError::Signature
        } else {
            JwtError::Malformed
        }
    })
}

fn check(claims: &Value, now: Timestamp) -> Result<Claims, JwtError> {
    // NumericDate: seconds, and fractions are allowed (RFC 7519, 2).
    let seconds = |name: &'static str| match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(JwtError::Claim(name)),
    };
    let text = |name: &'static str| {
        let text = claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or(JwtError::Claim(name))
    };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay below 2^53 for 280,000 years")]
    let now = now.as_millis() as f64 / 1000.0;
    if now >= seconds("exp")?.ok_or(JwtError::Claim("exp"))? + LEEWAY.as_secs_f64() {
        return Err(JwtError::Expired);
    }
    if seconds("nbf")?.is_some_and(|from| now < from - LEEWAY.as_secs_f64()) {
        return Err(JwtError::NotYet);
    }
    let role = match text("role")? {
        "user" => Role::User,
        "admin" => Role::Admin,
        _ => return Err(JwtError::Claim("role")),
    };
    Ok(Claims { app: text("app")?.to_owned(), sub: text("sub")?.to_owned(), role })
}

/// A token of `claims`, signed with HMAC-SHA-256.
#[must_use]
pub fn sign_hs256(key: &[u8], claims: &Value) -> String {
    let mut token = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(tag, &mut token);
    token
}

/// A token of `claims`, signed with an RSA key in PEM (Google's service accounts). `kid` names the key.
///
/// # Errors
/// When the key is not a usable RSA key.
pub fn sign_rs256(pem: &str, kid: Option<&str>, claims: &Value) -> Result<String, JwtError> {
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|error| JwtError::Key(Some(error)))?;
    sign(Algorithm::RS256, &key, kid, claims)
}

/// A token of `claims`, signed with a P-256 key in PKCS#8 PEM (Apple's `.p8` files). `kid` names the key.
///
/// # Errors
/// When the key is not a usable P-256 key.
pub fn sign_es256(pem: &str, kid: Option<&str>, claims: &Value) -> Result<String, JwtError> {
    let key = EncodingKey::from_ec_pem(pem.as_bytes()).map_err(|error| JwtError::Key(Some(error)))?;
    sign(Algorithm::ES256, &key, kid, claims)
}

fn sign(algorithm: Algorithm, key: &EncodingKey, kid: Option<&str>, claims: &Value) -> Result<String, JwtError> {
    install();
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, key).map_err(|error| JwtError::Key(Some(error)))
}

/// Gives the crate our signatures, once per process. Somebody else's earlier choice would stay, and ours be dropped: the crate is
/// built without any.
fn install() {
    static ONCE: OnceLock<()> = OnceLock::new();
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| Ok(Box::new(Ring::new(*algorithm, key.as_bytes())?)),
        verifier_factory: |algorithm, key| Ok(Box::new(Ring::new(*algorithm, key.try_get_as_bytes()?)?)),
        key_utils: KeyUtils::new_unimplemented(),
    };
    ONCE.get_or_init(|| {
        let _ = PROVIDER.install_default();
    });
}

/// The hash of an HMAC algorithm.
fn hash_of(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    let hashes = [
        (Algorithm::HS256, hmac::HMAC_SHA256),
        (Algorithm::HS384, hmac::HMAC_SHA384),
        (Algorithm::HS512, hmac::HMAC_SHA512),
    ];
    hashes.into_iter().find(|(of, _)| *of == algorithm).map(|(_, hash)| hash)
}

/// A key of one algorithm, as ring takes it: a secret, PKCS#1, or what stands in PKCS#8 and SPKI.
struct Ring {
    algorithm: Algorithm,
    key: Vec<u8>,
}

impl Ring {
    fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, jsonwebtoken::errors::Error> {
        if hash_of(algorithm).is_none() && !matches!(algorithm, Algorithm::RS256 | Algorithm::ES256) {
            return Err(ErrorKind::UnsupportedAlgorithm.into());
        }
        Ok(Self { algorithm, key: key.to_vec() })
    }
}

/// ring does not say why, so that nobody learns it.
fn opaque<E>(_: E) -> SignatureError {
    SignatureError::new()
}

impl Signer<Vec<u8>> for Ring {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        if let Some(hash) = hash_of(self.algorithm) {
            return Ok(hmac::sign(&hmac::Key::new(hash, &self.key), message).as_ref().to_vec());
        }
        let random = SystemRandom::new();
        if self.algorithm == Algorithm::ES256 {
            let pair =
                signature::EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &self.key, &random)
                    .map_err(opaque)?;
            return Ok(pair.sign(&random, message).map_err(opaque)?.as_ref().to_vec());
        }
        let pair = signature::RsaKeyPair::from_der(&self.key).map_err(opaque)?;
        let mut out = vec![0; pair.public().modulus_len()];
        pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out).map_err(opaque)?;
        Ok(out)
    }
}

impl JwtSigner for Ring {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Ring {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        if let Some(hash) = hash_of(self.algorithm) {
            return hmac::verify(&hmac::Key::new(hash, &self.key), message, signature).map_err(opaque);
        }
        let verifier: &'static dyn signature::VerificationAlgorithm = if self.algorithm == Algorithm::ES256 {
            &signature::ECDSA_P256_SHA256_FIXED
        } else {
            &signature::RSA_PKCS1_2048_8192_SHA256
        };
        signature::UnparsedPublicKey::new(verifier, &self.key).verify(message, signature).map_err(opaque)
    }
}

impl JwtVerifier for Ring {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
pub(crate) mod tests;
