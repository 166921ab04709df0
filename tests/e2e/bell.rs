//! A running stack, and a caller who talks to it over HTTP as the real servers do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pushbell::env::{Environment, Table};
use pushbell_local::aws::sqs::{Delayed, Outgoing};
use pushbell_local::faults::Rule;
use pushbell_local::phones::{Channel, Notification, View};
use pushbell_local::runtime_api::Output;
use pushbell_local::stack::{Options, Processes, Stack};
use serde_json::{Value, json};

/// A stack of one test, and a client of it.
pub struct Bell {
    pub stack: Stack,
    pub caller: Caller,
}

/// An HTTP client of a stack, in this process or another.
pub struct Caller {
    url: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON in {}: {:?}", self.status, self.text))
    }
}

/// `demo:demo-master`, as Kinvey's callers send it.
pub const MASTER: (&str, &str) = ("authorization", "Basic ZGVtbzpkZW1vLW1hc3Rlcg==");
/// The demo app's API key.
pub const API_KEY: (&str, &str) = ("im-api-key", "demo.demo-api-key");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
/// The demo app's IMKIT hook.
pub const HOOK: &str = "/hooks/demo/demo-secret/imkit";

impl Caller {
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), http: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.try_send(method, path, headers, body).await.expect("the stack answers")
    }

    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Option<Answer> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let response = self.http.request(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let text = String::from_utf8_lossy(&body.collect().await.ok()?.to_bytes()).into_owned();
        Some(Answer { status: parts.status.as_u16(), headers: parts.headers, text })
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
        self.send("POST", path, &headers, body.to_string()).await
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, "").await
    }

    /// IMKIT's chat server calls.
    pub async fn imkit(&self, body: &Value) -> Answer {
        self.post(HOOK, &[], body).await
    }

    /// A device of `user` as Kinvey's SDKs register it. The token is the device's id.
    pub async fn register(&self, user: &str, platform: &str, token: &str) {
        let body = json!({"platform": platform, "deviceId": token, "userId": user});
        let answer = self.post("/push/demo/register-device", &[MASTER], &body).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    }
}

impl Bell {
    pub async fn start() -> Self {
        Self::start_with(Options::test()).await
    }

    pub async fn start_with(options: Options) -> Self {
        let stack = Stack::start(options).await.unwrap_or_else(|error| panic!("the stack does not start: {error}"));
        let caller = Caller::new(stack.url());
        Self { stack, caller }
    }

    /// Everything that is due now was worked off; delayed work may be left.
    pub async fn settled(&self) {
        self.stack.idle(Delayed::Ignored).await.expect("the queues answer");
    }

    /// Everything was worked off, delayed work too: time is moved on for it until nothing is left.
    pub async fn drained(&self) {
        while self.stack.idle(Delayed::Ignored).await.expect("the queues answer") > 0 {
            self.stack.aws.queues.advance_delayed(Duration::from_secs(900)).expect("the queues answer");
        }
    }

    /// Asks again and again until it is so, and fails when it does not become so.
    pub async fn until(&self, mut is_so: impl FnMut() -> bool) {
        let mut clock = tokio::time::interval(Duration::from_millis(5));
        for _ in 0..12_000 {
            if is_so() {
                return;
            }
            clock.tick().await;
        }
        panic!("a minute has passed, and it is not so");
    }

    /// How many records the deliver function gave up.
    pub fn dead_letters(&self) -> u64 {
        self.stack.aws.queues.depth("DeliverDeadLetters").expect("a queue of the template").visible
    }

    /// Makes a rule for a fake service.
    pub fn fault(&self, rule: Rule) -> u64 {
        self.stack.aws.faults.add(rule).expect("a rule that the service has")
    }

    /// The environment of the functions, with an operator's rights.
    pub fn operator(&self) -> Environment {
        let variables = self.stack.variables("deliver").expect("a function of the template");
        let lookup = |name: &str| match name {
            "AWS_ACCESS_KEY_ID" => Some("operator".to_owned()),
            _ => variables.get(name).cloned(),
        };
        Environment::from_lookup(lookup).expect("a whole environment")
    }

