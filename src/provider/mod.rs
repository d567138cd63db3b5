//! The one place that speaks OAuth and HTTP: asks a provider, and tells what it answered.
//!
//! It keeps nothing but the endpoints it found, for a day at most, and once for all accounts that have the same. What an answer
//! means for a sign-in is for the session to decide.

mod answer;
mod assertion;
mod directory;
mod discovery;
mod endpoint_query;
#[cfg(test)]
mod hostile;
mod http;
mod identity;
mod request;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oauth2::http::header::{ACCEPT, AUTHORIZATION};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Duration, sleep};

use crate::domain::approval::{Approval, Authorization};
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::identity::Identity;
use crate::domain::secret::Secret;
use crate::domain::settings::{AccountSettings, GrantSettings};
use crate::domain::token::{Granted, PollAnswer, TokenAnswer, User};
use crate::platform::clock;
use answer::{NewTokens, Polled};
pub(crate) use directory::Directory;
use discovery::Endpoints;
pub(crate) use endpoint_query::EndpointQuery;
use http::Exchange;
pub(crate) use http::Http;
use request::{Requests, Revoke, Unbuildable};

/// How often userinfo is asked: the user has approved by then, and should not have to do it twice for one lost packet.
const USERINFO_TRIES: u32 = 3;
const USERINFO_WAIT: Duration = Duration::from_secs(1);

/// The provider of one account.
#[derive(Debug)]
pub(crate) struct Provider {
    account: Arc<AccountSettings>,
    directory: Arc<Directory>,
    turns: Arc<Semaphore>,
    /// Which of the client's secrets the provider took last.
    secret: AtomicUsize,
}

impl Provider {
    /// The provider that `account` names, where `directory` finds it; `turns` are how many may ask it at a time. Nothing is asked
    /// yet.
    #[must_use]
    pub(crate) fn new(account: Arc<AccountSettings>, directory: Arc<Directory>, turns: Arc<Semaphore>) -> Self {
        Self { account, directory, turns, secret: AtomicUsize::new(0) }
    }

