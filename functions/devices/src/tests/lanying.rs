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
