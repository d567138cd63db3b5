//! Twenty devices and a centre: accounts from a flow, codes up, requests down, and no token on the way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::broker::{Broker, Door};
use crate::support::clock::{SOON, wait_for};
use crate::support::node_red::NodeRed;
use crate::support::process::Process;
use crate::support::server::{Kind, Server};
use crate::support::subscriber::Subscriber;
use crate::support::visitor::play_in;
use crate::support::wiretap::Wiretap;
use crate::support::world::{Client, Setup, binary, in_this_world};

/// How many devices there are, and how many of them have a Node-RED of their own; for the others the test publishes what
/// their flow would, and does with the token what it would.
const DEVICES: usize = 20;
const WITH_NODE_RED: usize = 3;

/// The account that the flow declares.
pub(super) const ACCOUNT: &str = "plant";
const TOKEN: &str = "$local/oauth2mqtt/plant/token";

pub(super) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fleet")
}

pub(super) struct Device {
    pub(super) name: String,
    pub(super) subscriber: Subscriber,
    node_red: Option<NodeRed>,
    pub(super) agent: Process,
    pub(super) broker: Broker,
}

impl Device {
    /// One with its broker, its agent and nothing else.
    pub(super) fn start(name: &str, root: &Path, bridge: &str, provider: &Server) -> Self {
        let folder = root.join(name);
        fs::create_dir(&folder).unwrap();
        let broker = Broker::start_with(&folder.join("broker"), Door::Open, bridge);
        let config = folder.join("config.toml");
        fs::write(&config, config_of(&broker, &folder, provider)).unwrap();
        let mut command = Command::new(binary());
        in_this_world(&mut command, &config);
        let agent = Process::start(name, command.args(["--log", "trace", "run"]));
        let subscriber = Subscriber::connect(broker.port());
        Self { name: name.to_owned(), subscriber, node_red: None, agent, broker }
    }

    /// With the flow of the example as well.
    fn with_node_red(mut self, root: &Path, provider: &Server) -> Self {
        let flows = flow(self.broker.port(), provider);
        self.node_red = Some(NodeRed::start(&root.join(&self.name).join("node-red"), &flows));
        self
    }

    /// Publishes what the flow would publish when the agent is there.
    pub(super) fn declare(&self, settings: &Value) {
        self.subscriber.wait("oauth2mqtt/bridge/state", |state| state["state"] == "online");
        let request = json!({ "account": ACCOUNT, "settings": settings });
        self.subscriber.publish("oauth2mqtt/bridge/request/declare", &request.to_string());
    }

    /// What the protected address has answered to the flow, or to the test in its place.
    pub(super) fn calls_the_api(&self, provider: &Server) -> Value {
        if let Some(node_red) = &self.node_red {
            return node_red.wait_in_debug_pane("answer", 0, |answer| answer["sub"].is_string());
        }
        let token = self.subscriber.wait(TOKEN, |token| token["access_token"].is_string());
        provider.me(token.access_token().unwrap()).body
    }
}

/// The bridge of the example, without what this machine lacks: the centre's certificate and its passwords.
fn bridge(device: &str, centre: u16) -> String {
    bridge_without(&["bridge_cafile", "remote_username", "remote_password"], device, &[centre])
}

