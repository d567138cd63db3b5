//! A fleet with a cluster of `RabbitMQ` at its centre. `tests/cluster/run` starts it, and these tests in its network.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use crate::fleet::{ACCOUNT, Device, bridge_without, dashboard_flow, keeps_its_secrets, settings};
use crate::support::clock::SOON;
use crate::support::node_red::NodeRed;
use crate::support::process::{Process, run_tool};
use crate::support::server::{Kind, Server};
use crate::support::subscriber::Subscriber;
use crate::support::visitor::play_in;
use crate::support::wiretap::Wiretap;
use crate::support::world::{binary, in_this_world};

const NAMES: [&str; 3] = ["device-00", "device-01", "device-02"];

/// The user of the dashboard, and who else looks at the centre.
const OPERATOR: &str = "operator";

/// A running cluster, as the script says where it is.
struct Cluster {
    /// Of the nodes, in their order.
    ports: Vec<u16>,
    users: String,
    /// The command that takes the first node away.
    stop: String,
}

impl Cluster {
    fn running() -> Self {
        let said = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("tests/cluster/run sets {name}"));
        let ports = said("OAUTH2MQTT_CLUSTER").split(' ').map(|port| port.parse().unwrap()).collect();
        Self {
            ports,
            users: fs::read_to_string(said("OAUTH2MQTT_CLUSTER_USERS")).unwrap(),
            stop: said("OAUTH2MQTT_CLUSTER_STOP"),
        }
    }

    fn password(&self, user: &str) -> &str {
        let mut users = self.users.lines().filter_map(|line| line.split_once(' '));
        users.find(|(name, _)| *name == user).unwrap().1
    }

    /// Somebody at the last node who hears all that the operator may.
    fn operator(&self) -> Subscriber {
        Subscriber::connect_as(self.ports[2], Some((OPERATOR, self.password(OPERATOR))), &["fleet/#"])
    }

    /// Takes the first node away.
    fn stop_first_node(&self) {
        run_tool(Command::new("sh").args(["-c", &self.stop]));
    }
}

#[test]
#[ignore = "it needs the cluster that tests/cluster/run starts"]
fn a_dashboard_at_one_node_is_whole_and_signs_devices_in_at_another_though_none_keeps_states_for_it() {
    let root = tempfile::tempdir().unwrap();
    let cluster = Cluster::running();
    let provider = Server::start(Kind::Oidc, &json!({ "access_token_ttl": 600 }));
    let [first, second] = [0, 1].map(|node| Wiretap::to(cluster.ports[node]));
    let operator = cluster.operator();
    let start = |name: &&str| {
        let bridge = bridge_without(&["bridge_cafile"], name, &[first.port(), second.port()]);
        let bridge = bridge.replace("CHANGE-ME", cluster.password(name));
        Device::start(name, root.path(), &bridge, &provider)
    };
    let mut devices: Vec<_> = NAMES.iter().map(start).collect();
    let topic = |device: &str, rest: &str| format!("fleet/{device}/{rest}");
    for device in &devices {
        device.declare(&settings(&provider));
        operator.wait_long(&topic(&device.name, "plant/status"), 4 * SOON, |status| status["state"] == "signed_out");
        operator.wait(&topic(&device.name, "connected"), |connected| *connected == 1);
        operator.wait(&topic(&device.name, "bridge/info"), |info| info["accounts"][0]["name"] == ACCOUNT);
    }

    // Whoever comes later is given nothing by its own node, and asks.
    let late = cluster.operator();
    late.publish("fleet/all/bridge/request/status", "{}");
    for device in &devices {
        let answer = late.wait(&topic(&device.name, "bridge/response/status"), |answer| answer["status"] == "ok");
        assert_eq!(answer.json["data"][0]["state"], "signed_out", "{answer:?}");
    }
    assert!(late.messages().iter().all(|message| message.topic.contains("/bridge/r")), "{:?}", late.messages());

    let start_dashboard = |name: &str| {
        let mut flows = dashboard_flow(cluster.ports[2]);
        let nodes = flows.as_array_mut().unwrap();
        let broker = nodes.iter_mut().find(|node| node["type"] == "mqtt-broker").unwrap();
        let login = json!({ "user": OPERATOR, "password": cluster.password(OPERATOR) });
        let credentials = json!({ broker["id"].as_str().unwrap(): login });
        let folder = root.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("flows_cred.json"), credentials.to_string()).unwrap();
        NodeRed::start(&folder, &flows)
    };
    let dashboard = start_dashboard("dashboard");
    let mut scene = json!({
        "dashboard": format!("http://127.0.0.1:{}/dashboard/fleet", dashboard.port()),
        "provider": provider.origin(),
        "devices": devices.len(),
    });
    let mut seen = play_in(root.path(), "centre", &scene);
    for device in &devices {
        assert_eq!(device.calls_the_api(&provider)["sub"], device.name.as_str());
    }
    scene["signs_out"] = json!("device-01");
    seen.push_str(&play_in(root.path(), "centre", &scene));

    // A code that was shown before the dashboard came is shown again where somebody asks for it.
    operator.publish("fleet/device-01/bridge/request/login", ACCOUNT);
    let shown = operator.wait("fleet/device-01/plant/signin", |signin| signin["pending"] == true);
    drop(dashboard);
    let dashboard = start_dashboard("second-dashboard");
    scene["dashboard"] = json!(format!("http://127.0.0.1:{}/dashboard/fleet", dashboard.port()));
    scene["signs_out"] = json!(null);
    scene["asks_for_code"] = json!("device-01");
    seen.push_str(&play_in(root.path(), "centre", &scene));
    assert!(seen.contains(shown.json["user_code"].as_str().unwrap()), "it was another code");
    keeps_its_secrets(&provider, &devices, &first, &operator, &seen);

    // The limit of the example's rabbitmq.conf leaves room.
    let largest = operator.messages().iter().map(|message| message.text.len()).max();
    assert!(largest < Some(64 * 1024 / 4), "{largest:?}");

    // No device speaks for another, nor to another.
    let login = ("device-00", cluster.password("device-00"));
    let intruder = Subscriber::connect_as(cluster.ports[1], Some(login), &[]);
    intruder.publish("fleet/device-02/plant/status", "{\"state\":\"forged\"}");
    let intruder = Subscriber::connect_as(cluster.ports[1], Some(login), &[]);
    intruder.publish("fleet/device-02/bridge/request/logout", ACCOUNT);

    // A node goes: its devices are back at another, and everything of theirs with them.
    let mark = operator.mark();
    cluster.stop_first_node();
    for device in &devices {
        let back = |rest: &str| topic(&device.name, rest);
        operator.wait_long_after(mark, &back("connected"), 4 * SOON, |connected| *connected == 1);
        operator.wait_long_after(mark, &back("plant/status"), SOON, |status| status["account"] == ACCOUNT);
    }
    assert!(second.heard(b"fleet/device-00/plant/status"), "they are somewhere else");
    operator.publish("fleet/device-02/bridge/request/refresh", ACCOUNT);
    let answer = operator.wait("fleet/device-02/bridge/response/refresh", |answer| answer["status"] == "ok");
    assert_eq!(answer.json["data"]["state"], "active", "{answer:?}");
    assert!(operator.messages().iter().all(|message| !message.text.contains("forged")));

    // A device that is gone is seen to be gone.
    devices[2].broker.stop();
    operator.wait_long("fleet/device-02/connected", 2 * SOON, |connected| *connected == 0);
}

