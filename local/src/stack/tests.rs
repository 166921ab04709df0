#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::*;
use crate::aws::sqs::Outgoing;
use crate::operator::{Deployment, Where};
use crate::phones::Channel;

async fn call(stack: &Stack, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", stack.url()))
        .header("content-type", "application/json")
        .body(Full::new(body))
        .unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn stacks_are_independent() {
    let (one, two) = (Stack::start(Options::test()).await.unwrap(), Stack::start(Options::test()).await.unwrap());
    one.aws.queues.send("DeliverDeadLetters", &Outgoing { body: "x".to_owned(), ..Outgoing::default() }).unwrap();
    assert_eq!(one.aws.queues.depth("DeliverDeadLetters").unwrap().visible, 1);
    assert_eq!(two.aws.queues.depth("DeliverDeadLetters").unwrap().visible, 0);
    one.stop().await;
    assert_eq!(call(&two, Method::GET, "/phones", Value::Null).await, (StatusCode::OK, json!([])));
    two.stop().await;
}

#[tokio::test]
async fn what_is_not_in_the_template_is_not_there() {
    let stack = Stack::start(Options::test()).await.unwrap();
    let (status, body) = call(&stack, Method::POST, "/nothing/here", json!({})).await;
    assert_eq!((status, body), (StatusCode::NOT_FOUND, json!({ "message": "Not Found" })));
    let expected: Vec<_> = stack.template.queues.iter().map(|queue| queue.logical_id.clone()).collect();
    assert_eq!(stack.aws.queues.names().unwrap(), expected);
    stack.stop().await;
}

#[tokio::test]
async fn a_function_is_told_the_local_names() {
    let stack = Stack::start(Options::test()).await.unwrap();
    let variables = stack.variables("deliver").unwrap();
    assert_eq!(variables["STAGE"], "local");
    assert_eq!(variables["TABLE_RECIPIENTS"], "RecipientsTable");
    assert_eq!(variables["QUEUE_DELIVER"], format!("{}/000000000000/DeliverQueue", stack.aws_url()));
    assert_eq!(variables["AWS_ENDPOINT_URL"], stack.aws_url());
    assert!(matches!(stack.variables("no-function"), Err(StackError::Load(LoadError::Unknown(_)))));
    stack.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let stack = Stack::start(Options::test()).await.unwrap();
    let Err(StackError::Listen { address, source }) =
        Stack::start(Options { listen: stack.address(), ..Options::test() }).await
    else {
        panic!("an error")
    };
    assert_eq!((address, source.kind()), (stack.address(), std::io::ErrorKind::AddrInUse));
    stack.stop().await;
}

#[tokio::test]
async fn a_binary_that_was_not_built_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let processes = Processes { binaries: folder.path().to_owned(), ..Processes::beside_this_binary().unwrap() };
    let failed = Stack::start(Options { processes: Some(processes), ..Options::test() }).await;
    assert!(matches!(failed.err(), Some(StackError::Binary(path)) if path.starts_with(folder.path())));
}

#[tokio::test]
async fn kept_messages_are_there_after_a_restart_and_nobody_holds_them() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { data: Some(folder.path().join("data")), ..Options::test() };
    let stack = Stack::start(options()).await.unwrap();
    let queues = &stack.aws.queues;
    queues.send("DeliverDeadLetters", &Outgoing { body: "x".to_owned(), ..Outgoing::default() }).unwrap();
    assert_eq!(queues.receive("DeliverDeadLetters", 1, Duration::ZERO, None).await.unwrap().len(), 1);
    stack.phones.set_dead(Channel::Fcm, "t", true).unwrap();
    stack.stop().await;
    let stack = Stack::start(options()).await.unwrap();
    assert_eq!(stack.aws.queues.depth("DeliverDeadLetters").unwrap().visible, 1);
    assert!(stack.phones.is_dead(Channel::Fcm, "t").unwrap());
    stack.stop().await;
}

