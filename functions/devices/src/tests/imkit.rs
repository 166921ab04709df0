use super::*;

const BELOW: &str = "/me/{proxy+}";
const HOOK: &str = "/hooks/{app}/{secret}/badges";
const HOOK_OF: &str = "/hooks/{app}/{secret}/badges/{clientId}";
const BADGES: &str = "/badges";
const BADGES_OF: &str = "/badges/{clientId}";

fn me(method: &'static str, path: &str, client: &str) -> Call {
    Call::new(method, BELOW).with("proxy", path).header("im-authorization", &user_token(client))
}

fn server(method: &'static str, route: &'static str) -> Call {
    Call::new(method, route).header("im-api-key", "demo.demo-api-key")
}

fn hook(method: &'static str, route: &'static str) -> Call {
    Call::new(method, route).with("app", "demo").with("secret", "demo-secret")
}

async fn devices(cloud: &Cloud, client: &str) -> usize {
    let app = pushbell::id::AppId::parse("demo").unwrap();
    let client = pushbell::id::ClientId::parse(client).unwrap();
    let found = cloud.state.recipients.get(&app, &client, true).await.unwrap();
    found.map_or(0, |recipient| recipient.devices.len())
}

#[tokio::test]
async fn a_subscription_is_one_device_until_it_is_taken_back() {
    let cloud = Cloud::new().await;
    let subscribe =
        |token: &str| me("POST", "subscribe", "u1").body(json!({"type": "fcm", "token": token, "deviceId": "d"}));
    for token in ["t1", "t1", "t2"] {
        let answer = subscribe(token).send(&cloud).await;
        assert_eq!(answer.body, json!({"RC": 0, "RM": "OK", "result": {}}));
    }
    assert_eq!(devices(&cloud, "u1").await, 1);
    for n in [1, 0] {
        let answer = me("POST", "unsubscribe", "u1").body(json!({"type": "fcm", "deviceId": "d"})).send(&cloud).await;
        assert_eq!((answer.status, answer.body), (200, json!({"RC": 0, "RM": "OK", "result": {"n": n, "ok": 1}})));
    }
    assert_eq!(devices(&cloud, "u1").await, 0);
}

#[tokio::test]
async fn a_server_names_the_client_and_a_client_is_themself() {
    let cloud = Cloud::new().await;
    let body = json!({"type": "ios", "token": "ab12", "deviceId": "d", "clientId": "u2", "environment": "sandbox"});
    assert_eq!(server("POST", BELOW).with("proxy", "subscribe").body(body.clone()).send(&cloud).await.status, 200);
    assert_eq!(devices(&cloud, "u2").await, 1);
    assert_eq!(cloud.endpoints(), ["APNS_SANDBOX/demo/e-ab12"]);
    let other = me("POST", "subscribe", "u1").body(body).send(&cloud).await;
    assert_eq!(other.error(), (403, "FORBIDDEN"));
    let unnamed = server("POST", BELOW).with("proxy", "subscribe").body(json!({"type": "fcm", "token": "t"}));
    assert_eq!(unnamed.send(&cloud).await.error(), (400, "MISSING_PARAMETER"));
    let older = Call::new("POST", BELOW).with("proxy", "subscribe").header("authorization", &user_token("u3"));
    assert_eq!(older.body(json!({"type": "android", "token": "t3"})).send(&cloud).await.status, 200);
    assert_eq!(devices(&cloud, "u3").await, 1);
}

