//! What is logged.

use pushbell::telemetry::Lines;

use super::*;

/// In no line: credentials, people, groups, pushes, and what a vendor said.
const NEVER: [&str; 14] = [
    "demo-secret",
    "pb-demo-token-01",
    "258e7354b4a909ce",
    "s3cret",
    "local",
    "\"bo\"",
    "\"cy\"",
    "\"ana\"",
    "TGS#",
    "69560c00",
    "91774",
    "Unregistered",
    "new-year",
    "/hooks/demo",
];

/// The lines of one call; the last of them is the call's own.
async fn lines(state: &State, request: Request) -> Vec<Value> {
    Lines::take();
    handle(state, request).await;
    let lines = Lines::take();
    for line in &lines {
        for never in NEVER {
            assert!(!line.to_string().contains(never), "{never}: {line}");
        }
    }
    let calls = lines.iter().filter(|line| line.get("route").is_some()).count();
    assert_eq!(calls, 1, "{lines:?}");
    lines
}

#[tokio::test]
async fn a_call_leaves_one_line_without_path_push_or_person() {
    let aws = Aws::start(json!(["pb-demo-token-01"])).await;
    let lines = lines(&aws.state(), event("signed")).await;
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&line["level"], &line["app"]), (&json!("INFO"), &json!("demo")));
    assert_eq!((&line["accepted"], &line["left_out"], &line["status"]), (&json!(2), &json!(0), &json!(200)));
    assert_eq!(line["command"], "Push.OfflinePush");
}

#[tokio::test]
async fn what_is_left_out_is_told_by_index_field_and_rule() {
    let aws = Aws::start(json!([])).await;
    let mut events = vec![push("p1"); 20];
    for event in &mut events[3..18] {
        event["PushStage"] = json!("s3cret");
    }
    let lines = lines(&aws.state(), with_events(&events)).await;
    let [line, own] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&line["level"], &line["count"]), (&json!("WARN"), &json!(15)));
    let told = line["events"].as_str().unwrap();
    assert!(told.starts_with("Events[3]: PushStage must be 1, 2 or 3; Events[4]: "), "{told}");
    assert!(told.ends_with("Events[12]: PushStage must be 1, 2 or 3"), "ten of them: {told}");
    assert_eq!((&own["accepted"], &own["left_out"]), (&json!(5), &json!(15)));
    let events = [json!({"PushID": "p1", "EventType": 3}), json!("s3cret")];
    let lines = self::lines(&aws.state(), with_events(&events)).await;
    let [line, _] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(line["events"], "Events[0]: EventType must be 1 or 2; Events[1]: the event must be a JSON object");
}

#[tokio::test]
async fn a_line_about_a_refusal_holds_no_more() {
    let aws = Aws::start(json!(["pb-demo-token-01"])).await;
    let state = aws.state();
    for (request, level) in [
        (changed("signed", &[("/pathParameters/secret", json!("s3cret"))]), "WARN"),
        (changed("signed", &[("/pathParameters/app", json!("s3cret#"))]), "WARN"),
        (queried("SdkAppid=s3cret&CallbackCommand=Push.OfflinePush"), "WARN"),
        (event("reference-example"), "WARN"),
        (changed("signed", &[("/body", json!(r#"{"Events": [s3cret]}"#))]), "WARN"),
        (changed("signed", &[("/body", json!(r#"{"Events": [{"PushID": "s3cret", "TaskId": "s3cret"}]}"#))]), "WARN"),
    ] {
        let lines = lines(&state, request).await;
        assert_eq!(lines.last().unwrap()["level"], level);
    }
    aws.fail("SendMessage", Fault::Refuse);
    aws.fail("PutItem", Fault::Refuse);
    assert_eq!(lines(&state, event("signed")).await.last().unwrap()["level"], "ERROR");
    drop(aws);
    let aws = Aws::start(json!(["s3cret"])).await;
    aws.set(json!({"tencent": {"sdk_app_id": "s3cret"}}));
    assert_eq!(lines(&aws.state(), event("signed")).await.last().unwrap()["level"], "ERROR");
}
