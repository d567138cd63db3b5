//! The people who are signed in at the gate.

use std::collections::HashMap;
use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::settings::GateSettings;
use super::{CookieDigest, Way};
use crate::domain::clock::{BootTime, Now};
use crate::domain::expiry::Expiry;
use crate::domain::identity::Identity;
use crate::domain::record::Fingerprint;
use crate::domain::secret::Secret;

/// The number of sessions at a time, and of one person. With one more, the one that was not used for longest ends.
const SESSIONS: usize = 512;
const SESSIONS_OF_ONE: usize = 16;

/// The longest name that is kept, in characters, and the most memory for values of claims, in bytes.
const LONGEST_NAME: usize = 100;
const MOST_CLAIMS: usize = 512;

/// A person who is signed in, in one browser.
#[derive(Clone, Debug)]
pub(crate) struct GateSession {
    /// The reference by which Node-RED asks about it; of no use in a browser.
    pub(crate) reference: Secret,
    /// Who it is, in one text.
    pub(crate) user: Box<str>,
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
        let (user, expiry) = (identity.user().into(), Expiry::counted(now, settings.session));
        Self { reference, user, identity, client, way, expiry, seen: now.boot }
    }

    /// Returns whether it may begin or go on under these settings: by what is kept of the person, since nothing else can decide
    /// later on.
    #[must_use]
    pub(crate) fn is_allowed(&self, settings: &GateSettings) -> bool {
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
    // What decides comes first, whatever the names of the claims.
    for decides in [true, false] {
        for (claim, values) in &mut identity.claims {
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
    by_cookie: HashMap<CookieDigest, GateSession>,
}

impl GateSessions {
    /// Takes up a session, and returns the one that ended to make room for it.
    pub(crate) fn insert(&mut self, cookie: CookieDigest, session: GateSession) -> Option<EndedSession> {
        let is_of_one = |other: &GateSession| other.user == session.user;
        let of_one = self.by_cookie.values().filter(|other| is_of_one(other)).count();
        let displaced = if of_one >= SESSIONS_OF_ONE {
            self.least_used(is_of_one)
        } else if self.by_cookie.len() >= SESSIONS {
            self.least_used(|_| true)
        } else {
            None
        };
        let displaced = displaced.and_then(|oldest| self.end(oldest, SessionEnd::Displaced));
        self.by_cookie.insert(cookie, session);
        displaced
    }

    fn least_used(&self, of: impl Fn(&GateSession) -> bool) -> Option<CookieDigest> {
        let among = self.by_cookie.iter().filter(|(_, session)| of(session));
        among.min_by_key(|(_, session)| session.seen).map(|(cookie, _)| *cookie)
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
        // All are looked at for as long, so that nobody learns from the time how near a guess was.
        let is_it = |session: &GateSession| session.reference.expose().as_bytes().ct_eq(reference.as_bytes()).into();
        self.by_cookie.iter().filter(|(_, session)| is_it(session)).map(|(cookie, _)| *cookie).last()
    }

    /// Ends one session.
    pub(crate) fn end(&mut self, cookie: CookieDigest, why: SessionEnd) -> Option<EndedSession> {
        let session = self.by_cookie.remove(&cookie)?;
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
            user.is_none_or(|user| session.user.eq_ignore_ascii_case(user)).then_some(SessionEnd::SignedOut)
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
        let sessions = self.by_cookie.values().filter(|session| !waits_for_clock(session, now));
        sessions.map(|session| session.expiry.ends().min(session.seen + idle)).min()
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

/// Returns whether only a clock that is set can tell if a session from before the boot is over. Until then it is kept, and opens nothing.
fn waits_for_clock(session: &GateSession, now: Now) -> bool {
    let is_of_this_boot = session.expiry.from().boot.is_some();
    !is_of_this_boot && session.expiry.ends() <= now.boot && now.wall < session.expiry.at()
}

fn is_idle(session: &GateSession, idle: Duration, now: BootTime) -> bool {
    session.seen + idle <= now
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::account_settings::{AccountSettings, ClientSettings};
    use crate::domain::clock::{Confidence, UnixTime};
    use crate::domain::gate::settings::tests::{allow, person, settings};

    const IDLE: Duration = Duration::from_secs(600);

    fn at(seconds: u64) -> Now {
        let wall = UnixTime::new(1_800_000_000 + i64::try_from(seconds).unwrap());
        Now { boot: BootTime::new(Duration::from_secs(1_000 + seconds)), wall }
    }

    fn cookie(number: u32) -> CookieDigest {
        CookieDigest::of(&number.to_be_bytes())
    }

    /// The way and its client.
    fn client(way: Way) -> (Way, Fingerprint) {
        (way, settings().client(way).unwrap().binding().client())
    }

    fn session(name: &str, number: u32, seconds: u64) -> GateSession {
        let reference = Secret::new(format!("reference-{number}"));
        GateSession::new(reference, person(name, &["guests"]), client(Way::Browser), &settings(), at(seconds))
    }

    fn sessions(names: &[&str]) -> GateSessions {
        let mut sessions = GateSessions::default();
        for (name, number) in names.iter().zip(0..) {
            assert!(sessions.insert(cookie(number), session(name, number, 0)).is_none());
        }
        sessions
    }

    fn ends(ended: &[EndedSession]) -> Vec<(&str, SessionEnd)> {
        let mut ends: Vec<_> = ended.iter().map(|it| (it.session.identity.name.as_deref().unwrap(), it.why)).collect();
        ends.sort_by_key(|(name, _)| *name);
        ends
    }

    #[test]
    fn a_session_is_found_by_its_cookie_and_reference_until_it_ends() {
        let mut sessions = sessions(&["ann", "bob"]);
        assert_eq!(sessions.used(cookie(1), IDLE, at(1).boot).unwrap().user.as_ref(), "bob@example.com");
        assert_eq!(sessions.cookie_of("reference-1"), Some(cookie(1)));
        assert_eq!(sessions.end(cookie(1), SessionEnd::SignedOut).unwrap().session.user.as_ref(), "bob@example.com");
        assert!(sessions.used(cookie(1), IDLE, at(1).boot).is_none() && sessions.cookie_of("reference-1").is_none());
        assert!(
            sessions.used(cookie(0), IDLE, at(1).boot).is_some()
                && sessions.used(cookie(9), IDLE, at(1).boot).is_none()
        );
    }

    #[test]
    fn use_keeps_a_session_from_being_idle_and_nothing_keeps_it_longer_than_its_time() {
        let mut sessions = sessions(&["ann", "bob"]);
        for minute in (5..60).step_by(5) {
            assert!(sessions.used(cookie(0), IDLE, at(minute * 60).boot).is_some(), "{minute}");
        }
        assert!(sessions.find(cookie(1), IDLE, at(599).boot).is_some());
        assert!(sessions.find(cookie(1), IDLE, at(600).boot).is_none(), "to look at it is not to use it");
        assert!(sessions.used(cookie(1), IDLE, at(600).boot).is_none(), "nor is to come too late");
        assert_eq!(sessions.next_end(IDLE, at(600)), Some(at(600).boot), "what is over is ended at once");
        assert_eq!(ends(&sessions.end_what_is_over(IDLE, at(3_599))), [("bob", SessionEnd::Idle)]);
        assert!(sessions.used(cookie(0), IDLE, at(3_600).boot).is_none());
        assert_eq!(ends(&sessions.end_what_is_over(IDLE, at(3_600))), [("ann", SessionEnd::Expired)]);
        assert_eq!(sessions.all().count(), 0);
    }

    #[test]
    fn a_person_is_signed_out_everywhere_and_everybody_at_once() {
        let mut sessions = sessions(&["ann", "bob", "ann", "cid"]);
        let ended = sessions.sign_out(Some("Ann@Example.com"));
        assert_eq!(ends(&ended), [("ann", SessionEnd::SignedOut); 2]);
        assert!(sessions.sign_out(Some("nobody")).is_empty());
        assert_eq!(sessions.sign_out(None).len(), 2);
    }

    #[test]
    fn whoever_is_not_admitted_any_more_or_came_by_another_client_is_out() {
        let ended_under = |change: &dyn Fn(&mut GateSettings)| {
            let mut sessions = sessions(&["ann", "bob"]);
            let mut settings = settings();
            change(&mut settings);
            let ended = sessions.end_what_is_not_allowed(&settings);
            ends(&ended).iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()
        };
        assert!(ended_under(&|_| {}).is_empty());
        assert_eq!(ended_under(&|settings| settings.allow = allow(&["ann@example.com"])), ["bob"]);
        assert!(ended_under(&|settings| settings.allow = allow(&["groups:guests"])).is_empty());
        assert_eq!(ended_under(&|settings| settings.browser = None), ["ann", "bob"]);
        let other = |settings: &mut GateSettings| {
            let former = AccountSettings::clone(settings.browser.as_ref().unwrap());
            let client = ClientSettings { id: "another".to_owned(), ..former.client.clone() };
            settings.browser = Some(Arc::new(AccountSettings { client, ..former }));
        };
        assert_eq!(ended_under(&other), ["ann", "bob"]);
    }

    #[test]
    fn one_person_has_so_many_sessions_and_all_have_so_many_and_the_least_used_goes() {
        let mut sessions = GateSessions::default();
        for number in 0..20 {
            sessions.insert(cookie(number), session("ann", number, u64::from(number)));
        }
        assert_eq!(sessions.all().count(), SESSIONS_OF_ONE);
        assert!(
            sessions.find(cookie(3), IDLE, at(20).boot).is_none()
                && sessions.find(cookie(4), IDLE, at(20).boot).is_some()
        );
        for number in 100..700 {
            sessions.insert(cookie(number), session(&format!("p{number}"), number, 30));
        }
        assert_eq!(sessions.all().count(), SESSIONS);
        assert!(
            sessions.find(cookie(19), IDLE, at(30).boot).is_none()
                && sessions.find(cookie(699), IDLE, at(30).boot).is_some()
        );
    }

    #[test]
    fn after_a_boot_with_a_doubtful_clock_a_session_is_kept_and_good_once_the_clock_is_set() {
        let mut restored = session("ann", 0, 0);
        let booted = Now { boot: BootTime::new(Duration::from_secs(10)), wall: at(60).wall };
        restored.expiry =
            Expiry::restored(restored.expiry.from(), restored.expiry.life(), booted, Confidence::Doubtful);
        restored.seen = booted.boot;
        let mut sessions = GateSessions::default();
        sessions.insert(cookie(0), restored);
        assert!(sessions.used(cookie(0), IDLE, booted.boot).is_none());
        assert!(sessions.end_what_is_over(IDLE, booted).is_empty());
        assert_eq!(sessions.next_end(IDLE, booted), None);
        let set = Now { boot: BootTime::new(Duration::from_secs(20)), wall: at(1_800).wall };
        sessions.clock_was_set(set);
        assert!(sessions.used(cookie(0), IDLE, set.boot).is_some());
        assert_eq!(sessions.next_end(IDLE, set), Some(set.boot + IDLE));
        let late = Now { boot: BootTime::new(Duration::from_secs(30)), wall: at(4_000).wall };
        sessions.clock_was_set(late);
        assert_eq!(ends(&sessions.end_what_is_over(IDLE, late)), [("ann", SessionEnd::Expired)]);
    }

    #[test]
    fn of_what_the_provider_says_only_as_much_is_kept_as_a_session_may_take() {
        let many: Vec<_> = (0..1_000).map(|number| format!("{number}")).collect();
        let mut groups: Vec<_> = many.iter().map(String::as_str).collect();
        groups.push("operators");
        let mut identity = Identity { name: Some("ä".repeat(1_000)), ..person("ann", &groups) };
        identity.claims.insert("zz.roles".to_owned(), vec!["guest".to_owned(), "admin".to_owned()]);
        let settings = || GateSettings { allow: allow(&["groups:operators", "zz.roles:admin"]), ..settings() };
        let session = GateSession::new(Secret::new("r".to_owned()), identity, client(Way::Phone), &settings(), at(0));
        let kept: Vec<_> = session.groups("groups").collect();
        assert!(kept.contains(&"operators") && kept.len() > 10, "{kept:?}");
        assert_eq!(session.identity.claims["zz.roles"], ["admin"], "what decides is kept, whatever else there is");
        let values = session.identity.claims.values().flatten();
        assert!(values.map(|value| value.len() + size_of::<String>()).sum::<usize>() <= MOST_CLAIMS);
        assert_eq!(session.identity.name.as_ref().map(|name| name.chars().count()), Some(LONGEST_NAME));
        assert!(session.identity.picture.is_none() && session.is_allowed(&settings()));
        assert!(size_of::<GateSession>() + size_of::<CookieDigest>() <= 352, "{}", size_of::<GateSession>());
    }

    #[test]
    fn a_session_that_is_over_ends_although_the_clock_runs_late() {
        let mut sessions = sessions(&["ann"]);
        sessions.used(cookie(0), Duration::from_secs(9_999), at(3_599).boot);
        let late = Now { wall: at(3_590).wall, ..at(3_600) };
        assert_eq!(sessions.next_end(Duration::from_secs(9_999), late), Some(at(3_600).boot));
        assert_eq!(ends(&sessions.end_what_is_over(IDLE, late)), [("ann", SessionEnd::Expired)]);
    }

    #[test]
    fn what_another_client_told_opens_nothing() {
        let of_another = (Way::Browser, Fingerprint::of("another"));
        let reference = Secret::new("r".to_owned());
        let session = GateSession::new(reference, person("ann", &["operators"]), of_another, &settings(), at(0));
        assert!(!session.is_allowed(&settings()));
    }

    #[test]
    fn a_group_with_a_comma_in_its_name_is_not_taken_for_several() {
        let identity = person("ann", &["guests,operators", "operators "]);
        let session = GateSession::new(Secret::new("r".to_owned()), identity, client(Way::Browser), &settings(), at(0));
        assert_eq!(session.groups("groups").collect::<Vec<_>>(), ["operators "]);
        assert_eq!(session.groups("roles").count(), 0);
    }
}
