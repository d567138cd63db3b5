//! The grants beside that of a device code.

use super::*;
use crate::domain::approval::{Approval, Authorization, AuthorizationRequest};
use crate::domain::redirection::Redirection;

fn address() -> ProviderAnswer {
    address_at(Some("https://id.example"), true)
}

fn address_at(issuer: Option<&str>, names_issuer: bool) -> ProviderAnswer {
    let approval = Approval::Redirect(AuthorizationRequest {
        address: "https://id.example/authorize?state=s1".to_owned(),
        redirect_uri: "http://127.0.0.1:8629/oauth2/redirect".to_owned(),
        state: "s1".to_owned(),
        code_verifier: Secret::new("v1".to_owned()),
        issuer: issuer.map(str::to_owned),
        names_issuer,
    });
    ProviderAnswer::Authorization(Ok(Authorization { approval, expires_in: None }))
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
        let mut harness = Harness::signed_out();
        harness.tell(Event::Command(Command::Login, Ticket(1)));
        harness.answer(address_at(issuer, names_issuer));
        comes_back(&mut harness, query, 2);
        assert_eq!(harness.asked.len(), usize::from(is_ours), "{issuer:?} {names_issuer} {query}");
    }
}

#[test]
fn canailles_error_without_its_name_ends_the_sign_in_with_its_reason() {
    let mut harness = waiting_for_browser();
    comes_back(&mut harness, "?error=access_denied&error_description=No&state=another", 2);
    assert_eq!(harness.state(), SessionState::AwaitingUser, "but for one of another sign-in");
    comes_back(&mut harness, "?error=access_denied&error_description=No&state=s1", 3);
    assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(FaultCode::AccessDenied)));
    let message = harness.status().error.unwrap().message;
    assert!(message.starts_with("The provider sent the browser back with \"access_denied\": No."), "{message}");
}

fn waiting_for_browser() -> Harness {
    let mut harness = Harness::signed_out();
    harness.tell(Event::Command(Command::Login, Ticket(1)));
    harness.answer(address());
    harness.replies.clear();
    harness
}

fn comes_back(harness: &mut Harness, query: &str, ticket: u64) {
    harness.tell(Event::Command(Command::Complete(Redirection::read(query).unwrap()), Ticket(ticket)));
}

fn under(acquisition: Acquisition) -> Rules {
    Rules { acquisition, ..rules() }
}

/// A session whose turn has come since its start.
fn started(rules: Rules, record: &Record, now: Now) -> Harness {
    let mut harness = Harness::new(restored_under(rules, record.clone(), now), now);
    harness.pass(5);
    harness
}

fn unattended() -> Harness {
    started(under(Acquisition::Unattended), &Record::default(), START)
}

fn import(name: &str) -> Rules {
    under(Acquisition::Import(Some(Fingerprint::of(name))))
}

fn obtained(access: &str, refresh: Option<&str>) -> ProviderAnswer {
    ProviderAnswer::Granted(Ok(granted(tokens(access, refresh, 3_600))))
}

fn wrong_password() -> Fault {
    Fault::ask_user(FaultCode::InvalidGrant, "Wrong.")
}

#[test]
fn a_browser_that_comes_back_brings_the_tokens() {
    let mut harness = waiting_for_browser();
    let pending = harness.session.pending().unwrap();
    assert_eq!((pending.user_code, pending.redirect_uri.as_deref()), (None, harness.session.awaited_redirect_uri()));
    assert!(harness.session.awaits_state("s1") && !harness.session.awaits_state("s2"));
    harness.pass(600);
    assert!(harness.asked.is_empty(), "nobody polls for a browser");
    comes_back(&mut harness, "?code=c1&state=s1&iss=https%3A%2F%2Fid.example", 2);
    assert!(matches!(&harness.asked[0].1, ProviderRequest::Exchange { code, code_verifier }
        if code.code.expose() == "c1" && code_verifier.expose() == "v1"));
    assert!(harness.replies.is_empty(), "whoever brought it waits for the end");
    harness.answer(obtained("a1", Some("r1")));
    assert_eq!(harness.replies, [(Ticket(2), Ok(()))]);
    assert_eq!((harness.state(), harness.token().as_deref()), (SessionState::Active, Some("a1")));
    assert!(harness.session.awaited_redirect_uri().is_none() && harness.disk.pending.is_none());
}

