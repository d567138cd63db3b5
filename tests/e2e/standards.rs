//! What the standards ask of a client and no other test shows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::certificates::make_certificate;
use crate::support::server::Kind;
use crate::support::world::{Setup, World};

const PLAIN: &str = "issuer = \"{issuer}\"\nclient_id = \"gateway\"\nscopes = [\"read\"]";

/// A scripted provider with these answers.
fn answering(answers: &Value, settings: &str) -> World {
    Setup::on(Kind::Fake)
        .provider("providers", json!({ "plain": { "answers": answers } }))
        .account_as("garden", settings)
        .start()
}

fn ok(json: &Value) -> Value {
    json!([{ "status": 200, "json": json }])
}

#[test]
fn members_that_nobody_knows_are_passed_over_and_a_token_may_be_of_any_size() {
    // A token with all of a user's groups in it grows to tens of kilobytes.
    let long = "x".repeat(60_000);
    let token = json!({
        "access_token": long, "refresh_token": "$", "token_type": "Bearer", "expires_in": 3600,
        "ext_expires_in": 7200, "id_token": null, "nested": { "access_token": "not-this" }, "list": [1, 2],
    });
    let device = json!({
        "device_code": "$", "user_code": "$", "verification_uri": "$issuer/activate", "expires_in": 600, "interval": 1,
        "message": "To sign in, use a web browser.", "nested": { "user_code": "not-this" },
    });
    let world = answering(&json!({ "device": ok(&device), "granted": ok(&token) }), PLAIN);
    let message = world.sign_in_as("garden", "ann");
    assert_eq!(message.access_token().unwrap().len(), 60_000);
}

#[test]
fn scopes_that_the_answer_does_not_name_are_those_that_were_asked_for() {
    let world = answering(&json!({}), PLAIN);
    assert_eq!(world.sign_in_as("garden", "ann").json["scope"], "read");
    assert_eq!(world.oidc().seen("plain", "device")[0].params["scope"], "read");
    assert_eq!(world.refresh("garden")["status"], "ok");
    let refresh = world.oidc().seen("plain", "token").pop().unwrap();
    assert_eq!(refresh.params["grant_type"], "refresh_token");
    assert!(!refresh.params.contains_key("scope"), "{refresh:?}");
}

#[test]
fn an_error_ends_the_polling_for_good() {
    for (answer, code) in [("access_denied", "access_denied"), ("nothing_we_know", "provider_refused")] {
        let world = answering(&json!({ "denied": [{ "status": 400, "json": { "error": answer } }] }), PLAIN);
        let first = world.login("garden");
        world.oidc().deny(first["user_code"].as_str().unwrap());
        world.wait("garden", "status", |status| status["error"]["code"] == code);
        // The time that another sign-in takes would be enough for another poll.
        world.sign_in_as("garden", "ann");
        let polls = world.oidc().log();
        let refused = polls.iter().position(|poll| poll.error.as_deref() == Some(answer)).unwrap();
        let later = polls[refused + 1..].iter();
        assert_eq!(later.filter(|poll| poll.presented == polls[refused].presented).count(), 0, "{polls:?}");
    }
}

#[test]
fn polls_that_find_no_server_come_ever_more_seldom() {
    let mut pending = vec![json!({ "wire": "reset" }); 3];
    pending.push(json!({ "status": 400, "json": { "error": "authorization_pending" } }));
    let world = answering(&json!({ "pending": pending }), PLAIN);
    let code = world.login("garden");
    world.oidc().next_token_request(4, Duration::from_secs(40));
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    world.wait_for_state("garden", "active");
    let at: Vec<_> = world.oidc().log().iter().map(|poll| poll.received_at).collect();
    let waits: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Two, four and eight seconds, less up to a half by chance; then the interval again, which is one second.
    assert!(waits[0] >= 0.95 && waits[1] >= 1.95 && waits[2] >= 3.95, "{waits:?}");
    assert!(waits[3] < waits[2], "{waits:?}");
}

#[test]
fn metadata_that_another_issuer_has_written_is_not_used() {
    let metadata = json!({
        "issuer": "$issuer/another", "token_endpoint": "$at.token", "device_authorization_endpoint": "$at.device",
    });
    let world = answering(&json!({ "metadata": ok(&metadata) }), PLAIN);
    let answer = world.subscriber.request("login", "garden");
    assert_eq!((&answer["status"], &answer["code"]), (&json!("error"), &json!("discovery_failed")), "{answer}");
    for endpoint in ["device", "token", "revoke"] {
        assert!(world.oidc().seen("plain", endpoint).is_empty(), "{endpoint}");
    }
}

#[test]
fn endpoints_in_the_metadata_that_are_not_encrypted_are_not_used() {
    for endpoint in ["token_endpoint", "device_authorization_endpoint"] {
        let mut metadata = json!({
            "issuer": "$issuer", "token_endpoint": "$at.token", "device_authorization_endpoint": "$at.device",
        });
        metadata[endpoint] = json!("http://id.example.com/here");
        let world = answering(&json!({ "metadata": ok(&metadata) }), PLAIN);
        let answer = world.subscriber.request("login", "garden");
        assert_eq!((&answer["status"], &answer["code"]), (&json!("error"), &json!("discovery_failed")), "{answer}");
    }
}

