//! Signatures after the Standard Webhooks specification, its symmetric scheme `v1`: HMAC-SHA256 over `<id>.<seconds>.<body>`.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use ring::hmac;
use serde::Deserialize;

use crate::app::Secret;
use crate::time::Timestamp;

/// What a key begins with.
const PREFIX: &str = "whsec_";
/// The bytes of a key (specification, "Signature scheme").
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Keys are written with padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is whsec_ and 24 to 64 bytes in base64")]
pub struct KeyError;

/// A key that posts are signed with, perhaps until a point in time. Never shown.
#[derive(Clone, Deserialize)]
#[serde(try_from = "Secret")]
pub struct SigningKey {
    key: hmac::Key,
    until: Option<Timestamp>,
}

impl TryFrom<Secret> for SigningKey {
    type Error = KeyError;

    fn try_from(secret: Secret) -> Result<Self, KeyError> {
        let text = secret.expose().strip_prefix(PREFIX).ok_or(KeyError)?;
        let bytes = BASE64.decode(text).map_err(|_| KeyError)?;
        if !BYTES.contains(&bytes.len()) {
            return Err(KeyError);
        }
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), until: secret.until() })
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

/// The value of `webhook-signature`: a signature by each of `keys` that is valid at `now`, in their order, so that a receiver may have any
/// of them. `None` when none is valid.
#[must_use]
pub fn signatures(keys: &[SigningKey], id: &str, now: Timestamp, body: &[u8]) -> Option<String> {
    let valid = keys.iter().filter(|key| key.until.is_none_or(|until| now < until));
    let signed = valid.map(|key| {
        let mut signing = hmac::Context::with_key(&key.key);
        signing.update(format!("{id}.{}.", now.as_secs()).as_bytes());
        signing.update(body);
        format!("v1,{}", STANDARD.encode(signing.sign()))
    });
    let signed: Vec<String> = signed.collect();
    (!signed.is_empty()).then(|| signed.join(" "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn keys(json: &str) -> Result<Vec<SigningKey>, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The example of the specification's reference libraries.
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: Timestamp = Timestamp::from_millis(1_614_265_330_000);

    #[test]
    fn the_specification_s_example_is_signed_as_it_says() {
        let keys = keys(&format!("[{KEY:?}]")).unwrap();
        let signed = signatures(&keys, ID, AT, br#"{"test": 2432232314}"#).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let later = signatures(&keys, ID, Timestamp::from_millis(1_614_265_331_000), br#"{"test": 2432232314}"#);
        assert_ne!(later.unwrap(), signed);
    }

    #[test]
    fn every_valid_key_signs_and_the_first_one_first() {
        let other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let two = keys(&format!(r#"[{other:?}, {{"value": {KEY:?}, "until": 1614265330001}}]"#)).unwrap();
        let one = keys(&format!(r#"[{other:?}, {{"value": {KEY:?}, "until": 1614265330000}}]"#)).unwrap();
        let (two, one) = (signatures(&two, ID, AT, b"x").unwrap(), signatures(&one, ID, AT, b"x").unwrap());
        assert_eq!((two.split(' ').count(), two.split(' ').next()), (2, Some(one.as_str())));
        let none = keys(&format!(r#"[{{"value": {KEY:?}, "until": 1}}]"#)).unwrap();
        assert_eq!(signatures(&none, ID, AT, b"x"), None);
        assert_eq!(signatures(&[], ID, AT, b"x"), None);
    }

    #[test]
    fn a_key_has_24_to_64_bytes_and_is_never_shown() {
        let of = |bytes: usize| format!("[\"whsec_{}\"]", STANDARD.encode(vec![7; bytes]));
        assert!(keys(&of(24)).is_ok() && keys(&of(64)).is_ok());
        for wrong in [of(23), of(65), of(0), "[\"s3cret\"]".to_owned(), "[\"whsec_s3cret!\"]".to_owned()] {
            let error = keys(&wrong).unwrap_err().to_string();
            assert!(error.starts_with("a key is whsec_") && !error.contains("s3cret"), "{error}");
        }
        assert!(!format!("{:?}", keys(&of(32)).unwrap()).contains("BwcH"));
    }
}