#[test]
fn what_belongs_to_another_sign_in_or_comes_from_another_server_changes_nothing() {
    let mut harness = waiting_for_browser();
    comes_back(&mut harness, "?code=c1&state=forged", 2);
    comes_back(&mut harness, "?code=c1&state=s1&iss=https%3A%2F%2Fevil.example", 3);
    comes_back(&mut harness, "?error=access_denied&state=forged", 4);
    comes_back(&mut harness, "?code=c1&state=s1", 5);
    // Where another provider sends its codes.
    comes_back(&mut harness, "http://127.0.0.1:8629/from-b?code=c1&state=s1&iss=https%3A%2F%2Fid.example", 6);
    assert!(harness.asked.is_empty());
    let refused = |ticket| (Ticket(ticket), Err(CommandError::NotOurRedirection));
    assert_eq!(harness.replies, [2, 3, 4, 5, 6].map(refused));
    assert_eq!(harness.state(), SessionState::AwaitingUser);
}

#[test]
fn whoever_brought_the_code_hears_soon_that_the_provider_is_down_and_the_sign_in_goes_on() {
    let mut harness = waiting_for_browser();
    comes_back(&mut harness, "?code=c1&state=s1&iss=https%3A%2F%2Fid.example", 2);
    harness.answer(ProviderAnswer::Granted(Err(outage())));
    assert!(harness.replies.is_empty(), "it may be a moment");
    harness.pass(5);
    harness.answer(ProviderAnswer::Granted(Err(outage())));
    assert_eq!(harness.replies, [(Ticket(2), Err(CommandError::Failed(outage())))]);
    harness.pass(60);
    harness.answer(obtained("a1", Some("r1")));
    assert_eq!(harness.state(), SessionState::Active);
}

#[test]
fn a_code_is_taken_once() {
    let mut harness = waiting_for_browser();
    comes_back(&mut harness, "?code=c1&state=s1&iss=https%3A%2F%2Fid.example", 2);
    comes_back(&mut harness, "?code=c2&state=s1&iss=https%3A%2F%2Fid.example", 3);
    assert_eq!(harness.asked.len(), 1);
    assert_eq!(harness.replies, [(Ticket(3), Err(CommandError::NotOurRedirection))]);
}

#[test]
fn a_users_no_by_the_browser_ends_the_sign_in() {
    let mut harness = waiting_for_browser();
    comes_back(&mut harness, "?error=access_denied&state=s1&iss=https%3A%2F%2Fid.example", 2);
    assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(FaultCode::AccessDenied)));
    assert!(matches!(harness.replies[..], [(Ticket(2), Err(CommandError::Failed(_)))]));
}

#[test]
fn a_network_that_fails_between_code_and_tokens_is_tried_again() {
    let mut harness = waiting_for_browser();
    comes_back(&mut harness, "?code=c1&state=s1&iss=https%3A%2F%2Fid.example", 2);
    harness.answer(ProviderAnswer::Granted(Err(outage())));
    assert_eq!((harness.state(), harness.error()), (SessionState::AwaitingUser, Some(FaultCode::ProviderUnreachable)));
    assert!(harness.session.is_busy(), "a reload must not take the code");
    harness.pass(3);
    harness.answer(obtained("a1", Some("r1")));
    assert_eq!((harness.state(), harness.error()), (SessionState::Active, None));
    assert_eq!(harness.replies, [(Ticket(2), Ok(()))]);
}

#[test]
fn an_address_that_nobody_opens_expires_and_one_that_waits_survives_a_restart() {
    let mut harness = waiting_for_browser();
    let later = Now { boot: BootTime::new(Duration::from_secs(9)), wall: harness.now.wall + Duration::from_secs(60) };
    let mut restarted = Harness::new(restored(harness.disk.clone(), later), later);
    assert!(restarted.session.awaits_state("s1"));
    comes_back(&mut restarted, "?code=c1&state=s1&iss=https%3A%2F%2Fid.example", 2);
    restarted.answer(obtained("a1", None));
    assert_eq!(restarted.state(), SessionState::Active);

    harness.pass(899);
    assert_eq!(harness.state(), SessionState::AwaitingUser);
    harness.pass(1);
    assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(FaultCode::CodeExpired)));
}

#[test]
fn what_begins_by_itself_waits_its_turn_at_a_start_unless_somebody_asks() {
    for rules in [under(Acquisition::Unattended), import("f1"), Rules { offer: true, ..rules() }] {
        let start = || Harness::new(restored_under(rules.clone(), Record::default(), START), START);
        let mut harness = start();
        harness.tell(Event::Command(Command::Cancel, Ticket(1)));
        harness.pass(4);
        assert!(harness.asked.is_empty(), "{rules:?}");
        harness.pass(1);
        assert_eq!(harness.asked.len(), 1, "{rules:?}");
        let mut harness = start();
        harness.tell(Event::Command(Command::Login, Ticket(2)));
        assert_eq!(harness.asked.len(), 1, "{rules:?}");
        harness.pass(10);
        assert_eq!(harness.asked.len(), 1, "{rules:?}");
    }
}

