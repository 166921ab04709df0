//! Tokens of every algorithm, made elsewhere.

#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;

// Keys and tokens made with OpenSSL and Python's hmac, not with this code. They open nothing.
pub(crate) const RSA: &str = "-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDZfBKTtdd1xp9c
vGwD3fa4vzUrgau66UsITyJQAIyUBKTMFe1WHeVr3NoldkHd4JtGqjoCfYkfHTlJ
/gUqhS3qzdSfM8FFnZQKG30hpUVmpRGNiHHVix5GtK7IVAMzgNSw9YBIJAUQL5vM
hwPkNui6f/RyBLHuLOuPD5sKifOquN2C6+c0hTk8inlpHKVj+RtE6Y3+kTHhGz9A
70QdGDwS7Rcgv3EcRA/OQ1zzzt7Zy0kqp3b0R0RyMMbHPT2b5j/Apc2JuZXd0dM8
OEHX4XKxosEr5FgifvKCmKbtvNpLpd1fIUrCNYQkoXI5TcNFYHeGuMTIBgE4tpBF
dHmC2swnAgMBAAECggEAXiGG8trCMk4xHJTLFZNlHYpYy4dY2lHuMV765XCPZ+No
ppKZAmx3J4vT+WHpWUzFOD0mVXybNFXUPXPOLZyuBpJnBC8E6IovEH7cVosvciFg
6wbS6k/H32eFvNwr9Ic+x4bCqra4YEyS3N/VLdocOdh250Cj+IgFvopNGy8hQVLs
uP+Dr5XZ7BwaMIV5d+YTYy9L5+ePsYdG5FnipPSd85jQ9B6QBlLYDDc3x7grT91M
UrtFcGFu3XeI6gWK/jw92GmrsAoayJmu0rCj/177jdAgPrXS98t/2ioBHZ6Ixh+S
55ecfXaXhdUO5FcNdSYKgMbeS0u+oSXm71LohXtQHQKBgQD4ixLvGKMgP3WR3HFO
WRsiPZsXYdGqCJ6fs2mYsp/hR7OUEhES2ZIKUBhrqw7BhVBPKYF+Sqv3BtO7UDkp
2rlYGRn4M1cOLjVeS9MZq6eocV0qw+cUvfhK4uplUXzlFaytDfK134Tz7wil74S6
mvP0xZVFbXtYoY3D629hWyF0ZQKBgQDgAnRPp86k4I/x3S9N6i2OvPqjSyKMTsdE
AGdsFF1DJpr5FT8n30IzyCJ30Q5jdp3bUIXUUBH/ZOzL/Jm+cVw7RSjWMWN5iGlC
JbA5v7oPKL3tT1Pm8GMwhMq22WAIqbP1FGg6dC+vjdWDEaU+CbzHNglo8WiTfanP
gPypbq9XmwKBgHIQeX8LgonhNdbcIZAAauh693typCNx00Kdtz+h8qgUHQE+jWFm
QpTDD4ISPjJoOWQrO0e3g1ZaZr+XYLSpsdgRpQ54mWJjqJB/IgGs+sPeSxC+WYX2
bUYI/+PB0xzbpqTBOvtm+oBs2j41P2fYh091gj0bsrkJY6NfoH1AsojVAoGBAJaY
r88ZVnA71Cna9EFiTOxoGewLyBchow8RYnYjnqtVWdxYr1PD4ULkql94uT6e8PMP
SFl61w6msBdXI5kHpuTl0tVk8KY00ea5Zab9QT2Nu1m9+f8I3vYwYAPbUZehVy1N
YeDiWWihZsgt5bQ2YaZfqqXVneOCGNY6tiHGGrU/AoGAToXonNOqNLzzNWQWnIGC
1AOe2HQS2v3R3TdsaOZBOt03J7pTdscAobkWE/RhgPwWrBR77zrZcHk4Hsj663sZ
W1imMaqQSW0pRd7p0M5qXkuVD93r1USyB9kwfdH+qdYFOj2C8giIgkcly1UCZoEw
D1TRocv7A5kLHK3Mbm/GqOk=
-----END PRIVATE KEY-----
";
const RSA_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2XwSk7XXdcafXLxsA932
uL81K4GruulLCE8iUACMlASkzBXtVh3la9zaJXZB3eCbRqo6An2JHx05Sf4FKoUt
6s3UnzPBRZ2UCht9IaVFZqURjYhx1YseRrSuyFQDM4DUsPWASCQFEC+bzIcD5Dbo
un/0cgSx7izrjw+bConzqrjdguvnNIU5PIp5aRylY/kbROmN/pEx4Rs/QO9EHRg8
Eu0XIL9xHEQPzkNc887e2ctJKqd29EdEcjDGxz09m+Y/wKXNibmV3dHTPDhB1+Fy
saLBK+RYIn7ygpim7bzaS6XdXyFKwjWEJKFyOU3DRWB3hrjEyAYBOLaQRXR5gtrM
JwIDAQAB
-----END PUBLIC KEY-----
";
const EC: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJrhYIAW+CPIA+byJ
TH5yAu5jZSxSDuj+v4OvPkfCr3WhRANCAATTm0gc5ekXEZKqx/Oe/lq/JvEYYwQ7
sbUeIGLql0Iyt7kX1VlXs9seVQESyDBdnsmEg7dXVB5vE7TL5K3udnXK
-----END PRIVATE KEY-----
";
const EC_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE05tIHOXpFxGSqsfznv5avybxGGME
O7G1HiBi6pdCMre5F9VZV7PbHlUBEsgwXZ7JhIO3V1QebxO0y+St7nZ1yg==
-----END PUBLIC KEY-----
";
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const TOKENS: [(&str, &str, &str); 5] = [
    (
        "HS256",
        SECRET,
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhcHAiOiJkZW1vIiwic3ViIjoiYWFhIiwicm9sZSI6ImFkbWluIiwiZXhwIjoxNzY3MjI5MjAwfQ.EkejvrkEwHg8VxsdTIenax-FUzwt4TFtdi1sktTNhXQ",
    ),
    (
        "HS384",
        SECRET,
        "eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.eyJhcHAiOiJkZW1vIiwic3ViIjoiYWFhIiwicm9sZSI6ImFkbWluIiwiZXhwIjoxNzY3MjI5MjAwfQ.3QXf6Phg_I4efYVxY-N0MZ35TU2F61Jw0G3PIhFLx3cg7E8DOam0W_kUiAy3yvx5",
    ),
    (
        "HS512",
        SECRET,
        "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJhcHAiOiJkZW1vIiwic3ViIjoiYWFhIiwicm9sZSI6ImFkbWluIiwiZXhwIjoxNzY3MjI5MjAwfQ.dG0lc5ZgDTxLgjODMEgCviFIkrIOFY3zMjQZZ7COykwLrGQPK631FcuiIKPD_vSX-hj7EN0aB8JaiWyL0wh4Ig",
    ),
    (
        "RS256",
        RSA_PUBLIC,
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJhcHAiOiJkZW1vIiwic3ViIjoiYWFhIiwicm9sZSI6ImFkbWluIiwiZXhwIjoxNzY3MjI5MjAwfQ.y5Q5yo-ZIj9N5jNe_MZJnebUisRrFHGCSj372nTVMhohiU-RjYHW-1atKLJCfrfrcPK-hA0TWQbgniz0jTZGbla0ynNuS1JxNsaucI8F9Fc-zXAEiXmBfeYYTm8qCJjWLnbuGz07mMCqeF_0npCN_XwXR_t-taM8SCzJofQHPucI_BPDla2cRR6OgAaT_keUbcrfEM-1v3JtPioxjgYLNg4q8SdBx02POwCW6Pl__JExE_Pwhaa7ugqVZZyE3V3_TY38GW5vze0duritEwSLLY_9Y8EWXG2aeSuWq1MhCUQlB13h8lYqLDmdGvj_SfE7ippfnRAMETCLX6L_rxdvCg",
    ),
    (
        "ES256",
        EC_PUBLIC,
        "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJhcHAiOiJkZW1vIiwic3ViIjoiYWFhIiwicm9sZSI6ImFkbWluIiwiZXhwIjoxNzY3MjI5MjAwfQ.1ZWzyuqjYj7wVASr-pEmVlUKm1kDocjO7pnaT85d5MyMpMI8FH4VBddLgQglRSia0Pvjylt3cJYte5Ohij1PYQ",
    ),
];
/// HS256 with the RSA public key's PEM as the secret.
const CONFUSED: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhcHAiOiJkZW1vIiwic3ViIjoiYWFhIiwicm9sZSI6ImFkbWluIiwiZXhwIjoxNzY3MjI5MjAwfQ.ItrAiEapXVOo6IYqt7DSQUa21NxGy0776t5wsgtFuVY";
const UNSIGNED: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJhcHAiOiJkZW1vIiwic3ViIjoiYWFhIiwicm9sZSI6ImFkbWluIiwiZXhwIjoxNzY3MjI5MjAwfQ.";