#[test]
fn a_provider_with_a_certificate_of_a_stranger_is_told_nothing() {
    let folder = tempfile::tempdir().unwrap();
    make_certificate(folder.path(), &["github.com"]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut world = Setup::on(Kind::Fake)
        .provider("providers", json!({ "github": {} }))
        .provider("tls", json!({ "key": path("hosts.key"), "cert": path("hosts.pem") }))
        .account_as("garden", "provider = \"github\"\nclient_id = \"gateway\"\nscopes = [\"repo\"]")
        .without_agent();
    let mut command = world.command(&["--log", "trace", "run"]);
    command.env("HTTPS_PROXY", world.oidc().origin());
    world.start_agent_by(command);
    let answer = world.subscriber.request("login", "garden");
    assert_eq!((&answer["status"], &answer["code"]), (&json!("error"), &json!("tls_failed")), "{answer}");
    assert!(world.oidc().seen("github", "device").is_empty());
}

#[test]
fn an_access_token_that_the_agent_itself_uses_travels_in_the_header_alone() {
    let settings = format!("{}\nidentity = true", PLAIN.replace("\"read\"", "\"openid\", \"email\""));
    let world = answering(&json!({}), &settings);
    let code = world.login("garden");
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    world.wait("garden", "identity", |identity| identity["email"] == "ann@example.com");
    let asked = world.oidc().seen("plain", "userinfo").remove(0);
    assert_eq!((asked.method.as_str(), asked.query.as_str()), ("GET", ""));
    assert_eq!(asked.authorization.as_deref(), Some("Bearer"));
    assert!(asked.params.is_empty(), "{asked:?}");
}

#[test]
fn the_body_of_an_answer_to_a_revocation_does_not_matter_and_a_refusal_is_told() {
    for (answer, revoked) in [
        (json!({ "status": 200, "html": "<html>whatever</html>" }), true),
        (json!({ "status": 204 }), true),
        (json!({ "status": 503, "headers": { "retry-after": "60" } }), false),
        (json!({ "status": 400, "json": { "error": "unsupported_token_type" } }), false),
    ] {
        let world = answering(&json!({ "revoke": [answer] }), PLAIN);
        world.sign_in_as("garden", "ann");
        assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
        let expected = if revoked { Value::Null } else { json!("not_revoked") };
        let told = |status: &Value| status["state"] == "signed_out" && status["error"]["code"] == expected;
        world.wait("garden", "status", told);
        world.wait("garden", "token", |token| token["access_token"].is_null());
        let asked = world.oidc().seen("plain", "revoke");
        let hints: Vec<_> = asked.iter().map(|asked| asked.params["token_type_hint"].clone()).collect();
        assert_eq!(hints[0], "refresh_token", "{answer}");
        assert!(asked.iter().all(|asked| asked.params.contains_key("token") && asked.query.is_empty()), "{answer}");
        assert_eq!(world.log_up_to_now().contains("not_revoked"), !revoked, "{answer}");
    }
}

fn refused() -> Value {
    json!({ "status": 400, "json": { "error": "invalid_grant" } })
}

/// The metadata of a provider that asks clients to prove that a token is theirs.
fn binding_metadata() -> Value {
    ok(&json!({
        "issuer": "$issuer", "token_endpoint": "$at.token", "device_authorization_endpoint": "$at.device",
        "dpop_signing_alg_values_supported": ["ES256"], "tls_client_certificate_bound_access_tokens": true,
    }))
}

#[test]
fn an_invalid_grant_of_a_provider_that_asks_for_dpop_or_mtls_names_that_as_the_likely_cause() {
    let refresh = |answers: Value| {
        let world = answering(&json!({ "metadata": binding_metadata(), "refresh": answers }), PLAIN);
        world.sign_in_as("garden", "ann");
        let first = world.refresh("garden");
        (world, first)
    };
    let (world, answer) = refresh(json!([refused()]));
    assert_eq!(answer["code"], "invalid_grant", "{answer}");
    let status = world.wait_for_state("garden", "signed_out");
    let message = status["error"]["message"].as_str().unwrap();
    assert!(message.contains("likely cause") && message.contains("DPoP or mTLS"), "{message}");

    let tokens = json!({ "access_token": "$", "refresh_token": "$", "token_type": "Bearer", "expires_in": 3600 });
    let (world, answer) = refresh(json!([{ "status": 200, "json": tokens }, refused()]));
    assert_eq!(answer["status"], "ok", "{answer}");
    let answer = world.refresh("garden");
    assert_eq!(answer["code"], "invalid_grant", "{answer}");
    let message = answer["error"].as_str().unwrap();
    assert!(!message.contains("likely cause"), "what was refreshed before is not bound: {message}");
}

#[test]
fn a_machine_is_never_told_to_sign_in_again_and_one_without_a_password_tries_again_by_itself() {
    let machine = "issuer = \"{issuer}\"\ngrant = \"client_credentials\"\nclient_id = \"machine\"\nclient_secret_file = \"the.secret\"";
    let world = Setup::on(Kind::Fake)
        .provider("providers", json!({ "plain": { "answers": { "client_credentials": [refused()] } } }))
        .account_as("garden", machine)
        .start();
    let status = world.wait("garden", "status", |status| status["error"]["code"] == "invalid_grant");
    let (message, retry) = (&status.json["error"]["message"], &status.json["error"]["retry_at"]);
    assert!(!message.as_str().unwrap().contains("ign in again") && retry.is_i64(), "{}", status.json);
    assert_eq!(status.json["needs_user"], false, "{}", status.json);
    let shown = world.cli(&["status", "garden"]).stdout;
    assert!(shown.contains("signs in by itself") && !shown.contains("ign in again"), "{shown}");
}
