//! Sign-ins at the gate that wait for somebody.

use std::net::IpAddr;
use std::time::Duration;

use super::way_back::WayBack;
use super::{CookieDigest, Way};
use crate::domain::approval::{AuthorizationRequest, DeviceAuthorization};
use crate::domain::client_address::client_network;
use crate::domain::clock::BootTime;
use crate::domain::gate::sessions::GateSession;
use crate::domain::redirection::{Denial, RedirectedCode, Redirection};

/// The number that wait at a time, and of those the part of one network: whoever begins sign-ins without end displaces his own.
const WAITING: usize = 512;
const WAITING_OF_ONE: usize = 32;

/// The time for somebody to come back from the provider, and the longest time for which a code is shown.
const BROWSER_TIME: Duration = Duration::from_secs(10 * 60);
const PHONE_TIME: Duration = Duration::from_secs(5 * 60);

/// The time for which the provider is asked about a code that nobody looks at. A browser without scripts asks every five seconds.
const WATCHED: Duration = Duration::from_secs(20);

/// The time for a browser to take up a sign-in that was approved on a phone.
const APPROVED_TIME: Duration = Duration::from_secs(60);

/// A sign-in that waits, of one browser.
#[derive(Debug)]
pub(crate) struct WaitingSignIn {
    browser: CookieDigest,
    network: IpAddr,
    state: WaitingState,
    back: WayBack,
    until: BootTime,
    /// When its browser last asked about it.
    watched: BootTime,
}

/// The event that a sign-in waits for.
#[derive(Debug)]
pub(crate) enum WaitingState {
    /// The browser, from the provider.
    Browser(AuthorizationRequest),
    /// Somebody's approval on a phone.
    Phone(DeviceAuthorization),
    /// The browser whose code was approved, with the session that it gets, or not, for this reason.
    Answered(Result<GateSession, String>),
}

/// The answer to a browser that asks about its sign-in.
#[derive(Debug)]
pub(crate) enum Collected {
    /// It waits: the code, and the time that is left.
    Waits(Box<DeviceAuthorization>, Duration),
    /// It is over: with this session, or without one for this reason.
    Answered(Result<GateSession, String>, WayBack),
}

/// The next step for a code, with the time that is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polling {
    /// Ask the provider.
    Ask(Duration),
    /// Ask nothing now: nobody looks at the code.
    Pause(Duration),
    /// Ask nothing any more.
    End,
}

/// Sign-ins that wait, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct WaitingSignIns(Vec<WaitingSignIn>);

impl WaitingSignIns {
    /// Takes up a sign-in of a browser at this address. `expires_in` is the life of a code.
    pub(crate) fn insert(
        &mut self,
        (browser, from): (CookieDigest, IpAddr),
        state: WaitingState,
        back: WayBack,
        expires_in: Option<Duration>,
        now: BootTime,
    ) {
        self.0.retain(|waiting| now < waiting.until);
        let network = client_network(from);
        let of_one = self.0.iter().filter(|waiting| waiting.network == network).count();
        let oldest = |waiting: &WaitingSignIn| of_one < WAITING_OF_ONE || waiting.network == network;
        if (of_one >= WAITING_OF_ONE || self.0.len() >= WAITING)
            && let Some(at) = self.0.iter().position(oldest)
        {
            self.0.remove(at);
        }
        let time = match state {
            WaitingState::Browser(_) => BROWSER_TIME,
            _ => expires_in.map_or(PHONE_TIME, |life| life.min(PHONE_TIME)),
        };
        self.0.push(WaitingSignIn { browser, network, state, back, until: now + time, watched: now });
    }

