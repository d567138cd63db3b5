//! Signing in: by the command line and over MQTT, approved, denied, cancelled, lapsed.

use serde_json::json;

use crate::support::clock::{SOON, wait_until};
use crate::support::process::Process;
use crate::support::server::Kind;
use crate::support::subscriber::Subscriber;
use crate::support::world::{Client, Setup};

#[test]
fn a_user_signs_in_with_what_the_command_line_shows_and_the_token_is_there_for_who_comes_later() {
    let world = Setup::new().account("garden").start();
    let login = ["login", "garden"];
    let process = Process::start("oauth2mqtt login", &mut world.command(&login));
    let code = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true).json;
    let user_code = code["user_code"].as_str().unwrap();
    wait_until("the code on the terminal", SOON, || process.stdout().contains("To sign in garden"));
    world.oidc().approve(user_code, "ann");
    let ended = world.finish(process, &login);

    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains(user_code), "{}", ended.stdout);
    assert!(ended.stdout.contains(code["verification_uri"].as_str().unwrap()), "{}", ended.stdout);
    assert!(ended.stdout.contains(code["verification_uri_complete"].as_str().unwrap()), "{}", ended.stdout);
    assert!(ended.stdout.contains("Signed in"), "{}", ended.stdout);

    let late = Subscriber::connect(world.broker.port());
    let token = late.wait("oauth2mqtt/garden/token", |token| token["access_token"].is_string());
    assert!(token.retained);
    let me = world.oidc().me(token.access_token().unwrap());
    assert_eq!((me.status, &me.body["sub"]), (200, &json!("ann")));
}

#[test]
fn a_flow_signs_in_by_a_request_and_finds_the_answer_where_it_asked_for_it() {
    let world = Setup::new().account("garden").start();
    let answer = world.subscriber.request("login", r#"{"account":"garden","transaction":{"step":7}}"#);
    assert_eq!(answer["status"], "ok", "{answer}");
    assert_eq!(answer["transaction"], json!({ "step": 7 }));
    let topic = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true).json;
    assert_eq!(answer["data"], topic);
    assert_eq!(world.wait_for_state("garden", "awaiting_user")["needs_user"], true);

    // The link of the QR code alone is enough for the user.
    world.oidc().approve_at(topic["verification_uri_complete"].as_str().unwrap(), "ann");
    let token = world.wait("garden", "token", |token| token["access_token"].is_string());
    assert_eq!(world.oidc().me(token.access_token().unwrap()).body["sub"], "ann");
    world.wait_for_state("garden", "active");
    world.wait("garden", "signin", |sign_in| sign_in["pending"] == false);
}

#[test]
fn the_bare_name_of_an_account_is_request_enough() {
    let world = Setup::new().account("garden").start();
    let mark = world.subscriber.mark();
    world.subscriber.publish("oauth2mqtt/bridge/request/login", "garden");
    let answer = world.subscriber.wait_after(mark, "oauth2mqtt/bridge/response/login", |_| true);
    assert_eq!(answer.json["status"], "ok", "{answer:?}");
    assert_eq!(answer.json["data"]["account"], "garden");
    assert!(answer.json["transaction"].is_null() && answer.json.get("transaction").is_some());
    assert!(!answer.retained);
}

#[test]
fn two_requests_for_a_sign_in_get_the_same_code() {
    let world = Setup::new().account("garden").start();
    assert_eq!(world.login("garden"), world.login("garden"));
}

#[test]
fn clients_with_a_secret_sign_in_and_refresh_too() {
    let world = Setup::new()
        .account_with("body", Client::SecretInBody, "")
        .account_with("header", Client::SecretInHeader, "")
        .start();
    for account in ["body", "header"] {
        let token = world.sign_in(account);
        assert_eq!(world.oidc().me(token.access_token().unwrap()).body["sub"], account);
        assert_eq!(world.refresh(account)["status"], "ok");
    }
}

#[test]
fn a_user_who_says_no_ends_the_sign_in_and_everybody_is_told_why() {
    let world = Setup::new().account("garden").start();
    let login = ["login", "garden"];
    let process = Process::start("oauth2mqtt login", &mut world.command(&login));
    let code = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true).json;
    world.oidc().deny(code["user_code"].as_str().unwrap());
    let ended = world.finish(process, &login);

    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.stderr.contains("approve"), "{}", ended.stderr);
    let status = world.wait("garden", "status", |status| status["error"]["code"] == "access_denied").json;
    assert_eq!((&status["state"], &status["needs_user"]), (&json!("signed_out"), &json!(true)));
    world.wait("garden", "signin", |sign_in| sign_in["pending"] == false);
    world.wait("garden", "token", |token| token["access_token"].is_null());
}

