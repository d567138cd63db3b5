//! What a user relies on, played through in no time.

mod clock;
mod endings;
mod further;
mod grants;
mod harness;
mod identity;
mod interrupted;
mod offers;
mod restored;
mod sign_in_end;

use std::time::Duration;

use harness::*;

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
    let mut harness = Harness::signed_out();
    assert_eq!((harness.state(), harness.status().needs_user), (SessionState::SignedOut, true));
    harness.tell(Event::Command(Command::Login, Ticket(1)));
    assert!(matches!(harness.asked[0].1, ProviderRequest::Authorize));
    harness.answer(device_code());
    assert_eq!(harness.replies, [(Ticket(1), Ok(()))]);
    assert_eq!(harness.state(), SessionState::AwaitingUser);
    assert_eq!(harness.session.pending().unwrap().user_code.as_deref(), Some("ABCD-EFGH"));
    harness.pass(5);
    harness.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!((harness.state(), harness.status().needs_user), (SessionState::Active, false));
    assert_eq!(harness.token().as_deref(), Some("a1"));
    assert_eq!(harness.status().scope.as_deref(), Some("openid email"));
    assert_eq!(harness.session.pending(), None);
}

#[test]
fn polls_wait_an_interval_before_the_first_and_each_further_one() {
    let mut harness = Harness::waiting_for_user();
    harness.pass(4);
    assert!(harness.asked.is_empty());
    harness.pass(1);
    harness.answer(ProviderAnswer::Poll(Ok(PollAnswer::Pending)));
    harness.pass(4);
    assert!(harness.asked.is_empty());
    harness.pass(1);
    harness.answer(ProviderAnswer::Poll(Ok(PollAnswer::SlowDown { interval: None })));
    harness.pass(9);
    assert!(harness.asked.is_empty(), "slow_down adds five seconds");
    harness.pass(1);
    harness.answer(ProviderAnswer::Poll(Ok(PollAnswer::Pending)));
    harness.pass(9);
    assert!(harness.asked.is_empty(), "and for good");
    harness.pass(1);
    assert_eq!(harness.asked.len(), 1);
    let Approval::Device(device) = &harness.disk.pending.as_ref().unwrap().approval else { panic!("a device code") };
    assert_eq!(device.interval, Duration::from_secs(10));
}

#[test]
fn a_fault_of_the_network_does_not_end_a_sign_in() {
    let mut harness = Harness::waiting_for_user();
    for _ in 0..5 {
        harness.pass(100);
        if !harness.asked.is_empty() {
            harness.answer(ProviderAnswer::Poll(Err(outage())));
            assert_eq!(harness.state(), SessionState::AwaitingUser);
            assert_eq!(harness.error(), Some(FaultCode::ProviderUnreachable));
        }
    }
    harness.pass(60);
    harness.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!((harness.state(), harness.error()), (SessionState::Active, None));
}

#[test]
fn a_code_that_nobody_approves_expires() {
    let mut harness = Harness::waiting_for_user();
    for _ in 0..119 {
        harness.pass(5);
        harness.answer(ProviderAnswer::Poll(Ok(PollAnswer::Pending)));
    }
    harness.pass(5);
    assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(FaultCode::CodeExpired)));
    assert!(harness.disk.pending.is_none() && harness.asked.is_empty());
    assert_eq!(harness.session.next_wake(), None, "and no other is asked for");
}

#[test]
fn a_code_that_expired_during_a_suspend_is_named_so_whatever_the_provider_says() {
    let mut harness = Harness::waiting_for_user();
    harness.pass(5);
    // A question is under way when the device falls asleep.
    harness.pass(86_400);
    harness.answer(ProviderAnswer::Poll(Err(Fault::ask_user(FaultCode::InvalidGrant, "Unknown."))));
    assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(FaultCode::CodeExpired)));
    assert!(harness.disk.pending.is_none() && harness.asked.is_empty());
}

