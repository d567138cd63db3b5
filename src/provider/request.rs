//! The requests of OAuth, as the `oauth2` crate builds them.
//!
//! That crate sends a request and reads the answer in one step, and what it reads is stricter than what providers
//! write; it also keeps a body that it could not read, tokens and all, in its error. So each request is built by it,
//! taken from it by a transport that sends nothing, and sent and read in the neighbouring modules.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::http::{self, StatusCode};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, DeviceAuthorizationUrl, HttpRequest,
    HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, ResourceOwnerPassword,
    ResourceOwnerUsername, RevocationUrl, Scope, StandardDeviceAuthorizationResponse, StandardRevocableToken, TokenUrl,
};
use url::Url;
use zeroize::Zeroizing;

use super::assertion;
use super::discovery::Endpoints;
use crate::domain::approval::AuthorizationRequest;
use crate::domain::profile::ClientAuth;
use crate::domain::secret::Secret;
use crate::domain::settings::AccountSettings;

/// A request that cannot even be built: an endpoint is no usable address, or the client's key does not sign.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be built")]
pub(super) struct Unbuildable;

/// Which of the two tokens to revoke (RFC 7009 2.1).
#[derive(Clone, Copy, Debug)]
pub(super) enum Revoke<'a> {
    Refresh(&'a Secret),
    Access(&'a Secret),
}

/// Builds the requests of one account.
#[derive(Clone, Copy)]
pub(super) struct Requests<'a> {
    pub(super) account: &'a AccountSettings,
    pub(super) endpoints: &'a Endpoints,
    /// Which of the client's secrets to show.
    pub(super) secret: usize,
}

/// A client whose endpoints are not yet set, with what it adds to each request.
struct Client<'a> {
    built: BasicClient,
    /// A signed assertion in place of a secret (RFC 7523 2.2).
    assertion: Option<Secret>,
    account: &'a AccountSettings,
}

/// Adds to one of the crate's requests, each of which is a type of its own, what the client adds to all.
macro_rules! authenticated {
    ($request:expr, $client:expr) => {{
        let mut request = $request;
        if let Some(assertion) = &$client.assertion {
            request = request
                .add_extra_param("client_assertion_type", assertion::TYPE)
                .add_extra_param("client_assertion", assertion.expose());
        }
        request
    }};
}

/// Adds the account's scopes and further parameters to one of the crate's requests that begin a sign-in.
macro_rules! with_scopes_and_params {
    ($request:expr, $account:expr) => {{
        let mut request = $request;
        let scopes = $account.scopes.join($account.profile.scope_separator());
        if !scopes.is_empty() {
            request = request.add_scope(Scope::new(scopes));
        }
        for (name, value) in &$account.profile.params {
            request = request.add_extra_param(name, value);
        }
        request
    }};
}

impl<'a> Requests<'a> {
    /// Asks for a device code (RFC 8628 3.1).
    pub(super) fn device_authorization(self, url: &Url) -> Result<HttpRequest, Unbuildable> {
        let client = self.client()?;
        let built = client.built.clone().set_device_authorization_url(DeviceAuthorizationUrl::from_url(url.clone()));
        let request = authenticated!(built.exchange_device_code(), client);
        let request = with_scopes_and_params!(request, client.account);
        captured(|transport| {
            let _: Result<StandardDeviceAuthorizationResponse, _> = request.request(transport);
        })
    }

