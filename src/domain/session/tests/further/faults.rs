//! What goes wrong with further tokens.

use super::*;

#[test]
fn a_refused_further_token_is_a_fault_of_this_token_alone() {
    let mut harness = signed_in(mail(), Some("r1"));
    harness.answer(refused(invalid_scope()));
    assert_eq!((harness.state(), harness.error()), (SessionState::Active, None));
    assert_eq!((harness.further_error(), harness.further("mail")), (Some(FaultCode::InvalidScope), None));
    assert!(harness.status().tokens[0].error.as_ref().unwrap().retry_at.is_some());
    harness.pass(2_700);
    assert_eq!(harness.refresh(), Some(("r1", None)), "in its time");
    harness.answer(refreshed("a2", "r2"));
    assert_eq!((harness.token().as_deref(), harness.further_error()), (Some("a2"), Some(FaultCode::InvalidScope)));
    harness.pass(1_000);
    assert_eq!(harness.refresh(), Some(("r2", Some("mail"))), "a person may have changed it at the provider");
    harness.answer(refreshed("m1", "r3"));
    assert_eq!((harness.further("mail").as_deref(), harness.further_error()), (Some("m1"), None));
}

#[test]
fn whether_the_sign_in_has_ended_its_own_refresh_tells() {
    // Entra answers so where nobody has consented to a resource.
    let mut harness = signed_in(mail(), Some("r1"));
    harness.answer(refused(invalid_grant()));
    assert_eq!((harness.refresh(), harness.error()), (Some(("r1", None)), None));
    harness.answer(refreshed("a2", "r2"));
    assert_eq!((harness.state(), harness.error()), (SessionState::Active, None));
    assert_eq!((harness.further_error(), harness.refresh()), (Some(FaultCode::InvalidGrant), None));

    let mut harness = with_mail();
    harness.pass(2_400);
    while harness.refresh().is_none_or(|(_, token)| token.is_none()) {
        harness.pass(10);
        if harness.refresh().is_some_and(|(_, token)| token.is_none()) {
            harness.answer(refreshed("a2", "r2"));
        }
    }
    harness.answer(refused(invalid_grant()));
    harness.answer(refused(invalid_grant()));
    assert_eq!((harness.state(), harness.error()), (SessionState::SignedOut, Some(FaultCode::InvalidGrant)));
    assert_eq!((harness.further("mail"), harness.further_error()), (None, None));
    assert!(harness.published.contains(&Topic::FurtherToken(name("mail"))));
}

#[test]
fn after_a_cut_during_its_request_a_provider_without_a_grace_period_is_named_as_the_cause() {
    let harness = signed_in(mail(), Some("r1"));
    assert_eq!(harness.refresh(), Some(("r1", Some("mail"))));
    let mut harness = harness.restarted(mail());
    harness.pass(10);
    while harness.state() == SessionState::Active {
        harness.answer(refused(invalid_grant()));
    }
    assert_eq!(harness.error(), Some(FaultCode::RefreshInterrupted));
}

#[test]
fn in_an_outage_further_tokens_wait_for_the_accounts_own() {
    let names: Vec<_> = (0..8).map(|number| format!("t{number}")).collect();
    let targets: Vec<_> = names.iter().map(|name| (name.as_str(), "s")).collect();
    let mut harness = signed_in(rules_with(&targets), Some("r1"));
    for number in 2..10 {
        harness.answer(refreshed(&format!("t{number}"), &format!("r{number}")));
    }
    let mut tries = 0;
    for _ in 0..7_200 {
        harness.pass(1);
        if !harness.asked.is_empty() {
            harness.answer(refused(outage()));
            tries += 1;
        }
    }
    assert!(tries < 30, "{tries} tries in two hours");
    assert_eq!((harness.state(), harness.further("t0")), (SessionState::Expired, None));
    harness.pass(24 * 60);
    for number in 20..29 {
        harness.answer(refreshed(&format!("t{number}"), &format!("r{number}")));
    }
    assert!(names.iter().all(|name| harness.further(name).is_some()) && harness.state() == SessionState::Active);
}

#[test]
fn an_outage_that_has_ended_for_one_token_has_ended_for_all() {
    let mut harness = signed_in(rules_with(&[("drive", "files"), ("mail", "mail.send")]), Some("r1"));
    while harness.refresh() != Some(("r1", None)) {
        if !harness.asked.is_empty() {
            harness.answer(refused(outage()));
        }
        harness.pass(1);
    }
    let retry_at = harness.status().tokens[0].error.as_ref().unwrap().retry_at;
    assert!(retry_at.unwrap() > harness.now.wall, "the account's own is due in its time");
    harness.answer(refreshed("a2", "r2"));
    assert_eq!(harness.refresh(), Some(("r2", Some("drive"))));
    harness.answer(refreshed("d1", "r3"));
    assert_eq!(harness.refresh(), Some(("r3", Some("mail"))));
}

#[test]
fn after_a_change_everything_is_tried_again_but_what_waits_for_the_provider() {
    let odd = Fault::passing(FaultCode::ProviderRefused, "Odd.");
    let busy = odd.clone().retry_after(Some(Duration::from_secs(3_000)));
    for (fault, is_tried) in [(odd, true), (busy, false), (outage(), false)] {
        let mut harness = signed_in(mail(), Some("r1"));
        harness.answer(refused(fault.clone()));
        harness.session.set_rules(rules_with(&[("mail", "mail.read")]));
        harness.tell(Event::Reconfigured);
        assert_eq!(harness.refresh().is_some(), is_tried, "{fault}");
    }
}

#[test]
fn a_wait_that_the_provider_asks_for_is_kept_by_all_tokens() {
    let mut harness = signed_in(mail(), Some("r1"));
    let busy = Fault::passing(FaultCode::RateLimited, "HTTP 429.").retry_after(Some(Duration::from_secs(3_000)));
    harness.answer(refused(busy));
    harness.tell(Event::Command(Command::Refresh, Ticket(5)));
    harness.pass(2_990);
    assert_eq!(harness.refresh(), None);
    harness.pass(800);
    assert_eq!(harness.refresh(), Some(("r1", None)));
}

#[test]
fn what_was_refused_is_tried_again_on_request_and_after_a_change() {
    for event in [Event::Reconfigured, Event::Command(Command::Refresh, Ticket(7))] {
        let mut harness = signed_in(mail(), Some("r1"));
        harness.answer(refused(invalid_scope()));
        harness.pass(10);
        harness.tell(event);
        if harness.refresh() == Some(("r1", None)) {
            harness.answer(refreshed("a2", "r2"));
        }
        assert_eq!(harness.refresh().unwrap().1, Some("mail"));
    }
}
