//! A front before AWS and the vendors, that hands everything on and notes it: when the first request of each kind came, and, when asked
//! to, every request as it was sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pushbell::delivery::http2::{Address, Pool, Settings};
use pushbell_local::connections::{self, Cut, Reply, Wire};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::script::{Invocation, Recorded};
use crate::{Error, tls};

/// Far over what is sent here.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A front of a stack. It ends when it is dropped.
pub(crate) struct Front {
    shared: Arc<Shared>,
    /// Stands for AWS.
    pub(crate) aws: String,
    /// Stands for the vendors.
    pub(crate) vendors: String,
    _open: watch::Sender<()>,
}

struct Shared {
    aws: String,
    vendors: String,
    own_vendors: String,
    http: Client<HttpConnector, Full<Bytes>>,
    http2: Pool,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    dynamodb: Option<Instant>,
    vendor: Option<Instant>,
    record: Option<Invocation>,
}

/// When the first requests came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Firsts {
    pub(crate) dynamodb: Option<Instant>,
    pub(crate) vendor: Option<Instant>,
}

impl Front {
    /// A front of the stack at these addresses, whose vendors speak TLS.
    pub(crate) async fn start(aws: &str, vendors: &str) -> Result<Self, Error> {
        let (aws_listener, vendors_listener) =
            (TcpListener::bind(("127.0.0.1", 0)).await?, TcpListener::bind(("127.0.0.1", 0)).await?);
        let own_aws = format!("http://{}", aws_listener.local_addr()?);
        let shared = Arc::new(Shared {
            aws: aws.to_owned(),
            vendors: vendors.to_owned(),
            own_vendors: format!("https://{}", vendors_listener.local_addr()?),
            http: Client::builder(TokioExecutor::new()).build_http(),
            http2: Pool::with_tls(Settings::default(), tls::client()?),
            noted: Mutex::default(),
        });
        let (open, closed) = watch::channel(());
        let end = |mut closed: watch::Receiver<()>| async move { while closed.changed().await.is_ok() {} };
        let of_aws = Arc::clone(&shared);
        let handler = move |request| {
            let shared = Arc::clone(&of_aws);
            async move { shared.aws(request).await }
        };
        tokio::spawn(connections::serve(aws_listener, Wire::default(), handler, end(closed.clone())));
        let of_vendors = Arc::clone(&shared);
        let handler = move |request| {
            let shared = Arc::clone(&of_vendors);
            async move { shared.vendor(request).await }
        };
        let wire = Wire { tls: Some(tls::server()?), streams: Some(100) };
        tokio::spawn(connections::serve(vendors_listener, wire, handler, end(closed)));
        let own_vendors = shared.own_vendors.clone();
        Ok(Self { shared, aws: own_aws, vendors: own_vendors, _open: open })
    }

    /// Forgets everything, and records requests from now on if `record` says so.
    pub(crate) fn begin(&self, record: bool) {
        *self.shared.noted() = Noted { record: record.then(Invocation::default), ..Noted::default() };
    }

    /// What was recorded since the last [`Front::begin`].
    pub(crate) fn recorded(&self) -> Invocation {
        self.shared.noted().record.take().unwrap_or_default()
    }

    /// When the first requests came since the last [`Front::begin`].
    pub(crate) fn firsts(&self) -> Firsts {
        let noted = self.shared.noted();
        Firsts { dynamodb: noted.dynamodb, vendor: noted.vendor }
    }
}

impl Shared {
    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn aws(&self, request: Request<Incoming>) -> Reply {
        let now = Instant::now();
        let (parts, body) = request.into_parts();
        let body = connections::read_body(body, MOST_BYTES).await.map_err(|_| Cut)?;
        let action = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        if action.starts_with("DynamoDB") {
            let mut noted = self.noted();
            noted.dynamodb.get_or_insert(now);
            if let Some(record) = &mut noted.record {
                let recorded = recorded("/", &parts.headers, &body);
                if action.ends_with(".UpdateItem") {
                    record.counts.push(recorded)
                } else {
                    record.others.push(recorded)
                }
            }
        }
        let mut onward = Request::new(Full::new(body));
        *onward.method_mut() = parts.method;
        *onward.uri_mut() = format!("{}/", self.aws).parse::<Uri>().map_err(|_| Cut)?;
        *onward.headers_mut() = passed_on(&parts.headers);
        let reply = self.http.request(onward).await.map_err(|_| Cut)?;
        let (mut head, body) = reply.into_parts();
        let mut body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        if action.ends_with(".GetSecretValue") {
            // The vendors' document names the vendors' address; access tokens are asked for there, as their audience is that address.
            let (from, to) = (endpoint(&self.vendors), endpoint(&self.own_vendors));
            body = String::from_utf8_lossy(&body).replace(&from, &to).into();
        }
        head.headers = passed_on(&head.headers);
        Ok(Response::from_parts(head, Full::new(body)))
    }

    async fn vendor(&self, request: Request<Incoming>) -> Reply {
        let now = Instant::now();
        let (parts, body) = request.into_parts();
        let body = connections::read_body(body, MOST_BYTES).await.map_err(|_| Cut)?;
        {
            let mut noted = self.noted();
            noted.vendor.get_or_insert(now);
            if let Some(record) = &mut noted.record {
                record.sends.push(recorded(parts.uri.path(), &parts.headers, &body));
            }
        }
        let address = Address::parse(&format!("{}{}", self.vendors, parts.uri.path())).map_err(|_| Cut)?;
        let headers: Vec<_> =
            passed_on(&parts.headers).into_iter().filter_map(|(name, value)| Some((name?, value))).collect();
        let answer = self.http2.post(&address, &headers, body, Duration::from_secs(5)).await.map_err(|_| Cut)?;
        let mut reply = Response::new(Full::new(answer.body));
        *reply.status_mut() = answer.status;
        Ok(reply)
    }
}

/// As the document says it, a JSON text within a JSON text.
fn endpoint(url: &str) -> String {
    format!("\\\"endpoint\\\": \\\"{url}\\\"")
}

fn recorded(path: &str, headers: &HeaderMap, body: &Bytes) -> Recorded {
    let headers = passed_on(headers);
    let text =
        |(name, value): (&HeaderName, &http::HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
    Recorded {
        path: path.to_owned(),
        headers: headers.iter().filter_map(text).collect(),
        body: String::from_utf8_lossy(body).into_owned(),
    }
}

/// The headers without those that belong to one connection.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        passed.remove(name);
    }
    passed
}
