//! The fake vendors on a listener of their own, over HTTP/1.1 and HTTP/2: FCM, its OAuth endpoint, and APNs. What is done at their consoles
//! (accounts, keys) is done by calls of [`Vendors`] and [`Apple`].

mod apns;
mod fcm;
mod oauth;

pub use apns::{Apple, IssuedKey, NoKey};
pub use oauth::{DEMO_SERVICE_ACCOUNT, KeyError, ServiceAccount};

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::rustls::ServerConfig;

use crate::connections::{self, BodyError, Cut, Reply, Wire};
use crate::faults::{Call, Effect, Faults, Target};
use crate::phones::Phones;
use oauth::OAuth;

/// As FCM's servers say in their HTTP/2 settings.
const STREAMS: u32 = 100;
/// Far over what FCM takes, so that its own error is seen.
const MAX_BODY: usize = 1024 * 1024;

/// The fake vendors; clones share them.
#[derive(Clone)]
pub struct Vendors(Arc<Inner>);

struct Inner {
    base_url: String,
    oauth: OAuth,
    apple: Apple,
    phones: Phones,
    faults: Faults,
    /// Microseconds.
    latency: AtomicU64,
    sent: AtomicU64,
    bytes: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
}

/// A send without an answer yet, until it is dropped.
struct InFlight<'a>(&'a Inner);

