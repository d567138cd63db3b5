//! The access code, the cookie of a browser in which it was entered, and the token of the page's forms.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::domain::clock::BootTime;
use crate::domain::rate_limit::{Rate, Throttle};
use crate::domain::secret::Secret;

/// The time for which a browser is let in once the code was entered.
const LIFE: Duration = Duration::from_secs(12 * 3_600);

/// The number of browsers that are let in at a time; with one more the oldest has to enter the code again.
const BROWSERS: usize = 32;

/// The rate at which the code may be entered from one address, and from all of them. From one address alone the other
/// limit is never reached, so nobody locks anybody out by himself; and with all of them months are not enough for six digits.
const TRIES: Rate = Rate { at_once: 5, pause: Duration::from_secs(12) };
const ALL_TRIES: Rate = Rate { at_once: 30, pause: Duration::from_secs(6) };

/// The rate at which buttons may be pressed, likewise.
const PRESSES: Rate = Rate { at_once: 20, pause: Duration::from_secs(1) };
const ALL_PRESSES: Rate = Rate { at_once: 60, pause: Duration::from_millis(250) };

/// The number of addresses whose rates are remembered.
const ADDRESSES: usize = 256;

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
    address: IpAddr,
    until: BootTime,
}

/// A rate for each client, and one for all of them.
#[derive(Debug)]
struct ClientRates {
    each: Rate,
    of_clients: HashMap<IpAddr, Throttle>,
    of_all: Throttle,
}

impl ClientRates {
    fn new(each: Rate, all: Rate) -> Self {
        Self { each, of_clients: HashMap::new(), of_all: Throttle::new(all) }
    }

    fn take(&mut self, client: IpAddr, now: BootTime) -> Result<(), Duration> {
        if self.of_clients.len() >= ADDRESSES {
            self.of_clients.retain(|_, throttle| !throttle.is_whole(now));
        }
        let known = self.of_clients.len() < ADDRESSES || self.of_clients.contains_key(&client);
        if known {
            self.of_clients.entry(client).or_insert_with(|| Throttle::new(self.each)).take(now)?;
        }
        self.of_all.take(now)
    }
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
            tries: ClientRates::new(TRIES, ALL_TRIES),
            presses: ClientRates::new(PRESSES, ALL_PRESSES),
            browsers: Vec::new(),
        }
    }

    /// Returns whether a browser with this `Cookie` header, at this address, may come in.
    pub(super) fn lets_in(&self, cookies: Option<&str>, client: IpAddr, now: BootTime) -> bool {
        if self.code.is_none() {
            return true;
        }
        let Some(shown) = self.shown(cookies) else { return false };
        let client = network(client);
        self.browsers
            .iter()
            .any(|browser| same(&browser.cookie, &shown) && browser.address == client && now < browser.until)
    }

    /// The token that the forms of this browser's page carry.
    pub(super) fn form_token(&self, cookies: Option<&str>) -> String {
        let shown = self.shown(cookies).filter(|_| self.code.is_some()).unwrap_or_default();
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
        self.presses.take(network(client), now)
    }

    /// Takes a code that somebody entered.
    pub(super) fn enter(&mut self, code: &str, by_https: bool, client: IpAddr, now: BootTime) -> CodeEntry {
        let Some(wanted) = self.code else { return CodeEntry::Wrong };
        let client = network(client);
        if self.tries.take(client, now).is_err() {
            return CodeEntry::TooOften;
        }
        let mut random = [0; 32];
        // Without randomness from the kernel nobody can be told apart from anybody.
        if !same(&wanted, &fingerprint(code.as_bytes())) || getrandom::fill(&mut random).is_err() {
            return CodeEntry::Wrong;
        }
        let value = URL_SAFE_NO_PAD.encode(random);
        self.browsers.retain(|browser| now < browser.until);
        if self.browsers.len() >= BROWSERS {
            self.browsers.remove(0);
        }
        self.browsers.push(Browser { cookie: fingerprint(value.as_bytes()), address: client, until: now + LIFE });
        // With this prefix no other host of the domain, and nobody without TLS, can set one of the same name (RFC 6265bis).
        let (prefix, secure) = if by_https { ("__Host-", "; Secure") } else { ("", "") };
        let name = &self.cookie;
        let life = LIFE.as_secs();
        CodeEntry::Granted(format!("{prefix}{name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}"))
    }

    /// The fingerprint of our cookie in a `Cookie` header.
    fn shown(&self, cookies: Option<&str>) -> Option<CodeDigest> {
        let ours = |cookie: &str| {
            let cookie = cookie.trim();
            let value =
                cookie.strip_prefix("__Host-").unwrap_or(cookie).strip_prefix(&self.cookie)?.strip_prefix('=')?;
            Some(fingerprint(value.as_bytes()))
        };
        cookies?.split(';').find_map(ours)
    }
}

/// The address that stands for a client: over IPv6 the network, since each client has all addresses of its own.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
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
        for _ in 0..TRIES.at_once {
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
        for number in 0..1_000_u128 {
            let _ = access.press(IpAddr::V6(Ipv6Addr::from(number << 64)), at(700));
        }
        assert!(access.presses.of_clients.len() <= ADDRESSES, "addresses are made up without end");
    }
}
