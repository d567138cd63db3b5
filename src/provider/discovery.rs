//! Where a provider's endpoints are: as configured, or as its metadata says (RFC 8414, OpenID Connect Discovery 1.0).

use std::sync::Arc;

use oauth2::http;
use url::Url;

use super::body::{self, Json};
use super::endpoint_query::{EndpointQuery, SignInEndpoint};
use super::http::{Exchange, Http};
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::loopback::{ends_here, is_link_local, leads_to_loopback};
use crate::domain::profile::ClientAuth;
use crate::domain::settings::EndpointSettings;
use crate::domain::text::printable;

/// The most redirects of a request for metadata.
const MOST_REDIRECTIONS: usize = 5;

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
            "{} The likely cause: the provider's metadata asks for tokens that are bound to a key of the client \
             ({binding}), and this program has no such key. Register the client for plain Bearer tokens.",
            fault.message
        );
        Fault { message, ..fault }
    }
}

/// The members of the metadata that are used (RFC 8414 2). A member that is odd counts as absent.
#[derive(Debug)]
pub(super) struct Metadata {
    issuer: String,
    token_endpoint: Option<Url>,
    device_authorization_endpoint: Option<Url>,
    authorization_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
    userinfo_endpoint: Option<Url>,
    auth_methods: Option<Vec<String>>,
    names_issuer: bool,
    token_binding: Option<&'static str>,
}

impl Metadata {
    fn of(json: &Json, issuer: String) -> Self {
        let url = |name| Url::parse(&json.member(name)?.text()?).ok().filter(Url::has_host);
        let is = |name| json.member(name).is_some_and(|value| value.is("true"));
        let texts = |name| match json.member(name) {
            Some(Json::List(items)) => Some(items.iter().filter_map(Json::text).collect::<Vec<_>>()),
            _ => None,
        };
        let token_binding = match (
            texts("dpop_signing_alg_values_supported").is_some_and(|algorithms| !algorithms.is_empty()),
            is("tls_client_certificate_bound_access_tokens"),
        ) {
            (true, true) => Some("DPoP or mTLS"),
            (true, false) => Some("DPoP"),
            (false, true) => Some("mTLS"),
            (false, false) => None,
        };
        Self {
            issuer,
            token_endpoint: url("token_endpoint"),
            device_authorization_endpoint: url("device_authorization_endpoint"),
            authorization_endpoint: url("authorization_endpoint"),
            revocation_endpoint: url("revocation_endpoint"),
            userinfo_endpoint: url("userinfo_endpoint"),
            auth_methods: texts("token_endpoint_auth_methods_supported").filter(|methods| !methods.is_empty()),
            names_issuer: is("authorization_response_iss_parameter_supported"),
            token_binding,
        }
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
    let metadata = metadata(issuer, |metadata| has_what_is_needed(query, metadata), http).await?;
    chosen(query, issuer, metadata)
}

/// Chooses between what the configuration names and what the issuer's metadata does.
fn chosen(query: &EndpointQuery, issuer: &Url, metadata: Metadata) -> Result<Endpoints, Fault> {
    let named = EndpointSettings::clone(&query.endpoints);
    let objection = |url: &Url| objection(url, issuer, query.allow_http);
    let choose = |named: Option<Arc<Url>>, found: Option<Url>| {
        named.or_else(|| found.filter(|url| objection(url).is_none()).map(Arc::new))
    };
    let needed = |named: &Option<Arc<Url>>, found: &Option<Url>, what: &str| match found
        .as_ref()
        .filter(|_| named.is_none())
        .and_then(objection)
    {
        Some(why) => Err(unusable(format!("The issuer's metadata names a {what} endpoint {why}."))),
        None => Ok(()),
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
        return Some("on this device, where the issuer is not");
    }
    if is_link_local(url) && !is_link_local(issuer) {
        return Some("with a link-local address, which the issuer has not");
    }
    let is_plain_allowed = allow_http || issuer.scheme() == "http";
    let may = url.scheme() == "https" || (is_plain_allowed && may_be_used(url, allow_http));
    (!may).then_some("that is not https")
}

/// Returns whether tokens may be sent there.
fn may_be_used(url: &Url, allow_http: bool) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && (allow_http || leads_to_loopback(url)))
}

async fn metadata(issuer: &Url, is_enough: impl Fn(&Metadata) -> bool, http: &Http) -> Result<Metadata, Fault> {
    let mut found = None;
    let mut last = unusable("The issuer has no metadata at any well-known address.");
    for url in well_known(issuer) {
        match read(&get(url, http).await?, issuer) {
            // A server may tell its OpenID clients less than its OAuth clients.
            Ok(Some(metadata)) if is_enough(&metadata) => return Ok(metadata),
            Ok(Some(metadata)) => found = found.or(Some(metadata)),
            Ok(None) => {}
            Err(fault) => last = fault,
        }
    }
    found.ok_or(last)
}

