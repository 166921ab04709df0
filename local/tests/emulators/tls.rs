//! The fake vendors over TLS, as a benchmark meets them. The certificate beside this file is for 127.0.0.1 only.

use std::sync::Arc;

use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pushbell_local::faults::Faults;
use pushbell_local::phones::Phones;
use pushbell_local::store::Store;
use pushbell_local::vendors::{Apple, Vendors};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

#[tokio::test]
async fn the_vendors_speak_http_2_over_tls() {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem")).unwrap();
    let mut server =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let phones = Phones::new(Store::memory().unwrap()).unwrap();
    let vendors = Vendors::new(&format!("https://{address}"), Vec::new(), Apple::default(), phones, Faults::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(vendors.serve(listener, Some(Arc::new(server)), async move {
        let _ = stopped.await;
    }));

    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("https://{address}/v1/projects/p/messages:send"))
        .body(Full::<bytes::Bytes>::from("{}"))
        .unwrap();
    let reply = sender.send_request(request).await.unwrap();
    assert_eq!((reply.version(), reply.status()), (Version::HTTP_2, StatusCode::UNAUTHORIZED));
    assert!(!reply.into_body().collect().await.unwrap().to_bytes().is_empty());

    // The end of the stack ends the connection too.
    stop.send(()).unwrap();
    serving.await.unwrap();
    let _ = connection.await.unwrap();
}
