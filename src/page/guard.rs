//! Who is let in: the browser's own word on where a request comes from, checked before anything else.

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, ORIGIN};

use crate::domain::loopback::is_loopback;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Returns whether the request was meant for this page by the name or address in its `Host`.
///
/// A site of somebody else can make its own name lead to this device (DNS rebinding), and a browser then takes that
/// site's scripts and this page for one. It cannot do so with an address, nor with `localhost`.
pub(super) fn knows_host(headers: &HeaderMap, hosts: &[String]) -> bool {
    let Some(host) = single(headers, &HOST).and_then(host_of) else { return false };
    host.parse::<IpAddr>().is_ok() || is_loopback(&host) || hosts.contains(&host)
}

/// Returns whether the request comes from this page itself (or, where the browser says so, from the user's own hand).
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    let site = single(headers, &SEC_FETCH_SITE);
    if headers.contains_key(&SEC_FETCH_SITE) && site != Some("same-origin") {
        return false;
    }
    match single(headers, &ORIGIN) {
        Some(origin) => {
            let host = single(headers, &HOST).map(str::to_ascii_lowercase);
            let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            authority.is_some() && authority.map(str::to_ascii_lowercase) == host
        }
        // Every browser of today names the origin of a POST; one that hides it has said where it comes from above.
        None => !headers.contains_key(ORIGIN) && site == Some("same-origin"),
    }
}

/// Returns whether some other site has the visitor's browser make this request.
pub(super) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    matches!(single(headers, &SEC_FETCH_SITE), Some("cross-site" | "same-site"))
}

/// Returns whether the browser reached the page through a proxy that speaks TLS, so that a cookie may be kept to that.
pub(super) fn is_by_https(headers: &HeaderMap) -> bool {
    single(headers, &ORIGIN).is_some_and(|origin| origin.starts_with("https://"))
}

/// The value of a header that stands there once.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// The host without the port, in lower case and without brackets or a dot at its end.
fn host_of(authority: &str) -> Option<String> {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => authority.split(':').next()?,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let parse =
            |(name, value): &(&str, &str)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in pairs.iter().map(parse) {
            map.append(name, value);
        }
        map
    }

    #[test]
    fn addresses_localhost_and_the_configured_names_are_hosts_of_this_page() {
        let hosts = ["gateway.example.com".to_owned()];
        for good in
            ["127.0.0.1:8628", "[::1]:8628", "192.168.1.7", "localhost:1", "LOCALHOST.", "Gateway.Example.com:443"]
        {
            assert!(knows_host(&headers(&[("host", good)]), &hosts), "{good}");
        }
        for bad in [
            "evil.example",
            "127.0.0.1.evil.example",
            "gateway.example.com.evil.example",
            "",
            ":80",
            "[::1",
            "x@127.0.0.1",
        ] {
            assert!(!knows_host(&headers(&[("host", bad)]), &hosts), "{bad}");
        }
        assert!(!knows_host(&headers(&[]), &hosts));
        assert!(!knows_host(&headers(&[("host", "127.0.0.1"), ("host", "evil.example")]), &hosts));
    }

    #[test]
    fn a_button_counts_only_if_it_was_pressed_on_this_page() {
        let from = |pairs: &[(&str, &str)]| is_same_origin(&headers(&[&[("host", "10.0.0.1:8628")], pairs].concat()));
        assert!(from(&[("origin", "http://10.0.0.1:8628")]));
        assert!(from(&[("origin", "https://10.0.0.1:8628"), ("sec-fetch-site", "same-origin")]));
        assert!(from(&[("sec-fetch-site", "same-origin")]));
        for bad in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "http://evil.example")],
            &[("origin", "http://10.0.0.1")],
            &[("origin", "10.0.0.1:8628")],
            &[("origin", "http://10.0.0.1:8628.evil.example")],
            &[("origin", "http://10.0.0.1:8628"), ("origin", "http://evil.example")],
            &[("origin", "http://10.0.0.1:8628"), ("sec-fetch-site", "cross-site")],
            &[("origin", "http://10.0.0.1:8628"), ("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(!from(bad), "{bad:?}");
        }
    }
}