#[tokio::test]
async fn faults_are_set_over_http() {
    let stack = Stack::start(Options::test()).await.unwrap();
    let rule = json!({ "target": "sqs", "do": "refuse", "times": 2 });
    let (status, added) = call(&stack, Method::POST, "/_local/faults", rule.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    let (_, listed) = call(&stack, Method::GET, "/_local/faults", Value::Null).await;
    assert_eq!((&listed[0]["id"], &listed[0]["target"], &listed[0]["fired"]), (&added["id"], &json!("sqs"), &json!(0)));
    let path = format!("/_local/faults/{}", added["id"]);
    assert_eq!(call(&stack, Method::DELETE, &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(call(&stack, Method::DELETE, &path, Value::Null).await.0, StatusCode::NOT_FOUND);
    assert_eq!(call(&stack, Method::PUT, "/_local/faults", json!([rule, rule])).await.1[1]["target"], "sqs");
    let (status, refused) = call(&stack, Method::PUT, "/_local/faults", json!([{ "target": "sqs" }])).await;
    assert!(status.is_client_error() && refused["message"].is_string(), "{status}");
    assert_eq!(stack.aws.faults.list().len(), 2);
    assert_eq!(call(&stack, Method::DELETE, "/_local/faults", Value::Null).await.0, StatusCode::NO_CONTENT);
    assert!(stack.aws.faults.list().is_empty());
    stack.stop().await;
}

#[tokio::test]
async fn queues_phones_and_schedules_are_worked_over_http() {
    let stack = Stack::start(Options::test()).await.unwrap();
    let delay = Some(Duration::from_secs(900));
    let message = Outgoing { body: "x".to_owned(), delay, ..Outgoing::default() };
    stack.aws.queues.send("TimerDeadLetters", &message).unwrap();
    let depth = async || call(&stack, Method::GET, "/_local/queues", Value::Null).await.1["TimerDeadLetters"].clone();
    assert_eq!(depth().await, json!({ "visible": 0, "in_flight": 0, "delayed": 1 }));
    let advanced = call(&stack, Method::POST, "/_local/queues/advance?seconds=900&delayed=1", Value::Null).await;
    assert_eq!(advanced.0, StatusCode::NO_CONTENT);
    assert_eq!(depth().await, json!({ "visible": 1, "in_flight": 0, "delayed": 0 }));

    let dead = call(&stack, Method::PUT, "/_local/phones/fcm/a:b", json!({ "dead": true })).await;
    assert_eq!(dead.0, StatusCode::NO_CONTENT);
    assert!(stack.phones.is_dead(Channel::Fcm, "a:b").unwrap());
    assert_eq!(call(&stack, Method::PUT, "/_local/phones/pager/x", json!({})).await.0, StatusCode::NOT_FOUND);

    assert_eq!(call(&stack, Method::POST, "/_local/schedules/deliver", Value::Null).await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        call(&stack, Method::POST, "/_local/functions/deliver/kill", Value::Null).await.1,
        json!({ "killed": 0 })
    );
    stack.stop().await;
}

#[tokio::test]
async fn settings_are_seeded_and_replaced() {
    let stack = Stack::start(Options::test()).await.unwrap();
    let settings = async || {
        let key =
            json!({ "TableName": "RegistryTable", "Key": { "pk": { "S": "demo#settings" }, "sk": { "S": "-" } } });
        let request = Request::post(stack.aws_url())
            .header("x-amz-target", "DynamoDB_20120810.GetItem")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
            .body(Full::new(Bytes::from(key.to_string())))
            .unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let item: Value = serde_json::from_slice(&body).unwrap();
        serde_json::from_str::<Value>(item["Item"]["doc"]["S"].as_str().unwrap()).unwrap()
    };
    let folder = Options::test().apps.join("demo/settings.json");
    assert_eq!(settings().await, serde_json::from_str::<Value>(&std::fs::read_to_string(folder).unwrap()).unwrap());
    stack.put_settings("demo", &json!({ "a": 1 })).await.unwrap();
    assert_eq!(settings().await, json!({ "a": 1 }));
    stack.stop().await;
}

/// A folder with one app, whose platform application and credentials at Apple are these.
fn apple_s_app(key: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("acme");
    std::fs::create_dir(&app).unwrap();
    let settings = json!({ "sns": { "apns": "arn:aws:sns:us-east-1:000000000000:app/APNS/acme" } });
    std::fs::write(app.join("settings.json"), settings.to_string()).unwrap();
    std::fs::write(app.join("apns.json"), json!({ "production": key }).to_string()).unwrap();
    folder
}

#[tokio::test]
async fn what_the_fake_apple_made_is_known_to_the_next_stack_by_the_app_s_document() {
    let first = Stack::start(Options::test()).await.unwrap();
    let body = json!({ "team_id": "TEAM123456", "topics": ["com.example.app"] });
    let (status, mut key) = call(&first, Method::POST, "/_local/vendors/apns/keys", body).await;
    assert_eq!(status, StatusCode::CREATED);
    first.stop().await;
    key["topic"] = json!("com.example.app");
    let folder = apple_s_app(&key);
    let second = Stack::start(Options { apps: folder.path().to_owned(), ..Options::test() }).await.unwrap();
    let found = Deployment::find(&Where { url: Some(second.url()), ..Where::default() }).await.unwrap();
    let client = aws_sdk_sns::Client::new(&found.config);
    let application = client.get_platform_application_attributes();
    let application = application.platform_application_arn("arn:aws:sns:us-east-1:000000000000:app/APNS/acme");
    assert_eq!(application.send().await.unwrap().attributes.unwrap()["ApplePlatformTeamID"], "TEAM123456");
    let path = format!("/_local/vendors/apns/keys/{}", key["key_id"].as_str().unwrap());
    assert_eq!(call(&second, Method::DELETE, &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(call(&second, Method::DELETE, &path, Value::Null).await.0, StatusCode::NOT_FOUND);
    second.stop().await;
}

#[tokio::test]
async fn a_document_that_is_no_apns_document_keeps_the_stack_from_starting() {
    let folder = apple_s_app(&json!({ "key": "s3cret" }));
    let failed = Stack::start(Options { apps: folder.path().to_owned(), ..Options::test() }).await.err().unwrap();
    assert!(matches!(failed, StackError::Apps(AppsError::Apns { .. })), "{failed}");
}

#[tokio::test]
async fn consoles_refuse_what_they_do_not_know() {
    let stack = Stack::start(Options::test()).await.unwrap();
    let vendors = |path: &str| format!("/_local/vendors/{path}");
    for path in ["fcm/accounts/nobody@example.com", "fcm/accounts/nobody@example.com/keys/1", "apns/keys/ABC123DEFG"] {
        assert_eq!(call(&stack, Method::DELETE, &vendors(path), Value::Null).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["fcm/accounts", "apns/keys"] {
        let (status, _) = call(&stack, Method::POST, &vendors(path), json!({ "project": "acme" })).await;
        assert!(status.is_client_error(), "{path}: {status}");
    }
    let (_, file) = call(&stack, Method::POST, &vendors("fcm/accounts"), json!({ "project_id": "acme" })).await;
    assert_eq!(file["token_uri"], json!(format!("{}/token", stack.vendors_url())));
    let fields: Vec<_> = file.as_object().unwrap().keys().map(String::as_str).collect();
    let google = [
        "auth_provider_x509_cert_url",
        "auth_uri",
        "client_email",
        "client_id",
        "client_x509_cert_url",
        "private_key",
        "private_key_id",
        "project_id",
        "token_uri",
        "type",
        "universe_domain",
    ];
    assert_eq!(fields, google);
    stack.stop().await;
}
