//! The grants beside that of a device code.

use super::*;
use crate::domain::approval::{Approval, Authorization, AuthorizationRequest};
use crate::domain::redirection::Redirection;

fn address() -> Answer {
    address_at(Some("https://id.example"), true)
}

fn address_at(issuer: Option<&str>, names_issuer: bool) -> Answer {
    let approval = Approval::Redirect(AuthorizationRequest {
        address: "https://id.example/authorize?state=s1".to_owned(),
        redirect_uri: "http://127.0.0.1:8629/oauth2/redirect".to_owned(),
        state: "s1".to_owned(),
        code_verifier: Secret::new("v1".to_owned()),
        issuer: issuer.map(str::to_owned),
        names_issuer,
    });
    Answer::Authorization(Ok(Authorization { approval, expires_in: None }))
}

#[test]
fn an_issuer_that_a_redirection_names_is_compared_even_where_it_was_not_promised() {
    for (issuer, names_issuer, query, is_ours) in [
        (Some("https://id.example"), false, "?code=c1&state=s1", true),
        (Some("https://id.example"), false, "?code=c1&state=s1&iss=https%3A%2F%2Fid.example", true),
        (Some("https://id.example"), false, "?code=c1&state=s1&iss=https%3A%2F%2Fevil.example", false),
        (Some("https://id.example"), true, "?code=c1&state=s1", false),
        (None, false, "?code=c1&state=s1&iss=https%3A%2F%2Fid.example", true),
    ] {
        let mut play = Play::signed_out();
        play.tell(Event::Command(Command::Login, Ticket(1)));
        play.answer(address_at(issuer, names_issuer));
        comes_back(&mut play, query, 2);
        assert_eq!(play.asked.len(), usize::from(is_ours), "{issuer:?} {names_issuer} {query}");
    }
}

fn waiting_for_browser() -> Play {
    let mut play = Play::signed_out();
    play.tell(Event::Command(Command::Login, Ticket(1)));
    play.answer(address());
    play.replies.clear();
    play
}

fn comes_back(play: &mut Play, query: &str, ticket: u64) {
    play.tell(Event::Command(Command::Complete(Redirection::read(query).unwrap()), Ticket(ticket)));
}

fn under(way: Way) -> Rules {
    Rules { way, ..rules() }
}

/// A session whose turn has come since its start.
fn started(rules: Rules, record: &Record, now: Now) -> Play {
    let mut play = Play::new(restored_under(rules, record.clone(), now), now);
    play.pass(5);
    play
}

fn unattended() -> Play {
    started(under(Way::Unattended), &Record::default(), START)
}

fn import(name: &str) -> Rules {
    under(Way::Import(Some(Fingerprint::of(name))))
}

fn obtained(access: &str, refresh: Option<&str>) -> Answer {
    Answer::Granted(Ok(granted(tokens(access, refresh, 3_600))))
}

fn wrong_password() -> Fault {
    Fault::ask_user(FaultCode::InvalidGrant, "Wrong.")
}

#[test]
fn a_browser_that_comes_back_brings_the_tokens() {
    let mut play = waiting_for_browser();
    let pending = play.session.pending().unwrap();
    assert_eq!((pending.user_code, pending.redirect_uri.as_deref()), (None, play.session.awaited_redirect_uri()));
    assert!(play.session.awaits_state("s1") && !play.session.awaits_state("s2"));
    play.pass(600);
    assert!(play.asked.is_empty(), "nobody polls for a browser");
    comes_back(&mut play, "?code=c1&state=s1&iss=https%3A%2F%2Fid.example", 2);
    assert!(matches!(&play.asked[0].1, Question::Exchange { code, code_verifier }
        if code.expose() == "c1" && code_verifier.expose() == "v1"));
    assert!(play.replies.is_empty(), "whoever brought it waits for the end");
    play.answer(obtained("a1", Some("r1")));
    assert_eq!(play.replies, [(Ticket(2), Ok(()))]);
    assert_eq!((play.state(), play.token().as_deref()), (SessionState::Active, Some("a1")));
    assert!(play.session.awaited_redirect_uri().is_none() && play.disk.pending.is_none());
}

#[test]
fn what_belongs_to_another_sign_in_or_comes_from_another_server_changes_nothing() {
    let mut play = waiting_for_browser();
    comes_back(&mut play, "?code=c1&state=forged", 2);
    comes_back(&mut play, "?code=c1&state=s1&iss=https%3A%2F%2Fevil.example", 3);
    comes_back(&mut play, "?error=access_denied&state=forged", 4);
    comes_back(&mut play, "?code=c1&state=s1", 5);
    assert!(play.asked.is_empty());
    let refused = |ticket| (Ticket(ticket), Err(Refused::NotOurRedirection));
    assert_eq!(play.replies, [refused(2), refused(3), refused(4), refused(5)]);
    assert_eq!(play.state(), SessionState::AwaitingUser);
}

