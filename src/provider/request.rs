//! The requests of OAuth, as the `oauth2` crate builds them.
//!
//! That crate sends a request and reads the answer in one step, and what it reads is stricter than what providers
//! write; it also keeps a body that it could not read, tokens and all, in its error. So each request is built by it,
//! taken from it by a transport that sends nothing, and sent and read in the neighbouring modules.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::basic::BasicClient;
use oauth2::http::header::{AUTHORIZATION, HeaderValue};
use oauth2::http::{self, StatusCode};
use oauth2::{
    AuthType, AuthorizationCode, ClientId, CsrfToken, DeviceAuthorizationUrl, HttpRequest, HttpResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, ResourceOwnerPassword, ResourceOwnerUsername,
    RevocationUrl, Scope, StandardDeviceAuthorizationResponse, StandardRevocableToken, TokenUrl,
};
use sha2::{Digest, Sha256};
use url::Url;
use zeroize::Zeroizing;

use super::assertion;
use super::credential::Credential;
use super::discovery::Endpoints;
use super::parameters::{Parameters, Unbuildable};
use crate::domain::approval::AuthorizationRequest;
use crate::domain::jwt_bearer::JwtBearer;
use crate::domain::profile::{ClientAuth, Pkce, RequestKind};
use crate::domain::secret::Secret;
use crate::domain::settings::AccountSettings;
use crate::domain::token_target::TokenTarget;

/// The grant type of a signed assertion (RFC 7523 2.1).
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

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
    /// The client authentication.
    pub(super) credential: Credential,
}

/// Adds the account's scopes to one of the crate's requests that begin a sign-in.
macro_rules! with_scopes {
    ($request:expr, $requests:expr) => {{
        let scopes = $requests.scopes();
        if scopes.is_empty() { $request } else { $request.add_scope(Scope::new(scopes)) }
    }};
}

