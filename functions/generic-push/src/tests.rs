#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod aws;

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use pushbell::app::{ImkitSettings, ImkitVersion};
use pushbell::message::{Badge, Kind, Message, Source};
use serde_json::{Value, json};

use super::*;
use aws::Aws;

macro_rules! event {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../events/generic-push/", $name, ".json")))
    };
}

const V2_TEXT: (&str, &str) = event!("v2-text");
const V2_RECALL: (&str, &str) = event!("v2-recall");
const V2_ENCRYPTED: (&str, &str) = event!("v2-encrypted");
const V2_CANCEL_INVITATIONS: (&str, &str) = event!("v2-cancel-invitations");
const V2_EMPTY_LIST: (&str, &str) = event!("v2-empty-list");
const V2_BAD_IDS: (&str, &str) = event!("v2-bad-ids");
const V1_FLAT: (&str, &str) = event!("v1-flat");
const V1_PAYLOAD: (&str, &str) = event!("v1-payload");

const EVENTS: &[(&str, &str)] = &[
    V2_TEXT,
    event!("v2-image"),
    event!("v2-mention"),
    V2_RECALL,
    V2_ENCRYPTED,
    event!("v2-join-room"),
    event!("v2-add-members"),
    event!("v2-delete-members"),
    V2_CANCEL_INVITATIONS,
    V2_EMPTY_LIST,
    V2_BAD_IDS,
    V1_FLAT,
    V1_PAYLOAD,
];

fn event(name: &str) -> Request {
    let (_, text) = EVENTS.iter().find(|(own, _)| *own == name).unwrap();
    lambda_http::request::from_str(text).unwrap()
}

