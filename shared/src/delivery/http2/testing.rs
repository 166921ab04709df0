//! A vendor for tests: HTTP/2 on loopback that answers as a test tells it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::TlsAcceptor;

/// What is done with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, Bytes),
    /// Refused before processing.
    Refuse,
    /// The connection is cut.
    Cut,
    /// No answer, ever.
    Hang,
    /// Once the test allows it.
    Later(Arc<Semaphore>, Box<Reply>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Answer(status, Vec::new(), body.to_string().into())
    }

    pub(crate) fn ok() -> Self {
        Self::json(200, &serde_json::json!({"name": "projects/p/messages/1"}))
    }
}

/// A request, read to its end.
#[derive(Clone)]
pub(crate) struct Seen {
    /// The connection that it came on, counted from 0.
    pub(crate) connection: usize,
    /// Counted from 0 over all connections.
    pub(crate) number: usize,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

type Handler = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// A running server. Stops when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    handler: Handler,
    streams: u32,
    connections: AtomicUsize,
    requests: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
    changed: Notify,
    freeze: Notify,
    tasks: Mutex<Vec<tokio::task::AbortHandle>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Server {
    /// Answers as `handler` says, with so many streams per connection.
    pub(crate) async fn start(streams: u32, handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(streams, None, false, handler).await
    }

    /// The same over TLS.
    pub(crate) async fn tls(
        config: rustls::ServerConfig,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(100, Some(TlsAcceptor::from(Arc::new(config))), false, handler).await
    }

    /// The first connection answers its first request by a GOAWAY that says that nothing was processed.
    pub(crate) async fn going_away(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(100, None, true, handler).await
    }

    async fn with(
        streams: u32,
        tls: Option<TlsAcceptor>,
        going_away: bool,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Arc::new(handler),
            streams,
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            seen: Mutex::new(Vec::new()),
            changed: Notify::new(),
            freeze: Notify::new(),
            tasks: Mutex::new(Vec::new()),
        });
        let of_listener = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let number = of_listener.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&of_listener);
                let tls = tls.clone();
                let task = tokio::spawn(async move {
                    if going_away && number == 0 {
                        go_away(socket).await;
                    } else if let Some(tls) = tls {
                        let Ok(stream) = tls.accept(socket).await else { return };
                        serve(shared, stream, number).await;
                    } else {
                        serve(shared, socket, number).await;
                    }
                });
                of_listener.tasks.lock().unwrap().push(task.abort_handle());
            }
        });
        Self { address, shared, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Connections that were opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Waits until so many requests have come.
    pub(crate) async fn wait_for(&self, requests: usize) {
        let come = async {
            loop {
                let changed = self.shared.changed.notified();
                if self.shared.seen.lock().unwrap().len() >= requests {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), come).await.expect("the requests come");
    }

    /// Waits until every connection has ended.
    pub(crate) async fn all_closed(&self) {
        let open = || self.shared.tasks.lock().unwrap().iter().any(|task| !task.is_finished());
        while open() {
            tokio::task::yield_now().await;
        }
    }

    /// Stops the connections of now without closing them.
    pub(crate) fn freeze(&self) {
        self.shared.freeze.notify_waiters();
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        for task in self.shared.tasks.lock().unwrap().drain(..) {
            task.abort();
        }
    }
}

/// Reads frames up to the first HEADERS and refuses it, with everything else, by a GOAWAY (RFC 9113, 6.8).
async fn go_away(mut socket: TcpStream) {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    socket.write_all(&SETTINGS).await.unwrap();
    let mut preface = [0; 24];
    socket.read_exact(&mut preface).await.unwrap();
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        socket.read_exact(&mut payload).await.unwrap();
        if head[3] == 1 {
            break;
        }
    }
    socket.write_all(&GOAWAY).await.unwrap();
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest).await;
}

async fn serve(shared: Arc<Shared>, socket: impl AsyncRead + AsyncWrite + Unpin, connection: usize) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(shared.streams);
    let Ok(mut peer) = builder.handshake::<_, Bytes>(socket).await else { return };
    let cut = Arc::new(Notify::new());
    loop {
        tokio::select! {
            accepted = peer.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                tokio::spawn(answer(
                    Arc::clone(&shared), connection, request, respond, Arc::clone(&cut),
                ));
            }
            () = cut.notified() => return,
            // Neither reads nor answers any more, and does not close: like a peer behind a route that is gone.
            () = shared.freeze.notified() => std::future::pending().await,
        }
    }
}

async fn answer(
    shared: Arc<Shared>,
    connection: usize,
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    cut: Arc<Notify>,
) {
    let (head, mut stream) = request.into_parts();
    let mut body = BytesMut::new();
    while let Some(Ok(chunk)) = stream.data().await {
        let _ = stream.flow_control().release_capacity(chunk.len());
        body.extend_from_slice(&chunk);
    }
    let number = shared.requests.fetch_add(1, Ordering::SeqCst);
    let path = head.uri.path().to_owned();
    let seen = Seen { connection, number, path, headers: head.headers, body: body.freeze() };
    let mut reply = (shared.handler)(&seen);
    shared.seen.lock().unwrap().push(seen);
    shared.changed.notify_waiters();
    while let Reply::Later(gate, then) = reply {
        gate.acquire().await.unwrap().forget();
        reply = *then;
    }
    match reply {
        Reply::Answer(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let Ok(mut stream) = respond.send_response(response.body(()).unwrap(), false) else { return };
            let _ = stream.send_data(body, true);
        }
        Reply::Refuse => respond.send_reset(h2::Reason::REFUSED_STREAM),
        Reply::Cut => {
            cut.notify_one();
            std::future::pending().await
        }
        Reply::Hang | Reply::Later(..) => std::future::pending().await,
    }
}
