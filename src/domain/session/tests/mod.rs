//! What a user relies on, played through in no time.

mod clock;
mod endings;
mod grants;
mod identity;
mod interrupted;
mod offers;
mod play;
mod restored;

use std::time::Duration;

use play::*;

use super::*;
use crate::domain::account::Declared;
use crate::domain::approval::{Approval, Authorization};
use crate::domain::clock::UnixTime;
use crate::domain::fault::FaultCode;
use crate::domain::record::SignedIn;
use crate::domain::secret::Secret;
use crate::domain::token::{PollAnswer, TokenAnswer};

#[test]
fn a_sign_in_goes_from_code_to_token() {
    let mut play = Play::signed_out();
    assert_eq!((play.state(), play.status().needs_user), (SessionState::SignedOut, true));
    play.tell(Event::Command(Command::Login, Ticket(1)));
    assert!(matches!(play.asked[0].1, Question::Authorize));
    play.answer(device_code());
    assert_eq!(play.replies, [(Ticket(1), Ok(()))]);
    assert_eq!(play.state(), SessionState::AwaitingUser);
    assert_eq!(play.session.pending().unwrap().user_code.as_deref(), Some("ABCD-EFGH"));
    play.pass(5);
    play.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!((play.state(), play.status().needs_user), (SessionState::Active, false));
    assert_eq!(play.token().as_deref(), Some("a1"));
    assert_eq!(play.status().scope.as_deref(), Some("openid email"));
    assert_eq!(play.session.pending(), None);
}

#[test]
fn polls_wait_an_interval_before_the_first_and_each_further_one() {
    let mut play = Play::waiting_for_user();
    play.pass(4);
    assert!(play.asked.is_empty());
    play.pass(1);
    play.answer(Answer::Poll(Ok(PollAnswer::Pending)));
    play.pass(4);
    assert!(play.asked.is_empty());
    play.pass(1);
    play.answer(Answer::Poll(Ok(PollAnswer::SlowDown { interval: None })));
    play.pass(9);
    assert!(play.asked.is_empty(), "slow_down adds five seconds");
    play.pass(1);
    play.answer(Answer::Poll(Ok(PollAnswer::Pending)));
    play.pass(9);
    assert!(play.asked.is_empty(), "and for good");
    play.pass(1);
    assert_eq!(play.asked.len(), 1);
    let Approval::Device(device) = &play.disk.pending.as_ref().unwrap().approval else { panic!("a device code") };
    assert_eq!(device.interval, Duration::from_secs(10));
}

#[test]
fn a_fault_of_the_network_does_not_end_a_sign_in() {
    let mut play = Play::waiting_for_user();
    for _ in 0..5 {
        play.pass(100);
        if !play.asked.is_empty() {
            play.answer(Answer::Poll(Err(outage())));
            assert_eq!(play.state(), SessionState::AwaitingUser);
            assert_eq!(play.error(), Some(FaultCode::ProviderUnreachable));
        }
    }
    play.pass(60);
    play.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!((play.state(), play.error()), (SessionState::Active, None));
}

#[test]
fn a_code_that_nobody_approves_lapses() {
    let mut play = Play::waiting_for_user();
    for _ in 0..119 {
        play.pass(5);
        play.answer(Answer::Poll(Ok(PollAnswer::Pending)));
    }
    play.pass(5);
    assert_eq!((play.state(), play.error()), (SessionState::SignedOut, Some(FaultCode::CodeExpired)));
    assert!(play.disk.pending.is_none() && play.asked.is_empty());
    assert_eq!(play.session.next_wake(), None, "and no other is asked for");
}

#[test]
fn a_code_that_lapsed_during_a_suspend_is_named_so_whatever_the_provider_says() {
    let mut play = Play::waiting_for_user();
    play.pass(5);
    // A question is under way when the device falls asleep.
    play.pass(86_400);
    play.answer(Answer::Poll(Err(Fault::ask_user(FaultCode::InvalidGrant, "Unknown."))));
    assert_eq!((play.state(), play.error()), (SessionState::SignedOut, Some(FaultCode::CodeExpired)));
    assert!(play.disk.pending.is_none() && play.asked.is_empty());
}

