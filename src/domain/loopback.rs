//! This device itself, as a host in an address.

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

/// The loopback address that `host` names: one of 127.0.0.0/8, `::1`, or `localhost` in whatever case (RFC 6761 6.3).
///
/// The host stands without brackets. An IPv4 address inside an IPv6 one is not taken for loopback.
#[must_use]
pub(crate) fn loopback_address(host: &str) -> Option<IpAddr> {
    if host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    host.parse::<IpAddr>().ok().filter(IpAddr::is_loopback)
}

/// True if `host`, without brackets, is this device.
#[must_use]
pub(crate) fn is_loopback(host: &str) -> bool {
    loopback_address(host).is_some()
}

/// True if the host of `url` is this device.
#[must_use]
pub(crate) fn leads_to_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_loopback(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_device_is_known_by_every_name_and_by_no_other() {
        for here in ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.8.9.1", "::1"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in
            ["", "localhost.example", "mylocalhost", "128.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1", "127.1"]
        {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
        for here in ["http://localhost/", "http://[::1]:8/", "mqtt://LOCALHOST:1883", "http://127.1/"] {
            assert!(leads_to_loopback(&Url::parse(here).unwrap()), "{here}");
        }
        assert!(!leads_to_loopback(&Url::parse("http://localhost.a.example/").unwrap()));
        assert_eq!(loopback_address("LocalHost"), Some(Ipv4Addr::LOCALHOST.into()));
    }
}