    /// An address at which a user approves (RFC 6749 4.1.1), with a proof key (RFC 7636 4.2 and 4.3).
    pub(super) fn code_authorization(self, url: &Url, redirect_uri: &Url) -> AuthorizationRequest {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        // As it was registered, to the letter.
        let registered = RedirectUrl::from_url(redirect_uri.clone());
        let client = BasicClient::new(ClientId::new(self.account.client.id.clone()))
            .set_auth_uri(AuthUrl::from_url(url.clone()))
            .set_redirect_uri(registered);
        let request = client.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge);
        let (address, state) = with_scopes_and_params!(request, self.account).url();
        AuthorizationRequest {
            address: address.into(),
            redirect_uri: redirect_uri.as_str().to_owned(),
            state: state.into_secret(),
            code_verifier: Secret::new(verifier.into_secret()),
            // A template is compared with what is in an ID token, which has the claim for it.
            issuer: self.endpoints.issuer.clone().filter(|issuer| !issuer.contains('{')),
            names_issuer: self.endpoints.names_issuer,
        }
    }

    /// Asks whether the user has approved (RFC 8628 3.4).
    pub(super) fn device_access_token(self, device_code: &Secret) -> Result<HttpRequest, Unbuildable> {
        // Only the device code is sent; the crate wants the rest of the answer that it came in.
        let answer = Zeroizing::new(
            serde_json::to_string(&serde_json::json!({
                "device_code": device_code.expose(),
                "user_code": "",
                "verification_uri": "https://localhost/",
                "expires_in": 3600,
            }))
            .map_err(|_| Unbuildable)?,
        );
        let answer: StandardDeviceAuthorizationResponse = serde_json::from_str(&answer).map_err(|_| Unbuildable)?;
        let client = self.client()?;
        let built = client.built.clone().set_token_uri(TokenUrl::from_url(Url::clone(&self.endpoints.token)));
        let request = authenticated!(built.exchange_device_access_token(&answer), client);
        captured(|transport| {
            let _ = request.request(transport, |_: Duration| {}, None);
        })
    }

    /// Asks for the tokens of an authorization code (RFC 6749 4.1.3, RFC 7636 4.5).
    pub(super) fn code_exchange(
        self,
        redirect_uri: &Url,
        code: &Secret,
        code_verifier: &Secret,
    ) -> Result<HttpRequest, Unbuildable> {
        let client = self.client()?;
        let built = client
            .built
            .clone()
            .set_token_uri(TokenUrl::from_url(Url::clone(&self.endpoints.token)))
            .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
        let code = AuthorizationCode::new(code.expose().to_owned());
        let verifier = PkceCodeVerifier::new(code_verifier.expose().to_owned());
        let request = authenticated!(built.exchange_code(code).set_pkce_verifier(verifier), client);
        captured(|transport| {
            let _ = request.request(transport);
        })
    }

    /// Asks for a token in the client's own right (RFC 6749 4.4.2).
    pub(super) fn client_credentials(self) -> Result<HttpRequest, Unbuildable> {
        let client = self.client()?;
        let built = client.built.clone().set_token_uri(TokenUrl::from_url(Url::clone(&self.endpoints.token)));
        let request = authenticated!(built.exchange_client_credentials(), client);
        let request = with_scopes_and_params!(request, client.account);
        captured(|transport| {
            let _ = request.request(transport);
        })
    }

    /// Asks for a token by a user's name and password (RFC 6749 4.3.2).
    pub(super) fn password(self, username: &str, password: &Secret) -> Result<HttpRequest, Unbuildable> {
        let client = self.client()?;
        let built = client.built.clone().set_token_uri(TokenUrl::from_url(Url::clone(&self.endpoints.token)));
        let username = ResourceOwnerUsername::new(username.to_owned());
        let password = ResourceOwnerPassword::new(password.expose().to_owned());
        let request = authenticated!(built.exchange_password(&username, &password), client);
        let request = with_scopes_and_params!(request, client.account);
        captured(|transport| {
            let _ = request.request(transport);
        })
    }

    /// Asks for the next access token (RFC 6749 6). No scope is sent: the new token has those of the old one.
    pub(super) fn refresh(self, refresh_token: &Secret) -> Result<HttpRequest, Unbuildable> {
        let client = self.client()?;
        let built = client.built.clone().set_token_uri(TokenUrl::from_url(Url::clone(&self.endpoints.token)));
        let refresh_token = RefreshToken::new(refresh_token.expose().to_owned());
        let request = authenticated!(built.exchange_refresh_token(&refresh_token), client);
        captured(|transport| {
            let _ = request.request(transport);
        })
    }

    /// Asks to end a token (RFC 7009 2.1).
    pub(super) fn revocation(self, url: &Url, token: Revoke<'_>) -> Result<HttpRequest, Unbuildable> {
        // The crate builds a revocation for https alone. Whether plain HTTP is allowed was decided with the settings,
        // for all endpoints alike, so the address is put in afterwards.
        let stand_in = RevocationUrl::new("https://localhost/".to_owned()).map_err(|_| Unbuildable)?;
        let client = self.client()?;
        let built = client.built.clone().set_revocation_url(stand_in);
        let token = match token {
            Revoke::Refresh(token) => {
                StandardRevocableToken::RefreshToken(RefreshToken::new(token.expose().to_owned()))
            }
            Revoke::Access(token) => {
                StandardRevocableToken::AccessToken(oauth2::AccessToken::new(token.expose().to_owned()))
            }
        };
        let request = authenticated!(built.revoke_token(token).map_err(|_| Unbuildable)?, client);
        let mut request = captured(|transport| {
            let _ = request.request(transport);
        })?;
        *request.uri_mut() = url.as_str().parse().map_err(|_| Unbuildable)?;
        Ok(request)
    }

    fn client(self) -> Result<Client<'a>, Unbuildable> {
        let settings = &self.account.client;
        let client = BasicClient::new(ClientId::new(settings.id.clone()));
        let usual = if settings.key.is_some() { ClientAuth::PrivateKeyJwt } else { self.endpoints.usual_auth };
        let auth = self.account.profile.client_auth.unwrap_or(usual);
        let client = client.set_auth_type(match auth {
            ClientAuth::None | ClientAuth::Post | ClientAuth::PrivateKeyJwt => AuthType::RequestBody,
            ClientAuth::Basic => AuthType::BasicAuth,
        });
        let client = match settings.secrets.get(self.secret) {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None => client,
        };
        let assertion = match (&settings.key, auth) {
            (Some(key), ClientAuth::PrivateKeyJwt) => {
                let audience = self.endpoints.issuer.as_deref().unwrap_or(self.endpoints.token.as_str());
                Some(assertion::sign(key, &settings.id, audience).map_err(|_| Unbuildable)?)
            }
            _ => None,
        };
        Ok(Client { built: client, assertion, account: self.account })
    }
}

type Transport<'a> = dyn Fn(HttpRequest) -> Result<HttpResponse, Infallible> + 'a;

/// Runs `send` with a transport that keeps the request and answers with an error, which ends whatever was begun.
fn captured(send: impl FnOnce(&&Transport<'_>)) -> Result<HttpRequest, Unbuildable> {
    let taken = RefCell::new(None);
    let transport = |request| {
        taken.replace(Some(request));
        let mut refusal = http::Response::new(br#"{"error":"access_denied"}"#.to_vec());
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        Ok(refusal)
    };
    let transport: &Transport<'_> = &transport;
    send(&transport);
    taken.into_inner().ok_or(Unbuildable)
}