#[tokio::test]
async fn each_mistake_has_imkit_s_envelope() {
    let cloud = Cloud::new().await;
    let bare = |method, path: &str| Call::new(method, BELOW).with("proxy", path);
    let long = format!("{{\"x\": \"{}\"}}", "x".repeat(5 * 1024 * 1024));
    for (call, error) in [
        (bare("POST", "subscribe"), (401, "MISSING_CREDENTIALS")),
        (bare("POST", "subscribe").header("im-authorization", "x"), (401, "INVALID_TOKEN")),
        (bare("POST", "subscribe").header("im-api-key", "demo.wrong"), (401, "INVALID_API_KEY")),
        (bare("POST", "subscribe").header("im-api-key", "nobody.demo-api-key"), (401, "INVALID_API_KEY")),
        (bare("POST", "subscribe").header("im-api-key", "nonsense"), (401, "INVALID_API_KEY")),
        (bare("GET", "subscribe"), (405, "METHOD_NOT_ALLOWED")),
        (bare("PUT", "mute/r"), (405, "METHOD_NOT_ALLOWED")),
        (bare("POST", "mute"), (404, "NOT_FOUND")),
        (bare("POST", "nothing"), (404, "NOT_FOUND")),
        (me("POST", "mute/", "u1"), (400, "INVALID_PARAMETER")),
        (me("POST", "subscribe", "u1"), (400, "MISSING_BODY")),
        (me("POST", "subscribe", "u1").text("{"), (400, "INVALID_JSON")),
        (me("POST", "subscribe", "u1").text(&long), (413, "BODY_TOO_LARGE")),
        (me("POST", "subscribe", "u1").body(json!({"type": "web", "token": "t"})), (400, "UNSUPPORTED_TYPE")),
        (me("POST", "subscribe", "u1").body(json!({"type": "ios-voip", "token": "t"})), (400, "UNSUPPORTED_TYPE")),
        (Call::new("GET", "/elsewhere"), (404, "NOT_FOUND")),
        (hook("GET", HOOK).with("secret", "wrong"), (401, "INVALID_SECRET")),
        (hook("GET", HOOK).with("app", "nobody"), (404, "APP_NOT_FOUND")),
        (hook("GET", HOOK), (400, "MISSING_PARAMETER")),
        (hook("PUT", HOOK), (405, "METHOD_NOT_ALLOWED")),
        (hook("POST", HOOK), (400, "MISSING_BODY")),
        (hook("POST", HOOK).text("{}"), (400, "INVALID_PARAMETER")),
        (hook("DELETE", HOOK_OF).with("clientId", "u1"), (405, "METHOD_NOT_ALLOWED")),
        (hook("POST", HOOK_OF).with("clientId", "u1").body(json!({"source": "a"})), (400, "MISSING_PARAMETER")),
        (server("GET", BADGES), (400, "MISSING_PARAMETER")),
        (Call::new("PUT", BADGES), (405, "METHOD_NOT_ALLOWED")),
        (Call::new("GET", BADGES_OF).with("clientId", "u1"), (401, "MISSING_CREDENTIALS")),
    ] {
        let answer = call.send(&cloud).await;
        assert_eq!(answer.error(), error, "{}", answer.body);
        assert_eq!(answer.body["RC"], error.0);
        assert!(answer.body["RM"].is_string() && answer.body["error"]["message"].is_string());
    }
    assert_eq!(me("GET", "mute/r", "u1").send(&cloud).await.header("allow"), Some("POST, DELETE"));
}

#[tokio::test]
async fn a_room_is_muted_and_unmuted_whatever_its_name() {
    let cloud = Cloud::new().await;
    let (app, client) = (pushbell::id::AppId::parse("demo").unwrap(), pushbell::id::ClientId::parse("u1").unwrap());
    let muted = async || cloud.state.recipients.get(&app, &client, true).await.unwrap().unwrap().muted;
    assert_eq!(me("POST", "mute/a/b c", "u1").send(&cloud).await.status, 200);
    assert_eq!(muted().await.into_iter().collect::<Vec<_>>(), [pushbell::id::RoomKey::of("a/b c")]);
    assert_eq!(me("DELETE", "mute/a/b c", "u1").send(&cloud).await.status, 200);
    assert!(muted().await.is_empty());
    let named = server("POST", BELOW).with("proxy", "mute/r");
    assert_eq!(named.query("clientId=u1").send(&cloud).await.status, 200);
    assert_eq!(
        server("DELETE", BELOW).with("proxy", "mute/r").body(json!({"clientId": "u1"})).send(&cloud).await.status,
        200
    );
    assert!(muted().await.is_empty());
    assert_eq!(server("POST", BELOW).with("proxy", "mute/r").send(&cloud).await.error(), (400, "MISSING_PARAMETER"));
}

