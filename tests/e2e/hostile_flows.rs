//! What a device may send that means harm: the flows of the examples, as they are, in a real Node-RED.

use serde_json::{Value, json};

use crate::fleet::dashboard_flow;
use crate::support::broker::{Broker, Door};
use crate::support::node_red::NodeRed;
use crate::support::subscriber::Subscriber;

/// The functions of the centre, and what the second of them sends to a browser.
const KEEP: &str = "ce4717e000000008";
const TABLE: &str = "ce4717e000000009";

/// The dashboard of the centre with a browser that looks at all rows whenever a button is pressed.
fn watched(centre: u16) -> Value {
    let mut flows = dashboard_flow(centre);
    let nodes = flows.as_array_mut().unwrap();
    let tab = nodes.iter().find(|node| node["id"] == TABLE).unwrap()["z"].clone();
    let button = |id: &str, name: &str, payload: &Value| {
        json!({ "id": id, "z": tab, "type": "inject", "name": name, "x": 1, "y": 1, "wires": [[TABLE]],
                "props": [{ "p": "payload", "v": payload.to_string(), "vt": "json" }] })
    };
    nodes.extend([
        button("look", "look", &json!({ "viewer": "test", "view": { "search": "device-02", "filter": "", "at": 0 } })),
        button("first", "look first", &json!({ "viewer": "first", "view": { "search": "device-03", "filter": "", "at": 0 } })),
        button("all", "look at all", &json!({ "viewer": "all", "view": { "search": "", "filter": "", "at": 0 } })),
        button("proto", "look as proto", &json!({ "viewer": "__proto__", "view": { "search": {}, "at": "x" } })),
        button("show", "show", &json!({ "viewer": "test", "show": ["device-01/plant", "__proto__/plant", {}, 7] })),
        json!({ "id": "seen", "z": tab, "type": "debug", "name": "seen", "active": true, "tosidebar": true, "x": 1, "y": 1,
                "complete": "payload", "targetType": "msg", "wires": [] }),
    ]);
    let table = nodes.iter_mut().find(|node| node["id"] == TABLE).unwrap();
    table["wires"][0].as_array_mut().unwrap().push(json!("seen"));
    assert!(nodes.iter().any(|node| node["id"] == KEEP));
    flows
}

fn status(account: &str) -> Value {
    json!({ "account": account, "state": "signed_out", "needs_user": true, "user": null, "error": null })
}

/// As a device that means harm has it.
fn sign_in(account: &str) -> Value {
    json!({ "account": account, "pending": true, "user_code": "EVIL-CODE", "verification_uri": "https://evil.example/",
            "qr": "data:image/svg+xml;base64,PHN2Zy8+", "status": { "state": "active" }, "signin": { "user_code": "EVIL" } })
}

/// Presses a button, and waits until a browser is sent a page that fits.
#[track_caller]
fn look(node_red: &NodeRed, button: &str, fits: impl Fn(&Value) -> bool) -> Value {
    node_red.press(button);
    node_red.wait_in_debug_pane("seen", 0, |seen| fits(&seen["page"]))["page"].clone()
}

#[test]
fn one_device_can_neither_write_into_the_row_of_another_nor_fill_the_table() {
    let root = tempfile::tempdir().unwrap();
    let centre = Broker::start(&root.path().join("centre"), Door::Open);
    let device = Subscriber::connect(centre.port());
    let node_red = NodeRed::start(&root.path().join("node-red"), &watched(centre.port()));
    // Once Node-RED has subscribed to all topics, each message arrives in its turn; those that are retained before come in an
    // order of the broker's.
    device.retain("fleet/device-03/plant/signin", &sign_in("plant").to_string());
    device.retain("fleet/device-03/plant/status", &status("plant").to_string());
    look(&node_red, "look first", |page| {
        page["rows"][0]["pending"] == json!(true) && page["rows"][0]["state"] == json!("signed_out")
    });

    // What a broker lets through that holds each device to its own topics.
    for account in ["__proto__", "constructor", "prototype", "plant", "bridge", "<img src=x>"] {
        for topic in ["plant/signin", "__proto__/signin", "constructor/status", "bridge/response/login"] {
            let said = if topic.contains("response") {
                json!({ "status": "ok", "data": sign_in(account) })
            } else {
                sign_in(account)
            };
            device.retain(&format!("fleet/device-01/{topic}"), &said.to_string());
        }
        let all = json!({ "status": "ok", "data": [sign_in(account), null, 7, "text", status(account)] });
        device.retain("fleet/device-01/bridge/response/status", &all.to_string());
    }
    for topic in ["plant/status", "plant/signin", "bridge/response/status", "bridge/response/login", "connected"] {
        for text in
            ["null", "[]", "7", "{", "", "{\"status\":\"ok\",\"data\":null}", "{\"__proto__\":{\"pending\":true}}"]
        {
            device.retain(&format!("fleet/device-01/{topic}"), text);
        }
    }
    for topic in ["fleet/__proto__/plant/signin", "fleet/constructor/__proto__/status"] {
        device.retain(topic, &sign_in("plant").to_string());
    }
    for number in 0..500 {
        let account = format!("made-up-{number}");
        device.retain(&format!("fleet/device-01/{account}/status"), &status(&account).to_string());
    }
    device.retain("fleet/device-01/plant/signin", &sign_in("plant").to_string());
    device.retain("fleet/device-02/plant/status", &status("plant").to_string());

    let page = look(&node_red, "look", |page| page["rows"].to_string().contains("device-02"));
    let other = &page["rows"][0];
    assert_eq!((&other["pending"], &other["state"]), (&json!(false), &json!("signed_out")), "{other}");
    assert_eq!((&other["user_code"], &other["address"]), (&Value::Null, &Value::Null), "{other}");
    let page = look(&node_red, "look at all", |page| page["rows"].as_array().is_some_and(|rows| rows.len() == 25));
    assert_eq!((&page["total"], page["rows"].as_array().unwrap().len()), (&json!(64 + 2), 25), "{page}");
    let names: Vec<_> = page["rows"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert!(names.iter().all(|name| name.starts_with("device-01/") && !name.contains("__proto__")), "{names:?}");

    // Nor can a browser.
    node_red.press("look as proto");
    node_red.press("show");
    let codes = node_red.wait_in_debug_pane("seen", 0, |seen| seen["codes"].is_object())["codes"].clone();
    assert_eq!(codes, json!({ "device-01/plant": "data:image/svg+xml;base64,PHN2Zy8+" }));
    assert!(!node_red.log().contains("TypeError"), "{}", node_red.log());
}
