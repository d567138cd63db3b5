//! Finds out why something does not work: each check passes, warns or fails, and says what to do next.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{StatVfsMountFlags, statvfs};
use tokio::net::lookup_host;
use tokio::time::timeout;
use url::{Position, Url};

use super::exit::{Exit, Failure};
use super::remote::RunningAgent;
use super::status::needs_somebody;
use super::{BAD, DIM, GOOD, WARN, say};
use crate::config::{self, Environment};
use crate::domain::account::AccountName;
use crate::domain::clock::{Confidence, UnixTime};
use crate::domain::settings::{BrokerAddress, Settings, StoreSettings, TlsSettings};
use crate::domain::text::printable;
use crate::platform::clock;
use crate::platform::tls::Tls;
use crate::provider::{Directory, EndpointQuery, Http};
use crate::wire::{StatusMessage, Verb};

/// The time for a name to be resolved.
const RESOLVED: Duration = Duration::from_secs(10);

/// The least space that the store should have, in bytes: it is written anew at each sign-out.
const LEAST_SPACE: u64 = 16 * 1024 * 1024;

/// The difference between two clocks that matters to nobody, in seconds.
const CLOCK_OFF: u64 = 120;

/// Stands for the value of a variable that cannot be told apart from a secret.
const NOT_READABLE: &str = "(set, not readable)";

/// The result of a check: what it found, and what to do.
enum Finding {
    Pass(String),
    Warn(String, String),
    Fail(String, String),
}

impl Finding {
    fn pass(text: impl Into<String>) -> Self {
        Self::Pass(text.into())
    }

    fn warn(text: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Warn(text.into(), next.into())
    }

    fn fail(text: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Fail(text.into(), next.into())
    }
}

/// The results so far.
#[derive(Default)]
struct Findings {
    failed: usize,
    warned: usize,
}

impl Findings {
    fn add(&mut self, what: &str, finding: Finding) -> Result<(), Failure> {
        let (style, word, text, help) = match finding {
            Finding::Pass(text) => (GOOD, "pass", text, None),
            Finding::Warn(text, help) => {
                self.warned += 1;
                (WARN, "warn", text, Some(help))
            }
            Finding::Fail(text, help) => {
                self.failed += 1;
                (BAD, "FAIL", text, Some(help))
            }
        };
        say(&format!("{style}{word}{style:#}  {}: {}", printable(what), printable(&text)))?;
        match help {
            Some(help) => say(&format!("      {DIM}next:{DIM:#} {}", printable(&help))),
            None => Ok(()),
        }
    }
}

/// Checks everything that a sign-in needs.
pub(super) fn doctor(config: &Path) -> Result<(), Failure> {
    let mut findings = Findings::default();
    let system = rustix::system::uname();
    say(&format!(
        "oauth2mqtt {}, {} {} {}",
        env!("CARGO_PKG_VERSION"),
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.machine().to_string_lossy()
    ))?;
    let settings = configuration(config, &mut findings)?;
    findings.add("clock", clock_alone())?;
    if let Some(proxy) = proxy() {
        findings.add("proxy", proxy)?;
    }
    if let Some(settings) = settings {
        findings.add("store", store(&settings.store))?;
        super::block_on(over_the_network(&settings, &mut findings))?;
    }
    say("")?;
    let Findings { failed, warned } = findings;
    say(&format!(
        "{failed} failed, {warned} warned. {DIM}There is no secret in these lines: paste them into a bug report as they are.{DIM:#}"
    ))?;
    if failed == 0 { Ok(()) } else { Err(Failure::new(Exit::Failed, "something is wrong; see above what to do.")) }
}

fn configuration(config: &Path, findings: &mut Findings) -> Result<Option<Settings>, Failure> {
    match config::load(config, &Environment::from_process()) {
        Ok(loaded) => {
            let count = loaded.settings.accounts.len();
            let text = format!("{} is good, accounts: {count}", config.display());
            findings.add("configuration", Finding::pass(text))?;
            for warning in &loaded.warnings {
                let text = format!("{}: {}", warning.key, warning.message);
                findings.add("configuration", Finding::warn(text, warning.help.clone()))?;
            }
            if count == 0 {
                let next = "add an account with `sudo oauth2mqtt add`";
                findings.add("accounts", Finding::warn("there is none", next))?;
            }
            Ok(Some(loaded.settings))
        }
        Err(error) => {
            for diagnostic in &error.diagnostics {
                let line = diagnostic.line.map(|line| format!(":{line}")).unwrap_or_default();
                let key = if diagnostic.key.is_empty() { String::new() } else { format!("{}: ", diagnostic.key) };
                let text = format!("{}{line}: {key}{}", config.display(), diagnostic.message);
                findings.add("configuration", Finding::fail(text, diagnostic.help.clone()))?;
            }
            Ok(None)
        }
    }
}

