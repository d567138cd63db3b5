//! The page to which somebody comes back after the sign-in.

use std::fmt;

/// The longest that is kept, in bytes.
const LONGEST: usize = 1_024;

/// The start of the gate's own paths. Only its kiosk page is one to come back to.
pub(crate) const OWN_PATH: &str = "/oauth2mqtt/";
const KIOSK: &str = "/oauth2mqtt/kiosk?";

/// A path of the protected site, with its query. It never leads to another site, so that nobody can lay a sign-in on the way to
/// one (an open redirect, RFC 9700 4.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WayBack(Box<str>);

impl WayBack {
    /// The start page of the site.
    #[must_use]
    pub(crate) fn start() -> Self {
        Self("/".into())
    }

    /// Reads what a browser or a proxy sent; whatever is not plainly a path of the site is its start page.
    #[must_use]
    pub(crate) fn read(text: &str) -> Self {
        // What a browser would take for the beginning of another host, or leave out, is in no path.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') && text.len() <= LONGEST;
        let is_path = text.starts_with('/') && !text.starts_with("//");
        let is_site = !text.starts_with(OWN_PATH) || text.starts_with(KIOSK);
        if is_plain && is_path && is_site { Self(text.into()) } else { Self::start() }
    }

    /// Returns whether it is that of a kiosk, the only one of the gate's own pages.
    #[must_use]
    pub(crate) fn is_kiosk(&self) -> bool {
        self.0.starts_with(OWN_PATH)
    }

    /// The path and query.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WayBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn a_path_of_the_site_is_kept_with_its_query() {
        for path in
            ["/", "/dashboard", "/dashboard/page1?x=1&y=%2F#top", "/oauth2mqtt/kiosk?to=/dashboard", "/oauth2mqttx"]
        {
            assert_eq!(WayBack::read(path).as_str(), path);
        }
    }

    #[test]
    fn no_text_leads_to_another_site_or_round_in_a_circle() {
        let long = format!("/{}", "x".repeat(LONGEST));
        for text in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            " //evil.example",
            "javascript:alert(1)",
            "evil.example",
            "/\u{2028}x",
            "/x\r\nSet-Cookie: a=b",
            "@evil.example",
            ".evil.example",
            "/oauth2mqtt/sign-in?to=/x",
            "/oauth2mqtt/",
            &long,
        ] {
            assert_eq!(WayBack::read(text).as_str(), "/", "{text:?}");
        }
        let site = Url::parse("https://panel.example.com").unwrap();
        for text in ["/x//evil.example", "/.//evil.example", "/..//evil.example", "/@evil.example", "/%09/evil.example"]
        {
            let led_to = site.join(WayBack::read(text).as_str()).unwrap();
            assert_eq!(led_to.origin(), site.origin(), "{text}");
        }
    }
}
