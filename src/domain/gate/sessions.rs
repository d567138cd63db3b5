//! The people who are signed in at the gate.

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::settings::GateSettings;
use super::{CookieDigest, Way};
use crate::domain::clock::{BootTime, Now};
use crate::domain::expiry::Expiry;
use crate::domain::identity::{Claim, Identity};
use crate::domain::record::Fingerprint;
use crate::domain::secret::Secret;

/// The number of sessions at a time, and of one person. With one more, the one that was not used for longest ends.
const SESSIONS: usize = 512;
const SESSIONS_OF_ONE: usize = 16;

/// The longest name that is kept, in characters, and the most memory for values of claims, in bytes.
const LONGEST_NAME: usize = 100;
const MOST_CLAIMS: usize = 4_096;

/// A person who is signed in, in one browser. Clones share the visitor.
#[derive(Clone, Debug)]
pub(crate) struct GateSession {
    /// The person in this browser.
    pub(crate) visitor: Arc<GateVisitor>,
    /// When it ends, however much it is used.
    pub(crate) expiry: Expiry,
    /// When it was used last.
    pub(crate) seen: BootTime,
}

/// The part of a session that stays the same from its beginning to its end.
#[derive(Debug)]
pub(crate) struct GateVisitor {
    /// The reference by which Node-RED asks about the session; of no use in a browser.
    pub(crate) reference: Secret,
    /// The text that tells the person from every other.
    pub(crate) user: Box<str>,
    /// The person.
    pub(crate) identity: Identity,
    /// The client with which the person signed in.
    pub(crate) client: Fingerprint,
    /// The way of the sign-in.
    pub(crate) way: Way,
}

impl GateSession {
    /// A session that begins now, of a person whom this client has told of. Of what it told, only as much is kept as a session may
    /// take.
    #[must_use]
    pub(crate) fn new(
        reference: Secret,
        identity: Identity,
        (way, client): (Way, Fingerprint),
        settings: &GateSettings,
        now: Now,
    ) -> Self {
        let identity = within_bounds(identity, settings);
        let visitor = GateVisitor { reference, user: identity.user().into(), identity, client, way };
        Self { visitor: Arc::new(visitor), expiry: Expiry::counted(now, settings.session), seen: now.boot }
    }

    /// Returns whether it may begin or go on under these settings: by what is kept of the person, since nothing else can decide
    /// later on.
    #[must_use]
    pub(crate) fn is_allowed(&self, settings: &GateSettings) -> bool {
        let GateVisitor { identity, client, way, .. } = &*self.visitor;
        let client_now = settings.client(*way).map(|client| client.binding().client());
        let is_short_enough = self.expiry.life() <= settings.session;
        settings.allow.admits(identity) && client_now == Some(*client) && is_short_enough
    }
}

impl GateVisitor {
    /// The names of the person's groups. One with a comma in it would be taken for several in a header, and one with a blank at an end for
    /// another, so they are none.
    pub(crate) fn groups<'a>(&'a self, claim: &str) -> impl Iterator<Item = &'a str> {
        let groups = self.identity.claim(claim).into_iter().flatten();
        groups.map(String::as_str).filter(|group| !group.contains(',') && group.trim() == *group)
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
    // What decides comes first, whatever the names of the claims.
    for decides in [true, false] {
        for Claim { name: claim, values } in &mut identity.claims {
            values.retain(|value| {
                if settings.allow.names_claim(claim, value) != decides {
                    return true;
                }
                let size = value.len() + size_of::<String>();
                let has_room = left >= size;
                left -= if has_room { size } else { 0 };
                has_room
            });
            values.shrink_to_fit();
        }
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
    SignedInAgain,
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
    /// In the order of the cookies: some hundred in a list take half the memory of a map.
    by_cookie: Vec<(CookieDigest, GateSession)>,
}

impl GateSessions {
    /// Takes up a session, and returns the one that ended to make room for it.
    pub(crate) fn insert(&mut self, cookie: CookieDigest, session: GateSession) -> Option<EndedSession> {
        let is_of_one = |other: &GateSession| other.visitor.user == session.visitor.user;
        let of_one = self.all().filter(|other| is_of_one(other)).count();
        let displaced = if of_one >= SESSIONS_OF_ONE {
            self.least_used(is_of_one)
        } else if self.by_cookie.len() >= SESSIONS {
            self.least_used(|_| true)
        } else {
            None
        };
        let displaced = displaced.and_then(|oldest| self.end(oldest, SessionEnd::Displaced));
        match self.position(cookie) {
            Ok(at) => self.by_cookie[at].1 = session,
            Err(at) => self.by_cookie.insert(at, (cookie, session)),
        }
        displaced
    }

    /// The place of a session, or the one where it would be.
    fn position(&self, cookie: CookieDigest) -> Result<usize, usize> {
        self.by_cookie.binary_search_by_key(&cookie, |(other, _)| *other)
    }