#[test]
fn a_users_no_ends_the_sign_in_with_its_reason() {
    let mut harness = Harness::waiting_for_user();
    harness.pass(5);
    harness.answer(ProviderAnswer::Poll(Err(Fault::ask_user(FaultCode::AccessDenied, "No."))));
    assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(FaultCode::AccessDenied)));
}

/// Each refresh is written to the card.
#[test]
fn tokens_that_live_for_seconds_are_refreshed_within_bounds() {
    let mut harness = Harness::signed_in(3);
    let mut refreshes = 0;
    for _ in 0..10_000 {
        if !harness.asked.is_empty() {
            refreshes += 1;
            harness.answer(ProviderAnswer::Refresh(Ok(tokens(&format!("a{refreshes}"), None, 3))));
        }
        harness.pass(1);
    }
    assert!((240 + 600..=240 + 10_000 / 15 + 1).contains(&refreshes), "{refreshes}");
}

#[test]
fn a_token_is_refreshed_ahead_of_its_end_and_a_rotated_refresh_token_is_used_next() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_699);
    assert!(harness.asked.is_empty());
    harness.pass(1);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r1"));
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    assert_eq!(harness.token().as_deref(), Some("a2"));
    assert_eq!(harness.published, [Topic::Token, Topic::Status]);
    harness.pass(2_700);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r2"));
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a3", None, 3_600))));
    harness.pass(2_700);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r2"), "an absent one keeps the old one");
}

#[test]
fn new_tokens_are_neither_shown_nor_used_before_they_are_on_disk() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    harness.saves = false;
    harness.published.clear();
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", Some("r2"), 8))));
    assert_eq!((harness.token(), harness.published.len()), (None, 0));
    harness.pass(30);
    assert!(harness.asked.is_empty(), "r2 is not used while only memory has it");
    harness.saves = true;
    harness.saved();
    assert_eq!(harness.refreshes_with().as_deref(), Some("r2"));
}

#[test]
fn nothing_of_a_sign_in_is_published_before_it_is_on_disk() {
    let mut harness = Harness::waiting_for_user();
    harness.pass(5);
    harness.saves = false;
    harness.published.clear();
    harness.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!(harness.published, []);
    harness.saves = true;
    harness.saved();
    assert_eq!(harness.published, [Topic::Token, Topic::Status, Topic::SignIn]);
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    harness.saves = false;
    harness.tell(Event::Command(Command::Refresh, Ticket(9)));
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    let revision = harness.unsaved.remove(0);
    harness.tell(Event::Stored(revision, Err(Fault::passing(FaultCode::StoreFailed, "No space left."))));
    assert_eq!(harness.error(), Some(FaultCode::StoreFailed));
    assert!(matches!(harness.replies[..], [(Ticket(9), Err(CommandError::Failed(_)))]));
    assert!(harness.published.iter().all(|topic| *topic != Topic::Token), "the old token is still good");
    harness.pass(900);
    assert!(harness.published.contains(&Topic::Token), "and is withdrawn at its end");
    harness.saves = true;
    harness.saved();
    harness.pass(300);
    assert_eq!((harness.state(), harness.token().as_deref()), (SessionState::Active, Some("a2")));
    assert_eq!(harness.refresh_token_on_disk().as_deref(), Some("r2"));
}

#[test]
fn an_outage_withdraws_the_token_at_its_end_but_keeps_the_sign_in() {
    let mut harness = Harness::signed_in(3_600);
    let mut tries = 0;
    for _ in 0..7_200 {
        harness.pass(1);
        if !harness.asked.is_empty() {
            harness.answer(ProviderAnswer::Refresh(Err(outage())));
            tries += 1;
        }
        let left =
            harness.session.token(harness.now).and_then(|token| token.expires_at).map(|at| at.since(harness.now.wall));
        assert!(left.is_none_or(|left| left >= Duration::from_secs(59)), "{left:?}");
    }
    assert!((8..20).contains(&tries), "{tries} tries in 75 minutes");
    assert_eq!((harness.state(), harness.status().needs_user), (SessionState::Expired, false));
    let status = harness.status();
    assert_eq!(status.error.as_ref().unwrap().since, UnixTime::new(START.wall.seconds() + 2_705));
    assert!(status.error.unwrap().retry_at.is_some());
    harness.pass(24 * 60);
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", None, 3_600))));
    assert_eq!((harness.state(), harness.error()), (SessionState::Active, None));
}