impl<'a> InFlight<'a> {
    fn begin(inner: &'a Inner) -> Self {
        let now = inner.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        inner.most_in_flight.fetch_max(now, Ordering::Relaxed);
        Self(inner)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Vendors {
    /// Vendors at this base URL (no slash at its end), that know these service accounts and signing keys, and send to these phones.
    /// The URL is the audience that an account's assertion must name, with `/token` behind it.
    pub fn new(base_url: &str, accounts: Vec<ServiceAccount>, apple: Apple, phones: Phones, faults: Faults) -> Self {
        Self(Arc::new(Inner {
            base_url: base_url.to_owned(),
            oauth: OAuth::new(format!("{base_url}/token"), accounts, phones.store().clone()),
            apple,
            phones,
            faults,
            latency: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            most_in_flight: AtomicU64::new(0),
        }))
    }

    /// How long a send is held before it is answered.
    pub fn set_latency(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.latency.store(micros, Ordering::Relaxed);
    }

    /// Makes a service account of this Google project, and gives its key file.
    pub fn add_account(&self, project_id: &str) -> Result<Value, KeyError> {
        self.0.oauth.add_account(project_id, &format!("{}/token", self.0.base_url))
    }

    /// Deletes a service account; false when there is none of the name.
    pub fn delete_account(&self, client_email: &str) -> bool {
        self.0.oauth.delete_account(client_email)
    }

    /// Deletes one key of a service account, which stays; false when there is none of the name.
    pub fn delete_key(&self, client_email: &str, private_key_id: &str) -> bool {
        self.0.oauth.delete_key(client_email, private_key_id)
    }

    /// The signing keys that APNs knows.
    pub fn apple(&self) -> &Apple {
        &self.0.apple
    }

    /// Makes every access token that was given out so far invalid.
    pub fn revoke_tokens(&self) {
        self.0.oauth.revoke();
    }

    /// How many access tokens were given out.
    pub fn tokens_issued(&self) -> u64 {
        self.0.oauth.issued()
    }

    /// How many send calls came in, whatever was answered.
    pub fn sends(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// The bytes of all bodies of send calls.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// The most sends without an answer at one time, since it was last asked for.
    pub fn take_most_in_flight(&self) -> u64 {
        self.0.most_in_flight.swap(0, Ordering::Relaxed)
    }

    /// Serves until `shutdown` resolves; over TLS when a configuration is given, whose ALPN list should name `h2`.
    pub async fn serve(
        self,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let wire = Wire { tls, streams: Some(STREAMS) };
        let handler = move |request| {
            let vendors = self.clone();
            async move { vendors.answer(request).await }
        };
        connections::serve(listener, wire, handler, shutdown).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        if let Some(token) = path.strip_prefix("/3/device/") {
            // Read to its end, so that the connection serves on. What it says is for a phone, and there is none.
            if let Err(BodyError::Broken) = connections::read_body(body, MAX_BODY).await {
                return Err(Cut);
            }
            let now = self.0.phones.store().stamp() / 1000;
            return Ok(self.0.apple.push(&parts.method, token, &parts.headers, now));
        }
        let project = path
            .strip_prefix("/v1/projects/")
            .and_then(|rest| rest.strip_suffix("/messages:send"))
            .filter(|project| !project.is_empty() && !project.contains('/'));
        if path != "/token" && project.is_none() {
            return Ok(fcm::error(StatusCode::NOT_FOUND, "NOT_FOUND", None, "Requested entity was not found."));
        }
        if parts.method != Method::POST {
            return Ok(fcm::error(StatusCode::METHOD_NOT_ALLOWED, "UNIMPLEMENTED", None, "The method is not allowed."));
        }
        let body = match connections::read_body(body, MAX_BODY).await {
            Ok(body) => body,
            Err(BodyError::TooLong) => {
                return Ok(fcm::error(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "INVALID_ARGUMENT",
                    None,
                    "The request is too large.",
                ));
            }
            Err(BodyError::Broken) => return Err(Cut),
        };
        match project {
            None => self.token(&body).await,
            Some(project) => {
                let bearer = parts
                    .headers
                    .get(http::header::AUTHORIZATION)
                    .and_then(|value| value.to_str().ok())
                    .and_then(|value| value.strip_prefix("Bearer "));
                self.send(project, bearer, &body).await
            }
        }
    }

    async fn token(&self, body: &[u8]) -> Reply {
        let call = Call { action: "token", body, ..Call::default() };
        let effect = self.0.faults.meet(Target::Oauth, call).await;
        match effect {
            Some(Effect::Cut) => Err(Cut),
            Some(Effect::LoseAnswer) => {
                self.0.oauth.exchange(body);
                Err(Cut)
            }
            Some(Effect::LoseAnswer500) => {
                self.0.oauth.exchange(body);
                Ok(oauth::error(StatusCode::INTERNAL_SERVER_ERROR, "internal_failure", ""))
            }
            Some(effect) => Ok(oauth::failed(&effect).unwrap_or_else(|| self.0.oauth.exchange(body))),
            None => Ok(self.0.oauth.exchange(body)),
        }
    }

    async fn send(&self, project: &str, bearer: Option<&str>, body: &[u8]) -> Reply {
        self.0.sent.fetch_add(1, Ordering::Relaxed);
        self.0.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        let _in_flight = InFlight::begin(&self.0);
        let latency = self.0.latency.load(Ordering::Relaxed);
        if latency > 0 {
            tokio::time::sleep(Duration::from_micros(latency)).await;
        }
        let effect = self.meet(body).await;
        let done = match &effect {
            Some(Effect::Cut) => return Err(Cut),
            Some(effect) => fcm::failed(effect),
            None => None,
        };
        let reply = match done {
            Some(reply) => reply,
            None => match self.0.oauth.check(bearer, project) {
                Ok(()) => fcm::send(&self.0.phones, project, body),
                Err(refused) => fcm::unauthorised(refused),
            },
        };
        match effect {
            Some(Effect::LoseAnswer) => Err(Cut),
            Some(Effect::LoseAnswer500) => Ok(fcm::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "INTERNAL",
                Some("INTERNAL"),
                "Internal error encountered.",
            )),
            Some(_) | None => Ok(reply),
        }
    }

    async fn meet(&self, body: &[u8]) -> Option<Effect> {
        if self.0.faults.is_empty() {
            return None;
        }
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let call =
            Call { action: "send", token: request["message"]["token"].as_str(), tables: &[], body, caller: None };
        self.0.faults.meet(Target::Fcm, call).await
    }
}

fn json_reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(body.to_string().into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    reply
}

fn with_retry_after(mut reply: Response<Full<Bytes>>, seconds: u64) -> Response<Full<Bytes>> {
    reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    reply
}
