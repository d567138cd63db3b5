//! One device with everything around it: broker, provider, agent, and a subscriber that watches all of it.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::broker::{Broker, Door, free_ports};
use super::clock::{SOON, wait_for};
use super::process::{Ended, Process};
use super::promises;
use super::server::{Kind, Secrets, Server};
use super::subscriber::{Message, Subscriber};

/// A registered client of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Public,
    SecretInBody,
    SecretInHeader,
}

impl Client {
    fn settings(self) -> &'static str {
        match self {
            Self::Public => "client_id = \"device-public\"\n",
            Self::SecretInBody => "client_id = \"device-post\"\nclient_secret_file = \"device-post.secret\"\n",
            Self::SecretInHeader => {
                "client_id = \"device-basic\"\nclient_secret_file = \"device-basic.secret\"\n\
                 client_auth = \"client_secret_basic\"\n"
            }
        }
    }
}

/// What a test wants around it.
pub(crate) struct Setup {
    door: Door,
    broker: String,
    page: Option<String>,
    sections: String,
    providers: Vec<(Kind, Value)>,
    accounts: Vec<(String, usize, String)>,
    provider_files: Vec<(String, usize, String)>,
}

impl Setup {
    /// One provider, whose tokens live a minute, and an open broker.
    pub(crate) fn new() -> Self {
        Self::on(Kind::Oidc)
    }

    /// The same with another provider.
    pub(crate) fn on(kind: Kind) -> Self {
        let providers = vec![(kind, json!({ "access_token_ttl": 60 }))];
        Self {
            door: Door::Open,
            broker: String::new(),
            page: None,
            sections: String::new(),
            providers,
            accounts: Vec::new(),
            provider_files: Vec::new(),
        }
    }

    pub(crate) fn door(mut self, door: Door) -> Self {
        self.door = door;
        self
    }

    /// With these further lines in the broker's configuration.
    pub(crate) fn broker(mut self, lines: &str) -> Self {
        self.broker = format!("{lines}\n");
        self
    }

    /// With the sign-in page, and these further lines about it.
    pub(crate) fn page(mut self, lines: &str) -> Self {
        self.page = Some(lines.to_owned());
        self
    }

    /// With these further sections of the configuration, in which `{issuer}` stands for that of the first provider.
    pub(crate) fn sections(mut self, sections: &str) -> Self {
        self.sections = format!("{sections}\n\n");
        self
    }

    /// Changes a setting of the newest provider; see its own file.
    pub(crate) fn provider(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.providers.last_mut().unwrap().1[key] = value.into();
        self
    }

    pub(crate) fn token_life(self, seconds: u32) -> Self {
        self.provider("access_token_ttl", seconds)
    }

    /// One more provider, whose accounts follow.
    pub(crate) fn another_provider(self) -> Self {
        self.another(Kind::Oidc)
    }

    /// One more provider, of this kind.
    pub(crate) fn another(mut self, kind: Kind) -> Self {
        self.providers.push((kind, json!({ "access_token_ttl": 60 })));
        self
    }

    /// An account of a public client that asks for offline access.
    pub(crate) fn account(self, name: &str) -> Self {
        self.account_with(name, Client::Public, "")
    }

    /// An account with further settings.
    pub(crate) fn account_with(self, name: &str, client: Client, more: &str) -> Self {
        self.account_as(name, &device_settings(client, more))
    }

    /// An account with these settings, in which `{issuer}` stands for that of the newest provider, `{origin}` for what
    /// its addresses begin with, and `{files}` for the folder with its clients' files.
    pub(crate) fn account_as(mut self, name: &str, settings: &str) -> Self {
        self.accounts.push((name.to_owned(), self.providers.len() - 1, settings.to_owned()));
        self
    }

