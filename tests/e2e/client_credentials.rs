//! An account without a user: the client's own right is enough, and the agent sees to it by itself.

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_for};
use crate::support::server::Kind;
use crate::support::world::{Setup, World};

/// Characters in id and secret that have a meaning in URLs, in forms and in Basic authentication.
pub(crate) const ODD: &str = r#"
    issuer = "{issuer}"
    grant = "client_credentials"
    client_id = "machine +/:%41&=?"
    client_secret_file = "machine.secret"
    client_auth = "client_secret_basic"
    scopes = ["measure"]"#;

const DJANGO: &str = r#"
    issuer = "{issuer}"
    grant = "client_credentials"
    client_id = "machine"
    client_secret_file = "machine.secret"
    scopes = ["read"]"#;

/// The token is there without anybody's doing, and is the client's own.
#[track_caller]
fn has_token_by_itself(world: &World, owner: &str) -> String {
    let token = world.wait("machine", "token", |token| token["access_token"].is_string());
    let me = world.oidc().me(token.access_token().unwrap());
    assert_eq!((me.status, &me.body["sub"]), (200, &json!(owner)), "{}", me.body);
    let status = world.wait_for_state("machine", "active");
    assert_eq!((&status["grant"], &status["needs_user"]), (&json!("client_credentials"), &json!(false)), "{status}");
    token.access_token().unwrap().to_owned()
}

/// Waits for another token than this one.
#[track_caller]
fn next_token(world: &World, former: &str) -> String {
    let fresh = |token: &Value| token["access_token"].is_string() && token["access_token"] != former;
    world.wait("machine", "token", fresh).access_token().unwrap().to_owned()
}

#[test]
fn a_client_with_odd_characters_in_id_and_secret_has_a_token_and_the_next_one_in_time() {
    let world = Setup::new().token_life(6).account_as("machine", ODD).start();
    let first = has_token_by_itself(&world, "machine +/:%41&=?");
    // There is no refresh token: the same grant brings the next.
    let second = next_token(&world, &first);
    assert_eq!(world.oidc().me(&second).status, 200);
    assert!(world.oidc().log().iter().all(|asked| asked.grant_type.as_deref() == Some("client_credentials")));
    assert!(world.wait("machine", "signin", |_| true).json["pending"] == false);
}

#[test]
fn another_real_server_gives_a_client_its_token_too() {
    let world = Setup::on(Kind::Django).account_as("machine", DJANGO).start();
    let first = has_token_by_itself(&world, "machine");
    // Just after the first the agent does not ask again.
    let second = wait_for("another token", SOON, || {
        assert_eq!(world.subscriber.request("refresh", "machine")["status"], "ok");
        Some(has_token_by_itself(&world, "machine")).filter(|token| *token != first)
    });
    assert_eq!(world.oidc().me(&second).status, 200);
}

#[test]
fn a_restart_does_not_ask_for_another_token_while_the_old_one_is_good() {
    let mut world = Setup::new().account_as("machine", ODD).start();
    let token = has_token_by_itself(&world, "machine +/:%41&=?");
    world.kill_agent();
    let mark = world.subscriber.mark();
    world.start_agent();
    let again =
        world.subscriber.wait_after(mark, "oauth2mqtt/machine/token", |token| token["access_token"].is_string());
    assert_eq!(again.access_token(), Some(token.as_str()));
    assert_eq!(world.oidc().log().len(), 1);
}

#[test]
fn signing_out_revokes_the_token_and_lasts_until_somebody_signs_in_again() {
    let mut world = Setup::new().account_as("machine", ODD).start();
    let token = has_token_by_itself(&world, "machine +/:%41&=?");
    assert_eq!(world.cli(&["logout", "machine"]).code(), 0);
    world.wait_for_state("machine", "signed_out");
    assert_eq!(world.oidc().me(&token).status, 401);
    world.stop_agent();
    let mark = world.subscriber.mark();
    world.start_agent();
    let status = world.subscriber.wait_after(mark, "oauth2mqtt/machine/status", |_| true).json;
    assert_eq!(status["state"], "signed_out");
    let asked = world.oidc().log().len();
    assert_eq!(world.cli(&["login", "machine"]).code(), 0);
    has_token_by_itself(&world, "machine +/:%41&=?");
    assert_eq!((asked, world.oidc().log().len()), (1, 2), "it asked before anybody signed in again");
}

#[test]
fn a_secret_that_the_provider_does_not_know_is_said_to_be_wrong() {
    let world = Setup::new().account_as("machine", ODD).without_agent();
    std::fs::write(world.folder().join("machine.secret"), "another secret\n").unwrap();
    let world = world.started();
    let status = world.wait("machine", "status", |status| status["error"].is_object()).json;
    assert_eq!((&status["state"], &status["error"]["code"]), (&json!("signed_out"), &json!("invalid_client")));
    assert!(!world.log_up_to_now().contains("another secret"));
}

#[test]
fn a_machine_that_signs_for_itself_gets_the_tokens_of_authlibs_jwt_bearer_grant() {
    let machine = "issuer = \"{issuer}\"\ngrant = \"jwt_bearer\"\nclient_id = \"machine\"\n\
                   private_key_file = \"machine.pem\"\nscopes = [\"profile\"]";
    let world = Setup::on(Kind::Authlib).account_as("machine", machine).start();
    let token = world.wait("machine", "token", |token| token["access_token"].is_string());
    let me = world.oidc().me(token.access_token().unwrap());
    assert_eq!((me.status, &me.body["sub"]), (200, &json!("machine")), "{}", me.body);
    assert_eq!(world.wait_for_state("machine", "active")["grant"], "jwt_bearer");
}
