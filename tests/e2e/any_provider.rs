//! Providers that nobody has heard of: what follows the standards works by its issuer or its endpoints alone.

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_until};
use crate::support::server::Kind;
use crate::support::world::{Setup, World};

/// All that the documentation asks for.
const BY_ISSUER: &str = r#"
    issuer = "{issuer}"
    client_id = "device-public"
    scopes = ["profile", "offline_access"]"#;

/// Its metadata does not tell where devices sign in.
const BY_ENDPOINTS: &str = r#"
    device_authorization_endpoint = "{issuer}/device-authorization/"
    token_endpoint = "{issuer}/token/"
    revocation_endpoint = "{issuer}/revoke_token/"
    client_id = "device-public"
    scopes = ["read"]"#;

fn authlib() -> Setup {
    Setup::on(Kind::Authlib).provider("interval", 1)
}

/// From the first code to the end of the sign-in, at whatever provider it is.
#[track_caller]
fn lives_a_whole_life(world: &World, account: &str, scope: &str) {
    let token = world.sign_in_as(account, "ann");
    assert_eq!(world.oidc().me(token.access_token().unwrap()).body["sub"], "ann");
    assert_eq!(token.json["scope"], scope);
    assert_eq!(world.refresh(account)["status"], "ok");
    let fresh = |new: &Value| new["access_token"].is_string() && new["access_token"] != token.json["access_token"];
    let next = world.wait(account, "token", fresh);
    assert_eq!(world.oidc().me(next.access_token().unwrap()).body["sub"], "ann");
    assert!(world.oidc().refreshes().iter().all(|refresh| refresh.rotated), "{:?}", world.oidc().refreshes());
    assert_eq!(world.subscriber.request("logout", account)["status"], "ok");
    world.wait_for_state(account, "signed_out");
    assert_eq!(world.oidc().me(next.access_token().unwrap()).status, 401);
}

#[test]
fn a_provider_without_a_preset_needs_an_issuer_a_client_and_scopes_and_no_code() {
    let world = authlib().account_as("garden", BY_ISSUER).start();
    assert!(!world.cli(&["providers"]).stdout.to_lowercase().contains("authlib"));
    lives_a_whole_life(&world, "garden", "profile offline_access");
}

#[test]
fn a_provider_without_metadata_needs_its_endpoints_and_no_code() {
    let world = Setup::on(Kind::Django).account_as("garden", BY_ENDPOINTS).start();
    lives_a_whole_life(&world, "garden", "read");
}

#[test]
fn an_endpoint_that_the_metadata_leaves_out_is_named_beside_the_issuer() {
    let settings = r#"
        issuer = "{issuer}"
        device_authorization_endpoint = "{issuer}/device-authorization/"
        client_id = "device-post"
        client_secret_file = "device-post.secret"
        scopes = ["read", "write"]"#;
    let world = Setup::on(Kind::Django).account_as("garden", settings).start();
    lives_a_whole_life(&world, "garden", "read write");
}

#[test]
fn a_client_with_a_secret_is_known_at_another_provider_too() {
    let settings = r#"
        issuer = "{issuer}"
        client_id = "device-post"
        client_secret_file = "device-post.secret"
        scopes = ["profile"]"#;
    lives_a_whole_life(&authlib().account_as("garden", settings).start(), "garden", "profile");
}

#[test]
fn a_users_no_is_understood_at_every_provider() {
    for (setup, settings) in [(authlib(), BY_ISSUER), (Setup::on(Kind::Django), BY_ENDPOINTS)] {
        let world = setup.account_as("garden", settings).start();
        let code = world.login("garden");
        world.oidc().deny(code["user_code"].as_str().unwrap());
        let status = world.wait("garden", "status", |status| status["error"].is_object()).json;
        assert_eq!((&status["state"], &status["error"]["code"]), (&json!("signed_out"), &json!("access_denied")));
    }
}

#[test]
fn a_busy_provider_is_polled_as_slowly_as_it_asks_by_its_own_clock() {
    let world = authlib().provider("busy_polls", 1).account_as("garden", BY_ISSUER).start();
    let code = world.login("garden");
    world.oidc().next_token_request(2, SOON);
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    world.wait_for_state("garden", "active");
    let polls = world.oidc().log();
    let errors: Vec<_> = polls.iter().map(|poll| poll.error.as_deref()).collect();
    assert_eq!(errors, [Some("slow_down"), Some("authorization_pending"), Some("authorization_pending"), None]);
    for pair in polls.windows(2) {
        let waited = pair[1].received_at - pair[0].received_at;
        assert!((6.0..9.0).contains(&waited), "{waited}: {pair:?}");
    }
}

