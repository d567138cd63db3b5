//! Addresses of names: by DNS and `/etc/hosts`, and by the daemons that know more.
//!
//! A static program has no NSS: the C library that is linked in asks neither `nss-mdns` nor `nss-resolve` nor
//! `nss-myhostname`. So avahi and systemd-resolved, which stand behind those, are asked on their own sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The socket of avahi-daemon (avahi-daemon(8)), which knows names in `.local` (RFC 6762).
const AVAHI: &str = "/run/avahi-daemon/socket";

/// The socket of systemd-resolved (systemd-resolved.service(8)), which knows those and the names of this device.
const RESOLVED: &str = "/run/systemd/resolve/io.systemd.Resolve";

/// The time for an answer of one of them. A name in `.local` that nobody has takes avahi five seconds.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(6);

/// The longest answer of one of them, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Finds the addresses of `host`, a name or an address, which may have a zone (RFC 4007 11). There is one at least.
///
/// # Errors
/// When nobody knows the name, in words with what to do.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    resolve_with(host, port, Path::new(AVAHI), Path::new(RESOLVED)).await
}

async fn resolve_with(host: &str, port: u16, avahi: &Path, resolved: &Path) -> io::Result<Vec<SocketAddr>> {
    let is_address = host.split('%').next().is_some_and(|address| address.parse::<IpAddr>().is_ok());
    if is_local(host) {
        // Both at once: each takes seconds for a name that nobody has.
        let (first, second) = tokio::join!(from_avahi(avahi, host, port), from_resolved(resolved, host, port));
        if let Some(found) = [first, second].into_iter().find(|found| !found.is_empty()) {
            return Ok(found);
        }
    }
    let error = match tokio::net::lookup_host((host, port)).await {
        Ok(found) => {
            let mut addresses: Vec<_> = found.collect();
            addresses.dedup();
            if !addresses.is_empty() {
                return Ok(addresses);
            }
            None
        }
        Err(error) => Some(error),
    };
    if is_address {
        let reason = error.map_or_else(String::new, |error| format!(" ({error})"));
        return Err(io::Error::other(format!("{host} is no address that this device can reach{reason}")));
    }
    if !is_local(host) {
        let found = from_resolved(resolved, host, port).await;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, not_found(host)))
}

fn not_found(host: &str) -> String {
    if is_local(host) {
        format!(
            "nobody on this network answers to the name {host}: neither avahi nor systemd-resolved nor DNS knows it. Check \
             that its device is on and that avahi-daemon runs here, or use its address"
        )
    } else {
        format!(
            "the name {host} has no address: neither DNS nor /etc/hosts nor systemd-resolved knows it. A name that only \
             other NSS modules of this device know has to go into /etc/hosts"
        )
    }
}

/// Returns whether multicast DNS is in charge of the name (RFC 6762 3).
fn is_local(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len() > 6 && host.get(host.len() - 6..).is_some_and(|end| end.eq_ignore_ascii_case(".local"))
}

/// Asks avahi for the name's addresses of both kinds; none where it does not run or does not know.
async fn from_avahi(socket: &Path, host: &str, port: u16) -> Vec<SocketAddr> {
    let ask = |kind: &'static str| async move {
        let mut stream = BufReader::new(UnixStream::connect(socket).await.ok()?.take(LONGEST_ANSWER));
        stream.get_mut().get_mut().write_all(format!("RESOLVE-HOSTNAME-{kind} {host}\n").as_bytes()).await.ok()?;
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        avahi_answer(&line, port)
    };
    let both = async { tokio::join!(ask("IPV6"), ask("IPV4")) };
    let (six, four) = timeout(DAEMON_TIMEOUT, both).await.unwrap_or_default();
    [six, four].into_iter().flatten().collect()
}

/// Reads `+ INTERFACE PROTOCOL NAME ADDRESS`.
fn avahi_answer(line: &str, port: u16) -> Option<SocketAddr> {
    let mut words = line.strip_prefix("+ ")?.split_whitespace();
    let interface = words.next()?.parse().ok()?;
    let address = words.nth(2)?.parse().ok()?;
    Some(with_interface(address, port, interface))
}

/// A question to systemd-resolved, as varlink has it.
#[derive(Serialize)]
struct VarlinkCall<'a> {
    method: &'static str,
    parameters: HostName<'a>,
}

#[derive(Serialize)]
struct HostName<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct VarlinkAnswer {
    #[serde(default)]
    parameters: ResolvedName,
}

#[derive(Default, Deserialize)]
struct ResolvedName {
    #[serde(default)]
    addresses: Vec<ResolvedAddress>,
}

#[derive(Deserialize)]
struct ResolvedAddress {
    #[serde(default)]
    ifindex: u32,
    address: Vec<u8>,
}