/// Returns whether something vouches for the clock.
fn clock_alone() -> Finding {
    let now = clock::now().wall;
    match clock::confidence(now) {
        Confidence::Vouched => Finding::pass("the network or a clock with a battery confirms the time"),
        Confidence::Doubtful => Finding::warn(
            format!("nothing confirms the time, which is {now}"),
            "see `timedatectl`; a wrong clock makes TLS fail",
        ),
    }
}

/// The proxies of the environment, without user name and password.
fn proxy() -> Option<Finding> {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "NO_PROXY", "no_proxy"];
    let shown = |name: &str, value: &str| {
        if name.eq_ignore_ascii_case("no_proxy") { hosts(value) } else { bare(value) }
    };
    let found: Vec<_> =
        names.iter().filter_map(|name| Some(format!("{name}={}", shown(name, &env::var(name).ok()?)))).collect();
    (!found.is_empty()).then(|| {
        Finding::warn(
            found.join(" "),
            "these are of this shell; those of the service are in `systemctl show oauth2mqtt -p Environment`",
        )
    })
}

/// A proxy's scheme, host and port, without anything that might grant access to it.
fn bare(proxy: &str) -> String {
    let text = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    let is_scheme = |url: &Url| ["http", "https", "socks4", "socks4a", "socks5", "socks5h"].contains(&url.scheme());
    // Where a password has a character that ends the host, what seems to be the host is a part of it or the user name.
    let has_host = |url: &Url| !url[Position::AfterPort..].contains('@');
    let url = Url::parse(&text).ok().filter(|url| is_scheme(url) && has_host(url));
    let bare = url.and_then(|url| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}://{}{port}", url.scheme(), url.host_str()?))
    });
    bare.unwrap_or_else(|| NOT_READABLE.to_owned())
}

/// The hosts that are reached without a proxy, as they are written.
fn hosts(list: &str) -> String {
    let is_of_list = |c: char| c.is_ascii_alphanumeric() || "-._:[]*/, ".contains(c);
    if list.chars().all(is_of_list) { list.to_owned() } else { NOT_READABLE.to_owned() }
}

