use super::*;

const BELOW: &str = "/me/{proxy+}";

fn me(method: &'static str, path: &str, client: &str) -> Call {
    Call::new(method, BELOW).with("proxy", path).header("im-authorization", &user_token(client))
}

fn server(method: &'static str, path: &str) -> Call {
    Call::new(method, BELOW).with("proxy", path).header("im-api-key", "demo.demo-api-key")
}

fn defaults() -> Value {
    json!({
        "push": true, "quiet_hours": null, "zone": null, "hide_content": false, "muted_senders": [],
        "blocked_senders": [], "locale": null, "nickname": null, "muted_rooms": 0
    })
}

async fn shown(cloud: &Cloud, client: &str) -> Value {
    let answer = me("GET", "preferences", client).send(cloud).await;
    assert_eq!((answer.status, &answer.body["RC"], &answer.body["RM"]), (200, &json!(0), &json!("OK")));
    answer.body["result"].clone()
}

#[tokio::test]
async fn push_is_switched_off_and_on_in_imkit_s_words() {
    let cloud = Cloud::new().await;
    for (path, push) in
        [("notification/disable", false), ("notification/disable", false), ("notification/enable", true)]
    {
        let answer = me("POST", path, "u1").send(&cloud).await;
        assert_eq!((answer.status, answer.body), (200, json!({"RC": 0, "RM": "OK", "result": {}})));
        assert_eq!(shown(&cloud, "u1").await["push"], push);
    }
    let named = server("POST", "notification/disable").query("clientId=u2").send(&cloud).await;
    assert_eq!(named.status, 200);
    let named = server("POST", "notification/disable").body(json!({"clientId": "u3"})).send(&cloud).await;
    assert_eq!(named.status, 200);
    for (client, push) in [("u1", true), ("u2", false), ("u3", false)] {
        assert_eq!(shown(&cloud, client).await["push"], push, "{client}");
    }
}

#[tokio::test]
async fn preferences_are_changed_and_shown_by_the_client_and_by_a_server() {
    let cloud = Cloud::new().await;
    assert_eq!(shown(&cloud, "u1").await, defaults(), "of a client that nobody has heard of");
    let all = json!({
        "push": false, "quiet_hours": {"from": "22:00", "to": "07:00"}, "zone": "Europe/Berlin", "hide_content": true,
        "muted_senders": ["u2", "u3"], "blocked_senders": ["u4"], "locale": "de-AT", "nickname": "Ana"
    });
    let mut expected = all.clone();
    expected["muted_rooms"] = json!(1);
    assert_eq!(me("POST", "mute/r", "u1").send(&cloud).await.status, 200);
    let changed = me("PATCH", "preferences", "u1").body(all).send(&cloud).await;
    assert_eq!((changed.status, &changed.body["result"]), (200, &expected));
    let by_server =
        server("PATCH", "preferences").body(json!({"clientId": "u1", "zone": null, "muted_senders": ["u2"]}));
    expected["zone"] = Value::Null;
    expected["muted_senders"] = json!(["u2"]);
    assert_eq!(by_server.send(&cloud).await.body["result"], expected);
    assert_eq!(server("GET", "preferences").query("clientId=u1").send(&cloud).await.body["result"], expected);
    let in_query = server("PATCH", "preferences").query("clientId=u1").body(json!({}));
    assert_eq!(in_query.send(&cloud).await.body["result"], expected, "nothing said, nothing changed");
}

#[tokio::test]
async fn each_mistake_has_its_code_and_changes_nothing() {
    let cloud = Cloud::new().await;
    let patch = |body: Value| me("PATCH", "preferences", "u1").body(body);
    let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
    let long: Vec<String> = (0..9).map(|n| format!("{n:0>250}")).collect();
    for (call, error) in [
        (Call::new("GET", BELOW).with("proxy", "preferences"), (401, "MISSING_CREDENTIALS")),
        (Call::new("PATCH", BELOW).with("proxy", "preferences"), (401, "MISSING_CREDENTIALS")),
        (Call::new("POST", BELOW).with("proxy", "notification/enable"), (401, "MISSING_CREDENTIALS")),
        (me("POST", "preferences", "u1"), (405, "METHOD_NOT_ALLOWED")),
        (me("GET", "notification/enable", "u1"), (405, "METHOD_NOT_ALLOWED")),
        (me("POST", "notification/toggle", "u1"), (404, "NOT_FOUND")),
        (me("POST", "notification", "u1"), (404, "NOT_FOUND")),
        (me("GET", "preferences/zone", "u1"), (404, "NOT_FOUND")),
        (server("GET", "preferences"), (400, "MISSING_PARAMETER")),
        (server("PATCH", "preferences").body(json!({"push": false})), (400, "MISSING_PARAMETER")),
        (server("POST", "notification/disable"), (400, "MISSING_PARAMETER")),
        (me("GET", "preferences", "u1").query("clientId=u2"), (403, "FORBIDDEN")),
        (patch(json!({"clientId": "u2", "push": false})), (403, "FORBIDDEN")),
        (me("PATCH", "preferences", "u1"), (400, "MISSING_BODY")),
        (me("PATCH", "preferences", "u1").text("{"), (400, "INVALID_JSON")),
        (patch(json!({"push": false, "mute": true})), (400, "INVALID_PARAMETER")),
        (patch(json!({"push": false, "zone": "Mars/Olympus"})), (400, "INVALID_PARAMETER")),
        (patch(json!({"push": false, "muted_senders": many})), (400, "TOO_MANY")),
        (patch(json!({"push": false, "muted_senders": long})), (400, "TOO_MANY")),
    ] {
        let answer = call.send(&cloud).await;
        assert_eq!(answer.error(), error, "{}", answer.body);
        assert_eq!(answer.body["RC"], error.0);
    }
    assert_eq!(me("POST", "preferences", "u1").send(&cloud).await.header("allow"), Some("GET, PATCH"));
    assert_eq!(shown(&cloud, "u1").await, defaults());
}

#[tokio::test]
async fn an_erased_client_prefers_nothing() {
    let cloud = Cloud::new().await;
    let hidden = me("PATCH", "preferences", "u1").body(json!({"hide_content": true, "muted_senders": ["u2"]}));
    assert_eq!(hidden.send(&cloud).await.status, 200);
    let erased = Call::new("DELETE", "/me").header("im-authorization", &user_token("u1")).send(&cloud).await;
    assert_eq!(erased.status, 200);
    assert_eq!(shown(&cloud, "u1").await, defaults());
}

#[tokio::test]
async fn tables_that_do_not_answer_are_an_error_to_try_again_after() {
    let cloud = Cloud::without_tables().await;
    for call in [
        me("GET", "preferences", "u1"),
        me("PATCH", "preferences", "u1").body(json!({"push": false})),
        me("POST", "notification/disable", "u1"),
    ] {
        let answer = call.send(&cloud).await;
        assert_eq!((answer.error(), answer.header("retry-after")), ((503, "UNAVAILABLE"), Some("5")));
    }
}
