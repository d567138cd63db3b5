//! Sign-ins at the gate that wait for somebody.

use std::net::IpAddr;
use std::time::Duration;

use super::way_back::WayBack;
use super::{CookieDigest, Way};
use crate::domain::approval::{AuthorizationRequest, DeviceAuthorization};
use crate::domain::client_address::client_network;
use crate::domain::clock::BootTime;
use crate::domain::identity::Identity;
use crate::domain::redirection::{Denial, RedirectedCode, Redirection};

/// The number that wait at a time, and of those the part of one network: whoever begins sign-ins without end displaces his own.
const WAITING: usize = 128;
const WAITING_OF_ONE: usize = 32;

/// The time for somebody to come back from the provider, and the longest time for which a code is shown.
const BROWSER_TIME: Duration = Duration::from_secs(10 * 60);
const PHONE_TIME: Duration = Duration::from_secs(5 * 60);

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
}

/// The event that a sign-in waits for.
#[derive(Debug)]
pub(crate) enum WaitingState {
    /// The browser, from the provider.
    Browser(AuthorizationRequest),
    /// Somebody's approval on a phone.
    Phone(DeviceAuthorization),
    /// The browser whose code was approved by this person, or not, for this reason.
    Answered(Result<Box<Identity>, String>),
}

/// The answer to a browser that asks about its sign-in.
#[derive(Debug)]
pub(crate) enum Collected {
    /// It waits: the code, and the time that is left.
    Waits(Box<DeviceAuthorization>, Duration),
    /// It is over: this person approved it, or it failed for this reason.
    Answered(Result<Box<Identity>, String>, WayBack),
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
        self.0.push(WaitingSignIn { browser, network, state, back, until: now + time });
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

    /// Returns whether the code of this browser still waits.
    #[must_use]
    pub(crate) fn waits_for_phone(&self, browser: CookieDigest, now: BootTime) -> bool {
        self.0.iter().any(|it| it.browser == browser && now < it.until && matches!(it.state, WaitingState::Phone(_)))
    }

    /// Notes how the sign-in with a phone ended, until its browser asks.
    pub(crate) fn phone_answered(&mut self, browser: CookieDigest, outcome: Result<Identity, String>, now: BootTime) {
        let is_it = |waiting: &&mut WaitingSignIn| {
            waiting.browser == browser && now < waiting.until && matches!(waiting.state, WaitingState::Phone(_))
        };
        let Some(waiting) = self.0.iter_mut().find(is_it) else { return };
        waiting.until = now + APPROVED_TIME;
        waiting.state = WaitingState::Answered(outcome.map(Box::new));
    }

    /// Tells a browser about its sign-in with a phone, and hands over one that is over.
    pub(crate) fn collect(&mut self, browser: CookieDigest, now: BootTime) -> Option<Collected> {
        self.0.retain(|waiting| now < waiting.until);
        let is_of_phone = |waiting: &WaitingSignIn| !matches!(waiting.state, WaitingState::Browser(_));
        let at = self.0.iter().position(|waiting| waiting.browser == browser && is_of_phone(waiting))?;
        if let WaitingState::Phone(device) = &self.0[at].state {
            return Some(Collected::Waits(Box::new(device.clone()), self.0[at].until.after(now)));
        }
        let WaitingSignIn { state: WaitingState::Answered(outcome), back, .. } = self.0.remove(at) else { return None };
        Some(Collected::Answered(outcome, back))
    }

    /// Gives up the sign-in of a browser.
    pub(crate) fn forget(&mut self, browser: CookieDigest) {
        self.0.retain(|waiting| waiting.browser != browser);
    }

    /// Gives up every sign-in by this way, after its client has changed.
    pub(crate) fn give_up(&mut self, way: Way) {
        self.0.retain(|waiting| match waiting.state {
            WaitingState::Browser(_) => way != Way::Browser,
            _ => way != Way::Phone,
        });
    }
}
