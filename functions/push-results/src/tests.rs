#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod aws;
mod lines;

use pushbell::telemetry::metrics::captured;
use serde_json::{Value, json};

use super::*;
use aws::{Aws, Fault};

macro_rules! event {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../events/push-results/", $name, ".json")))
    };
}

const EVENTS: [(&str, &str); 4] =
    [event!("page-sample"), event!("reference-example"), event!("all-member"), event!("signed")];

fn event(name: &str) -> Request {
    changed(name, &[])
}

/// An event with changes: `/pathParameters/secret`, `/body`, ...
fn changed(name: &str, changes: &[(&str, Value)]) -> Request {
    let (_, text) = EVENTS.iter().find(|(own, _)| *own == name).unwrap();
    let mut event: Value = serde_json::from_str(text).unwrap();
    for (pointer, value) in changes {
        *event.pointer_mut(pointer).unwrap() = value.clone();
    }
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

fn queried(query: &str) -> Request {
    changed("reference-example", &[("/rawQueryString", json!(query))])
}

fn with_events(events: &[Value]) -> Request {
    changed("reference-example", &[("/body", json!(json!({"Events": events}).to_string()))])
}

fn push(id: &str) -> Value {
    json!({
        "CallbackCommand": "Push.OfflinePush", "EventType": 1, "EventTime": 1_767_225_605, "To_Account": "bo",
        "PushPlatform": 4, "PushStage": 1, "PushID": id, "ErrCode": 0
    })
}

#[track_caller]
fn answer_of(response: &Response<Body>) -> (u16, String, String) {
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    let Body::Text(text) = response.body() else { panic!("a text") };
    let answer: Value = serde_json::from_str(text).unwrap();
    let status = answer["ActionStatus"].as_str().unwrap().to_owned();
    assert_eq!(answer["ErrorCode"], i32::from(status != "OK"));
    let told = answer["ErrorInfo"].as_str().unwrap().to_owned();
    assert_eq!(told.is_empty(), status == "OK");
    (response.status().as_u16(), status, told)
}

#[track_caller]
fn taken(response: &Response<Body>) {
    assert_eq!(answer_of(response), (200, "OK".to_owned(), String::new()));
}

/// Status and reason.
#[track_caller]
fn refused(response: &Response<Body>) -> (u16, String) {
    let (code, status, told) = answer_of(response);
    assert_eq!(status, "FAILURE");
    (code, told)
}

#[test]
fn every_event_is_the_route_s() {
    for (name, _) in EVENTS {
        let request = event(name);
        assert_eq!(call::route(&request), "ANY /hooks/{app}/{secret}/tencent", "{name}");
        assert_eq!(call::path_parameter(&request, "app"), "demo", "{name}");
        assert_eq!(call::source(&request), Some("203.0.113.7".parse().unwrap()), "{name}");
    }
}

#[tokio::test]
async fn a_callback_is_in_the_queue_before_it_is_answered() {
    let aws = Aws::start(json!([])).await;
    let state = aws.state();
    for (name, events) in [("page-sample", 2), ("reference-example", 2), ("all-member", 4), ("signed", 2)] {
        taken(&handle(&state, event(name)).await);
        let queued = aws.queued();
        let batch: Batch = serde_json::from_value(queued.last().unwrap().clone()).unwrap();
        assert_eq!((batch.app.as_str(), batch.events.len()), ("demo", events), "{name}");
        assert_eq!(batch.accepted_at, call::received_at(&event(name)));
    }
    // The same reports, twice: each callback has a record of its own, whose events have the same names.
    let queued = aws.queued();
    assert_eq!(queued.len(), 4);
    assert_eq!(queued[1]["events"], queued[3]["events"]);
    assert_ne!(queued[1]["id"], queued[3]["id"]);
    for record in &queued {
        let id = record["id"].as_str().unwrap();
        assert!(id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    }
}

#[tokio::test]
async fn a_signature_is_asked_for_where_the_app_has_a_token() {
    let aws = Aws::start(json!(["pb-demo-token-01", {"value": "old", "until": 1}])).await;
    let state = aws.state();
    taken(&handle(&state, event("signed")).await);
    let unsigned = refused(&handle(&state, event("reference-example")).await);
    assert_eq!(unsigned, (401, "Sign is missing in the query".to_owned()));
    let query = |sign: &str, time: &str| {
        let page = "SdkAppid=1400000001&CallbackCommand=Push.OfflinePush&contenttype=json";
        queried(&format!("{page}&Sign={sign}&RequestTime={time}"))
    };
    let sign = "258e7354b4a909ce4a1b83655af80fc3775b5c28640a2bb04815489025eb739b";
    taken(&handle(&state, query(&sign.to_uppercase(), "1767225600")).await);
    for (sign, time) in [
        ("", "1767225600"),
        (sign, ""),
        (sign, "1767225601"),
        (sign, "1767225500"),
        (&sign[1..], "1767225600"),
        ("17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061", "1767225600"),
    ] {
        assert_eq!(refused(&handle(&state, query(sign, time)).await).0, 401, "{sign} {time}");
    }
    // Good for a minute from the time that it names.
    let late = changed("signed", &[("/requestContext/timeEpoch", json!(1_767_225_661_000_u64))]);
    assert_eq!(refused(&handle(&state, late).await), (401, "RequestTime is more than a minute from now".to_owned()));
    assert_eq!(aws.queued().len(), 2);
}

#[tokio::test]
async fn every_refusal_has_its_status_and_reason() {
    let aws = Aws::start(json!([])).await;
    let state = aws.state();
    let body = |text: &str| changed("reference-example", &[("/body", json!(text))]);
    let stage = |stage: i32| {
        let mut event = push("p1");
        event["PushStage"] = json!(stage);
        event
    };
    let page = "CallbackCommand=Push.OfflinePush&contenttype=json";
    for (request, status, reason) in [
        (changed("signed", &[("/requestContext/http/method", json!("GET"))]), 405, "only POST is taken here"),
        (changed("signed", &[("/pathParameters/app", json!("nobody"))]), 404, "there is no such app"),
        (changed("signed", &[("/pathParameters/app", json!("no#body"))]), 404, "there is no such app"),
        (
            changed("signed", &[("/pathParameters/secret", json!("wrong"))]),
            401,
            "the secret in the path is not one of this app's",
        ),
        (
            changed("signed", &[("/requestContext/http/sourceIp", json!("198.51.100.1"))]),
            403,
            "the app takes no hooks from this address",
        ),
        (queried(page), 403, "SdkAppid is missing in the query"),
        (queried(&format!("SdkAppid=1400000002&{page}")), 403, "SdkAppid is not this app's"),
        (queried(&format!("SdkAppid=01400000001&{page}")), 403, "SdkAppid is not this app's"),
        (queried("SdkAppid=1400000001"), 200, "CallbackCommand is missing in the query"),
        (
            queried("SdkAppid=1400000001&CallbackCommand=Push.OfflinePush&contenttype=xml"),
            200,
            "contenttype in the query must be json",
        ),
        (body(""), 200, "the request has no body"),
        (body("[]"), 200, "the body must be a JSON object"),
        (body("{}"), 200, "Events is missing"),
        (body(r#"{"Events": {}}"#), 200, "Events must be an array"),
        (with_events(&[]), 200, "Events must hold 1 to 100 events, and holds 0"),
        (with_events(&vec![push("p1"); 101]), 200, "Events must hold 1 to 100 events, and holds 101"),
        (with_events(&[stage(4)]), 200, "no event can be taken; Events[0]: PushStage must be 1, 2 or 3"),
        (
            body("{\n  \"Events\": [ // The length"),
            200,
            "the body is not JSON at line 2, column 15; JSON has no comments and no trailing commas",
        ),
        (body(&"x".repeat(call::MOST_BODY + 1)), 200, "the body is longer than 5 MiB"),
    ] {
        let response = handle(&state, request).await;
        assert_eq!(refused(&response), (status, reason.to_owned()));
        let allowed = response.headers().get("allow").map(|value| value.to_str().unwrap());
        assert_eq!(allowed, (status == 405).then_some("POST"));
    }
    assert!(aws.queued().is_empty());
}

#[tokio::test]
async fn an_app_that_names_no_number_takes_nothing() {
    let aws = Aws::start(json!([])).await;
    aws.set(json!({}));
    let (status, reason) = refused(&handle(&aws.state(), event("signed")).await);
    assert_eq!(status, 403);
    assert!(reason.contains("tencent.sdk_app_id"), "{reason}");
}

#[tokio::test]
async fn a_callback_about_something_else_may_go_on() {
    let aws = Aws::start(json!([])).await;
    let state = aws.state();
    for command in ["Alert.RequestOverLimit", "C2C.CallbackBeforeSendMsg", "State.StateChange"] {
        let other = queried(&format!("SdkAppid=1400000001&CallbackCommand={command}&contenttype=json"));
        let (response, lines) = captured(handle(&state, other)).await;
        taken(&response);
        assert!(lines.iter().any(|line| line["tencent_ignored"] == 1), "{lines:?}");
    }
    assert!(aws.queued().is_empty());
    // A stranger is not answered so.
    let other = queried("SdkAppid=1400000002&CallbackCommand=Alert.RequestOverLimit");
    assert_eq!(refused(&handle(&state, other).await).0, 403);
}

#[tokio::test]
async fn one_bad_event_does_not_lose_the_others_and_is_counted() {
    let aws = Aws::start(json!([])).await;
    let mut events: Vec<Value> = (0..100).map(|n| push(&format!("p{n}"))).collect();
    events[7]["ErrCode"] = json!("0");
    events[50] = json!(null);
    let (response, lines) = captured(handle(&aws.state(), with_events(&events))).await;
    taken(&response);
    assert_eq!(aws.queued()[0]["events"].as_array().unwrap().len(), 98);
    let counted: u64 = lines.iter().filter_map(|line| line["bad_event"].as_u64()).sum();
    assert_eq!(counted, 2);
    assert!(lines.iter().all(|line| line.get("tencent_unreadable").is_none()));
}

#[tokio::test]
async fn bad_events_are_counted_also_where_none_is_good() {
    let aws = Aws::start(json!([])).await;
    let events = with_events(&[json!(null), json!({"PushID": "p1"})]);
    let (response, lines) = captured(handle(&aws.state(), events)).await;
    let (status, reason) = refused(&response);
    assert_eq!((status, reason.as_str()), (200, "no event can be taken; Events[0]: the event must be a JSON object"));
    let counted = |metric: &str| lines.iter().filter_map(|line| line[metric].as_u64()).sum::<u64>();
    assert_eq!((counted("bad_event"), counted("tencent_unreadable")), (2, 1));
    assert!(aws.queued().is_empty());
}

#[tokio::test]
async fn an_accepted_callback_survives_a_queue_that_refuses_or_hangs() {
    for fault in [Fault::Refuse, Fault::Hang] {
        let aws = Aws::start(json!([])).await;
        let state = aws.state();
        taken(&handle(&state, event("all-member")).await);
        aws.fail("SendMessage", fault);
        let begun = Instant::now();
        taken(&handle(&state, event("reference-example")).await);
        assert!(begun.elapsed() < Duration::from_secs(2), "{fault:?}: {:?}", begun.elapsed());
        let deferred = aws.deferred();
        let [row] = deferred.as_slice() else { panic!("{fault:?}: {deferred:?}") };
        assert!(row.to_string().contains("69560c00_b60a_200001_78"), "{row}");
        assert!(row.to_string().contains("#results#"), "it goes to the queue of results: {row}");
    }
}

#[tokio::test]
async fn documents_are_read_side_by_side_and_judged_in_order() {
    let aws = Aws::start(json!([])).await;
    aws.fail("GetSecretValue", Fault::Slow);
    aws.fail("GetItem", Fault::Slow);
    taken(&handle(&aws.state(), event("reference-example")).await);
    // A stranger learns nothing of the settings, and does not wait for them.
    let stranger = || changed("reference-example", &[("/pathParameters/secret", json!("wrong"))]);
    for fault in [Fault::Refuse, Fault::Hang] {
        aws.fail("GetItem", fault);
        let begun = Instant::now();
        assert_eq!(refused(&handle(&aws.state(), stranger()).await).0, 401, "{fault:?}");
        assert!(begun.elapsed() < DOCUMENTS, "{fault:?}: {:?}", begun.elapsed());
        assert_eq!(refused(&handle(&aws.state(), event("reference-example")).await).0, 503, "{fault:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_told_in_time() {
    for fault in [Fault::Refuse, Fault::Hang] {
        let aws = Aws::start(json!([])).await;
        let state = aws.state();
        taken(&handle(&state, event("all-member")).await);
        aws.fail("SendMessage", fault);
        aws.fail("PutItem", fault);
        let begun = Instant::now();
        let (response, lines) = captured(handle(&state, event("reference-example"))).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{fault:?}: {:?}", begun.elapsed());
        assert_eq!(refused(&response).0, 503);
        assert!(lines.iter().any(|line| line["tencent_lost"] == 1), "{lines:?}");
    }
    for call in ["GetSecretValue", "GetItem"] {
        for fault in [Fault::Refuse, Fault::Hang] {
            let aws = Aws::start(json!([])).await;
            aws.fail(call, fault);
            let begun = Instant::now();
            assert_eq!(refused(&handle(&aws.state(), event("reference-example")).await).0, 503);
            assert!(begun.elapsed() < Duration::from_secs(2), "{call} {fault:?}: {:?}", begun.elapsed());
        }
    }
}
