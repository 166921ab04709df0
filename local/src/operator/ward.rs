//! A stack with one app that is set up well, for the tests of the operator's commands.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use clap::Parser as _;
use http::Request;
use http_body_util::Full;
use pushbell::id::AppId;
use serde_json::{Value, json};

use super::http::Http;
use super::{Deployment, Where, app};
use crate::cli::{Cli, Command};
use crate::stack::{Options, Stack};

/// The team that the fake Apple knows.
pub(crate) const TEAM: &str = "TEAM123456";
/// The bundle id of its app.
pub(crate) const TOPIC: &str = "com.example.acme";

pub(crate) struct Ward {
    pub(crate) stack: Stack,
    pub(crate) files: tempfile::TempDir,
    http: Http,
    /// At the fake Apple.
    pub(crate) key_id: String,
    /// At the fake Google.
    pub(crate) account: Value,
}

impl Ward {
    /// A stack without apps, and what Google and Apple give to a team: `service-account.json` and `AuthKey.p8` among its files.
    pub(crate) async fn empty() -> Self {
        let files = tempfile::tempdir().unwrap();
        let apps = files.path().join("apps");
        std::fs::create_dir(&apps).unwrap();
        let stack = Stack::start(Options { apps, ..Options::test() }).await.unwrap();
        let mut ward = Self { stack, files, http: Http::default(), key_id: String::new(), account: Value::Null };
        ward.account = ward.control("POST", "vendors/fcm/accounts", &json!({ "project_id": "acme-chat" })).await;
        let key = ward.control("POST", "vendors/apns/keys", &json!({ "team_id": TEAM, "topics": [TOPIC] })).await;
        ward.key_id = key["key_id"].as_str().unwrap().to_owned();
        ward.write("service-account.json", &ward.account.to_string());
        ward.write("AuthKey.p8", key["key"].as_str().unwrap());
        ward
    }

    /// With the app `acme`, for both vendors.
    pub(crate) async fn with_acme() -> Self {
        let ward = Self::empty().await;
        ward.add(&["--tencent", "1400000077", "--results", "https://api.example.net/outcomes"]).await.unwrap();
        ward
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.files.path().join(name).to_str().unwrap().to_owned()
    }

    /// A call of the stack's own, `/_local/<path>`; what it answers, as JSON.
    pub(crate) async fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/_local/{path}", self.stack.url()))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let answer = self.http.send(request).await.unwrap();
        assert!(answer.status.is_success(), "{path}: {}", answer.status);
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    pub(crate) async fn deployment(&self) -> Deployment {
        let place = Where { url: Some(self.stack.url()), ..Where::default() };
        Deployment::find(&place).await.unwrap()
    }

    /// `app <arguments>`, as it is typed: what is told.
    pub(crate) async fn app(&self, arguments: &[&str]) -> Result<String, app::AppCommandError> {
        self.told(arguments).await.map(|told| told.text)
    }

    /// As [`Self::app`], and whether it is all.
    pub(crate) async fn told(&self, arguments: &[&str]) -> Result<app::Told, app::AppCommandError> {
        let url = self.stack.url();
        let line = [&["pushbell", "app"], arguments, &["--url", url.as_str()]].concat();
        let Some(Command::App(asked)) = Cli::parse_from(line).command else { panic!("the command `app`") };
        app::run(&self.deployment().await, &asked.command).await
    }

    /// `app add acme` with both vendors and these options more.
    pub(crate) async fn add(&self, more: &[&str]) -> Result<String, app::AppCommandError> {
        let (account, key) = (self.path("service-account.json"), self.path("AuthKey.p8"));
        let mut line = vec!["add", "acme", "--fcm", &account, "--apns", &key];
        line.extend(["--key-id", &self.key_id, "--team", TEAM, "--topic", TOPIC]);
        line.extend(more);
        self.app(&line).await
    }

    /// Changes one of `acme`'s documents as an operator's hand might: whatever comes of it is written.
    pub(crate) async fn edit(&self, document: &str, change: impl FnOnce(&mut Value)) {
        let path = self.files.path().join("apps/acme").join(document).with_extension("json");
        let mut value = std::fs::read_to_string(&path).map_or(json!({}), |text| serde_json::from_str(&text).unwrap());
        change(&mut value);
        match document {
            "settings" => self.stack.put_settings("acme", &value).await.unwrap(),
            _ => std::fs::write(&path, value.to_string()).unwrap(),
        }
    }
}

pub(crate) fn acme() -> AppId {
    AppId::parse("acme").unwrap()
}

/// A place on this machine where nobody listens, and nobody else can, as long as the socket is held.
pub(crate) fn nobody() -> (tokio::net::TcpSocket, std::net::SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}