#[test]
fn a_code_is_taken_once() {
    let mut play = waiting_for_browser();
    comes_back(&mut play, "?code=c1&state=s1&iss=https%3A%2F%2Fid.example", 2);
    comes_back(&mut play, "?code=c2&state=s1&iss=https%3A%2F%2Fid.example", 3);
    assert_eq!(play.asked.len(), 1);
    assert_eq!(play.replies, [(Ticket(3), Err(Refused::NotOurRedirection))]);
}

#[test]
fn a_users_no_by_the_browser_ends_the_sign_in() {
    let mut play = waiting_for_browser();
    comes_back(&mut play, "?error=access_denied&state=s1&iss=https%3A%2F%2Fid.example", 2);
    assert_eq!((play.state(), play.error()), (SessionState::SignedOut, Some(FaultCode::AccessDenied)));
    assert!(matches!(play.replies[..], [(Ticket(2), Err(Refused::Failed(_)))]));
}

#[test]
fn a_network_that_fails_between_code_and_tokens_is_tried_again() {
    let mut play = waiting_for_browser();
    comes_back(&mut play, "?code=c1&state=s1&iss=https%3A%2F%2Fid.example", 2);
    play.answer(Answer::Granted(Err(outage())));
    assert_eq!((play.state(), play.error()), (SessionState::AwaitingUser, Some(FaultCode::ProviderUnreachable)));
    play.pass(3);
    play.answer(obtained("a1", Some("r1")));
    assert_eq!((play.state(), play.error()), (SessionState::Active, None));
    assert_eq!(play.replies, [(Ticket(2), Ok(()))]);
}

#[test]
fn an_address_that_nobody_opens_lapses_and_one_that_waits_survives_a_restart() {
    let mut play = waiting_for_browser();
    let later = Now { boot: BootTime::new(Duration::from_secs(9)), wall: play.now.wall + Duration::from_secs(60) };
    let mut restarted = Play::new(restored(play.disk.clone(), later), later);
    assert!(restarted.session.awaits_state("s1"));
    comes_back(&mut restarted, "?code=c1&state=s1&iss=https%3A%2F%2Fid.example", 2);
    restarted.answer(obtained("a1", None));
    assert_eq!(restarted.state(), SessionState::Active);

    play.pass(899);
    assert_eq!(play.state(), SessionState::AwaitingUser);
    play.pass(1);
    assert_eq!((play.state(), play.error()), (SessionState::SignedOut, Some(FaultCode::CodeExpired)));
}

#[test]
fn what_begins_by_itself_waits_its_turn_at_a_start_unless_somebody_asks() {
    for rules in [under(Way::Unattended), import("f1"), Rules { offer: true, ..rules() }] {
        let start = || Play::new(restored_under(rules.clone(), Record::default(), START), START);
        let mut play = start();
        play.tell(Event::Command(Command::Cancel, Ticket(1)));
        play.pass(4);
        assert!(play.asked.is_empty(), "{rules:?}");
        play.pass(1);
        assert_eq!(play.asked.len(), 1, "{rules:?}");
        let mut play = start();
        play.tell(Event::Command(Command::Login, Ticket(2)));
        assert_eq!(play.asked.len(), 1, "{rules:?}");
        play.pass(10);
        assert_eq!(play.asked.len(), 1, "{rules:?}");
    }
}

#[test]
fn an_account_that_needs_no_user_signs_in_by_itself_and_again_before_the_token_ends() {
    let mut play = unattended();
    assert!(matches!(play.asked[0].1, Question::Obtain));
    assert_eq!((play.state(), play.status().needs_user), (SessionState::SignedOut, false));
    play.answer(obtained("a1", None));
    assert_eq!((play.state(), play.token().as_deref()), (SessionState::Active, Some("a1")));
    play.pass(2_700);
    assert!(matches!(play.asked[0].1, Question::Obtain));
    play.answer(Answer::Granted(Err(outage())));
    play.pass(900);
    assert_eq!((play.state(), play.status().needs_user), (SessionState::Expired, false));
    play.answer(obtained("a2", None));
    assert_eq!(play.token().as_deref(), Some("a2"));
}

#[test]
fn an_outage_at_the_first_sign_in_is_waited_out() {
    let mut play = unattended();
    for _ in 0..10 {
        play.answer(Answer::Granted(Err(outage())));
        assert_eq!((play.error(), play.status().needs_user), (Some(FaultCode::ProviderUnreachable), false));
        play.pass(300);
        assert_eq!(play.asked.len(), 1);
    }
    play.answer(obtained("a1", None));
    assert_eq!((play.state(), play.error()), (SessionState::Active, None));
}

#[test]
fn a_wrong_password_is_not_tried_again_before_somebody_has_changed_something() {
    let mut play = unattended();
    play.answer(Answer::Granted(Err(wrong_password())));
    assert_eq!((play.error(), play.status().needs_user), (Some(FaultCode::InvalidGrant), true));
    play.pass(1_000_000);
    assert!(play.asked.is_empty());
    play.tell(Event::Reconfigured);
    play.answer(obtained("a1", None));
    assert_eq!(play.state(), SessionState::Active);
}