    /// An account at the newest provider, as if it were the one that is known by the name `provider`.
    pub(crate) fn account_like(self, name: &str, provider: &str) -> Self {
        let settings = format!(
            "provider = \"{provider}\"\n{}scopes = [\"openid\", \"email\", \"profile\", \"offline_access\"]",
            Client::SecretInBody.settings()
        );
        let file = format!(
            "extends = \"{provider}\"\n[endpoints]\ndevice_authorization = \"{{issuer}}/device/auth\"\n\
             token = \"{{issuer}}/token\"\nrevocation = \"{{issuer}}/token/revocation\"\n[grants.device_code]\n\
             scopes = []\n"
        );
        self.provider_file(provider, &file).account_as(name, &settings)
    }

    /// A file of the administrator's that describes the provider `name`, in which `{issuer}` and `{origin}` stand for
    /// those of the newest provider.
    pub(crate) fn provider_file(mut self, name: &str, text: &str) -> Self {
        self.provider_files.push((name.to_owned(), self.providers.len() - 1, text.to_owned()));
        self
    }

    /// Starts everything but the agent.
    #[track_caller]
    pub(crate) fn without_agent(self) -> World {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::start_with(&folder.path().join("broker"), self.door, &self.broker);
        let providers: Vec<_> = self.providers.iter().map(|(kind, settings)| Server::start(*kind, settings)).collect();
        for (number, provider) in providers.iter().enumerate() {
            write_files(provider, &folder.path().join(number.to_string()));
        }
        write_files(&providers[0], folder.path());
        for (name, provider, text) in &self.provider_files {
            let described = folder.path().join("providers.d");
            fs::create_dir_all(&described).unwrap();
            fs::write(described.join(format!("{name}.toml")), filled(text, &providers[*provider])).unwrap();
        }
        let accounts = self.accounts.into_iter().map(|(name, provider, settings)| {
            let settings = settings.replace("{files}", &folder.path().join(provider.to_string()).display().to_string());
            let settings = section(&name, &settings, &providers[provider]);
            (name, settings)
        });
        let page_port = free_port();
        let page = self.page.map(|lines| {
            let listen =
                if lines.contains("listen") { String::new() } else { format!("listen = \"127.0.0.1:{page_port}\"\n") };
            format!("[page]\n{listen}{lines}\n\n")
        });
        let world = World {
            page_port,
            sections: page.unwrap_or_default() + &self.sections.replace("{issuer}", providers[0].issuer()),
            accounts: RefCell::new(accounts.collect()),
            subscriber: Subscriber::connect(broker.port()),
            broker,
            providers: providers.into_iter().map(Some).collect(),
            provider_settings: self.providers,
            agent: None,
            transcripts: RefCell::default(),
            gone: RefCell::default(),
            folder,
        };
        world.write_config();
        world
    }

    /// Starts everything, and waits until the agent is online.
    #[track_caller]
    pub(crate) fn start(self) -> World {
        self.without_agent().started()
    }
}

/// Settings of an account whose user comes back by a redirect, and is told of.
pub(crate) fn signs_in_by_browser(redirect_uri: &str) -> String {
    format!(
        "issuer = \"{{issuer}}\"\ngrant = \"authorization_code\"\nclient_id = \"code-public\"\nidentity = true\n\
         scopes = [\"openid\", \"email\", \"offline_access\"]\nparams = {{ prompt = \"consent\" }}\n\
         redirect_uri = \"{redirect_uri}\""
    )
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    free_ports().0
}

fn device_settings(client: Client, more: &str) -> String {
    let scopes = if more.contains("scopes") { "" } else { "scopes = [\"openid\", \"offline_access\"]\n" };
    format!("issuer = \"{{issuer}}\"\n{}{scopes}{more}", client.settings())
}

/// The files that the clients of a provider need.
fn write_files(provider: &Server, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, content) in provider.files() {
        fs::write(folder.join(name), format!("{content}\n")).unwrap();
    }
}

fn section(name: &str, settings: &str, server: &Server) -> String {
    format!("[accounts.{name}]\n{}\n", filled(settings, server))
}

