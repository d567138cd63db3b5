//! A refresh whose answer never arrives.

use super::*;

fn note_on_disk(play: &Play) -> Option<UnixTime> {
    play.disk.signed_in.as_ref().unwrap().refreshing_since
}

fn later(play: &Play, seconds: u64) -> Now {
    Now { boot: BootTime::new(Duration::from_secs(9)), wall: play.now.wall + Duration::from_secs(seconds) }
}

fn invalid_grant() -> Fault {
    Fault::ask_user(FaultCode::InvalidGrant, "Used already.")
}

#[test]
fn a_refresh_goes_out_only_once_it_is_written_down() {
    let mut play = Play::signed_in(3_600);
    play.saves = false;
    play.pass(2_700);
    assert!(play.asked.is_empty());
    assert_eq!(note_on_disk(&play), Some(play.now.wall));
    assert_eq!(play.token().as_deref(), Some("a1"), "the old token is as good as before");
    play.saves = true;
    play.saved();
    assert_eq!(play.refreshes_with().as_deref(), Some("r1"));
    play.answer(Answer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    assert_eq!(note_on_disk(&play), None);
}

#[test]
fn a_note_that_cannot_be_written_neither_withdraws_the_token_nor_uses_the_refresh_token() {
    let mut play = Play::signed_in(3_600);
    play.saves = false;
    play.pass(2_700);
    let revision = play.unsaved.remove(0);
    play.tell(Event::Stored(revision, Err(Fault::passing(FaultCode::StoreFailed, "No space left."))));
    assert!(play.asked.is_empty());
    assert_eq!((play.state(), play.error()), (SessionState::Active, Some(FaultCode::StoreFailed)));
    assert_eq!(play.token().as_deref(), Some("a1"));
}

#[test]
fn after_a_cut_the_token_there_is_is_tried_within_seconds_and_a_provider_with_a_grace_period_answers() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    assert_eq!(play.asked.len(), 1);
    let now = later(&play, 5);
    let mut play = Play::new(restored(play.disk.clone(), now), now);
    play.pass(2);
    assert_eq!(play.refreshes_with().as_deref(), Some("r1"), "although the access token would be good for a while");
    assert_eq!(play.token().as_deref(), Some("a1"));
    play.answer(Answer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    assert_eq!((play.state(), play.error()), (SessionState::Active, None));
    assert_eq!(note_on_disk(&play), None);
}

#[test]
fn after_a_cut_a_provider_without_a_grace_period_costs_the_sign_in_and_it_is_said_why() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    let now = later(&play, 5);
    let mut play = Play::new(restored(play.disk.clone(), now), now);
    play.pass(2);
    play.answer(Answer::Refresh(Err(invalid_grant())));
    assert_eq!((play.state(), play.status().needs_user), (SessionState::SignedOut, true));
    let error = play.status().error.unwrap();
    assert_eq!(error.code, FaultCode::RefreshInterrupted);
    assert!(error.message.starts_with("A refresh that was begun 8 s ago was cut off"), "{}", error.message);
    assert!(error.message.contains("Used already."), "{}", error.message);
    // It is said after the next restart as well.
    let play = Play::new(restored(play.disk.clone(), now), now);
    assert_eq!(play.error(), Some(FaultCode::RefreshInterrupted));
}

#[test]
fn a_lost_answer_is_told_from_a_grant_that_was_revoked() {
    for (fault, code) in [(outage(), FaultCode::InvalidGrant), (outage().in_doubt(), FaultCode::RefreshInterrupted)] {
        let mut play = Play::signed_in(3_600);
        play.pass(2_700);
        play.answer(Answer::Refresh(Err(fault)));
        play.pass(30);
        play.answer(Answer::Refresh(Err(invalid_grant())));
        assert_eq!(play.error(), Some(code));
    }
}

#[test]
fn retries_write_nothing() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    play.saves = false;
    for _ in 0..20 {
        play.answer(Answer::Refresh(Err(outage())));
        play.pass(24 * 60);
        assert_eq!((play.asked.len(), play.unsaved.len()), (1, 0));
    }
}

#[test]
fn a_clock_that_is_set_right_after_the_start_does_not_put_that_off() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    let now = later(&play, 5);
    let mut play = Play::new(restored(play.disk.clone(), now), now);
    play.now.wall = play.now.wall + Duration::from_secs(10);
    play.tell(Event::ClockSet);
    play.pass(2);
    assert_eq!(play.refreshes_with().as_deref(), Some("r1"));
}

#[test]
fn a_refresh_that_was_cut_off_long_ago_is_in_no_hurry() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    let now = later(&play, 600);
    let mut play = Play::new(restored(play.disk.clone(), now), now);
    play.pass(30);
    assert!(play.asked.is_empty(), "no provider takes the token a second time after ten minutes");
    play.pass(240);
    assert_eq!(play.refreshes_with().as_deref(), Some("r1"));
}
