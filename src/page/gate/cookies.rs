//! The cookies of the gate.
//!
//! With the prefix `__Host-`, a browser takes one only by TLS, from this very host and for all of its paths (RFC 6265bis 4.1.3.2): no
//! other host of the domain can set it (cookie tossing), nor anybody between browser and proxy.

use hyper::header::{self, HeaderMap, HeaderValue};

use crate::domain::gate::CookieDigest;
use crate::domain::secret::Secret;

/// The cookie of a session.
pub(super) const SESSION: &str = "__Host-oauth2mqtt-gate";

/// The cookie by which a browser is known that is signing in.
pub(super) const SIGN_IN: &str = "__Host-oauth2mqtt-gate-sign-in";

/// The digest of the value of the cookie with this name. A browser has only one; of two, neither counts. Other programs of the host
/// have cookies as well, of whatever bytes, and HTTP/2 may send each in a line of its own (RFC 9113 8.2.3).
pub(super) fn digest(headers: &HeaderMap, name: &str) -> Option<CookieDigest> {
    let lines = headers.get_all(header::COOKIE).iter();
    let cookies = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let mut values = cookies.filter_map(|cookie| cookie.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    let value = values.next()?;
    (values.next().is_none() && !value.is_empty()).then(|| CookieDigest::of(value))
}

/// The header that gives a browser a cookie for so many seconds. Lax: it is sent when the provider sends the browser back, and with no
/// other request that another site brings about, but for plain links.
pub(super) fn given(name: &str, value: &Secret, seconds: u64) -> Option<HeaderValue> {
    let cookie = format!("{name}={}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax", value.expose());
    let mut value = HeaderValue::try_from(cookie).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The header that takes a cookie away.
pub(super) fn taken(name: &str) -> Option<HeaderValue> {
    given(name, &Secret::new(String::new()), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cookies: &str) -> Option<CookieDigest> {
        let mut headers = HeaderMap::new();
        for line in cookies.split('\n') {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        digest(&headers, SESSION)
    }

    #[test]
    fn the_cookie_is_found_among_others_and_counts_if_it_is_the_only_one_of_its_name() {
        let expected = Some(CookieDigest::of(b"abc"));
        assert_eq!(of("__Host-oauth2mqtt-gate=abc"), expected);
        assert_eq!(of("a=b; __Host-oauth2mqtt-gate=abc; __Host-oauth2mqtt-gate-sign-in=x"), expected);
        assert_eq!(of("sprache=Größe;__Host-oauth2mqtt-gate=abc"), expected);
        assert_eq!(of("a=b\n__Host-oauth2mqtt-gate=abc\nc=d"), expected);
        for cookies in [
            "__Host-oauth2mqtt-gate=abc\n__Host-oauth2mqtt-gate=abc",
            "__Host-oauth2mqtt-gate=abc; __Host-oauth2mqtt-gate=def",
            "__Host-oauth2mqtt-gate=",
            "__Host-oauth2mqtt-gate",
            "oauth2mqtt-gate=abc",
            "x__Host-oauth2mqtt-gate=abc",
            "__host-oauth2mqtt-gate=abc",
        ] {
            assert_eq!(of(cookies), None, "{cookies}");
        }
    }
}
