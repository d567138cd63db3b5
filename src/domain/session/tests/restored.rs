//! What a session takes up from the store, and what it leaves there.

use super::*;

#[test]
fn tokens_of_another_client_are_kept_but_never_used() {
    let play = Play::signed_in(3_600);
    let other = ClientBinding::new(Fingerprint::of("issuer=https://evil.example client_id=c"));
    let session = Session::restore(other, rules(), 2, Found::Record(play.disk.clone()), play.now, Chance::new(0.5));
    let mut play = Play::new(session, play.now);
    assert_eq!((play.state(), play.error()), (SessionState::SignedOut, Some(FaultCode::ClientChanged)));
    play.pass(10_000);
    assert!(play.asked.is_empty() && play.token().is_none());
    play.tell(Event::Command(Command::Login, Ticket(1)));
    play.answer(device_code());
    assert_eq!(play.refresh_token_on_disk().as_deref(), Some("r1"), "until others take their place");
}

#[test]
fn a_record_that_cannot_be_opened_is_not_overwritten_before_a_new_sign_in_succeeds() {
    for code in [FaultCode::RecordUnreadable, FaultCode::ClonedDevice] {
        let found = || Found::Unreadable(Fault::ask_user(code, "Another key, or another machine."));
        let session = Session::restore(client(), rules(), 1, found(), START, Chance::new(0.5));
        assert!(matches!(session.into_found(), Found::Unreadable(_)), "for a session that takes its place");
        let session = Session::restore(client(), rules(), 1, found(), START, Chance::new(0.5));
        let mut play = Play::new(session, START);
        play.disk.signed_in = Play::signed_in(3_600).disk.signed_in;
        assert_eq!((play.state(), play.error()), (SessionState::SignedOut, Some(code)));
        play.tell(Event::Command(Command::Login, Ticket(1)));
        play.answer(device_code());
        assert_eq!(play.refresh_token_on_disk().as_deref(), Some("r1"));
        play.pass(5);
        play.answer(approved("b1", Some("s1"), 3_600));
        assert_eq!(play.refresh_token_on_disk().as_deref(), Some("s1"));
    }
}

#[test]
fn a_pending_sign_in_survives_a_restart() {
    let play = Play::waiting_for_user();
    let later = Now { boot: BootTime::new(Duration::from_secs(30)), wall: play.now.wall + Duration::from_secs(100) };
    let mut play = Play::new(restored(play.disk.clone(), later), later);
    assert_eq!(play.state(), SessionState::AwaitingUser);
    play.pass(4);
    assert!(play.asked.is_empty());
    play.pass(1);
    play.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!(play.state(), SessionState::Active);
}

#[test]
fn invalid_grant_asks_for_the_user_and_keeps_the_tokens_across_a_restart() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    play.answer(Answer::Refresh(Err(Fault::ask_user(FaultCode::InvalidGrant, "Revoked."))));
    assert_eq!((play.state(), play.status().needs_user), (SessionState::SignedOut, true));
    assert_eq!((play.error(), play.token()), (Some(FaultCode::InvalidGrant), None));
    assert_eq!(play.refresh_token_on_disk().as_deref(), Some("r1"));
    let mut play = Play::new(restored(play.disk.clone(), play.now), play.now);
    play.pass(100_000);
    assert_eq!((play.state(), play.error()), (SessionState::SignedOut, Some(FaultCode::InvalidGrant)));
    assert!(play.asked.is_empty(), "a refused token is not tried again");
}

#[test]
fn a_signed_in_account_is_there_at_once_after_a_restart() {
    let play = Play::signed_in(3_600);
    let later = Now { boot: BootTime::new(Duration::from_secs(9)), wall: play.now.wall + Duration::from_secs(600) };
    let play = Play::new(restored(play.disk.clone(), later), later);
    assert_eq!(play.published, [Topic::Token, Topic::Status, Topic::SignIn]);
    assert_eq!(play.token().as_deref(), Some("a1"));
    assert!(play.asked.is_empty());
}

#[test]
fn a_declared_account_never_takes_over_the_sign_in_or_the_code_of_one_of_the_file() {
    let declared = || client().declared(Declared::Mqtt);
    let taken_up = |by: ClientBinding, disk: &Record, now: Now| {
        let session = Session::restore(by, rules(), 2, Found::Record(disk.clone()), now, Chance::new(0.5));
        Play::new(session, now)
    };
    let waiting = Play::waiting_for_user();
    assert_eq!(taken_up(declared(), &waiting.disk, waiting.now).state(), SessionState::SignedOut);
    let signed_in = Play::signed_in(3_600);
    let mut play = taken_up(declared(), &signed_in.disk, signed_in.now);
    assert_eq!((play.state(), play.error()), (SessionState::SignedOut, Some(FaultCode::ClientChanged)));
    play.pass(10_000);
    assert!(play.asked.is_empty() && play.token().is_none());
    assert_eq!(taken_up(client(), &signed_in.disk, signed_in.now).state(), SessionState::Active, "back in the file");

    // What was declared can be written into the file, and is the file's from then on.
    play.tell(Event::Command(Command::Login, Ticket(1)));
    play.answer(device_code());
    play.pass(5);
    play.answer(approved("a2", Some("r2"), 3_600));
    let mut play = taken_up(client(), &play.disk, play.now);
    assert_eq!(play.state(), SessionState::Active);
    play.tell(Event::ClockSet);
    assert_eq!(taken_up(declared(), &play.disk, play.now).state(), SessionState::SignedOut);
}
