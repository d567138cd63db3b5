//! Plain requests to the provider's addresses on loopback, as a flow or a browser makes them.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// Sends requests. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Http(reqwest::Client);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("{0}")]
    Request(#[from] reqwest::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Http {
    pub(crate) fn new() -> Result<Self, HttpError> {
        // Nothing here is encrypted, so nobody need be trusted; without this the client would look for the machine's
        // certificates, and there may be none.
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self(client))
    }

    /// Calls a protected address, with `authorization` as its header. Gives the status and the body.
    pub(crate) async fn call(&self, address: &str, authorization: &str) -> Result<(StatusCode, String), HttpError> {
        let response = self.0.get(address).header(AUTHORIZATION, authorization).send().await?;
        Ok((response.status(), response.text().await?))
    }

    /// Opens a page.
    pub(crate) async fn open(&self, address: &str) -> Result<String, HttpError> {
        Ok(self.0.get(address).send().await?.error_for_status()?.text().await?)
    }

    /// Sends a form.
    pub(crate) async fn submit(&self, address: &str, fields: &[(&str, &str)]) -> Result<String, HttpError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.0.post(address).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        Ok(request.send().await?.error_for_status()?.text().await?)
    }
}
