//! An app's own address: a server that verifies what it gets by a public Standard Webhooks library, and fails as it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

/// The demo app's key.
pub const KEY: &str = "whsec_ZGVtby1yZXN1bHRzLWtleS1uby1zZWNyZXQtaGVyZSE=";
pub const OTHER_KEY: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What the receiver does with a post.
#[derive(Debug, Clone)]
pub enum Mode {
    Take,
    Status(u16),
    /// 503 with so many seconds.
    RetryAfter(u64),
    Redirect(String),
    /// Takes it, and passes it on as it came.
    Forward(String),
    /// Takes it, and answers 500.
    LoseAnswer,
    Hang,
}

/// A post that came.
#[derive(Debug, Clone)]
pub struct Post {
    pub id: String,
    pub signatures: String,
    pub verified: bool,
    pub body: Value,
    pub took: bool,
}

impl Post {
    pub fn results(&self) -> &[Value] {
        self.body["data"]["results"].as_array().unwrap()
    }
}

struct Shared {
    mode: Mutex<Mode>,
    posts: Mutex<Vec<Post>>,
    connections: AtomicUsize,
    webhook: Webhook,
}

pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
    /// The port, while nobody listens there: so nobody else gets it.
    held: Option<TcpSocket>,
}

impl Receiver {
    pub async fn start(key: &str) -> Self {
        let shared = Arc::new(Shared {
            mode: Mutex::new(Mode::Take),
            posts: Mutex::default(),
            connections: AtomicUsize::new(0),
            webhook: Webhook::new(key).unwrap(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve(listener, Arc::clone(&shared));
        Self { address, shared, server, held: None }
    }

    /// Nobody listens any more.
    pub async fn stop(&mut self) {
        self.server.abort();
        // It has let go of the port once it has ended.
        let _ = (&mut self.server).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.held = Some(socket);
    }

    /// At the same place.
    pub async fn again(&mut self) {
        let socket = self.held.take().unwrap();
        self.server = serve(socket.listen(1024).unwrap(), Arc::clone(&self.shared));
    }

    pub fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    pub fn url(&self) -> String {
        format!("http://{}/outcomes", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn posts(&self) -> Vec<Post> {
        self.shared.posts.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The outcomes that it took, by their ids; the same id is the same outcome.
    pub fn results(&self) -> BTreeMap<String, Value> {
        let mut results = BTreeMap::new();
        for post in self.posts().into_iter().filter(|post| post.took) {
            for one in post.results() {
                let earlier = results.insert(one["id"].as_str().unwrap().to_owned(), one.clone());
                assert!(earlier.is_none_or(|earlier| earlier == *one));
            }
        }
        results
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn serve(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    use axum::serve::ListenerExt as _;
    let counting = Arc::clone(&shared);
    let listener = listener.tap_io(move |_| {
        counting.connections.fetch_add(1, Ordering::SeqCst);
    });
    let router = Router::new().fallback(take).with_state(shared);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

async fn take(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mode = shared.mode.lock().unwrap().clone();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    shared.posts.lock().unwrap().push(Post {
        id: header("webhook-id").to_owned(),
        signatures: header("webhook-signature").to_owned(),
        verified: parts.method == "POST" && shared.webhook.verify(&body, &parts.headers).is_ok(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        took: matches!(mode, Mode::Take | Mode::LoseAnswer | Mode::Forward(_)),
    });
    match mode {
        Mode::Take => StatusCode::NO_CONTENT.into_response(),
        Mode::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Mode::RetryAfter(seconds) => {
            (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", seconds.to_string())]).into_response()
        }
        Mode::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response(),
        Mode::Forward(to) => forward(&to, parts.headers, body).await.into_response(),
        Mode::LoseAnswer => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mode::Hang => std::future::pending().await,
    }
}

async fn forward(to: &str, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut request = http::Request::post(to).body(Full::new(body)).unwrap();
    *request.headers_mut() = headers;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    client.request(request).await.unwrap().status()
}
