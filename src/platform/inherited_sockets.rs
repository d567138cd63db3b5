//! Sockets on which the service manager listens for this process (`sd_listen_fds`(3)).
//!
//! No other user of the device can take their ports while this process is down, or while it does not listen.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use listenfd::ListenFd;
use tokio::net::TcpListener;

use super::{acceptor, http_server};

/// The sockets, by address.
#[derive(Debug, Default)]
pub(crate) struct InheritedSockets(BTreeMap<SocketAddr, std::net::TcpListener>);

impl InheritedSockets {
    /// Takes those that were handed to this process.
    #[must_use]
    pub(crate) fn from_process() -> Self {
        let mut handed = ListenFd::from_env();
        let sockets = (0..handed.len()).filter_map(|place| handed.take_tcp_listener(place).ok().flatten());
        Self(sockets.filter_map(|socket| Some((socket.local_addr().ok()?, socket))).collect())
    }

    /// Listens on `address`, by one of them or anew.
    ///
    /// # Errors
    /// When the address is taken, by whom if that can be seen, or not to be had.
    pub(crate) fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let Some(socket) = self.0.get(&address) else {
            return http_server::listen(address).map_err(|error| with_holder(error, address));
        };
        let socket = socket.try_clone()?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket)
    }
}

/// Says whose program holds the address.
fn with_holder(error: io::Error, address: SocketAddr) -> io::Error {
    match acceptor::holder_of(address).filter(|_| error.kind() == io::ErrorKind::AddrInUse) {
        Some(user) => io::Error::new(error.kind(), format!("a program of {user} listens there")),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_with_its_holder() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let told = InheritedSockets::default().listen(taken.local_addr().unwrap()).unwrap_err().to_string();
        assert!(told.starts_with("a program of ") && told.ends_with(" listens there"), "{told}");
    }

    #[tokio::test]
    async fn a_socket_of_the_service_manager_is_used_again_and_again() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let inherited = InheritedSockets(BTreeMap::from([(address, socket)]));
        for _ in 0..2 {
            let listener = inherited.listen(address).unwrap();
            let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
            assert_eq!(accepted.unwrap().1, connected.unwrap().local_addr().unwrap());
        }
    }
}