/// Asks for metadata, and follows redirections of the same origin: some servers want a slash at the end. Nothing secret is
/// in the request, and the issuer is compared whatever the address.
async fn get(mut url: Url, http: &Http) -> Result<Exchange, Fault> {
    for _ in 0..=MOST_REDIRECTIONS {
        let request = http::Request::get(url.as_str()).header(http::header::ACCEPT, "application/json");
        let request = request.body(Vec::new()).map_err(|_| unusable("The issuer is no usable address."))?;
        let exchange = http.send(request).await?;
        let next = exchange.location.as_deref().and_then(|location| url.join(location).ok());
        match next.filter(|next| next.origin() == url.origin() && *next != url) {
            Some(next) => url = next,
            None => return Ok(exchange),
        }
    }
    Err(unusable("The issuer redirects the request for its metadata in a circle."))
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
    let json = body::read(&exchange.body, false);
    let named = json.as_ref().and_then(|json| json.member("issuer")?.text());
    let (Some(json), Some(named)) = (json, named) else {
        let message = "What answered in the issuer's place sent no metadata.";
        return Err(Fault::passing(FaultCode::DiscoveryFailed, message));
    };
    // Metadata of another issuer would send this client's tokens there (RFC 8414 3.3).
    if Url::parse(&named).ok().as_ref() == Some(issuer) {
        return Ok(Some(Metadata::of(&json, named)));
    }
    if let Some(template) = template(&named, issuer) {
        return Ok(Some(Metadata::of(&json, template)));
    }
    Err(unusable(format!(
        "The metadata is that of the issuer \"{}\", not of \"{issuer}\": they must be the same to the letter.",
        printable(&named)
    )))
}

/// The template that `named` is, if `issuer` is an instance of it. Microsoft names `{tenantid}` for one segment of the path,
/// of which each ID token has the value in its claim `tid`.
fn template(named: &str, issuer: &Url) -> Option<String> {
    let (before, rest) = named.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    let value = issuer.as_str().strip_prefix(before)?.strip_suffix(after)?;
    // Behind the host, or it would be a template of hosts.
    let is_segment = Url::parse(before).ok()?.path().ends_with('/') && !value.is_empty() && !value.contains('/');
    (is_segment && !after.contains('{')).then(|| format!("{before}{{tid}}{after}"))
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
        Exchange { status, body, ..Exchange::default() }
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
    fn a_provider_that_binds_tokens_is_named_as_the_likely_cause_of_an_invalid_grant() {
        let issuer: Url = "https://id.example".parse().unwrap();
        let binding = |members: &str| {
            let body = format!(r#"{{"issuer":"https://id.example",{members}}}"#);
            read(&exchange(200, &body), &issuer).unwrap().unwrap().token_binding
        };
        assert_eq!(binding(r#""dpop_signing_alg_values_supported":["ES256"]"#), Some("DPoP"));
        assert_eq!(binding(r#""tls_client_certificate_bound_access_tokens":true"#), Some("mTLS"));
        let both = r#""dpop_signing_alg_values_supported":["ES256"],"tls_client_certificate_bound_access_tokens":true"#;
        assert_eq!(binding(both), Some("DPoP or mTLS"));
        let odd = r#""dpop_signing_alg_values_supported":[],"tls_client_certificate_bound_access_tokens":"no""#;
        assert_eq!(binding(odd), None);
    }

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

    #[test]
    fn a_member_of_the_metadata_that_is_odd_counts_as_absent() {
        let issuer: Url = "https://id.example".parse().unwrap();
        let body = "\u{feff}{\"issuer\":\"https://id.example\",\"token_endpoint\":\"https://id.example/token\",\
                    \"revocation_endpoint\":\"\",\"userinfo_endpoint\":null,\"device_authorization_endpoint\":[1],\
                    \"token_endpoint_auth_methods_supported\":\"client_secret_basic\",\
                    \"authorization_response_iss_parameter_supported\":\"yes\",\"authorization_endpoint\":\"/authorize\"}";
        let metadata = read(&exchange(200, body), &issuer).unwrap().unwrap();
        assert_eq!(metadata.token_endpoint.unwrap().as_str(), "https://id.example/token");
        assert!(metadata.revocation_endpoint.is_none() && metadata.userinfo_endpoint.is_none());
        assert!(metadata.device_authorization_endpoint.is_none() && metadata.authorization_endpoint.is_none());
        assert!(metadata.auth_methods.is_none() && !metadata.names_issuer && metadata.token_binding.is_none());
    }

    #[test]
    fn microsofts_template_of_an_issuer_stands_for_one_segment_and_is_the_name_of_nobody() {
        let read = |issuer: &str, named: &str| {
            let body = format!(r#"{{"issuer":"{named}"}}"#);
            read(&exchange(200, &body), &issuer.parse().unwrap()).ok().flatten().map(|metadata| metadata.issuer)
        };
        let named = "https://login.example/{tenantid}/v2.0";
        assert_eq!(
            read("https://login.example/common/v2.0", named).as_deref(),
            Some("https://login.example/{tid}/v2.0")
        );
        assert_eq!(read("https://login.example/a/b/v2.0", named), None);
        assert_eq!(read("https://login.example/common/v2.0", "https://login.example/{a}/{b}"), None);
        assert_eq!(read("https://evil.example/", "https://{host}/"), None);
        assert_eq!(read("https://evil.example/", "{any}"), None);
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
        chosen(&query, &issuer, read(&exchange(200, &members.to_string()), &issuer).unwrap().unwrap())
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
