//! The password grant, for old services that have nothing better.

use serde_json::json;

use crate::support::process::Process;
use crate::support::server::Kind;
use crate::support::world::{Setup, World};

const LEGACY: &str = r#"
    issuer = "{issuer}"
    grant = "password"
    client_id = "legacy"
    client_secret_file = "legacy.secret"
    username = "ann"
    password_file = "ann.password"
    scopes = ["read"]"#;

fn world() -> World {
    Setup::on(Kind::Django).account_as("press", LEGACY).start()
}

#[test]
fn a_users_password_brings_a_token_that_is_refreshed_and_revoked_like_any_other() {
    let world = world();
    let token = world.wait("press", "token", |token| token["access_token"].is_string());
    assert_eq!(world.oidc().me(token.access_token().unwrap()).body["sub"], "ann");
    let status = world.wait_for_state("press", "active");
    assert_eq!((&status["grant"], &status["needs_user"]), (&json!("password"), &json!(false)));
    assert_eq!(world.refresh("press")["status"], "ok");
    let next = world.wait("press", "token", |new| {
        new["access_token"].is_string() && new["access_token"] != token.json["access_token"]
    });
    assert!(world.oidc().refreshes().iter().any(|refresh| refresh.rotated), "the password was used again");
    assert_eq!(world.subscriber.request("logout", "press")["status"], "ok");
    assert_eq!(world.oidc().me(next.access_token().unwrap()).status, 401);
}

#[test]
fn the_configuration_is_good_and_says_why_it_had_better_not_be_so() {
    let world = Setup::on(Kind::Django).account_as("press", LEGACY).without_agent();
    let ended = world.cli(&["check"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let said = ended.stdout + &ended.stderr;
    assert!(said.contains("password") && said.contains("RFC 9700") && said.contains("device_code"), "{said}");

    let mut agent = Process::start("the agent", &mut world.command(&["run"]));
    agent.wait_for("the warning", crate::support::clock::SOON, |agent| {
        (agent.stderr() + &agent.stdout()).contains("RFC 9700").then_some(())
    });
}

#[test]
fn a_password_that_is_wrong_is_not_tried_again_and_again() {
    let world = Setup::on(Kind::Django).account_as("press", LEGACY).without_agent();
    std::fs::write(world.folder().join("ann.password"), "mistyped\n").unwrap();
    let world = world.started();
    let status = world.wait("press", "status", |status| status["error"].is_object()).json;
    assert_eq!((&status["state"], &status["error"]["code"]), (&json!("signed_out"), &json!("invalid_grant")));
    let retry_at = status["error"]["retry_at"].as_f64();
    assert!(retry_at.is_none_or(|at| at > crate::support::clock::unix_now() + 60.0), "{status}");
    assert_eq!(world.oidc().log().len(), 1);
    assert!(!world.log_up_to_now().contains("mistyped"));
}
