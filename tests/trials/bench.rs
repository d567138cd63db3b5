//! An agent with a broker and a subscriber, and providers by script: signed in from the start.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use oauth2mqtt::testing::clock::{self, Confidence, UnixTime};
use oauth2mqtt::testing::config::{self, Environment};
use oauth2mqtt::testing::store;
use oauth2mqtt::testing::store::Machine;
use oauth2mqtt::testing::{Beginning, ClientBinding, Expiry, Record, Secret, SignedIn, Tokens};
use tempfile::TempDir;

use crate::provider::Provider;
use crate::support::broker::{Broker, Door};
use crate::support::clock::SOON;
use crate::support::process::Process;
use crate::support::subscriber::Subscriber;
use crate::support::world::{binary, in_this_world};

/// See the module.
pub(crate) struct Bench {
    pub(crate) broker: Broker,
    pub(crate) subscriber: Subscriber,
    pub(crate) agent: Option<Process>,
    accounts: BTreeMap<String, String>,
    /// Whether the agent's clock is another than this test's, so that what it says of times cannot be judged by it.
    pub(crate) has_odd_clock: bool,
    /// What agents wrote that have ended.
    past: String,
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::seen_by(Subscriber::connect)
    }

    /// One whose subscriber is made in another way, for a broker at this port.
    pub(crate) fn seen_by(subscribe: impl FnOnce(u16) -> Subscriber) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::start(&folder.path().join("broker"), Door::Open);
        let subscriber = subscribe(broker.port());
        Self {
            broker,
            subscriber,
            agent: None,
            accounts: BTreeMap::new(),
            has_odd_clock: false,
            past: String::new(),
            folder,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder().join("store")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder().join("config.toml")
    }

    /// An account at this token endpoint.
    pub(crate) fn account(&mut self, name: &str, token_endpoint: &str, more: &str) {
        let settings = format!(
            "[accounts.{name}]\ntoken_endpoint = \"{token_endpoint}\"\n\
             device_authorization_endpoint = \"{token_endpoint}-device\"\nclient_id = \"scripted\"\n{more}\n"
        );
        self.accounts.insert(name.to_owned(), settings);
    }

    /// An account at this provider.
    pub(crate) fn account_at(&mut self, name: &str, provider: &Provider) {
        self.account(name, &format!("http://{}/token", provider.address()), "");
    }

    pub(crate) fn write_config(&self) {
        let store = format!("[store]\npath = \"{}\"\n\n", self.store().display());
        let accounts: String = self.accounts.values().map(String::as_str).collect();
        fs::write(self.config(), format!("{}\n{store}{accounts}", self.broker.agent_settings())).unwrap();
    }

    /// Puts a sign-in into the store for each of these accounts: its refresh token, and an access token of `life`
    /// seconds of which `left` are left.
    pub(crate) fn sign_in(&self, accounts: impl IntoIterator<Item = (String, String)>, life: u64, left: u64) {
        let from = clock::now().wall.seconds() - i64::try_from(life - left).unwrap();
        self.sign_in_at(UnixTime::new(from), accounts, life);
    }

    /// The same, with access tokens that were got at `from`.
    pub(crate) fn sign_in_at(&self, from: UnixTime, accounts: impl IntoIterator<Item = (String, String)>, life: u64) {
        self.write_config();
        let settings = config::load(&self.config(), &Environment::default()).unwrap_or_else(|error| panic!("{error}"));
        let settings = settings.settings;
        let (send, acks) = mpsc::channel();
        let now = clock::now();
        let machine = Machine::this();
        let acks_to = move |ack| send.send(ack).unwrap();
        let opened = store::open(&settings.store, machine.as_ref(), (now, Confidence::Vouched), acks_to).unwrap();
        for (name, refresh_token) in accounts {
            let client = settings.accounts[&name.parse().unwrap()].binding();
            // A clock that is odd is so since a boot.
            let boot = (!self.has_odd_clock).then(|| now.boot - now.wall.since(from));
            let from = Beginning { wall: from, boot };
            let expiry = Expiry::restored(from, Duration::from_secs(life), now, Confidence::Vouched);
            let record = record(client, &format!("seeded-access-{name}"), refresh_token, expiry);
            opened.store.save(&name.parse().unwrap(), 1, record);
        }
        drop(opened);
        assert!(acks.iter().all(|ack| ack.result.is_ok()));
    }

    /// The agent with a configuration of this bench, run through `wrapper` if that names a program.
    pub(crate) fn command(&self, wrapper: &[&str]) -> Command {
        self.command_of(binary(), wrapper)
    }

    /// The same for another build of it.
    pub(crate) fn command_of(&self, program: PathBuf, wrapper: &[&str]) -> Command {
        let words: Vec<_> = wrapper.iter().map(Into::into).chain([program]).collect();
        let mut command = Command::new(&words[0]);
        in_this_world(&mut command, &self.config());
        command.args(&words[1..]).args(["--log", "debug", "run"]);
        command
    }

    #[track_caller]
    pub(crate) fn start(&mut self) {
        self.start_by(&mut self.command(&[]));
    }

    #[track_caller]
    pub(crate) fn start_by(&mut self, command: &mut Command) {
        let mark = self.subscriber.mark();
        let mut agent = Process::start("the agent", command);
        agent.wait_for("being online", SOON, |_| {
            let messages = self.subscriber.messages().split_off(mark);
            messages.iter().any(|m| m.topic == "oauth2mqtt/bridge/state" && m.json["state"] == "online").then_some(())
        });
        self.agent = Some(agent);
    }

    /// A power cut, as far as the agent can tell.
    pub(crate) fn kill(&mut self) {
        let ended = self.agent.take().unwrap().kill();
        self.past.push_str(&ended.stderr);
    }

    pub(crate) fn log(&self) -> String {
        let now = self.agent.as_ref().map(Process::stderr).unwrap_or_default();
        format!("{}{now}", self.past)
    }

    /// A figure of the agent's `/proc/PID/status`, in KiB.
    pub(crate) fn memory(&self, figure: &str) -> u64 {
        memory_of(self.agent.as_ref().unwrap(), figure)
    }
}

pub(crate) fn memory_of(process: &Process, figure: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid().as_raw_nonzero())).unwrap();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("the last that was written:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
            return;
        }
        let log = self.log();
        for secret in ["scripted-access", "scripted-refresh", "seeded-access"] {
            assert!(!log.contains(secret), "a secret is in the log");
        }
        for message in self.subscriber.messages() {
            let objection = message.objection().filter(|_| !self.has_odd_clock);
            assert!(objection.is_none(), "{objection:?}: {message:?}");
            assert!(!message.text.contains("scripted-refresh"), "a secret was published: {message:?}");
        }
    }
}

/// A record of a sign-in.
pub(crate) fn record(client: ClientBinding, access_token: &str, refresh_token: String, expiry: Expiry) -> Record {
    let tokens = Tokens {
        access_token: Secret::new(access_token.to_owned()),
        refresh_token: Some(Secret::new(refresh_token)),
        expiry: Some(expiry),
        scope: None,
        extra: BTreeMap::new(),
        sign_in_end: None,
    };
    let since = UnixTime::new(1_800_000_000);
    let signed_in = SignedIn {
        client,
        tokens,
        further: BTreeMap::new(),
        since,
        last_refresh: None,
        refused: None,
        refreshing_since: None,
        user: None,
        user_changed_at: None,
    };
    Record { signed_in: Some(signed_in), ..Record::default() }
}
