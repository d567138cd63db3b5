//! Every way into a broker.

use std::fs;

use crate::support::broker::{Broker, Door};
use crate::support::clock::{SOON, wait_until};
use crate::support::world::{Setup, World};

/// The whole job through this door: sign in, ask by the command line, come back after the broker was away.
#[track_caller]
fn works_through(door: Door) -> World {
    let mut world = Setup::new().door(door).account("garden").start();
    let token = world.sign_in("garden");
    assert_eq!(world.oidc().me(token.access_token().unwrap()).status, 200);
    let ended = world.cli(&["status"]);
    assert!(ended.code() == 0 && ended.stdout.contains("active"), "{ended:?}");
    let subscriptions = world.subscriber.subscriptions();
    world.broker.stop();
    let mark = world.subscriber.mark();
    assert!(world.broker.start_again());
    world.subscriber.wait_for_subscription(subscriptions);
    world.subscriber.wait_after(mark, "oauth2mqtt/garden/token", |token| token["access_token"].is_string());
    world
}

#[test]
fn a_broker_that_wants_a_password_and_gives_few_rights() {
    works_through(Door::Password);
}

#[test]
fn a_broker_behind_tls_that_wants_a_client_certificate() {
    works_through(Door::Tls);
}

#[test]
fn a_broker_on_a_socket_of_this_machine() {
    works_through(Door::Unix);
}

#[test]
fn a_wrong_password_is_named_as_the_reason_and_a_right_one_mends_it() {
    let mut world = Setup::new().door(Door::Password).account("garden").without_agent();
    let file = world.broker.folder().join("password");
    let right = fs::read_to_string(&file).unwrap();
    fs::write(&file, "wrong\n").unwrap();
    let ended = world.cli(&["status"]);
    assert_eq!(ended.code(), 69, "{ended:?}");
    assert!(ended.stderr.contains("password_file"), "{}", ended.stderr);
    world.start_agent_offline();
    wait_until("the reason in the journal", SOON, || world.agent_log().contains("password_file"));
    assert!(world.agent().is_running());
    world.stop_agent();

    fs::write(&file, right).unwrap();
    world.start_agent();
    world.sign_in("garden");
}

#[test]
fn a_broker_with_a_certificate_of_a_stranger_gets_no_token() {
    let mut world = Setup::new().door(Door::Tls).account("garden").without_agent();
    let stranger = Broker::start(&world.folder().join("stranger"), Door::Tls);
    fs::copy(stranger.folder().join("ca.pem"), world.broker.folder().join("ca.pem")).unwrap();
    let ended = world.cli(&["status"]);
    assert_eq!(ended.code(), 69, "{ended:?}");
    world.start_agent_offline();
    wait_until("the reason in the journal", SOON, || world.agent_log().to_lowercase().contains("certificate"));
    world.stop_agent();
}

#[test]
fn two_agents_share_a_broker_under_two_base_topics() {
    let mut world = Setup::new().account("garden").start();
    let config = world.folder().join("second.toml");
    let text = world.config_text();
    let text = text.replace("[mqtt]\n", "[mqtt]\nbase_topic = \"plant/second\"\nclient_id = \"second\"\n");
    let store = world.store();
    fs::write(&config, text.replace(store.to_str().unwrap(), world.folder().join("second").to_str().unwrap())).unwrap();
    let second = crate::support::process::Process::start(
        "the second agent",
        world.command(&["run"]).env("OAUTH2MQTT_CONFIG", &config),
    );
    world.subscriber.wait("plant/second/bridge/state", |state| state["state"] == "online");
    world.sign_in("garden");
    let status = world.subscriber.wait("plant/second/garden/status", |_| true);
    assert_eq!(status.json["state"], "signed_out");
    second.kill();
    world.subscriber.wait("plant/second/bridge/state", |state| state["state"] == "offline");
    world.stop_agent();
}
