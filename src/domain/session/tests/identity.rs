//! Who may sign in, and who has.

use super::*;
use crate::domain::identity::Admission;

fn user(sub: &str, email: &str, email_verified: bool) -> Identity {
    let (name, picture) = (Some("Ann".to_owned()), None);
    Identity { sub: sub.to_owned(), email: Some(email.to_owned()), email_verified, name, picture }
}

fn only(texts: &[&str]) -> Rules {
    let allow = texts.iter().map(|text| text.parse::<Admission>().unwrap()).collect();
    Rules { allow, tells_user: true, ..rules() }
}

fn approved_by(user: User) -> Answer {
    Answer::Poll(Ok(PollAnswer::Granted(Granted { tokens: tokens("a1", Some("r1"), 3_600), user })))
}

fn waiting(rules: Rules, record: Record, now: Now) -> Play {
    let mut play = Play::new(restored_under(rules, record, now), now);
    play.tell(Event::Command(Command::Login, Ticket(1)));
    play.answer(device_code());
    play.pass(5);
    play
}

fn signed_in_by(rules: Rules, user: Identity) -> Play {
    let mut play = waiting(rules, Record::default(), START);
    play.answer(approved_by(User::Known(user)));
    play
}

#[test]
fn somebody_who_is_named_is_let_in_and_shown() {
    let play = signed_in_by(only(&["*@example.com"]), user("u1", "ann@example.com", true));
    let status = play.status();
    assert_eq!((status.state, status.user.as_deref()), (SessionState::Active, Some("ann@example.com")));
    assert_eq!(play.session.identity(play.now).unwrap().name.as_deref(), Some("Ann"));
    assert!(play.published.contains(&Topic::Identity));
}

#[test]
fn anybody_else_is_refused_their_tokens_are_revoked_and_nothing_of_them_is_kept_or_shown() {
    for stranger in [
        User::Known(user("u2", "eve@evil.example", true)),
        User::Known(user("u2", "ann@example.com", false)),
        User::NotAsked,
        User::Unknown(Fault::ask_user(FaultCode::IdentityUnknown, "Userinfo is down.")),
    ] {
        let mut play = waiting(only(&["*@example.com"]), Record::default(), START);
        play.published.clear();
        play.answer(approved_by(stranger));
        assert!(matches!(
            &play.asked[..],
            [(_, Question::Revoke { refresh_token: Some(token), .. })] if token.expose() == "r1"
        ));
        assert!(play.disk.signed_in.is_none() && play.token().is_none());
        assert!(!play.published.contains(&Topic::Token));
        let status = play.status();
        assert_eq!((status.state, status.needs_user), (SessionState::SignedOut, true));
        let error = status.error.unwrap();
        assert!(matches!(error.code, FaultCode::NotAllowed | FaultCode::IdentityUnknown), "{error:?}");
        assert!(!format!("{error:?}").contains("eve"), "it does not name them: {error:?}");
        play.answer(Answer::Revoked(Err(outage())));
        assert!(play.asked.is_empty());
    }
}

#[test]
fn a_stranger_does_not_end_the_sign_in_that_is_there() {
    let mut play = signed_in_by(only(&["sub:u1"]), user("u1", "ann@example.com", true));
    play.tell(Event::Command(Command::Login, Ticket(2)));
    play.answer(device_code());
    play.pass(5);
    play.answer(approved_by(User::Known(user("u2", "ann@example.com", true))));
    assert_eq!((play.state(), play.token().as_deref()), (SessionState::Active, Some("a1")));
}

#[test]
fn a_sign_in_of_somebody_whom_allow_names_no_more_is_not_used_but_kept() {
    let play = signed_in_by(only(&["sub:u1"]), user("u1", "ann@example.com", true));
    assert!(!play.session.can_go_on_under(&only(&["sub:u2"])));
    assert!(play.session.can_go_on_under(&only(&["sub:u1", "sub:u3"])) && play.session.can_go_on_under(&rules()));
    let mut other = Play::new(restored_under(only(&["sub:u2"]), play.disk.clone(), play.now), play.now);
    other.pass(10_000);
    assert_eq!((other.state(), other.error()), (SessionState::SignedOut, Some(FaultCode::NotAllowed)));
    assert!(other.asked.is_empty() && other.token().is_none());
    let back = Play::new(restored_under(only(&["sub:u1"]), play.disk.clone(), play.now), play.now);
    assert_eq!(back.state(), SessionState::Active);
}

#[test]
fn a_sign_in_of_nobody_in_particular_does_not_pass_a_list_that_is_made_later() {
    let play = Play::signed_in(3_600);
    let other = Play::new(restored_under(only(&["sub:u1"]), play.disk.clone(), play.now), play.now);
    assert_eq!((other.state(), other.error()), (SessionState::SignedOut, Some(FaultCode::NotAllowed)));
}

#[test]
fn another_user_than_before_is_reported_and_the_same_is_not() {
    let play = signed_in_by(only(&["*@example.com"]), user("u1", "ann@example.com", true));
    let again = |who: Identity| {
        let mut play = waiting(only(&["*@example.com"]), play.disk.clone(), play.now);
        play.answer(approved_by(User::Known(who)));
        play.status().user_changed_at
    };
    assert_eq!(again(user("u1", "ann@example.com", true)), None);
    assert!(again(user("u2", "bob@example.com", true)).is_some());
}

#[test]
fn who_signed_in_is_told_only_if_it_is_asked_for_and_only_while_signed_in() {
    let quiet = Rules { tells_user: false, ..only(&["sub:u1"]) };
    let play = signed_in_by(quiet, user("u1", "ann@example.com", true));
    assert_eq!((play.status().user, play.session.identity(play.now)), (None, None));
    assert!(!play.published.contains(&Topic::Identity));

    let mut play = signed_in_by(only(&["sub:u1"]), user("u1", "ann@example.com", true));
    play.published.clear();
    play.tell(Event::Command(Command::Logout, Ticket(3)));
    assert!(play.published.contains(&Topic::Identity));
    assert_eq!((play.status().user, play.session.identity(play.now)), (None, None));
}

#[test]
fn without_a_list_it_does_not_matter_that_the_provider_does_not_say_who_it_was() {
    let mut play = waiting(rules(), Record::default(), START);
    play.answer(approved_by(User::Unknown(outage())));
    assert_eq!(play.state(), SessionState::Active);
}
