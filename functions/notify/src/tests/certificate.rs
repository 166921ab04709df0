use super::*;
use pushbell::telemetry::Lines;

fn vendors() -> Value {
    json!({
        "fcm": {"service_account": {"project_id": "p-1", "private_key": "s3cret-pem", "client_email": "a@p-1"}},
        "certificates": [
            {"provider": "apns", "environment": "production", "certificate": "s3cret-apns", "name": "Store"},
            {"provider": "huawei", "app_id": "103415", "app_secret": "s3cret-huawei"},
        ],
    })
}

async fn open() -> Cloud {
    Cloud::with(&json!({"lanying": {"certificates": true}}), &vendors()).await
}

fn read(query: &str) -> Call {
    Call::admin("GET", CERTIFICATE).query(query)
}

#[tokio::test]
async fn an_admin_reads_what_the_app_has_stored() {
    let cloud = open().await;
    let apns = read("provider=1&environment=1").send(&cloud).await;
    let stored =
        json!({"app_id": null, "app_key": null, "app_secret": null, "certificate": "s3cret-apns", "name": "Store"});
    assert_eq!(apns.body, json!({"code": 200, "message": null, "data": stored}));
    assert_eq!(read("provider=1").send(&cloud).await.body["data"], stored, "production unless told otherwise");
    assert_eq!(read("provider=2&environment=0").send(&cloud).await.body["data"]["app_secret"], "s3cret-huawei");
    assert_eq!(read("provider=7").send(&cloud).await.body["data"]["app_id"], "p-1");
}

#[tokio::test]
async fn nobody_else_does_and_an_app_that_does_not_say_so_hands_nothing_out() {
    let (cloud, closed) = (open().await, Cloud::with(&json!({}), &vendors()).await);
    let user = token("user", "u1");
    let bare = || Call::bare("GET", CERTIFICATE).query("provider=1");
    for (call, cloud, code, told) in [
        (read("provider=1"), &closed, 10010, "lanying.certificates"),
        (bare().header("app_id", "demo").header("access-token", &user), &cloud, 10010, "admin"),
        (bare().header("app_id", "demo"), &cloud, 10003, "access-token"),
        (bare().header("app_id", "demo").header("access-token", "x"), &cloud, 10008, "access token"),
        (bare().header("app_id", "none").header("access-token", &user), &cloud, 40000, "no app"),
        (read(""), &cloud, 10002, "provider is missing"),
        (read("provider=8"), &cloud, 10002, "provider is not a number from 1 to 7"),
        (read("provider=1&environment=2"), &cloud, 10002, "environment"),
        (read("provider=1&environment=0"), &cloud, 10002, "no certificate"),
        (read("provider=3"), &cloud, 10002, "no certificate"),
    ] {
        let answer = call.send(cloud).await;
        assert_eq!(answer.code(), (200, code), "{}", answer.body);
        assert!(answer.body["message"].as_str().unwrap().contains(told), "{}", answer.body);
        assert!(answer.body["data"].is_null());
    }
}

#[tokio::test]
async fn every_read_is_a_line_of_the_log_that_says_who_and_what_and_never_the_certificate() {
    let (cloud, closed) = (open().await, Cloud::with(&json!({}), &vendors()).await);
    let user = Call::bare("GET", CERTIFICATE).query("provider=2&environment=0").header("app_id", "demo");
    let user = user.header("access-token", &token("user", "u1"));
    for (call, cloud, expected) in [
        (read("provider=1"), &cloud, json!(["demo", "console", "apns", "production", true, null])),
        (read("provider=7&environment=0"), &cloud, json!(["demo", "console", "fcm", "development", true, null])),
        (read("provider=7"), &closed, json!(["demo", "console", "fcm", "production", false, 10010])),
        (user, &cloud, json!(["demo", "", "huawei", "development", false, 10010])),
        (read("provider=9"), &cloud, json!(["demo", "console", "", "", false, 10002])),
        (Call::bare("GET", CERTIFICATE), &cloud, json!(["", "", "", "", false, 10002])),
    ] {
        Lines::take();
        call.send(cloud).await;
        let lines = Lines::take();
        let audits: Vec<&Value> = lines.iter().filter(|line| line["audit"] == "certificate").collect();
        let [audit] = audits[..] else { panic!("one line: {lines:?}") };
        let told = ["app", "who", "provider", "environment", "granted", "code"].map(|name| &audit[name]);
        assert_eq!((json!(told), &audit["level"]), (expected, &json!("WARN")));
        assert_eq!(audit["request"], REQUEST);
        assert!(lines.iter().all(|line| !line.to_string().contains("s3cret")), "{lines:?}");
    }
}

#[tokio::test]
async fn a_read_that_is_not_answered_in_time_is_a_line_too() {
    let mut cloud = open().await.with_hanging_tables().await;
    cloud.state.limit = SHORT;
    Lines::take();
    assert_eq!(in_time(read("provider=1").send(&cloud)).await.code(), (503, 503));
    let lines = Lines::take();
    let audit = lines.iter().find(|line| line["audit"] == "certificate").unwrap();
    assert_eq!(json!([audit["app"], audit["granted"], audit["code"]]), json!(["demo", false, 503]));
}