    /// Waits for a turn to ask, which lasts until it is dropped.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so there is always a turn sooner or later.
        self.turns.acquire().await.ok()
    }

    /// Finds a way to the user's approval: asks for a device code (RFC 8628 3.1), or makes the address of an
    /// authorization request (RFC 6749 4.1.1).
    ///
    /// # Errors
    /// When the provider refuses, cannot be reached, or does not have the account's grant.
    pub(crate) async fn authorize(&self) -> Result<Authorization, Fault> {
        let endpoints = &*self.directory.endpoints().await?;
        let missing = |what: &str| {
            let message = format!("Neither the configuration nor the provider's metadata names {what} endpoint.");
            Fault::reconfigure(FaultCode::UnsupportedGrantType, message)
        };
        if let GrantSettings::AuthorizationCode { redirect_uri } = &self.account.grant {
            let url = endpoints.authorization.as_ref().ok_or_else(|| missing("an authorization"))?;
            let request = self.requests(endpoints, 0).code_authorization(url, redirect_uri);
            return Ok(Authorization { approval: Approval::Redirect(request), expires_in: None });
        }
        let url = endpoints.device_authorization.as_ref().ok_or_else(|| missing("a device authorization"))?;
        let exchange = self.ask(endpoints, |requests| requests.device_authorization(url)).await?;
        answer::device_authorization(&exchange, &self.secrets(&[]))
    }

    /// Asks whether the user has approved (RFC 8628 3.4).
    ///
    /// # Errors
    /// When the sign-in has ended, or the provider cannot be asked now.
    pub(crate) async fn poll(&self, device_code: &Secret) -> Result<PollAnswer, Fault> {
        let endpoints = &*self.directory.endpoints().await?;
        let exchange = self.ask(endpoints, |requests| requests.device_access_token(device_code)).await?;
        match answer::poll(&exchange, &self.secrets(&[device_code]), self.account.profile.scope_separator())? {
            Polled::NotYet(answer) => Ok(answer),
            Polled::Granted(new) => Ok(PollAnswer::Granted(self.granted(endpoints, new, &exchange).await)),
        }
    }

    /// Asks for the tokens of an authorization code (RFC 6749 4.1.3).
    ///
    /// # Errors
    /// When the provider refuses, or cannot be asked now.
    pub(crate) async fn exchange(&self, code: &Secret, code_verifier: &Secret) -> Result<Granted, Fault> {
        let endpoints = &*self.directory.endpoints().await?;
        let GrantSettings::AuthorizationCode { redirect_uri } = &self.account.grant else {
            return Err(Fault::ask_user(FaultCode::RedirectInvalid, "The account has another grant by now."));
        };
        let exchange =
            self.ask(endpoints, |requests| requests.code_exchange(redirect_uri, code, code_verifier)).await?;
        let new =
            answer::token(&exchange, &self.secrets(&[code, code_verifier]), self.account.profile.scope_separator())?;
        Ok(self.granted(endpoints, new, &exchange).await)
    }

    /// Asks for tokens by what the configuration itself holds.
    ///
    /// # Errors
    /// When the provider refuses, or cannot be asked now.
    pub(crate) async fn obtain(&self) -> Result<Granted, Fault> {
        let endpoints = &*self.directory.endpoints().await?;
        let (exchange, secret) = match &self.account.grant {
            GrantSettings::ClientCredentials => {
                (self.ask(endpoints, |requests: Requests<'_>| requests.client_credentials()).await?, None)
            }
            GrantSettings::Password { username, password } => {
                (self.ask(endpoints, |requests| requests.password(username, password)).await?, Some(password))
            }
            GrantSettings::RefreshToken { token: Some(token) } => {
                (self.ask(endpoints, |requests| requests.refresh(token)).await?, Some(token))
            }
            GrantSettings::RefreshToken { token: None }
            | GrantSettings::DeviceCode
            | GrantSettings::AuthorizationCode { .. } => {
                return Err(Fault::ask_user(
                    FaultCode::InvalidGrant,
                    "The configuration holds nothing to sign in with.",
                ));
            }
        };
        let sent: Vec<_> = secret.into_iter().collect();
        let mut tokens = answer::token(&exchange, &self.secrets(&sent), self.account.profile.scope_separator())?.tokens;
        match &self.account.grant {
            // The client needs none (RFC 6749 4.4.3).
            GrantSettings::ClientCredentials => tokens.refresh_token = None,
            // What is absent stays as it was (RFC 6749 6).
            GrantSettings::RefreshToken { token } => tokens.refresh_token = tokens.refresh_token.or(token.clone()),
            _ => {}
        }
        Ok(Granted { tokens, user: User::NotAsked })
    }

    /// Asks for the next access token (RFC 6749 6).
    ///
    /// # Errors
    /// When the grant has ended, or the provider cannot be asked now.
    pub(crate) async fn refresh(&self, refresh_token: &Secret) -> Result<TokenAnswer, Fault> {
        let endpoints = &*self.directory.endpoints().await?;
        let exchange = self.ask(endpoints, |requests| requests.refresh(refresh_token)).await?;
        answer::refresh(&exchange, &self.secrets(&[refresh_token]), self.account.profile.scope_separator())
    }

    /// Revokes the grant (RFC 7009 2.1): by the refresh token, whose end is the end of the grant, and then by the access
    /// token, which some providers let live on.
    ///
    /// # Errors
    /// When the provider refuses, cannot be asked now, or has no revocation endpoint.
    pub(crate) async fn revoke(&self, refresh_token: Option<&Secret>, access_token: &Secret) -> Result<(), Fault> {
        let endpoints = &*self.directory.endpoints().await?;
        let Some(url) = &endpoints.revocation else {
            let message = "The provider has no revocation endpoint.";
            return Err(Fault::ask_user(FaultCode::NotRevoked, message));
        };
        let tokens = refresh_token.map(Revoke::Refresh).into_iter().chain([Revoke::Access(access_token)]);
        let mut outcome = Ok(());
        for token in tokens {
            let exchange = self.ask(endpoints, |requests| requests.revocation(url, token)).await?;
            let (Revoke::Refresh(secret) | Revoke::Access(secret)) = token;
            outcome = outcome.and(answer::revocation(&exchange, &self.secrets(&[secret])));
        }
        outcome
    }

    /// The tokens, with who approved them as far as the account wants to know.
    async fn granted(&self, endpoints: &Endpoints, new: NewTokens, exchange: &Exchange) -> Granted {
        let NewTokens { tokens, id_token } = new;
        let user = if self.account.asks_for_user() {
            let now = exchange.date.unwrap_or_else(|| clock::now().wall);
            match self.user(endpoints, &tokens.access_token, id_token.as_ref(), now).await {
                Ok(user) => User::Known(user),
                Err(fault) => User::Unknown(fault),
            }
        } else {
            User::NotAsked
        };
        Granted { tokens, user }
    }

    /// Who approved: from the ID token, and from userinfo for what that leaves open.
    async fn user(
        &self,
        endpoints: &Endpoints,
        access_token: &Secret,
        id_token: Option<&Secret>,
        now: crate::domain::clock::UnixTime,
    ) -> Result<Identity, Fault> {
        let expected = endpoints.issuer.as_deref().map(|issuer| identity::Expected {
            issuer,
            client_id: &self.account.client.id,
            now,
        });
        let by_token = match (id_token, expected) {
            (Some(token), Some(expected)) => {
                let claims = identity::id_token(token, expected)?;
                Some(claims.identity().ok_or_else(|| identity::unknown("The ID token names no user."))?)
            }
            // Whose word it is cannot be told.
            _ => None,
        };
        let named = self.account.allow.names_addresses();
        let is_enough = |user: &Identity| user.email_verified && (user.name.is_some() || !self.account.identity);
        let by_userinfo = match &endpoints.userinfo {
            Some(url) if !by_token.as_ref().is_some_and(is_enough) => Some(self.userinfo(url, access_token).await),
            _ => None,
        };
        match (by_token, by_userinfo) {
            (Some(user), None) => Ok(user),
            (None, None) => Err(identity::unknown("The provider sent no ID token, and has no userinfo endpoint.")),
            // What the ID token says is enough to tell who it was, if not by the address.
            (Some(user), Some(Err(_))) if user.email_verified || !named => Ok(user),
            (_, Some(Err(fault))) => Err(fault),
            (by_token, Some(Ok(claims))) => {
                let user = claims.identity().ok_or_else(|| identity::unknown("Userinfo names no user."))?;
                identity::merged(by_token, user)
            }
        }
    }

    async fn userinfo(&self, url: &url::Url, access_token: &Secret) -> Result<identity::Claims, Fault> {
        let mut tries = 0;
        loop {
            let request = oauth2::http::Request::get(url.as_str())
                .header(ACCEPT, "application/json")
                .header(AUTHORIZATION, format!("Bearer {}", access_token.expose()))
                .body(Vec::new())
                .map_err(|_| Unbuildable);
            let answer = self.send(request).await.and_then(|exchange| identity::userinfo(&exchange));
            tries += 1;
            match answer {
                Err(_) if tries < USERINFO_TRIES => sleep(USERINFO_WAIT).await,
                Err(fault) if fault.code == FaultCode::IdentityUnknown => return Err(fault),
                Err(fault) => return Err(identity::unknown(fault.message)),
                Ok(claims) => return Ok(claims),
            }
        }
    }

    fn requests<'a>(&'a self, endpoints: &'a Endpoints, secret: usize) -> Requests<'a> {
        Requests { account: &self.account, endpoints, secret }
    }

    /// Asks with the secret that was good last, and with the others only where the provider takes it for none of the
    /// client's: while a secret is replaced, a device has both.
    async fn ask(
        &self,
        endpoints: &Endpoints,
        build: impl Fn(Requests<'_>) -> Result<oauth2::HttpRequest, Unbuildable>,
    ) -> Result<Exchange, Fault> {
        let count = self.account.client.secrets.len().max(1);
        let mut secret = self.secret.load(Ordering::Relaxed);
        let mut tries = 1;
        loop {
            let exchange = self.send(build(self.requests(endpoints, secret))).await?;
            if tries < count && answer::refuses_client(&exchange) {
                secret = (secret + 1) % count;
                tries += 1;
                continue;
            }
            self.secret.store(secret, Ordering::Relaxed);
            if answer::may_have_moved(&exchange) {
                self.directory.may_have_moved();
            }
            return Ok(exchange);
        }
    }

    async fn send(&self, request: Result<oauth2::HttpRequest, Unbuildable>) -> Result<Exchange, Fault> {
        let request = request.map_err(|_| {
            let message =
                "The request cannot be built: an endpoint is no usable address, or the client's key does not sign.";
            Fault::reconfigure(FaultCode::InvalidRequest, message)
        })?;
        self.directory.http().send(request).await
    }

    /// Everything secret that a request carried, so that no error quotes it.
    fn secrets<'a>(&'a self, sent: &[&'a Secret]) -> Vec<&'a Secret> {
        self.account.client.secrets.iter().chain(sent.iter().copied()).collect()
    }
}