#[test]
fn a_users_no_ends_the_sign_in_with_its_reason() {
    let mut play = Play::waiting_for_user();
    play.pass(5);
    play.answer(Answer::Poll(Err(Fault::ask_user(FaultCode::AccessDenied, "No."))));
    assert_eq!((play.state(), play.error()), (SessionState::SignedOut, Some(FaultCode::AccessDenied)));
}

#[test]
fn a_token_is_refreshed_ahead_of_its_end_and_a_rotated_refresh_token_is_used_next() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_699);
    assert!(play.asked.is_empty());
    play.pass(1);
    assert_eq!(play.refreshes_with().as_deref(), Some("r1"));
    play.answer(Answer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    assert_eq!(play.token().as_deref(), Some("a2"));
    assert_eq!(play.published, [Topic::Token, Topic::Status]);
    play.pass(2_700);
    assert_eq!(play.refreshes_with().as_deref(), Some("r2"));
    play.answer(Answer::Refresh(Ok(tokens("a3", None, 3_600))));
    play.pass(2_700);
    assert_eq!(play.refreshes_with().as_deref(), Some("r2"), "an absent one keeps the old one");
}

#[test]
fn new_tokens_are_neither_shown_nor_used_before_they_are_on_disk() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    play.saves = false;
    play.published.clear();
    play.answer(Answer::Refresh(Ok(tokens("a2", Some("r2"), 8))));
    assert_eq!((play.token(), play.published.len()), (None, 0));
    play.pass(30);
    assert!(play.asked.is_empty(), "r2 is not used while only memory has it");
    play.saves = true;
    play.saved();
    assert_eq!(play.refreshes_with().as_deref(), Some("r2"));
}

#[test]
fn nothing_of_a_sign_in_is_published_before_it_is_on_disk() {
    let mut play = Play::waiting_for_user();
    play.pass(5);
    play.saves = false;
    play.published.clear();
    play.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!(play.published, []);
    play.saves = true;
    play.saved();
    assert_eq!(play.published, [Topic::Token, Topic::Status, Topic::SignIn]);
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    play.saves = false;
    play.tell(Event::Command(Command::Refresh, Ticket(9)));
    play.answer(Answer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    let revision = play.unsaved.remove(0);
    play.tell(Event::Stored(revision, Err(Fault::passing(FaultCode::StoreFailed, "No space left."))));
    assert_eq!(play.error(), Some(FaultCode::StoreFailed));
    assert!(matches!(play.replies[..], [(Ticket(9), Err(Refused::Failed(_)))]));
    assert!(play.published.iter().all(|topic| *topic != Topic::Token), "the old token is still good");
    play.pass(900);
    assert!(play.published.contains(&Topic::Token), "and is withdrawn at its end");
    play.saves = true;
    play.saved();
    play.pass(300);
    assert_eq!((play.state(), play.token().as_deref()), (SessionState::Active, Some("a2")));
    assert_eq!(play.refresh_token_on_disk().as_deref(), Some("r2"));
}

#[test]
fn an_outage_withdraws_the_token_at_its_end_but_keeps_the_sign_in() {
    let mut play = Play::signed_in(3_600);
    let mut tries = 0;
    for _ in 0..7_200 {
        play.pass(1);
        if !play.asked.is_empty() {
            play.answer(Answer::Refresh(Err(outage())));
            tries += 1;
        }
        let left = play.session.token(play.now).and_then(|token| token.expires_at).map(|at| at.since(play.now.wall));
        assert!(left.is_none_or(|left| left >= Duration::from_secs(59)), "{left:?}");
    }
    assert!((8..20).contains(&tries), "{tries} tries in 75 minutes");
    assert_eq!((play.state(), play.status().needs_user), (SessionState::Expired, false));
    let status = play.status();
    assert_eq!(status.error.as_ref().unwrap().since, UnixTime::new(START.wall.seconds() + 2_705));
    assert!(status.error.unwrap().retry_at.is_some());
    play.pass(24 * 60);
    play.answer(Answer::Refresh(Ok(tokens("a2", None, 3_600))));
    assert_eq!((play.state(), play.error()), (SessionState::Active, None));
}

#[test]
fn a_wait_that_the_provider_asks_for_is_kept() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    let busy = Fault::passing(FaultCode::RateLimited, "Slow.").retry_after(Some(Duration::from_secs(600)));
    play.answer(Answer::Refresh(Err(busy)));
    play.pass(599);
    assert!(play.asked.is_empty());
    assert!(!play.session.would_refresh(play.now));
    play.tell(Event::Command(Command::Refresh, Ticket(1)));
    assert!(play.asked.is_empty(), "not even a request makes it ask sooner");
    assert!(
        matches!(&play.replies[..], [(Ticket(1), Err(Refused::Failed(fault)))] if fault.code == FaultCode::RateLimited)
    );
    play.pass(151);
    assert_eq!(play.asked.len(), 1);
}

