#![allow(clippy::unwrap_used)]
use std::sync::Mutex;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

use super::*;

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn letter() -> Letter {
    Letter {
        id: "msg_1".to_owned(),
        seconds: 1_767_225_600,
        signatures: "v1,abc v1,def".to_owned(),
        body: Bytes::from_static(b"{\"a\":1}"),
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, with: &str) -> String {
    let mut asked = vec![0; 4096];
    let mut n = 0;
    while !asked[..n].ends_with(b"}") {
        let more = stream.read(&mut asked[n..]).await.unwrap();
        assert!(more > 0, "the body ends");
        n += more;
    }
    stream.write_all(with.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8_lossy(&asked[..n]).into_owned()
}

/// Answers one post with `with`, byte for byte; gives back what was asked.
async fn serve(with: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, tokio::spawn(async move { answer(listener.accept().await.unwrap().0, with).await }))
}

async fn post_to(url: &str, allow_private: bool) -> Result<Answer, PostError> {
    post(&Address::parse(url, allow_private).unwrap(), &letter(), LIMIT).await
}

#[tokio::test]
async fn a_post_has_its_id_its_time_and_its_signatures() {
    let (port, asked) = serve(OK).await;
    let answer = post_to(&format!("http://127.0.0.1:{port}/hooks/a?k=v"), true).await.unwrap();
    assert_eq!(answer, Answer { status: StatusCode::NO_CONTENT, retry_after: None });
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("POST /hooks/a?k=v HTTP/1.1\r\n"), "{asked}");
    for header in [
        &format!("host: 127.0.0.1:{port}"),
        "content-type: application/json",
        "content-length: 7",
        "webhook-id: msg_1",
        "webhook-timestamp: 1767225600",
        "webhook-signature: v1,abc v1,def",
    ] {
        assert!(asked.contains(&format!("\r\n{header}\r\n")), "{header} in {asked}");
    }
    assert!(asked.ends_with("\r\n\r\n{\"a\":1}"), "{asked}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let redirect =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n");
    let (port, _asked) = serve(Box::leak(redirect.into_boxed_str())).await;
    let answer = post_to(&format!("http://127.0.0.1:{port}/"), true).await.unwrap();
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    let poll = std::future::poll_fn(|context| std::task::Poll::Ready(listener.poll_accept(context).is_pending()));
    assert!(poll.await, "nobody came");
}

#[tokio::test]
async fn retry_after_is_between_a_second_and_an_hour() {
    for (header, seconds) in [("0", 1), ("7", 7), ("86400", 3_600)] {
        let with = format!("HTTP/1.1 429 Slow\r\nretry-after: {header}\r\ncontent-length: 0\r\n\r\n");
        let (port, _asked) = serve(Box::leak(with.into_boxed_str())).await;
        let answer = post_to(&format!("http://127.0.0.1:{port}/"), true).await.unwrap();
        assert_eq!(answer.retry_after, Some(Duration::from_secs(seconds)));
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_private_address_however_it_is_written() {
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "169.254.169.254",
        "10.1.2.3",
        "[fd00:ec2::254]",
    ] {
        let end = post_to(&format!("https://{host}:9/"), false).await;
        // A form that this machine's resolver does not take is not found, and not posted to either.
        assert!(matches!(end, Err(PostError::Private | PostError::LookUp(_))), "{host}: {end:?}");
    }
    for sure in ["127.0.0.1", "2130706433", "[::1]", "169.254.169.254"] {
        assert!(matches!(post_to(&format!("https://{sure}:9/"), false).await, Err(PostError::Private)), "{sure}");
    }
}

#[tokio::test]
async fn a_public_name_with_a_private_address_is_refused_before_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let address = Address::parse("https://api.example.com/", false).unwrap();
    let public: SocketAddr = "93.184.215.14:443".parse().unwrap();
    for found in [vec![own], vec![public, own]] {
        let asked = Mutex::new(Vec::new());
        let look_up = |host: String, port| {
            asked.lock().unwrap().push((host, port));
            async { Ok(found.clone()) }
        };
        let end = post_by(look_up, crate::aws::tls_config, &address, &letter(), LIMIT).await;
        assert!(matches!(end, Err(PostError::Private)), "{end:?}");
        assert_eq!(*asked.lock().unwrap(), [("api.example.com".to_owned(), 443)], "asked once");
    }
    let poll = std::future::poll_fn(|context| std::task::Poll::Ready(listener.poll_accept(context).is_pending()));
    assert!(poll.await, "nobody came");
}

#[tokio::test]
async fn over_tls_the_certificate_is_the_name_s() {
    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../local/tests/emulators/tls");
    let certificate = CertificateDer::from_pem_file(format!("{FOLDER}/cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{FOLDER}/key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        |provider| rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let server = versions(Arc::clone(&provider)).unwrap().with_no_client_auth();
    let server = TlsAcceptor::from(Arc::new(server.with_single_cert(vec![certificate.clone()], key).unwrap()));
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = Arc::new(client.with_root_certificates(roots).with_no_client_auth());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = server.accept(stream).await {
                answer(stream, OK).await;
            }
        }
    });
    let post = |host: &str, tls: Arc<ClientConfig>| {
        let address = Address::parse(&format!("https://{host}:{}/", own.port()), true).unwrap();
        async move { post_by(|_, _| async { Ok(vec![own]) }, || tls, &address, &letter(), LIMIT).await }
    };
    assert_eq!(post("localhost", Arc::clone(&client)).await.unwrap().status, StatusCode::NO_CONTENT);
    assert!(matches!(post("api.example.com", client).await, Err(PostError::Tls(_))), "another's certificate");
    assert!(matches!(post("localhost", crate::aws::tls_config()).await, Err(PostError::Tls(_))), "nobody's");
    serving.abort();
}

#[tokio::test]
async fn a_receiver_that_hangs_or_hangs_up_is_left_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let address = Address::parse(&url, true).unwrap();
    let end = post(&address, &letter(), Duration::from_millis(50)).await;
    assert!(matches!(end, Err(PostError::Timeout)), "{end:?}");
    // Bound, so that nobody else gets the port, and never listening.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let gone = format!("http://{}/", nobody.local_addr().unwrap());
    assert!(matches!(post_to(&gone, true).await, Err(PostError::Connect(_))));
    let (port, _asked) = serve("").await;
    assert!(matches!(post_to(&format!("http://127.0.0.1:{port}/"), true).await, Err(PostError::Http(_))));
}
