//! Requests over TLS, to the byte: what a browser sends, and what no browser would.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::clock::SOON;

/// A client that trusts one authority.
pub(crate) struct Https {
    port: u16,
    config: Arc<ClientConfig>,
}

/// An answer, as text.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

impl Https {
    /// For `localhost` at that port.
    #[track_caller]
    pub(crate) fn new(port: u16, authority: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { port, config: Arc::new(config) }
    }

    /// What its addresses begin with.
    pub(crate) fn origin(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// An open connection.
    #[track_caller]
    pub(crate) fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::clone(&self.config), name).unwrap(), stream)
    }

    /// Sends a request line, these headers and a body, and reads the answer to the end of the connection.
    #[track_caller]
    pub(crate) fn send(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let headers: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
        self.send_raw(&format!(
            "{line} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n{headers}{length}\r\n{body}",
            self.port
        ))
    }

    /// Gets a page as a browser does that opens it.
    #[track_caller]
    pub(crate) fn open(&self, target: &str, headers: &[&str]) -> Answer {
        let headers: Vec<_> = ["Accept: text/html,application/xhtml+xml"].iter().chain(headers).copied().collect();
        self.send(&format!("GET {target}"), &headers, "")
    }

    /// Sends these bytes, and reads the answer to the end of the connection.
    #[track_caller]
    pub(crate) fn send_raw(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        // The end may come without a farewell.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {request}: {text}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}
