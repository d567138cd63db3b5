//! The one place that speaks OAuth and HTTP: asks a provider, and tells what it answered.
//!
//! It keeps nothing but the endpoints it found, for a day at most, and once for all accounts that have the same. What an answer
//! means for a sign-in is for the session to decide.

mod answer;
mod approver;
mod assertion;
mod body;
mod compression;
mod credential;
mod directory;
mod discovery;
mod endpoint_query;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod http;
mod identity;
mod jwt;
mod lifetime;
mod metadata;
mod parameters;
mod probe;
mod quotation;
mod refusal;
mod request;
mod transport;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::approval::{Approval, Authorization};
use crate::domain::fault::{Fault, FaultCode, Remedy};
use crate::domain::profile::{ClientAuth, Pkce, RequestKind, RevokedToken};
use crate::domain::redirection::RedirectedCode;
use crate::domain::secret::Secret;
use crate::domain::settings::{AccountSettings, GrantSettings};
use crate::domain::token::{Granted, PollAnswer, User};
use crate::domain::token_name::TokenName;
use answer::Polled;
pub(crate) use answer::Refreshed;
use credential::{Credential, credentials};
pub(crate) use directory::Directory;
use discovery::Endpoints;
pub(crate) use endpoint_query::EndpointQuery;
use http::Exchange;
pub(crate) use http::Http;
use parameters::Unbuildable;
use refusal::RequestContext;
use request::{Requests, Revoke};

/// The provider of one account.
#[derive(Debug)]
pub(crate) struct Provider {
    account: Arc<AccountSettings>,
    directory: Arc<Directory>,
    turns: Arc<Semaphore>,
    memory: Mutex<Memory>,
}

/// Facts from earlier answers, remembered until the process ends.
#[derive(Debug, Default)]
struct Memory {
    /// The client authentication that the provider last accepted.
    credential: Option<Credential>,
}

/// Builds a request; behind a pointer, or all of [`Provider::ask`] is compiled once for each kind.
type BuildRequest<'a> = dyn Fn(Requests<'_>) -> Result<oauth2::HttpRequest, Unbuildable> + Sync + 'a;