#[test]
fn a_wait_that_the_provider_asks_for_is_kept() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    let busy = Fault::passing(FaultCode::RateLimited, "Slow.").retry_after(Some(Duration::from_secs(600)));
    harness.answer(ProviderAnswer::Refresh(Err(busy)));
    harness.pass(599);
    assert!(harness.asked.is_empty());
    assert!(!harness.session.would_refresh(harness.now));
    harness.tell(Event::Command(Command::Refresh, Ticket(1)));
    assert!(harness.asked.is_empty(), "not even a request makes it ask sooner");
    assert!(
        matches!(&harness.replies[..], [(Ticket(1), Err(CommandError::Failed(fault)))] if fault.code == FaultCode::RateLimited)
    );
    harness.pass(151);
    assert_eq!(harness.asked.len(), 1);
}

#[test]
fn a_wrong_client_secret_does_not_cost_the_sign_in() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(2_700);
    harness.answer(ProviderAnswer::Refresh(Err(Fault::reconfigure(FaultCode::InvalidClient, "Who?"))));
    assert_eq!((harness.state(), harness.error()), (SessionState::Active, Some(FaultCode::InvalidClient)));
    harness.pass(3_600);
    assert_eq!((harness.state(), harness.asked.len()), (SessionState::Expired, 1));
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", None, 3_600))));
    assert_eq!(harness.state(), SessionState::Active);
}

#[test]
fn requests_to_refresh_share_one_refresh() {
    let mut harness = Harness::signed_in(3_600);
    harness.pass(60);
    harness.tell(Event::Command(Command::Refresh, Ticket(1)));
    harness.tell(Event::Command(Command::Refresh, Ticket(2)));
    assert_eq!(harness.asked.len(), 1);
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", Some("r2"), 3_600))));
    harness.tell(Event::Command(Command::Refresh, Ticket(3)));
    assert!(harness.asked.is_empty(), "a token of this second is fresh enough");
    assert_eq!(harness.replies, [(Ticket(1), Ok(())), (Ticket(2), Ok(())), (Ticket(3), Ok(()))]);
}

#[test]
fn commands_that_make_no_sense_are_refused_with_a_reason() {
    let mut harness = Harness::signed_out();
    harness.tell(Event::Command(Command::Refresh, Ticket(1)));
    harness.tell(Event::Command(Command::Cancel, Ticket(2)));
    assert_eq!(
        harness.replies,
        [(Ticket(1), Err(CommandError::NotSignedIn)), (Ticket(2), Err(CommandError::NothingPending))]
    );
}

#[test]
fn a_cancelled_sign_in_leaves_nothing_and_its_late_answer_is_dropped() {
    let mut harness = Harness::waiting_for_user();
    harness.pass(5);
    harness.tell(Event::Command(Command::Cancel, Ticket(2)));
    assert_eq!((harness.state(), harness.session.pending()), (SessionState::SignedOut, None));
    assert!(harness.disk.pending.is_none());
    harness.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!((harness.state(), harness.token()), (SessionState::SignedOut, None));
}

#[test]
fn a_sign_out_withdraws_at_once_revokes_and_then_erases() {
    let mut harness = Harness::signed_in(3_600);
    harness.tell(Event::Command(Command::Logout, Ticket(5)));
    assert_eq!(harness.published, [Topic::Token, Topic::Status]);
    assert!(harness.disk.signed_in.is_some(), "until the provider has answered");
    harness.answer(ProviderAnswer::Revoked(Err(outage())));
    assert_eq!(harness.replies, [(Ticket(5), Ok(()))], "a provider out of reach does not keep anyone signed in");
    assert!(harness.disk.signed_in.is_none());
    assert_eq!(
        (harness.state(), harness.error()),
        (SessionState::SignedOut, Some(FaultCode::NotRevoked)),
        "but it is said"
    );
    assert!(harness.status().error.unwrap().message.contains("No route."));
}

