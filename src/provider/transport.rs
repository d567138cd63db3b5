//! Why there is no answer: which host did not give one, and what kept it from doing so.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use url::Url;

use crate::domain::fault::{Fault, FaultCode};
use crate::domain::text::printable;
use crate::platform::tls;

/// The time for a connection, and for the whole exchange.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub(super) const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// The other end of a request, as a message names it.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    host: String,
    port: Option<u16>,
    /// True if the request goes by way of a proxy that the environment names.
    is_proxied: bool,
}

impl Destination {
    /// The server at `url`.
    pub(super) fn new(url: &Url, is_proxied: bool) -> Self {
        Self { host: url.host_str().unwrap_or_default().to_owned(), port: url.port(), is_proxied }
    }

    /// The one that a connection is made to.
    fn next_hop(&self) -> String {
        if self.is_proxied { format!("the proxy on the way to {self}") } else { self.to_string() }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Returns the fault that kept an answer away. Once there was a connection, the request may have arrived.
pub(super) fn fault(error: &reqwest::Error, destination: &Destination) -> Fault {
    let fault = fault_of(error, destination);
    if error.is_connect() || error.is_builder() { fault } else { fault.in_doubt() }
}

fn fault_of(error: &reqwest::Error, destination: &Destination) -> Fault {
    if let Some(reason) = tls_reason(error, &destination.host) {
        let message = format!("The encrypted connection to {destination} failed: {reason}.");
        return Fault::passing(FaultCode::TlsFailed, message);
    }
    if error.is_timeout() {
        let message = if error.is_connect() {
            format!(
                "No connection to {} within {} s: it did not answer.",
                destination.next_hop(),
                CONNECT_TIMEOUT.as_secs()
            )
        } else {
            format!("{destination} accepted the request and did not answer it within {} s.", TOTAL_TIMEOUT.as_secs())
        };
        return Fault::passing(FaultCode::ProviderTimeout, message);
    }
    let cause = deepest(error);
    let message = if error.is_connect() {
        format!("The provider cannot be reached: {}.", not_reached(cause, destination))
    } else {
        format!("The connection to {destination} broke off: {}.", printable(&cause.to_string()))
    };
    Fault::passing(FaultCode::ProviderUnreachable, message)
}

/// The reason why there is no connection.
fn not_reached(cause: &(dyn Error + 'static), destination: &Destination) -> String {
    let hop = destination.next_hop();
    match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => format!("{hop} refused the connection"),
        Some(ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable) => {
            format!("this device has no route to {hop}")
        }
        // The search for the name's addresses says which name it is.
        Some(ErrorKind::NotFound) if !destination.is_proxied => printable(&cause.to_string()),
        _ => format!("no connection to {hop}: {}", printable(&cause.to_string())),
    }
}

fn deepest<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest
}

/// Returns the error of the TLS library, if it was one: it hides inside I/O errors, which do not name it as their source.
fn tls_reason(of: &reqwest::Error, host: &str) -> Option<String> {
    let mut cause = of.source();
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls::explain(tls, host));
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = inside.map(|inside| inside as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_names_the_host_or_the_proxy_on_the_way_to_it() {
        let url = Url::parse("https://ann:hunter2@id.example/token?code=7").unwrap();
        let told =
            |kind: ErrorKind, is_proxied| not_reached(&io::Error::from(kind), &Destination::new(&url, is_proxied));
        assert_eq!(told(ErrorKind::HostUnreachable, false), "this device has no route to id.example");
        assert_eq!(told(ErrorKind::NetworkUnreachable, false), "this device has no route to id.example");
        assert_eq!(told(ErrorKind::ConnectionRefused, false), "id.example refused the connection");
        assert_eq!(
            told(ErrorKind::ConnectionRefused, true),
            "the proxy on the way to id.example refused the connection"
        );
        let error = io::Error::new(ErrorKind::NotFound, "the name proxy.example has no address");
        assert_eq!(
            not_reached(&error, &Destination::new(&url, true)),
            "no connection to the proxy on the way to id.example: the name proxy.example has no address"
        );
        assert_eq!(not_reached(&error, &Destination::new(&url, false)), "the name proxy.example has no address");
    }
}
