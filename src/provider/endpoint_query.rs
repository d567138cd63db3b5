//! Which endpoints an account looks for.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use crate::domain::settings::{AccountSettings, EndpointSettings, GrantSettings};

/// What endpoints are looked for, by which accounts that find the same are told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EndpointQuery {
    /// What the configuration says of them.
    pub endpoints: Arc<EndpointSettings>,
    /// Whether those on other machines may be reached without TLS.
    pub allow_http: bool,
    /// PEM file of the certificate authority that is trusted there, in place of the device's own.
    pub ca_file: Option<PathBuf>,
    pub(super) begins_at: SignInEndpoint,
}

/// The endpoint that a sign-in begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum SignInEndpoint {
    DeviceAuthorization,
    Authorization,
    Token,
}

impl EndpointQuery {
    /// The endpoints that an issuer's metadata names.
    #[must_use]
    pub(crate) fn of_issuer(issuer: Url) -> Self {
        let endpoints = EndpointSettings { issuer: Some(Arc::new(issuer)), ..EndpointSettings::default() };
        Self { endpoints: Arc::new(endpoints), allow_http: false, ca_file: None, begins_at: SignInEndpoint::Token }
    }

    /// What the account looks for.
    #[must_use]
    pub(crate) fn by(account: &AccountSettings) -> Self {
        Self {
            endpoints: Arc::clone(&account.endpoints),
            allow_http: account.allow_http,
            ca_file: account.ca_file.clone(),
            begins_at: match account.grant {
                GrantSettings::DeviceCode => SignInEndpoint::DeviceAuthorization,
                GrantSettings::AuthorizationCode { .. } => SignInEndpoint::Authorization,
                GrantSettings::ClientCredentials
                | GrantSettings::JwtBearer(_)
                | GrantSettings::RefreshToken { .. }
                | GrantSettings::Password { .. } => SignInEndpoint::Token,
            },
        }
    }
}
