//! One HTTP exchange: bounded in time and size, never redirected, its failures told apart.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use oauth2::HttpRequest;
use oauth2::http::HeaderMap;
use oauth2::http::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use reqwest::Response;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;
use zeroize::Zeroizing;

use super::compression::decompressed;
use super::transport::{self, CONNECT_TIMEOUT, Destination, TOTAL_TIMEOUT};
use crate::domain::clock::{BootTime, UnixTime};
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::loopback::ends_here;
use crate::domain::text::printable;
use crate::platform::{clock, names};

/// The largest body that is read.
const LARGEST_BODY: usize = 256 * 1024;

/// The variables that name proxies (curl(1)).
const PROXY_VARIABLES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Sends requests.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    direct: reqwest::Client,
    /// By way of the proxies that the environment names, if it names any.
    proxied: Option<reqwest::Client>,
}

/// An HTTP response.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// The HTTP status.
    pub(super) status: u16,
    /// True if the body says that it is form-encoded.
    pub(super) is_form: bool,
    /// The wait that the server asked for.
    pub(super) retry_after: Option<Duration>,
    /// Where a redirect would have led, without its query; fit to be shown.
    pub(super) redirected_to: Option<String>,
    /// The same as it was sent.
    pub(super) location: Option<String>,
    /// When the server says that it answered.
    pub(super) date: Option<UnixTime>,
    /// The whole body.
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Http {
    /// A client that trusts what `tls` says. Proxies are taken from the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub(crate) fn new(tls: rustls::ClientConfig) -> Result<Self, reqwest::Error> {
        let has_proxy =
            PROXY_VARIABLES.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        Ok(Self {
            direct: client(tls.clone()).no_proxy().build()?,
            proxied: if has_proxy { Some(client(tls).build()?) } else { None },
        })
    }

    /// The proxied client for an address, if a proxy may have it. A proxy sees in the clear whatever is not under TLS, and it has
    /// no business with what stays on this device.
    fn proxied_for(&self, url: &Url) -> Option<&reqwest::Client> {
        self.proxied.as_ref().filter(|_| url.scheme() == "https" && !ends_here(url))
    }

    /// Sends `request` and reads the whole answer, whatever its status.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<Exchange, Fault> {
        // Secrets are in the query, the headers and the body, none of which is logged.
        let begun = clock::now().boot;
        let request = reqwest::Request::try_from(request).map_err(|error| {
            Fault::passing(
                FaultCode::ProviderUnreachable,
                format!("The address of the request is unusable: {}.", error.without_url()),
            )
        })?;
        let (method, url) = (request.method().clone(), request.url().clone());
        let proxied = self.proxied_for(&url);
        let destination = Destination::new(&url, proxied.is_some());
        let failed = |error: &reqwest::Error| {
            let fault = transport::fault(error, &destination);
            tracing::debug!(%method, host = %destination, path = url.path(), %fault, ms = since(begun), "request failed");
            fault
        };
        let mut response = proxied.unwrap_or(&self.direct).execute(request).await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        tracing::debug!(%method, host = %destination, path = url.path(), status, ms = since(begun), "request answered");
        let headers = response.headers();
        let is_form =
            text(headers, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let retry_after = retry_after(headers);
        let location = response.status().is_redirection().then(|| text(headers, &LOCATION)).flatten();
        let redirected_to = location.as_deref().map(|to| printable(to.split(['?', '#']).next().unwrap_or_default()));
        let date = date(headers);
        let encoding = text(headers, &CONTENT_ENCODING);
        let body = bounded_body(&mut response, failed).await?;
        let body = decompressed(body, encoding.as_deref(), LARGEST_BODY).map_err(|error| {
            Fault::passing(FaultCode::NotOauth, format!("The provider's answer cannot be read: {error}.")).in_doubt()
        })?;
        Ok(Exchange { status, is_form, retry_after, redirected_to, location, date, body })
    }
}

/// The milliseconds since `begun`.
fn since(begun: BootTime) -> u128 {
    clock::now().boot.after(begun).as_millis()
}

fn client(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        // A redirect would carry tokens to where nobody registered this client.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        // A server may close a connection that is kept at the moment when the next request goes out on it, and then nobody
        // knows whether a refresh was carried out.
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(ProviderResolver))
        .user_agent(concat!("oauth2mqtt/", env!("CARGO_PKG_VERSION")))
}

async fn bounded_body(
    response: &mut Response,
    failed: impl Fn(&reqwest::Error) -> Fault,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    // All at once, because growing would leave copies of what was read so far behind.
    let expected = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Zeroizing::new(Vec::with_capacity(expected.unwrap_or(16 * 1024).min(LARGEST_BODY)));
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
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

/// `Retry-After` in either form (RFC 9110 10.2.3), and with a fraction of a second. A date is held against the answer's own
/// `Date` where there is one, since the device's clock may be wrong.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?;
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    if let Some(seconds) = value.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0) {
        return Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let sent = text(headers, &DATE).and_then(|date| httpdate::parse_http_date(&date).ok());
    let by_device = || UNIX_EPOCH + Duration::from_secs(u64::try_from(clock::now().wall.seconds()).unwrap_or(0));
    // One that has passed asks for no wait.
    Some(at.duration_since(sent.unwrap_or_else(by_device)).unwrap_or_default())
}

fn date(headers: &HeaderMap) -> Option<UnixTime> {
    let at = httpdate::parse_http_date(&text(headers, &DATE)?).ok()?;
    let since = at.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    Some(UnixTime::new(i64::try_from(since.as_secs()).ok()?))
}

/// Finds the addresses of providers as those of the broker are found.
#[derive(Debug)]
struct ProviderResolver;

impl Resolve for ProviderResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The client puts the port of the request in the place of this one.
            let found = names::resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&oauth2::http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        assert_eq!(retry_after(&headers(&[(&RETRY_AFTER, "120")])), Some(Duration::from_secs(120)));
        let dated =
            headers(&[(&DATE, "Tue, 24 Nov 2026 10:00:00 GMT"), (&RETRY_AFTER, "Tue, 24 Nov 2026 10:01:30 GMT")]);
        assert_eq!(retry_after(&dated), Some(Duration::from_secs(90)));
        let passed =
            headers(&[(&DATE, "Tue, 24 Nov 2026 10:00:00 GMT"), (&RETRY_AFTER, "Tue, 24 Nov 2026 09:00:00 GMT")]);
        assert_eq!(retry_after(&passed), Some(Duration::ZERO));
        let by_the_devices_clock = headers(&[(&RETRY_AFTER, "Fri, 31 Dec 9999 23:59:59 GMT")]);
        assert!(retry_after(&by_the_devices_clock).unwrap() > Duration::from_secs(86_400));
        assert_eq!(retry_after(&headers(&[(&RETRY_AFTER, " 1.5 ")])), Some(Duration::from_millis(1_500)));
        for bad in ["soon", "-1", "NaN", ""] {
            assert_eq!(retry_after(&headers(&[(&RETRY_AFTER, bad)])), None, "{bad}");
        }
        assert_eq!(retry_after(&headers(&[])), None);
    }
}
