//! A Node-RED flow of two nodes calls a protected address, and knows nothing of OAuth.

use serde_json::Value;

use crate::support::node_red::{NodeRed, RESULT};
use crate::support::world::Setup;

#[test]
fn a_flow_calls_a_protected_address_before_and_after_a_refresh() {
    let world = Setup::new().token_life(8).account("garden").start();
    let address = format!("http://127.0.0.1:{}/api/me", world.oidc().port());
    let node_red =
        NodeRed::start(&world.folder().join("node-red"), world.broker.port(), "oauth2mqtt/garden/token", &address);
    world.sign_in("garden");
    let first = world.subscriber.wait(RESULT, |_| true);
    assert_eq!(first.json["sub"], "garden", "{first:?}\n{}", node_red.log());

    let with_another_token = |result: &Value| result["token"] != first.json["token"];
    let second = world.subscriber.wait(RESULT, with_another_token);
    assert_eq!(second.json["sub"], "garden", "{second:?}\n{}", node_red.log());
    assert!(world.oidc().refreshes().iter().any(|refresh| refresh.rotated));

    // Signing out sends a message without a token, which must not be an error to the flow.
    let calls = world.subscriber.on(RESULT).len();
    assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
    world.wait("garden", "token", |token| token["access_token"].is_null());
    let again = world.sign_in("garden");
    let third =
        world.subscriber.wait(RESULT, |result| result["token"] != second.json["token"] && result["sub"] == "garden");
    assert!(again.arrived_at <= third.arrived_at && world.subscriber.on(RESULT).len() > calls);
    assert!(!node_red.log().contains("[error]"), "{}", node_red.log());
    assert!(world.subscriber.on(RESULT).iter().all(|result| result.json["sub"] == "garden"));
}
