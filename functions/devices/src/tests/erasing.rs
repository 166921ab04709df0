use super::*;

const ME: &str = "/me";
const CLIENT: &str = "/clients/{id}";

fn subscribe(client: &str, kind: &str, token: &str) -> Call {
    let call =
        Call::new("POST", "/me/{proxy+}").with("proxy", "subscribe").header("im-authorization", &user_token(client));
    call.body(json!({"type": kind, "token": token, "deviceId": token}))
}

fn by_server(id: &str) -> Call {
    Call::new("DELETE", CLIENT).with("id", id).header("im-api-key", "demo.demo-api-key")
}

async fn exists(cloud: &Cloud, client: &str) -> bool {
    let app = pushbell::id::AppId::parse("demo").unwrap();
    let client = pushbell::id::ClientId::parse(client).unwrap();
    cloud.state.recipients.get(&app, &client, true).await.unwrap().is_some()
}

#[tokio::test]
async fn a_client_erases_themself_with_their_endpoints() {
    let cloud = Cloud::new().await;
    for (kind, token) in [("ios", "aa"), ("ios", "bb"), ("fcm", "cc")] {
        assert_eq!(subscribe("u1", kind, token).send(&cloud).await.status, 200);
    }
    assert_eq!(subscribe("u2", "ios", "dd").send(&cloud).await.status, 200);
    let erase = || Call::new("DELETE", ME).header("im-authorization", &user_token("u1"));
    assert_eq!(erase().send(&cloud).await.body["result"], json!({"devices": 3}));
    assert!(!exists(&cloud, "u1").await);
    assert!(exists(&cloud, "u2").await);
    assert_eq!(cloud.endpoints(), ["APNS/demo/e-dd"]);
    assert_eq!(erase().send(&cloud).await.body["result"], json!({"devices": 0}));
    assert_eq!(subscribe("u3", "ios", "aa").send(&cloud).await.status, 200, "the token is free");
}

#[tokio::test]
async fn nothing_is_erased_until_the_endpoints_are_gone() {
    let cloud = Cloud::new().await;
    assert_eq!(subscribe("u1", "ios", "aa").send(&cloud).await.status, 200);
    cloud.sns_refuses(true);
    assert_eq!(by_server("u1").send(&cloud).await.error(), (503, "UNAVAILABLE"));
    assert!(exists(&cloud, "u1").await, "the item is what tells where the endpoints are");
    cloud.sns_refuses(false);
    assert_eq!(by_server("u1").send(&cloud).await.status, 200);
    assert!(!exists(&cloud, "u1").await);
    assert!(cloud.endpoints().is_empty());
}

#[tokio::test]
async fn a_client_erases_nobody_else() {
    let cloud = Cloud::new().await;
    assert_eq!(subscribe("u1", "fcm", "aa").send(&cloud).await.status, 200);
    let other = Call::new("DELETE", CLIENT).with("id", "u1").header("im-authorization", &user_token("u2"));
    assert_eq!(other.send(&cloud).await.error(), (403, "FORBIDDEN"));
    let nobody = Call::new("DELETE", ME).header("im-api-key", "demo.demo-api-key");
    assert_eq!(nobody.send(&cloud).await.error(), (400, "INVALID_PARAMETER"));
    assert_eq!(Call::new("DELETE", ME).send(&cloud).await.error(), (401, "MISSING_CREDENTIALS"));
    assert_eq!(Call::new("GET", ME).send(&cloud).await.error(), (405, "METHOD_NOT_ALLOWED"));
    assert_eq!(Call::new("POST", CLIENT).with("id", "u1").send(&cloud).await.header("allow"), Some("DELETE"));
    assert!(exists(&cloud, "u1").await);
}
