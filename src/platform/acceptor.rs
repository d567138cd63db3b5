//! The user behind a loopback connection: whose program has accepted it.
//!
//! Any local user may listen on a port while the program that it belongs to is down. The kernel lists every TCP socket of this
//! device with its owner (proc(5), `/proc/net/tcp`), the far end of a loopback connection included.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The time for the far end to accept a connection.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// The user that the kernel shows for one which this process's user namespace has no number for (`user_namespaces`(7)).
const OVERFLOW_UID: u32 = 65_534;

const ROOT: u32 = 0;

/// The reason why a connection is not trusted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTrusted {
    /// There is no such user.
    #[error("there is no user {0} on this device")]
    NoSuchUser(String),
    /// Another user's program has accepted it.
    #[error("the program that listens there belongs to {0}")]
    Stranger(String),
    /// The sandbox of this service hides the owners of sockets.
    #[error(
        "the sandbox of this service (PrivateUsers=) hides whose program listens there. Use the broker's socket file \
         (mqtt+unix:///…), or set PrivateUsers=no in a drop-in of the unit"
    )]
    Hidden,
    /// Nobody has accepted it in time, or the kernel does not list it.
    #[error("it cannot be seen whose program listens there: {0}")]
    Unknown(String),
}

/// Makes sure that a program of `user`, or of root, has accepted the connection from `local` to `peer`, both on loopback.
///
/// # Errors
/// When it is another user's, or when that cannot be seen.
pub(crate) async fn is_of_user(user: &str, local: SocketAddr, peer: SocketAddr) -> Result<(), NotTrusted> {
    let passwd = fs::read_to_string("/etc/passwd").map_err(|error| NotTrusted::Unknown(error.to_string()))?;
    let Some(expected) = uid_of(user, &passwd) else { return Err(NotTrusted::NoSuchUser(user.to_owned())) };
    let until = Instant::now() + ACCEPT_TIMEOUT;
    loop {
        let owner = owner_of(peer, local).map_err(|error| NotTrusted::Unknown(error.to_string()))?;
        match owner {
            Some(uid) if uid == expected || uid == ROOT => return Ok(()),
            Some(OVERFLOW_UID) if is_mapped() => return Err(NotTrusted::Hidden),
            Some(uid) => return Err(NotTrusted::Stranger(name_of(uid, &passwd))),
            None if Instant::now() >= until => {
                return Err(NotTrusted::Unknown("nobody has accepted the connection".to_owned()));
            }
            None => sleep(PAUSE).await,
        }
    }
}

/// Returns whether this process is in a user namespace of its own.
fn is_mapped() -> bool {
    let whole = |map: &str| map.split_whitespace().eq(["0", "0", "4294967295"]);
    !fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| whole(&map))
}

/// The owner of the socket at `here` that is connected with `there`; `None` while nobody has accepted it.
fn owner_of(here: SocketAddr, there: SocketAddr) -> io::Result<Option<u32>> {
    let table = if here.is_ipv4() { "/proc/self/net/tcp" } else { "/proc/self/net/tcp6" };
    Ok(owner_in(&fs::read_to_string(table)?, here, there))
}

/// The user whose program listens on `address`, if that can be seen.
pub(crate) fn holder_of(address: SocketAddr) -> Option<String> {
    let table = if address.is_ipv4() { "/proc/self/net/tcp" } else { "/proc/self/net/tcp6" };
    let any = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let table = fs::read_to_string(table).ok()?;
    let nobody = SocketAddr::new(any, 0);
    let holder =
        owner_in(&table, address, nobody).or_else(|| owner_in(&table, SocketAddr::new(any, address.port()), nobody))?;
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    (holder != OVERFLOW_UID).then(|| name_of(holder, &passwd))
}

fn owner_in(table: &str, here: SocketAddr, there: SocketAddr) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        // Number, local and remote address, state, queues, timer, retransmits, owner, timeout, inode.
        let columns: Vec<_> = line.split_whitespace().collect();
        let is_it = socket(columns.get(1)?)? == here && socket(columns.get(2)?)? == there;
        // Until it is accepted, a connection belongs to nobody and has no inode.
        let is_accepted = *columns.get(9)? != "0";
        (is_it && is_accepted).then(|| columns.get(7)?.parse().ok()).flatten()
    })
}

/// Reads an address as the kernel prints it: words of 32 bits in the machine's own order, and the port.
fn socket(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(8 * at..8 * at + 8)?, 16).ok()?.to_ne_bytes());
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

fn uid_of(user: &str, passwd: &str) -> Option<u32> {
    entries(passwd).find(|&(name, _)| name == user).map(|(_, uid)| uid)
}

fn name_of(uid: u32, passwd: &str) -> String {
    entries(passwd).find(|&(_, other)| other == uid).map_or_else(|| format!("user {uid}"), |(name, _)| name.to_owned())
}

fn entries(passwd: &str) -> impl Iterator<Item = (&str, u32)> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(1)?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nmosquitto:x:108:114::/var/lib/mosquitto:/usr/sbin/nologin\n";

    #[test]
    fn users_are_found_by_name_and_by_number() {
        assert_eq!(uid_of("mosquitto", PASSWD), Some(108));
        assert_eq!(uid_of("mosq", PASSWD), None);
        assert_eq!(name_of(108, PASSWD), "mosquitto");
        assert_eq!(name_of(1000, PASSWD), "user 1000");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 x\n\
             1: 0100007F:075B 0100007F:C001 01 00000000:00000000 00:00000000 00000000   108        0 12 1 x\n\
             2: 0100007F:075B 0100007F:C002 01 00000000:00000000 00:00000000 00000000     0        0 0 1 x\n\
             3: 0100007F:C001 0100007F:075B 01 00000000:00000000 00:00000000 00000000  1000        0 13 1 x\n";
        let broker = "127.0.0.1:1883".parse().unwrap();
        let owner = |client: &str| owner_in(table, broker, client.parse().unwrap());
        assert_eq!(owner("127.0.0.1:49153"), Some(108));
        assert_eq!(owner("127.0.0.1:49154"), None, "not yet accepted");
        assert_eq!(owner("127.0.0.1:49155"), None);
        assert_eq!(socket("00000000000000000000000001000000:075B"), "[::1]:1883".parse().ok());
    }

    #[tokio::test]
    async fn who_has_accepted_a_connection_is_seen() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // There are machines without IPv6.
            let Ok(listener) = TcpListener::bind(address).await else { continue };
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (peer, local) = (client.peer_addr().unwrap(), client.local_addr().unwrap());
            assert_eq!(owner_of(peer, local).unwrap(), None);
            let accepted = listener.accept().await.unwrap();
            assert_eq!(owner_of(peer, local).unwrap(), Some(rustix::process::getuid().as_raw()));
            drop(accepted);
        }
    }

    #[tokio::test]
    async fn a_user_that_does_not_exist_is_not_trusted() {
        let address = "127.0.0.1:1".parse().unwrap();
        let told = is_of_user("nobody-of-this-name", address, address).await;
        assert_eq!(told, Err(NotTrusted::NoSuchUser("nobody-of-this-name".to_owned())));
    }
}
