//! Sends and endpoints against an SNS on loopback, through the real client.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::app::FcmVendor;
use crate::delivery::Channel;
use crate::delivery::fcm::Fcm;
use crate::id::{DeviceKey, Token};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const APPLICATION: &str = "arn:aws:sns:eu-west-1:000000000000:app/APNS/demo";
const ENDPOINTS: &str = "arn:aws:sns:eu-west-1:000000000000:endpoint/APNS/demo";

/// What the stub has heard: each call's action, and what it was about.
type Heard = Arc<Mutex<Vec<String>>>;

/// An SNS that answers each call by its action and how many of that action came before.
async fn sns(answer: impl Fn(&str, usize) -> (u16, String) + Send + Sync + 'static) -> (Environment, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = Heard::default();
    let (shared, answer) = (Arc::clone(&heard), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, Arc::clone(&shared), Arc::clone(&answer)));
        }
    });
    let env = Environment::from_lookup(|name| match name {
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "STAGE" => Some("local".to_owned()),
        "AWS_ENDPOINT_URL_SNS" => Some(url.clone()),
        _ => None,
    });
    (env.unwrap(), heard)
}

async fn serve(socket: TcpStream, heard: Heard, answer: Arc<impl Fn(&str, usize) -> (u16, String)>) {
    let mut socket = BufReader::new(socket);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.unwrap();
        let body = String::from_utf8(body).unwrap();
        let field = |name: &str| {
            let value = body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.map(|value| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
        };
        let action = field("Action").unwrap();
        let about = field("TargetArn").or_else(|| field("EndpointArn")).or_else(|| field("Token")).unwrap();
        let before = {
            let mut heard = heard.lock().unwrap();
            let before = heard.iter().filter(|call| call.starts_with(&action)).count();
            heard.push(format!("{action} {}", about.rsplit('/').next().unwrap()));
            before
        };
        let (status, xml) = answer(&action, before);
        let head = format!("HTTP/1.1 {status} x\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n", xml.len());
        socket.get_mut().write_all((head + &xml).as_bytes()).await.unwrap();
    }
}

fn done(action: &str, result: &str) -> (u16, String) {
    let xml = format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>");
    (200, xml)
}

fn refused(code: &str, message: &str) -> (u16, String) {
    let xml = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    );
    (400, xml)
}

fn created(endpoint: &str) -> (u16, String) {
    done("CreatePlatformEndpoint", &format!("<EndpointArn>{ENDPOINTS}/{endpoint}</EndpointArn>"))
}

fn attributes(token: &str, enabled: bool) -> (u16, String) {
    let entry = |key: &str, value: &str| format!("<entry><key>{key}</key><value>{value}</value></entry>");
    let list = entry("Token", token) + &entry("Enabled", if enabled { "true" } else { "false" });
    done("GetEndpointAttributes", &format!("<Attributes>{list}</Attributes>"))
}

fn published() -> (u16, String) {
    done("Publish", "<MessageId>1</MessageId>")
}

fn device(endpoint: Option<&str>) -> Device {
    Device {
        key: DeviceKey::of("ios", "d1"),
        channel: Channel::Sns,
        token: Token::parse("AB12").unwrap(),
        endpoint: endpoint.map(str::to_owned),
        sandbox: false,
        registered_at: NOW,
        framework: None,
        locale: None,
    }
}

async fn send(env: &Environment, endpoint: Option<&str>) -> Sent {
    let message = json!({
        "origin": {"app": "demo", "dialect": "imkit", "message": "m1"}, "text": {"body": "b"},
    });
    let prepared = Sns::prepare(&serde_json::from_value(message).unwrap(), Wording::Own, &Settings::default());
    Sns::new(env).send(APPLICATION, &prepared, &device(endpoint), &Patch::default(), NOW).await
}

fn calls(heard: &Heard) -> Vec<String> {
    heard.lock().unwrap().clone()
}

#[tokio::test]
async fn a_device_with_an_endpoint_is_one_call() {
    let (env, heard) = sns(|_, _| published()).await;
    assert_eq!(send(&env, Some("e1")).await, Sent { verdict: Verdict::DELIVERED, endpoint: None });
    assert_eq!(calls(&heard), ["Publish e1"]);
}

