//! What to paste where, once an app is there.

use pushbell::id::AppId;
use serde_json::{Value, json};

use super::secrets::Kind;

/// What an app's callers need.
pub(super) struct Paste<'a> {
    /// The API's base address.
    pub(super) url: &'a str,
    /// The app.
    pub(super) app: &'a AppId,
    /// Its secrets, of each kind that is to be shown.
    pub(super) secrets: &'a [(Kind, String)],
    /// Its number at Tencent, where it has one.
    pub(super) tencent: Option<u64>,
    /// An admin's token for Lanying's calls, and until when it is valid.
    pub(super) admin_token: Option<(&'a str, &'a str)>,
}

impl Paste<'_> {
    fn secret(&self, wanted: Kind) -> Option<&str> {
        self.secrets.iter().find(|(kind, _)| *kind == wanted).map(|(_, secret)| secret.as_str())
    }

    fn hook(&self, of: &str) -> Option<String> {
        Some(format!("{}/hooks/{}/{}/{of}", self.url, self.app, self.secret(Kind::Hook)?))
    }

    /// In blocks, each with where it belongs. Of what has no secret to show nothing is told.
    pub(super) fn text(&self) -> String {
        let (url, app) = (self.url, self.app);
        let mut blocks = Vec::new();
        if let (Some(push), Some(badge)) = (self.hook("imkit"), self.hook("badges")) {
            blocks.push(format!(
                "IMKIT: in the platform admin set these two, and remove PUSH\n\n    PUSH_GENERIC={push}\n    BADGE={badge}"
            ));
        }
        if let Some(openim) = self.hook("openim") {
            blocks.push(format!(
                "OpenIM 3.7 and later: in config/webhooks.yml (older releases: docs/openim.md)\n\n    url: {openim}\n    beforeOfflinePush:\n      \
                 enable: true\n      timeout: 5\n      failedContinue: true"
            ));
        }
        let token = self.secret(Kind::Tencent).map(|token| format!("    Token: {token}"));
        if self.tencent.is_some() || token.is_some() {
            let hook = self.hook("tencent").map(|hook| format!("    URL: {hook}"));
            let lines: Vec<String> = hook.into_iter().chain(token).collect();
            let number = self.tencent.map(|number| format!(", SdkAppid {number}")).unwrap_or_default();
            if !lines.is_empty() {
                blocks.push(format!(
                    "Tencent Chat{number}: in the console's webhook configuration; enable Push.OfflinePush and Push.AllMemberPush, switch \
                     authentication on\n\n{}",
                    lines.join("\n")
                ));
            }
        }
        let mut keys = Vec::new();
        for (kind, label) in [(Kind::Master, "master secret"), (Kind::AppSecret, "app secret")] {
            keys.extend(self.secret(kind).map(|secret| format!("    {label}: {secret}")));
        }
        if !keys.is_empty() {
            blocks.push(format!(
                "Kinvey's SDKs and calls\n\n    base URL: {url}\n    app key: {app}\n{}",
                keys.join("\n")
            ));
        }
        if let Some(key) = self.secret(Kind::UserKey) {
            let mut lines = vec![
                format!("    base URL: {url}"),
                format!("    app_id: {app}"),
                format!("    user key (HS256): {key}"),
            ];
            if let Some((token, until)) = self.admin_token {
                lines.push(format!("    access-token of an admin, until {until}: {token}"));
            }
            blocks.push(format!(
                "Lanying's SDKs and calls, and everything with user tokens: your back end signs them with the user key \
                 (docs/lanying.md)\n\n{}",
                lines.join("\n")
            ));
        }
        if let Some(key) = self.secret(Kind::ApiKey) {
            blocks.push(format!(
                "Your own server, and IMKIT's calls (phones: /me/subscribe, what became of a push: /push/why)\n\n    base URL: {url}\n    \
                 IM-API-KEY: {key}"
            ));
        }
        if let Some(key) = self.secret(Kind::Results) {
            blocks.push(format!(
                "The address that outcomes are posted to: verify them with this key (docs/results.md)\n\n    {key}"
            ));
        }
        blocks.join("\n\n")
    }

    /// The same for machines.
    pub(super) fn json(&self) -> Value {
        let mut secrets = json!({});
        for (kind, secret) in self.secrets {
            secrets[kind.place().1] = json!(secret);
        }
        json!({
            "app": self.app.as_str(),
            "url": self.url,
            "imkit": { "PUSH_GENERIC": self.hook("imkit"), "BADGE": self.hook("badges") },
            "openim": { "url": self.hook("openim") },
            "tencent": { "url": self.hook("tencent"), "sdk_app_id": self.tencent },
            "secrets": secrets,
        })
    }
}
