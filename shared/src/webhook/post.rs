//! One post: look up, check, connect, send, hear the status. A connection carries one post; TLS sessions are resumed.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Address, is_public};
use crate::delivery::http2::delay;

/// How long a post may take, from the look-up to the answer's status.
pub const LIMIT: Duration = Duration::from_secs(5);
/// A receiver's `Retry-After` is taken as at least and at most so long.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60 * 60));

/// What is posted.
#[derive(Debug, Clone)]
pub struct Letter {
    /// `webhook-id`: the same whenever the same body is posted.
    pub id: String,
    /// `webhook-timestamp`: when it is posted, in seconds since 1970.
    pub seconds: u64,
    /// `webhook-signature`.
    pub signatures: String,
    /// JSON.
    pub body: Bytes,
}

/// What came back. The body is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status. A redirect is one of them, and is not followed.
    pub status: StatusCode,
    /// `Retry-After`, between a second and an hour.
    pub retry_after: Option<Duration>,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The host's name is not known, or was not looked up.
    #[error("the host was not found")]
    LookUp(#[source] io::Error),
    /// One of the host's addresses is not of the public internet.
    #[error("the host's address is not a public one")]
    Private,
    /// None of the host's addresses took the connection.
    #[error("the host could not be reached")]
    Connect(#[source] io::Error),
    /// No TLS with it: most likely its certificate.
    #[error("TLS could not be agreed on")]
    Tls(#[source] io::Error),
    /// The connection ended, or what came back is not HTTP.
    #[error("the post was not answered")]
    Http(#[source] hyper::Error),
    /// The host or a header cannot be sent.
    #[error("the request cannot be made")]
    Request,
    /// Not within the limit.
    #[error("no answer in time")]
    Timeout,
}

impl PostError {
    /// The word in logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::LookUp(_) => "look_up",
            Self::Private => "private",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Http(_) => "http",
            Self::Request => "request",
            Self::Timeout => "timeout",
        }
    }
}

/// Posts `letter` to `address`.
///
/// # Errors
/// When no status comes back within `limit`, or the address is not one that may be posted to. Nothing is sent to such a one, not even a
/// connection is made.
pub async fn post(address: &Address, letter: &Letter, limit: Duration) -> Result<Answer, PostError> {
    let look_up = |host: String, port: u16| async move {
        tokio::net::lookup_host((host.as_str(), port)).await.map(Iterator::collect::<Vec<_>>)
    };
    post_by(look_up, crate::aws::tls_config, address, letter, limit).await
}

/// As [`post`], with another look-up and other roots.
async fn post_by<F>(
    look_up: impl FnOnce(String, u16) -> F,
    tls: impl FnOnce() -> Arc<ClientConfig>,
    address: &Address,
    letter: &Letter,
    limit: Duration,
) -> Result<Answer, PostError>
where
    F: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    let exchange = async {
        let request = request(address, letter).ok_or(PostError::Request)?;
        let found = look_up(address.host.clone(), address.port).await.map_err(PostError::LookUp)?;
        // A name with one private address among public ones is somebody's trial, too.
        if !address.allow_private && !found.iter().all(|found| is_public(found.ip())) {
            return Err(PostError::Private);
        }
        let stream = TcpStream::connect(found.as_slice()).await.map_err(PostError::Connect)?;
        if !address.tls {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(address.host.clone()).map_err(|_| PostError::Request)?;
        let stream = TlsConnector::from(tls()).connect(name, stream).await.map_err(PostError::Tls)?;
        exchange(stream, request).await
    };
    tokio::time::timeout(limit, exchange).await.unwrap_or(Err(PostError::Timeout))
}

fn request(address: &Address, letter: &Letter) -> Option<Request<Full<Bytes>>> {
    let mut request = Request::new(Full::new(letter.body.clone()));
    *request.method_mut() = Method::POST;
    // Origin form, as servers expect it (RFC 9112, 3.2.1).
    let path = address.uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>().ok()?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(address.uri.authority()?.as_str()).ok()?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("pushbell/", env!("CARGO_PKG_VERSION"))));
    headers.insert("webhook-id", HeaderValue::from_str(&letter.id).ok()?);
    headers.insert("webhook-timestamp", HeaderValue::from(letter.seconds));
    headers.insert("webhook-signature", HeaderValue::from_str(&letter.signatures).ok()?);
    Some(request)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<Answer, PostError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(PostError::Http)?;
    let answer = match select(pin!(sender.send_request(request)), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // The connection is done with: what it knows of the answer is there.
        Either::Right((_, answer)) => answer.await,
    };
    let answer = answer.map_err(PostError::Http)?;
    let retry_after = delay(answer.headers(), SystemTime::now());
    let retry_after = retry_after.map(|delay| delay.clamp(RETRY_AFTER.0, RETRY_AFTER.1));
    Ok(Answer { status: answer.status(), retry_after })
}

#[cfg(test)]
mod tests;
