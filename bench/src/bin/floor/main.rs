//! The floor of `deliver`: a Lambda function that sends what `deliver` sends, recorded and signed before, and does nothing else. What it
//! spends is what the bytes cost.

#[path = "../../script.rs"]
mod script;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use h2::client::SendRequest;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use script::{Recorded, Script};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// As many as `deliver` has in flight.
const COUNTS: usize = 100;
const CONNECTIONS: usize = 8;
const STREAMS: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let script: Script = serde_json::from_slice(&std::fs::read(std::env::var("BENCH_SCRIPT")?)?)?;
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    let plan: Vec<Plan> = script.invocations.iter().map(|one| Plan::new(&script, one)).collect::<Result<_, _>>()?;
    let dynamodb = Dynamodb::new(&script.dynamodb);
    let fcm = Fcm::new(&script.fcm)?;
    drop(script);
    tokio::task::LocalSet::new().run_until(serve(&api, plan, Rc::new(dynamodb), Rc::new(fcm))).await
}

async fn serve(api: &str, plan: Vec<Plan>, dynamodb: Rc<Dynamodb>, fcm: Rc<Fcm>) -> Result<(), Error> {
    let mut lambda = connect_http1(api).await?;
    for invocation in plan {
        let next = Request::builder()
            .uri("/2018-06-01/runtime/invocation/next")
            .header("host", api)
            .body(Full::new(Bytes::new()))?;
        lambda.ready().await?;
        let answer = lambda.send_request(next).await?;
        let id = answer.headers().get("lambda-runtime-aws-request-id").and_then(|id| id.to_str().ok());
        let id = id.ok_or("an invocation without an id")?.to_owned();
        answer.into_body().collect().await?;
        invocation.run(&dynamodb, &fcm).await?;
        let done = Request::builder()
            .method(Method::POST)
            .uri(format!("/2018-06-01/runtime/invocation/{id}/response"))
            .header("host", api)
            .body(Full::new(Bytes::from_static(b"{\"batchItemFailures\":[]}")))?;
        lambda.ready().await?;
        lambda.send_request(done).await?.into_body().collect().await?;
    }
    // It waits to be ended, so that its figures can be read.
    std::future::pending().await
}

/// The requests of an invocation, ready to be sent.
struct Plan {
    counts: Vec<Request<Full<Bytes>>>,
    others: Vec<Request<Full<Bytes>>>,
    sends: VecDeque<(Request<()>, Bytes)>,
}

impl Plan {
    fn new(script: &Script, of: &script::Invocation) -> Result<Self, Error> {
        let host = &script.dynamodb;
        let to_table = |recorded: &Recorded| -> Result<Request<Full<Bytes>>, Error> {
            let (mut request, body) = request(recorded, "/".parse()?)?;
            request.headers_mut().insert("host", HeaderValue::from_str(host)?);
            Ok(request.map(|()| Full::new(body)))
        };
        let to_phone = |recorded: &Recorded| request(recorded, format!("{}{}", script.fcm, recorded.path).parse()?);
        Ok(Self {
            counts: of.counts.iter().map(to_table).collect::<Result<_, _>>()?,
            others: of.others.iter().map(to_table).collect::<Result<_, _>>()?,
            sends: of.sends.iter().map(to_phone).collect::<Result<_, _>>()?,
        })
    }

    /// Counts many at once; each that is counted lets its share of the sends go; then what else there is to write.
    async fn run(self, dynamodb: &Rc<Dynamodb>, fcm: &Rc<Fcm>) -> Result<(), Error> {
        let Self { counts, others, mut sends } = self;
        let each = sends.len() / counts.len().max(1);
        let (mut counting, mut sending) = (FuturesUnordered::new(), FuturesUnordered::new());
        let mut counts = counts.into_iter();
        for request in counts.by_ref().take(COUNTS) {
            counting.push(Rc::clone(dynamodb).send(request));
        }
        loop {
            tokio::select! {
                Some(counted) = counting.next() => {
                    counted?;
                    counting.extend(counts.next().map(|request| Rc::clone(dynamodb).send(request)));
                    let share = if counting.is_empty() { sends.len() } else { each };
                    for (request, body) in sends.drain(..share) {
                        sending.push(Rc::clone(fcm).send(request, body));
                    }
                }
                Some(sent) = sending.next() => sent?,
                else => break,
            }
        }
        for request in others {
            Rc::clone(dynamodb).send(request).await?;
        }
        Ok(())
    }
}

