//! The cookies of the gate.
//!
//! With the prefix `__Host-`, a browser takes one only by TLS, from this very host and for all of its paths (RFC 6265bis 4.1.3.2): no
//! other host of the domain can set it (cookie tossing), nor anybody between browser and proxy.

use hyper::Response;
use hyper::header::{self, HeaderMap, HeaderValue};

use crate::domain::gate::CookieDigest;
use crate::domain::secret::Secret;
use crate::platform::http_server::ResponseBody;

/// The cookie of a session.
pub(super) const SESSION: &str = "__Host-oauth2mqtt-gate";

/// The cookie by which a browser is known that is signing in.
pub(super) const SIGN_IN: &str = "__Host-oauth2mqtt-gate-sign-in";

/// The digest of the value of the cookie with this name. A browser has only one, unless a script of a page has added another one, which
/// browsers keep apart (`Partitioned`); of two, neither counts.
pub(super) fn digest(headers: &HeaderMap, name: &str) -> Option<CookieDigest> {
    let mut digests = digests(headers, name);
    let digest = digests.next()?;
    digests.next().is_none().then_some(digest)
}

/// The digests of all cookies with this name. Other programs of the host have cookies as well, of whatever bytes, and HTTP/2 may send
/// each in a line of its own (RFC 9113 8.2.3).
pub(super) fn digests(headers: &HeaderMap, name: &str) -> impl Iterator<Item = CookieDigest> {
    let lines = headers.get_all(header::COOKIE).iter();
    let cookies = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let values = cookies.filter_map(move |cookie| cookie.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    values.filter(|value| !value.is_empty()).map(CookieDigest::of)
}

/// Gives the browser of an answer a cookie for so many seconds, in the place of all that it has of this name. Lax: it is sent when the
/// provider sends the browser back, and with plain links. Other hosts of the domain are of the same site, and count as this one.
pub(super) fn give(answer: &mut Response<ResponseBody>, name: &str, value: &Secret, seconds: u64) {
    let plain = format!("{name}={}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax", value.expose());
    let partitioned = format!("{name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax; Partitioned");
    // In this order: for a browser that does not keep them apart, the last one counts.
    for cookie in [partitioned, plain] {
        if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
            cookie.set_sensitive(true);
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

/// Takes the cookies of this name away.
pub(super) fn take(answer: &mut Response<ResponseBody>, name: &str) {
    give(answer, name, &Secret::new(String::new()), 0);
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