/// Asks systemd-resolved; nothing is found where it does not run or does not know.
async fn from_resolved(socket: &Path, host: &str, port: u16) -> Vec<SocketAddr> {
    let ask = async {
        let mut stream = BufReader::new(UnixStream::connect(socket).await.ok()?.take(LONGEST_ANSWER));
        let question =
            VarlinkCall { method: "io.systemd.Resolve.ResolveHostname", parameters: HostName { name: host } };
        let mut message = serde_json::to_vec(&question).ok()?;
        message.push(0);
        stream.get_mut().get_mut().write_all(&message).await.ok()?;
        let mut answer = Vec::new();
        stream.read_until(0, &mut answer).await.ok()?;
        resolved_answer(&answer, port)
    };
    timeout(DAEMON_TIMEOUT, ask).await.ok().flatten().unwrap_or_default()
}

fn resolved_answer(answer: &[u8], port: u16) -> Option<Vec<SocketAddr>> {
    let answer: VarlinkAnswer = serde_json::from_slice(answer.strip_suffix(&[0])?).ok()?;
    let address = |found: &ResolvedAddress| {
        let ip = match *found.address.as_slice() {
            [a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
            ref bytes => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        };
        Some(with_interface(ip, port, found.ifindex))
    };
    Some(answer.parameters.addresses.iter().filter_map(address).collect())
}

/// A link-local address means something on one interface only.
fn with_interface(address: IpAddr, port: u16, interface: u32) -> SocketAddr {
    match address {
        IpAddr::V6(six) if six.is_unicast_link_local() => SocketAddrV6::new(six, port, 0, interface).into(),
        other => SocketAddr::new(other, port),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixListener;

    use super::*;

    const NOBODY: &str = "/nowhere/socket";

    #[test]
    fn names_of_multicast_dns_are_told_from_others() {
        for local in ["gateway.local", "Gateway.LOCAL", "a.b.local", "gateway.local."] {
            assert!(is_local(local), "{local}");
        }
        for other in ["local", ".local", "gateway.local.example", "localhost", "10.0.0.1"] {
            assert!(!is_local(other), "{other}");
        }
    }

    #[test]
    fn answers_of_avahi_are_read() {
        let read = |line| avahi_answer(line, 1883).map(|address| address.to_string());
        assert_eq!(read("+ 2 0 gateway.local 192.168.7.2\n").as_deref(), Some("192.168.7.2:1883"));
        assert_eq!(read("+ 3 1 gateway.local fe80::1\n").as_deref(), Some("[fe80::1%3]:1883"));
        assert_eq!(read("+ 3 1 gateway.local 2001:db8::1\n").as_deref(), Some("[2001:db8::1]:1883"));
        for bad in ["-15 Timeout reached\n", "", "+ 2 0 gateway.local", "+ x 0 gateway.local 10.0.0.1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn answers_of_systemd_resolved_are_read() {
        let told = br#"{"parameters":{"addresses":[{"ifindex":2,"family":2,"address":[192,168,7,2]},
            {"ifindex":3,"family":10,"address":[254,128,0,0,0,0,0,0,0,0,0,0,0,0,0,1]},{"address":[1]}],"name":"x"}}"#;
        let read = resolved_answer(&[told, &[0][..]].concat(), 1).unwrap();
        let read: Vec<_> = read.iter().map(SocketAddr::to_string).collect();
        assert_eq!(read, ["192.168.7.2:1", "[fe80::1%3]:1"]);
        let error = b"{\"error\":\"io.systemd.Resolve.NoSuchResourceRecord\",\"parameters\":{}}\0";
        assert!(resolved_answer(error, 1).unwrap().is_empty());
        assert!(resolved_answer(b"{", 1).is_none());
    }

    #[tokio::test]
    async fn avahi_is_asked_for_a_local_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("avahi");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 128];
                let length = stream.read(&mut asked).await.unwrap();
                let answer = match &asked[..length] {
                    b"RESOLVE-HOSTNAME-IPV4 gateway.local\n" => "+ 2 0 gateway.local 127.0.0.9\n",
                    _ => "-15 Timeout reached\n",
                };
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let found = resolve_with("gateway.local", 1883, &path, Path::new(NOBODY)).await.unwrap();
        assert_eq!(found, ["127.0.0.9:1883".parse().unwrap()]);
    }

    #[tokio::test]
    async fn addresses_need_nobody_and_unknown_names_are_told_with_what_to_do() {
        let found = |host: &'static str| resolve_with(host, 1, Path::new(NOBODY), Path::new(NOBODY));
        assert_eq!(found("127.0.0.1").await.unwrap(), ["127.0.0.1:1".parse().unwrap()]);
        assert_eq!(found("fe80::1%lo").await.unwrap(), ["[fe80::1%1]:1".parse().unwrap()]);
        let error = found("nobody.invalid").await.unwrap_err().to_string();
        assert!(error.contains("the name nobody.invalid has no address") && error.contains("/etc/hosts"), "{error}");
    }
}
