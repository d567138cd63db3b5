//! Node-RED with node-red-contrib-oauth2: a node per account, which asks the provider and hands the token on.

use std::fs;
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;
use serde_json::{Value, json};

use super::{Starts, idle, node_modules, rest};
use crate::device::Device;
use crate::figures::Effort;
use crate::reading;
use crate::support::clock::{SOON, unix_now, wait_for, wait_until};
use crate::support::process::Process;
use crate::support::subscriber::Message;
use crate::support::world::free_port;
use crate::table::{Table, Who};

const WHO: Who = Who::NodeRed;

/// How many requests are under way at a time, as with the agent.
const BURST: u16 = 64;

pub(super) fn measure(table: &mut Table, effort: Effort) {
    for accounts in [1, 100, 1_000] {
        let device = Device::new(accounts, "");
        let mut starts = Starts::default();
        let runs = effort.runs;
        for run in 0..runs {
            let mark = device.subscriber.mark();
            let started_at = unix_now();
            let node_red = start(&device, accounts, run);
            let tokens = wait_for("a token of every account", 6 * SOON, || {
                let tokens = tokens_since(&device, mark);
                (tokens.len() >= accounts).then_some(tokens)
            });
            let pid = node_red.pid();
            starts.take(pid, started_at, last(&tokens));
            if run + 1 == runs {
                rest(pid);
                for _ in 0..effort.runs {
                    std::thread::sleep(Duration::from_millis(500));
                    starts.at_rest.push(reading::memory(pid));
                }
                if accounts == 1 {
                    idle(pid, table, WHO, effort);
                    refreshes(&device, pid, table, effort);
                }
            }
        }
        starts.add_to(table, WHO, accounts);
    }
}

/// Answers to requests, from what it remembers and from the provider.
fn refreshes(device: &Device, pid: Pid, table: &mut Table, effort: Effort) {
    let (mut times, mut latency, mut rate, mut cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.runs.max(20) {
        let (_, token) = ask(device, "peer/refresh", 1);
        let sent_at = device.provider.sent_at(token.json["access_token"].as_str().unwrap()).unwrap();
        times.push((token.arrived_at - sent_at) * 1_000.0);
    }
    for _ in 0..effort.runs {
        latency.push(ask(device, "peer/ask", 1).0 * 1_000.0);
        let used = reading::cpu_of(pid);
        rate.push(f64::from(BURST) / ask(device, "peer/ask", BURST).0);
        cpu.push((reading::cpu_of(pid) - used) * 1_000_000.0 / f64::from(BURST));
    }
    table.begin("Refresh");
    table.add_of(WHO, "provider's answer to token", "ms", times);
    table.begin("Requests");
    table.add_of(WHO, "request to answer", "ms", latency);
    table.add_of(WHO, "answers", "per s", rate);
    table.add_of(WHO, "processor time of an answer", "µs", cpu);
}

/// Sends requests, and returns how long it took until the last answer, in seconds, and that answer.
fn ask(device: &Device, topic: &str, requests: u16) -> (f64, Message) {
    let mark = device.subscriber.mark();
    let sent_at = unix_now();
    for _ in 0..requests {
        device.subscriber.publish(topic, "{}");
    }
    let all = mark + 2 * usize::from(requests);
    wait_until("all answers", SOON, || device.subscriber.mark() >= all);
    let last = tokens_since(device, mark).pop().unwrap();
    (last.arrived_at - sent_at, last)
}

fn tokens_since(device: &Device, mark: usize) -> Vec<Message> {
    let messages = device.subscriber.since(mark);
    messages.into_iter().filter(|message| message.topic.starts_with("peer/token/")).collect()
}

fn last(tokens: &[Message]) -> f64 {
    tokens.iter().map(|token| token.arrived_at).fold(0.0, f64::max)
}

/// Starts it as installed, with its editor.
fn start(device: &Device, accounts: usize, run: usize) -> Process {
    let folder = device.folder().join(format!("node-red-{run}"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("flows.json"), flow(device, accounts).to_string()).unwrap();
    fs::write(folder.join("settings.js"), SETTINGS).unwrap();
    let port = free_port();
    let mut command = Command::new("node");
    command.arg(node_modules().join("node-red/red.js")).arg("--userDir").arg(&folder);
    command.arg("--settings").arg(folder.join("settings.js")).args(["--port", &port.to_string()]);
    Process::start("Node-RED", &mut command)
}

const SETTINGS: &str = "module.exports = {
    flowFile: 'flows.json', credentialSecret: false, uiHost: '127.0.0.1',
    telemetry: { enabled: false, updateNotification: false },
};
";

fn flow(device: &Device, accounts: usize) -> Value {
    let refreshers: Vec<_> = (1..=accounts).map(|number| format!("account-{number}")).collect();
    let mut nodes = vec![
        json!({ "id": "tab", "type": "tab", "label": "Tokens" }),
        json!({ "id": "broker", "type": "mqtt-broker", "name": "", "broker": "127.0.0.1",
                "port": device.broker.port().to_string(), "protocolVersion": "5", "cleansession": true,
                "autoConnect": true, "keepalive": "60", "usetls": false }),
        json!({ "id": "start", "z": "tab", "type": "inject", "props": [], "repeat": "", "once": true,
                "onceDelay": 0.1, "wires": [refreshers] }),
        json!({ "id": "refresh", "z": "tab", "type": "mqtt in", "topic": "peer/refresh", "qos": "1",
                "datatype": "auto-detect", "broker": "broker", "inputs": 0, "wires": [["account-1"]] }),
        json!({ "id": "ask", "z": "tab", "type": "mqtt in", "topic": "peer/ask", "qos": "1",
                "datatype": "auto-detect", "broker": "broker", "inputs": 0, "wires": [["remembers"]] }),
        json!({ "id": "out", "z": "tab", "type": "mqtt out", "topic": "", "qos": "1", "retain": "false",
                "broker": "broker", "wires": [] }),
    ];
    let node = |id: &str, number: usize, force: bool| {
        json!({ "id": id, "z": "tab", "type": "oauth2", "name": "", "container": "oauth2Response",
                "access_token_url": format!("{}/token", device.provider.issuer()), "grant_type": "refresh_token",
                "refresh_token": format!("first-{number}"), "client_id": "gateway", "client_secret": "secret",
                "scope": "read", "client_credentials_in_body": true, "headers": {}, "force": force,
                "wires": [[format!("payload of {id}")], []] })
    };
    let payload = |id: &str, number: usize| {
        json!({ "id": format!("payload of {id}"), "z": "tab", "type": "function", "outputs": 1, "libs": [],
                "func": format!("return {{ topic: 'peer/token/{number}', payload: msg.oauth2Response }};"),
                "wires": [["out"]] })
    };
    for number in 1..=accounts {
        let id = format!("account-{number}");
        nodes.extend([node(&id, number, true), payload(&id, number)]);
    }
    nodes.extend([node("remembers", 0, false), payload("remembers", 0)]);
    // What has no place on the tab would be taken for configuration.
    for node in nodes.iter_mut().filter(|node| node["z"].is_string()) {
        node["x"] = json!(100);
        node["y"] = json!(100);
    }
    Value::Array(nodes)
}
