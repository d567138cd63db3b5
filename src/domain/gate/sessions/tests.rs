//! The sessions, without a browser.

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
    let mut ends: Vec<_> =
        ended.iter().map(|it| (it.session.visitor.identity.name.as_deref().unwrap(), it.why)).collect();
    ends.sort_by_key(|(name, _)| *name);
    ends
}

#[test]
fn a_session_is_found_by_its_cookie_and_reference_until_it_ends() {
    let mut sessions = sessions(&["ann", "bob"]);
    assert_eq!(sessions.used(cookie(1), IDLE, at(1).boot).unwrap().visitor.user.as_ref(), "bob@example.com");
    assert_eq!(sessions.cookie_of("reference-1"), Some(cookie(1)));
    assert_eq!(
        sessions.end(cookie(1), SessionEnd::SignedOut).unwrap().session.visitor.user.as_ref(),
        "bob@example.com"
    );
    assert!(sessions.used(cookie(1), IDLE, at(1).boot).is_none() && sessions.cookie_of("reference-1").is_none());
    assert!(
        sessions.used(cookie(0), IDLE, at(1).boot).is_some() && sessions.used(cookie(9), IDLE, at(1).boot).is_none()
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
    assert_eq!(ended_under(&|settings| settings.session = Duration::from_secs(3_599)), ["ann", "bob"]);
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
        sessions.find(cookie(3), IDLE, at(20).boot).is_none() && sessions.find(cookie(4), IDLE, at(20).boot).is_some()
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
    restored.expiry = Expiry::restored(restored.expiry.from(), restored.expiry.life(), booted, Confidence::Doubtful);
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
    identity.claims.push(Claim { name: "zz.roles".to_owned(), values: vec!["guest".to_owned(), "admin".to_owned()] });
    let settings = || GateSettings { allow: allow(&["groups:operators", "zz.roles:admin"]), ..settings() };
    let session = GateSession::new(Secret::new("r".to_owned()), identity, client(Way::Phone), &settings(), at(0));
    let visitor = &session.visitor;
    let kept: Vec<_> = visitor.groups("groups").collect();
    assert!(kept.contains(&"operators") && kept.len() > 10, "{kept:?}");
    let roles = visitor.identity.claim("zz.roles").unwrap();
    assert_eq!(roles, ["admin"], "what decides is kept, whatever else there is");
    let values = visitor.identity.claims.iter().flat_map(|claim| &claim.values);
    assert!(values.map(|value| value.len() + size_of::<String>()).sum::<usize>() <= MOST_CLAIMS);
    assert_eq!(visitor.identity.name.as_ref().map(|name| name.chars().count()), Some(LONGEST_NAME));
    assert!(visitor.identity.picture.is_none() && session.is_allowed(&settings()));
    assert!(size_of::<GateSession>() + size_of::<GateVisitor>() <= 264, "{}", size_of::<GateVisitor>());
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
    let identity = person("ann", &["guests,operators", "operators ", "night shift"]);
    let session = GateSession::new(Secret::new("r".to_owned()), identity, client(Way::Browser), &settings(), at(0));
    assert_eq!(session.visitor.groups("groups").collect::<Vec<_>>(), ["night shift"]);
    assert_eq!(session.visitor.groups("roles").count(), 0);
}
