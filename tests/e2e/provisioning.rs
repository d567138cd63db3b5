//! Accounts that a flow declares.

use std::fs;

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_until};
use crate::support::files_below;
use crate::support::world::{Setup, World};

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
    let io = format!("/proc/{}/io", world.agent().pid().as_raw_nonzero());
    let mut settings = settings(&world);
    let mut declare_another = |number: usize| {
        settings["scopes"] = json!(["openid", format!("scope-{number}")]);
        declare(&world, "garden", &settings)
    };
    for number in 0..64 {
        assert_eq!(declare_another(number)["data"]["changed"], true);
    }
    let written = || {
        let io = fs::read_to_string(&io).unwrap();
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse::<u64>().unwrap()
    };
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