#[test]
fn a_password_takes_the_place_of_a_refresh_token_that_is_no_longer_good() {
    let mut play = unattended();
    play.answer(obtained("a1", Some("r1")));
    play.pass(2_700);
    assert_eq!(play.refreshes_with().as_deref(), Some("r1"));
    play.answer(Answer::Refresh(Err(Fault::ask_user(FaultCode::InvalidGrant, "Revoked."))));
    assert!(matches!(play.asked[0].1, Question::Obtain));
    assert_eq!(play.token().as_deref(), Some("a1"));
    play.answer(obtained("a2", Some("r2")));
    assert_eq!((play.state(), play.token().as_deref()), (SessionState::Active, Some("a2")));
    assert_eq!(play.refresh_token_on_disk().as_deref(), Some("r2"));
}

#[test]
fn a_password_changed_at_the_provider_stops_the_account_until_the_configuration_has_it() {
    let mut play = unattended();
    play.answer(obtained("a1", None));
    play.pass(2_700);
    play.answer(Answer::Granted(Err(wrong_password())));
    assert_eq!((play.state(), play.status().needs_user), (SessionState::SignedOut, true));
    play.pass(100_000);
    assert!(play.asked.is_empty());
    play.tell(Event::Reconfigured);
    play.answer(obtained("a2", None));
    assert_eq!((play.state(), play.error()), (SessionState::Active, None));
}

#[test]
fn signed_out_on_request_stays_signed_out_across_a_restart_until_asked() {
    let mut play = unattended();
    play.answer(obtained("a1", None));
    play.tell(Event::Command(Command::Logout, Ticket(2)));
    play.answer(Answer::Revoked(Ok(())));
    play.pass(10_000);
    assert!(play.asked.is_empty());
    assert_eq!((play.state(), play.status().needs_user), (SessionState::SignedOut, true));
    let mut play = Play::new(restored_under(under(Way::Unattended), play.disk.clone(), play.now), play.now);
    play.pass(10_000);
    assert!(play.asked.is_empty());
    play.tell(Event::Command(Command::Login, Ticket(3)));
    play.answer(obtained("a2", None));
    assert_eq!(play.replies, [(Ticket(3), Ok(()))]);
    assert!(!play.disk.stopped);
}

#[test]
fn a_refresh_token_from_a_file_is_taken_in_once() {
    let mut play = started(import("f1"), &Record::default(), START);
    assert!(matches!(play.asked[0].1, Question::Obtain));
    play.answer(obtained("a1", Some("r2")));
    assert_eq!((play.state(), play.refresh_token_on_disk().as_deref()), (SessionState::Active, Some("r2")));
    let restart = |rules| started(rules, &play.disk, play.now);
    assert!(restart(import("f1")).asked.is_empty(), "the same file again");
    assert!(restart(under(Way::Import(None))).asked.is_empty(), "or none");
    let mut another = restart(import("f2"));
    assert!(matches!(another.asked[0].1, Question::Obtain));
    another.answer(obtained("b1", Some("s1")));
    assert_eq!(another.token().as_deref(), Some("b1"));
}

#[test]
fn a_refresh_token_from_a_file_that_is_not_good_is_not_sent_twice() {
    let mut play = started(import("f1"), &Record::default(), START);
    play.answer(Answer::Granted(Err(Fault::ask_user(FaultCode::InvalidGrant, "Unknown."))));
    play.pass(100_000);
    assert!(play.asked.is_empty());
    assert_eq!((play.error(), play.status().needs_user), (Some(FaultCode::InvalidGrant), true));
    play.tell(Event::Command(Command::Login, Ticket(1)));
    assert_eq!(play.replies, [(Ticket(1), Err(Refused::AlreadyImported))]);
    let restarted = started(import("f1"), &play.disk, play.now);
    assert!(restarted.asked.is_empty());
}

#[test]
fn a_request_that_the_provider_suddenly_finds_invalid_asks_for_the_user_and_is_still_tried() {
    for fault in [
        Fault::reconfigure(FaultCode::InvalidRequest, "Hm."),
        Fault::reconfigure(FaultCode::InteractionRequired, "Hm."),
        Fault::passing(FaultCode::ProviderRefused, "Hm."),
    ] {
        let mut play = Play::signed_in(3_600);
        play.pass(2_700);
        play.answer(Answer::Refresh(Err(fault.clone())));
        assert_eq!((play.state(), play.status().needs_user), (SessionState::Active, false));
        for _ in 0..900 {
            play.pass(1);
            if !play.asked.is_empty() {
                play.answer(Answer::Refresh(Err(fault.clone())));
            }
        }
        assert_eq!((play.state(), play.status().needs_user), (SessionState::Expired, true));
        while play.asked.is_empty() {
            play.pass(1);
        }
        assert_eq!(play.refreshes_with().as_deref(), Some("r1"), "the grant may be good after all");
        play.answer(Answer::Refresh(Ok(tokens("a2", None, 3_600))));
        assert_eq!((play.state(), play.error()), (SessionState::Active, None));
    }
}

#[test]
fn a_mended_configuration_is_tried_at_once() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    play.answer(Answer::Refresh(Err(Fault::reconfigure(FaultCode::InvalidClient, "Who?"))));
    play.tell(Event::Reconfigured);
    assert_eq!(play.refreshes_with().as_deref(), Some("r1"));
}
