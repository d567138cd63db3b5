//! What a clock that is wrong, and then set, does to a sign-in.

use super::*;

#[test]
fn a_boot_with_the_clock_in_1970_shows_no_token_and_gets_a_new_one() {
    let harness = Harness::signed_in(3_600);
    let wrong = Now { boot: BootTime::new(Duration::from_secs(9)), wall: UnixTime::new(9) };
    let mut harness = Harness::new(restored(harness.disk.clone(), wrong), wrong);
    assert_eq!((harness.state(), harness.token()), (SessionState::Expired, None));
    harness.pass(5);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r1"));
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    assert_eq!(harness.state(), SessionState::Active);
    harness.now.wall = UnixTime::new(1_800_003_600);
    harness.tell(Event::ClockSet);
    let expires_at = harness.session.token(harness.now).unwrap().expires_at;
    assert_eq!(expires_at, Some(UnixTime::new(1_800_003_600 + 3_600)));
}

#[test]
fn a_clock_that_is_set_does_not_move_a_refresh_that_was_counted() {
    let mut harness = Harness::signed_in(3_600);
    let due = harness.session.next_wake().unwrap();
    harness.now.wall = harness.now.wall + Duration::from_secs(86_400);
    harness.session.handle(Event::ClockSet, harness.now, Jitter::new(0.0));
    assert_eq!(harness.status().next_refresh_at, Some(harness.now.wall_at(due)));
}

#[test]
fn what_failed_by_the_clock_is_tried_again_once_it_is_set() {
    for code in [FaultCode::TlsFailed, FaultCode::InvalidClient] {
        let mut harness = Harness::signed_in(3_600);
        harness.pass(2_700);
        harness.answer(ProviderAnswer::Refresh(Err(Fault::reconfigure(code, "By the clock."))));
        harness.now.wall = harness.now.wall + Duration::from_secs(86_400);
        harness.tell(Event::ClockSet);
        let error = harness.status().error.unwrap();
        assert_eq!((error.since, error.retry_at), (harness.now.wall, harness.status().next_refresh_at));
        harness.pass(3);
        assert_eq!(harness.refreshes_with().as_deref(), Some("r1"), "{code}");
    }
}

#[test]
fn what_failed_by_a_certificate_is_tried_again_when_files_are_read_again_and_nothing_else_is() {
    for (code, is_tried) in [(FaultCode::TlsFailed, true), (FaultCode::InvalidClient, false)] {
        let mut harness = Harness::signed_in(3_600);
        harness.pass(2_700);
        harness.answer(ProviderAnswer::Refresh(Err(Fault::reconfigure(code, "By a file."))));
        harness.tell(Event::FilesReadAgain);
        harness.pass(3);
        assert_eq!(!harness.asked.is_empty(), is_tried, "{code}");
    }
}

#[test]
fn a_clock_that_is_set_while_the_disk_fails_takes_no_token_away() {
    let mut harness = Harness::signed_in(3_600);
    harness.saves = false;
    harness.tell(Event::ClockSet);
    let revision = harness.unsaved.remove(0);
    harness.tell(Event::Stored(revision, Err(Fault::passing(FaultCode::StoreFailed, "No room."))));
    assert_eq!((harness.state(), harness.token().as_deref()), (SessionState::Active, Some("a1")));
}

#[test]
fn so_is_what_kept_a_sign_in_from_beginning() {
    let mut harness = Harness::offering();
    harness.answer(ProviderAnswer::Authorization(Err(Fault::passing(FaultCode::TlsFailed, "Not yet valid."))));
    for _ in 0..9 {
        harness.pass(1_000);
        harness.answer(ProviderAnswer::Authorization(Err(Fault::passing(FaultCode::TlsFailed, "Not yet valid."))));
    }
    harness.tell(Event::ClockSet);
    harness.pass(3);
    assert!(matches!(harness.asked[..], [(_, ProviderRequest::Authorize)]));
}
