//! The metadata of an authorization server (RFC 8414, OpenID Connect Discovery 1.0): where it is, and what it says.

use oauth2::http;
use url::Url;

use super::body::{self, Json};
use super::http::{Exchange, Http};
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::text::printable;

/// The most redirects of a request for metadata.
const MOST_REDIRECTIONS: usize = 5;

/// The members of the metadata that are used (RFC 8414 2). A member that is odd counts as absent.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) token_endpoint: Option<Url>,
    pub(super) device_authorization_endpoint: Option<Url>,
    pub(super) authorization_endpoint: Option<Url>,
    pub(super) revocation_endpoint: Option<Url>,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) auth_methods: Option<Vec<String>>,
    pub(super) names_issuer: bool,
    pub(super) token_binding: Option<&'static str>,
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

/// Asks for the metadata of an issuer at each of its well-known addresses, until one has what is needed.
pub(super) async fn of_issuer(
    issuer: &Url,
    is_enough: impl Fn(&Metadata) -> bool,
    http: &Http,
) -> Result<Metadata, Fault> {
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

/// Reads an answer with metadata; `None` if there is none at this address.
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

/// The fault of an issuer or a configuration with which no endpoint is found.
pub(super) fn unusable(message: impl Into<String>) -> Fault {
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
}