#[test]
fn a_sign_in_that_is_cancelled_is_over() {
    let world = Setup::new().account("garden").start();
    let login = ["login", "garden"];
    let process = Process::start("oauth2mqtt login", &mut world.command(&login));
    world.wait("garden", "signin", |sign_in| sign_in["pending"] == true);
    wait_until("the code on the terminal", SOON, || process.stdout().contains("To sign in garden"));
    assert_eq!(world.cli(&["cancel", "garden"]).code(), 0);
    let ended = world.finish(process, &login);
    assert_eq!(ended.code(), 1, "{ended:?}");
    world.wait("garden", "signin", |sign_in| sign_in["pending"] == false);
    let status = world.wait_for_state("garden", "signed_out");
    assert!(status["error"].is_null(), "{status}");

    let again = world.subscriber.request("cancel", "garden");
    assert_eq!((&again["status"], &again["code"]), (&json!("error"), &json!("nothing_pending")));
}

#[test]
fn a_code_that_nobody_approves_lapses() {
    let world = Setup::new().provider("device_code_ttl", 3).account("garden").start();
    world.login("garden");
    let status = world.wait("garden", "status", |status| status["error"].is_object()).json;
    assert_eq!((&status["state"], &status["error"]["code"]), (&json!("signed_out"), &json!("expired_token")));
    world.wait("garden", "signin", |sign_in| sign_in["pending"] == false);
}

#[test]
fn an_account_that_offers_a_sign_in_always_has_a_fresh_code() {
    let world = Setup::new()
        .provider("device_code_ttl", 4)
        .account_with("garden", Client::Public, "sign_in = \"offer\"")
        .start();
    let first = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true).json;
    let fresh = |sign_in: &serde_json::Value| sign_in["pending"] == true && sign_in["user_code"] != first["user_code"];
    let second = world.wait("garden", "signin", fresh).json;
    world.oidc().approve(second["user_code"].as_str().unwrap(), "ann");
    world.wait_for_state("garden", "active");
}

#[test]
fn the_provider_is_asked_no_sooner_and_no_more_often_than_the_standard_allows() {
    let world = Setup::new().provider("interval", serde_json::Value::Null).account("garden").start();
    world.login("garden");
    let shown = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true);
    let first = world.oidc().next_token_request(0, SOON);
    let second = world.oidc().next_token_request(1, SOON);
    // RFC 8628 3.5: five seconds where the provider names no interval. The code was there before it was shown.
    assert!(first.received_at - shown.arrived_at > 4.5, "{shown:?} {first:?}");
    assert!(second.received_at - first.received_at > 4.9, "{first:?} {second:?}");
}

#[test]
fn slow_down_makes_every_later_poll_five_seconds_slower() {
    let world = Setup::new().account("garden").start();
    world.oidc().fault("json", 1, &json!({ "status": 400, "body": { "error": "slow_down" } }));
    world.login("garden");
    let slowed = world.oidc().next_token_request(0, SOON);
    let second = world.oidc().next_token_request(1, SOON);
    let third = world.oidc().next_token_request(2, SOON);
    assert!(second.received_at - slowed.received_at > 5.9, "{slowed:?} {second:?}");
    assert!(third.received_at - second.received_at > 5.9, "{second:?} {third:?}");
}

#[test]
fn a_sign_in_outlives_whatever_passes_while_it_waits() {
    let world = Setup::new().account("garden").start();
    let code = world.login("garden");
    for mode in ["status", "html", "reset"] {
        world.oidc().fault(mode, 1, &json!({}));
        wait_until("a poll that fails", SOON, || {
            world.oidc().log().iter().any(|request| request.fault.as_deref() == Some(mode))
        });
    }
    assert_eq!(world.wait_for_state("garden", "awaiting_user")["account"], "garden");
    assert_eq!(world.wait("garden", "signin", |sign_in| sign_in["pending"] == true).json, code);
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    let status = world.wait_for_state("garden", "active");
    assert!(status["error"].is_null(), "{status}");
}

#[test]
fn a_login_ends_when_the_agent_does_and_says_what_to_do() {
    let mut world = Setup::new().account("garden").start();
    let login = ["login", "garden"];
    let process = Process::start("oauth2mqtt login", &mut world.command(&login));
    wait_until("the code on the terminal", SOON, || process.stdout().contains("cancels it"));
    world.kill_agent();
    let ended = world.finish(process, &login);
    assert_eq!(ended.code(), 69, "{ended:?}");
    assert!(ended.stderr.contains("the agent has stopped") && ended.stderr.contains("login garden"), "{ended:?}");
}

