//! SIGHUP: accounts come, change and go, and the others do not notice.

use std::fs;

use serde_json::json;

use crate::support::certificates::make_certificate;
use crate::support::clock::{SOON, wait_until};
use crate::support::subscriber::Subscriber;
use crate::support::world::{Client, Setup, World};

/// The names in `bridge/info`.
fn names(info: &serde_json::Value) -> Vec<&str> {
    info["accounts"].as_array().unwrap().iter().map(|account| account["name"].as_str().unwrap()).collect()
}

#[test]
fn an_account_that_is_added_is_there_at_once_and_the_others_keep_their_token() {
    let world = Setup::new().account("garden").start();
    world.sign_in("garden");
    let mark = world.subscriber.mark();
    world.set_account("house", Some((Client::Public, "")));
    world.reload();
    world.subscriber.wait_after(mark, "oauth2mqtt/bridge/info", |info| names(info) == ["garden", "house"]);
    world.wait_for_state("house", "signed_out");
    world.sign_in("house");
    assert_eq!(world.wait_for_state("garden", "active")["error"], json!(null));
    assert!(world.oidc().refreshes().is_empty());
    let since = world.subscriber.since(mark);
    assert!(since.iter().all(|m| m.topic != "oauth2mqtt/garden/token" || m.access_token().is_some()), "{since:?}");
}

#[test]
fn an_account_that_is_removed_leaves_no_token_behind_and_comes_back_signed_in() {
    let world = Setup::new().account("garden").account("house").start();
    world.sign_in("garden");
    let token = world.sign_in("house");
    world.set_account("house", None);
    world.reload();
    world.subscriber.wait("oauth2mqtt/bridge/info", |info| names(info) == ["garden"]);
    world.wait("house", "token", |token| token["access_token"].is_null());
    assert_eq!(world.subscriber.request("login", "house")["status"], "error");
    world.wait_for_state("garden", "active");

    world.set_account("house", Some((Client::Public, "")));
    world.reload();
    let again = world.wait("house", "token", |token| token["access_token"].is_string());
    assert_eq!(again.json["access_token"], token.json["access_token"]);
    assert_eq!(world.oidc().me(again.access_token().unwrap()).status, 200);
}

#[test]
fn an_account_that_changes_how_it_publishes_keeps_its_sign_in() {
    let world = Setup::new().account("garden").start();
    world.sign_in("garden");
    world.set_account("garden", Some((Client::Public, "publish = \"on_request\"")));
    world.reload();
    world.wait("garden", "token", |token| token["access_token"].is_null());
    assert_eq!(world.subscriber.request("token", "garden")["status"], "ok");
    world.set_account("garden", Some((Client::Public, "")));
    world.reload();
    world.wait("garden", "token", |token| token["access_token"].is_string());
    assert!(world.oidc().refreshes().is_empty());
}

#[test]
fn an_account_that_changes_its_client_needs_a_new_sign_in_and_can_go_back() {
    let world = Setup::new().account("garden").start();
    let token = world.sign_in("garden");
    world.set_account("garden", Some((Client::SecretInBody, "")));
    world.reload();
    let status = world.wait_for_state("garden", "signed_out");
    assert_eq!(status["error"]["code"], "client_changed", "{status}");
    world.wait("garden", "token", |token| token["access_token"].is_null());

    world.set_account("garden", Some((Client::Public, "")));
    world.reload();
    let again = world.wait("garden", "token", |token| token["access_token"].is_string());
    assert_eq!(again.json["access_token"], token.json["access_token"]);
}

#[test]
fn a_bad_file_leaves_the_running_configuration_in_force() {
    let world = Setup::new().account("garden").start();
    let token = world.sign_in("garden");
    let mark = world.subscriber.mark();
    let good = world.config_text();
    fs::write(world.config(), format!("{good}\n[accounts.house]\nisuer = \"https://id.example\"\n")).unwrap();
    world.reload();
    world.wait_for_log(&["the running one stays in force"]);
    world.wait_for_log(&["isuer"]);
    assert_eq!(world.subscriber.latest("oauth2mqtt/garden/token").unwrap().json, token.json);
    assert_eq!(world.refresh("garden")["status"], "ok");

    fs::write(world.config(), good).unwrap();
    world.reload();
    world.subscriber.wait_after(mark, "oauth2mqtt/bridge/info", |info| names(info) == ["garden"]);
    world.wait_for_state("garden", "active");
}

