//! What is logged.

use pushbell::telemetry::Lines;

use super::*;

/// In no line: credentials, people, groups, and what is said.
const NEVER: [&str; 22] = [
    "demo-secret",
    "s3cret",
    "local",
    "aaa",
    "bbb",
    "ccc",
    "sss",
    "Sss",
    "Ana",
    "user123",
    "user789",
    "user101",
    "gate 4",
    "lunch",
    "look at this",
    "m.example.net",
    "demo-group",
    "Demo Group",
    "room-77",
    "New Message",
    "Hello",
    "/hooks/demo",
];

/// The lines of one call: each under the operation, one of them the call's own. That one is returned.
async fn line(state: &State, request: Request, operation: Option<&str>) -> Value {
    Lines::take();
    handle(state, request).await;
    let lines = Lines::take();
    for line in &lines {
        let text = line.to_string();
        for never in NEVER {
            assert!(!text.contains(never), "{never}: {text}");
        }
        assert_eq!(
            (line["span"]["name"].as_str(), line["span"]["operation"].as_str()),
            (Some("hook"), operation),
            "{text}"
        );
    }
    let mut own = lines.into_iter().filter(|line| line.get("route").is_some());
    let line = own.next().expect("a line");
    assert!(own.next().is_none(), "one line");
    line
}

/// What each release calls the request: 2.3 in the body alone.
fn operation_of(name: &str) -> String {
    let (_, text) = EVENTS.iter().find(|(own, _)| *own == name).unwrap();
    let event: Value = serde_json::from_str(text).unwrap();
    let body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
    let header = event["headers"]["operationid"].as_str();
    header.or(body["operationID"].as_str()).unwrap().to_owned()
}

#[tokio::test]
async fn a_call_leaves_one_line_under_its_operation_without_path_text_or_person() {
    let preferences = json!({"po": {"BOOL": true}, "ni": {"S": "Ana"}, "bs": {"SS": ["sss"]}});
    for mode in ["filter", "deliver"] {
        let settings = json!({"openim": {"mode": mode, "on_error": "deny"}, "filter": {"words": {"mask": ["gate"]}}});
        let aws = Aws::start(settings).await;
        aws.put("bbb", preferences.clone());
        aws.put("sss", preferences.clone());
        let state = aws.state();
        for (name, _) in EVENTS {
            let line = line(&state, event(name), Some(&operation_of(name))).await;
            assert_eq!((line["level"].as_str(), line["app"].as_str()), (Some("INFO"), Some("demo")), "{line}");
        }
    }
}

#[tokio::test]
async fn a_line_about_an_error_holds_no_more() {
    for (mode, fault) in [
        ("filter", Fault::Refuse),
        ("filter", Fault::Throttle),
        ("filter", Fault::Hang),
        ("deliver", Fault::Refuse),
        ("deliver", Fault::Hang),
    ] {
        let aws = Aws::start(json!({"openim": {"mode": mode, "on_error": "deny"}})).await;
        let state = aws.state();
        ask(&state, event("v3.8-null-lists")).await;
        aws.fail_storage(fault);
        for name in [GROUP, "v2.3-offline", "v3.8-kicked"] {
            let line = line(&state, event(name), Some(&operation_of(name))).await;
            assert_eq!(line["level"], "ERROR", "{line}");
        }
        for call in ["GetSecretValue", "GetItem registry"] {
            let state = aws.state();
            aws.fail(call, fault);
            let line = line(&state, event(GROUP), Some(&operation_of(GROUP))).await;
            assert_eq!((&line["level"], &line["code"]), (&json!("ERROR"), &json!("unavailable")), "{line}");
        }
    }
}

#[tokio::test]
async fn a_line_about_a_bad_call_or_a_stranger_holds_no_more() {
    let aws = Aws::start(json!({"openim": {"mode": "deliver", "on_error": "deny"}})).await;
    let state = aws.state();
    let operation = operation_of(GROUP);
    let body = |text: &str| changed(GROUP, &[("/body", json!(text))]);
    let bad = [
        body(r#"{"userIDList": s3cret"#),
        body(r#"{"userIDList": "s3cret"}"#),
        body(r#"{"contentType": "s3cret", "content": "s3cret"}"#),
        body(""),
        body(r#"["s3cret"]"#),
        saying(json!({"clientMsgID": "s3cret \u{7}"})),
    ];
    for request in bad {
        let line = line(&state, request, Some(&operation)).await;
        assert_eq!((&line["level"], &line["code"]), (&json!("WARN"), &json!("bad_request")), "{line}");
    }
    for (pointer, value) in [
        ("/pathParameters/secret", "s3cret"),
        ("/pathParameters/app", "nobody"),
        ("/pathParameters/app", "s3cret#aaa"),
        ("/requestContext/http/sourceIp", "198.51.100.1"),
    ] {
        let line = line(&state, changed(GROUP, &[(pointer, json!(value))]), Some(&operation)).await;
        assert_eq!((&line["level"], &line["code"]), (&json!("WARN"), &json!("bad_request")), "{line}");
    }
    aws.set(json!({"openim": {"mode": "s3cret"}}));
    let line = line(&aws.state(), event(GROUP), Some(&operation)).await;
    assert_eq!((&line["level"], &line["code"]), (&json!("ERROR"), &json!("unavailable")), "{line}");
}

#[tokio::test]
async fn an_operation_is_the_header_s_in_any_case_else_the_body_s() {
    let aws = Aws::start(json!({})).await;
    let state = aws.state();
    for name in ["operationid", "operationID", "OperationID", "OPERATIONID"] {
        let headers = ("/headers", json!({name: "by the header"}));
        let both = changed(GROUP, std::slice::from_ref(&headers));
        line(&state, both, Some("by the header")).await;
        // Whatever the body is.
        line(&state, changed(GROUP, &[headers, ("/body", json!("{"))]), Some("by the header")).await;
    }
    let bare = ("/headers", json!({}));
    line(&state, changed(GROUP, std::slice::from_ref(&bare)), Some("1767225600123")).await;
    line(&state, changed(GROUP, &[bare, ("/body", json!("{}"))]), None).await;
    // A line is a line.
    for wrong in ["two\nlines", " ", &"x".repeat(129)] {
        let body = json!({"operationID": wrong}).to_string();
        line(&state, changed(GROUP, &[("/headers", json!({})), ("/body", json!(body))]), None).await;
    }
}
