//! A flow always has a good token, because the next one is there before the last one ends.

use std::time::Duration;

use serde_json::json;

use crate::support::clock::{SOON, unix_now, wait_for, wait_until};
use crate::support::subscriber::Subscriber;
use crate::support::world::{Client, Setup};

#[test]
fn tokens_are_renewed_before_they_end_with_the_refresh_token_of_the_last_answer() {
    let world = Setup::new().token_life(8).account("garden").start();
    let mut token = world.sign_in("garden");
    for _ in 0..3 {
        let last = token.access_token().unwrap().to_owned();
        token = world.wait("garden", "token", |token| token["access_token"] != last.as_str());
        assert_eq!(world.oidc().me(token.access_token().unwrap()).status, 200);
    }
    let refreshes = world.oidc().refreshes();
    assert!(refreshes.iter().all(|refresh| refresh.rotated && refresh.error.is_none()), "{refreshes:?}");
    for pair in refreshes.windows(2) {
        assert_eq!(pair[1].presented, pair[0].refresh_token);
        let pause = pair[1].received_at - pair[0].received_at;
        // 70 to 80 % of eight seconds.
        assert!((5.0..=7.0).contains(&pause), "{pause}");
    }
    // There was a good token all the time.
    let tokens = world.subscriber.on("oauth2mqtt/garden/token");
    let first = tokens.iter().position(|message| message.access_token().is_some()).unwrap();
    assert!(tokens[first..].iter().all(|message| message.access_token().is_some()), "{tokens:?}");
}

#[test]
fn a_token_that_nobody_renews_is_withdrawn_before_it_ends() {
    let world = Setup::new().token_life(8).account_with("garden", Client::Public, "scopes = [\"openid\"]").start();
    let token = world.sign_in("garden");
    let expires_at = token.json["expires_at"].as_f64().unwrap();
    let withdrawn = world.wait("garden", "token", |token| token["access_token"].is_null());
    assert!(withdrawn.arrived_at < expires_at, "withdrawn at {} of {expires_at}", withdrawn.arrived_at);
    assert!(withdrawn.arrived_at > expires_at - 2.5, "withdrawn at {} of {expires_at}", withdrawn.arrived_at);
    let status = world.wait_for_state("garden", "signed_out");
    assert_eq!((&status["needs_user"], &status["error"]["code"]), (&json!(true), &json!("no_refresh_token")));
}

#[test]
fn the_broker_forgets_a_token_by_itself_when_the_agent_is_gone() {
    let mut world = Setup::new().token_life(8).account("garden").start();
    let token = world.sign_in("garden");
    world.kill_agent();
    wait_until("the end of the token", SOON, || unix_now() > token.json["expires_at"].as_f64().unwrap() - 1.0);
    let late = Subscriber::connect(world.broker.port());
    // What is retained arrives in one go; once the will is here, so would be a token.
    late.wait("oauth2mqtt/bridge/state", |state| state["state"] == "offline");
    late.wait("oauth2mqtt/garden/status", |_| true);
    assert_eq!(late.latest("oauth2mqtt/garden/token").map(|message| message.text), None);
}

#[test]
fn a_provider_that_ends_the_grant_ends_the_sign_in_and_only_the_user_can_help() {
    let world = Setup::new().account("garden").start();
    let token = world.sign_in("garden");
    // The answer to a refresh is lost on its way: the provider then sees the old refresh token a second time.
    world.oidc().fault("lost", 1, &json!({}));
    world.refresh("garden");
    let status = world.wait("garden", "status", |status| status["error"]["code"] == "refresh_interrupted").json;
    assert_eq!((&status["state"], &status["needs_user"]), (&json!("signed_out"), &json!(true)));
    let message = status["error"]["message"].as_str().unwrap();
    assert!(message.contains("cut off before its answer arrived") && message.contains("Sign in again"), "{status}");
    assert!(status["error"]["retry_at"].is_null(), "{status}");
    world.wait("garden", "token", |token| token["access_token"].is_null());
    assert_eq!(world.oidc().me(token.access_token().unwrap()).status, 401);
    let asked = world.oidc().log().len();
    assert_eq!(world.oidc().log().last().unwrap().detail.as_deref(), Some("refresh token already used"));

    let again = world.sign_in("garden");
    assert_eq!(world.oidc().me(again.access_token().unwrap()).status, 200);
    let status = world.wait_for_state("garden", "active");
    assert!(status["error"].is_null(), "{status}");
    // The refused token was not tried again meanwhile.
    assert!(world.oidc().log()[asked..].iter().all(|request| request.grant_type.as_deref() == Some("device_code")));
}

#[test]
fn a_refresh_answer_that_takes_long_makes_no_token_look_younger() {
    let world = Setup::new().token_life(8).provider("latency_ms", json!([1_200, 1_200])).account("garden").start();
    let mut token = world.sign_in("garden");
    for _ in 0..2 {
        let last = token.access_token().unwrap().to_owned();
        token =
            world.wait("garden", "token", |token| token["access_token"].is_string() && token["access_token"] != *last);
        let refresh = world.oidc().refreshes().pop().unwrap();
        assert!(
            token.json["expires_at"].as_f64().unwrap() <= refresh.decided_at.unwrap() + 8.0,
            "{token:?} {refresh:?}"
        );
    }
}

#[test]
fn accounts_of_several_providers_live_side_by_side() {
    let world = Setup::new()
        .token_life(8)
        .account("garden")
        .account("house")
        .another_provider()
        .token_life(8)
        .account("orchard")
        .start();
    world.sign_in_at(0, "garden");
    world.sign_in_at(0, "house");
    world.sign_in_at(1, "orchard");
    let refreshed = |provider: usize, user: &str| {
        let refreshes = world.provider(provider).refreshes();
        refreshes.iter().filter(|refresh| refresh.user.as_deref() == Some(user) && refresh.rotated).count()
    };
    wait_until("two refreshes of each", Duration::from_secs(40), || {
        refreshed(0, "garden") >= 2 && refreshed(0, "house") >= 2 && refreshed(1, "orchard") >= 2
    });
    for (provider, account) in [(0, "garden"), (0, "house"), (1, "orchard")] {
        let me = wait_for("a token that the provider knows", SOON, || {
            let token = world.subscriber.latest(&format!("oauth2mqtt/{account}/token"))?;
            let me = world.provider(provider).me(token.access_token()?);
            (me.status == 200).then_some(me)
        });
        assert_eq!(me.body["sub"], account);
    }
}
