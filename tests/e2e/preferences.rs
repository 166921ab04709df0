//! What people prefer: said over HTTP in three ways, and heeded by what is delivered.

use serde_json::{Value, json};

use crate::bell::{API_KEY, Answer, Bell, text_message};

const PREFERENCES: &str = "/me/preferences";

fn token(role: &str, user: &str) -> String {
    pushbell::auth::jwt::sign_hs256(
        b"demo-user-key-0123456789abcdef0123456789ab",
        &json!({"app": "demo", "sub": user, "role": role, "exp": 4_000_000_000_u64}),
    )
}

fn defaults() -> Value {
    json!({
        "push": true, "quiet_hours": null, "zone": null, "hide_content": false, "muted_senders": [],
        "blocked_senders": [], "locale": null, "nickname": null, "muted_rooms": 0
    })
}

/// Quiet hours from an hour before now to an hour after it, by clocks `ahead` minutes of UTC; or six hours later.
fn hours(ahead: u64, later: bool) -> Value {
    let minute = pushbell::time::Timestamp::now().as_secs() / 60 + ahead + if later { 360 } else { 0 };
    let shown = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    json!({"from": shown(minute - 60), "to": shown(minute + 60)})
}

impl Bell {
    /// `user` changes what they prefer, with their own token.
    async fn prefers(&self, user: &str, what: Value) -> Value {
        let (token, body) = (token("user", user), what.to_string());
        let answer = self.caller.send("PATCH", PREFERENCES, &[("im-authorization", &token)], body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["result"].clone()
    }

    async fn preferences(&self, user: &str) -> Value {
        let answer = self.caller.get(&format!("{PREFERENCES}?clientId={user}"), &[API_KEY]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["result"].clone()
    }

    /// A message of `sss` in the demo room reaches everybody whom it may.
    async fn message(&self, id: &str, clients: &[&str]) -> Value {
        self.delivered(&text_message(id, clients)).await
    }

    async fn delivered(&self, message: &Value) -> Value {
        let answer = self.caller.imkit(message).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.settled().await;
        answer.json()["task_id"].clone()
    }

    async fn lanying(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.caller.send("POST", path, headers, "").await
    }
}

/// aaa has an iPhone and an Android phone.
async fn demo() -> Bell {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    bell
}

#[tokio::test(flavor = "multi_thread")]
async fn preferences_are_said_with_either_credential_and_kept_until_said_otherwise() {
    let bell = demo().await;
    assert_eq!(bell.preferences("aaa").await, defaults());
    let said = json!({
        "push": false, "quiet_hours": {"from": "22:00", "to": "07:00"}, "zone": "europe/berlin", "hide_content": true,
        "muted_senders": ["u2"], "blocked_senders": ["u3"], "locale": "de-AT", "nickname": "Ana"
    });
    let mut held = said.clone();
    held["zone"] = json!("Europe/Berlin");
    held["muted_rooms"] = json!(0);
    assert_eq!(bell.prefers("aaa", said).await, held);
    let by_server = json!({"clientId": "aaa", "push": null, "quiet_hours": null, "nickname": null}).to_string();
    let answer = bell.caller.send("PATCH", PREFERENCES, &[API_KEY], by_server).await;
    (held["push"], held["quiet_hours"], held["nickname"]) = (json!(true), Value::Null, Value::Null);
    assert_eq!((answer.status, &answer.json()["result"]), (200, &held));
    assert_eq!(bell.preferences("aaa").await, held);
    let own = token("user", "aaa");
    let erased = bell.caller.send("DELETE", "/me", &[("im-authorization", &own)], "").await;
    assert_eq!(erased.status, 200);
    assert_eq!(bell.preferences("aaa").await, defaults(), "an erased person prefers nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_preferred_is_told_by_field_and_rule() {
    let bell = demo().await;
    let own = token("user", "aaa");
    let own = ("im-authorization", own.as_str());
    for (method, path, headers, body, status, code, message) in [
        (
            "PATCH",
            PREFERENCES,
            vec![own],
            r#"{"push": false, "pusch": 1}"#,
            400,
            "INVALID_PARAMETER",
            "pusch is no preference",
        ),
        (
            "PATCH",
            PREFERENCES,
            vec![own],
            r#"{"zone": "CEST"}"#,
            400,
            "INVALID_PARAMETER",
            "zone is not an IANA time zone",
        ),
        (
            "PATCH",
            PREFERENCES,
            vec![own],
            r#"{"quiet_hours": {"from": "7", "to": "8"}}"#,
            400,
            "INVALID_PARAMETER",
            "from",
        ),
        ("PATCH", PREFERENCES, vec![own], "{", 400, "INVALID_JSON", "line 1"),
        ("PATCH", PREFERENCES, vec![own], "", 400, "MISSING_BODY", "no body"),
        ("PATCH", PREFERENCES, vec![own], r#"{"clientId": "bbb"}"#, 403, "FORBIDDEN", "clientId"),
        ("PATCH", PREFERENCES, vec![API_KEY], r#"{"push": true}"#, 400, "MISSING_PARAMETER", "clientId"),
        ("GET", PREFERENCES, vec![], "", 401, "MISSING_CREDENTIALS", ""),
        ("GET", PREFERENCES, vec![("im-authorization", "x")], "", 401, "INVALID_TOKEN", ""),
        ("GET", PREFERENCES, vec![("im-api-key", "demo.wrong")], "", 401, "INVALID_API_KEY", ""),
        ("PUT", PREFERENCES, vec![own], "", 405, "METHOD_NOT_ALLOWED", "GET, PATCH"),
        ("POST", "/me/notification/disable", vec![], "", 401, "MISSING_CREDENTIALS", ""),
        ("POST", "/me/notification/disable", vec![API_KEY], "", 400, "MISSING_PARAMETER", "clientId"),
        ("GET", "/me/notification/disable", vec![own], "", 405, "METHOD_NOT_ALLOWED", "POST"),
        ("POST", "/me/notification/toggle", vec![own], "", 404, "NOT_FOUND", ""),
    ] {
        let answer = bell.caller.send(method, path, &headers, body).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status, error["code"].as_str()), (status, Some(code)), "{method} {path} {body}");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
    }
    assert_eq!(bell.preferences("aaa").await, defaults());
}

#[tokio::test(flavor = "multi_thread")]
async fn push_that_is_off_delivers_nothing_and_counts() {
    let bell = demo().await;
    let own = token("user", "aaa");
    let own = [("im-authorization", own.as_str())];
    let off = bell.caller.send("POST", "/me/notification/disable", &own, "").await;
    assert_eq!((off.status, off.json()), (200, json!({"RC": 0, "RM": "OK", "result": {}})));
    let task = bell.message("m1", &["aaa"]).await;
    assert_eq!(bell.stack.phones.accepted(), 0);
    assert_eq!(bell.outcomes(&task).await.get("off"), Some(&1));
    assert_eq!(bell.badge("aaa").await, 1);
    let on = bell.caller.send("POST", "/me/notification/enable?clientId=aaa", &[API_KEY], "").await;
    assert_eq!(on.status, 200, "{}", on.text);
    bell.message("m2", &["aaa"]).await;
    assert_eq!(bell.android("fcm-aaa")[0].badge, Some(2), "what came meanwhile is in the badge");
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_deliver_with_the_badge_and_without_a_sound() {
    let bell = demo().await;
    bell.prefers("aaa", json!({"quiet_hours": hours(0, false), "zone": "UTC"})).await;
    bell.message("m1", &["aaa"]).await;
    for phone in [bell.android("fcm-aaa"), bell.iphone("a1b2c3")] {
        let [one] = phone.as_slice() else { panic!("one notification: {phone:?}") };
        assert_eq!((one.body.as_deref(), one.badge, one.sound.as_deref()), (Some("SSS: lala"), Some(1), None));
    }
    bell.prefers("aaa", json!({"quiet_hours": hours(0, true)})).await;
    bell.message("m2", &["aaa"]).await;
    for phone in [bell.android("fcm-aaa"), bell.iphone("a1b2c3")] {
        assert_eq!((phone[0].badge, phone[0].sound.as_deref()), (Some(2), Some("default")), "quiet hours are over");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_are_told_by_the_client_s_clocks_and_without_a_zone_by_the_app_s() {
    let bell = demo().await;
    let settings = json!({"zone": "Asia/Kolkata", "sns": {"apns": "arn:aws:sns:us-east-1:000000000000:app/APNS/demo"}});
    bell.stack.put_settings("demo", &settings).await.unwrap();
    let kolkata = hours(330, false);
    let sound = async |id: &str| {
        bell.message(id, &["aaa"]).await;
        bell.android("fcm-aaa")[0].sound.clone()
    };
    bell.prefers("aaa", json!({"quiet_hours": kolkata})).await;
    assert_eq!(sound("m1").await, None);
    bell.prefers("aaa", json!({"zone": "UTC"})).await;
    assert_eq!(sound("m2").await.as_deref(), Some("default"), "it is not that time in UTC");
    bell.prefers("aaa", json!({"zone": "Asia/Calcutta"})).await;
    assert_eq!(sound("m3").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_content_is_nowhere_in_the_push_and_its_place_is_told_in_the_reader_s_language() {
    let bell = demo().await;
    bell.prefers("aaa", json!({"hide_content": true, "locale": "zh-TW"})).await;
    bell.message("m1", &["aaa"]).await;
    for phone in [bell.android("fcm-aaa"), bell.iphone("a1b2c3")] {
        let [one] = phone.as_slice() else { panic!("one notification: {phone:?}") };
        assert_eq!((one.body.as_deref(), one.badge), (Some("您有一条新消息"), Some(1)));
        let payload = one.payload.to_string();
        for content in ["lala", "SSS", "Demo Room"] {
            assert!(!payload.contains(content), "{content} in {payload}");
        }
    }
    bell.prefers("aaa", json!({"locale": null})).await;
    bell.message("m2", &["aaa"]).await;
    assert_eq!(bell.android("fcm-aaa")[0].body.as_deref(), Some("You have a new message"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_muted_sender_comes_through_with_a_mention_and_a_blocked_one_never() {
    let bell = demo().await;
    let mention = |id: &str| {
        let mut message = text_message(id, &["aaa"]);
        message["mentions"] = json!(["aaa"]);
        message
    };
    bell.prefers("aaa", json!({"muted_senders": ["sss"]})).await;
    let muted = bell.message("m1", &["aaa"]).await;
    assert_eq!(bell.outcomes(&muted).await.get("muted"), Some(&1));
    assert_eq!((bell.stack.phones.accepted(), bell.badge("aaa").await), (0, 0), "neither sent nor counted");
    bell.delivered(&mention("m2")).await;
    assert_eq!((bell.android("fcm-aaa").len(), bell.badge("aaa").await), (1, 1));
    bell.prefers("aaa", json!({"muted_senders": [], "blocked_senders": ["sss"]})).await;
    for message in [text_message("m3", &["aaa"]), mention("m4")] {
        let blocked = bell.delivered(&message).await;
        assert_eq!(bell.outcomes(&blocked).await.get("blocked"), Some(&1));
    }
    assert_eq!((bell.android("fcm-aaa").len(), bell.badge("aaa").await), (1, 1));
    bell.prefers("aaa", json!({"blocked_senders": null})).await;
    bell.message("m5", &["aaa"]).await;
    assert_eq!((bell.android("fcm-aaa").len(), bell.badge("aaa").await), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn lanying_s_settings_are_the_same_preferences() {
    let bell = demo().await;
    let (own, admin) = (token("user", "aaa"), token("admin", "console"));
    let user = [("app_id", "demo"), ("access-token", own.as_str())];
    let as_user = [("app-id", "demo"), ("access-token", admin.as_str()), ("user_id", "aaa")];
    let done = json!({"code": 200, "message": null, "data": true});
    for (path, headers) in [
        ("/user/push?value=true", &user[..]),
        ("/user/push/limit?no_push_start_hour=22&no_push_end_hour=7", &as_user),
        ("/user/push/detail?value=true", &user),
        ("/user/push/nickname?value=Ana%20M", &as_user),
    ] {
        let answer = bell.lanying(path, headers).await;
        assert_eq!((answer.status, answer.json()), (200, done.clone()), "{path}");
    }
    let mut held = defaults();
    (held["push"], held["hide_content"], held["nickname"]) = (json!(false), json!(true), json!("Ana M"));
    held["quiet_hours"] = json!({"from": "22:00", "to": "07:00"});
    assert_eq!(bell.preferences("aaa").await, held);
    bell.message("m1", &["aaa"]).await;
    assert_eq!(bell.stack.phones.accepted(), 0);
    let put = bell.caller.send("PUT", "/user/push/limit?no_push_start_hour=7&no_push_end_hour=7", &user, "").await;
    assert_eq!(put.json(), done);
    assert_eq!(bell.preferences("aaa").await["quiet_hours"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn lanying_s_mistakes_are_codes_under_status_200() {
    let bell = demo().await;
    let (own, admin) = (token("user", "aaa"), token("admin", "console"));
    let (app, own, admin) = (("app_id", "demo"), ("access-token", own.as_str()), ("access-token", admin.as_str()));
    for (path, headers, code) in [
        ("/user/push?value=true", vec![own], 10002),
        ("/user/push?value=true", vec![app], 10003),
        ("/user/push?value=true", vec![app, ("access-token", "x")], 10008),
        ("/user/push?value=true", vec![("app_id", "nobody"), own], 40000),
        ("/user/push?value=true", vec![app, own, ("user_id", "bbb")], 10010),
        ("/user/push?value=true", vec![app, admin], 10002),
        ("/user/push", vec![app, own], 10002),
        ("/user/push/limit?no_push_start_hour=1", vec![app, own], 10002),
        ("/user/push/limit?no_push_start_hour=1&no_push_end_hour=24", vec![app, own], 10002),
    ] {
        let answer = bell.lanying(path, &headers).await;
        assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(code)), "{path}: {}", answer.text);
    }
    let nothing = bell.lanying("/user/push/nothing", &[app, own]).await;
    assert_eq!((nothing.status, &nothing.json()["code"]), (404, &json!(404)));
    let get = bell.caller.get("/user/push?value=true", &[app, own]).await;
    assert_eq!((get.status, &get.json()["code"]), (405, &json!(405)));
    assert_eq!(bell.preferences("aaa").await, defaults());
}
