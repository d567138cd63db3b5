//! Nothing that passes costs a sign-in: outages, tired servers, captive portals.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_until};
use crate::support::world::Setup;

/// Two requests for the next token meet this fault; the token that is there stays good, and the third brings the next.
#[track_caller]
fn outlived(mode: &str, details: &Value, code: &str) {
    let world = Setup::new().account("garden").start();
    let token = world.sign_in("garden");
    world.oidc().fault(mode, 2, details);
    let answer = world.refresh("garden");
    assert_eq!((&answer["status"], &answer["code"]), (&json!("error"), &json!(code)), "{answer}");
    let status = world.wait("garden", "status", |status| status["error"]["code"] == code).json;
    assert_eq!((&status["state"], &status["needs_user"]), (&json!("active"), &json!(false)), "{status}");
    assert!(status["error"]["retry_at"].is_i64(), "{status}");
    assert_eq!(world.subscriber.latest("oauth2mqtt/garden/token").unwrap().json, token.json);

    let next = world.wait("garden", "token", |new| new["access_token"] != token.json["access_token"]);
    assert_eq!(world.oidc().me(next.access_token().unwrap()).status, 200);
    let status = world.wait("garden", "status", |status| status["error"].is_null()).json;
    assert_eq!(status["state"], "active");
    let faulty = world.oidc().log().iter().filter(|request| request.fault.is_some()).count();
    assert_eq!(faulty, 2);
}

#[test]
fn a_provider_that_is_down_for_maintenance_costs_no_sign_in() {
    outlived("status", &json!({ "status": 503 }), "provider_unavailable");
}

#[test]
fn a_captive_portal_with_a_page_costs_no_sign_in() {
    outlived("html", &json!({}), "not_an_oauth_answer");
}

#[test]
fn a_captive_portal_with_a_redirect_costs_no_sign_in() {
    outlived("redirect", &json!({}), "not_an_oauth_answer");
}

#[test]
fn an_empty_answer_costs_no_sign_in() {
    outlived("empty", &json!({}), "not_an_oauth_answer");
}

#[test]
fn a_connection_that_breaks_costs_no_sign_in() {
    outlived("reset", &json!({}), "provider_unreachable");
}

#[test]
fn an_error_page_of_a_proxy_costs_no_sign_in() {
    outlived("status", &json!({ "status": 407 }), "not_an_oauth_answer");
}

#[test]
fn a_provider_that_says_later_in_so_many_words_costs_no_sign_in() {
    let later = json!({ "status": 400, "body": { "error": "temporarily_unavailable" } });
    outlived("json", &later, "provider_unavailable");
}

#[test]
fn a_provider_that_hangs_costs_no_sign_in() {
    let world = Setup::new().token_life(8).account("garden").start();
    let token = world.sign_in("garden");
    world.oidc().fault("hang", 1, &json!({}));
    world.wait("garden", "token", |token| token["access_token"].is_null());
    let status = world.wait_for_state("garden", "expired");
    assert_eq!(status["needs_user"], false);
    let fresh = |new: &Value| new["access_token"].is_string() && new["access_token"] != token.json["access_token"];
    world.subscriber.wait_long("oauth2mqtt/garden/token", Duration::from_secs(60), fresh);
    world.wait_for_state("garden", "active");
}

#[test]
fn the_agent_waits_as_long_as_the_provider_asks_it_to() {
    let world = Setup::new().account("garden").start();
    world.sign_in("garden");
    world.oidc().fault("retry_after", 1, &json!({ "status": 429, "seconds": 7 }));
    let answer = world.refresh("garden");
    assert_eq!(answer["code"], "rate_limited", "{answer}");
    wait_until("the next try", SOON, || world.oidc().refreshes().last().is_some_and(|last| last.rotated));
    let refreshes = world.oidc().refreshes();
    let faulty = refreshes.iter().position(|refresh| refresh.fault.is_some()).unwrap();
    let waited = refreshes[faulty + 1].received_at - refreshes[faulty].received_at;
    assert!((7.0..=9.0).contains(&waited), "{waited}");
}

#[test]
fn an_outage_longer_than_a_token_lives_withdraws_the_token_and_ends_by_itself() {
    let world = Setup::new().token_life(8).account("garden").start();
    world.sign_in("garden");
    world.oidc().fault("status", 1_000, &json!({ "status": 503 }));
    let withdrawn = world.wait("garden", "token", |token| token["access_token"].is_null());
    assert!(withdrawn.json["authorization"].is_null());
    let status = world.wait_for_state("garden", "expired");
    assert_eq!(status["needs_user"], false);
    assert_eq!(status["error"]["code"], "provider_unavailable");
    world.oidc().fault("status", 0, &json!({}));
    let token =
        world.subscriber.wait_long("oauth2mqtt/garden/token", 2 * SOON, |token| token["access_token"].is_string());
    assert_eq!(world.oidc().me(token.access_token().unwrap()).status, 200);
    let status = world.wait_for_state("garden", "active");
    assert!(status["error"].is_null(), "{status}");
}

#[test]
fn a_sign_in_that_cannot_begin_says_why_and_can_be_asked_for_again() {
    let world = Setup::new().account("garden").start();
    world.oidc().fault_at("device_authorization", "status", 1, &json!({ "status": 503 }));
    let ended = world.cli(&["login", "garden"]);
    assert_eq!(ended.code(), 75, "{ended:?}");
    assert!(ended.stderr.contains("503"), "{}", ended.stderr);
    world.sign_in("garden");
}