#[allow(clippy::useless_conversion, reason = "the type of a file system's number is another on each architecture")]
fn store(settings: &StoreSettings) -> Finding {
    let path = &settings.path;
    let existing = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let Ok(space) = statvfs(existing) else {
        let next = "run this with sudo, or see `systemctl status oauth2mqtt` and its journal";
        return Finding::fail(format!("{} cannot be looked at", path.display()), next);
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let megabytes = free / 1_000_000;
    if space.f_flag.contains(StatVfsMountFlags::RDONLY) {
        let next =
            "make it writable, or name another path in [store]; a disk that became read-only by itself is failing";
        return Finding::fail(format!("{} is on a file system that is read-only", path.display()), next);
    }
    if free < LEAST_SPACE {
        return Finding::fail(format!("{}: {megabytes} MB are free", path.display()), "make room on the disk");
    }
    if let Some(why) = crate::store::forgets(path) {
        return Finding::warn(
            format!("{}: {why}; every sign-in is forgotten at the next boot", path.display()),
            "name a path in [store] that is on a disk",
        );
    }
    if let Err(error) = fs::read_dir(existing) {
        let next = "run this with sudo to look into it";
        return Finding::warn(
            format!("{}: {megabytes} MB are free; it cannot be read here ({error})", path.display()),
            next,
        );
    }
    Finding::pass(format!("{}: {megabytes} MB are free", path.display()))
}

async fn over_the_network(settings: &Settings, findings: &mut Findings) -> Result<(), Failure> {
    let tls = Tls::default();
    // Accounts that ask at the same endpoints need one look at them.
    let mut providers: Vec<(&AccountName, &str, EndpointQuery)> = Vec::new();
    for (name, account) in &settings.accounts {
        let query = EndpointQuery::by(account);
        if !providers.iter().any(|(.., known)| *known == query) {
            providers.push((name, &account.provider, query));
        }
    }
    let mut names = LookedUpNames::default();
    for (account, provider, query) in &providers {
        let host = [&query.endpoints.issuer, &query.endpoints.token].into_iter().flatten().next();
        if let Some(host) = host.and_then(|url| url.host_str()) {
            names.look_up(host, findings).await?;
        }
        let is_shared = providers.iter().filter(|(_, other, _)| other == provider).count() > 1;
        let of_account = if is_shared { format!(" of account {account}") } else { String::new() };
        findings.add(&format!("provider {provider}{of_account}"), reaches(&tls, query.clone()).await)?;
    }
    match &settings.mqtt.address {
        BrokerAddress::Tcp { host, .. } | BrokerAddress::Tls { host, .. } => {
            names.look_up(host, findings).await?;
        }
        BrokerAddress::Unix(_) => {}
    }
    let mut agent = match RunningAgent::find(&settings.mqtt).await {
        Ok(agent) => agent,
        Err(Failure { message, .. }) => {
            let next = "see `systemctl status mosquitto oauth2mqtt` and `journalctl -u oauth2mqtt`";
            return findings.add("broker and agent", Finding::fail(message, next));
        }
    };
    findings.add("broker and agent", Finding::pass("an agent is running"))?;
    let accounts = agent.ask::<Vec<StatusMessage>>(Verb::Status, None).await;
    agent.leave().await;
    let accounts = match accounts {
        Ok(accounts) => accounts,
        Err(Failure { message, .. }) => {
            return findings.add("agent", Finding::fail(message, "see `journalctl -u oauth2mqtt`"));
        }
    };
    accounts.iter().try_for_each(|status| findings.add(&format!("account {}", status.account), account(status)))
}

fn account(status: &StatusMessage) -> Finding {
    let state = &status.state;
    match &status.error {
        Some(error) if needs_somebody(status) => {
            Finding::fail(format!("{state}, {}: {}", error.code, error.message), login(status))
        }
        Some(error) => {
            Finding::warn(format!("{state}, {}: {}", error.code, error.message), "the agent tries again by itself")
        }
        None if needs_somebody(status) => Finding::fail(state.clone(), login(status)),
        None => Finding::pass(state.clone()),
    }
}

fn login(status: &StatusMessage) -> String {
    format!("sign in with `oauth2mqtt login {}`", status.account)
}

/// The names that were looked up.
#[derive(Default)]
struct LookedUpNames(BTreeSet<String>);

impl LookedUpNames {
    /// Looks a host up, once, if it is a name.
    async fn look_up(&mut self, host: &str, findings: &mut Findings) -> Result<(), Failure> {
        let is_address =
            host.trim_matches(['[', ']']).split('%').next().is_some_and(|host| host.parse::<IpAddr>().is_ok());
        if is_address || !self.0.insert(host.to_owned()) {
            return Ok(());
        }
        findings.add("name", resolves(host).await)
    }
}

async fn resolves(host: &str) -> Finding {
    match timeout(RESOLVED, lookup_host((host, 443))).await {
        Ok(Ok(addresses)) => {
            let count = addresses.count();
            Finding::pass(format!("{host} has {count} address{}", if count == 1 { "" } else { "es" }))
        }
        Ok(Err(error)) => {
            let next = "check the name, the network, and /etc/resolv.conf; with a proxy the name may be known to the proxy alone";
            Finding::warn(format!("{host} has no address ({error})"), next)
        }
        Err(_) => Finding::warn(
            format!("no name server has answered for {host} within {} s", RESOLVED.as_secs()),
            "check the network and /etc/resolv.conf",
        ),
    }
}

async fn reaches(tls: &Tls, query: EndpointQuery) -> Finding {
    let trust = TlsSettings { ca_file: query.ca_file.clone(), identity: None };
    let http = tls.client_config(&trust).map_err(|error| error.to_string());
    let http = match http.and_then(|config| Http::new(config).map_err(|error| error.to_string())) {
        Ok(http) => http,
        Err(error) => return Finding::fail(error, "check ca_file"),
    };
    match Arc::new(Directory::new(query, http)).probe().await {
        Ok(reached) => match reached.date.map(|date| off(date, clock::now().wall)) {
            Some(seconds) if seconds > CLOCK_OFF => Finding::warn(
                format!("{} answers; its clock and this one differ by {seconds} s", reached.host),
                "see `timedatectl`, and let the network set the clock",
            ),
            _ => Finding::pass(format!("{} answers", reached.host)),
        },
        Err(fault) => Finding::fail(format!("{}: {}", fault.code, fault.message), fault.advice()),
    }
}

fn off(one: UnixTime, other: UnixTime) -> u64 {
    one.seconds().abs_diff(other.seconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_without_anything_that_grants_access_to_it() {
        assert_eq!(bare("http://ann:hunter2@proxy.example.com:3128"), "http://proxy.example.com:3128");
        assert_eq!(bare("ann:hunter2@proxy.example.com:3128"), "http://proxy.example.com:3128");
        assert_eq!(bare("proxy.example.com:3128"), "http://proxy.example.com:3128");
        assert_eq!(bare("http://proxy.example.com:3128/?key=S3cret#S3cret"), "http://proxy.example.com:3128");
        assert_eq!(bare("http://proxy.example.com/S3cret"), "http://proxy.example.com");
        for end in ['#', '?', '/', '\\'] {
            for proxy in
                [format!("http://bob:{end}S3cret@proxy.example.com:3128"), format!("bob:{end}S3cret@proxy.example.com")]
            {
                assert_eq!(bare(&proxy), "(set, not readable)", "{proxy}");
            }
        }
        assert_eq!(bare("key://S3cret"), "(set, not readable)");
        assert_eq!(hosts("localhost,.example.com, 10.0.0.0/8,[::1]"), "localhost,.example.com, 10.0.0.0/8,[::1]");
        assert_eq!(hosts("http://bob:S3cret@proxy"), "(set, not readable)");
    }
}