impl Provider {
    /// The provider that `account` names, where `directory` finds it; `turns` are how many may ask it at a time. Nothing is asked
    /// yet.
    #[must_use]
    pub(crate) fn new(account: Arc<AccountSettings>, directory: Arc<Directory>, turns: Arc<Semaphore>) -> Self {
        Self { account, directory, turns, memory: Mutex::default() }
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
            let credential = Credential { auth: ClientAuth::None, secret: None };
            let request = Requests { account: &self.account, endpoints, credential }.authorization(url, redirect_uri);
            return Ok(Authorization { approval: Approval::Redirect(request), expires_in: None });
        }
        let url = endpoints.device_authorization.as_ref().ok_or_else(|| missing("a device authorization"))?;
        let code_verifier = (self.account.profile.device_pkce() != Pkce::Off).then(request::new_code_verifier);
        let build = |requests: Requests<'_>| requests.device_authorization(url, code_verifier.as_ref());
        let exchange = self.ask(endpoints, RequestKind::DeviceAuthorization, &build);
        let sent = self.secrets(code_verifier.as_ref());
        let mut authorization =
            answer::device_authorization(&exchange.await?, self.asked(RequestKind::DeviceAuthorization, &sent))?;
        if let (Approval::Device(device), Some(code_verifier)) = (&mut authorization.approval, code_verifier) {
            device.poll_parameters.insert("code_verifier".to_owned(), code_verifier);
        }
        Ok(authorization)
    }

    /// Asks whether the user has approved (RFC 8628 3.4); `further` are the parameters that the code came with.
    ///
    /// # Errors
    /// When the sign-in has ended, or the provider cannot be asked now.
    pub(crate) async fn poll(
        &self,
        device_code: &Secret,
        further: &BTreeMap<String, Secret>,
    ) -> Result<PollAnswer, Fault> {
        let endpoints = &*self.directory.endpoints().await?;
        let build = |requests: Requests<'_>| requests.device_access_token(device_code, further);
        let exchange = self.ask(endpoints, RequestKind::DevicePoll, &build).await?;
        let sent = self.secrets([device_code].into_iter().chain(further.values()));
        let polled = answer::poll(&exchange, self.asked(RequestKind::DevicePoll, &sent));
        match polled.map_err(|fault| endpoints.explain(fault))? {
            Polled::NotYet(answer) => Ok(answer),
            Polled::Granted(new) => Ok(PollAnswer::Granted(self.granted(endpoints, new, &exchange, None).await)),
        }
    }

    /// Asks for the tokens of an authorization code (RFC 6749 4.1.3).
    ///
    /// # Errors
    /// When the provider refuses, or cannot be asked now, or the ID token is of another sign-in.
    pub(crate) async fn exchange(&self, code: &RedirectedCode, code_verifier: &Secret) -> Result<Granted, Fault> {
        let endpoints = &*self.directory.endpoints().await?;
        let GrantSettings::AuthorizationCode { redirect_uri } = &self.account.grant else {
            return Err(Fault::ask_user(FaultCode::RedirectInvalid, "The account has another grant by now."));
        };
        let RedirectedCode { code, further } = code;
        let build = |requests: Requests<'_>| requests.code_exchange(redirect_uri, code, code_verifier);
        let exchange = self.ask(endpoints, RequestKind::CodeExchange, &build).await?;
        let sent = self.secrets([code, code_verifier]);
        let new = answer::token(&exchange, self.asked(RequestKind::CodeExchange, &sent));
        let mut new = new.map_err(|fault| endpoints.explain(fault))?;
        new.tokens.extra.extend(answer::redirect_extra(further, &self.account.profile, &sent));
        let nonce = request::has_nonce(&self.account).then(|| request::nonce(code_verifier));
        if new.id_token.as_ref().is_some_and(|token| identity::is_of_another(token, nonce.as_deref())) {
            let message = "The ID token is the answer to another sign-in (its nonce differs).";
            return Err(Fault::ask_user(FaultCode::RedirectInvalid, message));
        }
        Ok(self.granted(endpoints, new, &exchange, nonce.as_deref()).await)
    }

    /// Asks for tokens by what the configuration itself holds.
    ///
    /// # Errors
    /// When the provider refuses, or cannot be asked now.
    pub(crate) async fn obtain(&self) -> Result<Granted, Fault> {
        let endpoints = &*self.directory.endpoints().await?;
        let (kind, exchange, secret) = match &self.account.grant {
            GrantSettings::ClientCredentials => {
                let kind = RequestKind::ClientCredentials;
                let build = |requests: Requests<'_>| requests.client_credentials();
                (kind, self.ask(endpoints, kind, &build).await?, None)
            }
            GrantSettings::JwtBearer(bearer) => {
                let (kind, profile) = (RequestKind::JwtBearer, &self.account.profile);
                let assertion = assertion::of_grant(bearer, &self.account.scopes, endpoints, profile);
                let assertion = assertion.map_err(|_| unbuildable())?;
                let build = |requests: Requests<'_>| requests.jwt_bearer(bearer, &assertion);
                (kind, self.ask(endpoints, kind, &build).await?, Some(assertion))
            }
            GrantSettings::Password { username, password } => {
                let build = |requests: Requests<'_>| requests.password(username, password);
                let exchange = self.ask(endpoints, RequestKind::Password, &build).await?;
                (RequestKind::Password, exchange, Some(password.clone()))
            }
            GrantSettings::RefreshToken { token: Some(token) } => {
                let build = |requests: Requests<'_>| requests.refresh(token, None);
                let exchange = self.ask(endpoints, RequestKind::Refresh, &build).await?;
                (RequestKind::Refresh, exchange, Some(token.clone()))
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
        let sent = self.secrets(secret.as_ref());
        let new = answer::token(&exchange, self.asked(kind, &sent));
        let mut tokens = new.map_err(|fault| self.without_user(endpoints.explain(fault)))?.tokens;
        match &self.account.grant {
            // The client needs none (RFC 6749 4.4.3).
            GrantSettings::ClientCredentials | GrantSettings::JwtBearer(_) => tokens.refresh_token = None,
            // What is absent stays as it was (RFC 6749 6).
            GrantSettings::RefreshToken { token } => tokens.refresh_token = tokens.refresh_token.or(token.clone()),
            _ => {}
        }
        Ok(Granted { tokens, user: User::NotAsked })
    }

    /// The same fault; where a client signs in for itself, there is no user to ask. A password is not tried again, as its user
    /// may be locked out.
    fn without_user(&self, fault: Fault) -> Fault {
        match (&self.account.grant, fault.remedy) {
            (GrantSettings::ClientCredentials | GrantSettings::JwtBearer(_), Remedy::AskUser) => {
                Fault { remedy: Remedy::Reconfigure, ..fault }
            }
            _ => fault,
        }
    }

    /// Asks for the next access token (RFC 6749 6), the account's own or a further one of this
    /// name; `is_first` if none of this sign-in has succeeded yet.
    ///
    /// # Errors
    /// When the grant has ended, or the provider cannot be asked now.
    pub(crate) async fn refresh(
        &self,
        refresh_token: &Secret,
        token: Option<&TokenName>,
        is_first: bool,
    ) -> Result<Refreshed, Fault> {
        let target = token.and_then(|name| self.account.tokens.get(name));
        if token.is_some() && target.is_none() {
            let message = "The account has no further token of that name by now.";
            return Err(Fault::reconfigure(FaultCode::InvalidRequest, message));
        }
        let endpoints = &*self.directory.endpoints().await?;
        let build = |requests: Requests<'_>| requests.refresh(refresh_token, target);
        let exchange = self.ask(endpoints, RequestKind::Refresh, &build).await?;
        let sent = self.secrets([refresh_token]);
        let refreshed = answer::refresh(&exchange, self.asked(RequestKind::Refresh, &sent));
        // What was refreshed before is not bound.
        refreshed.map_err(|fault| if is_first { endpoints.explain(fault) } else { fault })
    }

    /// Revokes the grant (RFC 7009 2.1): by the refresh token, whose end is the end of the grant, and then by the access
    /// tokens, which some providers let live on; or as the profile says.
    ///
    /// # Errors
    /// When the provider refuses, cannot be asked now, or has no revocation endpoint.
    pub(crate) async fn revoke(&self, refresh_token: Option<&Secret>, access_tokens: &[Secret]) -> Result<(), Fault> {
        let endpoints = &*self.directory.endpoints().await?;
        let Some(url) = &endpoints.revocation else {
            let message = "The provider has no revocation endpoint.";
            return Err(Fault::ask_user(FaultCode::NotRevoked, message));
        };
        let mut grant_has_ended = false;
        let mut outcome = Ok(());
        let tokens = self.account.profile.revoke().iter().flat_map(|kind| match kind {
            RevokedToken::RefreshToken => refresh_token.into_iter().map(Revoke::Refresh).collect::<Vec<_>>(),
            RevokedToken::AccessToken => access_tokens.iter().map(Revoke::Access).collect(),
        });
        for token in tokens {
            let (Revoke::Refresh(secret) | Revoke::Access(secret)) = token;
            let build = |requests: Requests<'_>| requests.revocation(url, token);
            let exchange = self.ask(endpoints, RequestKind::Revocation, &build).await?;
            let sent = self.secrets([secret]);
            match answer::revocation(&exchange, self.asked(RequestKind::Revocation, &sent)) {
                Ok(()) => grant_has_ended |= matches!(token, Revoke::Refresh(_)),
                // What was the grant's has ended with it, and a good server may say that there is no such token.
                Err(fault) if grant_has_ended && !matches!(fault.remedy, Remedy::TryAgain { .. }) => {}
                Err(fault) => outcome = outcome.and(Err(fault)),
            }
        }
        outcome
    }

    /// Asks in the way that the provider took last, and in the others only where it does not take this client so: while a
    /// secret is replaced, a device has both, and a provider may list several ways of which a client is registered for one.
    async fn ask(&self, endpoints: &Endpoints, kind: RequestKind, build: &BuildRequest<'_>) -> Result<Exchange, Fault> {
        let mut credentials = credentials(&self.account, endpoints);
        let remembered = self.memory().credential;
        if let Some(at) = credentials.iter().position(|credential| Some(*credential) == remembered) {
            credentials.rotate_left(at);
        }
        let last = credentials.len() - 1;
        for (tries, credential) in credentials.iter().copied().enumerate() {
            let exchange = self.send(build(Requests { account: &self.account, endpoints, credential })).await?;
            let refused = answer::refuses_client(&exchange, self.asked(kind, &[]));
            if refused && tries < last {
                continue;
            }
            if !refused {
                self.remember(credential, tries > 0);
            }
            if answer::may_have_moved(&exchange) {
                self.directory.may_have_moved();
            }
            return Ok(exchange);
        }
        Err(unbuildable())
    }

    fn remember(&self, credential: Credential, is_another: bool) {
        self.memory().credential = Some(credential);
        if is_another {
            tracing::info!(
                provider = self.account.provider,
                client_auth = credential.auth.name(),
                "the provider takes the client in another way or with another secret than tried first; client_auth says \
                 which way is tried"
            );
        }
    }

    async fn send(&self, request: Result<oauth2::HttpRequest, Unbuildable>) -> Result<Exchange, Fault> {
        self.directory.http().send(request.map_err(|_| unbuildable())?).await
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic elsewhere leaves nothing half-done in it.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked<'a>(&'a self, kind: RequestKind, sent: &'a [&'a Secret]) -> RequestContext<'a> {
        RequestContext { kind, profile: &self.account.profile, sent }
    }

    /// Everything secret that a request carried, so that no error quotes it.
    fn secrets<'a>(&'a self, sent: impl IntoIterator<Item = &'a Secret>) -> Vec<&'a Secret> {
        self.account.client.secrets.iter().chain(sent).collect()
    }
}

fn unbuildable() -> Fault {
    let message = "The request cannot be built: an endpoint is no usable address, or the client's key does not sign.";
    Fault::reconfigure(FaultCode::InvalidRequest, message)
}
