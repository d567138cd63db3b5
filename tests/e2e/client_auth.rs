//! How a client shows that it is itself: at every endpoint in the same way, and never in two ways at once.

use serde_json::json;

use crate::support::server::Kind;
use crate::support::world::{Setup, World};

/// A client that signs assertions with this key.
fn with_key(grant: &str, key: &str, scopes: &str) -> String {
    format!(
        "issuer = \"{{issuer}}\"\ngrant = \"{grant}\"\nclient_id = \"device-jwt\"\nprivate_key_file = \"{key}.pem\"\n\
         private_key_id = \"{key}\"\nclient_auth = \"private_key_jwt\"\nscopes = [{scopes}]"
    )
}

const OFFLINE: &str = "\"openid\", \"offline_access\"";

#[test]
fn a_client_with_a_key_signs_in_refreshes_and_signs_out() {
    let world = Setup::new().account_as("garden", &with_key("device_code", "es256", OFFLINE)).start();
    let token = world.sign_in("garden");
    assert_eq!(world.oidc().me(token.access_token().unwrap()).body["sub"], "garden");
    assert_eq!(world.refresh("garden")["status"], "ok");
    let next = world.wait("garden", "token", |new| {
        new["access_token"].is_string() && new["access_token"] != token.json["access_token"]
    });
    assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
    assert_eq!(world.oidc().me(next.access_token().unwrap()).status, 401);
    // Each assertion is used once (RFC 7523 3, jti).
    let assertions = world.oidc().secrets().client_assertion;
    let unlike: std::collections::HashSet<_> = assertions.iter().collect();
    assert!(assertions.len() >= 4 && unlike.len() == assertions.len(), "{}", assertions.len());
}

#[test]
fn keys_of_every_supported_kind_are_accepted() {
    let keys = ["es256", "rs256", "eddsa"];
    let setup = Setup::new().provider("keys", json!(["ES256", "RS256", "EdDSA"]));
    let world = keys
        .iter()
        .fold(setup, |setup, key| setup.account_as(key, &with_key("client_credentials", key, "\"measure\"")))
        .start();
    for key in keys {
        let token = world.wait(key, "token", |token| token["access_token"].is_string());
        assert_eq!(world.oidc().me(token.access_token().unwrap()).status, 200, "{key}");
    }
}

/// A scripted provider whose metadata names these ways to authenticate.
fn scripted(methods: &serde_json::Value, settings: &str) -> World {
    let metadata = json!({
        "issuer": "$issuer", "token_endpoint": "$at.token", "device_authorization_endpoint": "$at.device",
        "revocation_endpoint": "$at.revoke", "token_endpoint_auth_methods_supported": methods,
    });
    let providers = json!({ "plain": { "answers": { "metadata": [{ "status": 200, "json": metadata }] } } });
    let base = "issuer = \"{issuer}\"\nscopes = [\"read\"]\nclient_secret_file = \"the.secret\"\n";
    Setup::on(Kind::Fake).provider("providers", providers).account_as("garden", &format!("{base}{settings}")).start()
}

/// Signs in, refreshes and signs out, and checks how the client showed itself each time.
#[track_caller]
fn shows_itself(world: &World, client_id: &str, by_header: bool) {
    world.sign_in_as("garden", "ann");
    assert_eq!(world.refresh("garden")["status"], "ok");
    assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
    for endpoint in ["device", "token", "revoke"] {
        let seen = world.oidc().seen("plain", endpoint);
        assert!(!seen.is_empty(), "{endpoint}");
        for asked in seen {
            assert_eq!((asked.method.as_str(), asked.query.as_str()), ("POST", ""), "{asked:?}");
            assert_eq!(asked.content_type.as_deref(), Some("application/x-www-form-urlencoded"), "{asked:?}");
            assert_eq!(asked.accept.as_deref(), Some("application/json"), "{asked:?}");
            assert_eq!(asked.authorization.as_deref(), by_header.then_some("Basic"), "{asked:?}");
            assert_eq!(asked.basic_user.as_deref(), by_header.then_some(client_id), "{asked:?}");
            assert_eq!(asked.params.contains_key("client_secret"), !by_header, "{asked:?}");
            if !by_header {
                assert_eq!(asked.params["client_id"], client_id, "{asked:?}");
            }
        }
    }
}

#[test]
fn the_secret_goes_into_the_body_where_the_metadata_says_so() {
    let world = scripted(&json!(["client_secret_post"]), "client_id = \"gateway\"");
    shows_itself(&world, "gateway", false);
}

#[test]
fn the_secret_goes_into_the_header_where_the_metadata_says_so_and_is_encoded_as_the_standard_wants() {
    let world = scripted(&json!(["client_secret_basic"]), "client_id = \"the gate: 100%+/\"");
    shows_itself(&world, "the gate: 100%+/", true);
}

#[test]
fn the_configuration_has_the_last_word_on_how_a_client_shows_itself() {
    let basic = "client_id = \"gateway\"\nclient_auth = \"client_secret_basic\"";
    shows_itself(&scripted(&json!(["client_secret_post"]), basic), "gateway", true);
    let post = "client_id = \"gateway\"\nclient_auth = \"client_secret_post\"";
    shows_itself(&scripted(&json!(["client_secret_basic"]), post), "gateway", false);
}

#[test]
fn the_next_way_to_authenticate_is_told_in_the_journal_where_the_first_is_refused() {
    let device = json!({
        "device_code": "$", "user_code": "$", "verification_uri": "$issuer/activate", "expires_in": 600, "interval": 1,
    });
    for code in ["invalid_client", "unauthorized_client"] {
        let answers = [json!({ "status": 401, "json": { "error": code } }), json!({ "status": 200, "json": device })];
        let world = Setup::on(Kind::Fake)
            .provider("providers", json!({ "plain": { "answers": { "device": answers } } }))
            .account_as(
                "garden",
                "issuer = \"{issuer}\"\nclient_id = \"gateway\"\nscopes = [\"read\"]\nclient_secret_file = \"the.secret\"",
            )
            .start();
        world.sign_in_as("garden", "ann");
        world.wait_for_log(&["takes the client in another way", "client_secret_basic"]);
        let ways = |endpoint: &str| -> Vec<_> {
            world.oidc().seen("plain", endpoint).into_iter().map(|asked| asked.authorization).collect()
        };
        assert_eq!(ways("device"), [None, Some("Basic".to_owned())], "{code}");
        assert!(ways("token").iter().all(|way| way.as_deref() == Some("Basic")), "{code}");
    }
}