impl Requests<'_> {
    /// Asks for a device code (RFC 8628 3.1), with the challenge of `code_verifier` where the provider wants one.
    pub(super) fn device_authorization(
        self,
        url: &Url,
        code_verifier: Option<&Secret>,
    ) -> Result<HttpRequest, Unbuildable> {
        let built = self.client().set_device_authorization_url(DeviceAuthorizationUrl::from_url(url.clone()));
        let request = with_scopes!(built.exchange_device_code(), self);
        let request = captured(|transport| {
            let _: Result<StandardDeviceAuthorizationResponse, _> = request.request(transport);
        })?;
        let challenge = |parameters: &mut Parameters| {
            if let Some(code_verifier) = code_verifier {
                add_challenge(parameters, self.account.profile.device_pkce(), code_verifier);
            }
        };
        self.finished_with(RequestKind::DeviceAuthorization, request, &challenge, &|parameters| {
            parameters.add_resources(self.account.tokens.values());
        })
    }

    /// An address at which a user approves (RFC 6749 4.1.1), with a proof key (RFC 7636 4.2 and 4.3).
    pub(super) fn authorization(self, url: &Url, redirect_uri: &str) -> AuthorizationRequest {
        let profile = &self.account.profile;
        let code_verifier = new_code_verifier();
        let state = CsrfToken::new_random();
        let mut own = Parameters::of_form(b"");
        own.set("response_type", profile.response_type.as_deref().unwrap_or("code"));
        own.set("client_id", &self.account.client.id);
        own.set("state", state.secret());
        add_challenge(&mut own, profile.pkce(), &code_verifier);
        own.set("redirect_uri", redirect_uri);
        let scopes = self.scopes();
        if !scopes.is_empty() {
            own.set("scope", &scopes);
        }
        if has_nonce(self.account) {
            own.set("nonce", &nonce(&code_verifier));
        }
        // Without a new consent, a server need not give a refresh token (OpenID Connect Core 11).
        let is_offline = self.account.scopes.iter().any(|scope| scope == "offline_access");
        let prompt = profile.prompt.as_deref().or(is_offline.then_some("consent"));
        if let Some(prompt) = prompt.filter(|prompt| !prompt.is_empty()) {
            own.set("prompt", prompt);
        }
        own.add_further(RequestKind::Authorization, profile);
        own.add_resources(self.account.tokens.values());
        AuthorizationRequest {
            address: own.into_address(url, profile),
            redirect_uri: redirect_uri.to_owned(),
            state: state.into_secret(),
            code_verifier,
            // A template is compared with what is in an ID token, which has the claim for it.
            issuer: self.endpoints.issuer_name().map(str::to_owned),
            names_issuer: self.endpoints.names_issuer,
        }
    }

    /// Asks whether the user has approved (RFC 8628 3.4).
    pub(super) fn device_access_token(
        self,
        device_code: &Secret,
        further: &BTreeMap<String, Secret>,
    ) -> Result<HttpRequest, Unbuildable> {
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
        let url = self.account.endpoints.device_token.as_ref().unwrap_or(&self.endpoints.token);
        let built = self.client().set_token_uri(TokenUrl::from_url(Url::clone(url)));
        let request = built.exchange_device_access_token(&answer);
        let request = captured(|transport| {
            let _ = request.request(transport, |_: Duration| {}, None);
        })?;
        self.finished(RequestKind::DevicePoll, request, &|parameters| {
            for (name, value) in further {
                parameters.set(name, value.expose());
            }
        })
    }

    /// Asks for the tokens of an authorization code (RFC 6749 4.1.3, RFC 7636 4.5).
    pub(super) fn code_exchange(
        self,
        redirect_uri: &str,
        code: &Secret,
        code_verifier: &Secret,
    ) -> Result<HttpRequest, Unbuildable> {
        // As it was registered, letter by letter.
        let redirect_uri = RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| Unbuildable)?;
        let token_url = TokenUrl::from_url(Url::clone(&self.endpoints.token));
        let built = self.client().set_token_uri(token_url).set_redirect_uri(redirect_uri);
        let mut request = built.exchange_code(AuthorizationCode::new(code.expose().to_owned()));
        if self.account.profile.pkce() != Pkce::Off {
            request = request.set_pkce_verifier(PkceCodeVerifier::new(code_verifier.expose().to_owned()));
        }
        let request = captured(|transport| {
            let _ = request.request(transport);
        })?;
        self.finished(RequestKind::CodeExchange, request, &|_| {})
    }

    /// Asks for a token in the client's own right (RFC 6749 4.4.2).
    pub(super) fn client_credentials(self) -> Result<HttpRequest, Unbuildable> {
        self.finished(RequestKind::ClientCredentials, self.in_own_right()?, &|_| {})
    }

    /// Asks for a token by a signed assertion (RFC 7523 2.1).
    pub(super) fn jwt_bearer(self, bearer: &JwtBearer, assertion: &Secret) -> Result<HttpRequest, Unbuildable> {
        // The crate has no such grant, which differs from that of the client in these parameters alone.
        self.finished(RequestKind::JwtBearer, self.in_own_right()?, &|parameters| {
            parameters.set("grant_type", JWT_BEARER);
            parameters.set("assertion", assertion.expose());
            if assertion::scopes_are_a_claim(bearer, &self.account.profile) {
                parameters.remove("scope");
            }
        })
    }

    fn in_own_right(self) -> Result<HttpRequest, Unbuildable> {
        let built = self.client().set_token_uri(TokenUrl::from_url(Url::clone(&self.endpoints.token)));
        let request = with_scopes!(built.exchange_client_credentials(), self);
        captured(|transport| {
            let _ = request.request(transport);
        })
    }

    /// Asks for a token by a user's name and password (RFC 6749 4.3.2).
    pub(super) fn password(self, username: &str, password: &Secret) -> Result<HttpRequest, Unbuildable> {
        let built = self.client().set_token_uri(TokenUrl::from_url(Url::clone(&self.endpoints.token)));
        let username = ResourceOwnerUsername::new(username.to_owned());
        let password = ResourceOwnerPassword::new(password.expose().to_owned());
        let request = with_scopes!(built.exchange_password(&username, &password), self);
        let request = captured(|transport| {
            let _ = request.request(transport);
        })?;
        self.finished(RequestKind::Password, request, &|_| {})
    }

    /// Asks for the next access token (RFC 6749 6). No scope is sent unless the provider wants it: the new token has those
    /// of the old one. A `target` is that of a further token.
    pub(super) fn refresh(
        self,
        refresh_token: &Secret,
        target: Option<&TokenTarget>,
    ) -> Result<HttpRequest, Unbuildable> {
        let built = self.client().set_token_uri(TokenUrl::from_url(Url::clone(&self.endpoints.token)));
        let refresh_token = RefreshToken::new(refresh_token.expose().to_owned());
        let request = built.exchange_refresh_token(&refresh_token);
        let request = captured(|transport| {
            let _ = request.request(transport);
        })?;
        let own_scope = |parameters: &mut Parameters| {
            if self.account.profile.scope_at_refresh == Some(true) && !self.account.scopes.is_empty() {
                parameters.set("scope", &self.scopes());
            }
        };
        self.finished_with(RequestKind::Refresh, request, &own_scope, &|parameters| {
            if let Some(target) = target {
                parameters.ask_for(target, self.account.profile.scope_separator());
            }
        })
    }

    /// Asks to end a token (RFC 7009 2.1).
    pub(super) fn revocation(self, url: &Url, token: Revoke<'_>) -> Result<HttpRequest, Unbuildable> {
        // The crate builds a revocation for https alone. Whether plain HTTP is allowed was decided with the settings,
        // for all endpoints alike, so the address is put in afterwards.
        let stand_in = RevocationUrl::new("https://localhost/".to_owned()).map_err(|_| Unbuildable)?;
        let built = self.client().set_revocation_url(stand_in);
        let token = match token {
            Revoke::Refresh(token) => {
                StandardRevocableToken::RefreshToken(RefreshToken::new(token.expose().to_owned()))
            }
            Revoke::Access(token) => {
                StandardRevocableToken::AccessToken(oauth2::AccessToken::new(token.expose().to_owned()))
            }
        };
        let request = built.revoke_token(token).map_err(|_| Unbuildable)?;
        let mut request = captured(|transport| {
            let _ = request.request(transport);
        })?;
        *request.uri_mut() = url.as_str().parse().map_err(|_| Unbuildable)?;
        self.finished(RequestKind::Revocation, request, &|_| {})
    }

    /// Makes of a request as the standards have it the one that this provider wants.
    fn finished(
        self,
        kind: RequestKind,
        request: HttpRequest,
        change: &Change<'_>,
    ) -> Result<HttpRequest, Unbuildable> {
        self.finished_with(kind, request, change, &|_| {})
    }

    /// The same with a change before the profile's further parameters and one after them.
    fn finished_with(
        self,
        kind: RequestKind,
        request: HttpRequest,
        change: &Change<'_>,
        last: &Change<'_>,
    ) -> Result<HttpRequest, Unbuildable> {
        let profile = &self.account.profile;
        let (mut parts, body) = request.into_parts();
        let mut parameters = Parameters::of_form(&body);
        change(&mut parameters);
        self.authenticate(&mut parameters, &parts.uri.to_string())?;
        if let Some(value) = self.credential.authorization(self.account) {
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| Unbuildable)?;
            value.set_sensitive(true);
            parts.headers.insert(AUTHORIZATION, value);
        }
        parameters.add_further(kind, profile);
        last(&mut parameters);
        parameters.into_request(parts, profile)
    }

    /// Adds what shows who the client is, where that is in the parameters of a request to the address `requested`.
    fn authenticate(self, parameters: &mut Parameters, requested: &str) -> Result<(), Unbuildable> {
        let client = &self.account.client;
        let auth = self.credential.auth;
        if !self.credential.names_client(self.account) {
            parameters.remove("client_id");
        }
        if let Some(secret) = self.credential.secret(self.account).filter(|_| auth == ClientAuth::Post) {
            parameters.set_after("client_id", "client_secret", secret.expose());
        }
        if let Some(key) = client.key.as_ref().filter(|_| auth == ClientAuth::PrivateKeyJwt) {
            let assertion = assertion::of_client(key, &client.id, requested, self.endpoints, &self.account.profile);
            parameters.set("client_assertion_type", assertion::TYPE);
            parameters.set("client_assertion", assertion.map_err(|_| Unbuildable)?.expose());
        }
        Ok(())
    }

    /// A client that shows nothing but its name: how it authenticates is added afterwards, in every way that there is.
    fn client(self) -> BasicClient {
        BasicClient::new(ClientId::new(self.account.client.id.clone())).set_auth_type(AuthType::RequestBody)
    }

    fn scopes(self) -> String {
        self.account.scopes.join(self.account.profile.scope_separator())
    }
}

