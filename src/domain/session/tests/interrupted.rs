//! A refresh whose answer never arrives.

use super::*;

fn note_on_disk(harness: &Harness) -> Option<UnixTime> {
    harness.disk.signed_in.as_ref().unwrap().refreshing_since
}

fn later(harness: &Harness, seconds: u64) -> Now {
    Now { boot: BootTime::new(Duration::from_secs(9)), wall: harness.now.wall + Duration::from_secs(seconds) }
}

fn invalid_grant() -> Fault {
    Fault::ask_user(FaultCode::InvalidGrant, "Used already.")
}

#[test]
fn a_refresh_goes_out_only_once_it_is_written_down() {
    let mut harness = Harness::signed_in(3_600);
    harness.saves = false;
    harness.pass(2_700);
    assert!(harness.asked.is_empty());
    assert_eq!(note_on_disk(&harness), Some(harness.now.wall));
    assert_eq!(harness.token().as_deref(), Some("a1"), "the old token is as good as before");
    harness.saves = true;
    harness.saved();
    assert_eq!(harness.refreshes_with().as_deref(), Some("r1"));
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    assert_eq!(note_on_disk(&harness), None);
}

#[test]
fn a_note_that_cannot_be_written_neither_withdraws_the_token_nor_uses_the_refresh_token() {
    let mut harness = Harness::signed_in(3_600);
    harness.saves = false;
    harness.pass(2_700);
    let revision = harness.unsaved.remove(0);
    harness.tell(Event::Stored(revision, Err(Fault::passing(FaultCode::StoreFailed, "No space left."))));
    assert!(harness.asked.is_empty());
    assert_eq!((harness.state(), harness.error()), (SessionState::Active, Some(FaultCode::StoreFailed)));
    assert_eq!(harness.token().as_deref(), Some("a1"));
}

#[test]
fn after_a_cut_the_token_there_is_is_tried_within_seconds_and_a_provider_with_a_grace_period_answers() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    assert_eq!(harness.asked.len(), 1);
    let now = later(&harness, 5);
    let mut harness = Harness::new(restored(harness.disk.clone(), now), now);
    harness.pass(2);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r1"), "although the access token would be good for a while");
    assert_eq!(harness.token().as_deref(), Some("a1"));
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    assert_eq!((harness.state(), harness.error()), (SessionState::Active, None));
    assert_eq!(note_on_disk(&harness), None);
}

#[test]
fn after_a_cut_a_provider_without_a_grace_period_costs_the_sign_in_and_it_is_said_why() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    let now = later(&harness, 5);
    let mut harness = Harness::new(restored(harness.disk.clone(), now), now);
    harness.pass(2);
    harness.answer(ProviderAnswer::Refresh(Err(invalid_grant())));
    assert_eq!((harness.state(), harness.status().needs_user), (SessionState::SignedOut, true));
    let error = harness.status().error.unwrap();
    assert_eq!(error.code, FaultCode::RefreshInterrupted);
    assert!(error.message.starts_with("A refresh that was begun 8 s ago was cut off"), "{}", error.message);
    assert!(error.message.contains("Used already."), "{}", error.message);
    // It is said after the next restart as well.
    let harness = Harness::new(restored(harness.disk.clone(), now), now);
    assert_eq!(harness.error(), Some(FaultCode::RefreshInterrupted));
}

#[test]
fn a_lost_answer_is_told_from_a_grant_that_was_revoked() {
    for (fault, code) in [(outage(), FaultCode::InvalidGrant), (outage().in_doubt(), FaultCode::RefreshInterrupted)] {
        let mut harness = Harness::signed_in(3_600);
        harness.pass(2_700);
        harness.answer(ProviderAnswer::Refresh(Err(fault)));
        harness.pass(30);
        harness.answer(ProviderAnswer::Refresh(Err(invalid_grant())));
        assert_eq!(harness.error(), Some(code));
    }
}

/// What Azure AD B2C answers where a scope is missing, and any other may by mistake.
fn rotated() -> ProviderAnswer {
    let fault = Fault::passing(FaultCode::AnswerMalformed, "There is no access_token.");
    ProviderAnswer::Rotated(Secret::new("r2".to_owned()), fault)
}

#[test]
fn a_refresh_token_that_comes_without_an_access_token_is_on_the_disk_before_it_is_used() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    harness.saves = false;
    harness.answer(rotated());
    assert_eq!((harness.refresh_token_on_disk().as_deref(), note_on_disk(&harness)), (Some("r2"), None));
    assert_eq!((harness.state(), harness.error()), (SessionState::Active, Some(FaultCode::AnswerMalformed)));
    assert_eq!(harness.token().as_deref(), Some("a1"), "it is as good as before");
    harness.pass(600);
    assert!(harness.asked.is_empty(), "not before it is safe");
    harness.saves = true;
    harness.saved();
    assert_eq!(harness.refreshes_with().as_deref(), Some("r2"));
    // After a power cut it is the one that is taken.
    let now = later(&harness, 5);
    let mut harness = Harness::new(restored(harness.disk.clone(), now), now);
    harness.pass(2);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r2"));
}

#[test]
fn a_refresh_token_that_comes_without_an_access_token_after_a_sign_out_is_revoked() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    let (refresh, _) = harness.asked.remove(0);
    harness.tell(Event::Command(Command::Logout, Ticket(1)));
    harness.asked.clear();
    harness.tell(Event::Answered(refresh, rotated()));
    let Some((_, ProviderRequest::Revoke { refresh_token, access_tokens })) = harness.asked.pop() else {
        panic!("{:?}", harness.asked)
    };
    assert_eq!((refresh_token.as_ref().map(Secret::expose), access_tokens.len()), (Some("r2"), 0));
}

#[test]
fn retries_write_nothing() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    harness.saves = false;
    for _ in 0..20 {
        harness.answer(ProviderAnswer::Refresh(Err(outage())));
        harness.pass(24 * 60);
        assert_eq!((harness.asked.len(), harness.unsaved.len()), (1, 0));
    }
}

#[test]
fn a_clock_that_is_set_right_after_the_start_does_not_put_that_off() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    let now = later(&harness, 5);
    let mut harness = Harness::new(restored(harness.disk.clone(), now), now);
    harness.now.wall = harness.now.wall + Duration::from_secs(10);
    harness.tell(Event::ClockSet);
    harness.pass(2);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r1"));
}

#[test]
fn a_refresh_that_was_cut_off_long_ago_is_in_no_hurry() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    let now = later(&harness, 600);
    let mut harness = Harness::new(restored(harness.disk.clone(), now), now);
    harness.pass(30);
    assert!(harness.asked.is_empty(), "no provider takes the token a second time after ten minutes");
    harness.pass(240);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r1"));
}
