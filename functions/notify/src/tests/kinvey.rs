//! Sends in Kinvey's words.

use aws_sdk_dynamodb::types::AttributeValue;

use super::*;

const APPLICATION: &str = "arn:aws:sns:us-east-1:123456789012:app/APNS/demo";

fn send(body: &Value) -> Call {
    Call::kinvey("POST", MESSAGE).body(body)
}

fn hello() -> Value {
    json!({"recipients": ["u-310"], "messageContent": "hello"})
}

/// A user's document, with the tokens that Kinvey knew.
fn document(id: &str, tokens: &Value) -> Value {
    json!({"_id": id, "username": format!("{id}@example.com"), "givenName": "Joe", "_messaging": {"pushTokens": tokens}})
}

fn iphone(token: &str, arn: &str) -> Value {
    json!({"token": token, "platform": "ios", "arn": arn})
}

impl Cloud {
    /// The devices of a client: token, SNS endpoint, sandbox.
    async fn devices(&self, client: &str) -> Vec<(String, Option<String>, bool)> {
        let pk = AttributeValue::S(format!("demo#{client}"));
        let item = self.rows("recipients").await.into_iter().find(|item| item["pk"] == pk).unwrap_or_default();
        let text = |value: Option<&AttributeValue>| value.and_then(|value| value.as_s().ok()).cloned();
        let device = |value: &AttributeValue| {
            let device = value.as_m().unwrap();
            (text(device.get("t")).unwrap(), text(device.get("e")), device.contains_key("s"))
        };
        let mut devices: Vec<_> =
            item.iter().filter(|(name, _)| name.starts_with("d#")).map(|(_, value)| device(value)).collect();
        devices.sort();
        devices
    }
}

#[tokio::test]
async fn a_send_is_a_task_and_of_a_document_only_what_fills_its_places_travels() {
    let cloud = Cloud::new().await;
    let tokens = json!([{"token": "token-of-joe", "platform": "android", "arn": null}]);
    let body = json!({
        "recipients": [document("u-310", &tokens), {"_id": "u-311"}, "u-312"],
        "messageContent": "hello {{givenName}}",
    });
    let taken = send(&body).send(&cloud).await;
    assert_eq!((taken.status, &taken.body["accepted"]), (200, &json!(3)), "{}", taken.body);
    let [(queue, record)] = &cloud.queued()[..] else { panic!("one record") };
    assert_eq!((queue.as_str(), &record["task"]), ("deliver", &taken.body["task_id"]));
    assert_eq!(record["to"], json!([{"c": "u-310", "x": {"givenName": "Joe"}}, "u-311", "u-312"]));
    let text = record.to_string();
    assert!(!text.contains("token-of-joe") && !text.contains("example.com"), "{text}");
    assert_eq!(cloud.devices("u-310").await, [], "a send registers nothing unless the app wants it");
}

#[tokio::test]
async fn the_app_s_server_alone_sends() {
    let cloud = Cloud::new().await;
    let as_whom = |authorization: &str| send(&hello()).header("authorization", authorization);
    let user = format!("Kinvey {}", token("user", "u-310"));
    for (call, expected) in [
        (as_whom("Basic ZGVtbzp3cm9uZw=="), (401, "InvalidCredentials")),
        (as_whom("Basic ZGVtbzpkZW1vLWFwcC1zZWNyZXQ="), (401, "InsufficientCredentials")),
        (as_whom(&user), (401, "InsufficientCredentials")),
        (Call::bare("POST", MESSAGE).body(&hello()), (401, "InvalidCredentials")),
        (Call { app_key: "nobody", ..send(&hello()) }, (404, "AppNotFound")),
        (Call { app_key: "a#b", ..send(&hello()) }, (404, "AppNotFound")),
    ] {
        let refused = call.send(&cloud).await;
        assert_eq!((refused.error(), refused.header("x-kinvey-request-id")), (expected, Some(REQUEST)));
    }
    assert!(cloud.queued().is_empty());
    assert!(cloud.rows("tasks").await.is_empty(), "nothing is claimed by a refused call");
}

