//! A refresh token that was obtained elsewhere: taken in once, and the device's own from then on.

use std::fs;

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_until};
use crate::support::oidc::token_from_elsewhere;
use crate::support::world::{Setup, World};

const IMPORTED: &str = r#"
    issuer = "{issuer}"
    grant = "refresh_token"
    client_id = "importing"
    refresh_token_file = "imported.token"
    scopes = ["openid"]"#;

/// Everything but the agent, with a token of this user's in the file.
fn prepared(login: &str) -> World {
    let world = Setup::new().account_as("garden", IMPORTED).without_agent();
    put_token(&world, login);
    world
}

fn put_token(world: &World, login: &str) {
    let token = token_from_elsewhere(world.oidc(), "importing", login);
    fs::write(world.folder().join("imported.token"), format!("{token}\n")).unwrap();
}

#[track_caller]
fn next_token(world: &World, mark: usize) -> String {
    let token = world.subscriber.wait_after(mark, "oauth2mqtt/garden/token", |token| token["access_token"].is_string());
    token.access_token().unwrap().to_owned()
}

#[test]
fn a_token_from_elsewhere_is_taken_in_once_and_then_replaced_like_any_other() {
    let mut world = prepared("ann").started();
    let first = next_token(&world, 0);
    assert_eq!(world.oidc().me(&first).body["sub"], "ann");
    assert_eq!(world.wait_for_state("garden", "active")["grant"], "refresh_token");
    assert_eq!(world.refresh("garden")["status"], "ok");

    // The file still has the first, which this provider would not take twice.
    world.kill_agent();
    world.start_agent();
    assert_eq!(world.refresh("garden")["status"], "ok");
    let presented: Vec<_> = world.oidc().refreshes().into_iter().map(|refresh| refresh.presented).collect();
    let unlike: std::collections::HashSet<_> = presented.iter().collect();
    assert_eq!(unlike.len(), presented.len(), "a refresh token was used twice");
    assert!(world.oidc().refreshes().iter().all(|refresh| refresh.rotated));

    // It is not needed any more.
    fs::remove_file(world.folder().join("imported.token")).unwrap();
    assert_eq!(world.cli(&["check"]).code(), 0);
    world.stop_agent();
    let mark = world.subscriber.mark();
    world.start_agent();
    next_token(&world, mark);
    assert_eq!(world.refresh("garden")["status"], "ok");
}

#[test]
fn another_token_in_the_file_takes_the_place_of_the_first() {
    let mut world = prepared("ann").started();
    next_token(&world, 0);
    world.stop_agent();
    put_token(&world, "ben");
    let mark = world.subscriber.mark();
    world.start_agent();
    let is_bens =
        |token: &Value| token["access_token"].as_str().is_some_and(|token| world.oidc().me(token).body["sub"] == "ben");
    world.subscriber.wait_after(mark, "oauth2mqtt/garden/token", is_bens);
}

#[test]
fn a_token_from_elsewhere_that_is_no_longer_good_is_said_to_be_so_and_not_tried_for_ever() {
    let world = prepared("ann");
    world.oidc().end_grants("ann");
    let world = world.started();
    let status = world.wait("garden", "status", |status| status["error"].is_object()).json;
    assert_eq!((&status["state"], &status["error"]["code"]), (&json!("signed_out"), &json!("invalid_grant")));
    assert_eq!(status["needs_user"], true, "{status}");
    wait_until("the refusal", SOON, || world.oidc().refreshes().len() == 1);
    let answer = world.subscriber.request("login", "garden");
    assert_eq!(answer["status"], "error", "{answer}");
    assert_eq!(world.oidc().refreshes().len(), 1);
}
