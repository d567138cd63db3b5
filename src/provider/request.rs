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
    AuthType, ClientId, ClientSecret, DeviceAuthorizationUrl, HttpRequest, HttpResponse, RefreshToken, RevocationUrl,
    Scope, StandardDeviceAuthorizationResponse, StandardRevocableToken, TokenUrl,
};
use url::Url;
use zeroize::Zeroizing;

use super::discovery::Endpoints;
use crate::secret::Secret;
use crate::settings::{AccountSettings, ClientAuth};

/// A request that cannot even be built: an endpoint is no usable address.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be built")]
pub(super) struct Unbuildable;

/// Which of the two tokens to revoke (RFC 7009 2.1).
#[derive(Clone, Copy, Debug)]
pub(super) enum Revoke<'a> {
    Refresh(&'a Secret),
    Access(&'a Secret),
}

/// Asks for a device code (RFC 8628 3.1).
pub(super) fn device_authorization(
    account: &AccountSettings,
    endpoints: &Endpoints,
    url: &Url,
) -> Result<HttpRequest, Unbuildable> {
    let client = client(account, endpoints).set_device_authorization_url(DeviceAuthorizationUrl::from_url(url.clone()));
    let scopes = account.scopes.join(&account.scope_separator.to_string());
    let mut request = client.exchange_device_code();
    if !scopes.is_empty() {
        request = request.add_scope(Scope::new(scopes));
    }
    for (name, value) in &account.params {
        request = request.add_extra_param(name, value);
    }
    captured(|transport| {
        let _: Result<StandardDeviceAuthorizationResponse, _> = request.request(transport);
    })
}

/// Asks whether the user has approved (RFC 8628 3.4).
pub(super) fn device_access_token(
    account: &AccountSettings,
    endpoints: &Endpoints,
    device_code: &Secret,
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
    let client = client(account, endpoints).set_token_uri(TokenUrl::from_url(endpoints.token.clone()));
    captured(|transport| {
        let _ = client.exchange_device_access_token(&answer).request(transport, |_: Duration| {}, None);
    })
}

/// Asks for the next access token (RFC 6749 6). No scope is sent: the new token has those of the old one.
pub(super) fn refresh(
    account: &AccountSettings,
    endpoints: &Endpoints,
    refresh_token: &Secret,
) -> Result<HttpRequest, Unbuildable> {
    let client = client(account, endpoints).set_token_uri(TokenUrl::from_url(endpoints.token.clone()));
    let refresh_token = RefreshToken::new(refresh_token.expose().to_owned());
    captured(|transport| {
        let _ = client.exchange_refresh_token(&refresh_token).request(transport);
    })
}

/// Asks to end a token (RFC 7009 2.1).
pub(super) fn revocation(
    account: &AccountSettings,
    endpoints: &Endpoints,
    url: &Url,
    token: Revoke<'_>,
) -> Result<HttpRequest, Unbuildable> {
    // The crate builds a revocation for https alone. Whether plain HTTP is allowed was decided with the settings, for
    // all endpoints alike, so the address is put in afterwards.
    let stand_in = RevocationUrl::new("https://localhost/".to_owned()).map_err(|_| Unbuildable)?;
    let client = client(account, endpoints).set_revocation_url(stand_in);
    let token = match token {
        Revoke::Refresh(token) => StandardRevocableToken::RefreshToken(RefreshToken::new(token.expose().to_owned())),
        Revoke::Access(token) => {
            StandardRevocableToken::AccessToken(oauth2::AccessToken::new(token.expose().to_owned()))
        }
    };
    let request = client.revoke_token(token).map_err(|_| Unbuildable)?;
    let mut request = captured(|transport| {
        let _ = request.request(transport);
    })?;
    *request.uri_mut() = url.as_str().parse().map_err(|_| Unbuildable)?;
    Ok(request)
}

fn client(account: &AccountSettings, endpoints: &Endpoints) -> BasicClient {
    let client = BasicClient::new(ClientId::new(account.client.id.clone()));
    let auth_type = match account.client.auth.unwrap_or(endpoints.usual_auth) {
        ClientAuth::None | ClientAuth::Post => AuthType::RequestBody,
        ClientAuth::Basic => AuthType::BasicAuth,
    };
    let client = client.set_auth_type(auth_type);
    match &account.client.secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
        None => client,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::tests::{account, endpoints};

    fn body(request: &HttpRequest) -> String {
        String::from_utf8(request.body().clone()).unwrap()
    }

    #[test]
    fn a_device_request_names_the_client_the_scopes_and_the_further_parameters() {
        let mut account = account();
        account.params.insert("audience".to_owned(), "https://api.example.com".to_owned());
        let endpoints = endpoints();
        let url = endpoints.device_authorization.clone().unwrap();
        let request = device_authorization(&account, &endpoints, &url).unwrap();
        assert_eq!(request.uri(), "https://provider.example/device");
        assert_eq!(
            body(&request),
            "scope=openid+email&client_id=the-client&client_secret=hunter2&audience=https%3A%2F%2Fapi.example.com"
        );
        assert_eq!(request.headers()["accept"], "application/json");
    }

    #[test]
    fn scopes_are_separated_as_the_provider_wants() {
        let mut account = account();
        account.scope_separator = ',';
        let endpoints = endpoints();
        let url = endpoints.device_authorization.clone().unwrap();
        assert!(body(&device_authorization(&account, &endpoints, &url).unwrap()).contains("scope=openid%2Cemail&"));
    }

    #[test]
    fn a_poll_carries_the_grant_type_and_the_device_code() {
        let request = device_access_token(&account(), &endpoints(), &Secret::new("d\"c".to_owned())).unwrap();
        assert_eq!(
            body(&request),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=d%22c\
             &client_id=the-client&client_secret=hunter2"
        );
    }

    #[test]
    fn basic_authentication_keeps_the_secret_out_of_the_body() {
        let mut account = account();
        account.client.auth = Some(ClientAuth::Basic);
        let request = refresh(&account, &endpoints(), &Secret::new("r1".to_owned())).unwrap();
        assert_eq!(body(&request), "grant_type=refresh_token&refresh_token=r1");
        assert!(request.headers().contains_key("authorization"));
    }

    #[test]
    fn a_revocation_goes_to_the_endpoint_even_on_loopback() {
        let url: Url = "http://127.0.0.1:9/revoke".parse().unwrap();
        let token = Secret::new("r1".to_owned());
        let request = revocation(&account(), &endpoints(), &url, Revoke::Refresh(&token)).unwrap();
        assert_eq!(request.uri(), "http://127.0.0.1:9/revoke");
        assert!(body(&request).starts_with("token=r1&token_type_hint=refresh_token"));
    }
}
