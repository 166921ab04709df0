//! What an app knows of people by name: said over HTTP, kept within limits, and an audience by it.

use pushbell::dialect::lanying::notify::Push;
use pushbell::env::Table;
use pushbell::id::{AppId, AttributeKey};
use pushbell::message::Dialect;
use pushbell::registry::Audience;
use pushbell::task::{Intake, Members, Notice, Whom};
use pushbell::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::bell::{API_KEY, Answer, Bell};

const ATTRIBUTES: &str = "/me/attributes";

fn token(user: &str) -> String {
    pushbell::auth::jwt::sign_hs256(
        b"demo-user-key-0123456789abcdef0123456789ab",
        &json!({"app": "demo", "sub": user, "role": "user", "exp": 4_000_000_000_u64}),
    )
}

fn team(name: &str) -> AttributeKey {
    AttributeKey::of("favoriteTeam", name)
}

impl Bell {
    /// `user` changes their attributes, with their own token.
    async fn patch_attributes(&self, user: &str, attributes: Value) -> Answer {
        let (token, body) = (token(user), json!({"attributes": attributes}).to_string());
        let answer = self.caller.send("PATCH", ATTRIBUTES, &[("im-authorization", &token)], body).await;
        self.rows_agree().await;
        answer
    }

    async fn attributes(&self, user: &str) -> Value {
        let answer = self.caller.get(&format!("{ATTRIBUTES}?clientId={user}"), &[API_KEY]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["result"]["attributes"].clone()
    }

    /// A notice to whoever has one of these teams.
    async fn notify_fans(&self, teams: &[&str]) -> Value {
        let (app, now) = (AppId::parse("demo").unwrap(), Timestamp::now());
        let body = json!({"audience": "all", "message": {"title": "Score", "body": "1 : 0"}}).to_string();
        let Push { content, roads, .. } = Push::parse(Ok(body.as_bytes()), &app, now).unwrap();
        let whom = Whom::Members(Members::Attributes(teams.iter().map(|name| team(name)).collect()));
        let dialect = Dialect::Lanying;
        let notice = Notice { app: app.clone(), dialect, whom, request: None, due: None, online_only: false };
        let message = |id| content.message(app.clone(), id, roads.clone());
        let intake = Intake::new(&self.operator()).unwrap();
        let accepted = intake.notify(notice, message, now).await.unwrap();
        self.drained().await;
        json!(accepted.task)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_set_shown_and_unset_with_either_credential() {
    let bell = Bell::start().await;
    assert_eq!(bell.attributes("aaa").await, json!({}));
    let said = json!({"favoriteTeam": "Boston Red Sox", "givenName": "Joe", "age": 42, "vip": true});
    let all = json!({"favoriteTeam": "Boston Red Sox", "givenName": "Joe", "age": "42", "vip": "true"});
    let answer = bell.patch_attributes("aaa", said).await;
    assert_eq!(answer.json(), json!({"RC": 0, "RM": "OK", "result": {"attributes": all}}));
    assert_eq!(bell.attributes("aaa").await, all);
    let body = json!({"clientId": "aaa", "attributes": {"age": null, "vip": null, "givenName": "Joseph"}}).to_string();
    let by_server = bell.caller.send("PATCH", ATTRIBUTES, &[API_KEY], body).await;
    let left = json!({"favoriteTeam": "Boston Red Sox", "givenName": "Joseph"});
    assert_eq!((by_server.status, &by_server.json()["result"]["attributes"]), (200, &left));
    let own = token("aaa");
    let shown = bell.caller.get(ATTRIBUTES, &[("im-authorization", &own)]).await;
    assert_eq!(shown.json()["result"]["attributes"], left);
    assert_eq!(bell.attributes("bbb").await, json!({}));
    let erased = bell.caller.send("DELETE", "/me", &[("im-authorization", &own)], "").await;
    assert_eq!(erased.status, 200, "{}", erased.text);
    assert_eq!(bell.attributes("aaa").await, json!({}), "an erased person is known by nothing");
    assert!(bell.scan(Table::Recipients).await.is_empty());
    bell.rows_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_an_attribute_is_told_by_field_and_rule() {
    let bell = Bell::start().await;
    let many: Map<String, Value> = (0..65).map(|n| (format!("a{n}"), json!("v"))).collect();
    let long: Map<String, Value> = (0..4).map(|n| (format!("a{n}"), json!("v".repeat(1024)))).collect();
    for (attributes, code, message) in [
        (
            json!({"a": "v", "b": ["c"]}),
            "INVALID_PARAMETER",
            "attributes.b is neither a text nor a number nor a boolean",
        ),
        (json!({"a": "v", "b": {"c": 1}}), "INVALID_PARAMETER", "attributes.b is neither"),
        (json!({"a": "v", "{b}": "c"}), "INVALID_PARAMETER", "attributes has a name that is not 1 to 64 bytes"),
        (json!({"a": "v".repeat(1025)}), "INVALID_PARAMETER", "attributes.a is longer than 1024 bytes"),
        (json!("a"), "INVALID_PARAMETER", "attributes is neither an object"),
        (Value::Object(many), "TOO_MANY", "more than 64"),
        (Value::Object(long), "TOO_MANY", "more than 4096 bytes"),
    ] {
        let answer = bell.patch_attributes("aaa", attributes).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status, error["code"].as_str()), (400, Some(code)), "{error}");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
    }
    let own = token("aaa");
    let others = json!({"clientId": "bbb", "attributes": {"a": "v"}}).to_string();
    let own = [("im-authorization", own.as_str())];
    assert_eq!(bell.caller.send("PATCH", ATTRIBUTES, &own, others).await.status, 403);
    assert_eq!(bell.caller.get(&format!("{ATTRIBUTES}?clientId=bbb"), &own).await.status, 403);
    assert_eq!(bell.caller.get(ATTRIBUTES, &[API_KEY]).await.status, 400);
    assert!(bell.scan(Table::Recipients).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_indexed_attribute_is_an_audience_of_whoever_has_it_now() {
    let bell = Bell::start().await;
    let sent = |token: &str| bell.android(token).len();
    for (user, name) in [("aaa", "Boston Red Sox"), ("bbb", "Boston Red Sox"), ("ccc", "New York Yankees")] {
        bell.caller.register(user, "android", &format!("fcm-{user}")).await;
        let said = json!({"favoriteTeam": name, "givenName": user});
        assert_eq!(bell.patch_attributes(user, said).await.status, 200);
    }
    // A phone that comes later belongs to it, and one that goes does not.
    bell.caller.register("aaa", "android", "fcm-aaa-2").await;
    let fans = async |name: &str| bell.clients(Audience::Attribute(team(name))).await;
    assert_eq!(fans("Boston Red Sox").await, ["aaa", "aaa", "bbb"]);
    assert!(bell.clients(Audience::Attribute(AttributeKey::of("givenName", "aaa"))).await.is_empty(), "not indexed");
    let task = bell.notify_fans(&["Boston Red Sox"]).await;
    assert_eq!(bell.outcomes(&task).await, [("delivered".to_owned(), 3)].into());
    assert_eq!(["fcm-aaa", "fcm-aaa-2", "fcm-bbb", "fcm-ccc"].map(sent), [1, 1, 1, 0]);
    // bbb changes sides, ccc has none any more.
    bell.patch_attributes("bbb", json!({"favoriteTeam": "New York Yankees"})).await;
    bell.patch_attributes("ccc", json!({"favoriteTeam": null})).await;
    bell.notify_fans(&["New York Yankees"]).await;
    assert_eq!(["fcm-aaa", "fcm-aaa-2", "fcm-bbb", "fcm-ccc"].map(sent), [1, 1, 2, 0]);
    let both = bell.notify_fans(&["Boston Red Sox", "New York Yankees", "nobody's"]).await;
    assert_eq!(bell.outcomes(&both).await, [("delivered".to_owned(), 3)].into());
    let own = token("aaa");
    assert_eq!(bell.caller.send("DELETE", "/me", &[("im-authorization", &own)], "").await.status, 200);
    assert!(fans("Boston Red Sox").await.is_empty());
    bell.rows_agree().await;
}
