//! Sign-ins that end by themselves, and tokens that are given again.

use std::time::Duration;

use super::harness::*;
use crate::domain::secret::Secret;
use crate::domain::session::*;
use crate::domain::token::{PollAnswer, SignInEnd, TokenAnswer};

fn ends_after(seconds: u64, answer: TokenAnswer) -> TokenAnswer {
    TokenAnswer { sign_in_end: SignInEnd::In(Duration::from_secs(seconds)), ..answer }
}

fn signed_in(answer: TokenAnswer) -> Harness {
    let mut harness = Harness::waiting_for_user();
    harness.pass(5);
    harness.answer(ProviderAnswer::Poll(Ok(PollAnswer::Granted(granted(answer)))));
    harness
}

/// When the next refresh is due, in seconds from now.
fn due_in(harness: &Harness) -> u64 {
    harness.status().next_refresh_at.unwrap().since(harness.now.wall).as_secs()
}

#[test]
fn keycloaks_session_that_ends_before_the_token_is_refreshed_before_it_ends() {
    let harness = signed_in(ends_after(12, tokens("a1", Some("r1"), 40)));
    assert!((8..=10).contains(&due_in(&harness)), "{}", due_in(&harness));
    let ends = harness.status().sign_in_ends_at.unwrap();
    assert_eq!(ends.since(harness.now.wall), Duration::from_secs(12));
    assert!(harness.disk.signed_in.as_ref().unwrap().tokens.sign_in_end.is_some(), "also after a restart");
}

#[test]
fn an_end_stays_until_an_answer_names_another_or_says_that_there_is_none() {
    let mut harness = signed_in(ends_after(604_800, tokens("a1", Some("r1"), 3_600)));
    let first = harness.status().sign_in_ends_at;
    harness.pass(3_000);
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", None, 3_600))));
    assert_eq!(harness.status().sign_in_ends_at, first);
    harness.pass(3_000);
    harness.answer(ProviderAnswer::Refresh(Ok(ends_after(1_000_000, tokens("a3", None, 3_600)))));
    assert!(harness.status().sign_in_ends_at > first);
    harness.pass(3_000);
    let for_ever = TokenAnswer { sign_in_end: SignInEnd::Never, ..tokens("a4", None, 3_600) };
    harness.answer(ProviderAnswer::Refresh(Ok(for_ever)));
    assert_eq!(harness.status().sign_in_ends_at, None);
}

#[test]
fn googles_seven_days_in_testing_bring_no_storm_of_refreshes_at_their_end() {
    let mut harness = signed_in(ends_after(20_000, tokens("a0", Some("r1"), 3_600)));
    let mut refreshes = 0;
    for _ in 0..2_000 {
        harness.pass(10);
        while !harness.asked.is_empty() {
            refreshes += 1;
            harness.answer(ProviderAnswer::Refresh(Ok(tokens(&format!("a{refreshes}"), None, 3_600))));
        }
    }
    assert!((5..=25).contains(&refreshes), "{refreshes}");
}

#[test]
fn wso2s_token_that_is_given_again_is_asked_for_when_it_ends() {
    let mut harness = signed_in(tokens("a1", Some("r1"), 100));
    harness.pass(80);
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a1", Some("r2"), 2))));
    assert!(due_in(&harness) <= 2, "not a minute later");
    harness.pass(2);
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("a2", Some("r3"), 100))));
    assert_eq!(harness.token().as_deref(), Some("a2"));
    assert!(due_in(&harness) >= 25);
}

#[test]
fn further_members_go_with_the_token_and_stay_where_a_refresh_does_not_name_them() {
    let extra = |name: &str, value: &str| [(name.to_owned(), Secret::new(value.to_owned()))].into();
    let mut harness = signed_in(TokenAnswer { extra: extra("realm", "\"1\""), ..tokens("a1", Some("r1"), 3_600) });
    assert_eq!(harness.status().extra, ["realm"]);
    harness.pass(3_000);
    let answer = TokenAnswer { extra: extra("instance_url", "\"https://b\""), ..tokens("a2", None, 3_600) };
    harness.answer(ProviderAnswer::Refresh(Ok(answer)));
    let token = harness.session.token(harness.now).unwrap();
    let named: Vec<_> = token.extra.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(named, [("instance_url", "\"https://b\""), ("realm", "\"1\"")]);
}

#[test]
fn lemonldaps_sign_in_that_was_to_last_and_got_no_refresh_token_says_so_at_once() {
    for (scope, at_once) in [("openid offline_access", true), ("openid email", false)] {
        let rules = Rules { scope: Some(scope.to_owned()), ..rules() };
        let mut harness = Harness::new(restored_under(rules, Record::default(), START), START);
        harness.tell(Event::Command(Command::Login, Ticket(1)));
        harness.answer(device_code());
        harness.pass(5);
        harness.answer(approved("a1", None, 600));
        assert_eq!(harness.state(), SessionState::Active);
        assert_eq!(harness.error().is_some(), at_once, "{scope}");
        harness.pass(600);
        let error = harness.status().error.unwrap();
        assert_eq!(error.code, FaultCode::NoRefreshToken);
        let advice = if at_once { "Allow the client offline access" } else { "Ask for offline access" };
        assert!(error.message.contains(advice), "{scope}: {}", error.message);
    }
}

#[test]
fn that_there_is_no_refresh_token_hides_no_sign_in_that_failed_since() {
    let rules = Rules { scope: Some("openid offline_access".to_owned()), ..rules() };
    let mut harness = Harness::new(restored_under(rules, Record::default(), START), START);
    harness.tell(Event::Command(Command::Login, Ticket(1)));
    harness.answer(device_code());
    harness.pass(5);
    harness.answer(approved("a1", None, 600));
    assert_eq!(harness.error(), Some(FaultCode::NoRefreshToken));
    harness.tell(Event::Command(Command::Login, Ticket(2)));
    harness.answer(ProviderAnswer::Authorization(Err(outage())));
    let error = harness.status().error.unwrap();
    assert_eq!(error.code, FaultCode::ProviderUnreachable);
    assert!(error.message.starts_with("A new sign-in failed, and the former one is kept."), "{}", error.message);
}
