//! The address of this machine in its network.

use std::net::{AddrParseError, IpAddr, Ipv4Addr, UdpSocket};
use std::str::FromStr;

use crate::failure::Failure;

/// An address of a network for documentation (RFC 5737), which stands for anywhere outside.
const OUTSIDE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// The address by which other machines reach this one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LanAddress {
    /// The one that this machine sends from.
    Own,
    /// This one.
    Named(IpAddr),
}

impl LanAddress {
    pub(crate) fn find(self) -> Result<IpAddr, Failure> {
        match self {
            Self::Own => own(),
            Self::Named(address) => Ok(address),
        }
    }
}

impl FromStr for LanAddress {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "own" { Ok(Self::Own) } else { text.parse().map(Self::Named) }
    }
}

fn own() -> Result<IpAddr, Failure> {
    // Nothing is sent: to connect a datagram socket only chooses its addresses.
    let chosen = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(OUTSIDE)?;
        socket.local_addr()
    });
    chosen.map(|address| address.ip()).map_err(|error| {
        Failure::new(format!("this machine has no address in a network ({error}); name one, as in --lan 192.168.1.7"))
    })
}
