//! The people who are signed in at the gate.

use std::collections::HashMap;
use std::time::Duration;

use super::settings::GateSettings;
use super::{CookieDigest, Way};
use crate::domain::clock::{BootTime, Now};
use crate::domain::expiry::Expiry;
use crate::domain::identity::Identity;
use crate::domain::record::Fingerprint;

/// The number of sessions at a time, and of one person. With one more, the one that was not used for longest ends.
const SESSIONS: usize = 512;
const SESSIONS_OF_ONE: usize = 16;

/// The longest name that is kept, in characters, and the most values of claims, in bytes.
const LONGEST_NAME: usize = 100;
const MOST_CLAIMS: usize = 512;

/// A person who is signed in, in one browser.
#[derive(Clone, Debug)]
pub(crate) struct GateSession {
    /// The reference by which Node-RED asks about it; of no use in a browser.
    pub(crate) reference: Box<str>,
    /// The person.
    pub(crate) identity: Identity,
    /// The client with which the person signed in.
    pub(crate) client: Fingerprint,
    /// The way of the sign-in.
    pub(crate) way: Way,
    /// When it ends, however much it is used.
    pub(crate) expiry: Expiry,
    /// When it was used last.
    pub(crate) seen: BootTime,
}

impl GateSession {
    /// A session of `identity` that begins now. Of what the provider says, only as much is kept as a session may take.
    #[must_use]
    pub(crate) fn new(reference: Box<str>, identity: Identity, way: Way, settings: &GateSettings, now: Now) -> Self {
        let client = settings.client(way).map_or(Fingerprint::of(""), |client| client.binding().client());
        Self {
            reference,
            identity: within_bounds(identity, settings),
            client,
            way,
            expiry: Expiry::counted(now, settings.session),
            seen: now.boot,
        }
    }

    /// Returns whether it may go on under these settings.
    fn may_go_on(&self, settings: &GateSettings) -> bool {
        let client = settings.client(self.way).map(|client| client.binding().client());
        settings.allow.admits(&self.identity) && client == Some(self.client)
    }

    /// The names of the person's groups. One with a comma in it would be taken for several, so it is none.
    pub(crate) fn groups<'a>(&'a self, claim: &str) -> impl Iterator<Item = &'a str> {
        let groups = self.identity.claims.get(claim).into_iter().flatten();
        groups.map(String::as_str).filter(|group| !group.contains(','))
    }
}

