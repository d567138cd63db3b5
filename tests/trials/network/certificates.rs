//! Servers with certificates that are good, and with certificates that are not.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::certificates::Authority;

/// When a certificate is made, as far as it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Now,
    LongAgo,
    InTheFuture,
}

/// A server with a certificate for `host` by that authority.
#[track_caller]
pub(crate) fn server(authority: &Authority<'_>, name: &str, host: &str, made: Made) -> ServerConfig {
    let date = match made {
        Made::Now => None,
        Made::LongAgo => Some("2015-01-01"),
        Made::InTheFuture => Some("2060-01-01"),
    };
    authority.certify(name, &format!("subjectAltName = {host}"), date);
    let file = |extension: &str| authority.folder().join(format!("{name}.{extension}"));
    let certificate = CertificateDer::from_pem_file(file("pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}