/// A restart under another configuration, which no reload ever saw.
#[track_caller]
fn restarted_after(change: impl Fn(&World)) -> World {
    let mut world = Setup::new().account("garden").account_with("house", Client::Public, TELLS).start();
    for account in ["garden", "house"] {
        world.sign_in(account);
    }
    world.login("garden");
    world.stop_agent();
    change(&world);
    world.start_agent();
    world.wait_for_state("garden", "active");
    world
}

const TELLS: &str = "scopes = [\"openid\", \"email\", \"offline_access\"]\nidentity = true";

#[test]
fn an_account_that_a_restarted_agent_does_not_have_any_more_leaves_nothing_behind() {
    let world = restarted_after(|world| world.set_account("house", None));
    for (topic, key) in [("token", "access_token"), ("signin", "user_code"), ("identity", "email")] {
        world.wait("house", topic, |message| message[key].is_null());
    }
    world.wait_for_state("house", "signed_out");
    wait_until("the broker has forgotten it", 2 * SOON, || {
        let late = Subscriber::connect(world.broker.port());
        // The answer comes after what is retained.
        late.request("status", "garden");
        late.messages().iter().all(|message| !message.topic.starts_with("oauth2mqtt/house/"))
    });
}

#[test]
fn a_restart_under_other_settings_takes_back_what_they_do_not_publish() {
    let quiet = "publish = \"on_request\"\nscopes = [\"openid\", \"email\", \"offline_access\"]";
    let world = restarted_after(|world| world.set_account("house", Some((Client::Public, quiet))));
    world.wait("house", "token", |token| token["access_token"].is_null());
    world.wait("house", "identity", |identity| identity["email"].is_null());
    assert_eq!(world.subscriber.request("token", "house")["status"], "ok");
}

#[test]
fn tokens_that_stay_on_the_device_from_now_on_are_taken_back_from_where_bridges_carry_them() {
    let world = restarted_after(|world| {
        let config = world.config_text().replace("[mqtt]\n", "[mqtt]\nlocal_tokens = true\n");
        fs::write(world.config(), config).unwrap();
    });
    world.wait("garden", "token", |token| token["access_token"].is_null());
    world.subscriber.wait("$local/oauth2mqtt/garden/token", |token| token["access_token"].is_string());
}

#[test]
fn a_file_of_certificate_authorities_is_read_again() {
    let mut setup = Setup::new().account("garden");
    let folder = tempfile::tempdir().unwrap();
    make_certificate(folder.path(), &["id.example.com"]);
    let authorities = folder.path().join("ca.pem");
    setup = setup.account_with("house", Client::Public, &format!("ca_file = \"{}\"", authorities.display()));
    let world = setup.start();
    world.sign_in("house");
    // What cannot be used shows that it was read.
    fs::write(&authorities, "no certificate\n").unwrap();
    world.reload();
    world.wait_for_log(&["the account stays as it was", "there is no certificate in it"]);
    assert_eq!(world.refresh("house")["status"], "ok");
}

#[test]
fn a_reload_tries_a_refused_secret_again_only_if_there_is_another() {
    let settings = "issuer = \"{issuer}\"\ngrant = \"client_credentials\"\nclient_id = \"machine +/:%41&=?\"\n\
                    client_secret_file = \"machine.secret\"\nclient_auth = \"client_secret_basic\"\nscopes = [\"measure\"]";
    let mut world = Setup::new().account_as("machine", settings).without_agent();
    let file = world.folder().join("machine.secret");
    let right = fs::read_to_string(&file).unwrap();
    fs::write(&file, "wrong-secret\n").unwrap();
    world.start_agent();
    world.wait("machine", "status", |status| status["error"]["code"] == "invalid_client");
    let attempts = || world.oidc().log().len();
    let before = attempts();
    for _ in 0..5 {
        assert_eq!(world.subscriber.request("reload", "")["status"], "ok");
    }
    let refused = |line: &&str| line.contains("invalid_client") && line.contains(" WARN ");
    let told = world.log_up_to_now().lines().filter(refused).count();
    assert!(attempts() == before && told <= 1, "{} attempts, {told} refused", attempts() - before);

    fs::write(&file, right).unwrap();
    assert_eq!(world.subscriber.request("reload", "")["status"], "ok");
    world.wait_for_state("machine", "active");
    // Had there been attempts meanwhile, the last of them would have come before this one.
    assert_eq!(attempts(), before + 1);
}
