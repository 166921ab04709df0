use super::*;

const BELOW: &str = "/me/{proxy+}";

fn me(method: &'static str, client: &str) -> Call {
    Call::new(method, BELOW).with("proxy", "attributes").header("im-authorization", &user_token(client))
}

fn server(method: &'static str) -> Call {
    Call::new(method, BELOW).with("proxy", "attributes").header("im-api-key", "demo.demo-api-key")
}

fn patch(attributes: Value) -> Call {
    me("PATCH", "u1").body(json!({"attributes": attributes}))
}

async fn shown(cloud: &Cloud, client: &str) -> Value {
    let answer = me("GET", client).send(cloud).await;
    assert_eq!((answer.status, &answer.body["RC"], &answer.body["RM"]), (200, &json!(0), &json!("OK")));
    answer.body["result"]["attributes"].clone()
}

#[tokio::test]
async fn attributes_are_changed_and_shown_by_the_client_and_by_a_server() {
    let cloud = Cloud::new().await;
    assert_eq!(shown(&cloud, "u1").await, json!({}), "of a client that nobody has heard of");
    let said = json!({"favoriteTeam": "Boston Red Sox", "age": 42, "vip": true, "nick": "Joe"});
    let mut all = json!({"favoriteTeam": "Boston Red Sox", "age": "42", "vip": "true", "nick": "Joe"});
    let changed = patch(said).send(&cloud).await;
    assert_eq!(changed.body, json!({"RC": 0, "RM": "OK", "result": {"attributes": all}}));
    let by_server = server("PATCH").body(json!({"clientId": "u1", "attributes": {"nick": null, "age": 43}}));
    all["age"] = json!("43");
    all.as_object_mut().unwrap().remove("nick");
    assert_eq!(by_server.send(&cloud).await.body["result"]["attributes"], all);
    assert_eq!(server("GET").query("clientId=u1").send(&cloud).await.body["result"]["attributes"], all);
    let nothing = server("PATCH").query("clientId=u1").body(json!({}));
    assert_eq!(nothing.send(&cloud).await.body["result"]["attributes"], all, "nothing said, nothing changed");
    assert_eq!(shown(&cloud, "u2").await, json!({}), "nobody else's");
    assert_eq!(patch(Value::Null).send(&cloud).await.body["result"]["attributes"], json!({}));
    assert_eq!(shown(&cloud, "u1").await, json!({}));
}

#[tokio::test]
async fn each_mistake_has_its_code_and_changes_nothing() {
    let cloud = Cloud::new().await;
    let many: Map<String, Value> = (0..65).map(|n| (format!("a{n}"), json!("v"))).collect();
    let long: Map<String, Value> = (0..4).map(|n| (format!("a{n}"), json!("v".repeat(1024)))).collect();
    for (call, error) in [
        (Call::new("GET", BELOW).with("proxy", "attributes"), (401, "MISSING_CREDENTIALS")),
        (Call::new("PATCH", BELOW).with("proxy", "attributes"), (401, "MISSING_CREDENTIALS")),
        (me("PUT", "u1"), (405, "METHOD_NOT_ALLOWED")),
        (Call::new("GET", BELOW).with("proxy", "attributes/a"), (404, "NOT_FOUND")),
        (server("GET"), (400, "MISSING_PARAMETER")),
        (server("PATCH").body(json!({"attributes": {"a": "v"}})), (400, "MISSING_PARAMETER")),
        (me("GET", "u1").query("clientId=u2"), (403, "FORBIDDEN")),
        (me("PATCH", "u1").body(json!({"clientId": "u2", "attributes": {"a": "v"}})), (403, "FORBIDDEN")),
        (me("PATCH", "u1"), (400, "MISSING_BODY")),
        (me("PATCH", "u1").text("{"), (400, "INVALID_JSON")),
        (me("PATCH", "u1").body(json!({"a": "v"})), (400, "INVALID_PARAMETER")),
        (patch(json!(["a"])), (400, "INVALID_PARAMETER")),
        (patch(json!({"a": "v", "b": {}})), (400, "INVALID_PARAMETER")),
        (patch(json!({"a": "v", "b|c": "v"})), (400, "INVALID_PARAMETER")),
        (patch(json!({"a": "v".repeat(1025)})), (400, "INVALID_PARAMETER")),
        (patch(Value::Object(many)), (400, "TOO_MANY")),
        (patch(Value::Object(long)), (400, "TOO_MANY")),
    ] {
        let answer = call.send(&cloud).await;
        assert_eq!(answer.error(), error, "{}", answer.body);
        assert_eq!(answer.body["RC"], error.0);
    }
    assert_eq!(me("POST", "u1").send(&cloud).await.header("allow"), Some("GET, PATCH"));
    assert_eq!(shown(&cloud, "u1").await, json!({}));
}

#[tokio::test]
async fn what_the_app_has_indexed_is_indexed_and_nothing_else() {
    let cloud = Cloud::with(json!({}), json!({"attributes": {"indexed": ["favoriteTeam"]}})).await;
    let keys = async || {
        let app = pushbell::id::AppId::parse("demo").unwrap();
        let client = pushbell::id::ClientId::parse("u1").unwrap();
        cloud.state.registry.labels(&app, &client).await.unwrap().attributes.into_iter().collect::<Vec<_>>()
    };
    let of = |team: &str| pushbell::id::AttributeKey::of("favoriteTeam", team);
    assert_eq!(patch(json!({"favoriteTeam": "Boston Red Sox", "nick": "Joe"})).send(&cloud).await.status, 200);
    assert_eq!(keys().await, [of("Boston Red Sox")]);
    assert_eq!(patch(json!({"favoriteTeam": "New York Yankees"})).send(&cloud).await.status, 200);
    assert_eq!(keys().await, [of("New York Yankees")]);
    let erased = Call::new("DELETE", "/me").header("im-authorization", &user_token("u1")).send(&cloud).await;
    assert_eq!((erased.status, shown(&cloud, "u1").await), (200, json!({})));
    assert_eq!(keys().await, []);
}

#[tokio::test]
async fn tables_that_do_not_answer_are_an_error_to_try_again_after() {
    let cloud = Cloud::without_tables().await;
    for call in [me("GET", "u1"), patch(json!({"a": "v"}))] {
        let answer = call.send(&cloud).await;
        assert_eq!((answer.error(), answer.header("retry-after")), ((503, "UNAVAILABLE"), Some("5")));
    }
}