#[test]
fn a_wrong_client_secret_does_not_cost_the_sign_in() {
    let mut play = Play::signed_in(3_600);
    play.pass(2_700);
    play.answer(Answer::Refresh(Err(Fault::reconfigure(FaultCode::InvalidClient, "Who?"))));
    assert_eq!((play.state(), play.error()), (SessionState::Active, Some(FaultCode::InvalidClient)));
    play.pass(3_600);
    assert_eq!((play.state(), play.asked.len()), (SessionState::Expired, 1));
    play.answer(Answer::Refresh(Ok(tokens("a2", None, 3_600))));
    assert_eq!(play.state(), SessionState::Active);
}

#[test]
fn requests_to_refresh_share_one_refresh() {
    let mut play = Play::signed_in(3_600);
    play.pass(60);
    play.tell(Event::Command(Command::Refresh, Ticket(1)));
    play.tell(Event::Command(Command::Refresh, Ticket(2)));
    assert_eq!(play.asked.len(), 1);
    play.answer(Answer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    play.tell(Event::Command(Command::Refresh, Ticket(3)));
    assert!(play.asked.is_empty(), "a token of this second is fresh enough");
    assert_eq!(play.replies, [(Ticket(1), Ok(())), (Ticket(2), Ok(())), (Ticket(3), Ok(()))]);
}

#[test]
fn commands_that_make_no_sense_are_refused_with_a_reason() {
    let mut play = Play::signed_out();
    play.tell(Event::Command(Command::Refresh, Ticket(1)));
    play.tell(Event::Command(Command::Cancel, Ticket(2)));
    assert_eq!(play.replies, [(Ticket(1), Err(Refused::NotSignedIn)), (Ticket(2), Err(Refused::NothingPending))]);
}

#[test]
fn a_cancelled_sign_in_leaves_nothing_and_its_late_answer_is_dropped() {
    let mut play = Play::waiting_for_user();
    play.pass(5);
    play.tell(Event::Command(Command::Cancel, Ticket(2)));
    assert_eq!((play.state(), play.session.pending()), (SessionState::SignedOut, None));
    assert!(play.disk.pending.is_none());
    play.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!((play.state(), play.token()), (SessionState::SignedOut, None));
}

#[test]
fn a_sign_out_withdraws_at_once_revokes_and_then_erases() {
    let mut play = Play::signed_in(3_600);
    play.tell(Event::Command(Command::Logout, Ticket(5)));
    assert_eq!(play.published, [Topic::Token, Topic::Status]);
    assert!(play.disk.signed_in.is_some(), "until the provider has answered");
    play.answer(Answer::Revoked(Err(outage())));
    assert_eq!(play.replies, [(Ticket(5), Ok(()))], "a provider out of reach does not keep anyone signed in");
    assert!(play.disk.signed_in.is_none());
    assert_eq!((play.state(), play.error()), (SessionState::SignedOut, Some(FaultCode::NotRevoked)), "but it is said");
    assert!(play.status().error.unwrap().message.contains("No route."));
}

#[test]
fn a_new_sign_in_leaves_the_old_token_in_place_until_it_succeeds() {
    let mut play = Play::signed_in(3_600);
    play.tell(Event::Command(Command::Login, Ticket(7)));
    play.answer(device_code());
    assert_eq!((play.state(), play.token().as_deref()), (SessionState::Active, Some("a1")));
    assert!(play.session.pending().is_some());
    play.pass(5);
    play.answer(approved("b1", Some("s1"), 3_600));
    assert_eq!(play.token().as_deref(), Some("b1"));
    assert_eq!(play.refresh_token_on_disk().as_deref(), Some("s1"));
}

#[test]
fn a_token_that_lapsed_while_the_agent_was_off_is_not_refreshed_at_the_same_moment_on_every_device() {
    let play = Play::signed_in(3_600);
    let off = Now { boot: BootTime::new(Duration::from_secs(9)), wall: play.now.wall + Duration::from_secs(7_200) };
    let mut play = Play::new(restored(play.disk.clone(), off), off);
    play.pass(4);
    assert!(play.asked.is_empty());
    play.pass(1);
    assert_eq!(play.refreshes_with().as_deref(), Some("r1"));
    play.answer(Answer::Refresh(Ok(tokens("a2", None, 3_600))));
    play.pass(1_889);
    assert!(play.asked.is_empty());
    play.pass(1);
    assert_eq!(play.asked.len(), 1, "the next one is spread as well: after 25 to 80 % of its life");
}

#[test]
fn a_user_who_does_not_want_to_wait_for_that_gets_a_token_at_once() {
    let play = Play::signed_in(3_600);
    let off = Now { boot: BootTime::new(Duration::from_secs(9)), wall: play.now.wall + Duration::from_secs(7_200) };
    let mut play = Play::new(restored(play.disk.clone(), off), off);
    play.tell(Event::Command(Command::Refresh, Ticket(1)));
    assert_eq!(play.refreshes_with().as_deref(), Some("r1"));
}

#[test]
fn a_token_without_a_known_life_is_shown_and_refreshed_after_a_while() {
    let mut play = Play::waiting_for_user();
    play.pass(5);
    let answer = TokenAnswer { expires_in: None, ..tokens("a1", Some("r1"), 0) };
    play.answer(Answer::Poll(Ok(PollAnswer::Granted(granted(answer)))));
    assert_eq!(play.session.token(play.now).unwrap().expires_at, None);
    play.pass(3_600);
    assert_eq!(play.refreshes_with().as_deref(), Some("r1"));
    assert_eq!(play.state(), SessionState::Active);
}

#[test]
fn a_token_without_a_refresh_token_ends_in_a_request_for_the_user() {
    let mut play = Play::waiting_for_user();
    play.pass(5);
    play.answer(approved("a1", None, 3_600));
    assert_eq!(play.state(), SessionState::Active);
    play.pass(3_600);
    assert_eq!((play.state(), play.error()), (SessionState::SignedOut, Some(FaultCode::NoRefreshToken)));
    assert!(play.asked.is_empty());
}

#[test]
fn new_tokens_are_given_out_only_once_the_disk_has_them_and_a_failed_write_loses_none() {
    let mut play = Play::waiting_for_user();
    play.saves = false;
    play.pass(5);
    play.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!(play.token(), None);
    play.saved();
    assert_eq!(play.token().as_deref(), Some("a1"));

    // A write that fails leaves the session with the only copy of the new tokens.
    play.pass(2_700);
    play.saved();
    play.answer(Answer::Refresh(Ok(tokens("a2", None, 3_600))));
    let revision = play.unsaved.pop().unwrap();
    play.tell(Event::Stored(revision, Err(Fault::passing(FaultCode::StoreFailed, "The disk is full."))));
    let Found::Record(record) = play.session.into_found() else { panic!("a record") };
    let SignedIn { tokens, .. } = record.signed_in.unwrap();
    assert_eq!(tokens.access_token.expose(), "a2");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "r1", "which the answer left as it was");
}
