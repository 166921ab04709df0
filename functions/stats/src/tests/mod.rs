//! The function over HTTP events, against an embedded DynamoDB.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cloud;
mod rates;
mod task;

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_http::Body;
use lambda_http::http::HeaderMap;
use pushbell::auth::jwt;
use pushbell::delivery::Channel;
use pushbell::env::Table;
use pushbell::id::{AppId, ClientId, DeviceKey, DeviceNumber, TaskId, Token};
use pushbell::recipient::Device;
use pushbell::registry::{PushToken, Registry};
use pushbell::task::{Attempt, Extent, Fate, Head, Outcome, Put, ResultRow, Results, Tally, TargetResult, TaskKey};
use pushbell::time::Timestamp;
use serde_json::{Value, json};

use cloud::Cloud;

const USER_KEY: &str = "demo-user-key-0123456789abcdef0123456789ab";
/// The task of the samples, made a second and a half before them.
const TASK: u64 = 258_696_806_400_000;
const DETAIL: &str = "/push/task/detail";
const ACK: &str = "/push/ack";

fn app(name: &str) -> AppId {
    AppId::parse(name).unwrap()
}

fn client(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}

fn number(n: u64) -> DeviceKey {
    DeviceKey::numbered(DeviceNumber::from_number(n).unwrap())
}

fn token(role: &str, user: &str) -> String {
    let claims = json!({"app": "demo", "sub": user, "role": role, "exp": 4_000_000_000_u64});
    jwt::sign_hs256(USER_KEY.as_bytes(), &claims)
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// The envelope's code and message.
    fn told(&self) -> (u64, &str) {
        assert_eq!(self.status, 200);
        (self.body["code"].as_u64().unwrap(), self.body["message"].as_str().unwrap_or_default())
    }

    /// The sums of the first task, of these names.
    fn sums<const N: usize>(&self, names: [&str; N]) -> [u64; N] {
        names.map(|name| self.body["data"][0][name].as_u64().unwrap_or_else(|| panic!("{name}: {}", self.body)))
    }
}

impl Cloud {
    async fn answer(&self, event: &str) -> Answer {
        let response = crate::handle(&self.state, lambda_http::request::from_str(event).unwrap()).await;
        if response.status() == 503 {
            assert!(response.headers().contains_key("retry-after"));
        }
        let Body::Text(text) = response.body() else { unreachable!("a JSON body is a text") };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: serde_json::from_str(text).unwrap() }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers: serde_json::Map<String, Value> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let route_key = format!("ANY {path}");
        let event = json!({
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7"},
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": route_key,
                "stage": "$default",
                "time": "01/Jan/2026:00:00:01 +0000",
                "timeEpoch": 1_767_225_601_500_u64,
            },
            "body": body.to_string(),
            "isBase64Encoded": false,
        });
        self.answer(&event.to_string()).await
    }

    async fn detail(&self, list: Value) -> Answer {
        let token = token("admin", "console");
        self.send("POST", DETAIL, &[("app_id", "demo"), ("access-token", &token)], &json!({"list": list})).await
    }

    async fn ack(&self, user: &str, body: Value) -> Answer {
        let token = token("user", user);
        self.send("POST", ACK, &[("app_id", "demo"), ("access-token", &token)], &body).await
    }

    /// A task for u-310 and u-311, under a head.
    async fn task(&self) {
        let made_at = TaskId::from_number(TASK).unwrap().made_at();
        let head = Head {
            key: key(),
            app: app("demo"),
            created_at: made_at,
            due: made_at,
            online_only: false,
            extent: Extent::Chunks(vec![client("u-310")]),
            cancelled_at: None,
            queued: false,
        };
        Results::new(&self.env).unwrap().put_head(&head).await.unwrap();
    }

    async fn delivered(&self) {
        self.put(&row()).await;
    }

    async fn put(&self, row: &ResultRow) {
        assert!(matches!(Results::new(&self.env).unwrap().put(row).await.unwrap(), Put::Stored));
    }

    /// A claim of a message for three clients, as IMKIT's callback leaves it.
    async fn claimed(&self, message: &str) {
        self.claimed_until(message, 1_767_225_600 + 7 * 86_400).await;
    }

    async fn claimed_until(&self, message: &str, ttl: u64) {
        let number = |n: u64| AttributeValue::N(n.to_string());
        pushbell::aws::dynamodb(&self.env)
            .put_item()
            .table_name(self.env.table(Table::Tasks).unwrap())
            .item("pk", AttributeValue::S(format!("c#demo#imkit#{message}")))
            .item("sk", AttributeValue::S("digest".to_owned()))
            .item("task", number(TASK))
            .item("at", number(1_767_225_600_000))
            .item("of", number(3))
            .item("ttl", number(ttl))
            .send()
            .await
            .unwrap();
    }

    async fn why(&self, client: &str, message: &str) -> Answer {
        let event = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/stats/why-notice.json"));
        let query = format!("client={client}&message={message}");
        self.answer(&event.unwrap().replace("client=u-310&message=258696806400000", &query)).await
    }

    async fn register(&self, user: &str, n: u64) {
        let device = Device {
            key: number(n),
            channel: Channel::Fcm,
            token: Token::parse(format!("{user}-{n}")).unwrap(),
            endpoint: None,
            sandbox: false,
            registered_at: Timestamp::from_millis(1_767_225_000_000),
            framework: None,
            locale: None,
        };
        Registry::new(&self.env).unwrap().register(&app("demo"), &client(user), device).await.unwrap();
    }
}