#[test]
fn a_login_ends_when_its_code_has_expired() {
    let world = Setup::new().provider("device_code_ttl", 3).account("garden").start();
    let ended = world.cli(&["login", "garden"]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.stderr.contains("Sign in again"), "{ended:?}");
}

#[test]
fn a_login_says_of_the_token_what_is_so() {
    let world =
        Setup::new().account_with("garden", Client::Public, "publish = \"on_request\"").account("house").start();
    let signs_in = |account: &str| {
        let login = ["login", account];
        let process = Process::start("oauth2mqtt login", &mut world.command(&login));
        wait_until("the code on the terminal", SOON, || process.stdout().contains("cancels it"));
        let code = world.wait(account, "signin", |sign_in| sign_in["pending"] == true).json;
        world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
        world.wait(account, "signin", |sign_in| sign_in["pending"] == false);
        world.finish(process, &login)
    };
    let on_request = signs_in("garden");
    assert_eq!(on_request.code(), 0, "{on_request:?}");
    assert!(on_request.stdout.contains("on request: `oauth2mqtt token garden`"), "{}", on_request.stdout);
    let retained = signs_in("house");
    assert!(
        retained.stdout.contains("oauth2mqtt/house/token") && retained.stdout.contains("is refreshed in"),
        "{retained:?}"
    );
    assert!(!retained.stdout.contains("signed in already"), "{}", retained.stdout);

    // Another sign-in takes the place of the one that is there.
    let again = signs_in("house");
    assert_eq!(again.code(), 0, "{again:?}");
    assert!(again.stdout.contains("house is signed in already"), "{}", again.stdout);
}

#[test]
fn a_login_that_fails_says_that_the_former_sign_in_goes_on() {
    let world = Setup::new().account("garden").start();
    let token = world.sign_in("garden");
    let login = ["login", "garden"];
    let process = Process::start("oauth2mqtt login", &mut world.command(&login));
    let code = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true).json;
    wait_until("the code on the terminal", SOON, || process.stdout().contains("cancels it"));
    world.oidc().deny(code["user_code"].as_str().unwrap());
    let ended = world.finish(process, &login);
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.stderr.contains("A new sign-in failed, and the former one is kept."), "{}", ended.stderr);
    let status = world.wait("garden", "status", |status| status["error"]["code"] == "access_denied").json;
    assert_eq!((&status["state"], &status["needs_user"]), (&json!("active"), &json!(false)), "{status}");
    assert!(status["error"]["message"].as_str().unwrap().starts_with("A new sign-in failed"), "{status}");
    world.wait_for_log(&["a new sign-in failed; the former one is kept"]);
    assert_eq!(world.subscriber.latest("oauth2mqtt/garden/token").unwrap().json, token.json);
    assert_eq!(world.oidc().me(token.access_token().unwrap()).status, 200);
    assert_eq!(world.refresh("garden")["status"], "ok");
}

#[test]
fn a_sign_out_that_the_provider_did_not_hear_of_fails_and_the_next_login_says_nothing_of_it() {
    let mut world = Setup::new().account("garden").start();
    world.sign_in("garden");
    world.oidc().fault_at("revocation", "status", 9, &json!({ "status": 503 }));
    let ended = world.cli(&["logout", "garden"]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.stderr.contains("signed out on this device only"), "{}", ended.stderr);
    world.wait_for_state("garden", "signed_out");

    let login = ["login", "garden"];
    let process = Process::start("oauth2mqtt login", &mut world.command(&login));
    wait_until("the code on the terminal", SOON, || process.stdout().contains("cancels it"));
    assert_eq!(world.cli(&["cancel", "garden"]).code(), 0);
    let ended = world.finish(process, &login);
    assert!(ended.stderr.contains("cancelled") && !ended.stderr.contains("revoke"), "{ended:?}");
    world.stop_agent();
}

#[test]
fn a_login_says_at_once_that_there_is_no_refresh_token_although_one_was_asked_for() {
    let granted = json!({ "access_token": "$", "token_type": "Bearer", "expires_in": 3600 });
    let answers = json!({ "granted": [{ "status": 200, "json": granted }] });
    let settings = "issuer = \"{issuer}\"\nclient_id = \"gateway\"\nscopes = [\"read\", \"offline_access\"]";
    let world = Setup::on(Kind::Fake)
        .provider("providers", json!({ "plain": { "answers": answers } }))
        .account_as("garden", settings)
        .start();
    let login = ["login", "garden"];
    let process = Process::start("oauth2mqtt login", &mut world.command(&login));
    let code = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true).json;
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    let ended = world.finish(process, &login);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let said = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("cannot be refreshed: somebody has to sign in again then."), "{said}");
    assert!(said.contains("although offline_access was asked for"), "{said}");
}