    fn least_used(&self, of: impl Fn(&GateSession) -> bool) -> Option<CookieDigest> {
        let among = self.by_cookie.iter().filter(|(_, session)| of(session));
        among.min_by_key(|(_, session)| session.seen).map(|(cookie, _)| *cookie)
    }

    /// The session of the browser with this cookie, if it is good now. To ask for it is to use it.
    pub(crate) fn used(&mut self, cookie: CookieDigest, idle: Duration, now: BootTime) -> Option<&GateSession> {
        let at = self.position(cookie).ok()?;
        let session = Some(&mut self.by_cookie[at].1).filter(|session| is_good(session, idle, now))?;
        session.seen = now;
        Some(session)
    }

    /// The same without using it.
    #[must_use]
    pub(crate) fn find(&self, cookie: CookieDigest, idle: Duration, now: BootTime) -> Option<&GateSession> {
        let at = self.position(cookie).ok()?;
        Some(&self.by_cookie[at].1).filter(|session| is_good(session, idle, now))
    }

    /// The cookie of the session with this reference.
    #[must_use]
    pub(crate) fn cookie_of(&self, reference: &str) -> Option<CookieDigest> {
        // All are looked at for as long, so that nobody learns from the time how near a guess was.
        let mut found = None;
        for (cookie, session) in &self.by_cookie {
            if session.visitor.reference.expose().as_bytes().ct_eq(reference.as_bytes()).into() {
                found = Some(*cookie);
            }
        }
        found
    }

    /// Ends one session.
    pub(crate) fn end(&mut self, cookie: CookieDigest, why: SessionEnd) -> Option<EndedSession> {
        let at = self.position(cookie).ok()?;
        let (cookie, session) = self.by_cookie.remove(at);
        Some(EndedSession { cookie, session, why })
    }

    /// Ends every session for which there is a reason.
    fn end_where(&mut self, reason: impl Fn(&GateSession) -> Option<SessionEnd>) -> Vec<EndedSession> {
        let mut ended = Vec::new();
        self.by_cookie.retain(|(cookie, session)| {
            let why = reason(session);
            ended.extend(why.map(|why| EndedSession { cookie: *cookie, session: session.clone(), why }));
            why.is_none()
        });
        ended
    }

    /// Signs out one person everywhere, or everybody.
    pub(crate) fn sign_out(&mut self, user: Option<&str>) -> Vec<EndedSession> {
        self.end_where(|session| {
            user.is_none_or(|user| session.visitor.user.eq_ignore_ascii_case(user)).then_some(SessionEnd::SignedOut)
        })
    }

    /// Ends the sessions that are over.
    pub(crate) fn end_what_is_over(&mut self, idle: Duration, now: Now) -> Vec<EndedSession> {
        self.end_where(|session| {
            if session.expiry.ends() <= now.boot {
                return (!waits_for_clock(session, now)).then_some(SessionEnd::Expired);
            }
            is_idle(session, idle, now.boot).then_some(SessionEnd::Idle)
        })
    }

    /// Ends the sessions that may not go on under these settings.
    pub(crate) fn end_what_is_not_allowed(&mut self, settings: &GateSettings) -> Vec<EndedSession> {
        self.end_where(|session| (!session.is_allowed(settings)).then_some(SessionEnd::NotAllowed))
    }

    /// When the next session ends, if nothing happens; it may be over already.
    #[must_use]
    pub(crate) fn next_end(&self, idle: Duration, now: Now) -> Option<BootTime> {
        let sessions = self.all().filter(|session| !waits_for_clock(session, now));
        sessions.map(|session| session.expiry.ends().min(session.seen + idle)).min()
    }

    /// Accounts for a clock that was set.
    pub(crate) fn clock_was_set(&mut self, now: Now) {
        for (_, session) in &mut self.by_cookie {
            session.expiry.clock_was_set(now);
        }
    }

    /// All sessions.
    pub(crate) fn all(&self) -> impl Iterator<Item = &GateSession> {
        self.by_cookie.iter().map(|(_, session)| session)
    }
}

fn is_good(session: &GateSession, idle: Duration, now: BootTime) -> bool {
    now < session.expiry.ends() && !is_idle(session, idle, now)
}

/// Returns whether only a clock that is set can tell if a session from before the boot is over. Until then it is kept, and opens nothing.
fn waits_for_clock(session: &GateSession, now: Now) -> bool {
    let is_of_this_boot = session.expiry.from().boot.is_some();
    !is_of_this_boot && session.expiry.ends() <= now.boot && now.wall < session.expiry.at()
}

fn is_idle(session: &GateSession, idle: Duration, now: BootTime) -> bool {
    session.seen + idle <= now
}

#[cfg(test)]
mod tests;