    /// Takes what the provider sent a browser back with. It counts once, and for the browser that was sent there: a link with the
    /// code of somebody else signs nobody in (RFC 6749 10.12).
    pub(crate) fn take_redirection(
        &mut self,
        browser: CookieDigest,
        redirection: Redirection,
        now: BootTime,
    ) -> Option<(AuthorizationRequest, Result<RedirectedCode, Denial>, WayBack)> {
        let at = self.0.iter().position(|waiting| {
            waiting.browser == browser
                && now < waiting.until
                && matches!(&waiting.state, WaitingState::Browser(request) if request.is_answered_by(&redirection))
        })?;
        let WaitingSignIn { state: WaitingState::Browser(request), back, .. } = self.0.remove(at) else { return None };
        Some((request, redirection.outcome, back))
    }

    /// Returns whether the code of this browser still waits, for a browser that asks.
    pub(crate) fn waits_for_phone(&mut self, browser: CookieDigest, now: BootTime) -> bool {
        self.phone_of(browser, now).map(|waiting| waiting.watched = now).is_some()
    }

    /// Returns what is to be done about the code of this browser.
    pub(crate) fn polling(&mut self, browser: CookieDigest, now: BootTime) -> Polling {
        match self.phone_of(browser, now) {
            Some(waiting) if waiting.watched + WATCHED <= now => Polling::Pause(waiting.until.after(now)),
            Some(waiting) => Polling::Ask(waiting.until.after(now)),
            None => Polling::End,
        }
    }

    fn phone_of(&mut self, browser: CookieDigest, now: BootTime) -> Option<&mut WaitingSignIn> {
        let mut waiting = self.0.iter_mut().filter(|it| it.browser == browser && now < it.until);
        waiting.find(|it| matches!(it.state, WaitingState::Phone(_)))
    }

    /// Notes how the sign-in with a phone ended, until its browser asks.
    pub(crate) fn phone_answered(
        &mut self,
        browser: CookieDigest,
        outcome: Result<GateSession, String>,
        now: BootTime,
    ) {
        let Some(waiting) = self.phone_of(browser, now) else { return };
        waiting.until = now + APPROVED_TIME;
        waiting.state = WaitingState::Answered(outcome);
    }

    /// Tells a browser about its sign-in with a phone, and hands over one that is over.
    pub(crate) fn collect(&mut self, browser: CookieDigest, now: BootTime) -> Option<Collected> {
        self.0.retain(|waiting| now < waiting.until);
        let is_of_phone = |waiting: &WaitingSignIn| !matches!(waiting.state, WaitingState::Browser(_));
        let at = self.0.iter().position(|waiting| waiting.browser == browser && is_of_phone(waiting))?;
        let waiting = self.0.get_mut(at)?;
        if let WaitingState::Phone(device) = &waiting.state {
            waiting.watched = now;
            return Some(Collected::Waits(Box::new(device.clone()), waiting.until.after(now)));
        }
        let WaitingSignIn { state: WaitingState::Answered(outcome), back, .. } = self.0.remove(at) else { return None };
        Some(Collected::Answered(outcome, back))
    }

    /// Gives up the sign-in of a browser.
    pub(crate) fn forget(&mut self, browser: CookieDigest) {
        self.0.retain(|waiting| waiting.browser != browser);
    }

    /// Gives up what was approved and not yet collected, of this person or of everybody.
    pub(crate) fn sign_out(&mut self, user: Option<&str>) {
        self.0.retain(|waiting| match &waiting.state {
            WaitingState::Answered(Ok(session)) => {
                user.is_some_and(|user| !session.visitor.user.eq_ignore_ascii_case(user))
            }
            _ => true,
        });
    }

