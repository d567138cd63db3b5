//! Whom the agent believes: certificates as the usual manuals make them, programs that listen in the broker's place, proxies.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::support::broker::free_ports;
use crate::support::certificates::Authority;
use crate::support::clock::{SOON, wait_until};
use crate::support::device::Device;
use crate::support::process::{Process, run_tool};
use crate::support::world::{Client, Setup};

/// A mosquitto with this configuration, which the user that it runs as can read.
fn mosquitto(folder: &Path, configuration: &str) -> Process {
    for entry in fs::read_dir(folder).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o644)).unwrap();
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.join("mosquitto.conf");
    fs::write(&file, format!("{configuration}\npersistence false\nlog_dest stderr\nallow_anonymous true\n")).unwrap();
    let mut broker = Process::start("mosquitto", Command::new("mosquitto").arg("-c").arg(&file));
    broker.wait_for("its start", SOON, |broker| broker.stderr().contains(" running\n").then_some(()));
    broker
}

/// Makes a key and a self-signed certificate, `server.key` and `server.pem`.
fn make_certificate(folder: &Path, arguments: &str) {
    let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let arguments = format!("req -x509 {new_key} -keyout server.key -out server.pem -days 2 {arguments}");
    run_tool(Command::new("openssl").current_dir(folder).args(arguments.split_whitespace()));
}

/// A broker with the certificate in `folder`, and the settings for a device that believes `ca_file`.
fn behind_tls(folder: &Path, ca_file: &str, more: &str) -> (Process, Device) {
    let (port, _) = free_ports();
    let own = folder.display();
    let broker = mosquitto(
        folder,
        &format!("user root\nlistener {port} 127.0.0.1\ncertfile {own}/server.pem\nkeyfile {own}/server.key\n{more}"),
    );
    let settings = format!("url = \"mqtts://127.0.0.1:{port}\"\nca_file = \"{own}/{ca_file}\"\n");
    (broker, Device::new(&settings, 1))
}

