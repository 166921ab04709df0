//! One connection.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Address, ConnectError};
use crate::time::Timestamp;

/// What we take at once: answers are small, and many.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The most bytes of an answer's headers.
const HEADERS: u32 = 16 * 1024;

/// A connection's own future, to be polled until it ends.
pub(super) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection that requests can be put on.
pub(super) struct Line {
    pub(super) send: SendRequest<Bytes>,
    ping: Mutex<Option<PingPong>>,
    written: Arc<AtomicU64>,
    /// Requests without an answer yet.
    pub(super) in_flight: AtomicUsize,
    /// When something was last received, in milliseconds since 1970. By the wall clock: the monotonic one may stand still while an
    /// environment is frozen.
    heard: AtomicU64,
    /// A request got no answer, and nothing else did since.
    pub(super) suspect: AtomicBool,
    /// A ping is out; no requests meanwhile.
    pub(super) checking: AtomicBool,
    /// A ping was answered, for the next request to lean on.
    pub(super) checked: AtomicBool,
}

impl Line {
    /// Opens a connection; `streams` of them at once until the peer's SETTINGS are there.
    pub(super) async fn connect(
        address: &Address,
        tls: &TlsConnector,
        streams: usize,
    ) -> Result<(Self, Driver), ConnectError> {
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(ConnectError::tcp)?;
        tcp.set_nodelay(true).map_err(ConnectError::tcp)?;
        if !address.tls {
            return Self::start(tcp, streams).await;
        }
        let name = ServerName::try_from(address.host.clone()).map_err(|_| ConnectError::Name)?;
        let stream = tls.connect(name, tcp).await.map_err(ConnectError::tls)?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(ConnectError::NotHttp2);
        }
        Self::start(stream, streams).await
    }

    async fn start<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        stream: T,
        streams: usize,
    ) -> Result<(Self, Driver), ConnectError> {
        let written = Arc::new(AtomicU64::new(0));
        let (send, mut connection): (SendRequest<Bytes>, Connection<Coalesced<T>, Bytes>) = h2::client::Builder::new()
            .initial_max_send_streams(streams)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADERS)
            .enable_push(false)
            .handshake(Coalesced { stream, written: Arc::clone(&written) })
            .await
            .map_err(ConnectError::http2)?;
        let ping = Mutex::new(connection.ping_pong());
        let line = Self {
            send,
            ping,
            written,
            in_flight: AtomicUsize::new(0),
            heard: AtomicU64::new(Timestamp::now().as_millis()),
            suspect: AtomicBool::new(false),
            checking: AtomicBool::new(false),
            checked: AtomicBool::new(false),
        };
        let driver = async move {
            if let Err(error) = connection.await {
                // Each request that was on it has its own error.
                tracing::debug!(error = %error, "a vendor's connection ended");
            }
        };
        Ok((line, Box::pin(driver)))
    }

    /// The most requests at once, by the peer's SETTINGS.
    pub(super) fn streams(&self) -> usize {
        self.send.current_max_send_streams()
    }

    /// Whether one more request fits.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) < self.streams()
    }

    pub(super) fn heard(&self) -> Timestamp {
        Timestamp::from_millis(self.heard.load(Ordering::Relaxed))
    }

    pub(super) fn hear(&self, now: Timestamp) {
        self.heard.fetch_max(now.as_millis(), Ordering::Relaxed);
        self.suspect.store(false, Ordering::Relaxed);
    }

    /// How many bytes the transport has taken. When it is still the same after a request failed, nothing of the request left.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Whether the peer answers a ping.
    pub(super) async fn answers(&self) -> bool {
        let ping = self.ping.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut ping) = ping else { return false };
        let answered = ping.ping(Ping::opaque()).await.is_ok();
        *self.ping.lock().unwrap_or_else(PoisonError::into_inner) = Some(ping);
        answered
    }
}

/// Hides vectored writes, so that `h2` copies frames under 1024 bytes into one buffer instead of flushing each (with vectored
/// writes it does so under 256 only), and counts what was taken.
struct Coalesced<T> {
    stream: T,
    written: Arc<AtomicU64>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Coalesced<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Coalesced<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(taken)) = result {
            self.written.fetch_add(taken as u64, Ordering::Release);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn vectored_writes_are_hidden_so_that_small_frames_are_written_together() {
        let (stream, _peer) = tokio::io::duplex(16);
        assert!(stream.is_write_vectored());
        assert!(!Coalesced { stream, written: Arc::default() }.is_write_vectored());
    }
}
