//! The addresses that an endpoint may have.

use url::{Host, Url};

use super::table::Entry;
use crate::domain::loopback::leads_to_loopback;
use crate::domain::text;

/// The purpose of an address, which decides whether it may have a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressUse {
    /// An endpoint; a query is part of its address (RFC 6749 3.1 and 3.2).
    Endpoint,
    /// An issuer, which has no query (RFC 8414 2), or what an issuer is made from.
    Issuer,
}

/// The address in `entry`, if it is one that tokens may be sent to.
///
/// It is never repeated in a complaint: a user name and password may stand in it.
pub(super) fn http_address(entry: &Entry<'_, &str>, purpose: AddressUse, allow_http: bool) -> Option<Url> {
    match check(entry.value, purpose, allow_http) {
        Ok(url) => Some(url),
        Err((message, help)) => {
            entry.place.error(message, help);
            None
        }
    }
}

pub(super) fn check(value: &str, purpose: AddressUse, allow_http: bool) -> Result<Url, (String, &'static str)> {
    const IN_FULL: &str = "write the address in full, such as \"https://login.example.com/path\"";
    const NAME_IT: &str = "write the server's name, such as \"https://server.local\": avahi finds it with its network";
    let wrong = |message: &str, help| Err((message.to_owned(), help));

    // The parser would drop these silently, or read a backslash as a slash.
    if !text::is_printable(value) || value.contains([' ', '\\']) {
        return wrong("a space, a backslash or an unprintable character is in this address", IN_FULL);
    }
    if zone(value).is_some() {
        return wrong(
            "a zone (% and an interface) is in this address, which addresses of web servers cannot have",
            NAME_IT,
        );
    }
    let url = Url::parse(value).map_err(|reason| (format!("this is not an address: {reason}"), IN_FULL))?;
    let after_scheme = value.get(url.scheme().len()..).unwrap_or_default();
    if !matches!(url.scheme(), "https" | "http") || !after_scheme.starts_with("://") {
        return wrong("this address does not start with https://", IN_FULL);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("a user name or password is in this address", "take out what stands before the @");
    }
    if url.fragment().is_some() {
        return wrong("this address has a fragment", "take out the # and what follows it");
    }
    if purpose == AddressUse::Issuer && url.query().is_some() {
        return wrong("this address has a query", "take out the ? and what follows it");
    }
    if matches!(url.host(), Some(Host::Ipv6(address)) if address.is_unicast_link_local()) {
        return wrong("this link-local address does not say on which network it is", NAME_IT);
    }
    if url.scheme() == "http" && !allow_http && !leads_to_loopback(&url) {
        return wrong(
            "plain http:// would send tokens readable through the network",
            "write https://, or allow_http = true in this account if everybody on that network may read them",
        );
    }
    Ok(url)
}

/// The zone of an IPv6 address in an address (RFC 6874), which the parser of the standard for browsers does not know.
fn zone(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://[")?;
    let (host, _) = rest.split_once(']')?;
    Some(host.split_once('%')?.1)
}

/// True if the text is a host with or without a port, and nothing that would change the rest of an address.
pub(super) fn is_host(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    value.chars().all(plain) && Url::parse(&format!("https://{value}/")).is_ok_and(|url| url.path() == "/")
}

/// True if the text is one label of a host's name (RFC 1123 2.1).
pub(super) fn is_label(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=63).contains(&value.len()) && value.chars().all(plain) && !value.starts_with('-') && !value.ends_with('-')
}

/// True if the text is one segment of a path, and nothing that would change the rest of an address.
pub(super) fn is_segment(value: &str) -> bool {
    // Behind a semicolon, some servers read parameters, and see `..` in `..;`.
    let changes_the_rest = |c: char| matches!(c, '/' | '\\' | '?' | '#' | '%' | ';');
    !matches!(value, "." | "..") && text::is_printable(value) && !value.contains(changes_the_rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_tokens_may_be_sent_to() {
        for good in [
            "https://a.example",
            "https://a.example:8443/token?tenant=x",
            "http://localhost:8080/t",
            "http://LOCALHOST/t",
            "http://127.8.9.1/t",
            "http://[::1]:9/t",
        ] {
            assert!(check(good, AddressUse::Endpoint, false).is_ok(), "{good}");
        }
        assert!(check("http://nas.lan/t", AddressUse::Endpoint, true).is_ok());
        assert!(check("https://a.example/x?y", AddressUse::Issuer, false).is_err());
    }

    #[test]
    fn addresses_that_they_may_not_be_sent_to() {
        for bad in [
            "",
            "a.example",
            "ftp://a.example/",
            "https:a.example/",
            "https:/a.example/",
            "https://",
            "https://user@a.example/",
            "https://:hunter2@a.example/",
            "https://a.example/#",
            "https://a.example\\@b.example/",
            " https://a.example/",
            "https://a.exa\nmple/",
            "http://a.example/",
            "http://localhost.a.example/",
            "http://128.0.0.1/",
            "http://[::ffff:127.0.0.1]/",
            "file:///etc/passwd",
        ] {
            assert!(check(bad, AddressUse::Endpoint, false).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_link_local_address_is_refused_with_what_to_write_in_its_place() {
        for (address, what) in [
            ("https://[fe80::1%25eth0]/token", "a zone"),
            ("https://[fe80::1%eth0]:8443/token", "a zone"),
            ("http://[FE80::1%25wlan0]/", "a zone"),
            ("https://[fe80::1]/token", "on which network"),
        ] {
            let (message, help) = check(address, AddressUse::Endpoint, true).unwrap_err();
            assert!(message.contains(what) && help.contains("server.local"), "{address}: {message}; {help}");
        }
        // That of IPv4 has no zone.
        assert!(check("https://169.254.7.1/token", AddressUse::Endpoint, false).is_ok());
        // A per cent sign elsewhere is nothing of the kind.
        assert!(check("https://[fd00::1]/a%25b]", AddressUse::Endpoint, false).is_ok());
    }

    #[test]
    fn hosts_and_segments_change_nothing_else() {
        for good in ["a.example", "a.example:8443", "[::1]:80", "10.0.0.1"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "a/b", "a@b", "a:b", "a?b", "a#b", "https://a", "a b", "a\\b", "a%2fb", "a:99999", "{x}"] {
            assert!(!is_host(bad), "{bad}");
        }
        for good in ["common", "6fb9-11", "my realm", "contoso.onmicrosoft.com", "...", "{realm}"] {
            assert!(is_segment(good), "{good}");
        }
        for bad in [".", "..", "a/b", "a\\b", "a?b", "a#b", "%2e%2e", "a\nb", "..;", "x;y"] {
            assert!(!is_segment(bad), "{bad}");
        }
    }
}
