//! Who may sign in, and who has.

use super::*;
use crate::domain::identity::Admission;

fn user(sub: &str, email: &str, email_verified: bool) -> Identity {
    let (name, picture) = (Some("Ann".to_owned()), None);
    let claims = Vec::new();
    Identity { sub: sub.to_owned(), email: Some(email.to_owned()), email_verified, name, picture, claims }
}

fn only(texts: &[&str]) -> Rules {
    let allow = texts.iter().map(|text| text.parse::<Admission>().unwrap()).collect();
    Rules { allow, tells_user: true, ..rules() }
}

fn approved_by(user: User) -> ProviderAnswer {
    ProviderAnswer::Poll(Ok(PollAnswer::Granted(Granted { tokens: tokens("a1", Some("r1"), 3_600), user })))
}

fn waiting(rules: Rules, record: Record, now: Now) -> Harness {
    let mut harness = Harness::new(restored_under(rules, record, now), now);
    harness.tell(Event::Command(Command::Login, Ticket(1)));
    harness.answer(device_code());
    harness.pass(5);
    harness
}

fn signed_in_by(rules: Rules, user: Identity) -> Harness {
    let mut harness = waiting(rules, Record::default(), START);
    harness.answer(approved_by(User::Known(user)));
    harness
}

#[test]
fn somebody_who_is_named_is_let_in_and_shown() {
    let harness = signed_in_by(only(&["*@example.com"]), user("u1", "ann@example.com", true));
    let status = harness.status();
    assert_eq!((status.state, status.user.as_deref()), (SessionState::Active, Some("ann@example.com")));
    assert_eq!(harness.session.identity(harness.now).unwrap().name.as_deref(), Some("Ann"));
    assert!(harness.published.contains(&Topic::Identity));
}

#[test]
fn anybody_else_is_refused_their_tokens_are_revoked_and_nothing_of_them_is_kept_or_shown() {
    for stranger in [
        User::Known(user("u2", "eve@evil.example", true)),
        User::Known(user("u2", "ann@example.com", false)),
        User::NotAsked,
        User::Unknown(Fault::ask_user(FaultCode::IdentityUnknown, "Userinfo is down.")),
    ] {
        let mut harness = waiting(only(&["*@example.com"]), Record::default(), START);
        harness.published.clear();
        harness.answer(approved_by(stranger));
        assert!(matches!(
            &harness.asked[..],
            [(_, ProviderRequest::Revoke { refresh_token: Some(token), .. })] if token.expose() == "r1"
        ));
        assert!(harness.disk.signed_in.is_none() && harness.token().is_none());
        assert!(!harness.published.contains(&Topic::Token));
        let status = harness.status();
        assert_eq!((status.state, status.needs_user), (SessionState::SignedOut, true));
        let error = status.error.unwrap();
        assert!(matches!(error.code, FaultCode::NotAllowed | FaultCode::IdentityUnknown), "{error:?}");
        assert!(!format!("{error:?}").contains("eve"), "it does not name them: {error:?}");
        harness.answer(ProviderAnswer::Revoked(Err(outage())));
        assert!(harness.asked.is_empty());
    }
}

#[test]
fn a_stranger_does_not_end_the_sign_in_that_is_there() {
    let mut harness = signed_in_by(only(&["sub:u1"]), user("u1", "ann@example.com", true));
    harness.tell(Event::Command(Command::Login, Ticket(2)));
    harness.answer(device_code());
    harness.pass(5);
    harness.answer(approved_by(User::Known(user("u2", "ann@example.com", true))));
    assert_eq!((harness.state(), harness.token().as_deref()), (SessionState::Active, Some("a1")));
}

#[test]
fn a_sign_in_of_somebody_whom_allow_names_no_more_is_not_used_but_kept() {
    let harness = signed_in_by(only(&["sub:u1"]), user("u1", "ann@example.com", true));
    assert!(!harness.session.can_go_on_under(&only(&["sub:u2"])));
    assert!(harness.session.can_go_on_under(&only(&["sub:u1", "sub:u3"])) && harness.session.can_go_on_under(&rules()));
    let mut other = Harness::new(restored_under(only(&["sub:u2"]), harness.disk.clone(), harness.now), harness.now);
    other.pass(10_000);
    assert_eq!((other.state(), other.error()), (SessionState::SignedOut, Some(FaultCode::NotAllowed)));
    assert!(other.asked.is_empty() && other.token().is_none());
    let back = Harness::new(restored_under(only(&["sub:u1"]), harness.disk.clone(), harness.now), harness.now);
    assert_eq!(back.state(), SessionState::Active);
}

#[test]
fn a_sign_in_of_nobody_in_particular_does_not_pass_a_list_that_is_made_later() {
    let harness = Harness::signed_in(3_600);
    let other = Harness::new(restored_under(only(&["sub:u1"]), harness.disk.clone(), harness.now), harness.now);
    assert_eq!((other.state(), other.error()), (SessionState::SignedOut, Some(FaultCode::NotAllowed)));
}

#[test]
fn another_user_than_before_is_reported_and_the_same_is_not() {
    let harness = signed_in_by(only(&["*@example.com"]), user("u1", "ann@example.com", true));
    let again = |who: Identity| {
        let mut harness = waiting(only(&["*@example.com"]), harness.disk.clone(), harness.now);
        harness.answer(approved_by(User::Known(who)));
        harness.status().user_changed_at
    };
    assert_eq!(again(user("u1", "ann@example.com", true)), None);
    assert!(again(user("u2", "bob@example.com", true)).is_some());
}

#[test]
fn who_signed_in_is_told_only_if_it_is_asked_for_and_only_while_signed_in() {
    let quiet = Rules { tells_user: false, ..only(&["sub:u1"]) };
    let harness = signed_in_by(quiet, user("u1", "ann@example.com", true));
    assert_eq!((harness.status().user, harness.session.identity(harness.now)), (None, None));
    assert!(!harness.published.contains(&Topic::Identity));

    let mut harness = signed_in_by(only(&["sub:u1"]), user("u1", "ann@example.com", true));
    harness.published.clear();
    harness.tell(Event::Command(Command::Logout, Ticket(3)));
    assert!(harness.published.contains(&Topic::Identity));
    assert_eq!((harness.status().user, harness.session.identity(harness.now)), (None, None));
}

#[test]
fn without_a_list_it_does_not_matter_that_the_provider_does_not_say_who_it_was() {
    let mut harness = waiting(rules(), Record::default(), START);
    harness.answer(approved_by(User::Unknown(outage())));
    assert_eq!(harness.state(), SessionState::Active);
}
