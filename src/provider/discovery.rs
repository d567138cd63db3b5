//! Where a provider's endpoints are: as configured, or as its metadata says.

use std::sync::Arc;

use url::Url;

use super::endpoint_query::{EndpointQuery, SignInEndpoint};
use super::http::Http;
use super::metadata::{self, Metadata, unusable};
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::loopback::{ends_here, is_link_local, leads_to_loopback};
use crate::domain::profile::ClientAuth;
use crate::domain::settings::EndpointSettings;

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
    /// True if a redirection names the issuer that sent it (RFC 9207 3).
    pub(super) names_issuer: bool,
    /// The ways in which a client with a secret may authenticate here, in the order in which they are tried.
    pub(super) auth_methods: Vec<ClientAuth>,
    /// The ways in which tokens can be bound to a key of the client here (RFC 9449, RFC 8705), of which this program has
    /// none.
    pub(super) token_binding: Option<&'static str>,
}

impl Endpoints {
    /// The issuer. A template of one, such as `https://login.example/{tid}`, is the name of nobody.
    pub(super) fn issuer_name(&self) -> Option<&str> {
        self.issuer.as_deref().filter(|issuer| !issuer.contains('{'))
    }

    /// The same fault, with what the metadata says about its likely cause.
    pub(super) fn explain(&self, fault: Fault) -> Fault {
        let Some(binding) = self.token_binding.filter(|_| fault.code == FaultCode::InvalidGrant) else { return fault };
        let message = format!(
            "{} The likely cause: the provider's metadata says that it binds tokens to a key of the client ({binding}), and \
             this program has no such key. Register the client for plain Bearer tokens.",
            fault.message
        );
        Fault { message, ..fault }
    }
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
            auth_methods: vec![ClientAuth::Post, ClientAuth::Basic],
            token_binding: None,
        });
    };
    let metadata = metadata::of_issuer(issuer, |metadata| has_what_is_needed(query, metadata), http).await?;
    chosen(query, issuer, metadata)
}

/// Chooses between what the configuration names and what the issuer's metadata does.
fn chosen(query: &EndpointQuery, issuer: &Url, metadata: Metadata) -> Result<Endpoints, Fault> {
    let named = EndpointSettings::clone(&query.endpoints);
    let objection = |url: &Url| objection(url, issuer, query.allow_http);
    let choose = |named: Option<Arc<Url>>, found: Option<Url>| {
        named.or_else(|| found.filter(|url| objection(url).is_none()).map(Arc::new))
    };
    let needed = |named: &Option<Arc<Url>>, found: &Option<Url>, what: &str| {
        let why = found.as_ref().filter(|_| named.is_none()).and_then(objection);
        why.map_or(Ok(()), |why| Err(unusable(format!("The issuer's metadata names a {what} endpoint {why}."))))
    };
    needed(&named.token, &metadata.token_endpoint, "token")?;
    match query.begins_at {
        SignInEndpoint::DeviceAuthorization => {
            let found = &metadata.device_authorization_endpoint;
            needed(&named.device_authorization, found, "device authorization")?;
        }
        SignInEndpoint::Authorization => {
            needed(&named.authorization, &metadata.authorization_endpoint, "authorization")?;
        }
        SignInEndpoint::Token => {}
    }
    let token = choose(named.token, metadata.token_endpoint);
    Ok(Endpoints {
        device_authorization: choose(named.device_authorization, metadata.device_authorization_endpoint),
        authorization: choose(named.authorization, metadata.authorization_endpoint),
        token: token.ok_or_else(|| unusable("The issuer's metadata names no token endpoint."))?,
        revocation: choose(named.revocation, metadata.revocation_endpoint),
        userinfo: choose(named.userinfo, metadata.userinfo_endpoint),
        issuer: Some(metadata.issuer),
        names_issuer: metadata.names_issuer,
        auth_methods: auth_methods(metadata.auth_methods.as_deref()),
        token_binding: metadata.token_binding,
    })
}

/// Returns whether the metadata has the endpoint that the account's sign-in begins at, where the configuration does not.
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

/// A secret goes into the body first where the issuer takes it so, because some that list both ways read only the body.
fn auth_methods(listed: Option<&[String]>) -> Vec<ClientAuth> {
    // Left out means client_secret_basic (RFC 8414 2).
    let Some(listed) = listed else { return vec![ClientAuth::Basic, ClientAuth::Post] };
    let lists = |auth: &ClientAuth| listed.iter().any(|name| name == auth.name());
    let methods: Vec<_> = [ClientAuth::Post, ClientAuth::Basic].into_iter().filter(lists).collect();
    if methods.is_empty() { vec![ClientAuth::Post, ClientAuth::Basic] } else { methods }
}