#[tokio::test]
async fn another_method_is_told_which_one_is_taken() {
    let cloud = Cloud::new().await;
    for route in [MESSAGE, BROADCAST] {
        for method in ["GET", "PUT", "DELETE"] {
            let refused = Call::kinvey(method, route).send(&cloud).await;
            assert_eq!((refused.error(), refused.header("allow")), ((405, "MethodNotAllowed"), Some("POST")));
            assert_eq!(refused.header("x-kinvey-request-id"), Some(REQUEST));
        }
    }
}

#[tokio::test]
async fn a_send_that_sqs_refuses_is_deferred_and_one_that_the_tables_refuse_too_may_be_tried_again() {
    let cloud = Cloud::new().await;
    cloud.sqs_refuses();
    let taken = send(&hello()).send(&cloud).await;
    assert!(taken.body["task_id"].is_u64(), "{}", taken.body);
    assert_eq!(cloud.rows("deferred").await.len(), 1);
    let cloud = cloud.without_tables().await;
    for call in [send(&hello()), Call::kinvey("POST", BROADCAST).body(&json!({"messageContent": "hello"}))] {
        let later = call.send(&cloud).await;
        let expected = ((503, "KinveyInternalErrorRetry"), Some("5"));
        assert_eq!((later.error(), later.header("retry-after")), expected);
    }
}

#[tokio::test]
async fn tables_that_hang_are_told_in_kinvey_s_words_before_api_gateway_answers_in_our_place() {
    let mut cloud = Cloud::new().await.with_hanging_tables().await;
    cloud.state.limit = SHORT;
    for call in [send(&hello()), Call::kinvey("POST", BROADCAST).body(&json!({"messageContent": "hello"}))] {
        let later = in_time(call.send(&cloud)).await;
        let expected = ((503, "KinveyInternalErrorRetry"), Some("5"));
        assert_eq!((later.error(), later.header("retry-after")), expected);
        assert_eq!(later.header("x-kinvey-request-id"), Some(REQUEST));
    }
}

#[tokio::test]
async fn tokens_of_documents_are_registered_where_the_app_wants_it_and_taken_from_nobody() {
    let settings = json!({
        "kinvey": {"import_tokens": true},
        "sns": {"apns": APPLICATION, "apns_sandbox": APPLICATION.replace("APNS", "APNS_SANDBOX")},
    });
    let cloud = Cloud::with(&settings, &json!({})).await;
    let endpoint = |application: &str, name: &str| format!("{}/{name}", application.replace(":app/", ":endpoint/"));
    let sandbox = APPLICATION.replace("APNS", "APNS_SANDBOX");
    let tokens = json!([
        iphone("0a01", &endpoint(APPLICATION, "e-1")),
        iphone("0a02", &endpoint(&sandbox, "e-2")),
        iphone("0a03", &endpoint(&APPLICATION.replace("demo", "another"), "e-3")),
        {"token": "a4", "platform": "android", "arn": null},
    ]);
    let joe = json!({"recipients": document("joe", &tokens), "messageContent": "hello"});
    assert_eq!(send(&joe).send(&cloud).await.body["imported"], 4);
    let device =
        |token: &str, endpoint: Option<&str>, sandbox| (token.to_owned(), endpoint.map(str::to_owned), sandbox);
    let known = [
        device("0a01", Some("e-1"), false),
        device("0a02", Some("e-2"), true),
        device("0a03", None, false),
        device("a4", None, false),
    ];
    assert_eq!(cloud.devices("joe").await, known);
    // What is known already stays, and a phone stays with its owner.
    let ann = json!({"recipients": [document("ann", &tokens)], "messageContent": "hello"});
    for again in [joe, ann] {
        assert_eq!(send(&again).send(&cloud).await.body["imported"], 0);
    }
    assert_eq!((cloud.devices("joe").await.as_slice(), cloud.devices("ann").await.len()), (&known[..], 0));
    let broadcast = Call::kinvey("POST", BROADCAST).body(&json!({"messageContent": "hello"})).send(&cloud).await;
    assert_eq!(broadcast.body.get("imported"), None);
}
