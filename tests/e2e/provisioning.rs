//! Accounts that a flow declares.

use std::fs;

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_for, wait_until};
use crate::support::files_below;
use crate::support::process::written_by;
use crate::support::server::Kind;
use crate::support::world::{Client, Setup, World};

const PROVISIONING: &str = "[provisioning]\nenabled = true\nissuers = [\"{issuer}\"]";

fn settings(world: &World) -> Value {
    json!({
        "issuer": world.oidc().issuer(),
        "client_id": "device-post",
        "client_secret": world.oidc().secrets().client[0],
        "scopes": ["openid", "offline_access"],
    })
}

#[track_caller]
fn declare(world: &World, account: &str, settings: &Value) -> Value {
    let answer = world.subscriber.request("declare", &json!({ "account": account, "settings": settings }).to_string());
    for secret in world.oidc().secrets().client {
        assert!(!answer.to_string().contains(&secret), "{answer}");
    }
    answer
}

#[test]
fn a_flow_declares_an_account_at_every_start_and_it_is_kept_sealed_and_used() {
    let mut world = Setup::new().sections(PROVISIONING).start();
    let settings = settings(&world);
    let answer = declare(&world, "garden", &settings);
    assert_eq!(answer["data"], json!({ "account": "garden", "changed": true, "sign_in_needed": false }), "{answer}");
    let status = world.wait_for_state("garden", "signed_out");
    assert_eq!((&status["declared"], &status["sign_in_needed"]), (&json!("mqtt"), &json!(false)));
    let token = world.sign_in("garden");
    assert_eq!(declare(&world, "garden", &settings)["data"]["changed"], false);
    assert_eq!(world.subscriber.latest("oauth2mqtt/garden/token").unwrap().json, token.json);

    world.kill_agent();
    let secret = settings["client_secret"].as_str().unwrap().as_bytes();
    for file in files_below(&world.store()) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(secret.len()).any(|piece| piece == secret), "{}", file.display());
    }
    world.start_agent();
    world.wait_for_state("garden", "active");
    assert_eq!(world.refresh("garden")["status"], "ok");
    assert_eq!(declare(&world, "garden", &settings)["data"]["changed"], false);
    let shown = world.cli(&["status", "garden"]);
    assert!(shown.stdout.contains("over MQTT, by a flow"), "{}", shown.stdout);

    let mark = world.subscriber.mark();
    let answer = world.subscriber.request("forget", "garden");
    assert_eq!(answer["data"], json!({ "account": "garden" }), "{answer}");
    world.subscriber.wait_after(mark, "oauth2mqtt/garden/token", |token| token["access_token"].is_null());
    let last = world.subscriber.latest("oauth2mqtt/garden/token").unwrap();
    assert!(last.json["access_token"].is_null(), "{last:?}");
    assert_eq!(world.subscriber.request("status", "garden")["code"], "unknown_account");
    world.kill_agent();
    world.start_agent();
    assert_eq!(world.subscriber.request("status", "")["data"], json!([]));
}

#[test]
fn other_scopes_say_that_a_sign_in_is_needed_and_keep_the_token_until_then() {
    let world = Setup::new().sections(PROVISIONING).start();
    let mut settings = settings(&world);
    declare(&world, "garden", &settings);
    let token = world.sign_in("garden");
    settings["scopes"] = json!(["openid", "email", "offline_access"]);
    let answer = declare(&world, "garden", &settings);
    assert_eq!(answer["data"]["sign_in_needed"], true, "{answer}");
    let status = world.wait("garden", "status", |status| status["sign_in_needed"] == true).json;
    assert_eq!(status["state"], "active");
    assert_eq!(
        world.subscriber.latest("oauth2mqtt/garden/token").unwrap().json["access_token"],
        token.json["access_token"]
    );
    world.sign_in("garden");
    let status = world.wait("garden", "status", |status| status["sign_in_needed"] == false).json;
    assert!(status["scope"].as_str().unwrap().contains("email"), "{status}");
}

#[test]
fn a_declaration_for_another_provider_never_gets_the_old_tokens() {
    let sections =
        "[provisioning]\nenabled = true\nissuers = [\"http://127.0.0.1\", \"{issuer}\", \"http://localhost:9\"]";
    let world = Setup::new().sections(sections).start();
    let mut settings = settings(&world);
    declare(&world, "garden", &settings);
    world.sign_in("garden");
    settings["issuer"] = json!("http://localhost:9");
    assert_eq!(declare(&world, "garden", &settings)["status"], "ok");
    let status = world.wait("garden", "status", |status| status["error"]["code"] == "client_changed").json;
    assert_eq!((&status["state"], &status["needs_user"]), (&json!("signed_out"), &json!(true)));
    world.wait("garden", "token", |token| token["access_token"].is_null());
    assert_eq!(world.subscriber.request("refresh", "garden")["code"], "not_signed_in");
    // Back at the provider that gave them, they are good again.
    settings["issuer"] = json!(world.oidc().issuer());
    declare(&world, "garden", &settings);
    world.wait_for_state("garden", "active");
}

