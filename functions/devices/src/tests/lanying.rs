use super::*;

const PUSH: &str = "/user/push";
const BELOW: &str = "/user/push/{setting}";

fn push(token: &str) -> Call {
    Call::new("POST", PUSH).header("app_id", "demo").header("access-token", token)
}

fn below(setting: &str, token: &str) -> Call {
    Call::new("POST", BELOW).with("setting", setting).header("app_id", "demo").header("access-token", token)
}

fn done() -> (u16, Value) {
    (200, json!({"code": 200, "message": null, "data": true}))
}

impl Answer {
    fn code(&self) -> (u16, u64) {
        (self.status, self.body["code"].as_u64().unwrap())
    }
}

async fn shown(cloud: &Cloud, client: &str) -> Value {
    let show = Call::new("GET", "/me/{proxy+}").with("proxy", "preferences");
    show.header("im-authorization", &user_token(client)).send(cloud).await.body["result"].clone()
}

#[tokio::test]
async fn a_user_s_settings_are_preferences_like_others() {
    let cloud = Cloud::new().await;
    let own = user_token("u1");
    for call in [
        push(&own).query("value=true"),
        below("limit", &own).query("no_push_start_hour=22&no_push_end_hour=7"),
        below("detail", &own).query("value=true"),
        below("nickname", &own).query("value=%E5%90%8D"),
    ] {
        let answer = call.send(&cloud).await;
        assert_eq!((answer.status, answer.body), done());
    }
    let now = shown(&cloud, "u1").await;
    let said = json!([false, {"from": "22:00", "to": "07:00"}, null, true, "名"]);
    let held = json!([now["push"], now["quiet_hours"], now["zone"], now["hide_content"], now["nickname"]]);
    assert_eq!(held, said);
    for mut call in [
        push(&own).query("value=false"),
        below("limit", &own).query("no_push_start_hour=0&no_push_end_hour=0"),
        below("detail", &own).query("value=false"),
        below("nickname", &own).query("value="),
    ] {
        call.method = "PUT";
        let answer = call.send(&cloud).await;
        assert_eq!((answer.status, answer.body), done());
    }
    let now = shown(&cloud, "u1").await;
    let held = json!([now["push"], now["quiet_hours"], now["hide_content"], now["nickname"]]);
    assert_eq!(held, json!([true, null, false, null]));
}

#[tokio::test]
async fn an_admin_acts_as_the_user_of_the_header() {
    let cloud = Cloud::new().await;
    let admin = token("admin", "console");
    let older = Call::new("POST", PUSH).header("app-id", "demo").header("access-token", &admin);
    assert_eq!(older.header("user_id", "u2").query("value=true").send(&cloud).await.code(), (200, 200));
    assert_eq!(shown(&cloud, "u2").await["push"], false);
    assert_eq!(shown(&cloud, "console").await["push"], true);
}

#[tokio::test]
async fn each_mistake_has_lanying_s_code_under_status_200() {
    let cloud = Cloud::new().await;
    let (own, admin) = (user_token("u1"), token("admin", "console"));
    let bare = || Call::new("POST", PUSH).query("value=true");
    for (call, code) in [
        (bare().header("access-token", &own), 10002),
        (bare().header("app_id", "demo"), 10003),
        (bare().header("app_id", "demo").header("access-token", "x"), 10008),
        (bare().header("app_id", "nobody").header("access-token", &own), 40000),
        (bare().header("app_id", "a#b").header("access-token", &own), 40000),
        (push(&own).header("user_id", "u2").query("value=true"), 10010),
        (push(&admin).query("value=true"), 10002),
        (push(&own), 10002),
        (push(&own).query("value=yes"), 10002),
        (below("limit", &own).query("no_push_start_hour=22"), 10002),
        (below("limit", &own).query("no_push_start_hour=22&no_push_end_hour=24"), 10002),
        (below("detail", &own), 10002),
        (below("nickname", &own).query("value=a%07"), 10002),
    ] {
        let answer = call.send(&cloud).await;
        assert_eq!(answer.code(), (200, code), "{}", answer.body);
        assert!(answer.body["message"].is_string() && answer.body["data"].is_null());
    }
    assert_eq!(shown(&cloud, "u1").await["push"], true);
}

