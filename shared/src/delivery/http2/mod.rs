//! HTTP/2 towards vendors, on bare `h2`: `deliver` spends most of its time in here.
//!
//! A pool keeps, for each origin, as many connections as are needed: requests fill the first one, the next is opened when all are
//! full, and the first of all is through before others are begun. A request that the peer surely did not process (it was refused, or
//! nothing of it was written) is put on another connection once. A connection that was silent for long, as after an environment's
//! freeze, is asked by a ping before a request is entrusted to it.

mod address;
mod answer;
mod line;
mod site;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use tokio_rustls::TlsConnector;

pub use address::{Address, AddressError};
pub use answer::Answer;
pub(crate) use answer::delay;
use site::Site;

use super::{Class, Verdict};

/// How long one request may take, the wait for a connection included.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// How a pool treats its connections.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most connections to one origin.
    pub connections: usize,
    /// How long a TCP and TLS handshake may take.
    pub connect: Duration,
    /// A connection that was silent for so long is pinged before it is used again.
    pub silence: Duration,
    /// How long a ping may take.
    pub ping: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 8,
            connect: Duration::from_secs(3),
            silence: Duration::from_secs(15),
            ping: Duration::from_millis(500),
        }
    }
}

/// Why no connection could be opened. Nothing was sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// The name was not found, or the port did not answer.
    #[error("no connection")]
    Tcp(#[source] Arc<io::Error>),
    /// The TLS handshake failed.
    #[error("no TLS session")]
    Tls(#[source] Arc<io::Error>),
    /// The host in the address can not be in a certificate.
    #[error("the host's name is not valid")]
    Name,
    /// The server does not speak HTTP/2.
    #[error("the server does not speak HTTP/2")]
    NotHttp2,
    /// The HTTP/2 preface failed.
    #[error("no HTTP/2 session")]
    Http2(#[source] Arc<h2::Error>),
    /// It took too long.
    #[error("connecting took too long")]
    Timeout,
}

impl ConnectError {
    fn tcp(error: io::Error) -> Self {
        Self::Tcp(Arc::new(error))
    }

    fn tls(error: io::Error) -> Self {
        Self::Tls(Arc::new(error))
    }

    fn http2(error: h2::Error) -> Self {
        Self::Http2(Arc::new(error))
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection could be opened. Nothing was sent.
    #[error("the vendor could not be reached")]
    Connect(#[source] ConnectError),
    /// The deadline passed.
    #[error("the vendor did not answer in time")]
    Timeout {
        /// The request, or a part of it, was on its way.
        maybe_processed: bool,
    },
    /// The peer gave up this request.
    #[error("the vendor reset the request")]
    Reset {
        /// Not refused beforehand: it may have been processed.
        maybe_processed: bool,
        /// The reason that was given.
        #[source]
        source: h2::Error,
    },
    /// The connection ended under the request.
    #[error("the connection to the vendor broke")]
    Closed {
        /// The request, or a part of it, was on its way.
        maybe_processed: bool,
        /// What was seen of it.
        #[source]
        source: h2::Error,
    },
    /// The answer's body is over 64 KiB.
    #[error("the vendor's answer is too long")]
    TooLong,
}

impl SendError {
    /// An error of a request; `maybe_processed` when it can not be excluded.
    fn of(error: h2::Error, maybe_processed: bool) -> Self {
        if error.is_reset() {
            Self::Reset { maybe_processed, source: error }
        } else {
            Self::Closed { maybe_processed, source: error }
        }
    }

    /// An error after the answer had begun.
    fn in_answer(error: h2::Error) -> Self {
        Self::of(error, true)
    }

    /// What a send without an answer means: tried again. Where the first try may have been processed, the phone's tag or collapse id
    /// shows the two as one.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        let code = match self {
            Self::Connect(_) | Self::Closed { .. } => "connection",
            Self::Timeout { .. } => "timeout",
            Self::Reset { .. } => "reset",
            Self::TooLong => "long_answer",
        };
        Verdict::new(Class::Retry { after: None }, code)
    }
}

/// Connections to vendors. One per process, shared by everything that sends.
pub struct Pool {
    settings: Settings,
    tls: OnceLock<TlsConnector>,
    sites: Mutex<Vec<Arc<Site>>>,
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Pool {
    /// A pool without connections yet. Certificates are read at the first `https` request.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, tls: OnceLock::new(), sites: Mutex::new(Vec::new()) }
    }

    /// A pool that trusts whom `tls` trusts, instead of the system's roots.
    #[must_use]
    pub fn with_tls(settings: Settings, tls: rustls::ClientConfig) -> Self {
        Self { tls: OnceLock::from(connector(tls)), ..Self::new(settings) }
    }

    /// Posts `body` to `address` with `headers` (names in lower case by their type; `content-length` is added).
    ///
    /// # Errors
    /// When there is no answer by the deadline, or none at all.
    pub async fn post(
        &self,
        address: &Address,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
        deadline: Duration,
    ) -> Result<Answer, SendError> {
        let site = self.site(address);
        let sent = AtomicBool::new(false);
        match tokio::time::timeout(deadline, site.exchange(address, headers, body, &sent)).await {
            Ok(result) => result,
            Err(_) => Err(SendError::Timeout { maybe_processed: sent.load(Ordering::Relaxed) }),
        }
    }

    fn site(&self, address: &Address) -> Arc<Site> {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        // A handful of vendors: a list is faster than a map.
        if let Some(site) = sites.iter().find(|site| site.address.same_origin(address)) {
            return Arc::clone(site);
        }
        let tls = self.tls.get_or_init(|| connector(rustls::ClientConfig::clone(&crate::aws::tls_config())));
        let site = Arc::new(Site::new(address.clone(), self.settings.clone(), tls.clone()));
        sites.push(Arc::clone(&site));
        site
    }
}

/// A connector that offers HTTP/2 only.
fn connector(mut tls: rustls::ClientConfig) -> TlsConnector {
    tls.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(tls))
}
