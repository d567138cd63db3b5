//! What a person reads of a provider that does not answer: which host, and why.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::*;
use crate::provider::http::Http;

/// Why there is no answer of `url`.
async fn fault(url: &str) -> Fault {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let request = oauth2::http::Request::get(url).body(Vec::new()).unwrap();
    Http::new(tls).unwrap().send(request).await.unwrap_err()
}

/// Answers each connection on a free port with these bytes.
fn server(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(answer);
        }
    });
    port
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_named_with_the_reason() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = fault(&format!("http://127.0.0.1:{closed}/token?secret=hunter2")).await;
    assert_eq!(refused.message, format!("The provider cannot be reached: 127.0.0.1:{closed} refused the connection."));
    assert!(refused.code == FaultCode::ProviderUnreachable && !refused.in_doubt, "{refused:?}");

    let unknown = fault("https://nobody.invalid/token").await;
    assert!(
        unknown.message.starts_with("The provider cannot be reached: the name nobody.invalid has no address"),
        "{unknown}"
    );

    let port = server(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let no_tls = fault(&format!("https://localhost:{port}/token")).await;
    assert_eq!(no_tls.code, FaultCode::TlsFailed);
    assert!(no_tls.message.starts_with(&format!("The encrypted connection to localhost:{port} failed: ")), "{no_tls}");

    let port = server(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{");
    let torn = fault(&format!("http://127.0.0.1:{port}/token")).await;
    assert!(torn.message.starts_with(&format!("The connection to 127.0.0.1:{port} broke off: ")), "{torn}");
    assert!(torn.in_doubt, "{torn:?}");
}
