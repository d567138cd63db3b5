//! Where a provider's endpoints are: as configured, or as its metadata says (RFC 8414, OpenID Connect Discovery 1.0).

use std::sync::Arc;

use oauth2::http;
use serde::Deserialize;
use url::Url;

use super::endpoint_query::{EndpointQuery, SignInEndpoint};
use super::http::{Exchange, Http};
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::loopback::leads_to_loopback;
use crate::domain::profile::ClientAuth;
use crate::domain::settings::EndpointSettings;
use crate::domain::text::printable;

/// The endpoints of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoints {
    pub(super) device_authorization: Option<Arc<Url>>,
    pub(super) authorization: Option<Arc<Url>>,
    pub(super) token: Arc<Url>,
    pub(super) revocation: Option<Arc<Url>>,
    pub(super) userinfo: Option<Arc<Url>>,
    /// The issuer to the letter, where it is known; `{tid}` in it stands for the claim of that name.
    pub(super) issuer: Option<String>,
    /// Whether a redirection names the issuer that sent it (RFC 9207 3).
    pub(super) names_issuer: bool,
    /// How a client with a secret authenticates here, where the configuration does not say.
    pub(super) usual_auth: ClientAuth,
}

/// What is used of the metadata (RFC 8414 2).
#[derive(Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    token_endpoint: Option<Url>,
    device_authorization_endpoint: Option<Url>,
    authorization_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
    userinfo_endpoint: Option<Url>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Finds the endpoints, asking the issuer only for what the configuration leaves open.
pub(super) async fn endpoints(query: &EndpointQuery, http: &Http) -> Result<Endpoints, Fault> {
    let named = EndpointSettings::clone(&query.endpoints);
    let Some(issuer) = &named.issuer else {
        return Ok(Endpoints {
            device_authorization: named.device_authorization,
            authorization: named.authorization,
            token: named.token.ok_or_else(|| unusable("The configuration names no token endpoint."))?,
            revocation: named.revocation,
            userinfo: named.userinfo,
            issuer: named.id_token_issuer,
            names_issuer: false,
            usual_auth: ClientAuth::Post,
        });
    };
    let metadata = metadata(issuer, |metadata| has_what_is_needed(query, metadata), http).await?;
    let choose = |named: Option<Arc<Url>>, found: Option<Url>, what: &str| match (named, found) {
        (Some(url), _) => Ok(Some(url)),
        (None, Some(url)) if may_be_used(&url, query.allow_http) => Ok(Some(Arc::new(url))),
        (None, Some(_)) => Err(unusable(format!("The issuer's metadata names a {what} endpoint that is not https."))),
        (None, None) => Ok(None),
    };
    let token = choose(named.token, metadata.token_endpoint, "token")?;
    Ok(Endpoints {
        device_authorization: choose(
            named.device_authorization,
            metadata.device_authorization_endpoint,
            "device authorization",
        )?,
        authorization: choose(named.authorization, metadata.authorization_endpoint, "authorization")?,
        token: token.ok_or_else(|| unusable("The issuer's metadata names no token endpoint."))?,
        revocation: choose(named.revocation, metadata.revocation_endpoint, "revocation")?,
        userinfo: choose(named.userinfo, metadata.userinfo_endpoint, "userinfo")?,
        issuer: Some(metadata.issuer),
        names_issuer: metadata.authorization_response_iss_parameter_supported,
        usual_auth: usual_auth(metadata.token_endpoint_auth_methods_supported.as_deref()),
    })
}

/// Whether the metadata has the endpoint that the account's sign-in begins at, where the configuration does not.
fn has_what_is_needed(query: &EndpointQuery, metadata: &Metadata) -> bool {
    let named = &query.endpoints;
    match query.begins_at {
        SignInEndpoint::DeviceAuthorization => {
            named.device_authorization.is_some() || metadata.device_authorization_endpoint.is_some()
        }
        SignInEndpoint::Authorization => named.authorization.is_some() || metadata.authorization_endpoint.is_some(),
        SignInEndpoint::Token => named.token.is_some() || metadata.token_endpoint.is_some(),
    }
}

/// A secret goes into the body where the issuer takes it so, because some that list both ways read only the body.
fn usual_auth(supported: Option<&[String]>) -> ClientAuth {
    let supports = |method: &str| supported.is_some_and(|methods| methods.iter().any(|name| name == method));
    // Left out means client_secret_basic (RFC 8414 2).
    if supports("client_secret_post") || (supported.is_some() && !supports("client_secret_basic")) {
        ClientAuth::Post
    } else {
        ClientAuth::Basic
    }
}

/// Whether tokens may be sent there.
fn may_be_used(url: &Url, allow_http: bool) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && (allow_http || leads_to_loopback(url)))
}