const EXP: u64 = 1_767_229_200;
const NOW: Timestamp = Timestamp::from_millis((EXP - 3600) * 1000);

fn key(alg: &str, key: &str) -> UserKey {
    serde_json::from_value(json!({ "alg": alg, "key": key })).unwrap()
}

fn admin() -> Claims {
    Claims { app: "demo".to_owned(), sub: "aaa".to_owned(), role: Role::Admin }
}

fn all_keys() -> Vec<UserKey> {
    TOKENS.iter().map(|(alg, secret, _)| key(alg, secret)).collect()
}

#[test]
fn each_algorithm_is_verified_with_its_own_key_and_no_other() {
    for (alg, secret, token) in TOKENS {
        assert_eq!(verify(&[key(alg, secret)], token, NOW).unwrap(), admin(), "{alg}");
        assert_eq!(verify(&all_keys(), token, NOW).unwrap(), admin(), "{alg}");
        let others: Vec<_> = TOKENS.iter().filter(|other| other.0 != alg).map(|(a, s, _)| key(a, s)).collect();
        assert!(matches!(verify(&others, token, NOW), Err(JwtError::Signature)), "{alg}");
        let mut changed = token.to_owned().into_bytes();
        let middle = token.find('.').unwrap() + 8;
        changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(matches!(verify(&all_keys(), &changed, NOW), Err(JwtError::Signature)), "{alg}");
    }
}