/// The event `v2-text` with changes: `/pathParameters/secret`, `/requestContext/http/method`, `/body`, ...
fn changed(changes: &[(&str, Value)]) -> Request {
    let mut event: Value = serde_json::from_str(V2_TEXT.1).unwrap();
    for (pointer, value) in changes {
        *event.pointer_mut(pointer).unwrap() = value.clone();
    }
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

fn with_body(body: impl Into<Value>) -> Request {
    changed(&[("/body", body.into())])
}

fn read(name: &str) -> Callback {
    let version = if name.starts_with("v1") { ImkitVersion::V1 } else { ImkitVersion::V2 };
    let settings = ImkitSettings { version, ..ImkitSettings::default() };
    let request = event(name);
    callback::read(&AppId::parse("demo").unwrap(), &settings, call::body(&request).unwrap()).unwrap()
}

fn delivered(name: &str) -> (Message, Vec<String>) {
    match read(name) {
        Callback::Deliver(message, recipients) => {
            (*message, recipients.clients.into_iter().map(String::from).collect())
        }
        Callback::Ignored(why) => panic!("{name} is ignored: {why:?}"),
    }
}

#[test]
fn every_event_is_the_route_s_and_can_be_read() {
    for (name, _) in EVENTS {
        let request = event(name);
        assert_eq!(call::route(&request), "ANY /hooks/{app}/{secret}/imkit", "{name}");
        assert_eq!(call::path_parameter(&request, "app"), "demo", "{name}");
        assert_eq!(call::source(&request), Some("203.0.113.7".parse().unwrap()), "{name}");
        read(name);
    }
}

#[test]
fn the_page_s_example_is_titled_by_the_room_and_counts_one() {
    let (message, clients) = delivered("v2-text");
    assert_eq!(clients, ["aaa", "bbb"]);
    assert_eq!(message.text.title.as_deref(), Some("Demo Room"));
    assert_eq!(message.text.body.as_deref(), Some("SSS: lala"));
    assert_eq!(message.badge, Badge::Add { n: 1, source: Source::Room });
}

#[test]
fn each_event_becomes_what_its_type_is() {
    for (name, kind, badge, body) in [
        ("v2-image", Kind::Alert, 1, Some("Mira sent an image")),
        ("v2-mention", Kind::Alert, 1, Some("Mira: @Bo can you take gate 4?")),
        ("v2-recall", Kind::Withdraw, 0, None),
        ("v2-encrypted", Kind::Alert, 1, Some("Mira sent an encrypted message")),
        ("v2-join-room", Kind::Alert, 0, Some("Mira joined")),
        ("v2-add-members", Kind::Alert, 0, Some("Mira invited Bo, Cy")),
        ("v2-delete-members", Kind::Alert, 0, Some("Mira removed Cy")),
    ] {
        let (message, _) = delivered(name);
        let expected = if badge == 0 { Badge::Keep } else { Badge::Add { n: badge, source: Source::Room } };
        assert_eq!((message.behaviour.kind, message.badge), (kind, expected), "{name}");
        assert_eq!(message.text.body.as_deref(), body, "{name}");
    }
    assert_eq!(delivered("v2-image").0.media.image.as_deref(), Some("https://files.example.net/t/81.jpg"));
    assert_eq!(delivered("v2-mention").0.origin.mentions, ["u-310"]);
    assert_eq!(delivered("v2-recall").0.origin.message, delivered("v2-mention").0.origin.message);
    assert_eq!(read("v2-cancel-invitations"), Callback::Ignored(Ignored::Type("cancelInvitations")));
}

#[test]
fn both_forms_of_v1_are_the_same_message() {
    let (flat, clients) = delivered("v1-flat");
    assert_eq!((flat.badge.clone(), clients.as_slice()), (Badge::Show(4), &["u-310".to_owned()][..]));
    assert_eq!(flat.text.body.as_deref(), Some("Mira: see you at 9"));
    assert_eq!(delivered("v1-payload"), (flat, clients));
}

fn answer_of(response: &Response<Body>) -> Value {
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    match response.body() {
        Body::Text(text) => serde_json::from_str(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Status and code of a refusal; that it is in IMKIT's envelope.
fn refused(response: &Response<Body>) -> (u16, String) {
    let answer = answer_of(response);
    assert_eq!(answer["RC"], response.status().as_u16());
    assert_eq!(answer["RM"], response.status().canonical_reason().unwrap());
    assert!(answer["error"]["message"].is_string());
    (response.status().as_u16(), answer["error"]["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_callback_is_in_the_queue_before_it_is_answered() {
    let aws = Aws::start().await;
    let response = handle(&aws.state(), event("v2-text")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let answer = answer_of(&response);
    assert!(answer["task_id"].as_u64().unwrap() > 0);
    assert_eq!(answer["accepted"], 2);
    let queued = aws.queued();
    assert_eq!(queued.len(), 1);
    assert!(queued[0].contains("SSS: lala"));
}

#[tokio::test]
async fn a_bad_id_among_good_ones_is_skipped_and_named() {
    let aws = Aws::start().await;
    let answer = answer_of(&handle(&aws.state(), event("v2-bad-ids")).await);
    // u-310 and u-312: u-207 is the sender.
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(2), &json!(1)));
    assert_eq!(answer["skipped_count"], 6);
    let indices: Vec<u64> =
        answer["skipped"].as_array().unwrap().iter().map(|skipped| skipped["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [1, 2, 3, 5, 6, 7]);
}

#[tokio::test]
async fn nothing_to_do_is_answered_and_nothing_is_queued() {
    let aws = Aws::start().await;
    let state = aws.state();
    assert_eq!(answer_of(&handle(&state, event("v2-empty-list")).await), json!({"task_id": null, "accepted": 0}));
    for (name, why) in [("v1-flat", "v1"), ("v1-payload", "v1"), ("v2-cancel-invitations", "cancelInvitations")] {
        let answer = answer_of(&handle(&state, event(name)).await);
        assert_eq!(answer, json!({"task_id": null, "accepted": 0, "ignored": why}));
    }
    assert!(aws.queued().is_empty());
}

#[tokio::test]
async fn every_refusal_has_its_status_and_code() {
    let aws = Aws::start().await;
    let state = aws.state();
    let long = "x".repeat(70_000);
    let cases: Vec<(Request, u16, &str)> = vec![
        (changed(&[("/requestContext/http/method", json!("GET"))]), 405, "METHOD_NOT_ALLOWED"),
        (changed(&[("/pathParameters/app", json!("nobody"))]), 404, "APP_NOT_FOUND"),
        (changed(&[("/pathParameters/app", json!("no#body"))]), 404, "APP_NOT_FOUND"),
        (changed(&[("/pathParameters/secret", json!("wrong"))]), 401, "INVALID_SECRET"),
        // The credential is looked at before the body.
        (changed(&[("/pathParameters/secret", json!("wrong")), ("/body", json!("{"))]), 401, "INVALID_SECRET"),
        (changed(&[("/requestContext/http/sourceIp", json!("198.51.100.1"))]), 403, "SOURCE_NOT_ALLOWED"),
        (with_body(Value::Null), 400, "MISSING_BODY"),
        (with_body(""), 400, "MISSING_BODY"),
        (with_body(" \n"), 400, "MISSING_BODY"),
        (with_body("{\"_id\": s3cret}"), 400, "INVALID_JSON"),
        (with_body("[]"), 400, "INVALID_PARAMETER"),
        (with_body("{\"_id\": \"m1\"}"), 400, "MISSING_PARAMETER"),
        (with_body("{\"_id\": \"m1\", \"pushToClients\": \"aaa\"}"), 400, "INVALID_PARAMETER"),
        (
            with_body(json!({"_id": "m1", "pushToClients": ["aaa"], "message": long}).to_string()),
            413,
            "MESSAGE_TOO_LARGE",
        ),
        (with_body("x".repeat(call::MOST_BODY + 1)), 413, "BODY_TOO_LARGE"),
    ];
    for (request, status, code) in cases {
        let response = handle(&state, request).await;
        assert_eq!(refused(&response), (status, code.to_owned()));
        assert!(!format!("{:?}", response.body()).contains("s3cret"));
        let allowed = response.headers().get("allow").map(|value| value.to_str().unwrap());
        assert_eq!(allowed, (status == 405).then_some("POST"));
    }
    assert!(aws.queued().is_empty());
}

#[tokio::test]
async fn a_base64_body_is_read_as_well() {
    let aws = Aws::start().await;
    // {"_id":"m1","pushToClients":[]}
    let body = json!("eyJfaWQiOiJtMSIsInB1c2hUb0NsaWVudHMiOltdfQ==");
    let response = handle(&aws.state(), changed(&[("/body", body), ("/isBase64Encoded", json!(true))])).await;
    assert_eq!(answer_of(&response), json!({"task_id": null, "accepted": 0}));
}

#[tokio::test]
async fn an_accepted_callback_survives_a_queue_that_refuses() {
    let aws = Aws::start().await;
    aws.refuse("AmazonSQS.SendMessage");
    let response = handle(&aws.state(), event("v2-text")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(aws.deferred().len(), 1);
}

#[tokio::test]
async fn when_nothing_can_be_stored_the_caller_is_told_to_come_back() {
    let aws = Aws::start().await;
    let state = aws.state();
    aws.refuse("DynamoDB_20120810.PutItem");
    aws.refuse("AmazonSQS.SendMessage");
    let response = handle(&state, event("v2-text")).await;
    assert_eq!(refused(&response), (503, "UNAVAILABLE".to_owned()));
    assert_eq!(response.headers()["retry-after"], "5");
    // The queue alone will do: the task goes without a claim.
    let queue_only = Aws::start().await;
    let state = queue_only.state();
    queue_only.refuse("DynamoDB_20120810.PutItem");
    assert_eq!(handle(&state, event("v2-text")).await.status(), 200);
    assert_eq!(queue_only.queued().len(), 1);
    let other = Aws::start().await;
    other.refuse("secretsmanager.GetSecretValue");
    let response = handle(&other.state(), event("v2-text")).await;
    assert_eq!(refused(&response), (503, "UNAVAILABLE".to_owned()));
}

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What was logged on this thread: a test's runtime has one.
struct Lines;

impl Lines {
    /// One subscriber for the whole process. Those that tests set for themselves miss events of call sites that another test reached
    /// first.
    fn collect() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing_subscriber::fmt().json().with_max_level(tracing::Level::INFO).with_writer(|| Lines).init();
        });
    }

    fn take() -> String {
        String::from_utf8(LINES.with(RefCell::take)).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_call_leaves_one_line_without_path_text_or_person() {
    let aws = Aws::start().await;
    let state = aws.state();
    for (request, said) in [
        (event("v2-text"), "callback taken"),
        (event("v2-bad-ids"), "callback taken"),
        (event("v2-encrypted"), "callback taken"),
        (event("v2-empty-list"), "callback with nobody to tell"),
        (event("v1-flat"), "imkit_ignored"),
        (changed(&[("/pathParameters/secret", json!("s3cret"))]), "INVALID_SECRET"),
        (with_body("{\"_id\": s3cret"), "INVALID_JSON"),
    ] {
        Lines::take();
        handle(&state, request).await;
        let text = Lines::take();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(said) && text.contains("ANY /hooks/{app}/{secret}/imkit"), "{text}");
        for never in ["demo-secret", "s3cret", "lala", "see you", "aaa", "u-310", "u-207", "Mira", "HqF/"] {
            assert!(!text.contains(never), "{never}: {text}");
        }
    }
}

/// The value of `metric` on the one line that has it, and the line's app.
async fn counted(state: &State, request: Request, metric: &str) -> (Value, Value) {
    let (_, lines) = pushbell::telemetry::metrics::captured(handle(state, request)).await;
    let with: Vec<&Value> = lines.iter().filter(|line| line.get(metric).is_some()).collect();
    assert_eq!(with.len(), 1, "{metric} in {lines:?}");
    (with[0][metric].clone(), with[0]["app"].clone())
}

#[tokio::test]
async fn what_is_ignored_or_refused_by_the_queue_is_counted_for_its_app() {
    let aws = Aws::start().await;
    assert_eq!(counted(&aws.state(), event("v1-flat"), "imkit_ignored").await, (json!(1), json!("demo")));
    aws.refuse("AmazonSQS.SendMessage");
    assert_eq!(counted(&aws.state(), event("v2-text"), "queue_refused").await, (json!(1), json!("demo")));
}