    /// What became of the devices of a task, summed over its result rows; `pending` and zeros left out.
    pub async fn outcomes(&self, task: &Value) -> BTreeMap<String, i64> {
        let env = self.operator();
        let rows = pushbell::aws::dynamodb(&env)
            .query()
            .table_name(env.table(Table::Tasks).expect("a table of the template"))
            .key_condition_expression("pk = :task")
            .expression_attribute_values(":task", AttributeValue::S(format!("t#{task}")))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let rows = rows.collect::<Result<Vec<_>, _>>().await.expect("the table answers");
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for counters in rows.iter().filter_map(|row| row.get("n")) {
            for (outcome, n) in counters.as_m().expect("a map") {
                *sums.entry(outcome.clone()).or_default() += n.as_n().expect("a number").parse::<i64>().expect("whole");
            }
        }
        sums.retain(|outcome, n| outcome != "pending" && *n != 0);
        sums
    }

    /// Puts everything that is in the dead-letter queue of deliver back into its queue, as SQS's redrive does.
    pub async fn replay(&self) {
        let queues = &self.stack.aws.queues;
        loop {
            let letters = queues.receive("DeliverDeadLetters", 10, Duration::ZERO, None).await.expect("a queue");
            if letters.is_empty() {
                return;
            }
            for letter in letters {
                let back = Outgoing { body: letter.body, group: letter.group, ..Outgoing::default() };
                queues.send("DeliverQueue", &back).expect("a queue");
                queues.delete("DeliverDeadLetters", &letter.receipt).expect("a queue");
            }
        }
    }

    pub fn shown(&self, channel: Channel, token: &str) -> Vec<Notification> {
        self.stack.phones.notifications(channel, token, View::Received).expect("the phones answer")
    }

    pub fn android(&self, token: &str) -> Vec<Notification> {
        self.shown(Channel::Fcm, token)
    }

    pub fn iphone(&self, token: &str) -> Vec<Notification> {
        self.shown(Channel::Sns, token)
    }

    /// The number that the client's badge service shows.
    pub async fn badge(&self, client: &str) -> i64 {
        let answer = self.caller.get(&format!("/badges/{client}"), &[API_KEY]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = answer.json();
        body["result"]["total"].as_i64().or_else(|| body["total"].as_i64()).expect("a total")
    }
}

/// The page's example, to `clients`.
pub fn text_message(id: &str, clients: &[&str]) -> Value {
    json!({
        "_id": id,
        "message": "lala",
        "room": "demo-room",
        "roomName": "Demo Room",
        "sender": {
            "_id": "sss", "avatarUrl": "http://loremflickr.com/240/240/style?1574241882", "nickname": "SSS",
            "description": "description la la #1568192464957", "isRobot": false, "id": "sss",
            "lastLoginTimeMS": 1_568_192_470_942_u64
        },
        "messageType": "text",
        "appID": "SampleApp",
        "id": id,
        "messageTimeMS": 1_574_246_991_222_u64,
        "updatedAtMS": 1_574_246_991_223_u64,
        "createdAtMS": 1_574_246_991_223_u64,
        "pushToClients": clients
    })
}

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Functions as processes, so many of each. Whoever is told to end has more time for it than on Lambda: this machine may be slow.
pub fn processes(environments: usize, output: Output) -> Processes {
    Processes { binaries: binaries(), environments, shutdown: Duration::from_secs(10), output }
}

/// The binaries of the workspace, built when they are not yet: `cargo test` builds a package's binaries only for its own tests. With `--tests`,
/// as libraries have other features without: all of them would be built once more.
pub fn binaries() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BUILT
        .get_or_init(|| {
            let mut cargo = std::process::Command::new(env!("CARGO"));
            cargo.args(["build", "--workspace", "--bins", "--tests", "--locked", "--offline", "--quiet"]);
            // What cargo tells this test of its package: build scripts would run once more for it, here and at the next build outside.
            let is_of_the_test = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
            for (name, _) in std::env::vars_os() {
                if name.to_str().is_some_and(is_of_the_test) {
                    cargo.env_remove(name);
                }
            }
            let status = cargo.current_dir(workspace()).status().expect("cargo runs");
            assert!(status.success(), "the binaries do not build");
            let mut folder = std::env::current_exe().expect("this test has a path");
            folder.pop();
            if folder.ends_with("deps") {
                folder.pop();
            }
            folder
        })
        .clone()
}
