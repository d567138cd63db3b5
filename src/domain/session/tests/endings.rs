//! Signing out, and the end of the process, while something is under way.

use super::*;

impl Play {
    /// The tokens that the provider is asked to revoke, of the newest question.
    fn revokes(&self) -> Option<(Option<String>, String)> {
        match &self.asked.last()?.1 {
            Question::Revoke { refresh_token, access_token } => {
                let shown = |token: &Secret| token.expose().to_owned();
                Some((refresh_token.as_ref().map(shown), shown(access_token)))
            }
            _ => None,
        }
    }
}

#[test]
fn a_refresh_that_is_answered_after_a_sign_out_leaves_no_token_behind() {
    for revoked_first in [true, false] {
        let mut play = Play::signed_in(3_600);
        play.pass(2_700);
        let (refresh, _) = play.asked.remove(0);
        play.tell(Event::Command(Command::Logout, Ticket(1)));
        assert_eq!(play.revokes(), Some((Some("r1".to_owned()), "a1".to_owned())));
        if revoked_first {
            play.answer(Answer::Revoked(Ok(())));
        }
        play.tell(Event::Answered(refresh, Answer::Refresh(Ok(tokens("a2", Some("r2"), 3_600)))));
        assert_eq!(play.revokes(), Some((Some("r2".to_owned()), "a2".to_owned())));
        assert_eq!((play.token(), play.refresh_token_on_disk().filter(|_| revoked_first)), (None, None));
    }
}

#[test]
fn an_approval_that_comes_after_a_sign_out_leaves_no_token_behind() {
    let mut play = Play::waiting_for_user();
    play.pass(5);
    let (poll, _) = play.asked.remove(0);
    play.tell(Event::Command(Command::Cancel, Ticket(2)));
    play.tell(Event::Answered(poll, approved("a1", Some("r1"), 3_600)));
    assert_eq!(play.revokes(), Some((Some("r1".to_owned()), "a1".to_owned())));
    assert_eq!(play.state(), SessionState::SignedOut);
}

#[test]
fn a_late_answer_of_another_sign_in_does_not_end_the_one_that_is_held() {
    let mut play = Play::signed_in(3_600);
    play.tell(Event::Command(Command::Login, Ticket(1)));
    play.answer(device_code());
    play.pass(5);
    let (poll, _) = play.asked.remove(0);
    play.tell(Event::Command(Command::Cancel, Ticket(2)));
    play.tell(Event::Answered(poll, approved("b1", Some("s1"), 3_600)));
    assert!(play.asked.is_empty());
    assert_eq!(play.token().as_deref(), Some("a1"));
}

#[test]
fn tokens_that_the_disk_refused_are_tried_once_more_before_the_process_ends() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    play.saves = false;
    play.answer(Answer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    let full = || Fault::passing(FaultCode::StoreFailed, "No room.");
    let revision = play.unsaved.remove(0);
    play.tell(Event::Stored(revision, Err(full())));
    assert!(play.session.is_busy() && play.unsaved.is_empty());
    play.tell(Event::Stopping);
    assert_eq!(play.unsaved.len(), 1);
    let revision = play.unsaved.remove(0);
    play.tell(Event::Stored(revision, Err(full())));
    assert!(!play.session.is_busy() && !play.session.is_safe(), "that was the last attempt");
}

#[test]
fn a_refresh_that_cannot_be_noted_on_disk_is_answered() {
    let mut play = Play::signed_in(3_600);
    play.pass(100);
    play.saves = false;
    play.tell(Event::Command(Command::Refresh, Ticket(7)));
    assert!(play.asked.is_empty() && play.replies.is_empty());
    let full = Fault::passing(FaultCode::StoreFailed, "No room.");
    let revision = play.unsaved.remove(0);
    play.tell(Event::Stored(revision, Err(full.clone())));
    assert_eq!(play.replies, [(Ticket(7), Err(Refused::Failed(full)))]);
}

#[test]
fn nothing_is_begun_while_the_process_ends() {
    let mut play = Play::offering();
    play.tell(Event::Stopping);
    play.answer(device_code());
    play.pass(3_600);
    assert!(play.asked.is_empty() && !play.session.is_busy());
}