#[test]
#[ignore = "it needs the cluster that tests/cluster/run starts"]
fn here_a_wildcard_matches_what_other_brokers_keep_apart() {
    let cluster = Cluster::running();
    // RabbitMQ has this user from the start, for its own machine alone.
    let subscriber = Subscriber::connect_as(cluster.ports[1], Some(("guest", "guest")), &["#"]);
    subscriber.publish("$local/oauth2mqtt/plant/token", "{}");
    subscriber.wait("$local/oauth2mqtt/plant/token", |_| true);
}

#[test]
#[ignore = "it needs the cluster that tests/cluster/run starts"]
fn a_topic_that_rabbitmq_does_not_permit_is_named_and_left_out_and_tokens_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::running();
    let provider = Server::start(Kind::Oidc, &json!({ "access_token_ttl": 600 }));
    let password = folder.path().join("password");
    fs::write(&password, cluster.password("gateway")).unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let account = |name: &str| {
        let issuer = provider.issuer();
        format!(
            "[accounts.{name}]\nissuer = \"{issuer}\"\nclient_id = \"device-public\"\nscopes = [\"openid\", \"offline_access\"]\n"
        )
    };
    let text = format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nusername = \"gateway\"\npassword_file = \"password\"\n\
         [store]\npath = \"{}\"\n{}{}",
        cluster.ports[1],
        folder.path().join("store").display(),
        account("first"),
        account("second")
    );
    let config = folder.path().join("config.toml");
    fs::write(&config, text).unwrap();
    let run = || {
        let mut command = Command::new(binary());
        in_this_world(&mut command, &config);
        Process::start("the agent", command.arg("run"))
    };
    // RabbitMQ has this user from the start, for its own machine alone.
    let flow = Subscriber::connect_as(cluster.ports[1], Some(("guest", "guest")), &["oauth2mqtt/#"]);
    let mut agent = run();
    let hangs_up = |agent: &Process| {
        let log = agent.stderr();
        let named: Vec<_> = log.lines().filter(|line| line.contains("does not reach anybody")).collect();
        let is_it = |line: &str| {
            line.contains("oauth2mqtt/first/status")
                && line.contains("closes the connection when it gets this, without a reason")
        };
        assert!(named.iter().all(|line| is_it(line)), "another topic is blamed: {log}");
        (named.len() == 1).then_some(())
    };
    agent.wait_for("the topic in the journal", 2 * SOON, hangs_up);
    flow.wait("oauth2mqtt/second/status", |status| status["state"] == "signed_out");
    // The account of which the broker takes no status signs in like the other.
    for name in ["first", "second"] {
        flow.publish("oauth2mqtt/bridge/request/login", name);
        let shown = flow.wait(&format!("oauth2mqtt/{name}/signin"), |sign_in| sign_in["pending"] == true);
        provider.approve(shown.json["user_code"].as_str().unwrap(), "ann");
        flow.wait_long(&format!("oauth2mqtt/{name}/token"), 2 * SOON, |token| token["access_token"].is_string());
    }
    agent.kill();
    // Before an agent that starts has found the topic, its tokens are there.
    let mark = flow.mark();
    let mut agent = run();
    agent.wait_for("the topic in the journal", 2 * SOON, hangs_up);
    for name in ["first", "second"] {
        flow.wait_after(mark, &format!("oauth2mqtt/{name}/token"), |token| token["access_token"].is_string());
    }
    flow.wait_after(mark, "oauth2mqtt/second/status", |status| status["state"] == "active");
    let since = flow.since(mark);
    let place = |topic: &str| since.iter().position(|message| message.topic == topic).unwrap();
    assert!(place("oauth2mqtt/first/token") < place("oauth2mqtt/second/status"), "{since:?}");
    assert!(since.iter().all(|message| message.topic != "oauth2mqtt/first/status"), "{since:?}");
    agent.kill();
}
