//! HTTP listeners whose connections a fault can cut.
//!
//! A framework's handler always answers. The emulators must also be able to end a connection without an answer,
//! so they stand on hyper directly: HTTP/1.1 and HTTP/2 (prior knowledge, or ALPN under TLS) on one listener.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// How long an open connection may go on with its requests after the shutdown signal.
const GRACE: Duration = Duration::from_millis(500);

/// The connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut")]
pub struct Cut;

/// What a handler gives back: an answer, or the end of the connection.
pub type Reply = Result<Response<Full<Bytes>>, Cut>;

/// How a listener speaks.
#[derive(Clone, Default)]
pub struct Wire {
    /// TLS, when the listener is to speak it. Its ALPN list decides about HTTP/2.
    pub tls: Option<Arc<ServerConfig>>,
    /// `SETTINGS_MAX_CONCURRENT_STREAMS`; hyper's own default when `None`.
    pub streams: Option<u32>,
}

/// Why a request's body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the emulated service takes.
    #[error("the body is over the limit")]
    TooLong,
    /// The client went away, or broke the protocol.
    #[error("the body ended early")]
    Broken,
}

/// Reads a whole body of at most `limit` bytes.
pub async fn read_body(body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Err(_) => Err(BodyError::Broken),
    }
}

/// Serves until `shutdown` resolves; requests in work then have half a second before their connections are dropped.
///
/// A handler that answers [`Cut`] ends its whole connection, with every other HTTP/2 stream on it.
pub async fn serve<H, F>(listener: TcpListener, wire: Wire, handler: H, shutdown: impl Future<Output = ()> + Send)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let (closing, closed) = watch::channel(false);
    let acceptor = wire.tls.map(TlsAcceptor::from);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            // Finished connections are taken off the set as they end, or it would grow for ever.
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let handler = handler.clone();
        let closed = closed.clone();
        let streams = wire.streams;
        match acceptor.clone() {
            None => {
                connections.spawn(connection(stream, streams, handler, closed));
            }
            Some(acceptor) => {
                connections.spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(stream, streams, handler, closed).await;
                    }
                });
            }
        }
    }
    drop(listener);
    let _ = closing.send(true);
    let _ = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

async fn connection<S, H, F>(stream: S, streams: Option<u32>, handler: H, mut closed: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let cut = Arc::new(Notify::new());
    let cutter = Arc::clone(&cut);
    let service = service_fn(move |request| {
        let answer = handler(request);
        let cutter = Arc::clone(&cutter);
        async move {
            let reply = answer.await;
            if reply.is_err() {
                cutter.notify_one();
            }
            reply
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    if let Some(streams) = streams {
        builder.http2().max_concurrent_streams(streams);
    }
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let mut open = true;
    loop {
        tokio::select! {
            _ = serving.as_mut() => break,
            () = cut.notified() => break,
            _ = closed.changed(), if open => {
                open = false;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}
