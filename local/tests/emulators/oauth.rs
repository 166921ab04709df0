//! FCM's token endpoint.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::vendors::DEMO_SERVICE_ACCOUNT;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::fcm::{Http, http};
use crate::stack::Stack;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

pub(crate) struct Assertion {
    url: String,
    grant: &'static str,
    header: Value,
    claims: Value,
}

impl Assertion {
    pub(crate) fn good(stack: &Stack) -> Self {
        let account: Value = serde_json::from_str(DEMO_SERVICE_ACCOUNT).unwrap();
        let url = account["token_uri"].as_str().unwrap().replace("${VENDORS}", &stack.vendors_url);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": account["client_email"],
            "aud": url,
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "iat": now,
            "exp": now + 3600,
        });
        Self { url, grant: GRANT, header: json!({"alg": "RS256", "typ": "JWT"}), claims }
    }

    fn with(stack: &Stack, claim: &str, value: Value) -> Self {
        let mut assertion = Self::good(stack);
        assertion.claims[claim] = value;
        assertion
    }

    fn sign(&self) -> String {
        let account: Value = serde_json::from_str(DEMO_SERVICE_ACCOUNT).unwrap();
        let pem = account["private_key"].as_str().unwrap();
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&self.header), part(&self.claims));
        let mut signature = vec![0; key.public().modulus_len()];
        let random = ring::rand::SystemRandom::new();
        key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

pub(crate) async fn exchange(http: &Http, assertion: &Assertion) -> (StatusCode, Value) {
    post(http, &assertion.url, assertion.grant, &assertion.sign()).await
}

async fn post(http: &Http, url: &str, grant: &str, assertion: &str) -> (StatusCode, Value) {
    let form = format!("grant_type={}&assertion={assertion}", grant.replace(':', "%3A"));
    let request =
        Request::post(url).header("content-type", "application/x-www-form-urlencoded").body(Full::from(form)).unwrap();
    let reply = http.request(request).await.unwrap();
    let status = reply.status();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_signed_assertion_is_exchanged_for_an_hour_s_token() {
    let stack = Stack::start().await;
    let (status, body) = exchange(&http(false), &Assertion::good(&stack)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&body["expires_in"], &body["token_type"]), (&json!(3600), &json!("Bearer")));
    assert!(!body["access_token"].as_str().unwrap().is_empty());
    assert_eq!(stack.vendors.tokens_issued(), 1);
}

#[tokio::test]
async fn an_assertion_that_does_not_hold_is_refused() {
    let stack = Stack::start().await;
    let http = http(false);
    let mut header = Assertion::good(&stack);
    header.header["alg"] = json!("none");
    let mut grant = Assertion::good(&stack);
    grant.grant = "client_credentials";
    for (assertion, expected) in [
        (Assertion::with(&stack, "iss", json!("somebody@else")), "invalid_grant"),
        (Assertion::with(&stack, "aud", json!("https://elsewhere/token")), "invalid_grant"),
        (Assertion::with(&stack, "exp", json!(1_600_000_000)), "invalid_grant"),
        (Assertion::with(&stack, "iat", json!(1_600_000_000)), "invalid_grant"),
        (Assertion::with(&stack, "scope", json!("email")), "invalid_scope"),
        (header, "invalid_grant"),
        (grant, "unsupported_grant_type"),
    ] {
        let (status, body) = exchange(&http, &assertion).await;
        assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!(expected)));
        assert!(body["error_description"].is_string());
    }
    let good = Assertion::good(&stack);
    let signed = good.sign();
    let (text, _) = signed.rsplit_once('.').unwrap();
    for bad in ["", "a.b", &format!("{text}.{}", URL_SAFE_NO_PAD.encode([0; 256]))] {
        let (status, body) = post(&http, &good.url, GRANT, bad).await;
        assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    }
    assert_eq!(stack.vendors.tokens_issued(), 0);
}

#[tokio::test]
async fn the_token_endpoint_has_faults_of_its_own() {
    let stack = Stack::start().await;
    let http = http(false);
    for (effect, expected) in [
        (Effect::Error503, StatusCode::SERVICE_UNAVAILABLE),
        (Effect::Error429 { retry_after: 1 }, StatusCode::TOO_MANY_REQUESTS),
        (Effect::Refuse, StatusCode::BAD_REQUEST),
    ] {
        stack.faults.add(Rule::new(Target::Oauth, effect).times(1)).unwrap();
        assert_eq!(exchange(&http, &Assertion::good(&stack)).await.0, expected);
        assert_eq!(exchange(&http, &Assertion::good(&stack)).await.0, StatusCode::OK);
    }
}
