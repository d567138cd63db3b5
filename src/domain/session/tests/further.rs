//! Further tokens of a sign-in.

mod faults;

use super::*;
use crate::domain::token_name::TokenName;
use crate::domain::token_target::TokenTarget;

fn name(text: &str) -> TokenName {
    text.parse().unwrap()
}

fn rules_with(targets: &[(&str, &str)]) -> Rules {
    let target = |scope: &str| TokenTarget { scopes: vec![scope.to_owned()], ..TokenTarget::default() };
    let tokens = targets.iter().map(|(token, scope)| (name(token), target(scope)));
    Rules { tokens: tokens.collect(), ..rules() }
}

fn mail() -> Rules {
    rules_with(&[("mail", "mail.send")])
}

fn invalid_grant() -> Fault {
    Fault::ask_user(FaultCode::InvalidGrant, "No.")
}

fn invalid_scope() -> Fault {
    Fault::reconfigure(FaultCode::InvalidScope, "No such scope.")
}

/// Signed in, with the account's own token and nothing yet of the others.
fn signed_in(rules: Rules, refresh: Option<&str>) -> Harness {
    let mut harness = Harness::new(restored_under(rules, Record::default(), START), START);
    harness.tell(Event::Command(Command::Login, Ticket(1)));
    harness.answer(device_code());
    harness.pass(5);
    harness.answer(approved("a1", refresh, 3_600));
    harness.replies.clear();
    harness
}

/// The same with the token `mail`.
fn with_mail() -> Harness {
    let mut harness = signed_in(mail(), Some("r1"));
    harness.answer(refreshed("m1", "r2"));
    harness.published.clear();
    harness
}

fn refreshed(access: &str, refresh: &str) -> ProviderAnswer {
    ProviderAnswer::Refresh(Ok(tokens(access, Some(refresh), 3_600)))
}

fn refused(fault: Fault) -> ProviderAnswer {
    ProviderAnswer::Refresh(Err(fault))
}

impl Harness {
    /// The refresh token and the name of the further token in the one refresh that is under way.
    fn refresh(&self) -> Option<(&str, Option<&str>)> {
        match &self.asked[..] {
            [(_, ProviderRequest::Refresh { refresh_token, token, .. })] => {
                Some((refresh_token.expose(), token.as_ref().map(TokenName::as_str)))
            }
            [] => None,
            others => panic!("{others:?}"),
        }
    }

    fn further(&self, token: &str) -> Option<String> {
        self.session.further_token(&name(token), self.now).map(|token| token.access_token.expose().to_owned())
    }

    fn further_error(&self) -> Option<FaultCode> {
        self.status().tokens[0].error.as_ref().map(|error| error.code)
    }

    fn restarted(&self, rules: Rules) -> Self {
        Self::new(restored_under(rules, self.disk.clone(), self.now), self.now)
    }
}

#[test]
fn a_further_token_comes_by_the_refresh_token_of_the_sign_in() {
    let mut harness = signed_in(mail(), Some("r1"));
    assert_eq!((harness.refresh(), harness.token().as_deref()), (Some(("r1", Some("mail"))), Some("a1")));
    harness.published.clear();
    harness.answer(refreshed("m1", "r2"));
    assert_eq!((harness.further("mail").as_deref(), harness.token().as_deref()), (Some("m1"), Some("a1")));
    assert_eq!(harness.published, [Topic::FurtherToken(name("mail")), Topic::Status]);
    assert_eq!(harness.refresh_token_on_disk().as_deref(), Some("r2"));
    let further = harness.session.further_token(&name("mail"), harness.now).unwrap();
    assert_eq!(further.scope.as_deref(), Some("mail.send"), "not named means as asked for");
    let status = harness.status();
    assert_eq!((status.tokens.len(), status.tokens[0].expires_at), (1, further.expires_at));
    assert_eq!(status.scope.as_deref(), Some("openid email"));
}