fn filled(text: &str, server: &Server) -> String {
    text.replace("{issuer}", server.issuer()).replace("{origin}", &server.origin())
}

/// See the module.
pub(crate) struct World {
    pub(crate) subscriber: Subscriber,
    pub(crate) broker: Broker,
    providers: Vec<Option<Server>>,
    provider_settings: Vec<(Kind, Value)>,
    agent: Option<Process>,
    page_port: u16,
    /// The sections of the configuration beside broker, store and accounts.
    sections: String,
    accounts: RefCell<Vec<(String, String)>>,
    /// What agents and commands wrote that have ended.
    transcripts: RefCell<Vec<String>>,
    /// The secrets of providers that have ended.
    gone: RefCell<Vec<Secrets>>,
    folder: TempDir,
}

impl World {
    /// The first provider.
    pub(crate) fn oidc(&self) -> &Server {
        self.provider(0)
    }

    pub(crate) fn provider(&self, number: usize) -> &Server {
        self.providers[number].as_ref().unwrap()
    }

    /// Ends the provider, as an outage would.
    #[track_caller]
    pub(crate) fn kill_provider(&mut self) {
        self.kill_provider_at(0);
    }

    #[track_caller]
    pub(crate) fn kill_provider_at(&mut self, number: usize) {
        let oidc = self.providers[number].take().unwrap();
        self.gone.borrow_mut().push(oidc.secrets());
        oidc.kill();
    }

    /// Ends the provider and starts it anew, without any memory of what it has given out.
    #[track_caller]
    pub(crate) fn replace_provider(&mut self) {
        let (kind, mut settings) = self.provider_settings[0].clone();
        settings["port"] = self.oidc().port().into();
        self.kill_provider();
        self.providers[0] = Some(Server::start(kind, &settings));
    }

    /// Where the page listens, if it is wanted.
    pub(crate) fn page_port(&self) -> u16 {
        self.page_port
    }

