//! Every row of the request table of Lanying's push page, section 7.2: what a caller says, and where it is seen. `ios`, `android`, `fcm` and
//! the common fields in the bytes that the fake FCM or SNS received; the other vendors' blocks in the typed message.

use std::collections::BTreeSet;

use pushbell::dialect::lanying::notify::Push;
use pushbell::id::{AppId, MessageId};
use pushbell::time::Timestamp;
use pushbell_local::phones::{Channel, View};
use serde_json::{Value, json};

use crate::bell::{Answer, Bell, workspace};

/// Where a field is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the v1 message that FCM received.
    Fcm,
    /// In the payload for APNs that SNS received; its collapse id as `collapse_id`.
    Sns,
    /// In what a parsed request holds.
    Typed,
}
use Place::{Fcm, Sns, Typed};

/// A field of the request; what is laid over a plain request (JSON merge patch); and what is at which JSON pointer of which place. Where
/// nothing is sent, that is null everywhere.
type Line = (&'static str, Value, Vec<(Place, &'static str, Value)>);

const INTENT: &str = "intent:#Intent;action=com.test.OPEN;component=com.test/.Page;S.parm1=value1;end";
const IMAGE: &str = "https://cdn.example.com/a.png";
const SOUND: &str = "https://cdn.example.com/a.mp3";
/// Seconds since 1970: long past, and far ahead.
const PAST: u64 = 1_767_225_600;

fn ahead() -> u64 {
    Timestamp::now().as_secs() / 3600 * 3600 + 10 * 3600
}

/// A member of a vendor's block, in the typed message only.
macro_rules! typed {
    ($vendor:literal: $($field:literal = $value:expr),+ $(,)?) => {
        [$((
            concat!("message.", $vendor, ".", $field),
            json!({"message": {$vendor: {$field: $value, "intent": INTENT}}}),
            vec![(Typed, concat!("/message/vendors/", $vendor, "/", $field), json!($value))],
        )),+]
    };
}