#[test]
fn an_account_that_needs_no_user_signs_in_by_itself_and_again_before_the_token_ends() {
    let mut harness = unattended();
    assert!(matches!(harness.asked[0].1, ProviderRequest::Obtain));
    assert_eq!((harness.state(), harness.status().needs_user), (SessionState::SignedOut, false));
    harness.answer(obtained("a1", None));
    assert_eq!((harness.state(), harness.token().as_deref()), (SessionState::Active, Some("a1")));
    harness.pass(2_700);
    assert!(matches!(harness.asked[0].1, ProviderRequest::Obtain));
    harness.answer(ProviderAnswer::Granted(Err(outage())));
    harness.pass(900);
    assert_eq!((harness.state(), harness.status().needs_user), (SessionState::Expired, false));
    harness.answer(obtained("a2", None));
    assert_eq!(harness.token().as_deref(), Some("a2"));
}

#[test]
fn an_outage_at_the_first_sign_in_is_waited_out() {
    let mut harness = unattended();
    for _ in 0..10 {
        harness.answer(ProviderAnswer::Granted(Err(outage())));
        assert_eq!((harness.error(), harness.status().needs_user), (Some(FaultCode::ProviderUnreachable), false));
        harness.pass(300);
        assert_eq!(harness.asked.len(), 1);
    }
    harness.answer(obtained("a1", None));
    assert_eq!((harness.state(), harness.error()), (SessionState::Active, None));
}

#[test]
fn a_wrong_password_is_not_tried_again_before_somebody_has_changed_something() {
    let mut harness = unattended();
    harness.answer(ProviderAnswer::Granted(Err(wrong_password())));
    assert_eq!((harness.error(), harness.status().needs_user), (Some(FaultCode::InvalidGrant), true));
    harness.pass(1_000_000);
    assert!(harness.asked.is_empty());
    harness.tell(Event::Reconfigured);
    harness.answer(obtained("a1", None));
    assert_eq!(harness.state(), SessionState::Active);
}

#[test]
fn an_account_without_a_user_is_told_what_it_can_change_and_not_to_sign_in_again() {
    let mut machine = unattended();
    machine.answer(obtained("a1", None));
    machine.pass(2_700);
    machine.answer(ProviderAnswer::Granted(Err(wrong_password())));
    machine.pass(1_000);
    let mut imported = started(import("f1"), &Record::default(), START);
    imported.answer(obtained("a1", Some("r1")));
    imported.pass(2_700);
    imported.answer(ProviderAnswer::Refresh(Err(wrong_password())));
    for (harness, wanted) in [(machine, "key, subject or password"), (imported, "refresh_token_file")] {
        let error = harness.status().error.unwrap();
        assert_eq!(error.code, FaultCode::InvalidGrant);
        assert!(error.message.contains(wanted) && !error.message.contains("Sign in"), "{}", error.message);
    }
}

#[test]
fn an_assertion_that_was_refused_while_the_clock_was_wrong_is_tried_again_once_it_is_set() {
    let mut harness = unattended();
    let refused = Fault::reconfigure(FaultCode::InvalidGrant, "Token must be a short-lived token.");
    harness.answer(ProviderAnswer::Granted(Err(refused)));
    harness.pass(60);
    assert!(harness.asked.is_empty());
    harness.now.wall = harness.now.wall + Duration::from_secs(100_000);
    harness.tell(Event::ClockSet);
    harness.pass(5);
    harness.answer(obtained("a1", None));
    assert_eq!(harness.state(), SessionState::Active);
}

#[test]
fn a_password_takes_the_place_of_a_refresh_token_that_is_no_longer_good() {
    let mut harness = unattended();
    harness.answer(obtained("a1", Some("r1")));
    harness.pass(2_700);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r1"));
    harness.answer(ProviderAnswer::Refresh(Err(Fault::ask_user(FaultCode::InvalidGrant, "Revoked."))));
    assert!(matches!(harness.asked[0].1, ProviderRequest::Obtain));
    assert_eq!(harness.token().as_deref(), Some("a1"));
    harness.answer(obtained("a2", Some("r2")));
    assert_eq!((harness.state(), harness.token().as_deref()), (SessionState::Active, Some("a2")));
    assert_eq!(harness.refresh_token_on_disk().as_deref(), Some("r2"));
}