#[test]
fn a_public_key_is_no_secret() {
    assert!(matches!(verify(&[key("RS256", RSA_PUBLIC)], CONFUSED, NOW), Err(JwtError::Signature)));
    assert!(matches!(verify(&all_keys(), CONFUSED, NOW), Err(JwtError::Signature)));
}

#[test]
fn an_unsigned_token_is_refused() {
    assert!(matches!(verify(&all_keys(), UNSIGNED, NOW), Err(JwtError::Malformed)));
    let (head, _) = TOKENS[0].2.rsplit_once('.').unwrap();
    assert!(matches!(verify(&all_keys(), &format!("{head}."), NOW), Err(JwtError::Signature)));
    assert!(matches!(verify(&[], TOKENS[0].2, NOW), Err(JwtError::Signature)));
}

#[test]
fn what_is_no_token_is_malformed() {
    for text in ["", "a", "a.b", "a.b.c", "..", "a.b.c.d", "\u{1f600}.b.c"] {
        assert!(matches!(verify(&all_keys(), text, NOW), Err(JwtError::Malformed)), "{text}");
        assert_eq!(unverified_app(text), None, "{text}");
    }
}

#[test]
fn a_token_ends_a_minute_after_its_time() {
    let at = |seconds: u64| verify(&all_keys(), TOKENS[0].2, Timestamp::from_millis(seconds * 1000));
    assert!(at(EXP + 59).is_ok());
    assert!(matches!(at(EXP + 60), Err(JwtError::Expired)));
}