#[test]
fn a_new_sign_in_leaves_the_old_token_in_place_until_it_succeeds() {
    let mut harness = Harness::signed_in(3_600);
    harness.tell(Event::Command(Command::Login, Ticket(7)));
    harness.answer(device_code());
    assert_eq!((harness.state(), harness.token().as_deref()), (SessionState::Active, Some("a1")));
    assert!(harness.session.pending().is_some());
    harness.pass(5);
    harness.answer(approved("b1", Some("s1"), 3_600));
    assert_eq!(harness.token().as_deref(), Some("b1"));
    assert_eq!(harness.refresh_token_on_disk().as_deref(), Some("s1"));
}

#[test]
fn a_token_that_expired_while_the_agent_was_off_is_not_refreshed_at_the_same_moment_on_every_device() {
    let harness = Harness::signed_in(3_600);
    let off = Now { boot: BootTime::new(Duration::from_secs(9)), wall: harness.now.wall + Duration::from_secs(7_200) };
    let mut harness = Harness::new(restored(harness.disk.clone(), off), off);
    harness.pass(4);
    assert!(harness.asked.is_empty());
    harness.pass(1);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r1"));
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", None, 3_600))));
    harness.pass(1_889);
    assert!(harness.asked.is_empty());
    harness.pass(1);
    assert_eq!(harness.asked.len(), 1, "the next one is spread as well: after 25 to 80 % of its life");
}

#[test]
fn a_user_who_does_not_want_to_wait_for_that_gets_a_token_at_once() {
    let harness = Harness::signed_in(3_600);
    let off = Now { boot: BootTime::new(Duration::from_secs(9)), wall: harness.now.wall + Duration::from_secs(7_200) };
    let mut harness = Harness::new(restored(harness.disk.clone(), off), off);
    harness.tell(Event::Command(Command::Refresh, Ticket(1)));
    assert_eq!(harness.refreshes_with().as_deref(), Some("r1"));
}

#[test]
fn a_token_without_a_known_life_is_shown_and_refreshed_after_a_while() {
    let mut harness = Harness::waiting_for_user();
    harness.pass(5);
    let answer = TokenAnswer { expires_in: None, ..tokens("a1", Some("r1"), 0) };
    harness.answer(ProviderAnswer::Poll(Ok(PollAnswer::Granted(granted(answer)))));
    assert_eq!(harness.session.token(harness.now).unwrap().expires_at, None);
    harness.pass(3_600);
    assert_eq!(harness.refreshes_with().as_deref(), Some("r1"));
    assert_eq!(harness.state(), SessionState::Active);
}

#[test]
fn a_token_without_a_refresh_token_ends_in_a_request_for_the_user() {
    let mut harness = Harness::waiting_for_user();
    harness.pass(5);
    harness.answer(approved("a1", None, 3_600));
    assert_eq!(harness.state(), SessionState::Active);
    harness.pass(3_600);
    assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(FaultCode::NoRefreshToken)));
    assert!(harness.asked.is_empty());
}

#[test]
fn new_tokens_are_given_out_only_once_the_disk_has_them_and_a_failed_write_loses_none() {
    let mut harness = Harness::waiting_for_user();
    harness.saves = false;
    harness.pass(5);
    harness.answer(approved("a1", Some("r1"), 3_600));
    assert_eq!(harness.token(), None);
    harness.saved();
    assert_eq!(harness.token().as_deref(), Some("a1"));

    // A write that fails leaves the session with the only copy of the new tokens.
    harness.pass(2_700);
    harness.saved();
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", None, 3_600))));
    let revision = harness.unsaved.pop().unwrap();
    harness.tell(Event::Stored(revision, Err(Fault::passing(FaultCode::StoreFailed, "The disk is full."))));
    let StoredRecord::Record(record) = harness.session.into_found() else { panic!("a record") };
    let SignedIn { tokens, .. } = record.signed_in.unwrap();
    assert_eq!(tokens.access_token.expose(), "a2");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "r1", "which the answer left as it was");
}
