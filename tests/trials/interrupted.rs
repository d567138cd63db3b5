//! A refresh cut in two: the provider has given new tokens, and their bearer never arrived.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::provider::{Fault, Provider, access_token};
use crate::report::{Row, scaled};
use crate::support::clock::{SOON, unix_now, wait_until};
use crate::support::server::Kind;
use crate::support::world::Setup;

/// How the answer was kept from the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The connection was reset.
    Network,
    /// The agent was killed while it waited.
    Agent,
}

/// An account whose refresh was cut in two, at a provider that takes the used-up token for `grace` seconds more.
#[track_caller]
fn cut_in_two(cut: Cut, grace: f64) -> (Bench, Provider) {
    let mut bench = Bench::new();
    let provider = Provider::start("cut", 600).with_grace(grace);
    bench.account_at("cut", &provider);
    // Too near its end to be given to a flow: it is refreshed within seconds of the start.
    bench.sign_in([("cut".to_owned(), provider.refresh_token())], 600, 50);
    match cut {
        Cut::Network => {
            provider.inflict(Fault::Lost);
            bench.start();
            wait_until("the refresh", SOON, || !provider.asked().is_empty());
            provider.recover();
        }
        Cut::Agent => {
            provider.inflict(Fault::HeldBack);
            bench.start();
            wait_until("the refresh", SOON, || !provider.asked().is_empty());
            bench.kill();
            provider.recover();
            bench.start();
        }
    }
    (bench, provider)
}

#[test]
fn within_a_providers_grace_a_refresh_that_was_cut_in_two_is_done_again() {
    let rounds = scaled(1, 5);
    for cut in [Cut::Network, Cut::Agent] {
        let mut slowest = 0.0_f64;
        for _ in 0..rounds {
            let (bench, provider) = cut_in_two(cut, 30.0);
            let over = unix_now();
            let token = bench
                .subscriber
                .wait("oauth2mqtt/cut/token", |token| token["access_token"] == access_token("cut", 1).as_str());
            slowest = slowest.max(token.arrived_at - over);
            let status = bench.subscriber.wait("oauth2mqtt/cut/status", |status| status["error"].is_null());
            assert_eq!((&status.json["state"], &status.json["needs_user"]), (&"active".into(), &false.into()));
            let presented: Vec<_> = provider.asked().into_iter().map(|asked| asked.presented).collect();
            assert!(presented.len() == 2 && presented[0] == presented[1], "{presented:?}");
        }
        Row::new(format!("answer to a refresh lost ({cut:?} cut), provider with a grace period"), rounds)
            .recovered_in(Duration::from_secs_f64(slowest.max(0.0)))
            .write();
    }
}

#[test]
fn without_grace_the_user_is_asked_at_once_and_told_what_happened() {
    let rounds = scaled(1, 5);
    for cut in [Cut::Network, Cut::Agent] {
        for _ in 0..rounds {
            let (bench, provider) = cut_in_two(cut, 0.0);
            let status = bench.subscriber.wait("oauth2mqtt/cut/status", |status| status["needs_user"] == true).json;
            assert_eq!(status["error"]["code"], "refresh_interrupted", "{status}");
            assert!(status["error"]["retry_at"].is_null(), "{status}");
            assert_eq!(provider.asked().len(), 2, "{:?}", provider.asked());
        }
        let mut row =
            Row::new(format!("answer to a refresh lost ({cut:?} cut), provider without a grace period"), rounds);
        row.asked = rounds;
        row.remark("`refresh_interrupted`, at the first try after it").write();
    }
}

#[test]
fn a_certified_provider_that_ends_the_grant_is_told_from_one_that_lost_patience() {
    let mut world = Setup::new().provider("latency_ms", json!([1_500, 1_500])).account("garden").start();
    world.sign_in("garden");
    let before = world.oidc().refreshes().len();
    wait_until("a refresh that the provider has done", SOON, || {
        world.subscriber.send_request("refresh", "garden");
        world.oidc().refreshes().get(before).is_some_and(|refresh| refresh.decided_at.is_some())
    });
    world.kill_agent();
    world.start_agent();
    let status = world.wait("garden", "status", |status| status["needs_user"] == true).json;
    assert_eq!(status["error"]["code"], "refresh_interrupted", "{status}");
    world.sign_in("garden");
    let status = world.wait_for_state("garden", "active");
    assert!(status["error"].is_null(), "{status}");
    let mut row = Row::new("agent killed while oidc-provider held an answer back", 1);
    row.asked = 1;
    row.remark("`refresh_interrupted`").write();
}

/// A provider that nobody wrote for this test: it keeps a used-up token for its grace period, and ends the grant after.
#[test]
fn django_gives_the_answer_again_within_its_grace_period_and_ends_the_grant_without_one() {
    let settings = r#"
        device_authorization_endpoint = "{issuer}/device-authorization/"
        token_endpoint = "{issuer}/token/"
        client_id = "device-public"
        scopes = ["read"]"#;
    for grace in [30, 0] {
        let setup = Setup::on(Kind::Django).provider("grace_period", grace);
        let world = setup.account_as("garden", settings).start();
        let token = world.sign_in_as("garden", "ann");
        world.oidc().fault("lost", 1, &json!({}));
        assert_eq!(world.refresh("garden")["status"], "error");
        let over = unix_now();
        let mut row = Row::new(format!("answer to a refresh lost, django-oauth-toolkit with a grace of {grace} s"), 1);
        if grace > 0 {
            let fresh =
                |new: &Value| new["access_token"].is_string() && new["access_token"] != token.json["access_token"];
            let again = world.wait("garden", "token", fresh);
            assert_eq!(world.oidc().me(again.access_token().unwrap()).status, 200);
            let statuses = world.subscriber.on("oauth2mqtt/garden/status");
            let after = statuses.iter().filter(|status| status.arrived_at > over);
            assert!(after.into_iter().all(|status| status.json["needs_user"] == false));
            row = row.recovered_in(Duration::from_secs_f64(again.arrived_at - over));
        } else {
            let status = world.wait("garden", "status", |status| status["needs_user"] == true).json;
            assert_eq!(status["error"]["code"], "refresh_interrupted", "{status}");
            row.asked = 1;
        }
        row.write();
    }
}