#[tokio::test]
async fn a_device_without_an_endpoint_gets_one_to_be_stored() {
    let (env, heard) = sns(|action, _| match action {
        "CreatePlatformEndpoint" => created("e2"),
        "GetEndpointAttributes" => attributes("ab12", true),
        _ => published(),
    })
    .await;
    assert_eq!(send(&env, None).await, Sent { verdict: Verdict::DELIVERED, endpoint: Some("e2".to_owned()) });
    assert_eq!(calls(&heard), ["CreatePlatformEndpoint AB12", "GetEndpointAttributes e2", "Publish e2"]);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_made_anew_and_sent_to_once_more() {
    for (code, text) in [("NotFound", "x"), ("InvalidParameter", "TargetArn Reason: No endpoint found for the target")]
    {
        let (env, heard) = sns(move |action, before| match (action, before) {
            ("CreatePlatformEndpoint", _) => created("e2"),
            ("GetEndpointAttributes", _) => attributes("AB12", true),
            (_, 0) => refused(code, text),
            _ => published(),
        })
        .await;
        assert_eq!(send(&env, Some("e1")).await, Sent { verdict: Verdict::DELIVERED, endpoint: Some("e2".to_owned()) });
        assert_eq!(calls(&heard)[0], "Publish e1");
        assert_eq!(calls(&heard)[3], "Publish e2");
    }
}

#[tokio::test]
async fn a_disabled_endpoint_is_a_dead_token() {
    let (env, heard) = sns(|_, _| refused("EndpointDisabled", "Endpoint is disabled")).await;
    let sent = send(&env, Some("e1")).await;
    assert_eq!((sent.verdict.class, &*sent.verdict.code), (Class::DeadToken, "EndpointDisabled"));
    assert_eq!(calls(&heard).len(), 1, "it is not enabled by a send");
}

#[tokio::test]
async fn a_publish_is_never_repeated_by_the_client() {
    for (status, code, class) in [
        (500, "InternalError", Class::Retry { after: None }),
        (503, "ServiceUnavailable", Class::Retry { after: None }),
        (400, "ThrottlingException", Class::Throttled { after: None }),
        (400, "Throttling", Class::Throttled { after: None }),
    ] {
        let (env, heard) = sns(move |_, _| (status, refused(code, "x").1)).await;
        let sent = send(&env, Some("e1")).await;
        assert_eq!((sent.verdict.class, &*sent.verdict.code), (class, code));
        assert_eq!(calls(&heard).len(), 1);
    }
}

#[tokio::test]
async fn a_fresh_registration_puts_a_token_s_old_endpoint_in_order() {
    let exists = format!(
        "Invalid parameter: Token Reason: Endpoint {ENDPOINTS}/e3 already exists with the same Token, but different attributes."
    );
    for (create, state) in [
        (refused("InvalidParameter", &exists), attributes("ab12", false)),
        (created("e3"), attributes("ab12", false)),
        (created("e3"), attributes("cd34", true)),
    ] {
        let (env, heard) = sns(move |action, _| match action {
            "CreatePlatformEndpoint" => create.clone(),
            "GetEndpointAttributes" => state.clone(),
            _ => done(action, ""),
        })
        .await;
        let endpoint = Endpoints::new(&env).create(APPLICATION, &Token::parse("AB12").unwrap()).await.unwrap();
        assert_eq!(endpoint, "e3");
        assert_eq!(calls(&heard)[2], "SetEndpointAttributes e3");
    }
}

#[tokio::test]
async fn an_endpoint_that_vanishes_while_it_is_made_is_made_again() {
    let (env, heard) = sns(|action, before| match (action, before) {
        ("CreatePlatformEndpoint", 0) => created("e1"),
        ("CreatePlatformEndpoint", _) => created("e2"),
        ("GetEndpointAttributes", 0) => refused("NotFound", "Endpoint does not exist"),
        _ => attributes("AB12", true),
    })
    .await;
    let endpoints = Endpoints::new(&env);
    assert_eq!(endpoints.create(APPLICATION, &Token::parse("AB12").unwrap()).await.unwrap(), "e2");
    assert_eq!(calls(&heard).len(), 4);
}

#[tokio::test]
async fn a_missing_application_is_misconfigured_and_kills_nothing() {
    let (env, _) = sns(|_, _| refused("NotFound", "PlatformApplication does not exist")).await;
    let sent = send(&env, None).await;
    assert_eq!((sent.verdict.class, &*sent.verdict.code), (Class::Misconfigured, "application_not_found"));
    let (env, _) = sns(|_, _| refused("InvalidParameter", "Token Reason: must be hexadecimal")).await;
    assert_eq!(send(&env, None).await.verdict.class, Class::BadMessage);
}

#[tokio::test]
async fn an_endpoint_is_deleted_by_its_last_segment() {
    let (env, heard) = sns(|action, _| done(action, "")).await;
    Endpoints::new(&env).delete(APPLICATION, "e1").await.unwrap();
    assert_eq!(calls(&heard), ["DeleteEndpoint e1"]);
    assert!(matches!(Endpoints::new(&env).delete("nonsense", "e1").await, Err(SnsError::Arn)));
}

#[test]
fn the_platform_comes_from_the_application() {
    let of = |kind: &str| Platform::of(&format!("arn:aws:sns:eu-west-1:000000000000:app/{kind}/demo"));
    assert_eq!(of("APNS"), Some(Platform::Apns));
    assert_eq!(of("APNS_SANDBOX"), Some(Platform::Sandbox));
    assert_eq!(of("GCM"), None);
    assert_eq!(Platform::of("arn:aws:sns:eu-west-1:000000000000:topic"), None);
    assert_eq!(Platform::of(""), None);
}

#[test]
fn sends_may_be_spawned() {
    fn assert_send(_: impl Send) {}
    #[expect(dead_code, reason = "compiling is the test")]
    fn check(sns: &Sns, fcm: &Fcm, device: &Device, message: &Message, vendor: &FcmVendor) {
        let (settings, patch) = (Settings::default(), Patch::default());
        assert_send(sns.send("", &Sns::prepare(message, Wording::Own, &settings), device, &patch, NOW));
        assert_send(fcm.send(vendor, &Fcm::prepare(message, Wording::Own, &settings), &device.token, &patch, NOW));
    }
}