#[rustfmt::skip]
fn table(push_token: &str) -> Vec<Line> {
    let said = |fields: Value| json!({"message": fields});
    let set = |fields: Value| json!({"setting": fields});
    let end = ahead();
    let mut lines: Vec<Line> = vec![
        ("audience", json!({"audience": {"user_id": ["bbb"]}}), vec![(Fcm, "/token", json!("fcm-bbb")), (Sns, "", json!(null))]),
        ("audience", json!({"audience": {"user_id": null, "tag": ["vip"]}}), vec![(Fcm, "/token", json!("fcm-ddd")), (Sns, "", json!(null))]),
        ("audience", json!({"audience": {"user_id": null, "alias": ["dora"]}}), vec![(Fcm, "/token", json!("fcm-ddd")), (Sns, "", json!(null))]),
        ("audience", json!({"audience": {"user_id": null, "push_token": [push_token]}}), vec![(Fcm, "/token", json!("fcm-ddd")), (Sns, "", json!(null))]),
        ("setting", set(json!({"distribution_strategy": "ospush_only"})), vec![(Fcm, "/notification/body", json!("B")), (Sns, "/aps/alert/body", json!("B"))]),
        ("setting.request_id", set(json!({"request_id": "ord-771-2"})), vec![(Typed, "/request", json!("ord-771-2")), (Fcm, "/token", json!("fcm-aaa"))]),
        ("setting.distribution_strategy", set(json!({"distribution_strategy": "mxpush_only"})), vec![(Typed, "/message/roads/strategy", json!("online")), (Fcm, "", json!(null)), (Sns, "", json!(null))]),
        ("setting.ospush_sequence", set(json!({"ospush_sequence": ["huawei", "xiaomi"]})), vec![(Typed, "/message/roads/android", json!(["h", "x"])), (Fcm, "", json!(null)), (Sns, "/aps/alert/body", json!("B"))]),
        ("message", said(json!({"body": "other"})), vec![(Fcm, "/notification", json!({"title": "T", "body": "other"})), (Sns, "/aps/alert", json!({"title": "T", "body": "other"}))]),
        ("message.type", said(json!({"type": "cmd"})), vec![(Fcm, "/notification", json!(null)), (Fcm, "/data/body", json!("B")), (Sns, "/aps", json!({"content-available": 1})), (Sns, "/title", json!("T")), (Sns, "/body", json!("B"))]),
        ("message.title", said(json!({"title": "Pickup"})), vec![(Fcm, "/notification/title", json!("Pickup")), (Sns, "/aps/alert/title", json!("Pickup"))]),
        ("message.body", said(json!({"body": "Bag 4"})), vec![(Fcm, "/notification/body", json!("Bag 4")), (Sns, "/aps/alert/body", json!("Bag 4"))]),
        ("message.attachment_url", said(json!({"type": "image", "attachment_url": IMAGE})), vec![(Fcm, "/notification/image", json!(IMAGE)), (Fcm, "/apns/fcm_options/image", json!(IMAGE)), (Sns, "/image", json!(IMAGE)), (Sns, "/aps/mutable-content", json!(1))]),
        ("message.attachment_url", said(json!({"attachment_url": SOUND})), vec![(Fcm, "/data/attachment", json!(SOUND)), (Sns, "/attachment", json!(SOUND))]),
        ("message.big_text", said(json!({"big_text": "A longer text"})), vec![(Fcm, "/android/notification/body", json!("A longer text")), (Fcm, "/notification/body", json!("B")), (Sns, "/aps/alert/body", json!("B"))]),
        ("message.badge", json!({"audience": {"user_id": ["ccc"]}, "message": {"badge": "7"}}), vec![(Fcm, "/android/notification/notification_count", json!(7)), (Fcm, "/apns/payload/aps/badge", json!(7)), (Sns, "/aps/badge", json!(7))]),
        ("message.ext", said(json!({"ext": {"key1": 123, "key2": "value2"}})), vec![(Fcm, "/data/key1", json!("123")), (Fcm, "/data/key2", json!("value2")), (Sns, "/key1", json!(123)), (Sns, "/key2", json!("value2"))]),
        ("message.show_begin_time", said(json!({"show_begin_time": PAST})), vec![(Fcm, "/data/show_begin_time", json!(PAST.to_string())), (Sns, "/show_begin_time", json!(PAST))]),
        ("message.show_end_time", said(json!({"show_end_time": end})), vec![(Fcm, "/data/show_end_time", json!(end.to_string())), (Fcm, "/apns/headers/apns-expiration", json!(end.to_string())), (Sns, "/show_end_time", json!(end))]),

        ("message.ios", said(json!({"ios": {"sound": "a.caf", "subtitle": "S"}})), vec![(Sns, "/aps/sound", json!("a.caf")), (Sns, "/aps/alert/subtitle", json!("S"))]),
        ("message.ios.sound", said(json!({"ios": {"sound": "ping.caf"}})), vec![(Sns, "/aps/sound", json!("ping.caf")), (Fcm, "/apns/payload/aps/sound", json!("ping.caf"))]),
        ("message.ios.content_available", said(json!({"ios": {"content_available": true}})), vec![(Sns, "/aps/content-available", json!(1)), (Fcm, "/apns/payload/aps/content-available", json!(1))]),
        ("message.ios.mutable_content", said(json!({"ios": {"mutable_content": true}})), vec![(Sns, "/aps/mutable-content", json!(1)), (Fcm, "/apns/payload/aps/mutable-content", json!(1))]),
        ("message.ios.category", said(json!({"ios": {"category": "ORDER"}})), vec![(Sns, "/aps/category", json!("ORDER")), (Fcm, "/apns/payload/aps/category", json!("ORDER"))]),
        ("message.ios.thread_id", said(json!({"ios": {"thread_id": "orders"}})), vec![(Sns, "/aps/thread-id", json!("orders")), (Fcm, "/apns/payload/aps/thread-id", json!("orders"))]),
        ("message.ios.subtitle", said(json!({"ios": {"subtitle": "Counter B"}})), vec![(Sns, "/aps/alert/subtitle", json!("Counter B")), (Fcm, "/apns/payload/aps/alert/subtitle", json!("Counter B"))]),
        ("message.ios.apns_collapse_id", said(json!({"ios": {"apns_collapse_id": "ord-771"}})), vec![(Sns, "/collapse_id", json!("ord-771")), (Fcm, "/apns/headers/apns-collapse-id", json!("ord-771"))]),

        ("message.android", said(json!({"android": {"sound": "s", "channel_id": "c"}})), vec![(Fcm, "/android/notification/sound", json!("s")), (Fcm, "/android/notification/channel_id", json!("c"))]),
        ("message.android.sound", said(json!({"android": {"sound": "ping"}})), vec![(Fcm, "/android/notification/sound", json!("ping"))]),
        ("message.android.channel_id", said(json!({"android": {"channel_id": "orders"}})), vec![(Fcm, "/android/notification/channel_id", json!("orders"))]),
        ("message.android.click_action", said(json!({"android": {"click_action": "intent", "intent": INTENT}})), vec![(Fcm, "/android/notification/click_action", json!("com.test.OPEN"))]),
        ("message.android.intent", said(json!({"android": {"click_action": "intent", "intent": INTENT}})), vec![(Fcm, "/data/pushbell_intent", json!(INTENT))]),
        ("message.fcm", said(json!({"fcm": {"sound": "f"}, "android": {"sound": "a"}})), vec![(Fcm, "/android/notification/sound", json!("f"))]),
        ("message.fcm.sound", said(json!({"fcm": {"sound": "bell"}})), vec![(Fcm, "/android/notification/sound", json!("bell"))]),
        ("message.fcm.channel_id", said(json!({"fcm": {"channel_id": "news"}})), vec![(Fcm, "/android/notification/channel_id", json!("news"))]),
        ("message.fcm.click_action", said(json!({"fcm": {"click_action": "open_app"}, "android": {"click_action": "intent", "intent": INTENT}})), vec![(Fcm, "/android/notification/click_action", json!(null)), (Fcm, "/data/pushbell_intent", json!(null))]),
        ("message.fcm.intent", said(json!({"fcm": {"click_action": "intent", "intent": INTENT}})), vec![(Fcm, "/data/pushbell_intent", json!(INTENT)), (Fcm, "/android/notification/click_action", json!("com.test.OPEN"))]),

        ("message.huawei", said(json!({"huawei": {"sound": "s"}})), vec![(Typed, "/message/vendors/huawei", json!({"sound": "s"}))]),
        ("message.xiaomi", said(json!({"xiaomi": {"sound": "s"}})), vec![(Typed, "/message/vendors/xiaomi", json!({"sound": "s"}))]),
        ("message.oppo", said(json!({"oppo": {"sound": "s"}})), vec![(Typed, "/message/vendors/oppo", json!({"sound": "s"}))]),
        ("message.vivo", said(json!({"vivo": {"sound": "s"}})), vec![(Typed, "/message/vendors/vivo", json!({"sound": "s"}))]),
        ("message.honor", said(json!({"honor": {"sound": "s"}})), vec![(Typed, "/message/vendors/honor", json!({"sound": "s"}))]),
        ("message.flyme", said(json!({"flyme": {"sound": "s"}})), vec![(Typed, "/message/vendors/flyme", json!({"sound": "s"}))]),
    ];
    lines.extend(typed!("huawei": "sound" = "h", "channel_id" = "ch", "click_action" = "intent", "intent" = INTENT, "badge_class" = "com.test.MainActivity"));
    lines.extend(typed!("xiaomi": "sound" = "x", "channel_id" = "cx", "click_action" = "open_app", "intent" = INTENT));
    lines.extend(typed!("oppo": "sound" = "o", "channel_id" = "co", "click_action" = "intent", "intent" = INTENT));
    lines.extend(typed!("vivo": "sound" = "v", "channel_id" = "cv", "click_action" = "open_app", "intent" = INTENT, "push_mode" = 1, "classification" = 1));
    lines.extend(typed!("flyme": "sound" = "m", "channel_id" = "cm", "click_action" = "intent", "intent" = INTENT));
    // Ours: Lanying's page has no Honor.
    lines.extend(typed!("honor": "sound" = "n", "channel_id" = "cn", "click_action" = "open_app", "intent" = INTENT, "badge_class" = "com.test.MainActivity"));
    lines
}

