//! What a clock that is wrong, and then set, does to a sign-in.

use super::*;

#[test]
fn a_boot_with_the_clock_in_1970_shows_no_token_and_gets_a_new_one() {
    let play = Play::signed_in(3_600);
    let wrong = Now { boot: BootTime::new(Duration::from_secs(9)), wall: UnixTime::new(9) };
    let mut play = Play::new(restored(play.disk.clone(), wrong), wrong);
    assert_eq!((play.state(), play.token()), (SessionState::Expired, None));
    play.pass(5);
    assert_eq!(play.refreshes_with().as_deref(), Some("r1"));
    play.answer(Answer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    assert_eq!(play.state(), SessionState::Active);
    play.now.wall = UnixTime::new(1_800_003_600);
    play.tell(Event::ClockSet);
    let expires_at = play.session.token(play.now).unwrap().expires_at;
    assert_eq!(expires_at, Some(UnixTime::new(1_800_003_600 + 3_600)));
}

#[test]
fn a_clock_that_is_set_does_not_move_a_refresh_that_was_counted() {
    let mut play = Play::signed_in(3_600);
    let due = play.session.next_wake().unwrap();
    play.now.wall = play.now.wall + Duration::from_secs(86_400);
    play.session.handle(Event::ClockSet, play.now, Chance::new(0.0));
    assert_eq!(play.status().next_refresh_at, Some(play.now.wall_at(due)));
}

#[test]
fn what_failed_by_the_clock_is_tried_again_once_it_is_set() {
    for code in [FaultCode::TlsFailed, FaultCode::InvalidClient] {
        let mut play = Play::signed_in(3_600);
        play.pass(2_700);
        play.answer(Answer::Refresh(Err(Fault::reconfigure(code, "By the clock."))));
        play.now.wall = play.now.wall + Duration::from_secs(86_400);
        play.tell(Event::ClockSet);
        let error = play.status().error.unwrap();
        assert_eq!((error.since, error.retry_at), (play.now.wall, play.status().next_refresh_at));
        play.pass(3);
        assert_eq!(play.refreshes_with().as_deref(), Some("r1"), "{code}");
    }
}

#[test]
fn what_failed_by_a_certificate_is_tried_again_when_files_are_read_again_and_nothing_else_is() {
    for (code, is_tried) in [(FaultCode::TlsFailed, true), (FaultCode::InvalidClient, false)] {
        let mut play = Play::signed_in(3_600);
        play.pass(2_700);
        play.answer(Answer::Refresh(Err(Fault::reconfigure(code, "By a file."))));
        play.tell(Event::FilesReadAgain);
        play.pass(3);
        assert_eq!(!play.asked.is_empty(), is_tried, "{code}");
    }
}

#[test]
fn a_clock_that_is_set_while_the_disk_fails_takes_no_token_away() {
    let mut play = Play::signed_in(3_600);
    play.saves = false;
    play.tell(Event::ClockSet);
    let revision = play.unsaved.remove(0);
    play.tell(Event::Stored(revision, Err(Fault::passing(FaultCode::StoreFailed, "No room."))));
    assert_eq!((play.state(), play.token().as_deref()), (SessionState::Active, Some("a1")));
}

#[test]
fn so_is_what_kept_a_sign_in_from_beginning() {
    let mut play = Play::offering();
    play.answer(Answer::Authorization(Err(Fault::passing(FaultCode::TlsFailed, "Not yet valid."))));
    for _ in 0..9 {
        play.pass(1_000);
        play.answer(Answer::Authorization(Err(Fault::passing(FaultCode::TlsFailed, "Not yet valid."))));
    }
    play.tell(Event::ClockSet);
    play.pass(3);
    assert!(matches!(play.asked[..], [(_, Question::Authorize)]));
}
