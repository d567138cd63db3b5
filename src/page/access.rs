//! The access code, the cookie of a browser in which it was entered, and the token of the page's forms.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::client_rates::{ClientRates, Rates};
use crate::domain::client_address::client_network;
use crate::domain::clock::BootTime;
use crate::domain::rate_limit::Rate;
use crate::domain::secret::Secret;
use crate::platform::random;

/// The time for which a browser is let in once the code was entered.
const LIFE: Duration = Duration::from_secs(12 * 3_600);

/// The number of browsers that are let in at a time; with one more the oldest has to enter the code again.
const BROWSERS: usize = 32;

/// The rates at which the code may be entered. From all addresses together that is 14,400 times a day, and 18,432 times more
/// where somebody has 256 addresses or more: to try all codes of eight digits takes more than eight years.
const TRIES: Rates = Rates {
    address: Rate { at_once: 5, pause: Duration::from_secs(12) },
    network: Rate { at_once: 15, pause: Duration::from_secs(8) },
    all: Rate { at_once: 30, pause: Duration::from_secs(6) },
    spared: Rate { at_once: 3, pause: Duration::from_secs(20 * 60) },
};

/// The rates at which buttons may be pressed.
const PRESSES: Rates = Rates {
    address: Rate { at_once: 20, pause: Duration::from_secs(1) },
    network: Rate { at_once: 40, pause: Duration::from_millis(500) },
    all: Rate { at_once: 60, pause: Duration::from_millis(250) },
    spared: Rate { at_once: 10, pause: Duration::from_secs(60) },
};

type CodeDigest = [u8; 32];

/// The result of entering a code.
#[derive(Debug)]
pub(super) enum CodeEntry {
    /// It is the code; the browser is given this cookie.
    Granted(String),
    /// It is not.
    Wrong,
    /// Too many tried.
    TooOften,
}

/// Whoever may come in.
#[derive(Debug)]
pub(super) struct Access {
    code: Option<CodeDigest>,
    cookie: String,
    /// Signs the tokens of the forms.
    form_key: CodeDigest,
    tries: ClientRates,
    presses: ClientRates,
    browsers: Vec<Browser>,
}

/// A browser in which the code was entered.
#[derive(Debug)]
struct Browser {
    cookie: CodeDigest,
    /// Where it was entered from: a cookie that reached another server of the device is of no use there.
    network: IpAddr,
    until: BootTime,
}

impl Access {
    /// Lets in whoever knows `code`, or everybody without one. Cookies do not tell ports apart, so the name of the cookie does.
    pub(super) fn new(code: Option<&Secret>, port: u16) -> Self {
        let mut form_key = [0; 32];
        // Without randomness from the kernel no form would ever be taken, which is safe.
        let _ = getrandom::fill(&mut form_key);
        Self {
            code: code.map(|code| fingerprint(code.expose().as_bytes())),
            cookie: format!("oauth2mqtt-{port}"),
            form_key,
            tries: ClientRates::new(TRIES),
            presses: ClientRates::new(PRESSES),
            browsers: Vec::new(),
        }
    }

    /// Returns whether a browser with this `Cookie` header, at this address, may come in.
    pub(super) fn lets_in(&self, cookies: Option<&str>, client: IpAddr, now: BootTime) -> bool {
        if self.code.is_none() {
            return true;
        }
        let network = client_network(client);
        self.shown(cookies).any(|shown| {
            let is_it = |browser: &Browser| same(&browser.cookie, &shown) && browser.network == network;
            self.browsers.iter().any(|browser| is_it(browser) && now < browser.until)
        })
    }

