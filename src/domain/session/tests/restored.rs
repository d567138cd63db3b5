//! What a session takes up from the store, and what it leaves there.

use super::*;

#[test]
fn tokens_of_another_client_are_kept_but_never_used() {
    let harness = Harness::signed_in(3_600);
    let other = ClientBinding::new(Fingerprint::of("issuer=https://evil.example client_id=c"));
    let session =
        Session::restore(other, rules(), 2, StoredRecord::Record(harness.disk.clone()), harness.now, Jitter::new(0.5));
    let mut harness = Harness::new(session, harness.now);
    assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(FaultCode::ClientChanged)));
    harness.pass(10_000);
    assert!(harness.asked.is_empty() && harness.token().is_none());
    harness.tell(Event::Command(Command::Login, Ticket(1)));
    harness.answer(device_code());
    assert_eq!(harness.refresh_token_on_disk().as_deref(), Some("r1"), "until others take their place");
}

#[test]
fn a_record_that_cannot_be_opened_is_not_overwritten_before_a_new_sign_in_succeeds() {
    for code in [FaultCode::RecordUnreadable, FaultCode::ClonedDevice] {
        let found = || StoredRecord::Unreadable(Fault::ask_user(code, "Another key, or another machine."));
        let session = Session::restore(client(), rules(), 1, found(), START, Jitter::new(0.5));
        assert!(matches!(session.into_found(), StoredRecord::Unreadable(_)), "for a session that takes its place");
        let session = Session::restore(client(), rules(), 1, found(), START, Jitter::new(0.5));
        let mut harness = Harness::new(session, START);
        harness.disk.signed_in = Harness::signed_in(3_600).disk.signed_in;
        assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(code)));
        harness.tell(Event::Command(Command::Login, Ticket(1)));
        harness.answer(device_code());
        assert_eq!(harness.refresh_token_on_disk().as_deref(), Some("r1"));
        harness.pass(5);
        harness.answer(approved("b1", Some("s1"), 3_600));
        assert_eq!(harness.refresh_token_on_disk().as_deref(), Some("s1"));
    }
}

#[test]
fn a_record_that_cannot_be_opened_says_what_to_do_by_where_the_sign_ins_come_from() {
    for (acquisition, step) in [
        (Acquisition::User, "sign in again."),
        (Acquisition::Import(None), "another refresh token into refresh_token_file and reload."),
        (Acquisition::Unattended, "the agent signs in by itself."),
    ] {
        let found = StoredRecord::Unreadable(Fault::ask_user(FaultCode::RecordUnreadable, "Another key."));
        let rules = Rules { acquisition, ..rules() };
        let session = Session::restore(client(), rules, 1, found, START, Jitter::new(0.5));
        let message = session.status(START).error.unwrap().message;
        assert!(message.ends_with(step), "{message}");
    }
}

#[test]
fn a_pending_sign_in_survives_a_restart() {
    let harness = Harness::waiting_for_user();
    let later = Now { boot: BootTime::new(Duration::from_secs(30)), wall: harness.now.wall + Duration::from_secs(100) };
    let mut harness = Harness::new(restored(harness.disk.clone(), later), later);
    assert_eq!(harness.state(), SessionState::AwaitingUser);
    harness.pass(4);
    assert!(harness.asked.is_empty());
    harness.pass(1);
    harness.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!(harness.state(), SessionState::Active);
}

#[test]
fn invalid_grant_asks_for_the_user_and_keeps_the_tokens_across_a_restart() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    harness.answer(ProviderAnswer::Refresh(Err(Fault::ask_user(FaultCode::InvalidGrant, "Revoked."))));
    assert_eq!((harness.state(), harness.status().needs_user), (SessionState::SignedOut, true));
    assert_eq!((harness.error(), harness.token()), (Some(FaultCode::InvalidGrant), None));
    assert_eq!(harness.refresh_token_on_disk().as_deref(), Some("r1"));
    let mut harness = Harness::new(restored(harness.disk.clone(), harness.now), harness.now);
    harness.pass(100_000);
    assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(FaultCode::InvalidGrant)));
    assert!(harness.asked.is_empty(), "a refused token is not tried again");
}

#[test]
fn a_signed_in_account_is_there_at_once_after_a_restart() {
    let harness = Harness::signed_in(3_600);
    let later = Now { boot: BootTime::new(Duration::from_secs(9)), wall: harness.now.wall + Duration::from_secs(600) };
    let harness = Harness::new(restored(harness.disk.clone(), later), later);
    assert_eq!(harness.published, [Topic::Token, Topic::Status, Topic::SignIn]);
    assert_eq!(harness.token().as_deref(), Some("a1"));
    assert!(harness.asked.is_empty());
}

#[test]
fn a_declared_account_never_takes_over_the_sign_in_or_the_code_of_one_of_the_file() {
    let declared = || client().declared(Declared::Mqtt);
    let taken_up = |by: ClientBinding, disk: &Record, now: Now| {
        let session = Session::restore(by, rules(), 2, StoredRecord::Record(disk.clone()), now, Jitter::new(0.5));
        Harness::new(session, now)
    };
    let waiting = Harness::waiting_for_user();
    assert_eq!(taken_up(declared(), &waiting.disk, waiting.now).state(), SessionState::SignedOut);
    let signed_in = Harness::signed_in(3_600);
    let mut harness = taken_up(declared(), &signed_in.disk, signed_in.now);
    assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(FaultCode::ClientChanged)));
    harness.pass(10_000);
    assert!(harness.asked.is_empty() && harness.token().is_none());
    assert_eq!(taken_up(client(), &signed_in.disk, signed_in.now).state(), SessionState::Active, "back in the file");

    // What was declared can be written into the file, and is the file's from then on.
    harness.tell(Event::Command(Command::Login, Ticket(1)));
    harness.answer(device_code());
    harness.pass(5);
    harness.answer(approved("a2", Some("r2"), 3_600));
    let mut harness = taken_up(client(), &harness.disk, harness.now);
    assert_eq!(harness.state(), SessionState::Active);
    harness.tell(Event::ClockSet);
    assert_eq!(taken_up(declared(), &harness.disk, harness.now).state(), SessionState::SignedOut);
}