fn within_bounds(mut identity: Identity, settings: &GateSettings) -> Identity {
    identity.picture = None;
    if let Some(name) = &mut identity.name
        && let Some((end, _)) = name.char_indices().nth(LONGEST_NAME)
    {
        name.truncate(end);
    }
    let mut left = MOST_CLAIMS;
    for (claim, values) in &mut identity.claims {
        // Those that decide come first.
        values.sort_by_key(|value| !settings.allow.names_claim(claim, value));
        values.retain(|value| {
            let has_room = left >= value.len();
            left -= if has_room { value.len() } else { 0 };
            has_room
        });
        values.shrink_to_fit();
    }
    identity
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionEnd {
    /// The person signed out, or was signed out.
    SignedOut,
    /// Its time was over.
    Expired,
    /// It was not used for too long.
    Idle,
    /// The configuration no longer admits the person.
    NotAllowed,
    /// The same browser signed in again.
    Replaced,
    /// There was no room for it beside newer ones.
    Displaced,
}

/// A session that has ended.
#[derive(Debug)]
pub(crate) struct EndedSession {
    /// Where it was found.
    pub(crate) cookie: CookieDigest,
    /// The session.
    pub(crate) session: GateSession,
    /// Why it ended.
    pub(crate) why: SessionEnd,
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct GateSessions {
    by_cookie: HashMap<CookieDigest, GateSession>,
    by_reference: HashMap<Box<str>, CookieDigest>,
}

impl GateSessions {
    /// Takes up a session, and returns those that ended to make room for it.
    pub(crate) fn insert(&mut self, cookie: CookieDigest, session: GateSession) -> Vec<EndedSession> {
        let user = session.identity.user();
        let of_one = self.by_cookie.values().filter(|other| other.identity.user() == user).count();
        let mut displaced = Vec::new();
        let oldest = |sessions: &mut dyn Iterator<Item = (&CookieDigest, &GateSession)>| {
            sessions.min_by_key(|(_, session)| session.seen).map(|(cookie, _)| *cookie)
        };
        let cookie_of_oldest = if of_one >= SESSIONS_OF_ONE {
            oldest(&mut self.by_cookie.iter().filter(|(_, other)| other.identity.user() == user))
        } else if self.by_cookie.len() >= SESSIONS {
            oldest(&mut self.by_cookie.iter())
        } else {
            None
        };
        displaced.extend(cookie_of_oldest.and_then(|oldest| self.end(oldest, SessionEnd::Displaced)));
        self.by_reference.insert(session.reference.clone(), cookie);
        self.by_cookie.insert(cookie, session);
        displaced
    }

    /// The session of the browser with this cookie, if it is good now. To ask for it is to use it.
    pub(crate) fn used(&mut self, cookie: CookieDigest, idle: Duration, now: BootTime) -> Option<&GateSession> {
        let session = self.by_cookie.get_mut(&cookie).filter(|session| is_good(session, idle, now))?;
        session.seen = now;
        Some(session)
    }

    /// The same without using it.
    #[must_use]
    pub(crate) fn find(&self, cookie: CookieDigest, idle: Duration, now: BootTime) -> Option<&GateSession> {
        self.by_cookie.get(&cookie).filter(|session| is_good(session, idle, now))
    }

    /// The cookie of the session with this reference.
    #[must_use]
    pub(crate) fn cookie_of(&self, reference: &str) -> Option<CookieDigest> {
        self.by_reference.get(reference).copied()
    }

    /// Ends one session.
    pub(crate) fn end(&mut self, cookie: CookieDigest, why: SessionEnd) -> Option<EndedSession> {
        let session = self.by_cookie.remove(&cookie)?;
        self.by_reference.remove(&session.reference);
        Some(EndedSession { cookie, session, why })
    }

    /// Ends every session for which there is a reason.
    fn end_where(&mut self, reason: impl Fn(&GateSession) -> Option<SessionEnd>) -> Vec<EndedSession> {
        let found = self.by_cookie.iter().filter_map(|(cookie, session)| Some((*cookie, reason(session)?)));
        let found: Vec<_> = found.collect();
        found.into_iter().filter_map(|(cookie, why)| self.end(cookie, why)).collect()
    }

    /// Signs out one person everywhere, or everybody.
    pub(crate) fn sign_out(&mut self, user: Option<&str>) -> Vec<EndedSession> {
        self.end_where(|session| {
            user.is_none_or(|user| session.identity.user() == user).then_some(SessionEnd::SignedOut)
        })
    }

    /// Ends the sessions that are over. One from before the boot is over only by a clock that says so: while that is doubtful, the
    /// session is not good, but it is kept.
    pub(crate) fn end_what_is_over(&mut self, idle: Duration, now: Now) -> Vec<EndedSession> {
        self.end_where(|session| {
            if session.expiry.ends() <= now.boot {
                return (session.expiry.at() <= now.wall).then_some(SessionEnd::Expired);
            }
            is_idle(session, idle, now.boot).then_some(SessionEnd::Idle)
        })
    }

    /// Ends the sessions that may not go on under these settings.
    pub(crate) fn end_what_is_not_allowed(&mut self, settings: &GateSettings) -> Vec<EndedSession> {
        self.end_where(|session| (!session.may_go_on(settings)).then_some(SessionEnd::NotAllowed))
    }

    /// When the next session ends, if nothing happens.
    #[must_use]
    pub(crate) fn next_end(&self, idle: Duration, now: BootTime) -> Option<BootTime> {
        let ends = self.by_cookie.values().map(|session| session.expiry.ends().min(session.seen + idle));
        // What is over and kept waits for the clock.
        ends.filter(|end| *end > now).min()
    }

    /// Accounts for a clock that was set.
    pub(crate) fn clock_was_set(&mut self, now: Now) {
        for session in self.by_cookie.values_mut() {
            session.expiry.clock_was_set(now);
        }
    }

    /// All sessions.
    pub(crate) fn all(&self) -> impl Iterator<Item = &GateSession> {
        self.by_cookie.values()
    }
}

fn is_good(session: &GateSession, idle: Duration, now: BootTime) -> bool {
    now < session.expiry.ends() && !is_idle(session, idle, now)
}

fn is_idle(session: &GateSession, idle: Duration, now: BootTime) -> bool {
    session.seen + idle <= now
}