    /// The token that the forms of this browser's page carry.
    pub(super) fn form_token(&self, cookies: Option<&str>) -> String {
        let is_known = |shown: &CodeDigest| self.browsers.iter().any(|browser| same(&browser.cookie, shown));
        let shown = self.shown(cookies).find(is_known).unwrap_or_default();
        let token = Sha256::new().chain_update(self.form_key).chain_update(shown).finalize();
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Returns whether `token` is that of this browser's page.
    pub(super) fn is_form_token(&self, token: &str, cookies: Option<&str>) -> bool {
        self.form_token(cookies).as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// Takes one press of a button.
    ///
    /// # Errors
    /// When buttons are pressed too fast.
    pub(super) fn press(&mut self, client: IpAddr, now: BootTime) -> Result<(), Duration> {
        self.presses.take(client, now)
    }

    /// Takes a code that somebody entered.
    pub(super) fn enter(&mut self, code: &str, by_https: bool, client: IpAddr, now: BootTime) -> CodeEntry {
        let Some(wanted) = self.code else { return CodeEntry::Wrong };
        if self.tries.take(client, now).is_err() {
            return CodeEntry::TooOften;
        }
        if !same(&wanted, &fingerprint(code.as_bytes())) {
            return CodeEntry::Wrong;
        }
        // Without random numbers from the kernel nobody can be told apart from anybody.
        let Ok(value) = random::text::<32>() else { return CodeEntry::Wrong };
        self.tries.restore(client);
        let value = value.expose();
        self.browsers.retain(|browser| now < browser.until);
        if self.browsers.len() >= BROWSERS {
            self.browsers.remove(0);
        }
        self.browsers.push(Browser {
            cookie: fingerprint(value.as_bytes()),
            network: client_network(client),
            until: now + LIFE,
        });
        // With this prefix no other host of the domain, and nobody without TLS, can set one of the same name (RFC 6265bis).
        let (prefix, secure) = if by_https { ("__Host-", "; Secure") } else { ("", "") };
        let name = &self.cookie;
        let life = LIFE.as_secs();
        CodeEntry::Granted(format!("{prefix}{name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}"))
    }

    /// The fingerprints of all cookies of our name in a `Cookie` header: another server of the host can set one as well.
    fn shown(&self, cookies: Option<&str>) -> impl Iterator<Item = CodeDigest> {
        cookies.unwrap_or_default().split(';').filter_map(|cookie| {
            let cookie = cookie.trim();
            let value =
                cookie.strip_prefix("__Host-").unwrap_or(cookie).strip_prefix(&self.cookie)?.strip_prefix('=')?;
            Some(fingerprint(value.as_bytes()))
        })
    }
}

fn fingerprint(text: &[u8]) -> CodeDigest {
    Sha256::digest(text).into()
}

fn same(one: &CodeDigest, other: &CodeDigest) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 7));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 8));

    fn at(seconds: u64) -> BootTime {
        BootTime::new(Duration::from_secs(1_000 + seconds))
    }

    fn access() -> Access {
        Access::new(Some(&Secret::new("open sesame".to_owned())), 8628)
    }

    fn granted(access: &mut Access) -> String {
        let CodeEntry::Granted(cookie) = access.enter("open sesame", false, PHONE, at(0)) else { panic!() };
        cookie.split(';').next().unwrap().to_owned()
    }

    #[test]
    fn without_a_code_everybody_comes_in() {
        assert!(Access::new(None, 8628).lets_in(None, PHONE, at(0)));
    }

    #[test]
    fn the_code_opens_one_browser_for_half_a_day() {
        let mut access = access();
        assert!(!access.lets_in(None, PHONE, at(0)));
        assert!(matches!(access.enter("open sesam", false, PHONE, at(0)), CodeEntry::Wrong));
        let CodeEntry::Granted(cookie) = access.enter("open sesame", true, PHONE, at(0)) else { panic!() };
        assert!(
            cookie.starts_with("__Host-oauth2mqtt-8628=") && cookie.ends_with("; SameSite=Strict; Secure"),
            "{cookie}"
        );
        let sent = format!("other=1; {}", cookie.split(';').next().unwrap());
        assert!(access.lets_in(Some(&sent), PHONE, at(43_199)));
        assert!(!access.lets_in(Some(&sent), PHONE, at(43_200)));
        assert!(!access.lets_in(Some("oauth2mqtt-8628=x"), PHONE, at(0)));
    }

    #[test]
    fn a_cookie_that_reached_another_server_of_the_device_opens_nothing_there() {
        let mut access = access();
        let cookie = granted(&mut access);
        assert!(access.lets_in(Some(&cookie), PHONE, at(1)));
        assert!(!access.lets_in(Some(&cookie), OTHER, at(1)));
    }

    #[test]
    fn a_cookie_that_another_server_of_the_device_has_set_displaces_none_of_ours() {
        let mut access = access();
        let cookie = granted(&mut access);
        let token = access.form_token(Some(&cookie));
        for sent in [format!("oauth2mqtt-8628=tossed; {cookie}"), format!("{cookie}; oauth2mqtt-8628=tossed")] {
            assert!(access.lets_in(Some(&sent), PHONE, at(1)) && access.is_form_token(&token, Some(&sent)), "{sent}");
        }
    }

    #[test]
    fn the_token_of_a_form_is_that_of_one_browser_and_one_run() {
        let mut access = access();
        let (one, other) = (granted(&mut access), granted(&mut access));
        let token = access.form_token(Some(&one));
        assert!(access.is_form_token(&token, Some(&one)));
        assert!(!access.is_form_token(&token, Some(&other)) && !access.is_form_token("", Some(&one)));
        let open = Access::new(None, 8628);
        let token = open.form_token(None);
        assert!(open.is_form_token(&token, Some("oauth2mqtt-8628=tossed")));
        assert!(!Access::new(None, 8628).is_form_token(&token, None));
    }

    #[test]
    fn the_code_cannot_be_searched_for() {
        let mut access = access();
        for _ in 0..TRIES.address.at_once {
            assert!(matches!(access.enter("123456", false, PHONE, at(0)), CodeEntry::Wrong));
        }
        assert!(matches!(access.enter("open sesame", false, PHONE, at(11)), CodeEntry::TooOften));
        assert!(matches!(access.enter("open sesame", false, PHONE, at(12)), CodeEntry::Granted(_)));
    }

    #[test]
    fn whoever_enters_wrong_codes_without_end_locks_nobody_else_out() {
        let mut access = access();
        for second in 0..600 {
            for _ in 0..10 {
                let _ = access.enter("123456", false, OTHER, at(second));
                let _ = access.press(OTHER, at(second));
            }
        }
        assert!(access.press(PHONE, at(600)).is_ok());
        assert!(matches!(access.enter("open sesame", false, PHONE, at(600)), CodeEntry::Granted(_)));
    }

    #[test]
    fn wrong_codes_from_one_address_or_a_few_lock_no_neighbour_out() {
        let mut access = access();
        let of_link = |host: u16| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, host]);
        for second in 0..600 {
            for from in [of_link(2), IpAddr::from([192, 168, 1, 11]), IpAddr::from([192, 168, 1, 12]), OTHER] {
                let _ = access.enter("123456", false, from, at(second));
            }
        }
        for from in [PHONE, of_link(3)] {
            assert!(matches!(access.enter("open sesam", false, from, at(600)), CodeEntry::Wrong), "{from}");
            assert!(matches!(access.enter("open sesame", false, from, at(600)), CodeEntry::Granted(_)), "{from}");
        }
    }

    #[test]
    fn to_try_all_codes_of_eight_digits_from_everywhere_takes_years() {
        let mut access = access();
        let mut tried = 0_u64;
        // The second hour: in the first, what may be done at once is used up.
        for second in (0..7_200).step_by(60) {
            for host in 0..600_u16 {
                let from = IpAddr::from([10, 0, host.to_be_bytes()[0], host.to_be_bytes()[1]]);
                let is_tried = matches!(access.enter("123456", false, from, at(second)), CodeEntry::Wrong);
                tried += u64::from(is_tried && second >= 3_600);
            }
        }
        assert!(100_000_000 / (24 * tried) > 8 * 365, "{tried} in an hour");
    }
}
