//! Signing out is final, at the provider and on the device.

use serde_json::json;

use crate::support::world::{Client, Setup};

#[test]
fn signing_out_revokes_the_tokens_and_a_flow_sees_that_there_is_none() {
    let mut world = Setup::new().account("garden").account("house").start();
    let token = world.sign_in("garden");
    world.sign_in("house");
    let answer = world.subscriber.request("logout", r#"{"account":"garden","transaction":9}"#);
    assert_eq!((&answer["status"], &answer["transaction"]), (&json!("ok"), &json!(9)), "{answer}");
    let withdrawn = world.wait("garden", "token", |token| token["access_token"].is_null()).json;
    assert_eq!(withdrawn["authorization"], json!(null));
    assert_eq!(withdrawn["account"], "garden");
    let status = world.wait_for_state("garden", "signed_out");
    assert_eq!((&status["needs_user"], &status["error"]), (&json!(true), &json!(null)));
    assert_eq!(world.oidc().me(token.access_token().unwrap()).status, 401);

    // It stays so, and the other account is as it was.
    world.kill_agent();
    let mark = world.subscriber.mark();
    world.start_agent();
    let status = world.subscriber.wait_after(mark, "oauth2mqtt/garden/status", |_| true);
    assert_eq!(status.json["state"], "signed_out");
    world.subscriber.wait_after(mark, "oauth2mqtt/house/token", |token| token["access_token"].is_string());
}

#[test]
fn signing_out_works_for_clients_with_a_secret_too() {
    let world = Setup::new()
        .account_with("body", Client::SecretInBody, "")
        .account_with("header", Client::SecretInHeader, "")
        .start();
    for account in ["body", "header"] {
        let token = world.sign_in(account);
        let ended = world.cli(&["logout", account]);
        assert_eq!(ended.code(), 0, "{ended:?}");
        assert_eq!(world.oidc().me(token.access_token().unwrap()).status, 401);
    }
}

#[test]
fn a_device_signs_out_even_if_the_provider_does_not_hear_of_it() {
    let mut world = Setup::new().account("garden").start();
    world.sign_in("garden");
    world.kill_provider();
    assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
    let status = world.wait("garden", "status", |status| status["error"]["code"] == "not_revoked").json;
    assert_eq!(status["state"], "signed_out", "{status}");
    world.wait("garden", "token", |token| token["access_token"].is_null());
    world.wait_for_log(&["not_revoked"]);
}

#[test]
fn signing_out_gives_up_a_sign_in_that_waits_too() {
    let world = Setup::new().account("garden").start();
    world.login("garden");
    assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
    world.wait("garden", "signin", |sign_in| sign_in["pending"] == false);
    world.wait_for_state("garden", "signed_out");
}
