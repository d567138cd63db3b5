//! A Node-RED flow of two nodes calls a protected address, and knows nothing of OAuth.

use serde_json::{Value, json};

use crate::support::node_red::NodeRed;
use crate::support::world::Setup;

/// Where the flow publishes what the protected address answered.
const RESULT: &str = "flow/result";

/// The token comes in over MQTT, goes into the header of a request, and the answer goes out.
fn flow(broker_port: u16, topic: &str, address: &str) -> Value {
    json!([
        { "id": "tab", "type": "tab", "label": "Calls an API with the published token" },
        { "id": "broker", "type": "mqtt-broker", "name": "", "broker": "127.0.0.1", "port": broker_port.to_string(),
          "protocolVersion": "5", "cleansession": true, "autoConnect": true, "keepalive": "60", "usetls": false },
        { "id": "in", "z": "tab", "type": "mqtt in", "topic": topic, "qos": "1", "datatype": "auto-detect",
          "broker": "broker", "nl": false, "rap": true, "rh": 0, "inputs": 0, "wires": [["signed in"]] },
        // While nobody is signed in there is no token, and nothing to call with.
        { "id": "signed in", "z": "tab", "type": "switch", "property": "payload.access_token", "propertyType": "msg",
          "rules": [{ "t": "nnull" }], "checkall": "true", "outputs": 1, "wires": [["call"]] },
        { "id": "call", "z": "tab", "type": "http request", "method": "GET", "ret": "obj", "url": address,
          "paytoqs": "ignore", "persist": false, "senderr": false, "headers": [
            { "keyType": "other", "keyValue": "Authorization",
              "valueType": "msg", "valueValue": "payload.authorization" }
          ], "wires": [["out"]] },
        { "id": "out", "z": "tab", "type": "mqtt out", "topic": RESULT, "qos": "1", "retain": "false",
          "broker": "broker", "wires": [] },
        { "id": "catch", "z": "tab", "type": "catch", "scope": null, "uncaught": false, "wires": [["error"]] },
        { "id": "error", "z": "tab", "type": "debug", "active": true, "console": true, "tosidebar": false,
          "complete": "error", "targetType": "msg", "wires": [] }
    ])
}

#[test]
fn a_flow_calls_a_protected_address_before_and_after_a_refresh() {
    let world = Setup::new().token_life(8).account("garden").start();
    let address = format!("http://127.0.0.1:{}/api/me", world.oidc().port());
    let flow = flow(world.broker.port(), "oauth2mqtt/garden/token", &address);
    let node_red = NodeRed::start(&world.folder().join("node-red"), &flow);
    world.sign_in("garden");
    let first = world.subscriber.wait(RESULT, |_| true);
    assert_eq!(first.json["sub"], "garden", "{first:?}\n{}", node_red.log());

    let with_another_token = |result: &Value| result["token"] != first.json["token"];
    let second = world.subscriber.wait(RESULT, with_another_token);
    assert_eq!(second.json["sub"], "garden", "{second:?}\n{}", node_red.log());
    assert!(world.oidc().refreshes().iter().any(|refresh| refresh.rotated));

    // Signing out sends a message without a token, which must not be an error to the flow.
    assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
    world.wait("garden", "token", |token| token["access_token"].is_null());
    let mark = world.subscriber.mark();
    world.sign_in("garden");
    let third = world.subscriber.wait_after(mark, RESULT, |_| true);
    assert_ne!(third.json["token"], second.json["token"]);
    assert!(!node_red.log().contains("[error]"), "{}", node_red.log());
    assert!(world.subscriber.on(RESULT).iter().all(|result| result.json["sub"] == "garden"));
}