#[tokio::test]
async fn what_http_decides_has_http_s_status() {
    let cloud = Cloud::new().await;
    let own = user_token("u1");
    assert_eq!(below("nothing", &own).send(&cloud).await.code(), (404, 404));
    let get = Call::new("GET", PUSH).header("app_id", "demo").header("access-token", &own).send(&cloud).await;
    assert_eq!((get.code(), get.header("allow")), ((405, 405), Some("POST, PUT")));
    let broken = Cloud::without_tables().await;
    let later = push(&own).query("value=true").send(&broken).await;
    assert_eq!((later.code(), later.header("retry-after")), ((503, 503), Some("5")));
}

fn user(method: &'static str, route: &'static str, token: &str) -> Call {
    Call::new(method, route).header("app_id", "demo").header("access-token", token)
}

fn bind(token: &str, number: u64, vendor_token: &str, notifier: &str) -> Call {
    let body = json!({"device_sn": number, "device_token": vendor_token, "notifier_name": notifier});
    user("POST", "/user/token/bind", token).body(body)
}

/// What the list says of a user's devices: number and platform.
async fn listed(cloud: &Cloud, token: &str) -> Vec<(u64, u64)> {
    let answer = user("GET", "/user/device/list", token).send(cloud).await;
    assert_eq!(answer.code(), (200, 200), "{}", answer.body);
    let number = |device: &Value, name: &str| device[name].as_u64().unwrap();
    let devices = answer.body["data"].as_array().unwrap();
    devices.iter().map(|device| (number(device, "device_sn"), number(device, "platform"))).collect()
}

async fn tags(cloud: &Cloud, token: &str) -> Value {
    user("GET", "/user/push/tag", token).send(cloud).await.body["data"].clone()
}

#[tokio::test]
async fn a_bound_token_is_a_device_on_its_certificate_s_channel_until_it_is_unbound_or_removed() {
    let notifiers = json!({"lanying": {"notifiers": {"103415": "huawei", "Demo Dev": "apns_sandbox"}}});
    let cloud = Cloud::with(json!({}), notifiers).await;
    let own = user_token("u1");
    for call in [bind(&own, 1, "aa11", "apns"), bind(&own, 2, "bb22", "Demo Dev"), bind(&own, 3, "cc", "FCM")] {
        let answer = call.send(&cloud).await;
        assert_eq!((answer.status, answer.body), done());
    }
    let mut put = bind(&own, 4, "dd", "103415");
    put.method = "PUT";
    assert_eq!(put.send(&cloud).await.code(), (200, 200));
    let mut held = listed(&cloud, &own).await;
    held.sort_unstable();
    assert_eq!(held, [(1, 1), (2, 1), (3, 2), (4, 2)]);
    assert_eq!(cloud.endpoints().len(), 2, "Apple's two are with SNS at once");
    // The same installation with a new token: the former token's endpoint goes.
    bind(&own, 1, "ee55", "apns").send(&cloud).await;
    assert_eq!((listed(&cloud, &own).await.len(), cloud.endpoints().len()), (4, 2));
    let unbound = user("POST", "/user/token/unbind", &own).query("deviceSn=1").send(&cloud).await;
    assert_eq!(unbound.body, json!({"code": 200, "message": null, "data": {}}));
    for method in ["POST", "DELETE"] {
        // The second time there is nothing left, which is as good as gone.
        let removed = user(method, "/user/device/remove", &own).query("device_sn=2").send(&cloud).await;
        assert_eq!((removed.status, removed.body), done());
    }
    assert_eq!((listed(&cloud, &own).await.len(), cloud.endpoints().len()), (2, 0));
}

#[tokio::test]
async fn devices_of_other_protocols_are_listed_and_removed_by_numbers_too() {
    let cloud = Cloud::new().await;
    let own = user_token("u1");
    let subscribe = Call::new("POST", "/me/{proxy+}").with("proxy", "subscribe").header("im-authorization", &own);
    subscribe.body(json!({"type": "fcm", "token": "tt", "deviceId": "d1"})).send(&cloud).await;
    let [(number, 2)] = listed(&cloud, &own).await[..] else { panic!("one Android phone") };
    let query = format!("device_sn={number}");
    assert_eq!(user("POST", "/user/device/remove", &own).query(&query).send(&cloud).await.code(), (200, 200));
    assert!(listed(&cloud, &own).await.is_empty());
}

