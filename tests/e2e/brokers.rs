//! Every way into a broker.

use std::fs;

use serde_json::json;

use crate::support::broker::{Broker, Door};
use crate::support::clock::{SOON, unix_now, wait_until};
use crate::support::process::Process;
use crate::support::server::Kind;
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

/// Another agent at the same broker, under another base topic.
fn second_agent(world: &World, client_id: &str) -> Process {
    let config = world.folder().join("second.toml");
    let text = world.config_text();
    let mqtt = format!("[mqtt]\nbase_topic = \"plant/second\"\nclient_id = \"{client_id}\"\n");
    let text = text.replace("[mqtt]\n", &mqtt);
    let store = world.store();
    fs::write(&config, text.replace(store.to_str().unwrap(), world.folder().join("second").to_str().unwrap())).unwrap();
    Process::start("the second agent", world.command(&["run"]).env("OAUTH2MQTT_CONFIG", &config))
}

#[test]
fn two_agents_share_a_broker_under_two_base_topics() {
    let mut world = Setup::new().account("garden").start();
    let second = second_agent(&world, "second");
    world.subscriber.wait("plant/second/bridge/state", |state| state["state"] == "online");
    world.sign_in("garden");
    let status = world.subscriber.wait("plant/second/garden/status", |_| true);
    assert_eq!(status.json["state"], "signed_out");
    second.kill();
    world.subscriber.wait("plant/second/bridge/state", |state| state["state"] == "offline");
    world.stop_agent();
}

#[test]
fn two_agents_of_one_name_throw_each_other_out_ever_more_slowly_and_say_why() {
    let mut world = Setup::new().account("garden").start();
    let began = unix_now();
    let second = second_agent(&world, "oauth2mqtt");
    wait_until("ten connections", 2 * SOON, || world.broker.connections_of("oauth2mqtt") >= 10);
    // Of the pauses before the last of five, chance takes half away at most.
    let took = unix_now() - began;
    assert!(took > 3.0, "{took}");
    // This broker does not say that it is a takeover (MQTT 5, 0x8E).
    world.wait_for_log(&["another client may call itself oauth2mqtt as well ([mqtt] client_id)"]);
    let log = world.agent_log();
    let said = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert!((1..=3).contains(&said(" WARN there is no broker")), "{log}");
    assert!((1..=4).contains(&said(" INFO connected to the broker")), "{log}");
    second.kill();
    world.stop_agent();
}

#[test]
fn what_is_larger_than_the_broker_takes_is_named_and_stops_nothing_else() {
    let world = Setup::new().broker("max_packet_size 3000").account("garden").account("house").start();
    // Both the response and the topic have the QR code.
    let answer = world.subscriber.request("login", "garden");
    assert_eq!(answer["code"], "response_too_large", "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("max_packet_size"), "{answer}");
    world.wait_for_state("garden", "awaiting_user");
    let said = |what: &str| world.agent_log().lines().filter(|line| line.contains(what)).count();
    wait_until("the reason in the journal", SOON, || said("garden/signin") > 0);
    assert_eq!(said("are more than the 3000 that the broker accepts"), 1, "{}", world.agent_log());
    assert_eq!(world.subscriber.request("cancel", "garden")["status"], "ok");
    wait_until("word that it is taken again", SOON, || said("the broker takes this again") == 1);
    assert_eq!(world.broker.connections_of("oauth2mqtt"), 1);
}

#[test]
fn a_token_that_is_larger_than_the_broker_takes_is_an_error_of_its_account_until_a_smaller_one_comes() {
    let token = |length: usize| {
        let token = "x".repeat(length);
        json!([{ "status": 200, "json": { "access_token": token, "refresh_token": "$", "expires_in": 3600 } }])
    };
    let answers = json!({ "client_credentials": token(30_000) });
    let machine = "issuer = \"{issuer}\"\ngrant = \"client_credentials\"\nclient_id = \"machine\"\nclient_secret_file = \"the.secret\"";
    let world = Setup::on(Kind::Fake)
        .broker("max_packet_size 20000")
        .provider("providers", json!({ "plain": { "answers": answers } }))
        .account_as("garden", machine)
        .start();
    let status = world.wait("garden", "status", |status| status["error"]["code"] == "token_refused").json;
    assert_eq!((&status["state"], &status["needs_user"]), (&json!("active"), &json!(false)), "{status}");
    let message = status["error"]["message"].as_str().unwrap();
    assert!(message.contains("20000 that the broker accepts") && message.contains("max_packet_size"), "{message}");
    let check = world.cli(&["status", "--check"]);
    assert!(check.code() != 0 && check.stderr.contains("max_packet_size"), "{check:?}");
    world.oidc().answer("plain", &json!({ "client_credentials": token(1_000) }));
    // Just after a token the agent does not ask for another.
    wait_until("a smaller token", SOON, || {
        assert_eq!(world.subscriber.request("refresh", "garden")["status"], "ok");
        let token = world.subscriber.latest("oauth2mqtt/garden/token");
        token.is_some_and(|token| token.access_token().is_some_and(|token| token.len() == 1_000))
    });
    world.wait("garden", "status", |status| status["error"].is_null());
}

#[test]
fn a_topic_that_the_broker_refuses_is_named_with_what_to_do_until_it_takes_it() {
    // Without a limit mosquitto 2.0 takes a refusal for one message too many, and ends the connection.
    let setup = Setup::new().door(Door::Password).broker("max_queued_messages 100000");
    let mut world = setup.account("garden").without_agent();
    let acl = world.broker.folder().join("acl");
    let rights = fs::read_to_string(&acl).unwrap();
    let but_tokens =
        "topic readwrite oauth2mqtt/bridge/#\ntopic write oauth2mqtt/+/status\ntopic write oauth2mqtt/+/signin";
    fs::write(&acl, rights.replace("topic readwrite oauth2mqtt/#", but_tokens)).unwrap();
    world.broker.stop();
    assert!(world.broker.start_again());
    world.start_agent();
    let code = world.login("garden");
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    world.wait_for_state("garden", "active");
    assert_eq!(world.subscriber.request("refresh", "garden")["status"], "ok");
    let said = |world: &World, what: &str| world.agent_log().lines().filter(|line| line.contains(what)).count();
    wait_until("the reason in the journal", SOON, || said(&world, "ERROR this does not reach anybody") > 0);
    let log = world.agent_log();
    let line = log.lines().find(|line| line.contains("ERROR this does not reach anybody")).unwrap();
    assert!(line.contains("oauth2mqtt/garden/token") && line.contains("access rules (ACL)"), "{line}");
    assert_eq!(said(&world, "ERROR this does not reach anybody"), 1, "{log}");

    fs::write(&acl, rights).unwrap();
    let subscriptions = world.subscriber.subscriptions();
    world.broker.stop();
    assert!(world.broker.start_again());
    world.subscriber.wait_for_subscription(subscriptions);
    world.wait("garden", "token", |token| token["access_token"].is_string());
    wait_until("word that it is taken again", SOON, || said(&world, "the broker takes this again") == 1);
}
