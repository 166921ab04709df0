//! A user's devices, tags, alias and badge in Lanying's words; and after each call, the registry's rows.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use pushbell::env::Table;
use pushbell::id::{Alias, AppId, Tag};
use pushbell::registry::{Audience, Member, Registry};
use pushbell_local::phones::Channel;
use serde_json::{Value, json};

use crate::bell::{Answer, Bell, text_message};
use crate::deliver::age_devices;

const DONE: (u16, u64) = (200, 200);

fn token(role: &str, user: &str) -> String {
    pushbell::auth::jwt::sign_hs256(
        b"demo-user-key-0123456789abcdef0123456789ab",
        &json!({"app": "demo", "sub": user, "role": role, "exp": 4_000_000_000_u64}),
    )
}

/// Somebody who calls with a token, and as somebody else if they are named.
struct Who {
    token: String,
    named: Option<&'static str>,
}

fn user(id: &str) -> Who {
    Who { token: token("user", id), named: None }
}

fn admin(named: &'static str) -> Who {
    Who { token: token("admin", "console"), named: Some(named) }
}

fn code(answer: &Answer) -> (u16, u64) {
    (answer.status, answer.json()["code"].as_u64().unwrap())
}

impl Bell {
    async fn says(&self, who: &Who, method: &str, path: &str, body: Value) -> Answer {
        let mut headers = vec![("app_id", "demo"), ("access-token", who.token.as_str())];
        headers.extend(who.named.map(|named| ("user_id", named)));
        headers.push(("content-type", "application/json"));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.caller.send(method, path, &headers, body).await;
        self.rows_agree().await;
        answer
    }

    async fn bind(&self, who: &Who, number: u64, token: &str, notifier: &str) -> (u16, u64) {
        let body = json!({"device_sn": number, "device_token": token, "notifier_name": notifier});
        code(&self.says(who, "POST", "/user/token/bind", body).await)
    }

    async fn tagged(&self, who: &Who, tags: &[&str]) -> (u16, u64) {
        code(&self.says(who, "POST", "/user/push/tag", json!({"tags": tags})).await)
    }

    async fn members(&self, audience: &Audience) -> Vec<Member> {
        let registry = Registry::new(&self.operator()).unwrap();
        let app = AppId::parse("demo").unwrap();
        let mut members = Vec::new();
        for shard in 0..audience.shards() {
            members.extend(registry.members(&app, audience, shard, (None, None), None).await.unwrap().members);
        }
        members
    }

    pub async fn clients(&self, audience: Audience) -> Vec<String> {
        let mut clients: Vec<String> =
            self.members(&audience).await.into_iter().map(|member| member.client.into()).collect();
        clients.sort_unstable();
        clients
    }

    pub async fn scan(&self, table: Table) -> Vec<std::collections::HashMap<String, AttributeValue>> {
        let env = self.operator();
        let scan = pushbell::aws::dynamodb(&env).scan().table_name(env.table(table).unwrap()).consistent_read(true);
        scan.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap()
    }

    /// The registry has the rows that the clients' devices, tags, aliases and indexed attributes call for, and no others.
    pub async fn rows_agree(&self) {
        let text = |value: &AttributeValue| value.as_s().unwrap().clone();
        let (mut called_for, mut tokens) = (BTreeSet::new(), 0);
        for item in self.scan(Table::Recipients).await {
            let client = text(&item["pk"]).strip_prefix("demo#").unwrap().to_owned();
            let devices: Vec<&str> = item.keys().filter_map(|name| name.strip_prefix("d#")).collect();
            tokens += devices.len();
            let set = |name: &str| item.get(name).map(|set| set.as_ss().unwrap().clone()).unwrap_or_default();
            let (tags, keys) = (set("tg"), set("ia"));
            let alias = item.get("al").map(text);
            called_for.extend(alias.iter().map(|alias| (format!("demo#owner#{alias}"), client.clone())));
            let tags = tags.iter().map(|tag| format!("demo#tag#{tag}"));
            let keys = keys.iter().map(|key| format!("demo#attr#{key}"));
            let audiences = tags.chain(keys).chain(alias.iter().map(|alias| format!("demo#alias#{alias}")));
            for audience in audiences.chain(["demo#all".to_owned()]) {
                called_for.extend(devices.iter().map(|device| (audience.clone(), format!("{client}\u{1}{device}"))));
            }
        }
        let mut there = BTreeSet::new();
        for row in self.scan(Table::Registry).await {
            let (partition, place) = (text(&row["pk"]), text(&row["sk"]));
            // Which apps use a platform application; nobody's.
            if partition.starts_with("a#") {
                continue;
            }
            let parts: Vec<&str> = partition.splitn(4, '#').collect();
            match parts[1..] {
                ["settings"] => {}
                ["t", _] => tokens -= 1,
                ["owner", ..] => assert!(there.insert((partition.clone(), text(&row["c"])))),
                ["all", _] => assert!(there.insert(("demo#all".to_owned(), place))),
                [kind, _, name] => assert!(there.insert((format!("demo#{kind}#{name}"), place))),
                _ => panic!("a row of another kind: {partition}"),
            }
        }
        assert_eq!((there, tokens), (called_for, 0));
    }
}

