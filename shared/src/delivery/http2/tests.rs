//! The pool against a vendor on loopback.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderValue, header};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Semaphore;

use super::testing::{Reply, Server};
use super::{Address, Answer, ConnectError, DEADLINE, Pool, SendError, Settings};

async fn post(pool: &Pool, server: &Server, body: &'static str) -> Result<Answer, SendError> {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let address = Address::parse(&server.url("/v1/send")).unwrap();
    pool.post(&address, &headers, Bytes::from_static(body.as_bytes()), DEADLINE).await
}

async fn post_many(pool: &Pool, server: &Server, count: usize) -> Vec<Result<Answer, SendError>> {
    join_all((0..count).map(|_| post(pool, server, "{}"))).await
}

#[tokio::test]
async fn a_request_arrives_whole_and_so_does_its_answer() {
    let server = Server::start(100, |_| {
        let delay = vec![("retry-after", "120".to_owned())];
        Reply::Answer(503, delay, Bytes::from(vec![b'x'; 40_000]))
    })
    .await;
    let answer = post(&Pool::default(), &server, "{\"a\":1}").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.retry_after), (503, Some(Duration::from_secs(120))));
    assert_eq!(answer.body, vec![b'x'; 40_000]);
    let seen = &server.seen()[0];
    assert_eq!((seen.path.as_str(), &*seen.body), ("/v1/send", &b"{\"a\":1}"[..]));
    assert_eq!(seen.headers[header::CONTENT_LENGTH], "7");
    assert_eq!(seen.headers[header::CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn bodies_of_every_size_arrive_whole() {
    let server = Server::start(100, |_| Reply::ok()).await;
    let (pool, address) = (Pool::default(), Address::parse(&server.url("/")).unwrap());
    for size in [0, 1, 999, 1000, 1001, 2000, 4096, 100_000] {
        let body: Bytes = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        pool.post(&address, &[], body.clone(), DEADLINE).await.unwrap();
        assert!(server.seen().last().unwrap().body == body, "{size}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn requests_that_start_together_share_the_first_connection() {
    let server = Server::start(100, |_| Reply::ok()).await;
    let results = post_many(&Pool::default(), &server, 90).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn another_connection_is_opened_when_all_are_full_and_no_more_than_are_allowed() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = Server::start(10, move |seen| match seen.number {
        0 => Reply::ok(),
        _ => Reply::Later(Arc::clone(&held), Box::new(Reply::ok())),
    })
    .await;
    let pool = Pool::new(Settings { connections: 3, ..Settings::default() });
    post(&pool, &server, "{}").await.unwrap();
    assert_eq!(server.connections(), 1);
    let release = async {
        server.wait_for(31).await;
        assert_eq!(server.connections(), 3, "30 in flight on 3 connections, 15 wait");
        gate.add_permits(45);
    };
    let (results, ()) = tokio::join!(post_many(&pool, &server, 45), release);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(server.connections(), 3);
    assert!((0..3).all(|connection| server.seen().iter().any(|seen| seen.connection == connection)));
    assert_eq!(server.seen().len(), 46, "none was refused: the limit of the first connection is known");
}

#[tokio::test]
async fn a_refused_request_is_retried_once_on_another_connection() {
    let server = Server::start(100, |seen| if seen.number == 0 { Reply::Refuse } else { Reply::ok() }).await;
    post(&Pool::default(), &server, "{}").await.unwrap();
    let on: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(on, [0, 1]);

    let server = Server::start(100, |_| Reply::Refuse).await;
    let error = post(&Pool::default(), &server, "{}").await.unwrap_err();
    assert!(matches!(error, SendError::Reset { maybe_processed: false, .. }), "{error:?}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_request_that_a_goaway_left_out_goes_on_another_connection() {
    let server = Server::going_away(|_| Reply::ok()).await;
    post(&Pool::default(), &server, "{}").await.unwrap();
    assert_eq!((server.connections(), server.seen()[0].connection), (2, 1));
}

#[tokio::test]
async fn a_request_that_may_have_been_processed_is_not_repeated() {
    let server = Server::start(100, |seen| if seen.number == 0 { Reply::Cut } else { Reply::ok() }).await;
    let pool = Pool::default();
    let error = post(&pool, &server, "{}").await.unwrap_err();
    assert!(matches!(error, SendError::Closed { maybe_processed: true, .. }), "{error:?}");
    assert_eq!(server.seen().len(), 1);
    post(&pool, &server, "{}").await.unwrap();
    assert_eq!(server.connections(), 2, "a closed connection is replaced");
}

#[tokio::test]
async fn a_deadline_says_whether_the_request_was_on_its_way() {
    let server = Server::start(1, |seen| if seen.number == 0 { Reply::ok() } else { Reply::Hang }).await;
    let pool = Pool::new(Settings { connections: 1, ..Settings::default() });
    post(&pool, &server, "{}").await.unwrap();
    let address = Address::parse(&server.url("/")).unwrap();
    let hanging = pool.post(&address, &[], Bytes::new(), Duration::from_secs(3));
    let behind_it = async {
        server.wait_for(2).await;
        pool.post(&address, &[], Bytes::new(), Duration::from_millis(50)).await
    };
    let (first, second) = tokio::join!(hanging, behind_it);
    assert!(matches!(first, Err(SendError::Timeout { maybe_processed: true })));
    assert!(matches!(second, Err(SendError::Timeout { maybe_processed: false })));
}

#[tokio::test]
async fn a_connection_that_died_in_silence_fails_no_request() {
    let server = Server::start(100, |_| Reply::ok()).await;
    let pool = Pool::new(Settings { silence: Duration::ZERO, ping: Duration::from_secs(3), ..Settings::default() });
    post(&pool, &server, "{}").await.unwrap();
    post(&pool, &server, "{}").await.unwrap();
    assert_eq!(server.connections(), 1, "the peer answers the ping");
    server.freeze();
    post(&pool, &server, "{}").await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_left_a_request_unanswered_is_asked_before_it_is_used_again() {
    let server = Server::start(100, |_| Reply::ok()).await;
    let pool = Pool::default();
    post(&pool, &server, "{}").await.unwrap();
    server.freeze();
    let address = Address::parse(&server.url("/")).unwrap();
    let error = pool.post(&address, &[], Bytes::new(), Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, SendError::Timeout { .. }));
    post(&pool, &server, "{}").await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced() {
    let server = Server::start(100, |_| Reply::ok()).await;
    let pool = Pool::new(Settings { silence: Duration::ZERO, ..Settings::default() });
    post(&pool, &server, "{}").await.unwrap();
    server.cut();
    assert!(post_many(&pool, &server, 20).await.iter().all(Result::is_ok));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn nobody_waits_for_a_vendor_that_is_not_there() {
    // Bound, so that nobody else gets the port, and never listening.
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = Address::parse(&format!("http://{}/", nobody.local_addr().unwrap())).unwrap();
    let pool = Pool::default();
    let results = join_all((0..20).map(|_| pool.post(&address, &[], Bytes::new(), DEADLINE))).await;
    for result in results {
        assert!(matches!(result, Err(SendError::Connect(ConnectError::Tcp(_)))));
    }
}

#[tokio::test]
async fn an_endless_answer_is_given_up() {
    let server = Server::start(100, |_| Reply::Answer(200, Vec::new(), Bytes::from(vec![b'x'; 70_000]))).await;
    assert!(matches!(post(&Pool::default(), &server, "{}").await, Err(SendError::TooLong)));
}

#[tokio::test]
async fn connections_close_with_the_pool() {
    let server = Server::start(100, |_| Reply::ok()).await;
    let pool = Pool::default();
    post(&pool, &server, "{}").await.unwrap();
    drop(pool);
    server.all_closed().await;
}

// Made with OpenSSL, for `localhost`, until 2120. It opens nothing.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBXjCCAQSgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABK3Rz2mGzw+kp4aD
AFAUsfum7qkMiBBfzUGH5vLrrV7w5/+7JBE2PdMxNQ9xb6E68nkhbuPcgWKob3uO
sruuuMyjRTBDMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAMBgNVHRMBAf8EAjAAMB0G
A1UdDgQWBBRcx4HwASaAXq+VG3zsGwWrkqCN7TAKBggqhkjOPQQDAgNIADBFAiEA
z/KOl5yg82OGNr/FwqNS3dXYfW71CYlxzT4lQAEfjeYCIBAVHnOtD/TEUSrR4y76
4xtssbgd4IQdO70q+3GpsPUm
-----END CERTIFICATE-----
";
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5nHp8QBNpmyMijGp
tcPFZZvTob69leu5E/Y1VpSKvxKhRANCAASt0c9phs8PpKeGgwBQFLH7pu6pDIgQ
X81Bh+by661e8Of/uyQRNj3TMTUPcW+hOvJ5IW7j3IFiqG97jrK7rrjM
-----END PRIVATE KEY-----
";

async fn tls(protocols: &[&[u8]]) -> (Server, Pool, Address) {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let server = Server::tls(config, |_| Reply::ok()).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = Address::parse(&format!("https://localhost:{}/v1/send", server.port())).unwrap();
    (server, Pool::with_tls(Settings::default(), client), address)
}

#[tokio::test]
async fn https_speaks_http2_or_not_at_all() {
    let (server, pool, address) = tls(&[b"h2"]).await;
    let answer = pool.post(&address, &[], Bytes::from_static(b"{}"), DEADLINE).await.unwrap();
    assert_eq!((answer.status.as_u16(), server.seen().len()), (200, 1));

    let (_server, pool, address) = tls(&[]).await;
    let error = pool.post(&address, &[], Bytes::new(), DEADLINE).await.unwrap_err();
    assert!(matches!(error, SendError::Connect(ConnectError::NotHttp2)), "{error:?}");
}

#[tokio::test]
async fn a_stranger_s_certificate_is_refused() {
    let (server, _, address) = tls(&[b"h2"]).await;
    let error = Pool::default().post(&address, &[], Bytes::new(), DEADLINE).await.unwrap_err();
    assert!(matches!(error, SendError::Connect(ConnectError::Tls(_))), "{error:?}");
    assert!(server.seen().is_empty());
}
