//! User names and passwords: not ours to know. The app's own address is asked.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lambda_http::http::{Method, Request, StatusCode, Uri, header};
use serde::Deserialize;

use crate::id::ClientId;

/// How long the app's answer may take, all of it.
const LIMIT: Duration = Duration::from_secs(3);
/// The most bytes of an answer. It holds a user document at most.
const MOST_ANSWER: usize = 64 * 1024;

/// Why a user name and password are not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The app says that they are wrong: 401 or 403.
    #[error("the app refused the user name and password")]
    Refused,
    /// The app's address is not one that a password may be sent to: not https, and not this machine.
    #[error("verify_url is not an https address")]
    Address,
    /// The app was not reached.
    #[error("verify_url could not be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    /// No whole answer within 3 seconds.
    #[error("verify_url did not answer in time")]
    Timeout,
    /// A status other than 200, 401 and 403. Redirects are not followed: a password goes where the settings say and nowhere else.
    #[error("verify_url answered {0}")]
    Status(u16),
    /// 200, and not `{"_id": …}` within 64 KiB.
    #[error("verify_url answered without a usable _id")]
    Answer,
}

#[derive(Deserialize)]
struct User {
    #[serde(rename = "_id")]
    id: ClientId,
}

/// Asks apps about their users.
pub struct Passwords {
    client: std::sync::OnceLock<Client<HttpsConnector<HttpConnector>, Empty<Bytes>>>,
    limit: Duration,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::with_limit(LIMIT)
    }
}

impl Passwords {
    /// One that waits for `limit` at most.
    #[must_use]
    pub fn with_limit(limit: Duration) -> Self {
        Self { client: std::sync::OnceLock::new(), limit }
    }

    /// Asks `verify_url` with the caller's own `Authorization` header; the user that it names.
    ///
    /// # Errors
    /// When the app refuses, or gives no usable answer.
    pub async fn ask(&self, verify_url: &str, authorization: &str) -> Result<ClientId, PasswordError> {
        let uri: Uri = verify_url.parse().map_err(|_| PasswordError::Address)?;
        if !may_carry_a_password(&uri) {
            return Err(PasswordError::Address);
        }
        let mut value = header::HeaderValue::from_str(authorization).map_err(|_| PasswordError::Refused)?;
        value.set_sensitive(true);
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri;
        request.headers_mut().insert(header::AUTHORIZATION, value);
        request.headers_mut().insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
        tokio::time::timeout(self.limit, self.exchange(request)).await.map_err(|_| PasswordError::Timeout)?
    }

    async fn exchange(&self, request: Request<Empty<Bytes>>) -> Result<ClientId, PasswordError> {
        let answer = self.client().request(request).await.map_err(PasswordError::Unreachable)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(PasswordError::Refused),
            other => return Err(PasswordError::Status(other.as_u16())),
        }
        let body = Limited::new(answer.into_body(), MOST_ANSWER);
        let body = body.collect().await.map_err(|_| PasswordError::Answer)?.to_bytes();
        serde_json::from_slice::<User>(&body).map(|user| user.id).map_err(|_| PasswordError::Answer)
    }

    fn client(&self) -> &Client<HttpsConnector<HttpConnector>, Empty<Bytes>> {
        // Made at the first use: most apps have no such address, and reading the root certificates costs cold start.
        self.client.get_or_init(|| {
            let mut tcp = HttpConnector::new();
            tcp.enforce_http(false);
            tcp.set_connect_timeout(Some(self.limit));
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config((*crate::aws::tls_config()).clone())
                .https_or_http()
                .enable_http1()
                .wrap_connector(tcp);
            Client::builder(TokioExecutor::new()).build(connector)
        })
    }
}

fn may_carry_a_password(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const HEADER: &str = "Basic bWlyYTpwYXNz";

    /// Answers one call with `answer`, byte for byte; gives back what was asked.
    async fn serve(answer: String) -> (String, tokio::task::JoinHandle<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/me", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let n = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            String::from_utf8_lossy(&asked[..n]).into_owned()
        });
        (url, asked)
    }

    fn http(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    async fn ask(answer: String) -> Result<ClientId, PasswordError> {
        let (url, _asked) = serve(answer).await;
        Passwords::default().ask(&url, HEADER).await
    }

    #[tokio::test]
    async fn the_app_is_asked_with_the_caller_s_header_and_names_the_user() {
        let (url, asked) = serve(http("200 OK", r#"{"_id": "5058c6", "username": "mira"}"#)).await;
        assert_eq!(Passwords::default().ask(&url, HEADER).await.unwrap().as_str(), "5058c6");
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("GET /me HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains(HEADER), "{asked}");
    }

    #[tokio::test]
    async fn a_refusal_is_told_from_an_outage() {
        assert!(matches!(ask(http("401 Unauthorized", "")).await, Err(PasswordError::Refused)));
        assert!(matches!(ask(http("403 Forbidden", "")).await, Err(PasswordError::Refused)));
        assert!(matches!(ask(http("500 Oops", "")).await, Err(PasswordError::Status(500))));
        assert!(matches!(ask(http("200 OK", "{}")).await, Err(PasswordError::Answer)));
        assert!(matches!(ask(http("200 OK", r#"{"_id": ""}"#)).await, Err(PasswordError::Answer)));
        assert!(matches!(ask(http("200 OK", r#"{"_id": 7}"#)).await, Err(PasswordError::Answer)));
        assert!(matches!(ask(String::new()).await, Err(PasswordError::Unreachable(_))));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed_and_a_flood_is_cut() {
        let redirect = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        assert!(matches!(ask(redirect.to_owned()).await, Err(PasswordError::Status(302))));
        let flood = format!(r#"{{"_id": "u", "x": "{}"}}"#, "x".repeat(MOST_ANSWER));
        assert!(matches!(ask(http("200 OK", &flood)).await, Err(PasswordError::Answer)));
    }

    #[tokio::test]
    async fn an_app_that_does_not_answer_is_left_in_time() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let passwords = Passwords::with_limit(Duration::from_millis(50));
        assert!(matches!(passwords.ask(&url, HEADER).await, Err(PasswordError::Timeout)));
    }

    #[test]
    fn a_password_travels_by_https_only_or_stays_on_this_machine() {
        let may = |url: &str| may_carry_a_password(&url.parse().unwrap());
        assert!(may("https://api.example.com/verify"));
        assert!(may("http://127.0.0.1:8080/"));
        assert!(may("http://[::1]:8080/"));
        assert!(may("http://localhost/verify"));
        assert!(!may("http://api.example.com/verify"));
        assert!(!may("http://localhost.example.com/"));
        assert!(!may("ftp://127.0.0.1/"));
        assert!(!may("/verify"));
    }
}
