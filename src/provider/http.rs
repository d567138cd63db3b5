//! One HTTP exchange: bounded in time and size, never redirected, its failures told apart.

use std::error::Error as _;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use oauth2::HttpRequest;
use oauth2::http::HeaderMap;
use oauth2::http::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use reqwest::Response;
use zeroize::Zeroizing;

use crate::domain::clock::UnixTime;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::text::printable;
use crate::platform::clock;

/// The time for a connection, and for the whole exchange.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest body that is read.
const LARGEST_BODY: usize = 256 * 1024;

/// Sends requests.
#[derive(Clone, Debug)]
pub(crate) struct Http(reqwest::Client);

/// What came back.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The HTTP status.
    pub(super) status: u16,
    /// Whether the body says that it is form-encoded.
    pub(super) is_form: bool,
    /// The wait that the server asked for.
    pub(super) retry_after: Option<Duration>,
    /// Where a redirect would have led, without its query.
    pub(super) redirected_to: Option<String>,
    /// When the server says that it answered.
    pub(super) date: Option<UnixTime>,
    /// The whole body.
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Http {
    /// A client that trusts what `tls` says. Proxies are taken from the environment (`HTTPS_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub(crate) fn new(tls: rustls::ClientConfig) -> Result<Self, reqwest::Error> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            // A redirect would carry tokens to where nobody registered this client.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            // A server may close a connection that is kept at the moment when the next request goes out on it, and then
            // nobody knows whether a refresh was carried out.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("oauth2mqtt/", env!("CARGO_PKG_VERSION")))
            .build()
            .map(Self)
    }

    /// Sends `request` and reads the whole answer, whatever its status.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<Exchange, Fault> {
        let request = reqwest::Request::try_from(request).map_err(|error| transport_fault(&error))?;
        let response = self.0.execute(request).await.map_err(|error| transport_fault(&error))?;
        let status = response.status().as_u16();
        let headers = response.headers();
        let is_form =
            text(headers, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let retry_after = retry_after(headers);
        let redirected_to = response.status().is_redirection().then(|| text(headers, &LOCATION)).flatten();
        let redirected_to = redirected_to.map(|to| printable(to.split(['?', '#']).next().unwrap_or_default()));
        let date = date(headers);
        let body = bounded_body(response).await?;
        Ok(Exchange { status, is_form, retry_after, redirected_to, date, body })
    }
}

async fn bounded_body(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Fault> {
    // All at once, because growing would leave copies of what was read so far behind.
    let expected = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Zeroizing::new(Vec::with_capacity(expected.unwrap_or(16 * 1024).min(LARGEST_BODY)));
    while let Some(chunk) = response.chunk().await.map_err(|error| transport_fault(&error))? {
        if body.len() + chunk.len() > LARGEST_BODY {
            let message = format!("What answered in the provider's place sent more than {} KiB.", LARGEST_BODY / 1024);
            return Err(Fault::passing(FaultCode::NotOauth, message).in_doubt());
        }
        if body.capacity() < body.len() + chunk.len() {
            let mut larger = Zeroizing::new(Vec::with_capacity((2 * body.capacity()).max(body.len() + chunk.len())));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn text(headers: &HeaderMap, name: &oauth2::http::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// `Retry-After` in either form (RFC 9110 10.2.3). A date is held against the answer's own `Date`, since the device's
/// clock may be wrong.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?;
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(&value).ok()?;
    let sent = httpdate::parse_http_date(&text(headers, &DATE)?).ok()?;
    at.duration_since(sent).ok()
}

fn date(headers: &HeaderMap) -> Option<UnixTime> {
    let at = httpdate::parse_http_date(&text(headers, &DATE)?).ok()?;
    let since = at.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    Some(UnixTime::new(i64::try_from(since.as_secs()).ok()?))
}

/// What kept an answer away. Once there was a connection, the request may have arrived.
fn transport_fault(error: &reqwest::Error) -> Fault {
    let fault = transport_fault_of(error);
    if error.is_connect() || error.is_builder() { fault } else { fault.in_doubt() }
}

fn transport_fault_of(error: &reqwest::Error) -> Fault {
    if let Some(reason) = tls_reason(error) {
        let message = format!("The encrypted connection to the provider failed: {}.", printable(&reason));
        return Fault::passing(FaultCode::TlsFailed, message);
    }
    if error.is_timeout() {
        let message = format!("The provider did not answer within {} s.", TOTAL_TIMEOUT.as_secs());
        return Fault::passing(FaultCode::ProviderTimeout, message);
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let reason = printable(&deepest.to_string());
    let message = if error.is_connect() {
        format!("The provider cannot be reached: {reason}.")
    } else {
        format!("The connection to the provider broke off: {reason}.")
    };
    Fault::passing(FaultCode::ProviderUnreachable, message)
}

/// What the TLS library said, if it was it: it hides inside I/O errors, which do not name it as their source.
fn tls_reason(error: &reqwest::Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls_words(tls));
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = inside.map(|inside| inside as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    None
}

/// Says of a certificate that is out of its time what the device's clock reads: most often it is the clock that is
/// wrong, on devices that have none that runs while they are off.
fn tls_words(error: &rustls::Error) -> String {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let seconds = u64::try_from(clock::now().wall.seconds()).unwrap_or(0);
    let reads = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    match error {
        rustls::Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            format!("its certificate is not valid yet by this device's clock, which reads {reads} and may be wrong")
        }
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            format!("its certificate has expired by this device's clock, which reads {reads}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&oauth2::http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        assert_eq!(retry_after(&headers(&[(&RETRY_AFTER, "120")])), Some(Duration::from_secs(120)));
        let dated =
            headers(&[(&DATE, "Tue, 24 Nov 2026 10:00:00 GMT"), (&RETRY_AFTER, "Tue, 24 Nov 2026 10:01:30 GMT")]);
        assert_eq!(retry_after(&dated), Some(Duration::from_secs(90)));
        assert_eq!(retry_after(&headers(&[(&RETRY_AFTER, "soon")])), None);
        assert_eq!(retry_after(&headers(&[])), None);
    }
}