/// The bridge of the example to these ports of this machine, without some of its lines.
pub(super) fn bridge_without(lacks: &[&str], device: &str, centre: &[u16]) -> String {
    let text = fs::read_to_string(examples().join("mosquitto-bridge.conf")).unwrap();
    let addresses: Vec<_> = centre.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let text = text.replace("DEVICE", device).replace("broker.example.com:8883", &addresses.join(" "));
    let lines = text.lines().filter(|line| !lacks.iter().any(|key| line.starts_with(key)));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The configuration of the example, with the addresses of this test.
fn config_of(broker: &Broker, folder: &Path, provider: &Server) -> String {
    let text = fs::read_to_string(examples().join("config.toml")).unwrap();
    assert!(!text.contains("[accounts"), "the devices are to be empty");
    let text = text.replace("https://id.example.com/realms/plant", provider.issuer());
    let text = text.replace("127.0.0.1:1883", &format!("127.0.0.1:{}", broker.port()));
    format!("{text}\n[store]\npath = \"{}\"\n", folder.join("store").display())
}

pub(super) fn settings(provider: &Server) -> Value {
    json!({
        "issuer": provider.issuer(),
        "client_id": "device-post",
        "client_secret": [provider.secrets().client[0]],
        "scopes": ["openid", "offline_access"],
        "sign_in": "on_request",
    })
}

/// The flow of the example, with what the fleet's management would put into its environment.
fn flow(broker: u16, provider: &Server) -> Value {
    let text = fs::read_to_string(examples().join("device-flow.json")).unwrap();
    let text = text.replace("\"1883\"", &format!("\"{broker}\""));
    let text = text
        .replace("${OAUTH_ISSUER}", provider.issuer())
        .replace("${OAUTH_CLIENT_ID}", "device-post")
        .replace("${OAUTH_CLIENT_SECRET}", &provider.secrets().client[0])
        .replace("${API_URL}", &format!("{}/api/me", provider.origin()));
    serde_json::from_str(&text).unwrap()
}

/// The dashboard of the example.
pub(super) fn dashboard_flow(centre: u16) -> Value {
    let text = fs::read_to_string(examples().join("centre-flow.json")).unwrap();
    serde_json::from_str(&text.replace("\"1883\"", &format!("\"{centre}\""))).unwrap()
}

/// Nothing that opens anything went up to the centre or to a browser, nor came down.
#[track_caller]
pub(super) fn keeps_its_secrets(
    provider: &Server,
    devices: &[Device],
    wire: &Wiretap,
    operator: &Subscriber,
    browser: &str,
) {
    let secrets = provider.secrets();
    let all = [&secrets.client, &secrets.device_code, &secrets.access_token, &secrets.refresh_token, &secrets.id_token];
    let messages = operator.messages();
    assert!(secrets.access_token.len() >= devices.len() && messages.len() > 5 * devices.len());
    for secret in all.into_iter().flatten().filter(|secret| !secret.is_empty()) {
        assert!(!wire.heard(secret.as_bytes()), "a secret went over the wire to the centre");
        assert!(messages.iter().all(|message| !message.text.contains(secret.as_str())));
        assert!(!browser.contains(secret.as_str()), "a secret reached the browser");
        for device in devices {
            assert!(!device.agent.stderr().contains(secret.as_str()), "a secret is in the journal of {}", device.name);
        }
    }
    assert!(wire.heard(b"awaiting_user"), "the wiretap hears nothing");
}

#[test]
fn twenty_devices_get_their_accounts_from_a_flow_and_are_signed_in_from_the_centre() {
    let root = tempfile::tempdir().unwrap();
    let provider = Server::start(Kind::Oidc, &json!({ "access_token_ttl": 600 }));
    let centre = Broker::start(&root.path().join("centre"), Door::Open);
    let wire = Wiretap::to(centre.port());
    let operator = Subscriber::connect(centre.port());
    let start = |number| {
        let name = format!("device-{number:02}");
        let device = Device::start(&name, root.path(), &bridge(&name, wire.port()), &provider);
        if number < WITH_NODE_RED { device.with_node_red(root.path(), &provider) } else { device }
    };
    let devices: Vec<_> = (0..DEVICES).map(start).collect();
    for device in devices.iter().filter(|device| device.node_red.is_none()) {
        device.declare(&settings(&provider));
    }

    for Device { name, .. } in &devices {
        let topic = format!("fleet/{name}/{ACCOUNT}/status");
        let status = operator.wait_long(&topic, 4 * SOON, |status| status["state"] == "signed_out");
        assert_eq!(status.json["declared"], "mqtt", "{status:?}");
    }

    // The operator has nothing but the dashboard.
    let dashboard = NodeRed::start(&root.path().join("dashboard"), &dashboard_flow(centre.port()));
    let mut scene = json!({
        "dashboard": format!("http://127.0.0.1:{}/dashboard/fleet", dashboard.port()),
        "provider": provider.origin(),
        "devices": DEVICES,
    });
    let mut seen = play_in(root.path(), "centre", &scene);
    for device in &devices {
        let answer = device.calls_the_api(&provider);
        assert_eq!(answer["sub"], device.name.as_str(), "{answer}");
    }
    scene["signs_out"] = json!("device-05");
    seen.push_str(&play_in(root.path(), "centre", &scene));
    devices[5].subscriber.wait(TOKEN, |token| token["access_token"].is_null());

    keeps_its_secrets(&provider, &devices, &wire, &operator, &seen);

    // What a centre that has been taken over might try.
    operator.publish("fleet/device-19/bridge/request/token", ACCOUNT);
    operator.publish("fleet/device-19/bridge/request/forget", ACCOUNT);
    let other = json!({ "account": ACCOUNT, "settings": { "issuer": "https://evil.example" } });
    operator.publish("fleet/device-19/bridge/request/declare", &other.to_string());
    operator.publish("fleet/device-19/bridge/request/logout", ACCOUNT);
    let status = operator.wait("fleet/device-19/plant/status", |status| status["state"] == "signed_out");
    assert_eq!(status.json["declared"], "mqtt");
    devices[19].subscriber.wait("oauth2mqtt/bridge/request/logout", |_| true);
    let requests = devices[19].subscriber.messages();
    let verbs: Vec<_> =
        requests.iter().filter_map(|message| message.topic.strip_prefix("oauth2mqtt/bridge/request/")).collect();
    assert_eq!(verbs, ["declare", "status", "login", "logout"], "requests that the bridge does not name stay outside");

    // A device that is gone is seen to be gone.
    let mut devices = devices;
    let mut last = devices.pop().unwrap();
    last.broker.stop();
    let gone = wait_for("the word that it is gone", SOON, || {
        operator.latest("fleet/device-19/connected").filter(|message| message.text == "0")
    });
    assert_eq!(gone.text, "0");
}

#[test]
fn not_even_a_bridge_that_carries_everything_carries_a_token_that_is_to_stay() {
    let root = tempfile::tempdir().unwrap();
    let provider = Server::start(Kind::Oidc, &json!({ "access_token_ttl": 600 }));
    let centre = Broker::start(&root.path().join("centre"), Door::Open);
    let operator = Subscriber::connect(centre.port());
    let everything = format!(
        "connection all\naddress 127.0.0.1:{}\nbridge_protocol_version mqttv50\ntopic # both 1\n",
        centre.port()
    );
    let broker = Broker::start_with(&root.path().join("broker"), Door::Open, &everything);
    let subscriber = Subscriber::connect(broker.port());
    let config = root.path().join("config.toml");
    fs::write(&config, config_of(&broker, root.path(), &provider)).unwrap();
    let mut command = Command::new(binary());
    in_this_world(&mut command, &config);
    let _agent = Process::start("the agent", command.args(["--log", "trace", "run"]));
    subscriber.wait("oauth2mqtt/bridge/state", |state| state["state"] == "online");
    let mut settings = settings(&provider);
    settings["publish"] = json!("on_request");
    for (account, settings) in [(ACCOUNT, self::settings(&provider)), ("asks", settings)] {
        let request = json!({ "account": account, "settings": settings });
        subscriber.request("declare", &request.to_string());
        let code = subscriber.request("login", account);
        provider.approve(code["data"]["user_code"].as_str().unwrap(), "ann");
        operator.wait(&format!("oauth2mqtt/{account}/status"), |status| status["state"] == "active");
    }
    subscriber.wait(TOKEN, |token| token["access_token"].is_string());
    let pending = operator.send_request_to("operator/reply", "token", "asks");
    assert_eq!(operator.response(&pending, SOON)["code"], "token_is_local");
    let pending = subscriber.send_request_to("$local/reply", "token", "asks");
    assert!(subscriber.response(&pending, SOON)["data"]["access_token"].is_string());

    // Had anything of it been carried, it would be there before what comes last.
    subscriber.publish("last", "{}");
    operator.wait("last", |_| true);
    let secrets = provider.secrets();
    for secret in secrets.access_token.iter().chain(&secrets.refresh_token) {
        assert!(operator.messages().iter().all(|message| !message.text.contains(secret.as_str())));
    }
}

#[test]
fn check_warns_of_a_bridge_that_would_carry_tokens_away() {
    let world = Setup::new()
        .account("garden")
        .sections("[provisioning]\nenabled = true\nissuers = [\"{issuer}\"]")
        .without_agent();
    let conf = world.folder().join("mosquitto.conf");
    let included = world.folder().join("conf.d");
    fs::create_dir(&included).unwrap();
    fs::write(&conf, format!("include_dir {}\n", included.display())).unwrap();
    let check = || world.cli(&["check", "--broker-config", conf.to_str().unwrap()]);
    fs::write(included.join("bridge.conf"), bridge("device", 1)).unwrap();
    assert_eq!(check().stderr, "");
    fs::write(included.join("bridge.conf"), "connection cloud\ntopic # out 1\n").unwrap();
    let ended = check();
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stderr.contains("bridge cloud carries oauth2mqtt/garden/token off this device"), "{}", ended.stderr);
    assert!(ended.stderr.contains("oauth2mqtt/account/token"), "{}", ended.stderr);
    fs::write(included.join("bridge.conf"), "connection cloud\ntopic +/token out 1 oauth2mqtt/ up/\n").unwrap();
    assert!(check().stderr.contains("its topic oauth2mqtt/+/token"));
    // Those of an account that a flow may declare.
    fs::write(included.join("bridge.conf"), "connection cloud\ntopic +/+/token out 1 oauth2mqtt/ up/\n").unwrap();
    assert!(check().stderr.contains("oauth2mqtt/account/further/token"));
}