#[test]
fn a_declaration_never_gets_the_sign_in_of_an_account_that_was_in_the_file() {
    let world = Setup::new().sections(PROVISIONING).account_with("garden", Client::SecretInBody, "").start();
    let token = world.sign_in("garden");
    world.set_account("garden", None);
    world.reload();
    world.wait("garden", "token", |token| token["access_token"].is_null());
    let mark = world.subscriber.mark();
    // All of it but the secret is known to everybody.
    let mut settings = settings(&world);
    settings.as_object_mut().unwrap().remove("client_secret");
    assert_eq!(declare(&world, "garden", &settings)["status"], "ok");
    let status = world.wait_for_state("garden", "signed_out");
    assert_eq!(status["error"]["code"], "client_changed", "{status}");
    assert_eq!(world.subscriber.request("refresh", "garden")["code"], "not_signed_in");
    let since = world.subscriber.since(mark);
    assert!(since.iter().all(|message| message.access_token().is_none()), "{since:?}");

    // The administrator's account is as it was.
    world.set_account("garden", Some((Client::SecretInBody, "")));
    world.reload();
    let again = world.wait("garden", "token", |token| token["access_token"].is_string());
    assert_eq!(again.json["access_token"], token.json["access_token"]);
}

fn machine(world: &World) -> Value {
    json!({
        "issuer": world.oidc().issuer(), "grant": "client_credentials", "client_id": "machine +/:%41&=?",
        "client_secret": world.oidc().files()["machine.secret"], "client_auth": "client_secret_basic", "scopes": ["measure"],
    })
}

#[test]
fn what_is_forgotten_asks_the_provider_no_more_and_leaves_nothing_for_the_next_of_its_name() {
    let mut world = Setup::new().sections(PROVISIONING).start();
    let settings = settings(&world);
    let mut offering = settings.clone();
    offering["sign_in"] = json!("offer");
    declare(&world, "garden", &offering);
    world.wait_for_state("garden", "awaiting_user");
    let asked = world.oidc().secrets().device_code.len();
    assert_eq!(world.subscriber.request("forget", "garden")["status"], "ok");
    assert_eq!(world.subscriber.request("status", "garden")["code"], "unknown_account");
    assert_eq!(world.oidc().secrets().device_code.len(), asked);
    declare(&world, "machine", &machine(&world));
    world.wait_for_state("machine", "active");
    assert_eq!(world.subscriber.request("forget", "machine")["status"], "ok");
    world.kill_agent();
    world.start_agent();
    declare(&world, "garden", &settings);
    declare(&world, "machine", &machine(&world));
    assert_eq!(world.subscriber.request("status", "garden")["data"]["state"], "signed_out");
    world.wait_for_state("machine", "active");
}

#[test]
fn a_machine_that_is_declared_with_other_scopes_has_them_at_once_and_needs_no_sign_in() {
    let world = Setup::on(Kind::Fake).sections(PROVISIONING).start();
    let mut settings = json!({
        "issuer": world.oidc().issuer(), "grant": "client_credentials", "client_id": "gateway", "client_secret": "s3cret",
        "scopes": ["read"],
    });
    declare(&world, "machine", &settings);
    let token = world.wait("machine", "token", |token| token["access_token"].is_string());
    assert_eq!(token.json["scope"], "read");
    settings["scopes"] = json!(["read", "write"]);
    let answer = declare(&world, "machine", &settings);
    assert_eq!(answer["data"]["sign_in_needed"], false, "{answer}");
    let next = world.wait("machine", "token", |token| token["scope"] == "read write");
    assert_ne!(next.json["access_token"], token.json["access_token"]);
    let status = world.wait_for_state("machine", "active");
    assert_eq!((&status["sign_in_needed"], &status["scope"]), (&json!(false), &json!("read write")), "{status}");
    world.subscriber.wait("oauth2mqtt/bridge/info", |info| info["accounts"][0]["scopes"] == json!(["read", "write"]));
}