/// What becomes of a sign-in whose code the provider no longer knows.
#[track_caller]
fn forgotten(setup: Setup, settings: &str, code: &str) {
    let mut world = setup.account_as("garden", settings).start();
    let shown = world.login("garden");
    world.replace_provider();
    let status = world.wait("garden", "status", |status| status["state"] == "signed_out").json;
    assert_eq!((&status["error"]["code"], &status["needs_user"]), (&json!(code), &json!(true)), "{status}");
    world.wait("garden", "signin", |sign_in| sign_in["pending"] == false);
    let again = world.login("garden");
    assert_ne!(again["user_code"], shown["user_code"]);
    world.oidc().approve(again["user_code"].as_str().unwrap(), "ann");
    world.wait_for_state("garden", "active");
}

#[test]
fn a_code_that_the_provider_has_forgotten_and_calls_an_invalid_request_ends_the_sign_in() {
    forgotten(authlib(), BY_ISSUER, "invalid_request");
}

#[test]
fn a_code_that_the_provider_has_forgotten_and_answers_with_404_ends_the_sign_in() {
    forgotten(Setup::on(Kind::Django), BY_ENDPOINTS, "provider_refused");
}

#[test]
fn a_refresh_token_that_was_used_before_ends_the_sign_in_and_asks_the_user() {
    let world = Setup::on(Kind::Django).account_as("garden", BY_ENDPOINTS).start();
    world.sign_in_as("garden", "ann");
    // Somebody else has the device's refresh token, and was faster.
    let stolen = world.oidc().secrets().refresh_token.pop().unwrap();
    let form = format!("grant_type=refresh_token&client_id=device-public&refresh_token={stolen}");
    assert_eq!(world.oidc().post_form("/o/token/", &form).status, 200);
    let answer = world.refresh("garden");
    assert_eq!((&answer["status"], &answer["code"]), (&json!("error"), &json!("invalid_grant")), "{answer}");
    let status = world.wait("garden", "status", |status| status["needs_user"] == true).json;
    assert_eq!(status["error"]["code"], "invalid_grant");
    world.wait("garden", "token", |token| token["access_token"].is_null());
    wait_until("the grant's end at the provider", SOON, || {
        world.oidc().log().last().is_some_and(|last| last.error.as_deref() == Some("invalid_grant"))
    });
}

/// Metadata whose device authorization endpoint is at this place.
fn metadata(device: &str) -> Value {
    json!({ "metadata": [{ "status": 200, "json": {
        "issuer": "$issuer", "token_endpoint": "$at.token", "device_authorization_endpoint": device,
    } }] })
}

#[test]
fn an_endpoint_that_has_moved_is_found_where_the_metadata_names_it_by_then() {
    let providers = json!({ "plain": { "answers": metadata("$issuer/former") } });
    let settings = "issuer = \"{issuer}\"\nclient_id = \"gateway\"\nscopes = [\"read\"]";
    let world = Setup::on(Kind::Fake).provider("providers", providers).account_as("garden", settings).start();
    assert_eq!(world.subscriber.request("login", "garden")["status"], "error");
    world.oidc().answer("plain", &metadata("$at.device"));
    world.sign_in("garden");
    // Nothing is asked of the issuer while its endpoints answer.
    let asked = world.oidc().seen("plain", "metadata").len();
    assert_eq!(world.refresh("garden")["status"], "ok");
    assert_eq!(world.oidc().seen("plain", "metadata").len(), asked);
    // Away for a while, it does not take what is known of it along.
    world.oidc().answer("plain", &json!({
        "metadata": [{ "status": 503 }], "device": [{ "status": 404, "html": "<h1>Not found</h1>" }, { "status": 404 }],
    }));
    assert_eq!(world.subscriber.request("login", "garden")["code"], "not_an_oauth_answer");
    assert_eq!(world.refresh("garden")["status"], "ok");
    assert_eq!(world.oidc().seen("plain", "metadata").len(), asked + 1);
}

#[test]
fn accounts_at_one_issuer_ask_for_its_metadata_once() {
    let settings = "issuer = \"{issuer}\"\nclient_id = \"gateway\"\nscopes = [\"read\"]";
    let providers = json!({ "plain": { "answers": metadata("$at.device") } });
    let setup = Setup::on(Kind::Fake).provider("providers", providers);
    let world = setup.account_as("garden", settings).account_as("porch", settings).start();
    world.sign_in("garden");
    world.sign_in("porch");
    assert_eq!(world.oidc().seen("plain", "metadata").len(), 1);
}