/// Returns why an endpoint that the metadata of `issuer` names is not used, if it is not.
fn objection(url: &Url, issuer: &Url, allow_http: bool) -> Option<&'static str> {
    // What an issuer elsewhere calls by such an address is another program: one of this device, or a cloud's metadata service.
    // A name is not looked up for this; whoever answers to it needs a certificate for it.
    if ends_here(url) && !ends_here(issuer) {
        return Some("on this device, although the issuer is elsewhere");
    }
    if is_link_local(url) && !is_link_local(issuer) {
        return Some("with a link-local address, although the issuer's is not");
    }
    let is_plain_allowed = allow_http || issuer.scheme() == "http";
    let may = url.scheme() == "https" || (is_plain_allowed && may_be_used(url, allow_http));
    (!may).then_some("that is not https")
}

/// Returns whether tokens may be sent there.
fn may_be_used(url: &Url, allow_http: bool) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && (allow_http || leads_to_loopback(url)))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::provider::http::Exchange;

    #[test]
    fn the_way_to_authenticate_is_taken_from_the_metadata() {
        let auth = |methods: &[&str]| {
            auth_methods(Some(&methods.iter().map(|method| (*method).to_owned()).collect::<Vec<_>>()))
        };
        assert_eq!(auth_methods(None), [ClientAuth::Basic, ClientAuth::Post]);
        assert_eq!(auth(&["client_secret_basic", "client_secret_post"]), [ClientAuth::Post, ClientAuth::Basic]);
        assert_eq!(auth(&["client_secret_basic"]), [ClientAuth::Basic]);
        assert_eq!(auth(&["none"]), [ClientAuth::Post, ClientAuth::Basic]);
    }

    /// The endpoints of an account whose configuration names the issuer alone, by its metadata.
    fn found(issuer: &str, allow_http: bool, endpoint: &str, at: &str) -> Result<Endpoints, Fault> {
        let issuer: Url = issuer.parse().unwrap();
        let endpoints = EndpointSettings { issuer: Some(Arc::new(issuer.clone())), ..EndpointSettings::default() };
        let query = EndpointQuery {
            endpoints: Arc::new(endpoints),
            allow_http,
            begins_at: SignInEndpoint::DeviceAuthorization,
            ca_file: None,
        };
        let mut members = serde_json::json!({ "issuer": issuer.as_str() });
        for name in ["token", "device_authorization", "revocation", "userinfo"] {
            members[format!("{name}_endpoint")] = format!("{issuer}{name}").into();
        }
        members[format!("{endpoint}_endpoint")] = at.into();
        let body = Zeroizing::new(members.to_string().into_bytes());
        let exchange = Exchange { status: 200, body, ..Exchange::default() };
        chosen(&query, &issuer, metadata::read(&exchange, &issuer).unwrap().unwrap())
    }

    #[test]
    fn metadata_of_an_issuer_elsewhere_names_no_endpoint_on_this_device_or_link() {
        let near = [
            "127.0.0.1:8080",
            "127.1",
            "0x7f000001",
            "localhost",
            "localhost.",
            "a.localhost",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "169.254.169.254",
            "[fe80::1]",
        ];
        for (issuer, allow_http) in
            [("https://id.example/", false), ("https://id.example/", true), ("http://nas.lan/", true)]
        {
            for host in near {
                for scheme in ["http", "https"] {
                    let at = format!("{scheme}://{host}/x");
                    for endpoint in ["token", "device_authorization"] {
                        let fault = found(issuer, allow_http, endpoint, &at).unwrap_err();
                        assert_eq!(fault.code, FaultCode::DiscoveryFailed, "{at}");
                        let told = fault.message.contains("on this device") || fault.message.contains("link-local");
                        assert!(told, "{at}: {fault}");
                    }
                    // What nothing depends on is left out.
                    assert_eq!(found(issuer, allow_http, "revocation", &at).unwrap().revocation, None, "{at}");
                    assert_eq!(found(issuer, allow_http, "userinfo", &at).unwrap().userinfo, None, "{at}");
                }
            }
        }
        // A provider on this device names its own, and one of the local network its neighbours.
        for (issuer, at) in [
            ("http://127.0.0.1:9000/", "http://localhost:9000/token"),
            ("https://localhost/", "https://[::1]/token"),
            ("https://id.example/", "https://10.0.0.7/token"),
            ("https://id.example/", "https://localhost.example/token"),
        ] {
            assert_eq!(found(issuer, false, "token", at).unwrap().token.as_str(), at);
        }
        let fault = found("https://id.example/", false, "token", "http://id.example/token").unwrap_err();
        assert!(fault.message.contains("not https"), "{fault}");
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