fn signed(claims: &Value) -> Result<Claims, JwtError> {
    verify(&[key("HS256", SECRET)], &sign_hs256(SECRET.as_bytes(), claims), NOW)
}

#[test]
fn claims_are_required_and_checked() {
    let with = |name: &str, value: Value| {
        let mut claims = json!({"app": "demo", "sub": "aaa", "role": "user", "exp": EXP});
        claims[name] = value;
        signed(&claims)
    };
    assert_eq!(with("exp", json!(EXP)).unwrap().role, Role::User);
    assert!(with("exp", json!(1_767_229_200.5)).is_ok(), "fractions of a second are allowed");
    for (name, value) in [
        ("exp", Value::Null),
        ("exp", json!("2030")),
        ("nbf", json!("now")),
        ("app", Value::Null),
        ("app", json!(7)),
        ("sub", json!("")),
        ("role", Value::Null),
        ("role", json!("root")),
    ] {
        assert!(matches!(with(name, value), Err(JwtError::Claim(missing)) if missing == name), "{name}");
    }
    assert!(with("nbf", json!(NOW.as_secs() + 60)).is_ok());
    assert!(matches!(with("nbf", json!(NOW.as_secs() + 61)), Err(JwtError::NotYet)));
}

#[test]
fn a_rotated_key_ends() {
    let key = |until: u64| -> UserKey {
        let secret = json!({"value": SECRET, "until": until});
        serde_json::from_value(json!({"alg": "HS256", "key": secret})).unwrap()
    };
    assert!(verify(&[key(NOW.as_millis() + 1)], TOKENS[0].2, NOW).is_ok());
    assert!(matches!(verify(&[key(NOW.as_millis())], TOKENS[0].2, NOW), Err(JwtError::Signature)));
}

#[test]
fn an_unusable_key_is_told_and_the_others_still_serve() {
    let short = key("HS256", "0123456789abcdef");
    assert!(matches!(verify(std::slice::from_ref(&short), TOKENS[0].2, NOW), Err(JwtError::Key(_))));
    assert!(matches!(verify(&[key("RS256", "no pem")], TOKENS[3].2, NOW), Err(JwtError::Key(_))));
    assert!(verify(&[short, key("HS256", SECRET)], TOKENS[0].2, NOW).is_ok());
    assert!(matches!(sign_rs256("no pem", None, &json!({})), Err(JwtError::Key(_))));
}

#[test]
fn what_we_sign_is_verified() {
    let claims = json!({"app": "demo", "sub": "aaa", "role": "admin", "exp": EXP});
    let rsa = sign_rs256(RSA, Some("k1"), &claims).unwrap();
    assert_eq!(verify(&all_keys(), &rsa, NOW).unwrap(), admin());
    assert_eq!(jsonwebtoken::decode_header(&rsa).unwrap().kid.as_deref(), Some("k1"));
    let ec = sign_es256(EC, None, &claims).unwrap();
    assert_eq!(verify(&all_keys(), &ec, NOW).unwrap(), admin());
    assert_eq!(unverified_app(&ec).as_deref(), Some("demo"));
}

#[test]
fn an_extension_that_must_be_understood_is_refused() {
    let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","crit":["b64"],"b64":false}"#);
    let payload = URL_SAFE_NO_PAD.encode(json!({"app": "demo", "sub": "a", "role": "user", "exp": EXP}).to_string());
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), format!("{head}.{payload}").as_bytes());
    let token = format!("{head}.{payload}.{}", URL_SAFE_NO_PAD.encode(tag));
    assert!(matches!(verify(&all_keys(), &token, NOW), Err(JwtError::Malformed)));
}
