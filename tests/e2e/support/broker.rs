//! The broker: mosquitto, with a door for the test and one for the agent.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::certificates::Authority;
use super::clock::{SOON, wait_for};
use super::process::{Process, run_tool};

/// The password of the broker's user `agent`, where it wants one.
pub(crate) const PASSWORD: &str = "broker-password-k3Jd8Qw";

/// How the agent gets in. The test itself always comes in by a listener of its own, on loopback and without a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The same listener as the test.
    Open,
    /// User and password, and rights on the agent's topics alone.
    Password,
    /// TLS with a private authority and a client certificate.
    Tls,
    /// A socket of this machine.
    Unix,
}

/// A mosquitto with a folder of its own.
pub(crate) struct Broker {
    folder: PathBuf,
    door: Door,
    more: String,
    port: u16,
    agent_port: u16,
    process: Option<Process>,
}

impl Broker {
    /// Starts one, with its files in `folder`.
    #[track_caller]
    pub(crate) fn start(folder: &Path, door: Door) -> Self {
        Self::start_with(folder, door, "")
    }

    /// The same with further lines of configuration.
    #[track_caller]
    pub(crate) fn start_with(folder: &Path, door: Door, more: &str) -> Self {
        fs::create_dir(folder).unwrap();
        match door {
            Door::Open | Door::Unix => {}
            Door::Password => make_password_file(folder),
            Door::Tls => make_certificates(folder),
        }
        let more = more.to_owned();
        let mut broker = Self { folder: folder.to_owned(), door, more, port: 0, agent_port: 0, process: None };
        // Between finding a port free and taking it, somebody else may take it.
        for _ in 0..3 {
            (broker.port, broker.agent_port) = free_ports();
            if broker.start_again() {
                return broker;
            }
        }
        panic!("mosquitto does not start on any port");
    }

    /// The port for the test itself.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The `[mqtt]` section for the agent.
    pub(crate) fn agent_settings(&self) -> String {
        let folder = self.folder.display();
        match self.door {
            Door::Open => format!("[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n", self.port),
            Door::Password => format!(
                "[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nusername = \"agent\"\npassword_file = \"{folder}/password\"\n",
                self.agent_port
            ),
            Door::Tls => format!(
                "[mqtt]\nurl = \"mqtts://127.0.0.1:{}\"\nca_file = \"{folder}/ca.pem\"\n\
                 cert_file = \"{folder}/client.pem\"\nkey_file = \"{folder}/client.key\"\n",
                self.agent_port
            ),
            Door::Unix => format!("[mqtt]\nurl = \"mqtt+unix://{folder}/broker.sock\"\n"),
        }
    }

    /// The folder of its files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How often a client of this name has connected since it started.
    pub(crate) fn connections_of(&self, client_id: &str) -> usize {
        let connected = format!(" as {client_id} ");
        let log = self.process.as_ref().map(Process::stderr).unwrap_or_default();
        log.lines().filter(|line| line.contains("New client connected") && line.contains(&connected)).count()
    }

    /// Ends it at once; what it retained is gone.
    pub(crate) fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again on the same ports, and says whether it runs.
    pub(crate) fn start_again(&mut self) -> bool {
        let file = self.folder.join("mosquitto.conf");
        fs::write(&file, self.configuration()).unwrap();
        // A socket that its predecessor left behind would be in the way.
        let _ = fs::remove_file(self.folder.join("broker.sock"));
        let mut process = Process::start("mosquitto", Command::new("mosquitto").arg("-c").arg(&file));
        let runs = wait_for("mosquitto", SOON, || {
            let runs = process.stderr().contains(" running\n");
            (runs || !process.is_running()).then_some(runs)
        });
        self.process = runs.then_some(process);
        runs
    }

    fn configuration(&self) -> String {
        let folder = self.folder.display();
        let agent = match self.door {
            Door::Open => String::new(),
            Door::Password => format!(
                "listener {} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/passwords\nacl_file {folder}/acl\n",
                self.agent_port
            ),
            Door::Tls => format!(
                "listener {} 127.0.0.1\ncafile {folder}/ca.pem\ncertfile {folder}/server.pem\n\
                 keyfile {folder}/server.key\nrequire_certificate true\nuse_identity_as_username true\n",
                self.agent_port
            ),
            Door::Unix => format!("listener 0 {folder}/broker.sock\nallow_anonymous true\n"),
        };
        // Started as root it would give up its rights, and then could not read its own files here. It drops nothing
        // while a test is slow to look.
        format!(
            "user root\nper_listener_settings true\npersistence false\nlog_dest stderr\n\
             max_queued_messages 0\nset_tcp_nodelay true\n\
             listener {} 127.0.0.1\nallow_anonymous true\n{agent}{}",
            self.port, self.more
        )
    }
}

/// Listens on a free port of this host. It is not of those that the system gives out by itself (from 32768 on), so that nobody
/// gets it by chance before it is listened on, or while its server is away.
#[track_caller]
pub(crate) fn listen_anywhere(host: Ipv4Addr) -> TcpListener {
    wait_for("a free port", SOON, || TcpListener::bind((host, fastrand::u16(20_000..32_000))).ok())
}

/// Two ports that nobody listens on.
#[track_caller]
pub(crate) fn free_ports() -> (u16, u16) {
    let (first, second) = (listen_anywhere(Ipv4Addr::LOCALHOST), listen_anywhere(Ipv4Addr::LOCALHOST));
    (first.local_addr().unwrap().port(), second.local_addr().unwrap().port())
}

fn make_password_file(folder: &Path) {
    fs::write(folder.join("password"), format!("{PASSWORD}\n")).unwrap();
    fs::write(folder.join("passwords"), "").unwrap();
    run_tool(Command::new("mosquitto_passwd").arg("-b").arg(folder.join("passwords")).args(["agent", PASSWORD]));
    // What the agent needs, and no more; responses to the tests go to a topic that a request names.
    fs::write(folder.join("acl"), "user agent\ntopic readwrite oauth2mqtt/#\ntopic write reply/#\n").unwrap();
}

/// An authority, and certificates by it for the broker and for the agent.
#[track_caller]
fn make_certificates(folder: &Path) {
    let authority = Authority::make(folder);
    authority.certify("server", "subjectAltName = IP:127.0.0.1", None);
    authority.certify("client", "extendedKeyUsage = clientAuth", None);
}
