//! Node-RED with one flow: the token comes in over MQTT, goes into the header of a request, and the answer goes out.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::clock::SOON;
use super::oidc::servers;
use super::process::Process;

/// Where the flow publishes what the protected address answered.
pub(crate) const RESULT: &str = "flow/result";

/// A running Node-RED.
pub(crate) struct NodeRed(Process);

impl NodeRed {
    /// Starts it with a flow that takes the token from `topic` and calls `address` with it.
    #[track_caller]
    pub(crate) fn start(folder: &Path, broker_port: u16, topic: &str, address: &str) -> Self {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("flows.json"), flow(broker_port, topic, address).to_string()).unwrap();
        fs::write(folder.join("settings.js"), SETTINGS).unwrap();
        let mut command = Command::new("node");
        command.arg(servers().join("node_modules/node-red/red.js")).arg("--userDir").arg(folder);
        command.arg("--settings").arg(folder.join("settings.js"));
        let mut process = Process::start("Node-RED", &mut command);
        process.wait_for("a connection to the broker", 2 * SOON, |process| {
            process.stdout().contains("Connected to broker").then_some(())
        });
        Self(process)
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.0.stdout() + &self.0.stderr()
    }
}

/// No editor, no web server, nothing that phones home.
const SETTINGS: &str = "module.exports = {
    flowFile: 'flows.json', credentialSecret: false, httpAdminRoot: false, httpNodeRoot: false,
    telemetry: { enabled: false, updateNotification: false }, editorTheme: { tours: false },
    logging: { console: { level: 'info', metrics: false, audit: false } },
};
";

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
