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

/// True if a connection to the host of `url` ends on this device, in whatever form the host is written: loopback, also inside an
/// IPv6 address, the unspecified address, `localhost` and every name below it (RFC 6761 6.3).
#[must_use]
pub(crate) fn ends_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => is_here(address),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.is_unspecified() || address.to_ipv4_mapped().is_some_and(is_here)
        }
        None => false,
    }
}

fn is_here(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// True if no router passes on what is sent to the host of `url`: a link-local address (RFC 3927, RFC 4291 2.5.6), such as that of a
/// cloud's metadata service.
#[must_use]
pub(crate) fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Ipv6(address)) => {
            address.is_unicast_link_local() || address.to_ipv4_mapped().is_some_and(|address| address.is_link_local())
        }
        Some(Host::Domain(_)) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_here_or_on_this_link_is_known_in_every_form() {
        let url = |host: &str| Url::parse(&format!("https://{host}:8443/token")).unwrap();
        for here in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "0.0.0.0",
            "0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:0.0.0.0]",
            "LocalHost",
            "localhost.",
            "a.localhost",
        ] {
            assert!(ends_here(&url(here)) && !is_link_local(&url(here)), "{here}");
        }
        for near in ["169.254.169.254", "[fe80::1]", "[febf::1]", "[::ffff:169.254.169.254]"] {
            assert!(is_link_local(&url(near)) && !ends_here(&url(near)), "{near}");
        }
        for elsewhere in ["10.0.0.1", "128.0.0.1", "[fec0::1]", "[::2]", "localhost.example", "id.example"] {
            assert!(!ends_here(&url(elsewhere)) && !is_link_local(&url(elsewhere)), "{elsewhere}");
        }
    }

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
