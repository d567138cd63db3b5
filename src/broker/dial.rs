//! The way to the broker: addresses, sockets and TLS.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use super::connection::Stream;
use crate::domain::settings::BrokerAddress;
use crate::domain::text::printable;
use crate::platform::acceptor::{self, NotTrusted};
use crate::platform::{names, tls};

/// The time for one address before the next is tried beside it (RFC 8305 5, Connection Attempt Delay).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The most addresses of one name that are tried.
const MOST_ADDRESSES: usize = 16;

/// Makes sockets to one broker.
pub(super) struct Dialer {
    pub(super) address: BrokerAddress,
    /// For a broker behind TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// The user whose program must be listening, where the broker is on loopback.
    pub(super) broker_user: Option<String>,
}

/// The reason why a socket is not made.
#[derive(Debug)]
pub(super) enum DialError {
    /// Nobody knows the name.
    Name(String),
    /// Nothing answers at the address.
    Network(String),
    /// The encrypted connection cannot be made.
    Tls(String),
    /// It is not certain that the broker is the one that answers.
    NotTrusted(NotTrusted),
}

impl Dialer {
    /// Makes a connection.
    ///
    /// # Errors
    /// When none can be made, or the program at the other end is not the broker's user's.
    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, DialError> {
        match &self.address {
            BrokerAddress::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| DialError::Network(error.to_string()))?;
                Ok(Box::new(stream))
            }
            BrokerAddress::Tcp { host, port } => Ok(Box::new(self.tcp(host, *port).await?)),
            BrokerAddress::Tls { host, port, .. } => {
                let stream = self.tcp(host, *port).await?;
                let config = self.tls.clone().ok_or_else(|| DialError::Tls("it is not set up".to_owned()))?;
                // A zone is this device's own matter (RFC 4007 11.2).
                let name = host.split('%').next().unwrap_or_default().to_owned();
                let server = ServerName::try_from(name).map_err(|error| DialError::Tls(error.to_string()))?;
                let stream = TlsConnector::from(config).connect(server, stream).await;
                Ok(Box::new(stream.map_err(|error| DialError::Tls(tls_reason(&error, host)))?))
            }
        }
    }

    async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let addresses =
            names::resolve(host, port).await.map_err(|error| DialError::Name(printable(&error.to_string())))?;
        let stream = first_to_answer(in_turn(host, addresses)).await.map_err(DialError::Network)?;
        // Each message is sent when it comes: held back until the one before is acknowledged, it would be 40 ms late.
        let _ = stream.set_nodelay(true);
        if let (Some(user), Ok(local), Ok(peer)) = (&self.broker_user, stream.local_addr(), stream.peer_addr())
            && peer.ip().is_loopback()
        {
            acceptor::is_of_user(user, local, peer).await.map_err(DialError::NotTrusted)?;
        }
        Ok(stream)
    }
}

/// The order in which addresses are tried: the two families by turns, IPv6 first (RFC 8305 4).
///
/// Brokers listen on 127.0.0.1, and not all on `::1`, where anybody else could: `localhost` means the former first.
fn in_turn(host: &str, addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    if host.eq_ignore_ascii_case("localhost") {
        std::mem::swap(&mut first, &mut second);
        first.append(&mut second);
        return first;
    }
    let mut order = VecDeque::with_capacity(first.len() + second.len());
    while !first.is_empty() || !second.is_empty() {
        order.extend(first.pop_front());
        order.extend(second.pop_front());
    }
    order.truncate(MOST_ADDRESSES);
    order
}

/// Tries the addresses, each a little after the one before or as soon as that has failed, and takes the first that answers
/// (RFC 8305 5). On failure it says what each did.
async fn first_to_answer(mut addresses: VecDeque<SocketAddr>) -> Result<TcpStream, String> {
    let one_by_one = addresses.iter().all(|address| address.ip().is_loopback());
    let mut attempts = JoinSet::new();
    let mut failures = Vec::new();
    loop {
        if let Some(address) = addresses.pop_front() {
            attempts.spawn(async move { TcpStream::connect(address).await.map_err(|error| (address, error)) });
        }
        tokio::select! {
            attempt = attempts.join_next() => match attempt {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(failure))) => failures.push(failure),
                Some(Err(_)) => {}
                None => return Err(told(&failures)),
            },
            () = sleep(ATTEMPT_DELAY), if !addresses.is_empty() && !one_by_one => {}
        }
    }
}

fn told(failures: &[(SocketAddr, io::Error)]) -> String {
    match failures {
        [(_, only)] => only.to_string(),
        all => {
            let each: Vec<_> = all.iter().map(|(address, error)| format!("{}: {error}", address.ip())).collect();
            each.join("; ")
        }
    }
}

fn tls_reason(error: &io::Error, host: &str) -> String {
    let inside = error.get_ref().and_then(|inside| inside.downcast_ref::<rustls::Error>());
    match inside {
        Some(rustls::Error::InvalidMessage(_)) => "what answers there does not speak TLS. Check the port in [mqtt] url".to_owned(),
        Some(error) => tls::explain(error, host),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it was closed while it was being set up. Check the port in [mqtt] url, and whether the broker wants a client \
             certificate (cert_file and key_file)"
                .to_owned()
        }
        None => printable(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_localhost_begins_where_brokers_listen() {
        let found = addresses(&["10.0.0.1:1", "10.0.0.2:1", "[2001:db8::1]:1"]);
        let order: Vec<_> = in_turn("broker.example", found).into_iter().collect();
        assert_eq!(order, addresses(&["[2001:db8::1]:1", "10.0.0.1:1", "10.0.0.2:1"]));
        let order: Vec<_> = in_turn("LOCALHOST", addresses(&["[::1]:1", "127.0.0.1:1"])).into_iter().collect();
        assert_eq!(order, addresses(&["127.0.0.1:1", "[::1]:1"]));
    }

    #[tokio::test]
    async fn an_address_that_answers_is_found_behind_those_that_refuse_or_stay_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let right = listener.local_addr().unwrap();
        let closed = TcpListener::bind("127.0.0.2:0").await.unwrap().local_addr().unwrap();
        // The last is for documentation (RFC 5737): nobody answers there, or the network says so at once.
        let all = VecDeque::from([closed, "192.0.2.1:9".parse().unwrap(), right]);
        assert_eq!(first_to_answer(all).await.unwrap().peer_addr().unwrap(), right);
    }

    #[tokio::test]
    async fn where_none_answers_each_is_told() {
        let closed = |ip: &'static str| async move { TcpListener::bind((ip, 0)).await.unwrap().local_addr().unwrap() };
        let all = VecDeque::from([closed("127.0.0.2").await, closed("127.0.0.3").await]);
        let told = first_to_answer(all).await.unwrap_err();
        assert!(told.contains("127.0.0.2: ") && told.contains("127.0.0.3: "), "{told}");
    }
}