    /// The folder of this test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder().join("store")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder().join("config.toml")
    }

    /// The configuration as it is.
    pub(crate) fn config_text(&self) -> String {
        fs::read_to_string(self.config()).unwrap()
    }

    /// Writes the configuration anew with this account in it, or without it.
    pub(crate) fn set_account(&self, name: &str, settings: Option<(Client, &str)>) {
        self.set_account_as(name, settings.map(|(client, more)| device_settings(client, more)).as_deref());
    }

    /// The same with all its settings, in which `{issuer}` stands for that of the first provider.
    pub(crate) fn set_account_as(&self, name: &str, settings: Option<&str>) {
        self.accounts.borrow_mut().retain(|(other, _)| other != name);
        if let Some(settings) = settings {
            let settings = section(name, settings, self.oidc());
            self.accounts.borrow_mut().push((name.to_owned(), settings));
        }
        self.write_config();
    }

    fn write_config(&self) {
        let store = format!("[store]\npath = \"{}\"\n\n", self.store().display());
        let accounts: String = self.accounts.borrow().iter().map(|(_, settings)| settings.as_str()).collect();
        fs::write(self.config(), format!("{}\n{store}{}{accounts}", self.broker.agent_settings(), self.sections))
            .unwrap();
    }

    /// The binary under test, with the configuration of this test and nothing of the tester's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        in_this_world(&mut command, &self.config());
        command.args(arguments);
        command
    }

    /// The same with the agent running.
    #[track_caller]
    pub(crate) fn started(mut self) -> Self {
        self.start_agent();
        self
    }

    /// Starts the agent, with the fullest log there is, and waits until it is online.
    #[track_caller]
    pub(crate) fn start_agent(&mut self) {
        let command = self.command(&["--log", "trace", "run"]);
        self.start_agent_by(command);
    }

    #[track_caller]
    pub(crate) fn start_agent_by(&mut self, mut command: Command) {
        assert!(self.agent.is_none(), "an agent runs already");
        let mark = self.subscriber.mark();
        let mut agent = Process::start("the agent", &mut command);
        agent.wait_for("being online", SOON, |_| {
            let states = self.subscriber.since(mark);
            states.iter().any(|m| m.topic == "oauth2mqtt/bridge/state" && m.json["state"] == "online").then_some(())
        });
        self.agent = Some(agent);
    }

    /// Starts the agent, which is not expected to reach the broker yet.
    #[track_caller]
    pub(crate) fn start_agent_offline(&mut self) {
        self.agent = Some(Process::start("the agent", &mut self.command(&["--log", "trace", "run"])));
    }

    #[allow(dead_code, reason = "the trials use it")]
    /// Starts an agent by `command`, which may take its time or never be online.
    #[track_caller]
    pub(crate) fn start_agent_without_waiting(&mut self, mut command: Command) {
        assert!(self.agent.is_none(), "an agent runs already");
        self.agent = Some(Process::start("the agent", &mut command));
    }

    pub(crate) fn agent(&mut self) -> &mut Process {
        self.agent.as_mut().unwrap()
    }

    /// What the agent that runs has logged.
    pub(crate) fn agent_log(&self) -> String {
        self.agent.as_ref().unwrap().stderr()
    }

    /// Waits for a line of the agent's log that has all of these in it, and returns it. What the agent does may be seen before
    /// its log is: threads of their own write and read that.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, parts: &[&str]) -> String {
        let what = format!("a line of the log with {parts:?}");
        wait_for(&what, SOON, || {
            let log = self.agent_log();
            let mut lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            lines.find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned)
        })
    }

    /// What the agent has logged up to now, to the last line: it answers a request, and so has logged the answer.
    #[track_caller]
    pub(crate) fn log_up_to_now(&self) -> String {
        let pending = self.subscriber.send_request("status", "");
        self.subscriber.response(&pending, SOON);
        self.wait_for_log(&[&format!("respond topic=\"{}\"", pending.topic)]);
        self.agent_log()
    }

    /// A power cut, as far as the agent can tell.
    pub(crate) fn kill_agent(&mut self) {
        let ended = self.agent.take().unwrap().kill();
        self.remember("the agent (killed)", &ended);
    }

    /// An orderly end.
    #[track_caller]
    pub(crate) fn stop_agent(&mut self) -> Ended {
        let agent = self.agent.take().unwrap();
        agent.signal(Signal::TERM);
        let ended = agent.wait(SOON);
        self.remember("the agent (stopped)", &ended);
        ended
    }

    /// Tells the agent to read its configuration again, and waits until it has, well or not.
    #[track_caller]
    pub(crate) fn reload(&self) {
        let agent = self.agent.as_ref().unwrap();
        let before = reloads(&agent.stderr());
        agent.signal(Signal::HUP);
        wait_for("the reload", SOON, || (reloads(&agent.stderr()) > before).then_some(()));
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn cli(&self, arguments: &[&str]) -> Ended {
        self.finish(Process::start("oauth2mqtt", &mut self.command(arguments)), arguments)
    }

    /// Waits for the end of a command that was started before.
    #[track_caller]
    pub(crate) fn finish(&self, process: Process, arguments: &[&str]) -> Ended {
        let ended = process.wait(2 * SOON);
        // The one command whose output is a secret by intent.
        if arguments.first() != Some(&"token") {
            self.remember(&format!("oauth2mqtt {arguments:?}"), &ended);
        }
        ended
    }

    fn remember(&self, who: &str, ended: &Ended) {
        self.transcripts.borrow_mut().push(format!("== {who}\n{}\n{}", ended.stdout, ended.stderr));
    }

    /// The topic of an account.
    #[track_caller]
    pub(crate) fn wait(&self, account: &str, topic: &str, fits: impl Fn(&Value) -> bool) -> Message {
        self.subscriber.wait(&format!("oauth2mqtt/{account}/{topic}"), fits)
    }

    /// The same, for what comes after growing pauses.
    #[track_caller]
    pub(crate) fn wait_long(&self, account: &str, topic: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.subscriber.wait_long(&format!("oauth2mqtt/{account}/{topic}"), 3 * SOON, fits).json
    }

    /// Waits for a status with this state.
    #[track_caller]
    pub(crate) fn wait_for_state(&self, account: &str, state: &str) -> Value {
        self.wait(account, "status", |status| status["state"] == state).json
    }

    /// Asks for a sign-in and returns what `signin` then shows.
    #[track_caller]
    pub(crate) fn login(&self, account: &str) -> Value {
        let answer = self.subscriber.request("login", account);
        assert_eq!(answer["status"], "ok", "{answer}");
        answer["data"].clone()
    }

    /// Signs `account` in from beginning to end as the user of the same name, and returns its token message.
    #[track_caller]
    pub(crate) fn sign_in(&self, account: &str) -> Message {
        self.sign_in_at(0, account)
    }

    #[track_caller]
    pub(crate) fn sign_in_at(&self, provider: usize, account: &str) -> Message {
        self.approve_at(provider, account, account)
    }

    /// Signs `account` in as the user `login` of the first provider.
    #[track_caller]
    pub(crate) fn sign_in_as(&self, account: &str, login: &str) -> Message {
        self.approve_at(0, account, login)
    }

    #[track_caller]
    fn approve_at(&self, provider: usize, account: &str, login: &str) -> Message {
        let mark = self.subscriber.mark();
        let code = self.login(account);
        self.provider(provider).approve(code["user_code"].as_str().unwrap(), login);
        let token = self
            .subscriber
            .wait_after(mark, &format!("oauth2mqtt/{account}/token"), |token| token["access_token"].is_string());
        // The token comes first. What waits for another sign-in is not to be shown the code of this one.
        self.wait_for_state(account, "active");
        self.wait(account, "signin", |sign_in| sign_in["pending"] == false);
        token
    }

    /// Has the agent ask the provider for the next token, and returns the response.
    ///
    /// Just after a refresh the agent does not ask again, so this asks until a request has reached the provider.
    #[track_caller]
    pub(crate) fn refresh(&self, account: &str) -> Value {
        let before = self.oidc().refreshes().len();
        wait_for("a refresh", SOON, || {
            let answer = self.subscriber.request("refresh", account);
            (self.oidc().refreshes().len() > before).then_some(answer)
        })
    }

    /// Everything that the agent and the commands have written, except what is meant to be a token.
    pub(crate) fn written(&self) -> String {
        let agent = self.agent.as_ref().map(|agent| agent.stdout() + &agent.stderr());
        self.transcripts.borrow().iter().cloned().chain(agent).collect::<Vec<_>>().join("\n")
    }

    /// The secrets of all providers, those that have ended among them.
    pub(crate) fn secrets(&self) -> Vec<Secrets> {
        let running = self.providers.iter().flatten().map(Server::secrets);
        self.gone.borrow().iter().cloned().chain(running).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let written = self.written();
            let lines: Vec<_> = written.lines().collect();
            eprintln!("the last that was written:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
            return;
        }
        // Its end is the end of its log.
        if self.agent.is_some() {
            self.kill_agent();
        }
        promises::check(self);
    }
}

/// The environment of a daemon: no variable of the tester's that means something to it.
pub(crate) fn in_this_world(command: &mut Command, config: &Path) {
    let keep = ["PATH", "HOME", "LANG", "TMPDIR"];
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| keep.iter().any(|kept| name == kept)));
    command.env("OAUTH2MQTT_CONFIG", config);
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("OAUTH2MQTT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_oauth2mqtt").into(), PathBuf::from)
}

fn reloads(log: &str) -> usize {
    log.matches("read the configuration again").count() + log.matches("the new configuration is not used").count()
}
