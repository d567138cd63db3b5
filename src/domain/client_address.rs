//! The addresses by which the clients of a server are told apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that stands for a client. All loopback addresses are one, since every program of this device has all of them.
#[must_use]
pub(crate) fn client_address(address: IpAddr) -> IpAddr {
    let address = address.to_canonical();
    if address.is_loopback() { Ipv4Addr::LOCALHOST.into() } else { address }
}

/// The network of a client: over IPv6 the /64, of which one client may have all addresses, and over IPv4 the address itself.
#[must_use]
pub(crate) fn client_network(address: IpAddr) -> IpAddr {
    match client_address(address) {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_by_its_address_and_its_network() {
        for (from, address, network) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("127.8.9.1", "127.0.0.1", "127.0.0.1"),
            ("::1", "127.0.0.1", "127.0.0.1"),
            ("fd00:1::2", "fd00:1::2", "fd00:1::"),
        ] {
            let (from, address, network): (IpAddr, IpAddr, IpAddr) =
                (from.parse().unwrap(), address.parse().unwrap(), network.parse().unwrap());
            assert_eq!((client_address(from), client_network(from)), (address, network), "{from}");
        }
    }
}
