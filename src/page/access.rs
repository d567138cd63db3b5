//! The access code, and the cookie of a browser in which it was entered.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::domain::clock::BootTime;
use crate::domain::rate_limit::{Rate, Throttle};
use crate::domain::secret::Secret;

/// The time for which a browser is let in once the code was entered.
const LASTS: Duration = Duration::from_secs(12 * 3_600);

/// The number of browsers that are let in at a time; with one more the oldest has to enter the code again.
const MOST: usize = 32;

/// The rate at which the code may be entered.
const TRIES: Rate = Rate { at_once: 5, pause: Duration::from_secs(12) };

const COOKIE: &str = "oauth2mqtt_page";

type Fingerprint = [u8; 32];

/// The result of entering a code.
#[derive(Debug)]
pub(super) enum Entry {
    /// It is the code; the browser is given this cookie.
    Granted(String),
    /// It is not.
    Refused,
    /// Too many tried.
    TooOften,
}

/// Who may come in.
#[derive(Debug)]
pub(super) struct Access {
    code: Option<Fingerprint>,
    tries: Throttle,
    browsers: Vec<(Fingerprint, BootTime)>,
}

impl Access {
    pub(super) fn new(code: Option<&Secret>) -> Self {
        let code = code.map(|code| fingerprint(code.expose().as_bytes()));
        Self { code, tries: Throttle::new(TRIES), browsers: Vec::new() }
    }

    /// Returns whether a browser with this `Cookie` header may come in.
    pub(super) fn lets_in(&self, cookies: Option<&str>, now: BootTime) -> bool {
        if self.code.is_none() {
            return true;
        }
        let ours = |cookie: &str| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('=').map(str::to_owned);
        let Some(value) = cookies.and_then(|cookies| cookies.split(';').find_map(ours)) else { return false };
        let shown = fingerprint(value.as_bytes());
        self.browsers.iter().any(|(known, until)| same(known, &shown) && now < *until)
    }

    /// Somebody entered a code.
    pub(super) fn enter(&mut self, code: &str, by_https: bool, now: BootTime) -> Entry {
        let Some(wanted) = self.code else { return Entry::Refused };
        if self.tries.take(now).is_err() {
            return Entry::TooOften;
        }
        let mut random = [0; 32];
        // Without randomness from the kernel nobody can be told apart from anybody.
        if !same(&wanted, &fingerprint(code.as_bytes())) || getrandom::fill(&mut random).is_err() {
            return Entry::Refused;
        }
        let value = URL_SAFE_NO_PAD.encode(random);
        self.browsers.retain(|(_, until)| now < *until);
        if self.browsers.len() >= MOST {
            self.browsers.remove(0);
        }
        self.browsers.push((fingerprint(value.as_bytes()), now + LASTS));
        let secure = if by_https { "; Secure" } else { "" };
        Entry::Granted(format!(
            "{COOKIE}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
            LASTS.as_secs()
        ))
    }
}

fn fingerprint(text: &[u8]) -> Fingerprint {
    Sha256::digest(text).into()
}

/// Compares in a time that tells nothing of where they differ.
fn same(one: &Fingerprint, other: &Fingerprint) -> bool {
    one.iter().zip(other).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::new(Duration::from_secs(1_000 + seconds))
    }

    fn access() -> Access {
        Access::new(Some(&Secret::new("open sesame".to_owned())))
    }

    #[test]
    fn without_a_code_everybody_comes_in() {
        assert!(Access::new(None).lets_in(None, at(0)));
    }

    #[test]
    fn the_code_opens_one_browser_for_half_a_day() {
        let mut access = access();
        assert!(!access.lets_in(None, at(0)));
        assert!(matches!(access.enter("open sesam", false, at(0)), Entry::Refused));
        let Entry::Granted(cookie) = access.enter("open sesame", true, at(0)) else { panic!() };
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
        let sent = format!("other=1; {}", cookie.split(';').next().unwrap());
        assert!(access.lets_in(Some(&sent), at(43_199)));
        assert!(!access.lets_in(Some(&sent), at(43_200)));
        assert!(!access.lets_in(Some("oauth2mqtt_page=x"), at(0)));
    }

    #[test]
    fn the_code_cannot_be_searched_for() {
        let mut access = access();
        for _ in 0..TRIES.at_once {
            assert!(matches!(access.enter("123456", false, at(0)), Entry::Refused));
        }
        assert!(matches!(access.enter("open sesame", false, at(11)), Entry::TooOften));
        assert!(matches!(access.enter("open sesame", false, at(12)), Entry::Granted(_)));
    }
}
