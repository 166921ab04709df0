//! Who there is, and what became of their phones.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, TryStreamExt as _};
use pushbell::auth::jwt;
use pushbell_local::stack::Stack;
use serde_json::{Value, json};

use crate::Error;
use crate::faults::caller::{Caller, MASTER};

/// Calls in flight.
const AT_ONCE: usize = 8;
/// The demo app's key of user tokens.
const KEY: &[u8] = b"demo-user-key-0123456789abcdef0123456789ab";
/// Devices of ten clients, one after the other.
const DEVICES: [usize; 10] = [1, 2, 1, 1, 2, 1, 5, 1, 2, 1];

/// A phone.
#[derive(Debug, Clone)]
pub(super) struct Phone {
    pub(super) client: String,
    pub(super) token: String,
    pub(super) platform: &'static str,
}

/// People and their phones, in the demo app.
pub(super) struct Crowd {
    pub(super) caller: Caller,
    pub(super) phones: Vec<Phone>,
    /// Tokens are never used twice.
    made: usize,
}

/// What one notice did, seen from the phones.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Tokens, and how often each shows the notice.
    pub(super) shown: BTreeMap<String, usize>,
    /// How often vendors were sent it.
    pub(super) sent: usize,
}

impl Crowd {
    pub(super) fn of(stack: &Stack) -> Self {
        Self { caller: Caller::new(stack.url()), phones: Vec::new(), made: 0 }
    }

    /// A phone that is not registered yet.
    pub(super) fn phone(&mut self, client: String) -> Phone {
        self.made += 1;
        let n = self.made;
        let (token, platform) =
            if n.is_multiple_of(2) { (format!("fcm-{n:07}"), "android") } else { (format!("{n:064x}"), "ios") };
        Phone { client, token, platform }
    }

    /// Registers about `devices` phones of clients with one, two and five.
    pub(super) async fn settle(&mut self, devices: usize) -> Result<(), Error> {
        let mut phones = Vec::with_capacity(devices);
        let mut client = 0;
        while phones.len() < devices {
            for _ in 0..DEVICES[client % DEVICES.len()].min(devices - phones.len()) {
                phones.push(self.phone((100_000 + client).to_string()));
            }
            client += 1;
        }
        stream::iter(phones.iter().map(Ok::<_, Error>))
            .try_for_each_concurrent(AT_ONCE, |phone| self.register(phone))
            .await?;
        self.phones = phones;
        Ok(())
    }

    pub(super) async fn register(&self, phone: &Phone) -> Result<(), Error> {
        self.device("/push/demo/register-device", phone).await
    }

    pub(super) async fn unregister(&self, phone: &Phone) -> Result<(), Error> {
        self.device("/push/demo/unregister-device", phone).await
    }

    async fn device(&self, path: &str, phone: &Phone) -> Result<(), Error> {
        let body = json!({"platform": phone.platform, "deviceId": phone.token, "userId": phone.client});
        self.caller.post(path, &[MASTER], &body).await.map(drop)
    }

    /// Clients, in the order of their phones.
    pub(super) fn clients(&self) -> Vec<&str> {
        let mut clients: Vec<&str> = self.phones.iter().map(|phone| phone.client.as_str()).collect();
        clients.dedup();
        clients
    }

    /// Puts a tag on clients until these have `devices` phones. How many they have.
    pub(super) async fn tag(&self, tag: &str, devices: usize) -> Result<BTreeSet<String>, Error> {
        let mut clients = BTreeSet::new();
        for phone in self.phones.iter().take(devices) {
            clients.insert(phone.client.clone());
        }
        let body = json!({"tags": [tag]});
        stream::iter(clients.iter().map(Ok::<_, Error>))
            .try_for_each_concurrent(AT_ONCE, |client| {
                let body = &body;
                async move { self.call("/user/push/tag", Some(client), body).await.map(drop) }
            })
            .await?;
        Ok(clients)
    }

    /// A call with an admin's token, and the data of its answer.
    pub(super) async fn call(&self, path: &str, user: Option<&str>, body: &Value) -> Result<Value, Error> {
        // The services' clock is let run ahead by hours.
        let claims = json!({"app": "demo", "sub": "bench", "role": "admin", "exp": 4_000_000_000_u64});
        let token = jwt::sign_hs256(KEY, &claims);
        let mut headers = vec![("app_id", "demo"), ("access-token", token.as_str())];
        headers.extend(user.map(|user| ("user_id", user)));
        let answer = self.caller.post(path, &headers, body).await?;
        if answer["code"] != 200 {
            return Err(format!("{path}: {answer}").into());
        }
        Ok(answer["data"].clone())
    }

    /// Notifies an audience. The task's number.
    pub(super) async fn notify(&self, audience: Value, request: &str) -> Result<u64, Error> {
        let body = json!({
            "audience": audience, "setting": {"request_id": request},
            "message": {"type": "text", "title": "Night shift", "body": "gate 4 is open, please come over with both keys"},
        });
        let data = self.call("/push/notify", None, &body).await?;
        data["task_id"].as_u64().ok_or_else(|| "an answer without a task".into())
    }

    /// The counters of a task.
    pub(super) async fn detail(&self, task: u64) -> Result<Value, Error> {
        let data = self.call("/push/task/detail", None, &json!({"list": [task]})).await?;
        data.get(0).cloned().ok_or_else(|| "an answer without the task".into())
    }
}

impl Seen {
    /// What the phones have of `task`.
    pub(super) fn of(stack: &Stack, task: u64) -> Result<Self, Error> {
        let mut seen = Self::default();
        let name = format!("{task}-");
        for push in stack.phones.log()?.into_iter().filter(|push| push.id.starts_with(&name)) {
            seen.sent += 1;
            let shown = seen.shown.entry(push.token.to_ascii_lowercase()).or_default();
            *shown += usize::from(push.received && !push.silent);
        }
        Ok(seen)
    }

    /// Of `phones`, those that do not show it exactly once.
    pub(super) fn not_once<'a>(&self, phones: impl IntoIterator<Item = &'a Phone>) -> usize {
        phones.into_iter().filter(|phone| self.shown.get(&phone.token) != Some(&1)).count()
    }

    /// Phones that have it, besides `phones`.
    pub(super) fn others<'a>(&self, phones: impl IntoIterator<Item = &'a Phone>) -> usize {
        let there: BTreeSet<&str> = phones.into_iter().map(|phone| phone.token.as_str()).collect();
        self.shown.keys().filter(|token| !there.contains(token.as_str())).count()
    }
}

/// A counter of a task's detail.
pub(super) fn counter(detail: &Value, name: &str) -> usize {
    detail[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX)
}

/// By how much a task's sums differ from what they are to be: the target is that of all channels and all outcomes, and so many devices as
/// have it were delivered to. At least one when it is not done.
pub(super) fn off_by(detail: &Value, seen: &Seen) -> usize {
    const CHANNELS: [&str; 10] =
        ["apns", "fcm", "flyme", "honor", "huawei", "mxpush", "oppo", "unknown", "vivo", "xiaomi"];
    let target = counter(detail, "target");
    let channels: usize = CHANNELS.iter().map(|channel| counter(detail, &format!("{channel}_target"))).sum();
    let outcomes: u64 = detail["outcomes"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
    let outcomes = usize::try_from(outcomes).unwrap_or(usize::MAX);
    let delivered = counter(&detail["outcomes"], "delivered");
    let by = target.abs_diff(channels) + target.abs_diff(outcomes) + delivered.abs_diff(seen.shown.len());
    if detail["state"] == "done" { by } else { by.max(1) }
}