#[test]
fn a_self_signed_certificate_that_is_named_is_accepted_as_exactly_that_certificate() {
    for (arguments, tls) in [
        // As `openssl req -x509` makes it: no name of the host, and an authority (CA:TRUE).
        ("-subj /CN=broker", ""),
        ("-subj /CN=broker", "tls_version tlsv1.2"),
        ("-subj /CN=broker -addext subjectAltName=DNS:elsewhere.example", ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        make_certificate(folder.path(), arguments);
        let (broker, device) = behind_tls(folder.path(), "server.pem", tls);
        let mut agent = device.agent();
        agent.wait_for("the broker", SOON, |agent| agent.stderr().contains("connected to the broker").then_some(()));
        assert_eq!(device.status().code(), 0);
        agent.kill();
        drop(broker);
    }
}

#[test]
fn a_self_signed_certificate_of_version_1_that_is_named_is_accepted() {
    for tls in ["", "tls_version tlsv1.2"] {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |arguments: &str| {
            run_tool(Command::new("openssl").current_dir(folder.path()).args(arguments.split_whitespace()));
        };
        openssl("req -new -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=broker");
        openssl("x509 -req -in server.csr -signkey server.key -out server.pem -days 2");
        let text = String::from_utf8(run_tool(Command::new("openssl").current_dir(folder.path()).args([
            "x509",
            "-in",
            "server.pem",
            "-noout",
            "-text",
        ])));
        assert!(text.unwrap().contains("Version: 1 "));
        let (broker, device) = behind_tls(folder.path(), "server.pem", tls);
        let mut agent = device.agent();
        agent.wait_for("the broker", SOON, |agent| agent.stderr().contains("connected to the broker").then_some(()));
        agent.kill();
        drop(broker);
    }
}

#[test]
fn another_certificate_than_the_one_that_is_named_is_refused_even_with_the_same_name() {
    let folder = tempfile::tempdir().unwrap();
    make_certificate(folder.path(), "-subj /CN=broker -addext subjectAltName=IP:127.0.0.1");
    fs::copy(folder.path().join("server.pem"), folder.path().join("named.pem")).unwrap();
    make_certificate(folder.path(), "-subj /CN=broker -addext subjectAltName=IP:127.0.0.1");
    let (_broker, device) = behind_tls(folder.path(), "named.pem", "");
    device.both_say("no encrypted connection to the broker", &["Check that it runs"]);
}

#[test]
fn a_certificate_that_is_wrong_is_told_in_words_with_the_line_that_makes_a_right_one() {
    for (extensions, what) in [
        ("", "its certificate is of version 1, which has no names"),
        ("extendedKeyUsage = serverAuth\n", "its certificate is not for the name 127.0.0.1"),
        ("subjectAltName = DNS:elsewhere.example\n", "its certificate is not for the name 127.0.0.1"),
        (
            "basicConstraints = CA:TRUE\nsubjectAltName = IP:127.0.0.1\n",
            "its certificate is that of an authority (CA:TRUE)",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        Authority::make(folder.path()).certify("server", extensions, None);
        let (_broker, device) = behind_tls(folder.path(), "ca.pem", "");
        let mut agent = device.agent();
        agent.wait_for(what, SOON, |agent| agent.stderr().contains(what).then_some(()));
        let log = agent.kill().stderr;
        assert!(
            log.contains("-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"),
            "{log}"
        );
        assert!(device.status().stderr.contains(what));
    }
}

/// The user that mosquitto runs as: its own where that can be had.
fn broker_user() -> String {
    let own = String::from_utf8(run_tool(Command::new("id").arg("-un"))).unwrap();
    if own.trim() == "root" { "mosquitto".to_owned() } else { own.trim().to_owned() }
}

#[test]
fn a_program_of_another_user_in_the_brokers_place_is_told_and_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (port, _) = free_ports();
    let user = broker_user();
    let mut broker = mosquitto(folder.path(), &format!("user {user}\nlistener {port} 127.0.0.1"));
    let settings =
        |user: &str| format!("url = \"mqtt://localhost:{port}\"\nusername = \"agent\"\nbroker_user = \"{user}\"\n");
    let device = Device::new(&settings("daemon"), 1);
    device.both_say(&format!("the program that listens there belongs to {user}. [mqtt] broker_user names"), &[]);
    // Once the broker's log has this connection, it has what came before.
    let last = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let line = format!("New connection from {}", last.local_addr().unwrap());
    broker.wait_for("its log", SOON, |broker| broker.stderr().contains(&line).then_some(()));
    assert!(!broker.stderr().contains("agent"), "nothing was sent: {}", broker.stderr());
    Device::new(&settings("nobody-of-this-name"), 1)
        .both_say("there is no user nobody-of-this-name on this device", &[]);

    let device = Device::new(&settings(&user), 1);
    let mut agent = device.agent();
    agent.wait_for("the broker", SOON, |agent| agent.stderr().contains("connected to the broker").then_some(()));
    assert_eq!(device.status().code(), 0);
    agent.kill();
    // Its log would have shown what was sent.
    broker.wait_for("the user's name", SOON, |broker| broker.stderr().contains("u'agent'").then_some(()));
}

#[test]
fn a_proxy_gets_nothing_that_is_for_this_device() {
    let proxy = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = proxy.local_addr().unwrap().port();
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let ears = Arc::clone(&heard);
    std::thread::spawn(move || {
        for mut stream in proxy.incoming().flatten() {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).unwrap_or_default();
            ears.lock().unwrap().extend_from_slice(&bytes[..length]);
        }
    });
    let mut world = Setup::new()
        .account_with("garden", Client::SecretInBody, "")
        .account_as("abroad", "issuer = \"https://id.example\"\nclient_id = \"abroad\"\nscopes = [\"openid\"]")
        .without_agent();
    let mut command = world.command(&["--log", "trace", "run"]);
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(variable, format!("http://127.0.0.1:{port}"));
    }
    world.start_agent_by(command);
    world.sign_in("garden");
    assert_eq!(world.subscriber.request("refresh", "garden")["status"], "ok");
    wait_until("the account", SOON, || world.agent_log().contains("garden"));
    assert_eq!(String::from_utf8_lossy(&heard.lock().unwrap()), "");
    // What is for a provider elsewhere does go to it, and nothing else.
    assert_eq!(world.subscriber.request("login", "abroad")["status"], "error");
    let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
    let connects = heard.matches("CONNECT ").count();
    assert!(connects > 0 && connects == heard.matches("CONNECT id.example:443 ").count(), "{heard}");
    assert!(!heard.contains("127.0.0.1") && !heard.contains("client_secret"), "{heard}");
}
