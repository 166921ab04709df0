use super::*;

const REGISTER: &str = "/push/{appKey}/register-device";
const UNREGISTER: &str = "/push/{appKey}/unregister-device";
const DEVICES: &str = "/push/{appKey}/devices";

fn master(method: &'static str, route: &'static str) -> Call {
    Call::new(method, route).with("appKey", "demo").header("authorization", &basic("demo:demo-master"))
}

fn phone(platform: &str, token: &str, user: &str) -> Value {
    json!({"platform": platform, "deviceId": token, "userId": user})
}

async fn register(cloud: &Cloud, platform: &str, token: &str, user: &str) {
    let answer = master("POST", REGISTER).body(phone(platform, token, user)).send(cloud).await;
    assert_eq!((answer.status, &answer.body), (204, &Value::Null));
}

async fn tokens(cloud: &Cloud, user: &str) -> Value {
    let answer = master("GET", DEVICES).query(&format!("userId={user}")).send(cloud).await;
    assert_eq!(answer.status, 200);
    answer.body["_messaging"]["pushTokens"].clone()
}

#[tokio::test]
async fn a_user_s_devices_are_listed_as_kinvey_keeps_them() {
    let cloud = Cloud::new().await;
    register(&cloud, "ios", "ab12", "u1").await;
    register(&cloud, "android", "fMx1:APA91b", "u1").await;
    let listed = tokens(&cloud, "u1").await;
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 2);
    let arn = "arn:aws:sns:us-east-1:000000000000:endpoint/APNS/demo/e-ab12";
    assert!(listed.contains(&json!({"token": "ab12", "platform": "ios", "arn": arn})), "{listed:?}");
    assert!(listed.contains(&json!({"token": "fMx1:APA91b", "platform": "android", "arn": null})), "{listed:?}");
    assert_eq!(tokens(&cloud, "nobody").await, json!([]));
}

#[tokio::test]
async fn a_token_belongs_to_whoever_registered_it_last() {
    let cloud = Cloud::new().await;
    register(&cloud, "ios", "ab12", "u1").await;
    register(&cloud, "ios", "ab12", "u2").await;
    assert_eq!(tokens(&cloud, "u1").await, json!([]));
    assert_eq!(tokens(&cloud, "u2").await.as_array().unwrap().len(), 1);
    assert_eq!(cloud.endpoints(), ["APNS/demo/e-ab12"], "its endpoint went along");
}

#[tokio::test]
async fn unregistering_what_is_not_there_is_no_error() {
    let cloud = Cloud::new().await;
    register(&cloud, "ios", "ab12", "u1").await;
    for user in ["u2", "u1", "u1"] {
        let answer = master("POST", UNREGISTER).body(phone("ios", "ab12", user)).send(&cloud).await;
        assert_eq!((answer.status, answer.body), (204, Value::Null), "{user}");
        if user == "u2" {
            assert_eq!(tokens(&cloud, "u1").await.as_array().unwrap().len(), 1, "another's device stays");
        }
    }
    assert_eq!(tokens(&cloud, "u1").await, json!([]));
    assert!(cloud.endpoints().is_empty());
}

#[tokio::test]
async fn a_session_is_its_own_user() {
    let cloud = Cloud::new().await;
    let session = format!("Kinvey {}", user_token("u1"));
    let own = |method, route| Call::new(method, route).with("appKey", "demo").header("authorization", &session);
    let body = json!({"platform": "android", "deviceId": "t1"});
    assert_eq!(own("POST", REGISTER).body(body).send(&cloud).await.status, 204);
    let listed = own("GET", DEVICES).send(&cloud).await;
    assert_eq!(listed.body["_messaging"]["pushTokens"][0]["token"], "t1");
    let other = own("GET", DEVICES).query("userId=u2").send(&cloud).await;
    assert_eq!(other.error(), (401, "InsufficientCredentials"));
}

