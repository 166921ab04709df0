//! HTTP/1.1 connections to one host, kept and used again: one for each call in flight.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::delivery::http2::Address;
use crate::time::Timestamp;

/// A connection that was not used for so long may be gone without a sign, as after an environment's freeze: it is not used again. By the
/// wall clock, as the monotonic one may stand still meanwhile.
const IDLE: Duration = Duration::from_secs(20);

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("no connection")]
    Connect(#[from] io::Error),
    #[error("the connection failed")]
    Http(#[from] hyper::Error),
}

pub(super) struct Connections {
    address: Address,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Timestamp,
}

pub(super) type Connection = http1::SendRequest<Full<Bytes>>;

impl Connections {
    pub(super) fn new(address: Address) -> Self {
        Self { address, idle: Mutex::default() }
    }

    /// Sends a request, on a connection that may be given back once the answer was read.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Connection), CallError> {
        let mut connection = match self.take(Timestamp::now()) {
            Some(connection) => connection,
            None => Box::pin(self.open()).await?,
        };
        let answer = connection.send_request(request).await?;
        Ok((answer, connection))
    }

    /// The connection that was used last, if it is still good.
    fn take(&self, now: Timestamp) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Idle { connection, since }) = idle.pop() {
            if now.since(since) > IDLE {
                // Those below it were idle for longer.
                idle.clear();
            } else if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn give_back(&self, connection: Connection) {
        let since = Timestamp::now();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(Idle { connection, since });
    }

    async fn open(&self) -> Result<Connection, CallError> {
        let (host, port) = self.address.host_and_port();
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        if !self.address.is_tls() {
            return start(tcp).await;
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        start(TlsConnector::from(super::super::tls_config()).connect(name, tcp).await?).await
    }
}

async fn start<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: T) -> Result<Connection, CallError> {
    let (mut connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // The request that was on it has its own error.
        let _ = driver.await;
    });
    connection.ready().await?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::watch;

    use super::*;

    /// A server that answers every request on every connection, and how many connections it has taken.
    async fn server() -> (Connections, watch::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (taken, count) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                taken.send_modify(|taken| *taken += 1);
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                    }
                });
            }
        });
        (Connections::new(address), count)
    }

    async fn call(connections: &Connections) {
        let request = Request::get("/").header("host", "test").body(Full::new(Bytes::new())).unwrap();
        let (answer, connection) = connections.send(request).await.unwrap();
        answer.into_body().collect().await.unwrap();
        connections.give_back(connection);
    }

    #[tokio::test]
    async fn one_call_after_the_other_takes_one_connection() {
        let (connections, count) = server().await;
        for _ in 0..50 {
            call(&connections).await;
        }
        assert_eq!(*count.borrow(), 1);
    }

    #[tokio::test]
    async fn a_connection_that_was_idle_for_long_is_not_used_again() {
        let (connections, _) = server().await;
        call(&connections).await;
        let later = Timestamp::now().plus(IDLE + Duration::from_secs(1));
        assert!(connections.take(later).is_none());
        assert!(connections.take(Timestamp::now()).is_none(), "it is gone");
    }
}
