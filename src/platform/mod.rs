//! The operating system as the program needs it: clocks, timers, random numbers, the service manager, trust in certificates, listening
//! sockets.

pub(crate) mod acceptor;
pub(crate) mod clock;
pub(crate) mod http_server;
pub(crate) mod inherited_sockets;
mod named_certificate;
pub(crate) mod names;
pub(crate) mod random;
pub(crate) mod redirect_listener;
pub(crate) mod systemd;
pub(crate) mod timer;
pub(crate) mod tls;
