//! A real Node-RED with flows as a user imports them: what its debug pane shows, its buttons, and its web pages.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::clock::{SOON, wait_for, wait_until};
use super::process::Process;
use super::server::servers;
use super::world::free_port;

/// A running Node-RED.
pub(crate) struct NodeRed {
    process: Process,
    port: u16,
    flows: Value,
}

/// One line of the debug pane.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// The name of the debug node.
    pub(crate) name: String,
    /// What it shows; text as it is, the rest as JSON.
    pub(crate) value: Value,
}

/// An example file as it is imported; the port of the broker is the one thing that is not the user's to set.
#[track_caller]
pub(crate) fn example(file: &str, broker_port: u16) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/node-red").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut flows: Value = serde_json::from_str(&text).unwrap();
    for node in flows.as_array_mut().unwrap() {
        if node["type"] == "mqtt-broker" {
            assert_eq!((&node["broker"], &node["port"]), (&"127.0.0.1".into(), &"1883".into()), "{file}");
            assert_eq!(node["protocolVersion"], "5", "{file}");
            node["port"] = broker_port.to_string().into();
        }
    }
    flows
}

/// Several examples in one Node-RED: what they share is there once.
pub(crate) fn together(examples: &[Value]) -> Value {
    let mut nodes: Vec<Value> = Vec::new();
    for node in examples.iter().flat_map(|flows| flows.as_array().unwrap()) {
        if nodes.iter().all(|other| other["id"] != node["id"]) {
            nodes.push(node.clone());
        }
    }
    nodes.into()
}

/// Sets a property of the flow, as a user does in the properties of its tab.
#[track_caller]
pub(crate) fn set_env(flows: &mut Value, name: &str, value: &str) {
    let tabs = flows.as_array_mut().unwrap().iter_mut().filter(|node| node["type"] == "tab");
    let mut properties = tabs.flat_map(|tab| tab["env"].as_array_mut().unwrap());
    let property = properties.find(|property| property["name"] == name);
    property.unwrap_or_else(|| panic!("the flow has no property {name}"))["value"] = value.into();
}

impl Drop for NodeRed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the debug pane: {:?}\nNode-RED: {}", self.debug_pane(), self.log());
        }
    }
}

impl NodeRed {
    /// Starts it in `folder` with these flows, and waits until it has reached the broker.
    #[track_caller]
    pub(crate) fn start(folder: &Path, flows: &Value) -> Self {
        // Between finding a port free and taking it, somebody else may take it.
        let mut attempts = (0..3).filter_map(|_| Self::start_at(free_port(), folder, flows));
        attempts.next().unwrap_or_else(|| panic!("Node-RED does not start on any port"))
    }

    /// The same, if the port is to be had.
    #[track_caller]
    pub(crate) fn start_at(port: u16, folder: &Path, flows: &Value) -> Option<Self> {
        Self::start_with(port, folder, flows, &[])
    }

    /// Starts it with the package of this repository, whose plug-in asks the gate at that port who comes.
    #[track_caller]
    pub(crate) fn start_behind_gate(port: u16, folder: &Path, flows: &Value, gate: u16) -> Self {
        let packages = folder.join("node_modules/@oauth2mqtt");
        fs::create_dir_all(&packages).unwrap();
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("node-red");
        std::os::unix::fs::symlink(package, packages.join("node-red")).unwrap();
        let gate = format!("http://127.0.0.1:{gate}");
        let started = Self::start_with(port, folder, flows, &[("OAUTH2MQTT_GATE", &gate)]);
        started.unwrap_or_else(|| panic!("Node-RED does not start on port {port}"))
    }

    #[track_caller]
    fn start_with(port: u16, folder: &Path, flows: &Value, variables: &[(&str, &str)]) -> Option<Self> {
        fs::create_dir_all(folder.join("nodes")).unwrap();
        fs::write(folder.join("flows.json"), flows.to_string()).unwrap();
        fs::write(folder.join("settings.js"), SETTINGS).unwrap();
        fs::write(folder.join("nodes/debug-pane.js"), DEBUG_PANE).unwrap();
        fs::write(folder.join("nodes/debug-pane.html"), "").unwrap();
        let mut command = Command::new("node");
        command.arg(servers().join("node_modules/node-red/red.js")).arg("--userDir").arg(folder);
        command.arg("--settings").arg(folder.join("settings.js")).arg("--port").arg(port.to_string());
        command.envs(variables.iter().copied());
        let process = Process::start("Node-RED", &mut command);
        let mut node_red = Self { process, port, flows: flows.clone() };
        let is_up = wait_for("Node-RED", 3 * SOON, || {
            let log = node_red.log();
            let is_taken = log.contains("port in use");
            (is_taken || log.contains("Connected to broker") || !node_red.process.is_running()).then_some(!is_taken)
        });
        assert!(!is_up || node_red.process.is_running(), "{}", node_red.log());
        is_up.then_some(node_red)
    }

