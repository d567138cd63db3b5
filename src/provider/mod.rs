//! The one place that speaks OAuth and HTTP: asks a provider, and tells what it answered.
//!
//! It keeps nothing but the endpoints it found. What an answer means for a sign-in is for the session to decide.

mod answer;
mod discovery;
mod http;
mod request;

#[cfg(test)]
mod tests;

use tokio::sync::OnceCell;

use crate::fault::{Fault, FaultCode};
use crate::secret::Secret;
use crate::settings::AccountSettings;
use crate::token::{DeviceAuthorization, PollAnswer, TokenAnswer};
use discovery::Endpoints;
use http::Exchange;
pub use http::Http;
use request::{Revoke, Unbuildable};

/// The provider of one account.
#[derive(Debug)]
pub struct Provider {
    account: AccountSettings,
    http: Http,
    endpoints: OnceCell<Endpoints>,
}

impl Provider {
    /// The provider that `account` names. Nothing is asked of it yet.
    #[must_use]
    pub fn new(account: AccountSettings, http: Http) -> Self {
        Self { account, http, endpoints: OnceCell::new() }
    }

    /// Asks for a device code (RFC 8628 3.1).
    ///
    /// # Errors
    /// When the provider refuses, cannot be reached, or has no device grant.
    pub async fn authorize_device(&self) -> Result<DeviceAuthorization, Fault> {
        let endpoints = self.endpoints().await?;
        let Some(url) = &endpoints.device_authorization else {
            return Err(Fault::reconfigure(
                FaultCode::UnsupportedGrantType,
                "Neither the configuration nor the provider's metadata names a device authorization endpoint.",
            ));
        };
        let exchange = self.send(request::device_authorization(&self.account, endpoints, url)).await?;
        answer::device_authorization(&exchange, &self.secrets(&[]))
    }

    /// Asks whether the user has approved (RFC 8628 3.4).
    ///
    /// # Errors
    /// When the sign-in has ended, or the provider cannot be asked now.
    pub async fn poll(&self, device_code: &Secret) -> Result<PollAnswer, Fault> {
        let endpoints = self.endpoints().await?;
        let exchange = self.send(request::device_access_token(&self.account, endpoints, device_code)).await?;
        answer::poll(&exchange, &self.secrets(&[device_code]), self.account.scope_separator)
    }

    /// Asks for the next access token (RFC 6749 6).
    ///
    /// # Errors
    /// When the grant has ended, or the provider cannot be asked now.
    pub async fn refresh(&self, refresh_token: &Secret) -> Result<TokenAnswer, Fault> {
        let endpoints = self.endpoints().await?;
        let exchange = self.send(request::refresh(&self.account, endpoints, refresh_token)).await?;
        answer::token(&exchange, &self.secrets(&[refresh_token]), self.account.scope_separator)
    }

    /// Revokes the grant (RFC 7009 2.1): by the refresh token, whose end is the end of the grant, and then by the access
    /// token, which some providers let live on. At a provider without a revocation endpoint there is nothing to ask.
    ///
    /// # Errors
    /// When the provider refuses, or cannot be asked now.
    pub async fn revoke(&self, refresh_token: Option<&Secret>, access_token: &Secret) -> Result<(), Fault> {
        let endpoints = self.endpoints().await?;
        let Some(url) = &endpoints.revocation else { return Ok(()) };
        let tokens = refresh_token.map(Revoke::Refresh).into_iter().chain([Revoke::Access(access_token)]);
        let mut outcome = Ok(());
        for token in tokens {
            let exchange = self.send(request::revocation(&self.account, endpoints, url, token)).await?;
            let (Revoke::Refresh(secret) | Revoke::Access(secret)) = token;
            outcome = outcome.and(answer::revocation(&exchange, &self.secrets(&[secret])));
        }
        outcome
    }

    async fn endpoints(&self) -> Result<&Endpoints, Fault> {
        self.endpoints.get_or_try_init(|| discovery::endpoints(&self.account, &self.http)).await
    }

    async fn send(&self, request: Result<oauth2::HttpRequest, Unbuildable>) -> Result<Exchange, Fault> {
        let request = request.map_err(|_| {
            Fault::reconfigure(FaultCode::InvalidRequest, "An endpoint of the provider is no usable address.")
        })?;
        self.http.send(request).await
    }

    /// Everything secret that a request carried, so that no error quotes it.
    fn secrets<'a>(&'a self, sent: &[&'a Secret]) -> Vec<&'a Secret> {
        self.account.client.secret.iter().chain(sent.iter().copied()).collect()
    }
}