#[test]
fn what_is_refused_is_refused_with_a_reason() {
    let world = Setup::new().sections(PROVISIONING).account("house").start();
    let settings = settings(&world);
    let answer = declare(&world, "house", &settings);
    assert_eq!(answer["code"], "declared_in_file", "{answer}");
    assert_eq!(world.subscriber.request("forget", "house")["code"], "declared_in_file");
    let mut elsewhere = settings.clone();
    elsewhere["issuer"] = json!("https://evil.example");
    let answer = declare(&world, "garden", &elsewhere);
    assert_eq!(answer["code"], "invalid_declaration", "{answer}");
    assert!(answer["error"].as_str().unwrap().starts_with("Issuer: [provisioning] issuers"), "{answer}");
    let mut file = settings.clone();
    file["client_secret_file"] = json!("/etc/shadow");
    assert_eq!(declare(&world, "garden", &file)["code"], "invalid_declaration");
    assert_eq!(declare(&world, "Garden", &settings)["code"], "invalid_request");
    assert_eq!(world.subscriber.request("declare", "garden")["code"], "invalid_request");
    for number in 0..32 {
        assert_eq!(declare(&world, &format!("a{number}"), &settings)["status"], "ok");
    }
    assert_eq!(declare(&world, "garden", &settings)["code"], "too_many_accounts");
}

#[test]
fn a_flow_that_declares_something_else_in_a_loop_does_not_wear_the_card_out() {
    let mut world = Setup::new().sections(PROVISIONING).start();
    let agent = world.agent().pid();
    let mut settings = settings(&world);
    let mut declare_another = |number: usize| {
        settings["scopes"] = json!(["openid", format!("scope-{number}")]);
        declare(&world, "garden", &settings)
    };
    for number in 0..64 {
        assert_eq!(declare_another(number)["data"]["changed"], true);
    }
    let written = || written_by(agent);
    let before = written();
    // Another one may be taken each minute.
    let answers: Vec<_> = (64..564).map(&mut declare_another).collect();
    let taken = answers.iter().filter(|answer| answer["status"] == "ok").count();
    assert!(taken <= 2, "{taken} of 500 were taken");
    let refused = answers.iter().find(|answer| answer["status"] == "error").unwrap();
    assert_eq!(refused["code"], "too_many_changes", "{refused}");
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains(" is taken in ") && error.contains(" s. "), "{error}");
    let bytes = written() - before;
    assert!(bytes < 500 * 4096 / 10, "{bytes} bytes were written for what was refused");

    // What changes nothing is answered as ever, and whatever was declared can be taken back.
    let kept = answers.iter().rposition(|answer| answer["status"] == "ok").map_or(63, |taken| 64 + taken);
    assert_eq!(declare_another(kept)["data"]["changed"], false);
    assert_eq!(world.subscriber.request("forget", "garden")["status"], "ok");
}

#[test]
fn a_declaration_never_takes_the_place_of_an_account_of_the_file_that_waits_for_its_moment() {
    let mut world = Setup::new().sections(PROVISIONING).provider("latency_ms", json!([4_000, 4_000])).start();
    let mut settings = settings(&world);
    declare(&world, "garden", &settings);
    world.sign_in("garden");
    // A request to refresh is not answered with a token that has just come.
    world.stop_agent();
    world.start_agent();
    world.wait_for_state("garden", "active");
    let refresh = world.subscriber.send_request("refresh", "garden");
    world.set_account("garden", Some((Client::SecretInBody, "")));
    let answer = world.subscriber.request("reload", "");
    assert_eq!(answer["data"]["changed"], json!(["garden"]), "{answer}");
    settings["scopes"] = json!(["openid", "email", "offline_access"]);
    let answer = declare(&world, "garden", &settings);
    assert_eq!(answer["code"], "declared_in_file", "{answer}");
    // Its moment is when the provider has answered.
    let status = world.subscriber.request("status", "garden");
    assert_eq!(status["data"]["declared"], "mqtt", "{status}");
    world.subscriber.response(&refresh, SOON);
    world.wait("garden", "status", |status| status["declared"] == "file");
}

#[test]
fn a_declaration_never_takes_the_place_of_an_account_of_the_file_that_cannot_be_used() {
    let world = Setup::new().sections(PROVISIONING).start();
    fs::write(world.folder().join("empty.pem"), "").unwrap();
    world.set_account("garden", Some((Client::SecretInBody, "ca_file = \"empty.pem\"")));
    world.reload();
    world.wait_for_log(&["the account is left out", "there is no certificate in it"]);
    let settings = settings(&world);
    let answer = declare(&world, "garden", &settings);
    assert_eq!(answer["code"], "declared_in_file", "{answer}");
    world.set_account("garden", None);
    world.reload();
    assert_eq!(declare(&world, "garden", &settings)["status"], "ok");
}

#[test]
fn nothing_is_declared_where_the_configuration_does_not_say_so() {
    let world = Setup::new().start();
    let answer = declare(&world, "garden", &settings(&world));
    assert_eq!(answer["code"], "provisioning_disabled", "{answer}");
}