#[tokio::test]
async fn a_password_is_checked_by_the_app() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/verify", listener.local_addr().unwrap());
    let right = basic("mira:pass");
    let router = axum::Router::new().fallback(move |headers: lambda_http::http::HeaderMap| {
        let known = headers.get("authorization").is_some_and(|given| given.to_str().unwrap() == right);
        async move {
            use lambda_http::http::StatusCode;
            if known { (StatusCode::OK, r#"{"_id": "u-mira"}"#) } else { (StatusCode::UNAUTHORIZED, "{}") }
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let cloud = Cloud::with(json!({"verify_url": url}), json!({})).await;
    let call = |credentials: &str| {
        let call = Call::new("POST", REGISTER).with("appKey", "demo").header("authorization", &basic(credentials));
        call.body(json!({"platform": "android", "deviceId": "t1"}))
    };
    assert_eq!(call("mira:wrong").send(&cloud).await.error(), (401, "InvalidCredentials"));
    assert_eq!(call("mira:pass").send(&cloud).await.status, 204);
    assert_eq!(tokens(&cloud, "u-mira").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn each_mistake_has_kinvey_s_name_and_a_request_id() {
    let cloud = Cloud::new().await;
    let good = phone("ios", "ab12", "u1");
    let long = format!("{{\"x\": \"{}\"}}", "x".repeat(5 * 1024 * 1024));
    let app = |key: &str, credentials: &str| {
        let call = Call::new("POST", REGISTER).with("appKey", key).header("authorization", &basic(credentials));
        call.body(good.clone())
    };
    for (call, error) in [
        (app("nobody", "nobody:demo-master"), (404, "AppNotFound")),
        (app("a b", "a b:x"), (404, "AppNotFound")),
        (app("demo", "demo:wrong"), (401, "InvalidCredentials")),
        (app("demo", "mira:pass"), (401, "InvalidCredentials")),
        (app("demo", "demo:demo-app"), (401, "InsufficientCredentials")),
        (Call::new("POST", REGISTER).with("appKey", "demo").body(good.clone()), (401, "InvalidCredentials")),
        (master("GET", REGISTER), (405, "MethodNotAllowed")),
        (master("POST", DEVICES), (405, "MethodNotAllowed")),
        (master("POST", REGISTER), (400, "MissingRequestHeader")),
        (master("POST", REGISTER).text(" "), (400, "IncompleteRequestBody")),
        (master("POST", REGISTER).text("{\"platform\":"), (400, "JSONParseError")),
        (master("POST", REGISTER).text(&long), (400, "ParameterValueOutOfRange")),
        (master("POST", REGISTER).body(json!({"platform": "ios"})), (400, "MissingRequestParameter")),
        (master("POST", UNREGISTER).body(json!({"platform": 1})), (400, "ParameterValueOutOfRange")),
        (master("GET", DEVICES), (400, "MissingRequestParameter")),
    ] {
        let answer = call.send(&cloud).await;
        assert_eq!(answer.error(), error, "{}", answer.body);
        assert!(answer.body["description"].is_string() && answer.body["debug"].is_string());
        assert_eq!(answer.header("x-kinvey-request-id"), Some("JKJaXmPLvHcESHA="));
    }
    let wrong = master("DELETE", UNREGISTER).send(&cloud).await;
    assert_eq!(wrong.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_device_is_registered_while_sns_is_out_of_reach() {
    let cloud = Cloud::new().await;
    cloud.sns_refuses(true);
    register(&cloud, "ios", "ab12", "u1").await;
    assert_eq!(tokens(&cloud, "u1").await, json!([{"token": "ab12", "platform": "ios", "arn": null}]));
    cloud.sns_refuses(false);
    register(&cloud, "ios", "ab12", "u1").await;
    assert_eq!(cloud.endpoints(), ["APNS/demo/e-ab12"], "the next registration makes up for it");
}

#[tokio::test]
async fn a_device_is_registered_where_the_app_has_no_platform_application() {
    let cloud = Cloud::with(json!({}), json!({"sns": {}})).await;
    register(&cloud, "ios", "ab12", "u1").await;
    assert_eq!(tokens(&cloud, "u1").await[0]["arn"], Value::Null);
}

#[tokio::test]
async fn tables_that_do_not_answer_are_an_error_to_try_again_after() {
    let cloud = Cloud::without_tables().await;
    let answer = master("POST", REGISTER).body(phone("android", "t", "u1")).send(&cloud).await;
    assert_eq!(answer.error(), (503, "KinveyInternalErrorRetry"));
    assert!(answer.header("retry-after").is_some());
}