#[test]
fn scopes_that_no_answer_names_and_no_refresh_asks_for_stay_as_they_were() {
    let target = TokenTarget { resource: Some("https://api.example".to_owned()), ..TokenTarget::default() };
    let mut harness = signed_in(Rules { tokens: [(name("mail"), target)].into(), ..rules() }, Some("r1"));
    for scope in [Some("mail.read".to_owned()), None] {
        let answer = TokenAnswer { scope, ..tokens("m1", None, 600) };
        while harness.refresh() != Some(("r1", Some("mail"))) {
            harness.pass(1);
        }
        harness.answer(ProviderAnswer::Refresh(Ok(answer)));
        let token = harness.session.further_token(&name("mail"), harness.now).unwrap();
        assert_eq!(token.scope.as_deref(), Some("mail.read"));
    }
}

#[test]
fn a_refresh_for_any_token_is_the_first_of_a_sign_in() {
    let is_first = |harness: &Harness| match &harness.asked[0].1 {
        ProviderRequest::Refresh { is_first, .. } => *is_first,
        other => panic!("{other:?}"),
    };
    let mut harness = signed_in(mail(), Some("r1"));
    assert!(is_first(&harness));
    harness.answer(refreshed("m1", "r2"));
    harness.pass(2_700);
    assert!(!is_first(&harness));
}

#[test]
fn each_is_refreshed_in_its_time_one_after_the_other() {
    let mut harness = with_mail();
    let mut refreshes = std::collections::BTreeMap::<_, u32>::new();
    for number in 3..=60 {
        while harness.asked.is_empty() {
            harness.pass(10);
            assert!(harness.token().is_some() && harness.further("mail").is_some());
        }
        let (presented, token) = harness.refresh().unwrap();
        assert_eq!(presented, format!("r{}", number - 1), "the newest, always");
        *refreshes.entry(token.map(str::to_owned)).or_default() += 1;
        harness.answer(refreshed(&format!("t{number}"), &format!("r{number}")));
    }
    let counts: Vec<_> = refreshes.into_values().collect();
    assert!(counts.len() == 2 && counts[0].abs_diff(counts[1]) < 4, "{counts:?}");
}

#[test]
fn each_rotation_is_on_disk_before_the_next_request_and_before_its_token_is_seen() {
    let mut harness = signed_in(rules_with(&[("drive", "files"), ("mail", "mail.send")]), Some("r1"));
    assert_eq!(harness.refresh(), Some(("r1", Some("drive"))));
    harness.saves = false;
    harness.published.clear();
    harness.answer(refreshed("d1", "r2"));
    harness.pass(60);
    assert_eq!((harness.refresh(), harness.further("drive"), harness.published.len()), (None, None, 0));
    assert_eq!(harness.token().as_deref(), Some("a1"), "which the disk has");
    harness.saves = true;
    harness.saved();
    assert_eq!(harness.further("drive").as_deref(), Some("d1"));
    assert_eq!(harness.refresh(), Some(("r2", Some("mail"))));
}

#[test]
fn a_power_cut_between_two_rotations_loses_neither_the_sign_in_nor_a_token() {
    let mut harness = signed_in(rules_with(&[("drive", "files"), ("mail", "mail.send")]), Some("r1"));
    harness.answer(refreshed("d1", "r2"));
    // The request for the next is written down, and not yet sent.
    let mut harness = harness.restarted(rules_with(&[("drive", "files"), ("mail", "mail.send")]));
    assert_eq!((harness.token().as_deref(), harness.further("drive").as_deref()), (Some("a1"), Some("d1")));
    harness.pass(10);
    assert_eq!(harness.refresh(), Some(("r2", None)), "whether it was answered, the account's own refresh tells first");
    harness.answer(refreshed("a2", "r3"));
    harness.pass(10);
    assert_eq!(harness.refresh(), Some(("r3", Some("mail"))));
    harness.answer(refreshed("m1", "r4"));
    assert_eq!((harness.further("mail").as_deref(), harness.state()), (Some("m1"), SessionState::Active));
}