#[test]
fn a_client_secret_is_rolled_over_without_losing_the_sign_in() {
    let files = "client_secret_file = [\"new.secret\", \"device-post.secret\"]\n";
    let world = Setup::new().token_life(8);
    let mut world = world
        .account_as(
            "garden",
            &format!(
                "issuer = \"{{issuer}}\"\nclient_id = \"device-post\"\n{files}scopes = [\"openid\", \"offline_access\"]"
            ),
        )
        .without_agent();
    fs::write(world.folder().join("new.secret"), "not-known-to-the-provider-yet\n").unwrap();
    world.start_agent();
    world.sign_in("garden");
    let before = world.oidc().refreshes().len();
    wait_until("two refreshes", 2 * SOON, || world.oidc().refreshes().len() >= before + 2);
    // The secret that was good for the code is remembered.
    assert!(world.oidc().log().iter().all(|request| request.error.as_deref() != Some("invalid_client")));
    world.wait_for_state("garden", "active");
    // And whichever place the good one has, a restarted agent finds it.
    world.stop_agent();
    world.start_agent();
    assert_eq!(world.refresh("garden")["status"], "ok");
    assert_eq!(
        world.oidc().log().iter().filter(|request| request.error.as_deref() == Some("invalid_client")).count(),
        1
    );
}

/// A signed-in account that was declared with the secret that the provider has, and its settings.
fn declared_and_signed_in() -> (World, Value) {
    let world = Setup::new().sections(PROVISIONING).token_life(600).start();
    let settings = settings(&world);
    declare(&world, "garden", &settings);
    world.sign_in("garden");
    (world, settings)
}

/// Nobody was asked for anything since `mark`, and the sign-in is the same as at `since`.
#[track_caller]
fn kept_its_sign_in(world: &World, mark: usize, since: &Value) {
    let seen = world.subscriber.since(mark);
    for status in seen.iter().filter(|message| message.topic == "oauth2mqtt/garden/status") {
        assert_eq!(
            (&status.json["state"], &status.json["needs_user"]),
            (&json!("active"), &json!(false)),
            "{status:?}"
        );
        assert_eq!(&status.json["signed_in_at"], since, "{status:?}");
    }
    assert!(seen.iter().all(|message| message.access_token().is_some() || !message.topic.ends_with("/token")));
}

#[test]
fn a_declared_secret_is_rolled_over_at_the_provider_without_losing_the_sign_in() {
    let (mut world, mut settings) = declared_and_signed_in();
    let (old, new) = (settings["client_secret"].clone(), json!("rolled-over-secret-2Wd9pXk"));
    let since = world.wait_for_state("garden", "active")["signed_in_at"].clone();
    let mark = world.subscriber.mark();
    let refused = |world: &World| {
        world.oidc().log().iter().filter(|request| request.error.as_deref() == Some("invalid_client")).count()
    };

    // The devices have both before the provider has the new one: it is tried first, and once.
    settings["client_secret"] = json!([new, old]);
    let answer = declare(&world, "garden", &settings);
    assert_eq!(answer["data"], json!({ "account": "garden", "changed": true, "sign_in_needed": false }), "{answer}");
    assert_eq!(world.refresh("garden")["status"], "ok");
    assert_eq!(world.refresh("garden")["status"], "ok");
    assert_eq!(refused(&world), 1);

    // The provider takes the new one alone: the old one is tried once more.
    world.oidc().replace_secret("device-post", new.as_str().unwrap());
    assert_eq!(world.refresh("garden")["status"], "ok");
    assert_eq!(world.refresh("garden")["status"], "ok");
    assert_eq!(refused(&world), 2);

    settings["client_secret"] = json!(new);
    assert_eq!(declare(&world, "garden", &settings)["data"]["changed"], true);
    assert_eq!(world.refresh("garden")["status"], "ok");
    assert_eq!(refused(&world), 2);
    kept_its_sign_in(&world, mark, &since);
    world.kill_agent();
    world.start_agent();
    assert_eq!(world.refresh("garden")["status"], "ok");
    assert_eq!(world.wait_for_state("garden", "active")["signed_in_at"], since);
}

#[test]
fn a_device_that_hears_of_a_rolled_over_secret_too_late_keeps_its_sign_in_until_it_has_it() {
    let (world, mut settings) = declared_and_signed_in();
    let old = settings["client_secret"].clone();
    let since = world.wait_for_state("garden", "active")["signed_in_at"].clone();
    let mark = world.subscriber.mark();
    let new = "rolled-over-secret-2Wd9pXk";
    world.oidc().replace_secret("device-post", new);
    let refused = wait_for("a refusal", SOON, || {
        Some(world.subscriber.request("refresh", "garden")).filter(|answer| answer["status"] == "error")
    });
    assert_eq!(refused["code"], "invalid_client", "{refused}");
    settings["client_secret"] = json!([new, old]);
    assert_eq!(declare(&world, "garden", &settings)["data"]["sign_in_needed"], false);
    assert_eq!(world.refresh("garden")["status"], "ok");
    kept_its_sign_in(&world, mark, &since);
    assert!(world.wait_for_state("garden", "active")["error"].is_null());
}
