//! Whom to trust on an encrypted connection, and how to show who we are.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::domain::settings::TlsSettings;

/// Makes TLS configurations; the device's own certificate authorities are read once, when they are first needed.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    system: OnceLock<Arc<RootCertStore>>,
}

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A PEM file cannot be read, or has nothing of use in it.
    #[error("{path}: {reason}. Give the path of a PEM file that the agent may read.", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate and the key do not fit together, or the key is of an unknown kind.
    #[error("the client certificate cannot be used: {0}. Give cert_file and key_file that belong together.")]
    Identity(rustls::Error),
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up: {0}.")]
    Setup(rustls::Error),
}

impl Tls {
    /// A configuration that trusts `settings.ca_file` alone, or else the device's own authorities.
    ///
    /// # Errors
    /// When a file cannot be read, or the client certificate cannot be used.
    pub(crate) fn client_config(&self, settings: &TlsSettings) -> Result<ClientConfig, TlsError> {
        let roots = match &settings.ca_file {
            Some(path) => Arc::new(private_roots(path)?),
            None => Arc::clone(self.system.get_or_init(|| Arc::new(system_roots()))),
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_root_certificates(roots);
        let Some(identity) = &settings.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(&identity.cert_file)?;
        let key = PrivateKeyDer::from_pem_file(&identity.key_file)
            .map_err(|error| TlsError::File { path: identity.key_file.clone(), reason: error.to_string() })?;
        builder.with_client_auth_cert(chain, key).map_err(TlsError::Identity)
    }
}

/// Without any authority every connection fails with a certificate that nobody vouches for, and says so.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!("this device has no certificate authorities; install the package ca-certificates");
    }
    tracing::debug!(trusted = roots.len(), unusable, "read the device's certificate authorities");
    roots
}

fn private_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::File { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |reason: String| TlsError::File { path: path.to_owned(), reason };
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| file(error.to_string()))?;
    if found.is_empty() {
        return Err(file("there is no certificate in it".to_owned()));
    }
    Ok(found)
}
