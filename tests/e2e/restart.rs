//! No power cut, restart or outage asks for the user again.

use std::io::Read;
use std::net::TcpListener;

use serde_json::json;

use crate::support::broker::Door;
use crate::support::clock::{SOON, wait_until};
use crate::support::server::Kind;
use crate::support::world::Setup;

#[test]
fn a_signed_in_agent_restarts_without_its_provider_and_the_token_is_there_again() {
    let mut world = Setup::new().account("garden").start();
    let token = world.sign_in("garden");
    world.kill_provider();
    assert_eq!(world.stop_agent().code(), 0);
    // The broker forgets too, so that what arrives comes from the agent.
    world.broker.stop();
    let subscriptions = world.subscriber.subscriptions();
    assert!(world.broker.start_again());
    world.subscriber.wait_for_subscription(subscriptions);
    let mark = world.subscriber.mark();
    world.start_agent();
    let again = world.subscriber.wait_after(mark, "oauth2mqtt/garden/token", |_| true);
    // The times are whole seconds, and were written down as such.
    assert_eq!(again.json["access_token"], token.json["access_token"]);
    assert_eq!(again.json["expires_at"], token.json["expires_at"]);
    assert_eq!(world.wait_for_state("garden", "active")["error"], json!(null));
}

#[test]
fn a_sign_in_that_waits_for_the_user_survives_a_power_cut() {
    let mut world = Setup::new().account("garden").start();
    let code = world.login("garden");
    world.kill_agent();
    let mark = world.subscriber.mark();
    world.start_agent();
    let again = world.subscriber.wait_after(mark, "oauth2mqtt/garden/signin", |_| true);
    assert_eq!(again.json, code);
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    let token = world.wait("garden", "token", |token| token["access_token"].is_string());
    assert_eq!(world.oidc().me(token.access_token().unwrap()).body["sub"], "ann");
}

#[test]
fn a_sign_in_that_was_approved_during_a_power_cut_completes_after_it() {
    let mut world = Setup::new().account("garden").start();
    let code = world.login("garden");
    world.kill_agent();
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    world.start_agent();
    world.wait_for_state("garden", "active");
}

/// As Azure AD B2C does where a scope is missing, and any other provider may by mistake.
#[test]
fn a_power_cut_after_a_refresh_without_an_access_token_loses_no_refresh_token() {
    let without = json!({ "refresh_token": "$", "token_type": "Bearer", "expires_in": 3_600 });
    let with = json!({ "access_token": "$", "refresh_token": "$", "token_type": "Bearer", "expires_in": 3_600 });
    let answers = [without, with].map(|json| json!({ "status": 200, "json": json }));
    let settings = "issuer = \"{issuer}\"\nclient_id = \"gateway\"\nscopes = [\"read\"]";
    let setup = Setup::on(Kind::Fake).provider("providers", json!({ "plain": { "answers": { "refresh": answers } } }));
    let mut world = setup.account_as("garden", settings).start();
    world.sign_in_as("garden", "ann");
    assert_eq!(world.refresh("garden")["code"], "answer_malformed");
    assert_eq!(world.wait_for_state("garden", "active")["error"]["code"], "answer_malformed");
    world.kill_agent();
    world.start_agent();
    assert_eq!(world.refresh("garden")["status"], "ok");
    let refreshes = world.oidc().refreshes();
    let [first, second] = &refreshes[..] else { panic!("{refreshes:?}") };
    assert_eq!(second.presented, first.refresh_token, "{refreshes:?}");
}

#[test]
fn a_power_cut_after_a_refresh_loses_nothing() {
    let mut world = Setup::new().account("garden").start();
    world.sign_in("garden");
    for _ in 0..3 {
        assert_eq!(world.refresh("garden")["status"], "ok");
        world.kill_agent();
        world.start_agent();
        assert_eq!(world.wait_for_state("garden", "active")["error"], json!(null));
    }
    let refreshes = world.oidc().refreshes();
    assert!(refreshes.iter().all(|refresh| refresh.rotated), "{refreshes:?}");
}