/// A proof key for one code (RFC 7636 4.1).
pub(super) fn new_code_verifier() -> Secret {
    let (_, verifier) = PkceCodeChallenge::new_random_sha256();
    Secret::new(verifier.into_secret())
}

/// Returns whether an authorization request has a nonce, which the ID token repeats (OpenID Connect Core 3.1.2.1).
pub(super) fn has_nonce(account: &AccountSettings) -> bool {
    account.profile.nonce() && account.scopes.iter().any(|scope| scope == "openid")
}

/// The nonce that goes with a code verifier: derived from it, so that nothing more has to be kept until the code is
/// exchanged.
pub(super) fn nonce(code_verifier: &Secret) -> String {
    let digest = Sha256::new().chain_update("nonce ").chain_update(code_verifier.expose()).finalize();
    URL_SAFE_NO_PAD.encode(digest)
}

fn add_challenge(parameters: &mut Parameters, method: Pkce, code_verifier: &Secret) {
    match method {
        Pkce::Off => {}
        Pkce::Plain => {
            parameters.set("code_challenge", code_verifier.expose());
            parameters.set("code_challenge_method", "plain");
        }
        Pkce::S256 => {
            parameters.set("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(code_verifier.expose())));
            parameters.set("code_challenge_method", "S256");
        }
    }
}

/// A change of a request's parameters; behind a pointer, or all that is common to requests is compiled once for each kind.
type Change<'a> = dyn Fn(&mut Parameters) + 'a;

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
