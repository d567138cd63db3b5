//! The redirect address on this device (RFC 8252 7.3): a browser that the provider sends back here brings the code.
//!
//! It listens only on loopback, and only while a sign-in waits for a browser. Whoever else comes there finds nothing: a
//! redirection is good only with the state of a sign-in that waits.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::{Host, Url};

use crate::secret::Secret;

/// How many browsers are served at a time.
const AT_A_TIME: usize = 8;

/// The time for a request to arrive, and for one to be answered: the provider is asked meanwhile.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest head of a request, in bytes: a code may be long.
const LARGEST_HEAD: usize = 16 * 1024;

/// A browser that has come back.
#[derive(Debug)]
pub struct Arrival {
    /// The path and query that it came to; a code is in it.
    pub target: Secret,
    /// Takes what to tell the user: that it is done, or a sentence on why not.
    pub outcome: oneshot::Sender<Result<(), String>>,
}

/// Listens until it is dropped. Browsers that are being answered then are answered still.
#[derive(Debug)]
pub struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The address to listen on for `redirect_uri`, if that is one of this device.
#[must_use]
pub fn address(redirect_uri: &Url) -> Option<SocketAddr> {
    let ip: IpAddr = match redirect_uri.host()? {
        Host::Ipv4(ip) => ip.into(),
        Host::Ipv6(ip) => ip.into(),
        Host::Domain("localhost") => Ipv4Addr::LOCALHOST.into(),
        Host::Domain(_) => return None,
    };
    let port = redirect_uri.port_or_known_default()?;
    (redirect_uri.scheme() == "http" && ip.is_loopback()).then(|| SocketAddr::new(ip, port))
}

/// Listens on `address`, and reports each browser that comes.
///
/// # Errors
/// When the address is taken or not to be had.
pub fn listen<E: From<Arrival> + Send + 'static>(address: SocketAddr, events: mpsc::Sender<E>) -> io::Result<Listener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    Ok(Listener(tokio::spawn(accept(listener, events))))
}

async fn accept<E: From<Arrival> + Send + 'static>(listener: TcpListener, events: mpsc::Sender<E>) {
    let limit = Arc::new(Semaphore::new(AT_A_TIME));
    loop {
        // It is never closed, so there is always a permit sooner or later.
        let permit = Arc::clone(&limit).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let events = events.clone();
                tokio::spawn(async move {
                    serve(stream, events).await;
                    drop(permit);
                });
            }
            // Out of descriptors: there may be some again in a moment.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve<E: From<Arrival> + Send + 'static>(stream: TcpStream, events: mpsc::Sender<E>) {
    let service = service_fn(|request| answer(request, events.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A browser that goes away, or stays too long, is nobody's loss.
    let _ = timeout(REQUEST_TIMEOUT + ANSWER_TIMEOUT, connection).await;
}

async fn answer<E: From<Arrival>>(
    request: Request<Incoming>,
    events: mpsc::Sender<E>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.uri().path_and_query().map(|target| Secret::new(target.as_str().to_owned()));
    let target = target.filter(|target| target.expose().contains('?') && request.method() == Method::GET);
    let Some(target) = target else {
        return Ok(page(
            StatusCode::NOT_FOUND,
            "Nothing is here",
            "This address takes part in a sign-in, and only then.",
        ));
    };
    let (outcome, decided) = oneshot::channel();
    if events.send(Arrival { target, outcome }.into()).await.is_err() {
        return Ok(page(StatusCode::SERVICE_UNAVAILABLE, "Not now", "The agent is stopping."));
    }
    Ok(match timeout(ANSWER_TIMEOUT, decided).await {
        Ok(Ok(Ok(()))) => page(StatusCode::OK, "Signed in", "You can close this page."),
        Ok(Ok(Err(reason))) => page(StatusCode::BAD_REQUEST, "Not signed in", &reason),
        Ok(Err(_)) | Err(_) => page(
            StatusCode::ACCEPTED,
            "Not signed in yet",
            "The provider has not answered. The device goes on trying; its status tells how it ends.",
        ),
    })
}

fn page(status: StatusCode, title: &str, text: &str) -> Response<Full<Bytes>> {
    let (title, text) = (escaped(title), escaped(text));
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><main><h1>{title}</h1><p>{text}</p></main></html>"
    );
    let mut response = Response::new(Full::new(Bytes::from(html)));
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
