//! Signing out, and the end of the process, while something is under way.

use super::*;

impl Harness {
    /// The tokens that the provider is asked to revoke, of the newest question.
    fn revokes(&self) -> Option<(Option<String>, String)> {
        match &self.asked.last()?.1 {
            ProviderRequest::Revoke { refresh_token, access_tokens } => {
                let shown = |token: &Secret| token.expose().to_owned();
                Some((refresh_token.as_ref().map(shown), shown(&access_tokens[0])))
            }
            _ => None,
        }
    }
}

#[test]
fn a_refresh_that_is_answered_after_a_sign_out_leaves_no_token_behind() {
    for revoked_first in [true, false] {
        let mut harness = Harness::signed_in(3_600);
        harness.pass(2_700);
        let (refresh, _) = harness.asked.remove(0);
        harness.tell(Event::Command(Command::Logout, Ticket(1)));
        assert_eq!(harness.revokes(), Some((Some("r1".to_owned()), "a1".to_owned())));
        if revoked_first {
            harness.answer(ProviderAnswer::Revoked(Ok(())));
        }
        harness.tell(Event::Answered(refresh, ProviderAnswer::Refresh(Ok(tokens("a2", Some("r2"), 3_600)))));
        assert_eq!(harness.revokes(), Some((Some("r2".to_owned()), "a2".to_owned())));
        assert_eq!((harness.token(), harness.refresh_token_on_disk().filter(|_| revoked_first)), (None, None));
    }
}

#[test]
fn an_approval_that_comes_after_a_sign_out_leaves_no_token_behind() {
    let mut harness = Harness::waiting_for_user();
    harness.pass(5);
    let (poll, _) = harness.asked.remove(0);
    harness.tell(Event::Command(Command::Cancel, Ticket(2)));
    harness.tell(Event::Answered(poll, approved("a1", Some("r1"), 3_600)));
    assert_eq!(harness.revokes(), Some((Some("r1".to_owned()), "a1".to_owned())));
    assert_eq!(harness.state(), SessionState::SignedOut);
}

#[test]
fn a_late_answer_of_another_sign_in_does_not_end_the_one_that_is_held() {
    let mut harness = Harness::signed_in(3_600);
    harness.tell(Event::Command(Command::Login, Ticket(1)));
    harness.answer(device_code());
    harness.pass(5);
    let (poll, _) = harness.asked.remove(0);
    harness.tell(Event::Command(Command::Cancel, Ticket(2)));
    harness.tell(Event::Answered(poll, approved("b1", Some("s1"), 3_600)));
    assert!(harness.asked.is_empty());
    assert_eq!(harness.token().as_deref(), Some("a1"));
}

#[test]
fn tokens_that_the_disk_refused_are_tried_once_more_before_the_process_ends() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    harness.saves = false;
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    let full = || Fault::passing(FaultCode::StoreFailed, "No room.");
    let revision = harness.unsaved.remove(0);
    harness.tell(Event::Stored(revision, Err(full())));
    assert!(harness.session.is_busy() && harness.unsaved.is_empty());
    harness.tell(Event::Stopping);
    assert_eq!(harness.unsaved.len(), 1);
    let revision = harness.unsaved.remove(0);
    harness.tell(Event::Stored(revision, Err(full())));
    assert!(!harness.session.is_busy() && !harness.session.is_safe(), "that was the last attempt");
}

#[test]
fn a_refresh_that_cannot_be_noted_on_disk_is_answered() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(100);
    harness.saves = false;
    harness.tell(Event::Command(Command::Refresh, Ticket(7)));
    assert!(harness.asked.is_empty() && harness.replies.is_empty());
    let full = Fault::passing(FaultCode::StoreFailed, "No room.");
    let revision = harness.unsaved.remove(0);
    harness.tell(Event::Stored(revision, Err(full.clone())));
    assert_eq!(harness.replies, [(Ticket(7), Err(CommandError::Failed(full)))]);
}

#[test]
fn a_request_that_comes_while_the_disk_fails_is_answered_at_once() {
    let full = Fault::passing(FaultCode::StoreFailed, "No room.");
    let failed = |ticket| (Ticket(ticket), Err(CommandError::Failed(full.clone())));
    let fails = |harness: &mut Harness| {
        let revision = harness.unsaved.remove(0);
        harness.tell(Event::Stored(revision, Err(full.clone())));
    };
    let mut harness = Harness::signed_in(3_600);
    harness.saves = false;
    harness.pass(100);
    harness.tell(Event::Command(Command::Refresh, Ticket(7)));
    fails(&mut harness);
    harness.tell(Event::Command(Command::Refresh, Ticket(8)));
    assert_eq!(harness.replies, [failed(7), failed(8)]);

    let mut harness = Harness::signed_out();
    harness.saves = false;
    harness.tell(Event::Command(Command::Login, Ticket(1)));
    harness.answer(device_code());
    fails(&mut harness);
    harness.tell(Event::Command(Command::Login, Ticket(2)));
    assert_eq!(harness.replies, [failed(1), failed(2)]);
}

#[test]
fn nothing_is_begun_while_the_process_ends() {
    let mut harness = Harness::offering();
    harness.tell(Event::Stopping);
    harness.answer(device_code());
    harness.pass(3_600);
    assert!(harness.asked.is_empty() && !harness.session.is_busy());
}
