#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::time::Duration;

use http::{Method, Request};
use http_body_util::Full;
use pushbell::time::Timestamp;
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use super::*;
use crate::faults::{Effect, Rule, Target};
use crate::operator::http::Http;
use crate::pem::tests::{as_apple_writes_it, p8};
use crate::stack::{Options, Stack};
use crate::vendors::DEMO_SERVICE_ACCOUNT;

const KEY: &str = r#"{"key": "s3cret", "key_id": "ABC123DEFG", "team_id": "TEAM123456", "topic": "com.example.app"}"#;

#[test]
fn an_apns_document_is_a_key_or_a_certificate_and_is_written_as_it_is_read() {
    for text in [KEY, r#"{"certificate": "c", "private_key": "s3cret"}"#] {
        let document = ApnsCredentials::parse(text).unwrap();
        assert_eq!(serde_json::to_value(&document).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert!(!format!("{document:?}").contains("s3cret"));
    }
}

#[test]
fn an_apns_document_that_is_none_is_told_by_field_and_rule_and_never_by_value() {
    for (text, says) in [
        ("{", "malformed at line 1, column 1"),
        (r#"{"key": 1}"#, "malformed at line 1, column 9"),
        (r#"{"keys": "s3cret"}"#, "malformed at line 1, column 7"),
        ("{}", "key is missing"),
        (r#"{"private_key": "s3cret"}"#, "certificate is missing"),
        (r#"{"key": "s3cret", "private_key": "s3cret"}"#, "it is one of the two"),
        (r#"{"key": "s3cret", "key_id": "s3cret"}"#, "key_id is ten capital letters and digits"),
        (r#"{"key": "s3cret", "topic": "s3cret/"}"#, "topic is a bundle id"),
    ] {
        let told = ApnsCredentials::parse(text).unwrap_err().to_string();
        assert!(told.contains(says) && !told.contains("s3cret"), "{told}");
    }
}

/// A stack, and what an operator has in hand: their own key file of Google's and signing key of Apple's.
struct Desk {
    stack: Stack,
    http: Http,
    key_file: Value,
    key: ApnsKey,
}

impl Desk {
    async fn new() -> Self {
        let stack = Stack::start(Options::test()).await.unwrap();
        let http = Http::default();
        let mut desk = Self { stack, http, key_file: Value::Null, key: key("", "", "", "") };
        desk.key_file = desk.console(Method::POST, "fcm/accounts", json!({"project_id": "acme"})).await;
        let body = json!({"team_id": "TEAM123456", "topics": ["com.example.app"]});
        let issued = desk.console(Method::POST, "apns/keys", body).await;
        let text = |name: &str| issued[name].as_str().unwrap();
        desk.key = key(text("key"), text("key_id"), text("team_id"), "com.example.app");
        desk
    }

    /// What is done at a vendor's console.
    async fn console(&self, method: Method, path: &str, body: Value) -> Value {
        let request = Request::builder().method(method).uri(format!("{}/_local/vendors/{path}", self.stack.url()));
        let request = request.header("content-type", "application/json").body(Full::from(body.to_string())).unwrap();
        let answer = self.http.send(request).await.unwrap();
        assert!(answer.status.is_success(), "{path}: {}", answer.status);
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// What FCM's dry run says of the key file with other values in it.
    async fn fcm(&self, change: &[(&str, &str)]) -> String {
        let mut file = self.key_file.clone();
        for (field, value) in change {
            file[*field] = json!(value);
        }
        self.fcm_at(self.stack.vendors_url(), file, Timestamp::now()).await
    }

    async fn fcm_at(&self, endpoint: &str, key_file: Value, now: Timestamp) -> String {
        let vendor = serde_json::from_value(json!({"service_account": key_file, "endpoint": endpoint})).unwrap();
        told(fcm(&self.http, &vendor, now).await)
    }

    async fn apns(&self, key: &ApnsKey) -> String {
        told(apns(&self.http, self.stack.vendors_url(), key, Timestamp::now()).await)
    }
}

fn key(key: &str, key_id: &str, team_id: &str, topic: &str) -> ApnsKey {
    ApnsKey { key: PrivateKey::new(key), key_id: key_id.into(), team_id: team_id.into(), topic: topic.into() }
}

fn told<E: std::fmt::Display>(result: Result<(), E>) -> String {
    result.map_or_else(|trouble| trouble.to_string(), |()| "accepted".to_owned())
}

/// Nobody listens there.
async fn nowhere() -> String {
    let (_held, free) = crate::operator::ward::nobody();
    format!("http://{free}")
}

const HOURS: Duration = Duration::from_secs(2 * 60 * 60);

#[tokio::test]
async fn a_service_account_that_google_takes_is_accepted_and_nobody_is_sent_to() {
    let desk = Desk::new().await;
    assert_eq!(desk.fcm(&[]).await, "accepted");
    let answer = desk.http.send(Request::get(format!("{}/phones", desk.stack.url())).body(Full::default()).unwrap());
    assert_eq!(&*answer.await.unwrap().body, b"[]");
}

#[tokio::test]
async fn a_service_account_that_google_does_not_take_is_told_with_what_to_do() {
    let desk = Desk::new().await;
    let nowhere = nowhere().await;
    let other_account = "somebody@acme.iam.gserviceaccount.example";
    for (change, says) in [
        (vec![("private_key", "s3cret")], "private_key of the key file is no RSA key"),
        (vec![("token_uri", "s3cret")], "token_uri of the key file is no address"),
        (vec![("token_uri", "https://")], "token_uri of the key file is no address"),
        (vec![("project_id", "s3cret project")], "makes no address"),
        (vec![("private_key_id", "another")], "Invalid JWT Signature"),
        (vec![("client_email", other_account)], "does not know the service account"),
        (vec![("project_id", "another")], "or project_id is not its own"),
        (vec![("token_uri", nowhere.as_str())], "does not answer; see that this machine may reach it"),
    ] {
        let told = desk.fcm(&change).await;
        assert!(told.contains(says) && !told.contains("s3cret"), "{told}");
    }
    let now = Timestamp::now();
    for now in [now.plus(HOURS), now.minus(HOURS)] {
        let told = desk.fcm_at(desk.stack.vendors_url(), desk.key_file.clone(), now).await;
        assert!(told.contains("set this machine's clock"), "{told}");
    }
    let elsewhere = format!("{}/elsewhere", desk.stack.vendors_url());
    let told = desk.fcm_at(&elsewhere, desk.key_file.clone(), now).await;
    assert!(told.contains("does not know the project"), "{told}");
}

#[tokio::test]
async fn google_out_of_order_is_told_from_credentials_out_of_order() {
    let desk = Desk::new().await;
    for (target, effect, says) in [
        (Target::Oauth, Effect::Error503, "Google's token service is out of order"),
        (Target::Oauth, Effect::Error429 { retry_after: 1 }, "Google was asked too often"),
        (Target::Oauth, Effect::Cut, "does not answer"),
        (Target::Fcm, Effect::Error500, "FCM is out of order at the moment (500 Internal Server Error, INTERNAL)"),
        (Target::Fcm, Effect::Throttle, "Google was asked too often"),
        (Target::Fcm, Effect::Unregistered, "accepted"),
    ] {
        desk.stack.aws.faults.replace(vec![Rule::new(target, effect)]).unwrap();
        let told = desk.fcm(&[]).await;
        assert!(told.contains(says), "{told}");
    }
}

#[tokio::test]
async fn a_key_and_an_account_that_were_deleted_at_google_are_told_apart() {
    let desk = Desk::new().await;
    let part = |name: &str| desk.key_file[name].as_str().unwrap();
    let account = format!("fcm/accounts/{}", part("client_email"));
    desk.console(Method::DELETE, &format!("{account}/keys/{}", part("private_key_id")), Value::Null).await;
    assert!(desk.fcm(&[]).await.contains("it was deleted, or it is another account's"));
    desk.console(Method::DELETE, &account, Value::Null).await;
    assert!(desk.fcm(&[]).await.contains("does not know the service account"));
}

#[tokio::test]
async fn a_signing_key_that_apple_takes_is_accepted_in_apple_s_own_form_too() {
    let mut desk = Desk::new().await;
    assert_eq!(desk.apns(&desk.key).await, "accepted");
    desk.key.key = PrivateKey::new(as_apple_writes_it(desk.key.key.expose()));
    assert_eq!(desk.apns(&desk.key).await, "accepted");
}

#[tokio::test]
async fn a_signing_key_that_apple_does_not_take_is_told_with_what_to_do() {
    let desk = Desk::new().await;
    let own = &desk.key;
    let pem = own.key.expose();
    for (other, says) in [
        (key("s3cret", &own.key_id, &own.team_id, &own.topic), "key is no signing key of Apple's"),
        (key(&p8(), &own.key_id, &own.team_id, &own.topic), "Apple does not know the key; compare key_id"),
        (key(pem, "ABC123DEFG", &own.team_id, &own.topic), "Apple does not know the key; compare key_id"),
        (key(pem, &own.key_id, "TEAM654321", &own.topic), "Apple does not know the key; compare key_id"),
        (key(pem, &own.key_id, &own.team_id, "com.example.other"), "the key may not push to topic"),
        (key(pem, &own.key_id, &own.team_id, "com/example"), "topic is none"),
        (key(pem, &own.key_id, &own.team_id, "com\nexample"), "topic is none"),
        (key(pem, &own.key_id, &own.team_id, ""), "topic is empty"),
    ] {
        let told = desk.apns(&other).await;
        assert!(told.contains(says) && !told.contains("s3cret"), "{told}");
    }
    let (now, url) = (Timestamp::now(), desk.stack.vendors_url());
    let slow = told(apns(&desk.http, url, own, now.minus(HOURS)).await);
    assert!(slow.contains("set this machine's clock"), "{slow}");
    let fast = told(apns(&desk.http, url, own, now.plus(HOURS)).await);
    assert!(fast.contains("clock must not be fast"), "{fast}");
    for none in ["", "api.push.apple.com", "ftp://api.push.apple.com"] {
        let told = told(apns(&desk.http, none, own, now).await);
        assert!(told.contains("APNs' address is not usable; it is https://api.push.apple.com or"), "{told}");
    }
    let gone = told(apns(&desk.http, &nowhere().await, own, now).await);
    assert!(gone.contains("does not answer; see that this machine may reach it"), "{gone}");
    desk.console(Method::DELETE, &format!("apns/keys/{}", own.key_id), Value::Null).await;
    assert!(desk.apns(own).await.contains("see under Keys whether it was revoked"));
}

/// A certificate for a year from 2026 on, as Apple makes them but for its issuer.
fn certificate(pair: &KeyPair, app: Option<&str>, kinds: &[u64]) -> ApnsCertificate {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    if let Some(app) = app {
        params.distinguished_name.push(DnType::from_oid(&[0, 9, 2342, 19_200_300, 100, 1, 1]), app);
    }
    let extension = |kind: &u64| CustomExtension::from_oid_content(&[1, 2, 840, 113_635, 100, 6, 3, *kind], vec![5, 0]);
    params.custom_extensions = kinds.iter().map(extension).collect();
    ApnsCertificate {
        certificate: params.self_signed(pair).unwrap().pem(),
        private_key: PrivateKey::new(pair.serialize_pem()),
        topic: None,
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap()
}

#[test]
fn a_certificate_tells_its_app_its_services_and_its_days() {
    let demo: Value = serde_json::from_str(DEMO_SERVICE_ACCOUNT).unwrap();
    let rsa = KeyPair::from_pem(demo["private_key"].as_str().unwrap()).unwrap();
    for (pair, kinds, production, sandbox) in [
        (KeyPair::generate().unwrap(), vec![1, 2, 6], true, true),
        (KeyPair::generate().unwrap(), vec![1], false, true),
        (rsa, vec![2], true, false),
    ] {
        let document = certificate(&pair, Some("com.example.app"), &kinds);
        let facts = certificate_checks(&document, at("2026-12-30T12:00:00Z")).unwrap();
        let (topic, ends) = ("com.example.app".to_owned(), at("2027-01-01T00:00:00Z"));
        assert_eq!(facts, CertificateFacts { topic, production, sandbox, ends, days_left: 1 });
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_with_what_to_do() {
    let (pair, app) = (KeyPair::generate().unwrap(), Some("com.example.app"));
    let good = certificate(&pair, app, &[2]);
    let now = at("2026-06-01T00:00:00Z");
    let with_key = |pem: &str| ApnsCertificate { private_key: PrivateKey::new(pem), ..good.clone() };
    for (document, now, says) in [
        (
            ApnsCertificate { certificate: "s3cret".into(), ..good.clone() },
            now,
            "certificate is no certificate in PEM; export it from Keychain Access as .p12, then `openssl pkcs12 -legacy -in apns.p12 -clcerts -nokeys -out cert.pem` (without -legacy",
        ),
        (good.clone(), at("2027-01-01T00:00:00Z"), "ended at 2027-01-01T00:00:00Z; make a new one"),
        (good.clone(), at("2025-12-31T23:59:59Z"), "valid from 2026-01-01T00:00:00Z on"),
        (
            with_key("s3cret"),
            now,
            "private_key is no unencrypted key in PEM; export it with `openssl pkcs12 -legacy -in apns.p12 -nocerts -nodes -out key.pem` (without -legacy",
        ),
        (with_key(&p8()), now, "private_key does not belong to the certificate"),
        (certificate(&pair, app, &[]), now, "not for pushes"),
        (certificate(&pair, None, &[2]), now, "names no app"),
        (
            ApnsCertificate { topic: Some("com.example.other".into()), ..good.clone() },
            now,
            "and topic names another one",
        ),
    ] {
        let told = certificate_checks(&document, now).unwrap_err().to_string();
        assert!(told.contains(says) && !told.contains("s3cret"), "{told}");
    }
    assert!(certificate_checks(&ApnsCertificate { topic: app.map(str::to_owned), ..good }, now).is_ok());
}
