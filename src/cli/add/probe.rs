//! Asks an issuer for its metadata, so that a typing mistake is found before the account is written.

use url::Url;

use crate::cli::block_on;
use crate::cli::exit::{Exit, Failure};
use crate::domain::settings::TlsSettings;
use crate::platform::tls::Tls;
use crate::provider::{Directory, EndpointQuery, Http};

/// An issuer's metadata, as far as it decides on the grant.
pub(super) enum Probe {
    /// A device can be signed in by a code.
    DeviceGrant,
    /// The metadata names no device authorization endpoint.
    NoDeviceGrant,
    /// There is no usable metadata, for this reason.
    Failed(String),
}

/// Asks the issuer.
pub(super) fn issuer(issuer: &str) -> Result<Probe, Failure> {
    let fail = |error: String| Failure::new(Exit::Failed, format!("the issuer cannot be asked: {error}."));
    let issuer = Url::parse(issuer).map_err(|error| fail(error.to_string()))?;
    let tls = Tls::default().client_config(&TlsSettings::default()).map_err(|error| fail(error.to_string()))?;
    let http = Http::new(tls).map_err(|error| fail(error.to_string()))?;
    let directory = Directory::new(EndpointQuery::of_issuer(issuer), http);
    block_on(async {
        Ok(match directory.has_device_grant().await {
            Ok(true) => Probe::DeviceGrant,
            Ok(false) => Probe::NoDeviceGrant,
            Err(fault) => Probe::Failed(fault.message),
        })
    })
}
