//! HTTP calls of the operator's commands: to the bundle's API, to vendors.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The API gives a call up after 30 s.
const LIMIT: Duration = Duration::from_secs(35);

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Nobody answers there, or not in TLS.
    #[error("{host} does not answer")]
    Unreachable {
        /// Who does not.
        host: String,
        /// Why not.
        source: hyper_util::client::legacy::Error,
    },
    /// The answer broke off.
    #[error("the answer broke off")]
    Broken(#[from] hyper::Error),
    /// Nothing within 35 s.
    #[error("{host} did not answer in time")]
    Late {
        /// Who did not.
        host: String,
    },
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A client of HTTP/1.1 and HTTP/2, with and without TLS. Clones share connections.
#[derive(Clone)]
pub struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Default for Http {
    fn default() -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config((*pushbell::aws::tls_config()).clone())
            .https_or_http()
            .enable_all_versions()
            .build();
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }
}

impl Http {
    /// A client with connections of its own.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self::default()
    }

    /// Sends a request, and reads its answer to the end.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
        // Without a user's name and password, which an address may hold.
        let host = match (request.uri().host(), request.uri().port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let exchange = async {
            let answer = self.0.request(request).await;
            let answer = answer.map_err(|source| CallError::Unreachable { host: host.clone(), source })?;
            let (parts, body) = answer.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        match tokio::time::timeout(LIMIT, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::Late { host }),
        }
    }
}
