//! Bad input: a clear error in the protocol's own envelope, never a 500, never a panic.

use serde_json::{Value, json};

use crate::bell::{API_KEY, Answer, Bell, HOOK, MASTER, text_message};

const REGISTER: &str = "/push/demo/register-device";
const JSON: (&str, &str) = ("content-type", "application/json");

#[track_caller]
fn imkit(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["RC"], status, "{body}");
    assert!(body["error"]["code"].as_str().is_some_and(|code| !code.is_empty()), "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    body
}

#[track_caller]
fn kinvey(answer: &Answer, status: u16, name: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["error"], name, "{body}");
    assert!(body["description"].is_string() && body.get("debug").is_some(), "{body}");
    assert!(answer.headers.contains_key("x-kinvey-request-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_refuses_wrong_callers() {
    let bell = Bell::start().await;
    let message = text_message("m1", &["aaa"]);
    imkit(&bell.caller.post("/hooks/demo/wrong/imkit", &[], &message).await, 401);
    imkit(&bell.caller.post("/hooks/nobody/demo-secret/imkit", &[], &message).await, 404);
    imkit(&bell.caller.post("/hooks/de%23mo/demo-secret/imkit", &[], &message).await, 404);
    let get = bell.caller.get(HOOK, &[]).await;
    imkit(&get, 405);
    assert_eq!(get.headers["allow"], "POST");
    let answer = bell.caller.post("/hooks/demo/wrong/badges/aaa", &[], &json!({"read": "*"})).await;
    assert_eq!(answer.status, 401, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_names_what_is_wrong_with_a_body() {
    let bell = Bell::start().await;
    let send = async |body: &str| bell.caller.send("POST", HOOK, &[JSON], body.to_owned()).await;
    imkit(&send("").await, 400);
    let broken = imkit(&send("{\"_id\": \"m1\",\n oops}").await, 400);
    assert!(broken["error"]["message"].as_str().unwrap().contains("line 2"), "{broken}");
    for body in ["[]", "null", "7", "\"text\"", "{}"] {
        imkit(&send(body).await, 400);
    }
    let wrong = |change: &dyn Fn(&mut Value)| {
        let mut body = text_message("m1", &["aaa"]);
        change(&mut body);
        body.to_string()
    };
    let named = |answer: Answer, field: &str| {
        let body = imkit(&answer, 400);
        assert!(body["error"]["message"].as_str().unwrap().contains(field), "{body}");
    };
    named(send(&wrong(&|body| body["pushToClients"] = json!("aaa"))).await, "pushToClients");
    named(send(&wrong(&|body| body["pushToClients"] = Value::Null)).await, "pushToClients");
    named(send(&wrong(&|body| drop(body.as_object_mut().unwrap().remove("pushToClients")))).await, "pushToClients");
    named(send(&wrong(&|body| body["room"] = json!({"a": 1}))).await, "room");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_refuses_what_is_too_large() {
    let bell = Bell::start().await;
    let mut part = text_message("m1", &["aaa"]);
    part["message"] = json!("x".repeat(65 * 1024));
    let answer = bell.caller.imkit(&part).await;
    assert!([400, 413].contains(&answer.status), "{}", answer.text);
    imkit(&answer, answer.status);
    let mut long = text_message("m1", &["aaa"]);
    long["padding"] = json!("x".repeat(5 * 1024 * 1024));
    imkit(&bell.caller.imkit(&long).await, 413);
    assert_eq!(bell.stack.phones.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_nested_without_end_arrives_without_what_nobody_could_read() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    for depth in [60, 123, 126] {
        let deep: Value = serde_json::from_str(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).unwrap();
        let mut body = text_message(&format!("m{depth}"), &["aaa"]);
        body["extra"] = deep;
        let answer = bell.caller.imkit(&body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let endless =
        format!(r#"{{"_id":"m","pushToClients":["aaa"],"extra":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    imkit(&bell.caller.send("POST", HOOK, &[JSON], endless).await, 413);
    let long = format!(r#"{{"_id":"m","pushToClients":["aaa"],"extra":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    imkit(&bell.caller.send("POST", HOOK, &[JSON], long).await, 400);
    bell.settled().await;
    assert_eq!(bell.android("fcm-aaa").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn register_device_answers_with_kinvey_s_dictionary() {
    let bell = Bell::start().await;
    let good = json!({"platform": "ios", "deviceId": "abc", "userId": "u1"});
    kinvey(&bell.caller.post(REGISTER, &[], &good).await, 401, "InvalidCredentials");
    kinvey(
        &bell.caller.post(REGISTER, &[("authorization", "Basic ZGVtbzp3cm9uZw==")], &good).await,
        401,
        "InvalidCredentials",
    );
    kinvey(&bell.caller.post("/push/nobody/register-device", &[MASTER], &good).await, 404, "AppNotFound");
    kinvey(&bell.caller.get(REGISTER, &[MASTER]).await, 405, "MethodNotAllowed");
    let send = async |body: &str| bell.caller.send("POST", REGISTER, &[MASTER, JSON], body.to_owned()).await;
    kinvey(&send("").await, 400, "IncompleteRequestBody");
    kinvey(&send("{oops").await, 400, "JSONParseError");
    kinvey(
        &send(r#"{"platform": "windows", "deviceId": "abc", "userId": "u1"}"#).await,
        400,
        "ParameterValueOutOfRange",
    );
    kinvey(&send(r#"{"platform": "ios", "userId": "u1"}"#).await, 400, "MissingRequestParameter");
    kinvey(&send(r#"{"platform": "ios", "deviceId": "abc"}"#).await, 400, "MissingRequestParameter");
    let long = format!(r#"{{"platform": "ios", "deviceId": "{}", "userId": "u1"}}"#, "x".repeat(5 * 1024 * 1024));
    let answer = send(&long).await;
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    assert!(answer.json()["error"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_and_badges_answer_in_imkit_s_envelope() {
    let bell = Bell::start().await;
    let good = json!({"type": "fcm", "token": "tok", "deviceId": "d1", "clientId": "aaa"});
    imkit(&bell.caller.post("/me/subscribe", &[], &good).await, 401);
    imkit(&bell.caller.post("/me/subscribe", &[("im-api-key", "demo.wrong")], &good).await, 401);
    imkit(&bell.caller.post("/me/subscribe", &[("im-authorization", "a.b.c")], &good).await, 401);
    for wrong in [
        json!({"type": "web", "token": "tok", "deviceId": "d1", "clientId": "aaa"}),
        json!({"type": "ios-voip", "token": "tok", "deviceId": "d1", "clientId": "aaa"}),
        json!({"type": "fcm", "deviceId": "d1", "clientId": "aaa"}),
        json!({"type": "fcm", "token": 7, "deviceId": "d1", "clientId": "aaa"}),
        json!({"type": "fcm", "token": "tok", "deviceId": "d1"}),
        json!([]),
    ] {
        imkit(&bell.caller.post("/me/subscribe", &[API_KEY], &wrong).await, 400);
    }
    for body in
        ["", "{oops", "[]", "{}", r#"{"source": "orders"}"#, r#"{"source": "orders", "count": -1}"#, r#"{"read": 7}"#]
    {
        let answer = bell.caller.send("POST", "/badges/aaa", &[API_KEY, JSON], body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        answer.json();
    }
    let answer = bell.caller.send("PATCH", "/badges/aaa", &[API_KEY], "").await;
    assert_eq!(answer.status, 405, "{}", answer.text);
    let answer = bell.caller.send("PUT", "/me", &[], "").await;
    assert!([401, 405].contains(&answer.status), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_does_not_answer_is_a_503_that_says_to_come_again() {
    let bell = Bell::start().await;
    bell.caller.register("warm", "android", "warm").await;
    use pushbell_local::faults::{Effect, Rule, Target};
    bell.fault(Rule::new(Target::Dynamodb, Effect::Error500));
    let good = json!({"platform": "android", "deviceId": "abc", "userId": "u1"});
    let answer = bell.caller.post(REGISTER, &[MASTER], &good).await;
    assert!((500..=503).contains(&answer.status), "{}", answer.text);
    assert!(answer.json()["error"].as_str().unwrap().starts_with("KinveyInternalError"), "{}", answer.text);
    let answer = bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    imkit(&answer, 503);
}
