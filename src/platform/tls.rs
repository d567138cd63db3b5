//! Trust on encrypted connections, and how this agent shows who it is.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::clock;
use super::named_certificate::{NamedCertificates, is_self_signed};
use crate::domain::settings::TlsSettings;
use crate::domain::text::printable;

/// Makes TLS configurations; the device's own certificate authorities are read once, when they are first needed.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    system: OnceLock<Arc<RootCertStore>>,
}

/// The reason why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A PEM file cannot be read, or has nothing of use in it.
    #[error("{path}: {reason}. Give the path of a PEM file that the agent may read.", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The reason.
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
    /// Makes a configuration that trusts `settings.ca_file` alone, or else the device's own authorities. A self-signed
    /// certificate in that file is trusted as exactly that certificate as well, whatever it says about itself.
    ///
    /// # Errors
    /// When a file cannot be read, or the client certificate cannot be used.
    pub(crate) fn client_config(&self, settings: &TlsSettings) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?;
        let builder = match &settings.ca_file {
            None => {
                let roots = Arc::clone(self.system.get_or_init(|| Arc::new(system_roots())));
                builder.with_root_certificates(roots)
            }
            Some(path) => {
                let (roots, named) = private_roots(path)?;
                let by_authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
                // Without any authority in the file there is none to ask.
                let by_authority = by_authority.build().ok();
                let algorithms = provider.signature_verification_algorithms;
                let verifier = Arc::new(NamedCertificates::new(named, by_authority, algorithms));
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
        };
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

/// Reads the authorities in a file, and the self-signed certificates in it.
fn private_roots(path: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let certificates = certificates(path)?;
    let named: Vec<_> = certificates.iter().filter(|certificate| is_self_signed(certificate)).cloned().collect();
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let is_named = named.contains(&certificate);
        match roots.add(certificate) {
            Err(error) if !is_named => {
                return Err(TlsError::File { path: path.to_owned(), reason: error.to_string() });
            }
            _ => {}
        }
    }
    Ok((roots, named))
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

/// Says in words why the certificate of `host` is not accepted, with what to do. Other errors of TLS are said as the library
/// says them.
pub(crate) fn explain(error: &rustls::Error, host: &str) -> String {
    let rustls::Error::InvalidCertificate(reason) = error else { return printable(&error.to_string()) };
    let reads = || clock::now().wall;
    match reason {
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("its certificate is not valid yet by this device's clock, which reads {} and may be wrong", reads())
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate has expired by this device's clock, which reads {}", reads())
        }
        CertificateError::UnknownIssuer => {
            "its certificate is signed by no authority that this device trusts. Name the \
             authority's certificate, or a self-signed one itself, with ca_file"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is not for the name {host}. {}", right_certificate(host))
        }
        other => {
            let detail = format!("{other:?}");
            if detail.contains("UnsupportedCertVersion") {
                format!("its certificate is of version 1, which has no names. {}", right_certificate(host))
            } else if detail.contains("CaUsedAsEndEntity") {
                format!("its certificate is that of an authority (CA:TRUE). {}", right_certificate(host))
            } else {
                printable(&error.to_string())
            }
        }
    }
}

/// Returns the command that makes a certificate which every client accepts.
fn right_certificate(host: &str) -> String {
    let kind = if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
    format!(
        "Name this certificate itself with ca_file, if it is self-signed, or make one for this name: openssl req -x509 -newkey \
         ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -keyout server.key -out server.pem -subj /CN={host} -addext \
         subjectAltName={kind}:{host} -addext basicConstraints=critical,CA:FALSE"
    )
}