#[test]
fn check_warns_of_a_bridge_that_would_carry_answers_with_tokens_away() {
    let world = Setup::new().account_with("garden", Client::Public, "publish = \"on_request\"").without_agent();
    let conf = world.folder().join("mosquitto.conf");
    let check = || world.cli(&["check", "--broker-config", conf.to_str().unwrap()]).stderr;
    fs::write(&conf, bridge("device", 1)).unwrap();
    assert_eq!(check(), "");
    for topics in ["# out 1 oauth2mqtt/ fleet/d/", "bridge/response/+ out 1 oauth2mqtt/ up/", "oauth2mqtt/#"] {
        fs::write(&conf, format!("connection cloud\ntopic {topics}\n")).unwrap();
        let warned = check();
        assert!(warned.contains("bridge cloud carries oauth2mqtt/bridge/response/token"), "{topics}: {warned}");
    }
    fs::write(world.config(), world.config_text().replace("[mqtt]\n", "[mqtt]\nlocal_tokens = true\n")).unwrap();
    assert_eq!(check(), "");
    fs::write(&conf, "connection cloud\ntopic $local/# out\n").unwrap();
    assert!(check().contains("carries $local/oauth2mqtt/bridge/response/"));
}

#[test]
fn check_says_what_it_could_not_read_of_the_brokers_configuration() {
    let world = Setup::new().account("garden").without_agent();
    let conf = world.folder().join("mosquitto.conf");
    let check = || world.cli(&["check", "--broker-config", conf.to_str().unwrap()]);
    let ended = check();
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stderr.contains(&format!("{} cannot be read (No such file", conf.display())), "{}", ended.stderr);
    fs::write(&conf, "include_dir /nowhere/conf.d\n").unwrap();
    assert!(check().stderr.contains("/nowhere/conf.d cannot be read"));
}