/// The task's row: u-310's device 4711 had it, u-311 has none.
fn row() -> ResultRow {
    ResultRow {
        key: key(),
        app: app("demo"),
        seq: 0,
        attempt: Attempt::FIRST,
        at: Timestamp::from_millis(1_767_225_600_900),
        tally: Tally::default(),
        results: vec![
            TargetResult {
                client: client("u-310"),
                fates: vec![Fate::of_device(number(4711), Some(Channel::Fcm), Outcome::Delivered)],
                recount: None,
            },
            TargetResult { client: client("u-311"), fates: vec![Fate::of_recipient(Outcome::NoDevice)], recount: None },
        ],
        leftovers: None,
        given_up: Vec::new(),
        taken_back: std::collections::BTreeMap::new(),
        missing: std::collections::BTreeMap::new(),
    }
}

fn key() -> TaskKey {
    TaskKey { task: TaskId::from_number(TASK).unwrap(), nonce: "abcdefgh".to_owned() }
}

#[tokio::test]
async fn every_sample_is_answered_as_it_should_be() {
    let cloud = Cloud::new().await;
    cloud.task().await;
    cloud.register("u-310", 4711).await;
    cloud.delivered().await;
    cloud.claimed("5dd51a4f21841443cfd3090d").await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/stats");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut names = Vec::new();
    for file in files {
        let answer = cloud.answer(&std::fs::read_to_string(&file).unwrap()).await;
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        match name.as_str() {
            "kinvey-task" | "kinvey-task-cancel" => {
                assert_eq!((answer.status, &answer.body["task_id"]), (200, &json!(TASK)));
            }
            "imkit-task" | "imkit-task-cancel" => {
                assert_eq!((&answer.body["RC"], &answer.body["result"]["task_id"]), (&json!(0), &json!(TASK)));
            }
            _ => assert_eq!(answer.told(), (200, ""), "{name}: {}", answer.body),
        }
        names.push(name);
    }
    let known = [
        "imkit-ack-clicked",
        "imkit-task-cancel",
        "imkit-task",
        "kinvey-task-cancel",
        "kinvey-task",
        "lanying-ack-as-user",
        "lanying-ack-received",
        "lanying-task-detail",
        "why-callback",
        "why-notice",
    ];
    assert_eq!(names, known);
    let told = cloud.detail(json!([TASK])).await;
    assert_eq!(told.sums(["fcm_target", "fcm_sent", "fcm_received", "fcm_click"]), [1, 1, 1, 1]);
}