    /// Gives up every sign-in by this way, after its client has changed.
    pub(crate) fn give_up(&mut self, way: Way) {
        self.0.retain(|waiting| match waiting.state {
            WaitingState::Browser(_) => way != Way::Browser,
            _ => way != Way::Phone,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::clock::{Now, UnixTime};
    use crate::domain::gate::settings::tests::{person, settings};
    use crate::domain::record::Fingerprint;
    use crate::domain::secret::Secret;

    const REDIRECT_URI: &str = "https://panel.example.com/oauth2mqtt/callback";

    fn at(seconds: u64) -> BootTime {
        BootTime::new(Duration::from_secs(1_000 + seconds))
    }

    fn browser(number: u32) -> CookieDigest {
        CookieDigest::of(&number.to_be_bytes())
    }

    fn client(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn request(state: &str) -> WaitingState {
        WaitingState::Browser(AuthorizationRequest {
            address: "https://id.example/authorize".to_owned(),
            redirect_uri: REDIRECT_URI.to_owned(),
            state: state.to_owned(),
            code_verifier: Secret::new("v".to_owned()),
            issuer: Some("https://id.example".to_owned()),
            names_issuer: false,
        })
    }

    fn code() -> WaitingState {
        WaitingState::Phone(DeviceAuthorization {
            device_code: Secret::new("d".to_owned()),
            user_code: "ABCD".to_owned(),
            verification_uri: "https://id.example/device".to_owned(),
            verification_uri_complete: None,
            interval: Duration::from_secs(5),
            poll_parameters: BTreeMap::new(),
        })
    }

    fn session(name: &str) -> GateSession {
        let now = Now { boot: at(0), wall: UnixTime::new(1_800_000_000) };
        let client = (Way::Phone, Fingerprint::of("panel"));
        GateSession::new(Secret::new(name.to_owned()), person(name, &[]), client, &settings(), now)
    }

    fn back() -> WayBack {
        WayBack::read("/dashboard")
    }

    fn redirection(query: &str) -> Redirection {
        Redirection::read(query).unwrap()
    }

    #[test]
    fn a_redirection_counts_once_and_for_the_browser_that_was_sent_away() {
        let mut waiting = WaitingSignIns::default();
        waiting.insert((browser(1), client(1)), request("s1"), back(), None, at(0));
        waiting.insert((browser(2), client(2)), request("s2"), back(), None, at(0));
        let mut taken = |number, query: &str, seconds| {
            let taken = waiting.take_redirection(browser(number), redirection(query), at(seconds));
            taken.map(|(request, _, back)| (request.state, back.as_str().to_owned()))
        };
        for (number, query) in [
            (1, "code=c&state=s2"),
            (2, "code=c&state=s1"),
            (3, "code=c&state=s1"),
            (1, "code=c&state=s1&iss=https://evil.example"),
        ] {
            assert_eq!(taken(number, query, 1), None, "{number} {query}");
        }
        assert_eq!(
            taken(1, "code=c&state=s1&iss=https://id.example", 1),
            Some(("s1".to_owned(), "/dashboard".to_owned()))
        );
        assert_eq!(taken(1, "code=c&state=s1", 1), None);
        assert_eq!(taken(2, "code=c&state=s2", 600), None, "too late");
    }

    #[test]
    fn a_code_is_approved_for_the_browser_that_shows_it_and_handed_over_once() {
        let mut waiting = WaitingSignIns::default();
        waiting.insert((browser(1), client(1)), code(), back(), Some(Duration::from_secs(1_800)), at(0));
        assert!(
            matches!(waiting.collect(browser(1), at(1)), Some(Collected::Waits(_, left)) if left == PHONE_TIME - Duration::from_secs(1))
        );
        assert!(waiting.collect(browser(2), at(1)).is_none());
        assert!(waiting.waits_for_phone(browser(1), at(1)) && !waiting.waits_for_phone(browser(2), at(1)));
        waiting.phone_answered(browser(2), Ok(session("eve")), at(2));
        waiting.phone_answered(browser(1), Ok(session("ann")), at(2));
        waiting.phone_answered(browser(1), Ok(session("eve")), at(2));
        assert!(!waiting.waits_for_phone(browser(1), at(3)));
        assert!(waiting.take_redirection(browser(1), redirection("code=c&state=s"), at(3)).is_none());
        let Some(Collected::Answered(Ok(session), back)) = waiting.collect(browser(1), at(3)) else { panic!() };
        assert_eq!((session.visitor.user.as_ref(), back.as_str()), ("ann@example.com", "/dashboard"));
        assert!(waiting.collect(browser(1), at(3)).is_none());
    }

    #[test]
    fn a_code_that_nobody_approves_and_an_approval_that_nobody_collects_expire() {
        let mut waiting = WaitingSignIns::default();
        waiting.insert((browser(1), client(1)), code(), back(), Some(Duration::from_secs(60)), at(0));
        waiting.phone_answered(browser(1), Ok(session("ann")), at(60));
        assert!(waiting.collect(browser(1), at(60)).is_none());
        waiting.insert((browser(2), client(1)), code(), back(), None, at(0));
        waiting.phone_answered(browser(2), Err("No.".to_owned()), at(10));
        assert!(waiting.collect(browser(2), at(10) + APPROVED_TIME).is_none());
    }

    #[test]
    fn whoever_begins_sign_ins_without_end_displaces_only_his_own() {
        let mut waiting = WaitingSignIns::default();
        waiting.insert((browser(0), client(0)), code(), back(), None, at(0));
        for number in 1..1_000 {
            waiting.insert((browser(number), client(1)), request("s"), back(), None, at(0));
        }
        assert_eq!(waiting.0.len(), 1 + WAITING_OF_ONE);
        assert!(waiting.waits_for_phone(browser(0), at(1)));
        for number in 0..1_000 {
            let from = IpAddr::from([10, 0, (number / 250) as u8, (number % 250) as u8]);
            waiting.insert((browser(2_000 + number), from), request("s"), back(), None, at(0));
        }
        assert_eq!(waiting.0.len(), WAITING);
    }

    #[test]
    fn the_provider_is_asked_about_a_code_only_while_somebody_looks_at_it() {
        let mut waiting = WaitingSignIns::default();
        waiting.insert((browser(1), client(1)), code(), back(), None, at(0));
        let left = |seconds| PHONE_TIME - Duration::from_secs(seconds);
        assert_eq!(waiting.polling(browser(1), at(5)), Polling::Ask(left(5)));
        assert_eq!(waiting.polling(browser(1), at(20)), Polling::Pause(left(20)));
        assert!(waiting.waits_for_phone(browser(1), at(30)));
        assert_eq!(waiting.polling(browser(1), at(35)), Polling::Ask(left(35)));
        waiting.collect(browser(1), at(60));
        assert_eq!(waiting.polling(browser(1), at(75)), Polling::Ask(left(75)));
        assert_eq!(
            (waiting.polling(browser(2), at(75)), waiting.polling(browser(1), at(300))),
            (Polling::End, Polling::End)
        );
    }

    #[test]
    fn what_is_given_up_is_of_one_browser_or_one_way() {
        let mut waiting = WaitingSignIns::default();
        for number in 0..2 {
            waiting.insert((browser(number), client(0)), code(), back(), None, at(0));
            waiting.insert((browser(10 + number), client(0)), request("s"), back(), None, at(0));
        }
        waiting.forget(browser(0));
        assert_eq!(waiting.0.len(), 3);
        waiting.give_up(Way::Phone);
        assert!(waiting.0.iter().all(|it| matches!(it.state, WaitingState::Browser(_))) && waiting.0.len() == 2);
        waiting.give_up(Way::Browser);
        assert!(waiting.0.is_empty());
    }

    #[test]
    fn a_sign_out_ends_what_was_approved_and_not_yet_collected() {
        for (user, left) in [(Some("ann@example.com"), [false, true]), (None, [false, false])] {
            let mut waiting = WaitingSignIns::default();
            for (number, name) in [(1, "ann"), (2, "bob")] {
                waiting.insert((browser(number), client(1)), code(), back(), None, at(0));
                waiting.phone_answered(browser(number), Ok(session(name)), at(1));
            }
            waiting.sign_out(user);
            assert_eq!([1, 2].map(|number| waiting.collect(browser(number), at(2)).is_some()), left, "{user:?}");
        }
    }
}