#[test]
fn an_orderly_stop_waits_for_the_answer_that_carries_the_next_refresh_token() {
    let mut world = Setup::new().provider("latency_ms", json!([800, 800])).account("garden").start();
    world.sign_in("garden");
    world.refresh("garden");
    let before = world.oidc().refreshes().len();
    // Asks again until the last refresh is long enough ago, and stops the agent while the provider takes its time.
    wait_until("a refresh under way", SOON, || {
        world.subscriber.send_request("refresh", "garden");
        world.oidc().refreshes().len() > before
    });
    world.stop_agent();
    world.start_agent();
    assert_eq!(world.refresh("garden")["status"], "ok");
    let refreshes = world.oidc().refreshes();
    assert!(refreshes.iter().all(|refresh| refresh.error.is_none()), "{refreshes:?}");
}

#[test]
fn a_broker_that_comes_back_gets_every_topic_afresh() {
    let mut world = Setup::new().account("garden").account("house").start();
    let token = world.sign_in("garden");
    let code = world.login("house");
    let subscriptions = world.subscriber.subscriptions();
    world.broker.stop();
    let mark = world.subscriber.mark();
    assert!(world.broker.start_again());
    world.subscriber.wait_for_subscription(subscriptions);
    let again = |topic: &str| world.subscriber.wait_after(mark, &format!("oauth2mqtt/{topic}"), |_| true).json;
    assert_eq!(again("bridge/state"), json!({ "state": "online" }));
    assert_eq!(again("bridge/info")["accounts"].as_array().unwrap().len(), 2);
    assert_eq!(again("garden/token")["access_token"], token.json["access_token"]);
    assert_eq!(again("garden/status")["state"], "active");
    assert_eq!(again("garden/signin")["pending"], false);
    assert_eq!(again("house/signin"), code);
    assert_eq!(again("house/status")["state"], "awaiting_user");
    assert!(again("house/token")["access_token"].is_null());
    // Requests work again as well.
    assert_eq!(world.subscriber.request("refresh", "garden")["status"], "ok");
}

#[test]
fn an_agent_that_starts_before_its_broker_waits_for_it() {
    let mut world = Setup::new().door(Door::Open).account("garden").without_agent();
    world.broker.stop();
    world.start_agent_offline();
    wait_until("a word about the broker", SOON, || world.agent_log().contains("broker"));
    assert!(world.broker.start_again());
    world.subscriber.wait("oauth2mqtt/bridge/state", |state| state["state"] == "online");
    world.sign_in("garden");
}

#[test]
fn a_token_is_refreshed_while_the_broker_is_away() {
    let mut world = Setup::new().token_life(8).account("garden").start();
    let token = world.sign_in("garden");
    world.broker.stop();
    wait_until("a refresh", SOON, || world.oidc().refreshes().iter().any(|refresh| refresh.rotated));
    let subscriptions = world.subscriber.subscriptions();
    assert!(world.broker.start_again());
    world.subscriber.wait_for_subscription(subscriptions);
    let fresh = world.wait("garden", "token", |new| new["access_token"] != token.json["access_token"]);
    assert_eq!(world.oidc().me(fresh.access_token().unwrap()).status, 200);
}

#[test]
fn something_mute_in_the_place_of_the_broker_does_no_harm() {
    let mut world = Setup::new().account("garden").without_agent();
    let port = world.broker.port();
    world.broker.stop();
    let mute = TcpListener::bind(("127.0.0.1", port)).unwrap();
    world.start_agent_offline();
    mute.set_nonblocking(true).unwrap();
    // The test's own client tries its luck here as well.
    wait_until("the agent at the mute broker", SOON, || {
        let Ok((mut connection, _)) = mute.accept() else { return false };
        connection.set_nonblocking(false).unwrap();
        connection.set_read_timeout(Some(SOON)).unwrap();
        let mut packet = [0; 64];
        let length = connection.read(&mut packet).unwrap_or(0);
        String::from_utf8_lossy(&packet[..length]).contains("oauth2mqtt")
    });
    drop(mute);
    wait_until("mosquitto", SOON, || world.broker.start_again());
    world.subscriber.wait("oauth2mqtt/bridge/state", |state| state["state"] == "online");
}