fn request(recorded: &Recorded, uri: Uri) -> Result<(Request<()>, Bytes), Error> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    for (name, value) in &recorded.headers {
        let name: HeaderName = name.parse()?;
        request.headers_mut().append(name, value.parse()?);
    }
    Ok((request, recorded.body.clone().into()))
}

/// HTTP/1.1 to DynamoDB, a connection for each call in flight, used again.
struct Dynamodb {
    address: String,
    idle: RefCell<Vec<http1::SendRequest<Full<Bytes>>>>,
}

impl Dynamodb {
    fn new(address: &str) -> Self {
        Self { address: address.to_owned(), idle: RefCell::default() }
    }

    async fn send(self: Rc<Self>, request: Request<Full<Bytes>>) -> Result<(), Error> {
        let idle = self.idle.borrow_mut().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect_http1(&self.address).await?,
        };
        connection.ready().await?;
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            return Err(format!("DynamoDB: {status}: {}", String::from_utf8_lossy(&body)).into());
        }
        self.idle.borrow_mut().push(connection);
        Ok(())
    }
}

async fn connect_http1(address: &str) -> Result<http1::SendRequest<Full<Bytes>>, Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (send, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(send)
}

/// HTTP/2 over TLS to the fake FCM: connections by need.
struct Fcm {
    address: String,
    host: ServerName<'static>,
    tls: TlsConnector,
    places: Semaphore,
    lines: RefCell<Vec<Line>>,
    opening: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Line {
    send: SendRequest<Bytes>,
    in_flight: Rc<Cell<usize>>,
}

impl Fcm {
    fn new(url: &str) -> Result<Self, Error> {
        let address = url.strip_prefix("https://").ok_or("FCM without TLS")?.to_owned();
        let host = ServerName::try_from(address.split(':').next().unwrap_or_default().to_owned())?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(std::env::var("SSL_CERT_FILE")?)? {
            roots.add(certificate?)?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            address,
            host,
            tls: TlsConnector::from(Arc::new(config)),
            places: Semaphore::new(CONNECTIONS * STREAMS),
            lines: RefCell::default(),
            opening: tokio::sync::Mutex::default(),
        })
    }

    async fn send(self: Rc<Self>, request: Request<()>, body: Bytes) -> Result<(), Error> {
        let _place = self.places.acquire().await?;
        let mut line = self.line().await?;
        line.in_flight.set(line.in_flight.get() + 1);
        let (answer, mut stream) = line.send.send_request(request, false)?;
        stream.send_data(body, true)?;
        let (head, mut body) = answer.await?.into_parts();
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
        }
        line.in_flight.set(line.in_flight.get() - 1);
        if head.status.is_success() { Ok(()) } else { Err(format!("FCM: {}", head.status).into()) }
    }

    /// A connection with room, opened if there is none.
    async fn line(&self) -> Result<Line, Error> {
        loop {
            if let Some(line) = self.with_room() {
                return Ok(line);
            }
            let _one_at_a_time = self.opening.lock().await;
            if self.with_room().is_some() {
                continue;
            }
            let tcp = TcpStream::connect(&self.address).await?;
            tcp.set_nodelay(true)?;
            let stream = self.tls.connect(self.host.clone(), tcp).await?;
            let (send, connection) =
                h2::client::Builder::new().initial_max_send_streams(STREAMS).handshake(Coalesced(stream)).await?;
            tokio::task::spawn_local(async move {
                // The request that was on it has its own error.
                let _ = connection.await;
            });
            self.lines.borrow_mut().push(Line { send, in_flight: Rc::default() });
        }
    }

    fn with_room(&self) -> Option<Line> {
        self.lines.borrow().iter().find(|line| line.in_flight.get() < STREAMS).cloned()
    }
}

/// Hides vectored writes, as `deliver` does: without it the floor would not be one.
struct Coalesced<T>(T);

impl<T: AsyncRead + Unpin> AsyncRead for Coalesced<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Coalesced<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
