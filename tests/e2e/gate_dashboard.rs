//! A dashboard behind the gate, in a real browser.

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_until};
use crate::support::gate::Gate;
use crate::support::node_red::NodeRed;
use crate::support::proxy::Program;
use crate::support::visitor::play_in;
use crate::support::world::free_port;

/// A page with a button, which says to whoever presses it whom the flow takes him for.
pub(crate) fn flow(broker_port: u16) -> Value {
    let node = |id: &str, kind: &str, more: Value| {
        let mut node = json!({ "id": id, "type": kind, "z": "the tab", "name": id.trim_start_matches("the ") });
        node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        node
    };
    json!([
        { "id": "the tab", "type": "tab", "label": "Who is it?" },
        { "id": "the broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": broker_port.to_string(),
          "protocolVersion": "5", "cleansession": true, "autoConnect": true, "keepalive": "60", "usetls": false },
        { "id": "the base", "type": "ui-base", "name": "Dashboard", "path": "/dashboard", "includeClientData": true,
          "acceptsClientConfig": ["ui-button", "ui-text", "ui-notification", "ui-control"], "navigationStyle": "default",
          "titleBarStyle": "default", "showReconnectNotification": true, "showDisconnectNotification": true },
        { "id": "the theme", "type": "ui-theme", "name": "Default theme",
          "colors": { "surface": "#fcfcfd", "primary": "#0d74ce", "bgPage": "#f9f9fb", "groupBg": "#ffffff",
                      "groupOutline": "#d9d9e0" },
          "sizes": { "density": "default", "pagePadding": "12px", "groupGap": "12px", "groupBorderRadius": "4px",
                     "widgetGap": "12px" } },
        { "id": "the page", "type": "ui-page", "name": "Tank", "ui": "the base", "path": "/tank", "icon": "gauge",
          "layout": "grid", "theme": "the theme", "order": 1, "visible": "true", "disabled": "false",
          "breakpoints": [{ "name": "Default", "px": "0", "cols": "6" }] },
        { "id": "the group", "type": "ui-group", "name": "Tank", "page": "the page", "width": "6", "height": "1", "order": 1,
          "showTitle": true, "visible": "true", "disabled": "false", "groupType": "default" },
        node("the in", "mqtt in", json!({ "topic": "oauth2mqtt/bridge/state", "qos": "1", "datatype": "auto-detect",
            "broker": "the broker", "inputs": 0, "wires": [[]] })),
        node("the button", "ui-button", json!({ "group": "the group", "label": "Who am I?", "order": 1, "icon": "", "iconPosition": "left", "className": "", "tooltip": "",
            "emulateClick": false, "buttonColor": "", "textColor": "", "iconColor": "", "width": "0",
            "height": "0", "payload": "", "payloadType": "str", "wires": [["the who", "the pressed"]] })),
        node("the pressed", "debug", json!({ "active": true, "tosidebar": true, "console": false, "complete": "_client.user",
            "targetType": "msg", "wires": [] })),
        node("the who", "change", json!({ "rules": [{ "t": "set", "p": "payload", "pt": "msg",
            "to": "'You are ' & _client.user.name", "tot": "jsonata" }], "wires": [["the text"]] })),
        node("the text", "ui-text", json!({ "group": "the group", "order": 2, "width": "0", "height": "0", "label": "",
            "format": "{{msg.payload}}", "layout": "row-left", "style": false, "className": "", "wires": [] })),
    ])
}

/// A dashboard behind a gate.
fn dashboard(program: Program, lines: &str) -> (Gate, NodeRed) {
    let port = free_port();
    let gate = Gate::start(program, port, "\"ann@example.com\", \"bob@example.com\"", lines);
    let folder = gate.world.folder().join("node-red");
    let node_red = NodeRed::start_behind_gate(port, &folder, &flow(gate.world.broker.port()), gate.port);
    (gate, node_red)
}

/// Nothing of the provider's that opens anything reached a browser, but the code that it brings back itself.
#[track_caller]
fn keeps_its_secrets(gate: &Gate, traffic: &str) {
    let secrets = gate.world.oidc().secrets();
    for secret in
        [secrets.client, secrets.access_token, secrets.refresh_token, secrets.id_token, secrets.device_code].concat()
    {
        assert!(secret.is_empty() || !traffic.contains(&secret), "a secret reached the browser");
    }
}

#[track_caller]
fn people_come_and_go(program: Program) {
    let (gate, node_red) = dashboard(program, "");
    let scene =
        json!({ "panel": gate.origin(), "trusted": gate.proxy.certificate(), "looks": program == Program::Nginx });
    let traffic = play_in(gate.world.folder(), "gate", &scene);
    keeps_its_secrets(&gate, &traffic);
    wait_until("all that was pressed", SOON, || node_red.shown_by("pressed") >= 5);
    let pressed = node_red.debug_pane().into_iter().filter(|shown| shown.name == "pressed");
    let users: Vec<_> = pressed.map(|shown| shown.value).collect();
    let user = |name: &str, groups: Value| {
        let address = format!("{name}@example.com");
        json!({ "userId": address, "username": address, "email": address, "name": name, "groups": groups })
    };
    let (ann, bob) = (user("ann", json!(["operators", "night shift"])), user("bob", json!([])));
    assert_eq!(users, [ann.clone(), bob.clone(), ann.clone(), ann, bob]);
}

#[test]
fn people_behind_nginx_sign_in_here_and_by_phone_and_are_told_apart() {
    people_come_and_go(Program::Nginx);
}

#[test]
fn people_behind_caddy_sign_in_here_and_by_phone_and_are_told_apart() {
    people_come_and_go(Program::Caddy);
}

#[test]
fn a_screen_on_a_wall_shows_the_code_again_when_nobody_uses_it() {
    let (gate, _node_red) = dashboard(Program::Nginx, "idle = \"6s\"");
    let traffic =
        play_in(gate.world.folder(), "kiosk", &json!({ "panel": gate.origin(), "trusted": gate.proxy.certificate() }));
    keeps_its_secrets(&gate, &traffic);
}
