//! The redirect address on this device (RFC 8252 7.3): a browser that the provider sends back here brings the code.
//!
//! It listens only on loopback, and only while a sign-in waits for a browser. Whoever else comes there finds nothing: a
//! redirection is good only with the state of a sign-in that waits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::{Host, Url};

use crate::domain::loopback::loopback_address;
use crate::domain::secret::Secret;
use crate::platform::http_server::{self, Bounds, ResponseBody, ResponseFuture};
use crate::platform::inherited_sockets::InheritedSockets;

/// The time for an answer: the provider is asked meanwhile.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A browser comes once, and stays until it is answered.
const BOUNDS: Bounds = Bounds { connections: 8, life: Duration::from_secs(70), keep_alive: false, behind_proxy: false };

/// A browser that has come back.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The address that it came to, with the query; a code is in it.
    pub target: Secret,
    /// Takes what to tell the user: that it is done, or a sentence on why not.
    pub outcome: oneshot::Sender<Result<(), String>>,
}

/// Listens until it is dropped. Browsers that are being answered then are answered still.
#[derive(Debug)]
pub(crate) struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The address to listen on for `redirect_uri`, if that is one of this device.
#[must_use]
pub(crate) fn address(redirect_uri: &Url) -> Option<SocketAddr> {
    let ip: IpAddr = match redirect_uri.host()? {
        Host::Ipv4(ip) => ip.into(),
        Host::Ipv6(ip) => ip.into(),
        Host::Domain(name) => loopback_address(name)?,
    };
    let port = redirect_uri.port_or_known_default()?;
    (redirect_uri.scheme() == "http" && ip.is_loopback()).then(|| SocketAddr::new(ip, port))
}

/// Listens on `address`, and reports each browser that comes.
///
/// # Errors
/// When the address is taken, by whom if that can be seen, or not to be had.
pub(crate) fn listen<E: From<Arrival> + Send + 'static>(
    address: SocketAddr,
    inherited: &InheritedSockets,
    events: mpsc::Sender<E>,
) -> io::Result<Listener> {
    let listener = inherited.listen(address)?;
    let answering = Arc::new(move |request| -> ResponseFuture { Box::pin(answer(address, request, events.clone())) });
    Ok(Listener(tokio::spawn(http_server::serve(listener, BOUNDS, answering))))
}

async fn answer<E: From<Arrival>>(
    address: SocketAddr,
    request: Request<Bytes>,
    events: mpsc::Sender<E>,
) -> Response<ResponseBody> {
    let target = request.uri().path_and_query().filter(|target| target.query().is_some());
    let target = target.filter(|_| request.method() == Method::GET);
    let target = target.map(|target| Secret::new(format!("http://{address}{target}")));
    let Some(target) = target else {
        return page(StatusCode::NOT_FOUND, "Nothing is here", "This address takes part in a sign-in, and only then.");
    };
    let (outcome, decided) = oneshot::channel();
    if events.send(Arrival { target, outcome }.into()).await.is_err() {
        return page(StatusCode::SERVICE_UNAVAILABLE, "Not now", "The agent is stopping.");
    }
    match timeout(ANSWER_TIMEOUT, decided).await {
        Ok(Ok(Ok(()))) => page(StatusCode::OK, "Signed in", "You can close this page."),
        Ok(Ok(Err(reason))) => page(StatusCode::BAD_REQUEST, "Not signed in", &reason),
        Ok(Err(_)) | Err(_) => page(
            StatusCode::ACCEPTED,
            "Not signed in yet",
            "The provider has not answered. The device goes on trying; its status tells how it ends.",
        ),
    }
}

fn page(status: StatusCode, title: &str, text: &str) -> Response<ResponseBody> {
    let (title, text) = (escaped(title), escaped(text));
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><main><h1>{title}</h1><p>{text}</p></main></html>"
    );
    let mut response = Response::new(ResponseBody::Whole(Full::new(Bytes::from(html))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The address of this page has the code in it.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_device_are_listened_on() {
        let of = |text: &str| address(&text.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(of("http://127.0.0.1:8629/oauth2/redirect").as_deref(), Some("127.0.0.1:8629"));
        assert_eq!(of("http://[::1]:8629/").as_deref(), Some("[::1]:8629"));
        assert_eq!(of("http://localhost:80/").as_deref(), Some("127.0.0.1:80"));
        for other in ["https://127.0.0.1:8629/", "http://10.0.0.1:8629/", "http://a.example/", "https://a.example/cb"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_reason_cannot_become_markup() {
        assert_eq!(escaped("<b>&"), "&lt;b&gt;&amp;");
    }
}