#[tokio::test]
async fn the_badge_service_speaks_imkit_s_shapes() {
    let cloud = Cloud::with(json!({}), json!({"badge_from": "imkit"})).await;
    let set = |client: &str, source: &str, count: u32| {
        hook("POST", HOOK_OF).with("clientId", client).body(json!({"source": source, "count": count}))
    };
    assert_eq!(set("u-310", "imkit", 5).send(&cloud).await.status, 200);
    let full = json!({"clientId": "u-310", "total": 7, "imkit": 5, "orders": 2});
    assert_eq!(set("u-310", "orders", 2).send(&cloud).await.body, full);
    let none = json!({"clientId": "a,b", "total": 0, "imkit": 0});
    assert_eq!(hook("GET", HOOK_OF).with("clientId", "u-310").send(&cloud).await.body, full);
    let several = hook("GET", HOOK).query("clientId=a%2Cb&clientId=u-310").send(&cloud).await;
    assert_eq!(several.body, json!([none, full]));
    assert_eq!(hook("POST", HOOK).body(json!(["u-310", "a,b"])).send(&cloud).await.body, json!([full, none]));
    assert_eq!(hook("POST", HOOK).body(json!([])).send(&cloud).await.body, json!([]));
    let with_slash = hook("POST", HOOK_OF).with("clientId", "").body(json!(["u-310"])).send(&cloud).await;
    assert_eq!(with_slash.body, json!([full]));
    assert_eq!(server("GET", BADGES_OF).with("clientId", "u-310").send(&cloud).await.body, full);

    let own = |method, route| Call::new(method, route).header("im-authorization", &user_token("u-310"));
    assert_eq!(own("GET", BADGES).send(&cloud).await.body, json!([full]));
    assert_eq!(own("GET", BADGES_OF).with("clientId", "u-310").send(&cloud).await.body, full);
    assert_eq!(own("GET", BADGES_OF).with("clientId", "u-311").send(&cloud).await.error(), (403, "FORBIDDEN"));
    assert_eq!(own("GET", BADGES).query("clientId=u-311").send(&cloud).await.error(), (403, "FORBIDDEN"));
    assert_eq!(own("POST", BADGES).body(json!(["u-310", "u-311"])).send(&cloud).await.error(), (403, "FORBIDDEN"));
}

#[tokio::test]
async fn a_room_that_was_read_loses_its_count_and_everything_read_loses_all() {
    let cloud = Cloud::new().await;
    let (app, client) = (pushbell::id::AppId::parse("demo").unwrap(), pushbell::id::ClientId::parse("u1").unwrap());
    for (message, room) in [("m1", "a"), ("m2", "a"), ("m3", "b")] {
        let message = pushbell::id::MessageId::parse(message).unwrap();
        let room = pushbell::id::RoomKey::of(room);
        let counting = pushbell::recipient::Counting {
            mark: pushbell::id::Mark::counted(&app, &message),
            withdrawn: pushbell::id::Mark::withdrawn(&app, &message),
            counter: pushbell::recipient::names::unread(&room),
            n: 1,
            room: Some(room),
            sender: None,
            written_at: None,
            claimed_at: Timestamp::now(),
            clock: pushbell::time::QueueClock::standing(Timestamp::now()),
            may_rotate: false,
        };
        cloud.state.recipients.count(&app, &client, &counting, false).await.unwrap();
    }
    let post = |body: Value| server("POST", BADGES_OF).with("clientId", "u1").body(body);
    let set = post(json!({"source": "orders", "count": 4})).send(&cloud).await;
    assert_eq!(set.body, json!({"clientId": "u1", "total": 7, "rooms": 3, "orders": 4}));
    let read = post(json!({"read": "a", "until": Timestamp::now().as_millis()})).send(&cloud).await;
    assert_eq!(read.body, json!({"clientId": "u1", "total": 5, "rooms": 1, "orders": 4}));
    let all = post(json!({"read": "*"})).send(&cloud).await;
    assert_eq!(all.body, json!({"clientId": "u1", "total": 4, "rooms": 0, "orders": 4}));
}

#[tokio::test]
async fn a_client_has_16_sources_and_no_more() {
    let cloud = Cloud::new().await;
    let set =
        |i: u32| hook("POST", HOOK_OF).with("clientId", "u1").body(json!({"source": format!("s{i}"), "count": 1}));
    for i in 0..16 {
        assert_eq!(set(i).send(&cloud).await.status, 200);
    }
    assert_eq!(set(16).send(&cloud).await.error(), (400, "TOO_MANY"));
    assert_eq!(set(3).send(&cloud).await.status, 200);
}

#[tokio::test]
async fn tables_that_do_not_answer_are_an_error_to_try_again_after() {
    let cloud = Cloud::without_tables().await;
    let answer = hook("GET", HOOK_OF).with("clientId", "u1").send(&cloud).await;
    assert_eq!(answer.error(), (503, "UNAVAILABLE"));
    assert_eq!(answer.header("retry-after"), Some("5"));
}