#[test]
fn a_request_to_refresh_while_a_further_token_is_asked_for_brings_the_accounts_own_next() {
    let asking = || {
        let mut harness = signed_in(mail(), Some("r1"));
        harness.pass(30);
        assert!(harness.session.would_refresh(harness.now));
        harness.tell(Event::Command(Command::Refresh, Ticket(5)));
        harness
    };
    let mut harness = asking();
    assert_eq!((harness.refresh(), harness.replies.len()), (Some(("r1", Some("mail"))), 0));
    harness.answer(refreshed("m1", "r2"));
    assert_eq!(harness.refresh(), Some(("r2", None)));
    harness.answer(refreshed("a2", "r3"));
    assert_eq!(harness.replies, [(Ticket(5), Ok(()))]);

    let mut harness = asking();
    let busy = Fault::passing(FaultCode::RateLimited, "HTTP 429.").retry_after(Some(Duration::from_secs(3_000)));
    harness.answer(refused(busy));
    assert!(matches!(&harness.replies[..], [(Ticket(5), Err(CommandError::Failed(_)))]), "{:?}", harness.replies);

    let mut harness = signed_in(mail(), Some("r1"));
    harness.tell(Event::Command(Command::Refresh, Ticket(5)));
    assert_eq!(harness.replies, [(Ticket(5), Ok(()))], "the account's own has just come");
}

#[test]
fn a_clock_that_is_set_while_a_further_token_is_asked_for_tells_when_the_accounts_own_is_due() {
    for (ahead, due) in [(1, None), (86_400, Some(("r3", None)))] {
        let mut harness = with_mail().restarted(rules_with(&[("mail", "mail.read")]));
        harness.pass(10);
        assert_eq!(harness.refresh(), Some(("r2", Some("mail"))));
        harness.now.wall = harness.now.wall + Duration::from_secs(ahead);
        harness.tell(Event::ClockSet);
        harness.answer(refreshed("m2", "r3"));
        harness.pass(10);
        assert_eq!(harness.refresh(), due, "{ahead}");
    }
}

#[test]
fn a_further_token_is_withdrawn_at_its_end() {
    let mut harness = signed_in(mail(), Some("r1"));
    harness.answer(ProviderAnswer::Refresh(Ok(tokens("m1", Some("r2"), 100))));
    harness.published.clear();
    for _ in 0..100 {
        harness.pass(1);
        if !harness.asked.is_empty() {
            harness.answer(refused(Fault::passing(FaultCode::ProviderRefused, "Odd.")));
        }
    }
    assert_eq!((harness.further("mail"), harness.token().as_deref()), (None, Some("a1")));
    assert!(harness.published.contains(&Topic::FurtherToken(name("mail"))));
}

#[test]
fn a_restart_brings_the_token_back_unless_it_was_got_for_something_else() {
    let harness = with_mail();
    let again = harness.restarted(mail());
    assert_eq!((again.further("mail").as_deref(), again.asked.len()), (Some("m1"), 0));
    let mut other = harness.restarted(rules_with(&[("mail", "mail.read")]));
    assert_eq!(other.further("mail"), None);
    other.pass(10);
    assert_eq!(other.refresh(), Some(("r2", Some("mail"))));
    let gone = harness.restarted(rules());
    assert!(gone.published.contains(&Topic::FurtherToken(name("mail"))), "the broker may still have it");
    assert!(gone.further("mail").is_none() && gone.status().tokens.is_empty());
    assert!(gone.disk.signed_in.is_some_and(|signed_in| signed_in.further.is_empty()), "nothing of it is kept");
}