#[tokio::test]
async fn tags_are_put_on_shown_and_taken_off() {
    let cloud = Cloud::new().await;
    let (own, admin) = (user_token("u1"), token("admin", "console"));
    assert_eq!(tags(&cloud, &own).await, json!([]));
    let said = |method, names: Value| user(method, "/user/push/tag", &own).body(json!({"tags": names}));
    for call in [said("POST", json!(["vip", "de"])), said("POST", json!(["de", "beta"])), said("DELETE", json!(["de"]))]
    {
        let answer = call.send(&cloud).await;
        assert_eq!((answer.status, answer.body), done());
    }
    assert_eq!(tags(&cloud, &own).await, json!(["beta", "vip"]));
    let as_user = user("DELETE", "/user/push/tag/all", &admin).header("user_id", "u1").send(&cloud).await;
    assert_eq!((as_user.status, as_user.body), done());
    assert_eq!(tags(&cloud, &own).await, json!([]));
}

#[tokio::test]
async fn an_alias_of_another_user_is_refused_and_one_s_own_may_change() {
    let cloud = Cloud::new().await;
    let (u1, u2) = (user_token("u1"), user_token("u2"));
    let alias = |token: &str, alias: &str| user("POST", "/user/push/alias", token).body(json!({"alias": alias}));
    assert_eq!(alias(&u1, "anna").send(&cloud).await.body, done().1);
    let taken = alias(&u2, "anna").send(&cloud).await;
    assert_eq!((taken.code(), &taken.body["message"]), ((200, 10011), &json!("another user has this alias")));
    assert_eq!(alias(&u1, "anna").send(&cloud).await.code(), (200, 200), "again");
    assert_eq!(alias(&u1, "bella").send(&cloud).await.code(), (200, 200));
    assert_eq!(alias(&u2, "anna").send(&cloud).await.code(), (200, 200), "it is free now");
    assert_eq!(alias(&u1, "").send(&cloud).await.code(), (200, 200));
    assert_eq!(alias(&u2, "bella").send(&cloud).await.code(), (200, 200));
}

#[tokio::test]
async fn who_registers_for_push_gets_a_push_token_and_keeps_no_password_here() {
    let cloud = Cloud::new().await;
    let (own, admin) = (user_token("310"), token("admin", "console"));
    let register = |token: &str, body: Value| user("POST", "/user/register/push", token).body(body);
    let first = json!({"username": "310", "password": "pw", "device_guid": "g-1", "alias": "anna", "sign": "x"});
    let answer = register(&own, first).send(&cloud).await;
    assert_eq!(answer.code(), (200, 200), "{}", answer.body);
    let data = &answer.body["data"];
    assert_eq!(
        (&data["user_id"], &data["no_push"], &data["no_push_start_hour"]),
        (&json!(310), &json!(false), &json!(0))
    );
    // The installation that then binds its token has that push token.
    bind(&own, data["device_sn"].as_u64().unwrap(), "tt", "fcm").send(&cloud).await;
    let list = user("GET", "/user/device/list", &own).send(&cloud).await.body;
    assert_eq!((&list["cursor"], &list["data"][0]["push_token"]), (&Value::Null, &data["push_token"]));
    let with_token = json!({"username": "310", "password": "pw", "push_token": data["push_token"]});
    let again = register(&admin, with_token.clone()).send(&cloud).await;
    assert_eq!(again.body["data"]["device_sn"], data["device_sn"]);
    let alias = json!({"alias": "anna", "push_token": data["push_token"]});
    assert_eq!(user("POST", "/user/push/alias", &own).body(alias.clone()).send(&cloud).await.code(), (200, 200));
    let others = user_token("u2");
    assert_eq!(user("POST", "/user/push/alias", &others).body(alias).send(&cloud).await.code(), (200, 10002));
    for (call, code) in [
        (register(&own, json!({"username": "u2", "password": "pw"})), 10010),
        (register(&admin, json!({"username": "u2", "password": "pw"})).header("user_id", "310"), 10002),
        (register(&others, json!({"username": "u2", "password": "pw", "push_token": data["push_token"]})), 10002),
        (register(&others, json!({"username": "u2", "password": "pw", "alias": "anna"})), 10011),
        (register(&own, json!({"username": "310"})), 10002),
        (register(&own, json!({"password": "pw"})), 10002),
    ] {
        let answer = call.send(&cloud).await;
        assert_eq!(answer.code(), (200, code), "{}", answer.body);
    }
}

#[tokio::test]
async fn the_number_that_a_phone_shows_is_the_badge() {
    let cloud = Cloud::new().await;
    let own = user_token("u1");
    let badge = async || {
        let own = Call::new("GET", "/badges/{clientId}").with("clientId", "u1").header("im-authorization", &own);
        own.send(&cloud).await.body
    };
    let set = |n: u64| user("POST", "/user/push/badge", &own).body(json!({"badge": n}));
    assert_eq!(set(7).send(&cloud).await.body, done().1);
    assert_eq!(badge().await, json!({"clientId": "u1", "total": 7, "rooms": 0, "lanying": 7}));
    assert_eq!(set(0).send(&cloud).await.body, done().1);
    assert_eq!(badge().await, json!({"clientId": "u1", "total": 0, "rooms": 0}));
}