#[tokio::test]
async fn a_task_is_told_in_lanying_s_words_and_ours_and_an_unknown_one_in_zeros() {
    let cloud = Cloud::new().await;
    cloud.task().await;
    let queued = cloud.detail(json!([TASK])).await;
    assert_eq!(queued.body["data"][0]["state"], "queued");
    cloud.delivered().await;
    let told = cloud.detail(json!([7, TASK, -1, 0, u64::MAX, TASK.to_string()])).await;
    let data = told.body["data"].as_array().unwrap();
    let ids: Vec<_> = data.iter().map(|task| task["task_id"].clone()).collect();
    assert_eq!(json!(ids), json!([7, TASK, -1, 0, u64::MAX, TASK]));
    assert_eq!(data[1], data[5]);
    let task = &data[1];
    assert_eq!((&task["found"], &task["state"], &task["target"]), (&json!(true), &json!("done"), &json!(2)));
    assert_eq!((&task["created_at"], &task["done_at"]), (&json!(1_767_225_600_000_u64), &json!(1_767_225_600_900_u64)));
    assert_eq!((&task["unknown_target"], &task["unknown_sent"]), (&json!(1), &json!(0)));
    assert_eq!((&task["outcomes"]["delivered"], &task["outcomes"]["no_device"]), (&json!(1), &json!(1)));
    for unknown in [0, 2, 3, 4] {
        let told = data[unknown].as_object().unwrap();
        assert_eq!((&told["found"], &told["state"]), (&json!(false), &Value::Null));
        for (name, value) in told.iter().filter(|(name, _)| name.contains("_target") || name.contains("_click")) {
            assert_eq!(value, 0, "{name}");
        }
        assert_eq!(told.keys().collect::<Vec<_>>(), task.as_object().unwrap().keys().collect::<Vec<_>>());
    }
    let sum: u64 = task["outcomes"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(task["target"], sum);
}

#[tokio::test]
async fn a_push_is_told_by_the_message_s_id_by_the_task_s_number_and_by_its_name() {
    let cloud = Cloud::new().await;
    cloud.task().await;
    let asked = cloud.why("u-310", &TASK.to_string()).await;
    assert_eq!((asked.told(), &asked.body["data"]["tasks"][0]["state"]), ((200, ""), &json!("waiting")));
    cloud.delivered().await;
    for name in [TASK.to_string(), format!("{TASK}-abcdefgh")] {
        let asked = cloud.why("u-310", &name).await;
        assert_eq!(asked.told(), (200, ""));
        let task = &asked.body["data"]["tasks"][0];
        assert_eq!((&task["state"], &task["kind"]), (&json!("done"), &json!("notice")), "{task}");
        assert_eq!((&task["devices"][0]["outcome"], &task["devices"][0]["at"]), (&json!("delivered"), &Value::Null));
        assert_eq!(task["counted"], json!({"is": false, "why": "not a counting message"}));
    }
    assert_eq!(cloud.why("u-311", &TASK.to_string()).await.body["data"]["tasks"][0]["outcome"], "no_device");
    assert_eq!(cloud.why("u-309", &TASK.to_string()).await.told().0, 10_002, "before the list, and unknown");
    assert_eq!(cloud.why("u-310", &format!("{TASK}-zzzzzzzz")).await.told().0, 10_002);
    assert_eq!(cloud.why("u-310", "5dd51a4f21841443cfd3090d").await.told().0, 10_002);
    cloud.claimed("5dd51a4f21841443cfd3090d").await;
    let asked = cloud.why("u-310", "5dd51a4f21841443cfd3090d").await;
    let task = &asked.body["data"]["tasks"][0];
    assert_eq!(
        (&task["kind"], &task["recipients"], &task["state"]),
        (&json!("callback"), &json!(3), &json!("waiting"))
    );
    assert_eq!(task["counted"]["is"], Value::Null);
    // DynamoDB deletes what has expired within days.
    cloud.claimed_until("old", 1_767_225_600).await;
    assert_eq!(cloud.why("u-310", "old").await.told().0, 10_002);
}

#[tokio::test]
async fn a_list_that_cannot_be_is_refused_by_its_entry() {
    let cloud = Cloud::new().await;
    for (list, rule) in [
        (json!(null), "list is missing, and so is push_ids"),
        (json!(7), "list is not a list"),
        (json!([]), "list is empty"),
        (json!((0..101).collect::<Vec<_>>()), "list has more than 100 entries"),
        (json!([1, "2", "x"]), "entry 2 of list is not a whole number"),
        (json!([1.5]), "entry 0 of list is not a whole number"),
    ] {
        assert_eq!(cloud.detail(list).await.told(), (10_002, rule));
    }
}

#[tokio::test]
async fn tasks_are_told_of_to_admins_and_to_their_own_app() {
    let cloud = Cloud::new().await;
    cloud.task().await;
    let list = json!({"list": [TASK]});
    let asks = async |headers: &[(&str, &str)]| cloud.send("POST", DETAIL, headers, &list).await.body["code"].clone();
    let (user, admin) = (token("user", "u-310"), token("admin", "console"));
    assert_eq!(asks(&[("app_id", "demo"), ("access-token", &user)]).await, 10_010);
    assert_eq!(asks(&[("app_id", "demo")]).await, 10_003);
    assert_eq!(asks(&[("app_id", "demo"), ("access-token", "x")]).await, 10_008);
    assert_eq!(asks(&[("app_id", "other"), ("access-token", &admin)]).await, 40_000);
    assert_eq!(asks(&[("access-token", &admin)]).await, 10_002);
    assert_eq!(cloud.send("GET", DETAIL, &[], &list).await.status, 405);
    assert_eq!(cloud.send("POST", "/push/task", &[], &list).await.status, 404);
}

#[tokio::test]
async fn a_receipt_counts_once_before_and_after_the_task_s_row_and_for_its_own_devices() {
    const NO_TARGET: (u64, &str) = (10_002, "the task was not for this device");
    let cloud = Cloud::new().await;
    cloud.register("u-310", 4711).await;
    cloud.register("u-310", 4712).await;
    let said = |stage: &str, device: u64| json!({"task_id": TASK, "stage": stage, "device_sn": device});
    let no_task = "task_id is no task of this app whose receipts are counted";
    assert_eq!(cloud.ack("u-310", said("received", 4711)).await.told(), (10_002, no_task));
    cloud.task().await;
    let unnamed = json!({"task_id": TASK, "stage": "received"});
    let several = "the user has several devices: push_token or device_sn says which one reports";
    assert_eq!(cloud.ack("u-310", unnamed.clone()).await.told(), (10_002, several));
    assert_eq!(cloud.ack("u-310", said("received", 4799)).await.told(), NO_TARGET, "none of theirs");
    assert_eq!(cloud.ack("u-000", said("received", 4711)).await.told(), NO_TARGET, "before the list");
    for device in [4711, 4711, 4712] {
        let answer = cloud.ack("u-310", said("received", device)).await;
        assert_eq!((answer.told(), &answer.body["data"]), ((200, ""), &json!(true)));
    }
    cloud.delivered().await;
    let counted = async || cloud.detail(json!([TASK])).await.sums(["fcm_received", "fcm_click"]);
    assert_eq!(counted().await, [1, 0], "4712 was no target");
    assert_eq!(cloud.ack("u-310", said("received", 4712)).await.told(), NO_TARGET);
    let name = PushToken { client: client("u-310"), device: number(4711) }.name(&app("demo"));
    for _ in 0..2 {
        let named = json!({"task_id": TASK, "stage": "clicked", "push_token": name});
        assert_eq!(cloud.ack("u-310", named.clone()).await.told(), (200, ""));
        assert_eq!(cloud.ack("u-311", named).await.told(), (10_002, "push_token is not one of this user's"));
    }
    assert_eq!(counted().await, [1, 1]);
    // A device of another app's user, by IMKIT's credentials.
    let own = token("user", "u-311");
    let imkit = cloud.send("POST", ACK, &[("im-authorization", &own)], &unnamed).await;
    assert_eq!(imkit.told(), NO_TARGET);
    let server = cloud.send("POST", ACK, &[("im-api-key", "demo.demo-api-key")], &unnamed).await;
    assert_eq!(server.told().0, 10_010);
    let wrong = cloud.send("POST", ACK, &[("im-authorization", "x")], &unnamed).await;
    assert_eq!(wrong.told().0, 10_008);
}

#[tokio::test]
async fn tables_that_do_not_answer_are_told_as_trouble() {
    let cloud = Cloud::without_tables().await;
    for answer in
        [cloud.detail(json!([TASK])).await, cloud.ack("u-310", json!({"task_id": TASK, "stage": "received"})).await]
    {
        assert_eq!((answer.status, &answer.body["code"]), (503, &json!(503)));
    }
}

#[tokio::test]
async fn what_is_not_summed_up_in_time_is_to_be_asked_for_again() {
    let mut cloud = Cloud::new().await;
    cloud.task().await;
    cloud.state.limit = std::time::Duration::ZERO;
    let answer = cloud.detail(json!([TASK])).await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!(503)));
}

#[tokio::test]
async fn tables_that_hang_are_told_before_api_gateway_answers_in_our_place() {
    let mut cloud = Cloud::with_hanging_tables().await;
    cloud.state.limit = std::time::Duration::from_millis(100);
    let report = json!({"task_id": TASK, "stage": "received"});
    let both = async { [cloud.detail(json!([TASK])).await, cloud.ack("u-310", report).await] };
    // Long before the SDK gives a table up.
    let answers = tokio::time::timeout(std::time::Duration::from_secs(3), both).await.unwrap();
    for answer in answers {
        assert_eq!((answer.status, &answer.body["code"]), (503, &json!(503)));
    }
}