/// The fields below a schema of the API's description.
fn fields(description: &Value, schema: &Value, name: &str, found: &mut BTreeSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        fields(description, description.pointer(reference.trim_start_matches('#')).unwrap(), name, found);
    }
    for part in ["allOf", "anyOf"].into_iter().filter_map(|all| schema[all].as_array()).flatten() {
        fields(description, part, name, found);
    }
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
        fields(description, schema, &name, found);
        found.insert(name);
    }
}

#[test]
fn the_table_has_every_field_that_is_described() {
    let text = std::fs::read_to_string(workspace().join("docs/openapi.yaml")).unwrap();
    let description: Value = serde_yaml_ng::from_str(&text).unwrap();
    let mut described = BTreeSet::new();
    fields(&description, &description["components"]["schemas"]["LanyingPush"], "", &mut described);
    let lines: BTreeSet<String> = table("").into_iter().map(|(field, ..)| field.to_owned()).collect();
    assert_eq!(lines, described);
    assert!(lines.len() >= 60);
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        match (value, target.as_object_mut()) {
            (Value::Null, Some(fields)) => _ = fields.remove(name),
            _ => merge(&mut target[name.as_str()], value),
        }
    }
}

fn request(patch: &Value) -> Value {
    let mut request = json!({"audience": {"user_id": ["aaa"]}, "message": {"title": "T", "body": "B"}});
    merge(&mut request, patch);
    request
}