#[test]
fn a_password_changed_at_the_provider_stops_the_account_until_the_configuration_has_it() {
    let mut harness = unattended();
    harness.answer(obtained("a1", None));
    harness.pass(2_700);
    harness.answer(ProviderAnswer::Granted(Err(wrong_password())));
    assert_eq!((harness.state(), harness.status().needs_user), (SessionState::SignedOut, true));
    harness.pass(100_000);
    assert!(harness.asked.is_empty());
    harness.tell(Event::Reconfigured);
    harness.answer(obtained("a2", None));
    assert_eq!((harness.state(), harness.error()), (SessionState::Active, None));
}

#[test]
fn signed_out_on_request_stays_signed_out_across_a_restart_until_asked() {
    let mut harness = unattended();
    harness.answer(obtained("a1", None));
    harness.tell(Event::Command(Command::Logout, Ticket(2)));
    harness.answer(ProviderAnswer::Revoked(Ok(())));
    harness.pass(10_000);
    assert!(harness.asked.is_empty());
    assert_eq!((harness.state(), harness.status().needs_user), (SessionState::SignedOut, true));
    let mut harness =
        Harness::new(restored_under(under(Acquisition::Unattended), harness.disk.clone(), harness.now), harness.now);
    harness.pass(10_000);
    assert!(harness.asked.is_empty());
    harness.tell(Event::Command(Command::Login, Ticket(3)));
    harness.answer(obtained("a2", None));
    assert_eq!(harness.replies, [(Ticket(3), Ok(()))]);
    assert!(!harness.disk.stopped);
}

#[test]
fn a_refresh_token_from_a_file_is_taken_in_once() {
    let mut harness = started(import("f1"), &Record::default(), START);
    assert!(matches!(harness.asked[0].1, ProviderRequest::Obtain));
    harness.answer(obtained("a1", Some("r2")));
    assert_eq!((harness.state(), harness.refresh_token_on_disk().as_deref()), (SessionState::Active, Some("r2")));
    let restart = |rules| started(rules, &harness.disk, harness.now);
    assert!(restart(import("f1")).asked.is_empty(), "the same file again");
    assert!(restart(under(Acquisition::Import(None))).asked.is_empty(), "or none");
    let mut another = restart(import("f2"));
    assert!(matches!(another.asked[0].1, ProviderRequest::Obtain));
    another.answer(obtained("b1", Some("s1")));
    assert_eq!(another.token().as_deref(), Some("b1"));
}

#[test]
fn a_refresh_token_from_a_file_that_is_not_good_is_not_sent_twice() {
    let mut harness = started(import("f1"), &Record::default(), START);
    harness.answer(ProviderAnswer::Granted(Err(Fault::ask_user(FaultCode::InvalidGrant, "Unknown."))));
    harness.pass(100_000);
    assert!(harness.asked.is_empty());
    assert_eq!((harness.error(), harness.status().needs_user), (Some(FaultCode::InvalidGrant), true));
    harness.tell(Event::Command(Command::Login, Ticket(1)));
    assert_eq!(harness.replies, [(Ticket(1), Err(CommandError::AlreadyImported))]);
    let restarted = started(import("f1"), &harness.disk, harness.now);
    assert!(restarted.asked.is_empty());
}

#[test]
fn a_request_that_the_provider_suddenly_finds_invalid_asks_for_the_user_and_is_still_tried() {
    for fault in [
        Fault::reconfigure(FaultCode::InvalidRequest, "Hm."),
        Fault::reconfigure(FaultCode::InteractionRequired, "Hm."),
        Fault::passing(FaultCode::ProviderRefused, "Hm."),
    ] {
        let mut harness = Harness::signed_in(3_600);
        harness.pass(2_700);
        harness.answer(ProviderAnswer::Refresh(Err(fault.clone())));
        assert_eq!((harness.state(), harness.status().needs_user), (SessionState::Active, false));
        for _ in 0..900 {
            harness.pass(1);
            if !harness.asked.is_empty() {
                harness.answer(ProviderAnswer::Refresh(Err(fault.clone())));
            }
        }
        assert_eq!((harness.state(), harness.status().needs_user), (SessionState::Expired, true));
        while harness.asked.is_empty() {
            harness.pass(1);
        }
        assert_eq!(harness.refreshes_with().as_deref(), Some("r1"), "the grant may be good after all");
        harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", None, 3_600))));
        assert_eq!((harness.state(), harness.error()), (SessionState::Active, None));
    }
}

#[test]
fn a_fixed_configuration_is_tried_at_once() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    harness.answer(ProviderAnswer::Refresh(Err(Fault::reconfigure(FaultCode::InvalidClient, "Who?"))));
    harness.tell(Event::Reconfigured);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r1"));
}
