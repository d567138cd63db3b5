//! A device with as many accounts as wanted, all signed in: broker, provider, agent, and a flow that watches.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::provider::Provider;
use crate::reading::{self, LONG};
use crate::support::broker::{Broker, Door};
use crate::support::clock::{SOON, unix_now, wait_for};
use crate::support::process::Process;
use crate::support::subscriber::{Message, Subscriber};
use crate::support::world::{binary, in_this_world};

/// A token that needs no refresh while it is looked at, in seconds.
pub(crate) const LONG_LIFE: u32 = 100_000;

/// See the module.
pub(crate) struct Device {
    pub(crate) subscriber: Subscriber,
    pub(crate) broker: Broker,
    pub(crate) provider: Provider,
    agent: Option<Process>,
    accounts: usize,
    folder: TempDir,
}

impl Device {
    /// Starts everything but the agent. Accounts are signed in at its first start, by refresh tokens from files.
    pub(crate) fn new(accounts: usize, more: &str) -> Self {
        // Not in the usual place for temporary files: that may be memory, and what is written there is no measure.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = folder.path().join("store");
        Self::with_store(folder, &store, accounts, more)
    }

    /// The same, with the store in a folder on another disk.
    pub(crate) fn with_store_at(store: &Path, accounts: usize) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self::with_store(folder, store, accounts, "")
    }

    fn with_store(folder: TempDir, store: &Path, accounts: usize, more: &str) -> Self {
        let broker = Broker::start(&folder.path().join("broker"), Door::Open);
        let provider = Provider::start(LONG_LIFE);
        let mut config = format!("{}\n[store]\npath = \"{}\"\n", broker.agent_settings(), store.display());
        for number in 1..=accounts {
            write_secret(&folder.path().join(format!("{number}.token")), &format!("first-{number}\n"));
            write!(
                config,
                "\n[accounts.a{number}]\ntoken_endpoint = \"{}/token\"\nclient_id = \"gateway\"\n\
                 grant = \"refresh_token\"\nrefresh_token_file = \"{number}.token\"\nscopes = [\"read\"]\n{more}",
                provider.issuer()
            )
            .unwrap();
        }
        fs::write(folder.path().join("config.toml"), config).unwrap();
        let subscriber = Subscriber::connect(broker.port());
        Self { subscriber, broker, provider, agent: None, accounts, folder }
    }

    /// Starts everything, and waits until every account has published its first token.
    pub(crate) fn signed_in(accounts: usize) -> Self {
        let mut device = Self::new(accounts, "");
        device.start_agent();
        device
    }

    /// Starts the agent, and waits for a token of every account. Returns when it was started, and the tokens.
    pub(crate) fn start_agent(&mut self) -> (f64, Vec<Message>) {
        let mark = self.subscriber.mark();
        let started_at = self.spawn_agent();
        (started_at, self.wait_for_tokens(mark))
    }

    /// Starts the agent alone, and returns when.
    pub(crate) fn spawn_agent(&mut self) -> f64 {
        // A copy of its own: memory that it shares with the agent of another test would count only in part.
        let program = self.folder.path().join("oauth2mqtt");
        if !program.exists() {
            fs::copy(binary(), &program).unwrap();
        }
        let mut command = Command::new(program);
        in_this_world(&mut command, &self.folder.path().join("config.toml"));
        command.arg("run");
        let started_at = unix_now();
        self.agent = Some(Process::start("the agent", &mut command));
        started_at
    }

    /// Waits until every account has published a token since `mark`, and returns the first of each.
    pub(crate) fn wait_for_tokens(&self, mark: usize) -> Vec<Message> {
        let (mut seen, mut tokens, mut next) = (HashSet::new(), Vec::new(), mark);
        wait_for("a token of every account", LONG, || {
            let messages = self.subscriber.since(next);
            next += messages.len();
            let of_new = |message: &Message| message.access_token().is_some() && seen.insert(message.topic.clone());
            tokens.extend(messages.into_iter().filter(of_new));
            (tokens.len() == self.accounts).then_some(())
        });
        tokens
    }

    /// Refreshes the first account by request, and returns its new token.
    pub(crate) fn refresh(&self) -> Message {
        let mark = self.subscriber.mark();
        let before = self.provider.given();
        // Just after a refresh it does not ask again, and says so by answering without one.
        wait_for("a refresh", SOON, || {
            let answer = self.subscriber.request("refresh", "a1");
            assert_eq!(answer["status"], "ok", "{answer}");
            (self.provider.given() > before).then_some(())
        });
        self.subscriber.wait_after(mark, "oauth2mqtt/a1/token", |token| token["access_token"].is_string())
    }

    pub(crate) fn pid(&self) -> Pid {
        self.agent.as_ref().unwrap().pid()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the agent in order.
    pub(crate) fn stop_agent(&mut self) {
        let agent = self.agent.take().unwrap();
        agent.signal(Signal::TERM);
        agent.wait(2 * SOON);
    }

    /// Waits until the agent does nothing more for now.
    pub(crate) fn settle(&self) {
        reading::settle(self.pid());
    }
}

/// As one writes a secret: for nobody else to read, or the agent warns of it.
fn write_secret(path: &Path, secret: &str) {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(secret.as_bytes()).unwrap();
}