async fn metadata(issuer: &Url, is_enough: impl Fn(&Metadata) -> bool, http: &Http) -> Result<Metadata, Fault> {
    let mut found = None;
    let mut last = unusable("The issuer has no metadata at any well-known address.");
    for url in well_known(issuer) {
        let request = http::Request::get(url.as_str()).header(http::header::ACCEPT, "application/json");
        let request = request.body(Vec::new()).map_err(|_| unusable("The issuer is no usable address."))?;
        match read(&http.send(request).await?, issuer) {
            // A server may tell its OpenID clients less than its OAuth clients.
            Ok(Some(metadata)) if is_enough(&metadata) => return Ok(metadata),
            Ok(Some(metadata)) => found = found.or(Some(metadata)),
            Ok(None) => {}
            Err(fault) => last = fault,
        }
    }
    found.ok_or(last)
}

/// The addresses of the metadata: of OpenID Connect Discovery 4.1, of RFC 8414 3, and of RFC 8414 5, in this order.
fn well_known(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url
    };
    let mut urls = vec![
        at(format!("{path}/.well-known/openid-configuration")),
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("/.well-known/openid-configuration{path}")),
    ];
    urls.dedup();
    if path.is_empty() {
        urls.truncate(2);
    }
    urls
}

pub(super) fn read(exchange: &Exchange, issuer: &Url) -> Result<Option<Metadata>, Fault> {
    match exchange.status {
        200 => {}
        404 | 405 | 410 => return Ok(None),
        status => {
            let message = format!("The issuer answered HTTP {status} when asked for its metadata.");
            return Err(Fault::passing(FaultCode::DiscoveryFailed, message).retry_after(exchange.retry_after));
        }
    }
    let metadata: Metadata = serde_json::from_slice(&exchange.body).map_err(|_| {
        Fault::passing(FaultCode::DiscoveryFailed, "What answered in the issuer's place sent no metadata.")
    })?;
    // Metadata of another issuer would send this client's tokens there (RFC 8414 3.3).
    if Url::parse(&metadata.issuer).ok().as_ref() != Some(issuer) {
        return Err(unusable(format!(
            "The metadata is that of the issuer \"{}\", not of \"{issuer}\": they must be the same to the letter.",
            printable(&metadata.issuer)
        )));
    }
    Ok(Some(metadata))
}

fn unusable(message: impl Into<String>) -> Fault {
    Fault::reconfigure(FaultCode::DiscoveryFailed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(issuer: &str) -> Vec<String> {
        well_known(&issuer.parse().unwrap()).into_iter().map(String::from).collect()
    }

    fn exchange(status: u16, body: &str) -> Exchange {
        let body = zeroize::Zeroizing::new(body.as_bytes().to_vec());
        Exchange { status, is_form: false, retry_after: None, redirected_to: None, date: None, body }
    }

    #[test]
    fn the_well_known_part_goes_behind_or_before_the_issuers_path() {
        assert_eq!(
            addresses("https://id.example/realms/r"),
            [
                "https://id.example/realms/r/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server/realms/r",
                "https://id.example/.well-known/openid-configuration/realms/r",
            ]
        );
        assert_eq!(
            addresses("https://id.example"),
            [
                "https://id.example/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server",
            ]
        );
    }

    #[test]
    fn metadata_of_another_issuer_is_refused() {
        let issuer: Url = "https://id.example/a".parse().unwrap();
        let fault = read(&exchange(200, r#"{"issuer":"https://id.example/b"}"#), &issuer).err().unwrap();
        assert_eq!(fault.code, FaultCode::DiscoveryFailed);
        assert!(fault.message.contains("https://id.example/b"), "{fault}");
        assert!(read(&exchange(200, r#"{"issuer":"https://id.example/a/"}"#), &issuer).is_err());
        assert!(read(&exchange(200, r#"{"issuer":"https://id.example/a"}"#), &issuer).unwrap().is_some());
        assert!(read(&exchange(404, ""), &issuer).unwrap().is_none());
    }

    #[test]
    fn the_way_to_authenticate_is_taken_from_the_metadata() {
        let auth =
            |methods: &[&str]| usual_auth(Some(&methods.iter().map(|method| (*method).to_owned()).collect::<Vec<_>>()));
        assert_eq!(usual_auth(None), ClientAuth::Basic);
        assert_eq!(auth(&["client_secret_basic", "client_secret_post"]), ClientAuth::Post);
        assert_eq!(auth(&["client_secret_basic"]), ClientAuth::Basic);
        assert_eq!(auth(&["none"]), ClientAuth::Post);
    }

    #[test]
    fn tokens_go_over_plain_http_only_where_that_is_allowed() {
        let may = |url: &str, allow| may_be_used(&url.parse().unwrap(), allow);
        assert!(may("https://id.example/token", false));
        assert!(may("http://127.0.0.1:8080/token", false) && may("http://[::1]/token", false));
        assert!(!may("http://id.example/token", false) && may("http://id.example/token", true));
        assert!(!may("ftp://127.0.0.1/token", true));
    }
}
