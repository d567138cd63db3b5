//! An account is added with a few answers at a terminal, or in one line of a script.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::keyboard::at_terminal;
use crate::support::process::Process;
use crate::support::world::{Client, Setup, World};

/// Puts a comment into the configuration that somebody would miss.
fn with_comment(world: &World) -> String {
    let text = format!("# Ours: ask before you change it.\n{}", world.config_text());
    fs::write(world.config(), &text).unwrap();
    text
}

#[test]
fn an_account_is_added_in_one_line_and_the_running_agent_has_it() {
    let world = Setup::new().account("garden").start();
    let before = with_comment(&world);
    let issuer = world.oidc().issuer();
    let secret = world.folder().join("device-post.secret");
    let add = ["add", "plant", "--issuer", issuer, "--client-id", "device-post", "--client-secret-from"];
    let ended = world.cli(&[&add[..], &[secret.to_str().unwrap(), "--scopes", "openid,offline_access"]].concat());
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("oauth2mqtt login plant"), "{}", ended.stdout);

    let text = world.config_text();
    assert!(text.starts_with(before.trim_end()), "{text}");
    assert!(
        text.ends_with("client_secret_file = \"plant.secret\"\nscopes = [\"openid\", \"offline_access\"]\n"),
        "{text}"
    );
    let written = world.folder().join("plant.secret");
    assert_eq!(fs::metadata(&written).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(written).unwrap(), fs::read_to_string(secret).unwrap());
    world.sign_in("plant");
}

#[test]
fn an_account_is_added_with_a_few_answers_and_signed_in_at_once() {
    let world = Setup::new().account("garden").start();
    with_comment(&world);
    let mut process = Process::start_with_input("oauth2mqtt add", &mut at_terminal(&world, 80, "add"));
    process.answer("Provider", "kecloak");
    process.answer("did you mean \"keycloak\"?", "http://elsewhere.example");
    process.answer("plain http://", world.oidc().issuer());
    process.answer("Scopes", "");
    process.answer("Client ID", "device-post");
    let secret = fs::read_to_string(world.folder().join("device-post.secret")).unwrap();
    process.answer("Client secret", secret.trim());
    process.answer("Name of the account", "garden");
    process.answer("Choose another name", "plant");
    process.answer("Sign in now?", "");
    let code = world.wait("plant", "signin", |sign_in| sign_in["pending"] == true).json;
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    // Its output is looked through for the secret at the end, as that of every command.
    let ended = world.finish(process, &["add"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("Signed in"), "{}", ended.stdout);
    world.wait_for_state("plant", "active");
}

#[test]
fn what_cannot_be_added_changes_nothing() {
    let world = Setup::new().account("garden").start();
    let before = world.config_text();
    let refused = |arguments: &[&str], part: &str| {
        let ended = world.cli(&[&["add"], arguments].concat());
        assert!(ended.code() != 0 && ended.stderr.contains(part), "{ended:?}");
        assert_eq!(world.config_text(), before);
    };
    let issuer = world.oidc().issuer();
    refused(&[], "--provider or --issuer");
    refused(&["--provider", "gogle"], "no provider \"gogle\" is known; did you mean \"google\"?");
    refused(&["--provider", "google", "--client-id", "x"], "--client-secret-from");
    refused(&["garden", "--issuer", issuer, "--client-id", "x"], "there is an account garden already");
    refused(&["plant", "--issuer", "http://elsewhere.example", "--client-id", "x"], "plain http://");
    refused(&["plant", "--issuer", issuer, "--client-id", "x", "--set", "scops=y"], "scops: there is no such key");
    refused(&["--provider", "fitbit"], "write provider = \"google\"");
    refused(
        &["plant", "--issuer", issuer, "--client-id", "x", "--client-secret-from", "/none"],
        "cannot be read from /none",
    );
}

#[test]
fn without_an_agent_it_says_how_to_go_on() {
    let world = Setup::new().without_agent();
    let issuer = world.oidc().issuer();
    let ended = world.cli(&["add", "plant", "--issuer", issuer, "--client-id", "device-public"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("no agent is running"), "{}", ended.stdout);
    assert_eq!(world.cli(&["check"]).code(), 0);
}

#[test]
fn a_removed_account_whose_tokens_could_not_be_revoked_is_reported_as_such() {
    let world = Setup::new().account("garden").account("house").start();
    world.sign_in("house");
    world.oidc().fault_at("revocation", "status", 9, &json!({ "status": 503 }));
    let ended = world.cli(&["remove", "house"]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.stderr.contains("house is removed, and signed out on this device only"), "{}", ended.stderr);
    assert!(ended.stdout.contains("The agent has taken it out") && !world.config_text().contains("house"), "{ended:?}");
}

#[test]
fn a_removed_account_that_the_agent_does_not_sign_out_is_reported_as_such() {
    let world = Setup::new().account("garden").start();
    // It is in the file alone, so the agent refuses.
    world.set_account("house", Some((Client::Public, "")));
    let ended = world.cli(&["remove", "house"]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.stderr.contains("house is removed, but not signed out: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("stays in the store") && !world.config_text().contains("house"), "{ended:?}");
}

#[test]
fn a_removed_account_is_signed_out_and_leaves_nothing_behind() {
    let world = Setup::new().account("garden").start();
    let before = with_comment(&world);
    let issuer = world.oidc().issuer();
    let secret = world.folder().join("device-post.secret");
    let add = ["add", "plant", "--issuer", issuer, "--client-id", "device-post", "--client-secret-from"];
    assert_eq!(world.cli(&[&add[..], &[secret.to_str().unwrap()]].concat()).code(), 0);
    world.sign_in("plant");
    let in_the_way = world.folder().join("config.toml.new");
    fs::create_dir(&in_the_way).unwrap();
    let ended = world.cli(&["remove", "plant"]);
    assert!(ended.code() != 0 && ended.stderr.contains("cannot be written"), "{ended:?}");
    assert_eq!(world.wait_for_state("plant", "active")["error"], Value::Null, "what cannot be removed stays signed in");
    fs::remove_dir(&in_the_way).unwrap();
    let ended = world.cli(&["remove", "plant"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("Signed out") && ended.stdout.contains("taken it out"), "{}", ended.stdout);
    assert_eq!(world.config_text().trim_end(), before.trim_end());
    assert!(!world.folder().join("plant.secret").exists());
    let gone = world.cli(&["status", "plant"]);
    assert_ne!(gone.code(), 0, "{gone:?}");

    let ended = world.cli(&["remove", "plant"]);
    assert!(ended.code() == 1 && ended.stderr.contains("there are garden"), "{ended:?}");
}
