//! Tokens and secrets are in the sealed store and on the account's token topic, and nowhere else.
//!
//! `support::promises` searches all output at the end of every test. Here every kind of secret is used on purpose, and
//! the search is shown to find something where there is something to be found.

use std::fs;

use serde_json::json;

use crate::support::broker::{Door, PASSWORD};
use crate::support::world::{Client, Setup};
use crate::support::{files_below, promises};

#[test]
fn no_secret_is_in_any_output_at_the_fullest_log_level() {
    let mut world = Setup::new()
        .door(Door::Password)
        .account("public")
        .account_with("body", Client::SecretInBody, "")
        .account_with("header", Client::SecretInHeader, "publish = \"on_request\"")
        .start();
    for account in ["public", "body"] {
        world.sign_in(account);
    }
    let code = world.login("header");
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    world.wait_for_state("header", "active");
    for account in ["public", "body", "header"] {
        assert_eq!(world.refresh(account)["status"], "ok");
    }
    // Answers that cannot be read are what a careless program logs whole.
    let secretive = json!({ "status": 200, "body": { "access_token": 7, "refresh_token": "not-so-secret" } });
    world.oidc().fault("json", 1, &secretive);
    world.refresh("public");
    let odd = json!({ "status": 400, "body": { "error": "odd", "error_description": "\u{1b}[2Jodd" } });
    world.oidc().fault("json", 1, &odd);
    world.refresh("body");
    for arguments in [&["status"][..], &["status", "--json"], &["refresh", "public"], &["check"]] {
        world.cli(arguments);
    }
    let pid = world.agent().pid().as_raw_nonzero();
    for file in ["cmdline", "environ"] {
        let text = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{file}")).unwrap()).into_owned();
        assert!(!text.contains(PASSWORD), "{file}");
    }
    world.subscriber.request("token", "header");
    world.cli(&["token", "header"]);
    world.cli(&["logout", "header"]);

    let (secrets, access_tokens) = promises::secrets(&world);
    // Two client secrets, the broker's password, the store's key, three device codes, refresh and ID tokens.
    assert!(secrets.len() >= 2 + 1 + 1 + 3 + 6 + 6, "{}", secrets.len());
    assert!(access_tokens.len() >= 6, "{}", access_tokens.len());
    promises::check(&world);

    let written = world.written();
    assert!(written.contains("TRACE") || written.contains("DEBUG"), "the log is not at its fullest");
    assert!(!written.contains("not-so-secret") && !written.contains("\u{1b}[2J"));

    // Nothing in the store is in clear either.
    world.stop_agent();
    for file in files_below(&world.store()) {
        let bytes = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in secrets.iter().chain(&access_tokens) {
            assert!(file.ends_with("key") || !text.contains(secret.as_str()), "a secret is in clear in {file:?}");
        }
    }
}