#[tokio::test]
async fn each_call_has_its_mistakes_under_status_200() {
    let cloud = Cloud::new().await;
    let (own, admin) = (user_token("u1"), token("admin", "console"));
    let say = |method, route, body: Value| user(method, route, &own).body(body);
    for (call, code, told) in [
        (bind(&own, 1, "t", "com.example.app"), 10002, "notifier_name is no certificate"),
        (bind(&own, 1, "t t", "fcm"), 10002, "device_token"),
        (bind(&own, 1 << 31, "t", "fcm"), 10002, "device_sn"),
        (say("POST", "/user/token/bind", json!([])), 10002, "no"),
        (user("POST", "/user/token/bind", &own), 10002, "no body"),
        (user("POST", "/user/token/bind", &own).text("{"), 10002, "line 1"),
        (bind(&admin, 1, "t", "fcm"), 10002, "user_id"),
        (bind(&own, 1, "t", "fcm").header("user_id", "u2"), 10010, "user_id"),
        (bind(&own, 1, "t", "fcm").header("group_id", "9"), 10010, "group_id"),
        (bind("x", 1, "t", "fcm"), 10008, "access token"),
        (user("POST", "/user/token/unbind", &own), 10002, "device_sn is missing"),
        (user("DELETE", "/user/device/remove", &own).query("device_sn=-1"), 10002, "device_sn"),
        (user("GET", "/user/device/list", &admin), 10002, "user_id"),
        (say("POST", "/user/push/alias", json!({})), 10002, "alias"),
        (say("POST", "/user/push/tag", json!({"tags": []})), 10002, "tags"),
        (say("DELETE", "/user/push/tag", json!({"tags": [""]})), 10002, "entry 0 of tags"),
        (
            say("POST", "/user/push/tag", json!({"tags": (0..51).map(|n| n.to_string()).collect::<Vec<_>>()})),
            10002,
            "50",
        ),
        (
            say("POST", "/user/push/tag", json!({"tags": (0..17).map(|n| format!("{n:0>64}")).collect::<Vec<_>>()})),
            10002,
            "1024",
        ),
        (say("POST", "/user/push/badge", json!({"badge": "7"})), 10002, "badge"),
    ] {
        let answer = call.send(&cloud).await;
        assert_eq!(answer.code(), (200, code), "{}", answer.body);
        assert!(answer.body["message"].as_str().unwrap().contains(told), "{told}: {}", answer.body);
        assert!(answer.body["data"].is_null());
    }
    assert!(listed(&cloud, &own).await.is_empty());
    assert_eq!(tags(&cloud, &own).await, json!([]));
}

#[tokio::test]
async fn each_call_takes_its_methods_and_says_when_tables_do_not_answer() {
    let (cloud, broken) = (Cloud::new().await, Cloud::without_tables().await);
    let own = user_token("u1");
    let body = json!({
        "username": "u1", "password": "p", "device_sn": 1, "device_token": "t", "notifier_name": "fcm", "alias": "a", "tags": ["t"],
        "badge": 1,
    });
    for (route, method, allowed) in [
        ("/user/token/bind", "PUT", "POST, PUT"),
        ("/user/token/unbind", "DELETE", "POST, DELETE"),
        ("/user/device/list", "GET", "GET"),
        ("/user/device/remove", "DELETE", "POST, DELETE"),
        ("/user/register/push", "POST", "POST"),
        ("/user/push/alias", "POST", "POST"),
        ("/user/push/tag", "GET", "GET, POST, DELETE"),
        ("/user/push/tag", "DELETE", "GET, POST, DELETE"),
        ("/user/push/tag/all", "DELETE", "DELETE"),
        ("/user/push/badge", "POST", "POST"),
    ] {
        let refused = user("PATCH", route, &own).send(&cloud).await;
        assert_eq!((refused.code(), refused.header("allow")), ((405, 405), Some(allowed)), "{route}");
        let call = user(method, route, &own).query("device_sn=1").body(body.clone());
        let later = call.send(&broken).await;
        assert_eq!((later.code(), later.header("retry-after")), ((503, 503), Some("5")), "{route}");
    }
}