fn tag(name: &str) -> Audience {
    Audience::Tag(Tag::parse(name).unwrap())
}

fn alias(name: &str) -> Audience {
    Audience::Alias(Alias::parse(name).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_s_phone_lives_in_lanying_s_words_and_its_rows_go_where_it_goes() {
    let bell = Bell::start().await;
    let (aaa, bbb) = (user("aaa"), user("bbb"));
    let push_user = json!({"username": "aaa", "password": "p", "device_guid": "g-1", "alias": "anna"});
    let registered = bell.says(&aaa, "POST", "/user/register/push", push_user).await;
    assert_eq!(code(&registered), DONE, "{}", registered.text);
    let data = &registered.json()["data"];
    assert_eq!((&data["user_id"], &data["no_push"]), (&json!("aaa"), &json!(false)));
    assert_eq!(bell.tagged(&aaa, &["vip", "de"]).await, DONE);
    // The phone comes after its owner's names, and has them.
    let number = data["device_sn"].as_u64().unwrap();
    assert_eq!(bell.bind(&aaa, number, "fcm-a", "fcm").await, DONE);
    assert_eq!(bell.bind(&admin("aaa"), 2, "a1b2c3", "apns").await, DONE);
    for audience in [tag("vip"), tag("de"), alias("anna"), Audience::All] {
        assert_eq!(bell.clients(audience).await, ["aaa", "aaa"]);
    }
    let list = bell.says(&admin("aaa"), "GET", "/user/device/list", Value::Null).await.json();
    let [first, second] = list["data"].as_array().unwrap().as_slice() else { panic!("two devices: {list}") };
    assert_eq!(
        (&first["device_sn"], &first["platform"], &first["user_id"]),
        (&json!(number), &json!(2), &json!("aaa"))
    );
    assert_eq!((&second["device_sn"], &second["platform"]), (&json!(2), &json!(1)));
    assert_eq!((&first["push_token"], &list["cursor"]), (&data["push_token"], &Value::Null));
    // They are devices like any other's.
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert_eq!((bell.android("fcm-a").len(), bell.iphone("a1b2c3").len()), (1, 1));
    // Another user signs in on the phone: it leaves the first one's audiences.
    assert_eq!(bell.bind(&bbb, 1, "fcm-a", "fcm").await, DONE);
    assert_eq!(bell.clients(tag("vip")).await, ["aaa"]);
    assert_eq!(bell.clients(Audience::All).await, ["aaa", "bbb"]);
    // Kinvey's and IMKIT's words move it as well.
    assert_eq!(bell.tagged(&bbb, &["de"]).await, DONE);
    bell.caller.register("aaa", "android", "fcm-a").await;
    bell.rows_agree().await;
    assert_eq!(bell.clients(tag("de")).await, ["aaa", "aaa"]);
    let unbound = bell.says(&aaa, "DELETE", "/user/token/unbind?deviceSn=2", Value::Null).await;
    assert_eq!(unbound.json(), json!({"code": 200, "message": null, "data": {}}));
    let list = bell.says(&aaa, "GET", "/user/device/list", Value::Null).await.json();
    let kinvey = &list["data"][0]["device_sn"];
    let removed = bell.says(&aaa, "POST", &format!("/user/device/remove?device_sn={kinvey}"), Value::Null).await;
    assert_eq!(removed.json(), json!({"code": 200, "message": null, "data": true}));
    assert!(bell.clients(Audience::All).await.is_empty());
    // What the user is called stays, and goes with the user.
    assert_eq!(bell.says(&aaa, "GET", "/user/push/tag", Value::Null).await.json()["data"], json!(["de", "vip"]));
    let erased = bell.caller.send("DELETE", "/me", &[("im-authorization", &aaa.token)], "").await;
    assert_eq!(erased.status, 200, "{}", erased.text);
    bell.rows_agree().await;
    let taken_over = bell.says(&bbb, "POST", "/user/push/alias", json!({"alias": "anna"})).await;
    assert_eq!(code(&taken_over), DONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_token_leaves_every_audience() {
    let bell = Bell::start().await;
    let aaa = user("aaa");
    assert_eq!(bell.tagged(&aaa, &["vip", "de", "beta"]).await, DONE);
    assert_eq!(code(&bell.says(&aaa, "POST", "/user/push/alias", json!({"alias": "anna"})).await), DONE);
    // Registered a while ago: what was registered since the send is not deleted.
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    age_devices(&bell, "aaa").await;
    bell.stack.phones.set_dead(Channel::Fcm, "fcm-aaa", true).unwrap();
    bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    bell.rows_agree().await;
    for audience in [Audience::All, tag("vip"), alias("anna")] {
        assert!(bell.members(&audience).await.is_empty(), "{audience:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_of_a_vendor_without_a_channel_counts_as_channel_unavailable() {
    let bell = Bell::start().await;
    let aaa = user("aaa");
    for (number, vendor) in ["huawei", "honor", "xiaomi", "oppo", "vivo", "meizu"].into_iter().enumerate() {
        assert_eq!(bell.bind(&aaa, number as u64, &format!("t-{vendor}"), vendor).await, DONE);
    }
    let answer = bell.caller.imkit(&text_message("m1", &["aaa"])).await;
    bell.settled().await;
    assert_eq!(bell.outcomes(&answer.json()["task_id"]).await.get("channel_unavailable"), Some(&6));
    assert_eq!(bell.badge("aaa").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_alias_are_said_by_either_role_and_an_alias_is_one_user_s() {
    let bell = Bell::start().await;
    for (who, device) in [("aaa", "fcm-a"), ("bbb", "fcm-b")] {
        bell.caller.register(who, "android", device).await;
    }
    let (aaa, bbb, as_aaa) = (user("aaa"), user("bbb"), admin("aaa"));
    assert_eq!(bell.tagged(&as_aaa, &["x#1", "名", "de"]).await, DONE);
    assert_eq!(bell.tagged(&bbb, &["de"]).await, DONE);
    assert_eq!(bell.clients(tag("de")).await, ["aaa", "bbb"]);
    let off = bell.says(&aaa, "DELETE", "/user/push/tag", json!({"tags": ["x#1", "unknown"]})).await;
    assert_eq!(off.json(), json!({"code": 200, "message": null, "data": true}));
    assert_eq!(bell.says(&aaa, "GET", "/user/push/tag", Value::Null).await.json()["data"], json!(["de", "名"]));
    assert_eq!(code(&bell.says(&as_aaa, "DELETE", "/user/push/tag/all", Value::Null).await), DONE);
    assert_eq!(bell.clients(tag("de")).await, ["bbb"]);
    let named =
        async |who: &Who, name: &str| code(&bell.says(who, "POST", "/user/push/alias", json!({"alias": name})).await);
    assert_eq!(named(&as_aaa, "anna").await, DONE);
    assert_eq!(named(&bbb, "anna").await, (200, 10011));
    assert_eq!(bell.clients(alias("anna")).await, ["aaa"]);
    assert_eq!(named(&aaa, "bella").await, DONE);
    assert_eq!(named(&bbb, "anna").await, DONE);
    assert_eq!(bell.clients(alias("anna")).await, ["bbb"]);
    assert_eq!(named(&bbb, "").await, DONE);
    assert!(bell.clients(alias("anna")).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_that_a_phone_shows_is_the_badge_of_the_next_push() {
    let bell = Bell::start().await;
    bell.caller.register("aaa", "android", "fcm-aaa").await;
    let aaa = user("aaa");
    let shows = async |n: u64| code(&bell.says(&aaa, "POST", "/user/push/badge", json!({"badge": n})).await);
    let message = async |id: &str| {
        bell.caller.imkit(&text_message(id, &["aaa"])).await;
        bell.settled().await;
        bell.android("fcm-aaa")[0].badge
    };
    assert_eq!(shows(7).await, DONE);
    assert_eq!(bell.badge("aaa").await, 7);
    assert_eq!(message("m1").await, Some(8));
    assert_eq!(shows(0).await, DONE);
    assert_eq!(bell.badge("aaa").await, 0);
    assert_eq!(message("m2").await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_has_its_code_and_changes_nothing() {
    let bell = Bell::start().await;
    bell.caller.register("bbb", "android", "fcm-b").await;
    let (aaa, nobody) = (user("aaa"), Who { token: token("admin", "console"), named: None });
    assert_eq!(code(&bell.says(&user("bbb"), "POST", "/user/push/alias", json!({"alias": "b"})).await), DONE);
    let bind = json!({"device_sn": 1, "device_token": "t", "notifier_name": "fcm"});
    let unknown = json!({"device_sn": 1, "device_token": "t", "notifier_name": "com.example"});
    let (tags, shown, named) = (json!({"tags": ["x"]}), json!({"badge": 3}), json!({"alias": "a"}));
    let register = |name: &str| json!({"username": name, "password": "p", "alias": "a"});
    let other = Who { token: token("user", "aaa"), named: Some("bbb") };
    let bad = Who { token: "x".to_owned(), named: None };
    let ended = |claims: Value| Who {
        token: pushbell::auth::jwt::sign_hs256(b"demo-user-key-0123456789abcdef0123456789ab", &claims),
        named: None,
    };
    let stale = ended(json!({"app": "demo", "sub": "aaa", "role": "user", "exp": 1}));
    let foreign = ended(json!({"app": "other", "sub": "aaa", "role": "user", "exp": 4_000_000_000_u64}));
    for (method, path, good) in [
        ("POST", "/user/token/bind", &bind),
        ("PUT", "/user/token/bind", &bind),
        ("POST", "/user/token/unbind?deviceSn=1", &Value::Null),
        ("DELETE", "/user/device/remove?device_sn=1", &Value::Null),
        ("GET", "/user/device/list", &Value::Null),
        ("POST", "/user/push/alias", &named),
        ("GET", "/user/push/tag", &Value::Null),
        ("POST", "/user/push/tag", &tags),
        ("DELETE", "/user/push/tag", &tags),
        ("DELETE", "/user/push/tag/all", &Value::Null),
        ("POST", "/user/push/badge", &shown),
    ] {
        for (who, expected) in [(&other, 10010), (&nobody, 10002), (&bad, 10008), (&stale, 10008), (&foreign, 10008)] {
            assert_eq!(code(&bell.says(who, method, path, good.clone()).await), (200, expected), "{method} {path}");
        }
        let token = ("access-token", aaa.token.as_str());
        for (headers, expected) in
            [(vec![("app_id", "demo")], 10003), (vec![token], 10002), (vec![("app_id", "nobody"), token], 40000)]
        {
            let answer = bell.caller.send(method, path, &headers, good.to_string()).await;
            assert_eq!(code(&answer), (200, expected), "{method} {path}");
        }
        let route = path.split('?').next().unwrap();
        assert_eq!(code(&bell.says(&aaa, "PATCH", route, Value::Null).await), (405, 405));
    }
    for (method, path, body, expected) in [
        ("POST", "/user/token/bind", unknown, 10002),
        ("POST", "/user/token/bind", json!({"device_sn": 1}), 10002),
        ("POST", "/user/token/bind", Value::Null, 10002),
        ("POST", "/user/token/unbind", Value::Null, 10002),
        ("POST", "/user/device/remove?device_sn=x", Value::Null, 10002),
        ("POST", "/user/register/push", register("bbb"), 10010),
        ("POST", "/user/register/push", json!({"username": "aaa"}), 10002),
        ("POST", "/user/register/push", json!({"username": "aaa", "password": "p", "alias": "b"}), 10011),
        ("POST", "/user/push/alias", json!({"alias": "b"}), 10011),
        ("POST", "/user/push/alias", json!({"alias": "a", "push_token": "x"}), 10002),
        ("POST", "/user/push/tag", json!({"tags": []}), 10002),
        ("POST", "/user/push/tag", json!({"tags": (0..51).map(|n| n.to_string()).collect::<Vec<_>>()}), 10002),
        ("POST", "/user/push/badge", json!({"badge": -1}), 10002),
    ] {
        let answer = bell.says(&aaa, method, path, body).await;
        assert_eq!(code(&answer), (200, expected), "{path}: {}", answer.text);
    }
    assert_eq!(bell.clients(Audience::All).await, ["bbb"]);
    assert!(bell.scan(Table::Recipients).await.iter().all(|item| item["pk"].as_s().unwrap() == "demo#bbb"));
}
