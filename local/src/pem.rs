//! Private keys and certificates in PEM: their public halves, and what a certificate says of itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pushbell::time::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use x509_parser::pem::Pem;

/// The user id in a subject: Apple writes an app's bundle id there.
const UID: &str = "0.9.2342.19200300.100.1.1";
/// Apple's extensions. Source: the certification practice statement of Apple's "Worldwide Developer Relations".
const FOR_DEVELOPMENT: &str = "1.2.840.113635.100.6.3.1";
const FOR_PRODUCTION: &str = "1.2.840.113635.100.6.3.2";

fn read(pem: &str) -> Option<Pem> {
    // What stands before it, such as OpenSSL's "Bag Attributes", is passed over.
    Pem::read(std::io::Cursor::new(pem)).ok().map(|(pem, _)| pem)
}

/// Bytes as PEM.
pub(crate) fn write(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// The public half of an Apple signing key (`.p8`): P-256 in PKCS #8.
pub(crate) fn signing_key(pem: &str) -> Option<Vec<u8>> {
    let pem = read(pem).filter(|pem| pem.label == "PRIVATE KEY")?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pem.contents, &SystemRandom::new());
    Some(pair.ok()?.public_key().as_ref().to_vec())
}

/// The public half of a certificate's private key: P-256 in PKCS #8, RSA in PKCS #8 or PKCS #1, without a password.
pub(crate) fn public_key(pem: &str) -> Option<Vec<u8>> {
    if let Some(key) = signing_key(pem) {
        return Some(key);
    }
    let pem = read(pem)?;
    let pair = match pem.label.as_str() {
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&pem.contents),
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(&pem.contents),
        _ => return None,
    };
    Some(pair.ok()?.public().as_ref().to_vec())
}

/// A certificate of Apple's for pushes, or any other.
pub(crate) struct Certificate {
    /// As [`public_key`] gives it.
    pub(crate) public_key: Vec<u8>,
    pub(crate) begins: Timestamp,
    pub(crate) ends: Timestamp,
    pub(crate) user_id: Option<String>,
    pub(crate) for_development: bool,
    pub(crate) for_production: bool,
}

impl Certificate {
    pub(crate) fn read(pem: &str) -> Option<Self> {
        let pem = read(pem).filter(|pem| pem.label == "CERTIFICATE")?;
        let certificate = pem.parse_x509().ok()?;
        let time = |seconds: i64| Timestamp::from_millis(u64::try_from(seconds).unwrap_or_default() * 1000);
        let user_id = certificate.subject().iter_attributes().find(|part| part.attr_type().to_id_string() == UID);
        let extends = |oid: &str| certificate.extensions().iter().any(|extension| extension.oid.to_id_string() == oid);
        Some(Self {
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
            begins: time(certificate.validity().not_before.timestamp()),
            ends: time(certificate.validity().not_after.timestamp()),
            user_id: user_id.and_then(|part| part.as_str().ok()).map(str::to_owned),
            for_development: extends(FOR_DEVELOPMENT),
            for_production: extends(FOR_PRODUCTION),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use ring::rand::SystemRandom;

    use super::*;

    /// A fresh signing key.
    pub(crate) fn p8() -> String {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        write("PRIVATE KEY", key.as_ref())
    }

    /// The same key in the form of Apple's files, where the curve is named a second time, before the public half.
    pub(crate) fn as_apple_writes_it(p8: &str) -> String {
        let mut der = read(p8).unwrap().contents;
        let public = der.windows(5).position(|at| at == [0xa1, 0x44, 0x03, 0x42, 0x00]).unwrap();
        let curve = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        der.splice(public..public, curve);
        // The lengths around it: the whole, the octets, the key in them.
        let octets = der.windows(2).position(|at| at == [0x04, 0x6d]).unwrap();
        der[octets + 1] += 12;
        der[octets + 3] += 12;
        der[2] += 12;
        write("PRIVATE KEY", &der)
    }

    #[test]
    fn a_signing_key_is_read_as_it_is_made_here_and_as_apple_writes_it() {
        let p8 = p8();
        let apple = as_apple_writes_it(&p8);
        assert!(apple.starts_with("-----BEGIN PRIVATE KEY-----\nMIGTAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBHkwdwIBAQQg"));
        assert!(signing_key(&p8).is_some());
        assert_eq!(signing_key(&apple), signing_key(&p8));
        assert_eq!(public_key(&format!("Bag Attributes\n    friendlyName: x\n{p8}")), signing_key(&p8));
    }

    #[test]
    fn an_rsa_key_is_read_in_both_of_its_forms() {
        let demo: serde_json::Value = serde_json::from_str(crate::vendors::DEMO_SERVICE_ACCOUNT).unwrap();
        let pkcs8 = demo["private_key"].as_str().unwrap();
        // PKCS #8 puts 26 bytes before it.
        let pkcs1 = write("RSA PRIVATE KEY", &read(pkcs8).unwrap().contents[26..]);
        assert!(public_key(pkcs8).is_some() && signing_key(pkcs8).is_none());
        assert_eq!(public_key(&pkcs1), public_key(pkcs8));
        assert!(public_key(&pkcs1.replace("RSA PRIVATE", "ENCRYPTED PRIVATE")).is_none());
    }

    #[test]
    fn what_is_no_key_or_certificate_has_no_public_half() {
        for text in ["", "key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(signing_key(text).is_none() && public_key(text).is_none(), "{text}");
            assert!(Certificate::read(text).is_none());
        }
        assert!(Certificate::read(&p8()).is_none());
    }
}