/// A stack whose phones are pushed to row by row.
struct Rows(Bell);

impl Rows {
    /// A call of an admin's, as `user` where one is named.
    async fn says(&self, method: &str, path: &str, user: Option<&str>, body: &Value) -> Answer {
        let claims = json!({"app": "demo", "sub": "console", "role": "admin", "exp": 4_000_000_000_u64});
        let token = pushbell::auth::jwt::sign_hs256(b"demo-user-key-0123456789abcdef0123456789ab", &claims);
        let mut headers =
            vec![("app_id", "demo"), ("access-token", token.as_str()), ("content-type", "application/json")];
        headers.extend(user.map(|user| ("user_id", user)));
        let answer = self.0.caller.send(method, path, &headers, body.to_string()).await;
        assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(200)), "{body}: {}", answer.text);
        answer
    }

    /// The task of a push.
    async fn push(&self, patch: &Value) -> Value {
        self.says("POST", "/push/notify", None, &request(patch)).await.json()["data"]["task_id"].clone()
    }

    /// What a vendor received of a task.
    fn received(&self, channel: Channel, task: &Value) -> Vec<Value> {
        let phones = self.0.stack.phones.list(View::Raw, None).unwrap();
        let mut of_task: Vec<Value> = Vec::new();
        for push in phones.into_iter().filter(|phone| phone.channel == channel).flat_map(|phone| phone.notifications) {
            let mut payload = push.payload;
            let named = match channel {
                Channel::Fcm => payload["data"]["pushbell_task"] == task.to_string().as_str(),
                Channel::Sns => payload["pushbell_task"] == *task,
            };
            if named {
                if channel == Channel::Sns {
                    payload["collapse_id"] = json!(push.collapse_id);
                }
                of_task.push(payload);
            }
        }
        of_task
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_request_table_is_seen_where_it_belongs() {
    let rows = Rows(Bell::start().await);
    for (user, android, ios) in
        [("aaa", "fcm-aaa", "a1b2c3"), ("bbb", "fcm-bbb", ""), ("ccc", "fcm-ccc", "c1c2c3"), ("ddd", "fcm-ddd", "")]
    {
        rows.0.caller.register(user, "android", android).await;
        if !ios.is_empty() {
            rows.0.caller.register(user, "ios", ios).await;
        }
    }
    rows.says("POST", "/user/push/tag", Some("ddd"), &json!({"tags": ["vip"]})).await;
    rows.says("POST", "/user/push/alias", Some("ddd"), &json!({"alias": "dora"})).await;
    let devices = rows.says("GET", "/user/device/list", Some("ddd"), &json!({})).await.json();
    let table = table(devices["data"][0]["push_token"].as_str().unwrap());
    let mut tasks = Vec::new();
    for (_, patch, _) in &table {
        tasks.push(rows.push(patch).await);
    }
    // A request's name is its own: the same again is the same push.
    let named = table.iter().position(|(field, ..)| *field == "setting.request_id").unwrap();
    assert_eq!(rows.push(&table[named].1).await, tasks[named]);
    let everybody = rows.push(&json!({"audience": "all"})).await;
    rows.0.drained().await;
    assert_eq!((rows.received(Channel::Fcm, &everybody).len(), rows.received(Channel::Sns, &everybody).len()), (4, 2));
    let mut wrong = Vec::new();
    for ((field, patch, seen), task) in table.iter().zip(&tasks) {
        let body = request(patch).to_string();
        let push = Push::parse(Ok(body.as_bytes()), &AppId::parse("demo").unwrap(), Timestamp::now()).unwrap();
        let name = push.request.clone();
        let message =
            push.content.message(AppId::parse("demo").unwrap(), MessageId::parse("m").unwrap(), push.roads.clone());
        let typed = json!({"message": message, "request": name});
        for (place, pointer, expected) in seen {
            let mut documents = match place {
                Fcm => rows.received(Channel::Fcm, task),
                Sns => rows.received(Channel::Sns, task),
                Typed => vec![typed.clone()],
            };
            let document = documents.pop().unwrap_or_default();
            assert!(documents.is_empty(), "{field}: {place:?} received it more than once");
            let found = document.pointer(pointer).cloned().unwrap_or_default();
            if found != *expected {
                wrong.push(format!("{field}: {found} at {place:?} {pointer}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
