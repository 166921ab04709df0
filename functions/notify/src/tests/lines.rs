//! What is logged.

use pushbell::telemetry::Lines;

use super::*;

/// In no line: credentials, people, and what is said.
const NEVER: [&str; 6] = ["demo-user-key", "eyJ", "u-310", "hello", "riders", "ord-771"];

#[tokio::test]
async fn a_call_is_one_line_with_numbers_and_no_content() {
    let cloud = Cloud::new().await;
    let said = json!({
        "audience": {"tag": ["riders", "u-310"]}, "setting": {"request_id": "ord-771"}, "message": {"body": "hello"},
    });
    Lines::take();
    let task = Call::admin("POST", NOTIFY).body(&said).send(&cloud).await.task();
    let lines = Lines::take();
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    let told = ["route", "app", "status", "task", "audience", "named", "deferred", "repeated"].map(|name| &line[name]);
    let expected = json!(["ANY /push/notify", "demo", 200, task, "tags", 2, false, false]);
    assert_eq!((json!(told), line["ms"].is_u64()), (expected, true));
    for audience in [json!({"user_id": ["u-310", ""]}), json!({"tag": ["riders\n"]})] {
        push(audience).send(&cloud).await;
    }
    let cloud = cloud.without_tables().await;
    push(json!({"user_id": ["u-310"]})).send(&cloud).await;
    for line in lines.into_iter().chain(Lines::take()) {
        let text = line.to_string();
        assert!(NEVER.iter().all(|never| !text.contains(never)), "{text}");
    }
}

#[tokio::test]
async fn sends_in_other_words_are_lines_with_numbers_and_no_content_too() {
    const PEOPLE: [&str; 7] = ["u-31", "hello", "Joe", "ord-771", "token-of", "demo-master", API_KEY];
    let cloud = Cloud::with(&json!({"kinvey": {"import_tokens": true}}), &json!({})).await;
    let tokens = json!([{"token": "token-of-joe", "platform": "android", "arn": null}]);
    let document = json!({"_id": "u-310", "givenName": "Joe", "_messaging": {"pushTokens": tokens}});
    let kinvey = json!({
        "recipients": [document, "u-311"], "messageContent": "hello {{givenName}}", "requestId": "ord-771",
    });
    let imkit = json!({"clients": ["u-310", "u-311"], "payload": {"alert": "hello"}, "requestId": "ord-771"});
    let broadcast = json!({"messageContent": "hello", "sendAt": NOW + 60_000});
    let calls = || {
        [
            Call::kinvey("POST", MESSAGE).body(&kinvey),
            Call::kinvey("POST", BROADCAST).body(&broadcast),
            Call::imkit("POST", CLIENTS).body(&imkit),
        ]
    };
    let audiences = [json!(["clients", 2, false]), json!(["all", 0, true]), json!(["clients", 2, false])];
    for (call, audience) in calls().into_iter().zip(audiences) {
        let route = format!("ANY {}", call.route);
        Lines::take();
        let answer = call.send(&cloud).await;
        let task = answer.body.get("task_id").or_else(|| answer.body["result"].get("task_id")).unwrap().clone();
        let lines = Lines::take();
        let [line] = &lines[..] else { panic!("one line: {lines:?}") };
        assert_eq!(
            json!([line["route"], line["app"], line["status"], line["task"]]),
            json!([route, "demo", 200, task])
        );
        assert_eq!(json!([line["audience"], line["named"], line["deferred"]]), audience);
        assert!(PEOPLE.iter().all(|never| !line.to_string().contains(never)), "{line}");
    }
    // Refused, and in trouble.
    let bad = json!({"recipients": [{"_id": "u-310", "age": 7}, "u-31\n"], "messageContent": "hello {{givenName}}"});
    Lines::take();
    assert_eq!(Call::kinvey("POST", MESSAGE).body(&bad).send(&cloud).await.status, 400);
    let bad = json!({"clients": ["u-31\n"], "payload": {"alert": "hello"}});
    assert_eq!(Call::imkit("POST", CLIENTS).body(&bad).send(&cloud).await.status, 400);
    let cloud = cloud.without_tables().await;
    for call in calls() {
        assert_eq!(call.send(&cloud).await.status, 503);
    }
    let lines = Lines::take();
    assert!(lines.len() > 5, "{lines:?}");
    assert!(lines.iter().all(|line| PEOPLE.iter().all(|never| !line.to_string().contains(never))), "{lines:?}");
}

#[tokio::test]
async fn the_log_says_why_a_token_is_refused_and_the_answer_does_not() {
    const NOW_S: u64 = NOW / 1000;
    let cloud = Cloud::new().await;
    let claims = |changed: &str, value: Value| {
        let mut claims = json!({"app": "demo", "sub": "u-310", "role": "user", "exp": NOW_S + 60});
        claims[changed] = value;
        claims
    };
    let signed = |claims: &Value| jwt::sign_hs256(USER_KEY.as_bytes(), claims);
    let valid = claims("nbf", Value::Null);
    for (token, reason) in [
        (signed(&claims("exp", json!(NOW_S - 61))), "the token has expired"),
        (signed(&claims("exp", Value::Null)), "the token's claim `exp` is missing or unusable"),
        (signed(&claims("role", Value::Null)), "the token's claim `role` is missing or unusable"),
        (signed(&claims("role", json!("u-310"))), "the token's claim `role` is missing or unusable"),
        (signed(&claims("app", json!("u-310"))), "the token is for another app"),
        (signed(&claims("sub", json!("u-310\n"))), "the token's claim `sub` is no user's id"),
        (signed(&claims("nbf", json!(NOW_S + 61))), "the token is not valid yet"),
        (jwt::sign_hs256(&[7; 32], &valid), "the token's signature is not by one of the app's keys"),
        ("eyJu-310".to_owned(), "the token is malformed"),
    ] {
        Lines::take();
        let answer = Call::admin("POST", NOTIFY).header("access-token", &token).body(&json!({})).send(&cloud).await;
        assert_eq!(answer.body["code"], 10_008, "{reason}");
        assert_eq!(answer.body["message"], "the access token is not valid, or has ended");
        let lines = Lines::take();
        let told: Vec<_> = lines.iter().filter(|line| !line["reason"].is_null()).collect();
        let [line] = &told[..] else { panic!("one line: {lines:?}") };
        assert_eq!((&line["level"], &line["app"], &line["reason"]), (&json!("INFO"), &json!("demo"), &json!(reason)));
        for line in lines {
            let text = line.to_string();
            assert!(NEVER.iter().all(|never| !text.contains(never)), "{text}");
        }
    }
}