#[test]
fn a_reload_adds_changes_and_removes_further_tokens() {
    let mut harness = with_mail();
    let reload = |harness: &mut Harness, rules: Rules| {
        harness.published.clear();
        harness.session.set_rules(rules);
        harness.tell(Event::Reconfigured);
        harness.tell(Event::PublishAll);
    };
    reload(&mut harness, rules_with(&[("drive", "files"), ("mail", "mail.send")]));
    assert_eq!((harness.refresh(), harness.further("mail").as_deref()), (Some(("r2", Some("drive"))), Some("m1")));
    harness.answer(refreshed("d1", "r3"));
    reload(&mut harness, rules_with(&[("drive", "files.read")]));
    assert_eq!((harness.further("drive"), harness.further("mail")), (None, None));
    assert!(harness.published.contains(&Topic::FurtherToken(name("mail"))));
    assert_eq!(harness.refresh(), Some(("r3", Some("drive"))));
    harness.answer(refreshed("d2", "r4"));
    assert_eq!(harness.further("drive").as_deref(), Some("d2"));
    assert_eq!(harness.disk.signed_in.as_ref().unwrap().further.len(), 1, "and nothing of the other is kept");
    harness.published.clear();
    harness.tell(Event::PublishAll);
    assert!(harness.published.contains(&Topic::FurtherToken(name("mail"))), "at every connection");
}

#[test]
fn a_sign_out_revokes_every_token_and_another_sign_in_brings_others() {
    let mut harness = with_mail();
    harness.tell(Event::Command(Command::Logout, Ticket(1)));
    let [(_, ProviderRequest::Revoke { access_tokens, .. })] = &harness.asked[..] else { panic!("a revocation") };
    assert_eq!(access_tokens.iter().map(Secret::expose).collect::<Vec<_>>(), ["a1", "m1"]);
    harness.answer(ProviderAnswer::Revoked(Ok(())));
    assert_eq!((harness.further("mail"), harness.disk.signed_in.is_none()), (None, true));
    assert!(harness.published.contains(&Topic::FurtherToken(name("mail"))));
    harness.tell(Event::Command(Command::Login, Ticket(2)));
    harness.answer(device_code());
    harness.pass(5);
    harness.answer(approved("b1", Some("s1"), 3_600));
    assert_eq!((harness.further("mail"), harness.refresh()), (None, Some(("s1", Some("mail")))));
}

#[test]
fn without_a_refresh_token_each_further_token_says_so() {
    let mut harness = signed_in(mail(), None);
    harness.pass(60);
    assert_eq!((harness.asked.len(), harness.error()), (0, None));
    assert_eq!((harness.further_error(), harness.token().as_deref()), (Some(FaultCode::NoRefreshToken), Some("a1")));
}

#[test]
fn a_password_brings_the_next_refresh_token_and_then_the_further_token() {
    let rules = Rules { acquisition: Acquisition::Unattended, ..mail() };
    let mut harness = Harness::new(restored_under(rules, Record::default(), START), START);
    harness.pass(10);
    harness.answer(ProviderAnswer::Granted(Ok(granted(tokens("a1", Some("r1"), 3_600)))));
    assert_eq!(harness.refresh(), Some(("r1", Some("mail"))));
    harness.answer(refused(invalid_grant()));
    assert_eq!(harness.refresh(), Some(("r1", None)));
    harness.answer(refused(invalid_grant()));
    harness.answer(ProviderAnswer::Granted(Ok(granted(tokens("a2", Some("r2"), 3_600)))));
    assert_eq!(harness.refresh(), Some(("r2", Some("mail"))));
    harness.answer(refreshed("m1", "r3"));
    assert_eq!((harness.further("mail").as_deref(), harness.further_error()), (Some("m1"), None));
}

#[test]
fn a_clock_that_is_set_changes_no_further_token_that_was_counted() {
    let mut harness = with_mail();
    let before = harness.session.next_wake();
    harness.now.wall = harness.now.wall + Duration::from_secs(86_400);
    harness.tell(Event::ClockSet);
    assert_eq!((harness.session.next_wake(), harness.further("mail").as_deref()), (before, Some("m1")));
    let expires_at = harness.status().tokens[0].expires_at.unwrap();
    assert_eq!(expires_at.since(harness.now.wall), Duration::from_secs(3_600));
}