    /// Presses the button of an inject node.
    #[track_caller]
    pub(crate) fn press(&self, name: &str) {
        let id = self.id_of("inject", name);
        let status = post(self.port, &format!("/admin/inject/{id}"), "{}");
        assert_eq!(status, 200, "the button {name:?}\n{}", self.log());
    }

    /// Deploys other flows in their place, all at once, as the editor does.
    #[track_caller]
    pub(crate) fn deploy(&self, flows: &Value) {
        let started = || self.log().matches("Started flows").count();
        let before = started();
        let status = post(self.port, "/admin/flows", &flows.to_string());
        assert_eq!(status, 204, "{}", self.log());
        wait_until("the start of the flows", SOON, || started() > before);
    }

    /// The port of its web server: `/admin` is the editor, `/dashboard` the dashboard.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The most memory that it has had, in kilobytes.
    pub(crate) fn most_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid().as_raw_nonzero())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The id of the node of that type and name.
    #[track_caller]
    pub(crate) fn id_of(&self, kind: &str, name: &str) -> String {
        let fits = |node: &&Value| node["type"] == kind && node["name"] == name;
        let node = self.flows.as_array().unwrap().iter().find(fits);
        node.unwrap_or_else(|| panic!("no {kind} {name:?}"))["id"].as_str().unwrap().to_owned()
    }

    /// What the debug pane has shown so far.
    pub(crate) fn debug_pane(&self) -> Vec<Shown> {
        let lines = self.process.stdout();
        lines.lines().filter_map(|line| line.strip_prefix("debug-pane ")).filter_map(shown).collect()
    }

    /// Waits until the debug node of that name shows something that fits, since its first `after` lines.
    #[track_caller]
    pub(crate) fn wait_in_debug_pane(&self, name: &str, after: usize, fits: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("{name:?} in the debug pane"), 2 * SOON, || {
            let mut lines = self.debug_pane().into_iter().filter(|shown| shown.name == name).skip(after);
            lines.find(|shown| fits(&shown.value)).map(|shown| shown.value)
        })
    }

    /// Waits for the next line of the debug pane after so many.
    #[track_caller]
    pub(crate) fn wait_for_next(&self, lines: usize) -> Shown {
        wait_for("a line of the debug pane", 2 * SOON, || self.debug_pane().into_iter().nth(lines))
    }

    /// How much the debug node of that name has shown.
    pub(crate) fn shown_by(&self, name: &str) -> usize {
        self.debug_pane().iter().filter(|shown| shown.name == name).count()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }
}

/// A line of JSON as the editor gets it: objects as text that may be cut, and the format they have.
fn shown(line: &str) -> Option<Shown> {
    let data: Value = serde_json::from_str(line).ok()?;
    let text = data["msg"].as_str().unwrap_or_default();
    let is_text = data["format"].as_str().is_some_and(|format| format.starts_with("string"));
    let value = if is_text { text.into() } else { serde_json::from_str(text).unwrap_or_else(|_| data["msg"].clone()) };
    Some(Shown { name: data["name"].as_str().unwrap_or_default().to_owned(), value })
}

fn post(port: u16, path: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head =
        format!("POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// On loopback, without anything that phones home.
const SETTINGS: &str = "module.exports = {
    flowFile: 'flows.json', credentialSecret: false, uiHost: '127.0.0.1', httpAdminRoot: '/admin', httpNodeRoot: '/',
    telemetry: { enabled: false, updateNotification: false }, editorTheme: { tours: false },
    logging: { console: { level: 'info', metrics: false, audit: false } },
};
";

/// Writes down what the editor's debug pane is sent.
const DEBUG_PANE: &str = "module.exports = (RED) => {
    RED.events.on('comms', ({ topic, data }) => {
        if (topic === 'debug') process.stdout.write(`debug-pane ${JSON.stringify(data)}\\n`);
    });
};
";
