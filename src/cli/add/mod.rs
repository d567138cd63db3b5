//! Adds an account: asks for what is missing, writes it to the configuration, and has the agent take it up.

mod file;
mod probe;
mod questions;

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::args::Wanted;
use super::exit::{Exit, Failure};
use super::remote::RunningAgent;
use super::{BOLD, DIM, GOOD, WARN, login, say};
use crate::config::{self, Catalog, DEFAULT_REDIRECT_URI, Environment};
use crate::domain::account::AccountName;
use crate::domain::grant_kind::GrantKind;
use crate::domain::provider_file::KnownProvider;
use crate::domain::secret::Secret;
use crate::domain::settings::Settings;
use crate::wire::{ReloadMessage, Verb};
use file::NewAccount;
use probe::Probe;
use questions::Questions;

/// The configuration of a device that has none yet.
const FIRST: &str = "[mqtt]\nurl = \"mqtt://127.0.0.1:1883\"\n";

/// The largest secret, in bytes.
const LARGEST_SECRET: u64 = 64 * 1024;

/// Adds an account to the configuration at `config`.
pub(super) fn add(config: &Path, wanted: Wanted) -> Result<(), Failure> {
    let mut questions = Questions::at_terminal();
    let (text, settings) = existing(config)?;
    let catalog = config::catalog(config)?;
    let account = account(wanted, &settings, &catalog, &mut questions)?;
    let written = account.write(config, &text, &settings)?;
    let name = &account.name;
    say("")?;
    say(&format!("{GOOD}Added{GOOD:#} {BOLD}[accounts.{name}]{BOLD:#} to {}", config.display()))?;
    if let Some(file) = written.secret_file {
        say(&format!("{GOOD}Wrote{GOOD:#} the secret to {}, which only its owner can read", file.display()))?;
    }
    super::block_on(take_up(&written.settings, name, &mut questions))
}

/// The configuration as it is. It must be good: what is wrong with it is not to be mixed with what is added.
fn existing(config: &Path) -> Result<(String, Settings), Failure> {
    let text = match fs::read_to_string(config) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => FIRST.to_owned(),
        Err(error) => {
            let message = format!("{} cannot be read: {error}. Run this with sudo.", config.display());
            return Err(Failure::new(Exit::Config, message));
        }
    };
    let settings = config::parse(&text, config, &Environment::from_process())?.settings;
    Ok((text, settings))
}

fn account(
    wanted: Wanted,
    settings: &Settings,
    catalog: &Catalog,
    questions: &mut Questions,
) -> Result<NewAccount, Failure> {
    let mut keys = Vec::new();
    let provider = provider(wanted.provider, wanted.issuer, catalog, &mut keys, questions)?;
    let provider = provider.as_deref();
    let set = wanted.set.iter().map(|pair| {
        let no_pair = || Failure::new(Exit::Usage, format!("\"{pair}\" is not KEY=VALUE."));
        pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(no_pair)
    });
    let set = set.collect::<Result<Vec<_>, _>>()?;
    for (name, parameter) in provider.iter().flat_map(|provider| &provider.file.parameters) {
        if set.iter().any(|(key, _)| key == name) {
            continue;
        }
        let default = parameter.default.as_deref();
        if let (Some(_), false) = (default, questions.can_ask()) {
            continue;
        }
        let question = if parameter.about.is_empty() { name.clone() } else { format!("{name}, {}", parameter.about) };
        let value = questions.text(&question, default, &format!("--set {name}=…"))?;
        if Some(value.as_str()) != default {
            keys.push((name.clone(), value));
        }
    }
    let scopes = match wanted.scopes {
        Some(scopes) => scopes,
        None => words(&scopes(provider, questions)?),
    };
    let found = keys.iter().position(|(key, _)| key == "grant").filter(|_| set.iter().any(|(key, _)| key == "grant"));
    if let Some(found) = found {
        // What was said wins over what was found.
        keys.remove(found);
    }
    let grant = set.iter().chain(&keys).find(|(key, _)| key == "grant").map(|(_, grant)| grant.clone());
    let grant = grant.as_deref();
    let needs_browser = grant.is_none() && provider.is_some_and(|provider| provider.needs_browser(&scopes));
    if needs_browser {
        keys.push(("grant".to_owned(), GrantKind::AuthorizationCode.name().to_owned()));
    }
    if questions.can_ask() {
        let grant = if needs_browser { Some(GrantKind::AuthorizationCode.name()) } else { grant };
        register(provider, grant)?;
    }
    let client_id = match wanted.client_id {
        Some(id) => id,
        None => questions.text("Client ID", None, "--client-id")?,
    };
    keys.push(("client_id".to_owned(), client_id));
    let secret = secret(wanted.client_secret_from.as_deref(), provider, questions)?;
    keys.extend(set);
    let name = name(wanted.account, provider, settings, questions)?;
    Ok(NewAccount { name, keys, scopes, secret })
}

/// Finds out who the provider is: one that is known by name, or an issuer. What is neither is asked again.
fn provider(
    provider: Option<String>,
    issuer: Option<String>,
    catalog: &Catalog,
    keys: &mut Vec<(String, String)>,
    questions: &mut Questions,
) -> Result<Option<Arc<KnownProvider>>, Failure> {
    let mut given = provider.or(issuer);
    let is_asked = given.is_none() && questions.can_ask();
    if is_asked {
        let usable = catalog.usable();
        let names: Vec<&str> = usable.iter().map(|provider| provider.name.as_str()).collect();
        say(&format!("{DIM}Known by name: {}. Any other: the address of its issuer.{DIM:#}", names.join(", ")))?;
    }
    loop {
        let answer = match given.take() {
            Some(answer) => answer,
            None => questions.text("Provider", None, "--provider or --issuer")?,
        };
        let problem = match known(&answer, catalog) {
            Ok(Some(provider)) => {
                keys.push(("provider".to_owned(), provider.name.clone()));
                return Ok(Some(provider));
            }
            Ok(None) => match if is_asked { probe(&answer)? } else { Probe::DeviceGrant } {
                Probe::Failed(reason) => {
                    say(&format!("{WARN}{reason}{WARN:#}"))?;
                    if !questions.yes("Keep this address all the same?")? {
                        continue;
                    }
                    keys.push(("issuer".to_owned(), answer));
                    return Ok(None);
                }
                found => {
                    keys.push(("issuer".to_owned(), answer));
                    if matches!(found, Probe::NoDeviceGrant) {
                        keys.push(("grant".to_owned(), GrantKind::AuthorizationCode.name().to_owned()));
                    }
                    return Ok(None);
                }
            },
            Err(problem) => problem,
        };
        if !is_asked {
            return Err(Failure::new(Exit::Usage, problem));
        }
        say(&format!("{WARN}{problem}{WARN:#}"))?;
    }
}

/// Asks the issuer, and says what was found.
fn probe(issuer: &str) -> Result<Probe, Failure> {
    say(&format!("{DIM}Asking the issuer …{DIM:#}"))?;
    let found = probe::issuer(issuer)?;
    match found {
        Probe::DeviceGrant => say(&format!("{GOOD}It signs devices in by a code.{GOOD:#}"))?,
        Probe::NoDeviceGrant => say("It has no device grant: users sign in by a browser (authorization_code).")?,
        Probe::Failed(_) => {}
    }
    Ok(found)
}

/// The provider of that name, or `None` for the address of an issuer; otherwise, what is wrong with it.
fn known(answer: &str, catalog: &Catalog) -> Result<Option<Arc<KnownProvider>>, String> {
    if answer.contains("://") {
        return config::issuer_problem(answer).map_or(Ok(None), Err);
    }
    let name = answer.trim().to_ascii_lowercase();
    let Some(provider) = catalog.find(&name) else {
        let (message, help) = catalog.unknown(&name);
        return Err(format!("{message}; {help}."));
    };
    match &provider.file.retired {
        Some(reason) => Err(format!("{name}: {reason}.")),
        None => Ok(Some(provider)),
    }
}

/// Says where the application is registered, and what is good to know before.
fn register(provider: Option<&KnownProvider>, grant: Option<&str>) -> Result<(), Failure> {
    let grant = grant.unwrap_or(GrantKind::DeviceCode.name());
    say("")?;
    let Some(provider) = provider else {
        return say(&format!("Register this device at the provider, as a client with grant = \"{grant}\"."));
    };
    let file = &provider.file;
    say(&format!("Register this device at {BOLD}{}{BOLD:#}", file.title))?;
    say(&format!("  {}", file.register_at))?;
    if let Some((_, registration)) = file.grants.iter().find(|(other, _)| other.name() == grant) {
        say(&format!("  {}", registration.register))?;
    }
    if grant == GrantKind::AuthorizationCode.name() {
        say(&format!("  redirect address: {BOLD}{DEFAULT_REDIRECT_URI}{BOLD:#}"))?;
    }
    for note in &file.notes {
        say(&format!("  {DIM}{note}{DIM:#}"))?;
    }
    say("")
}

fn secret(
    from: Option<&Path>,
    provider: Option<&KnownProvider>,
    questions: &mut Questions,
) -> Result<Option<Secret>, Failure> {
    let is_needed = provider.is_some_and(|provider| provider.file.needs_secret);
    if let Some(from) = from {
        return read_secret(from).map(Some);
    }
    if !questions.can_ask() {
        let missing = "this provider wants a client secret; name a file with --client-secret-from.";
        return if is_needed { Err(Failure::new(Exit::Usage, missing)) } else { Ok(None) };
    }
    loop {
        let question = if is_needed { "Client secret" } else { "Client secret, if there is one" };
        let answer = questions.secret(question, "--client-secret-from")?;
        if answer.is_some() || !is_needed {
            return Ok(answer);
        }
    }
}

fn read_secret(from: &Path) -> Result<Secret, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(4 * 1024));
    let read = if from == Path::new("-") {
        std::io::stdin().take(LARGEST_SECRET).read_to_string(&mut text)
    } else {
        fs::File::open(from).and_then(|file| file.take(LARGEST_SECRET).read_to_string(&mut text))
    };
    let shown = if from == Path::new("-") { "standard input".to_owned() } else { from.display().to_string() };
    read.map_err(|error| {
        Failure::new(Exit::Failed, format!("the client secret cannot be read from {shown}: {error}."))
    })?;
    // Editors put a byte order mark first.
    match text.trim_start_matches('\u{feff}').trim() {
        "" => Err(Failure::new(Exit::Usage, format!("the client secret in {shown} is empty."))),
        secret => Ok(Secret::new(secret.to_owned())),
    }
}

/// The scopes to ask for, with spaces between.
fn scopes(provider: Option<&KnownProvider>, questions: &mut Questions) -> Result<String, Failure> {
    let usual = match provider.map(|provider| provider.file.scopes.as_slice()) {
        Some([]) => String::new(),
        Some(scopes) => scopes.join(" "),
        None => "openid offline_access".to_owned(),
    };
    if questions.can_ask() { questions.text("Scopes", Some(&usual), "--scopes") } else { Ok(usual) }
}

fn words(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn name(
    wanted: Option<String>,
    provider: Option<&KnownProvider>,
    settings: &Settings,
    questions: &mut Questions,
) -> Result<AccountName, Failure> {
    let usual = provider.map_or("account", |provider| &provider.name);
    let is_asked = wanted.is_none() && questions.can_ask();
    let mut answer = wanted;
    loop {
        let text = match answer.take() {
            Some(text) => text,
            None if is_asked => questions.text("Name of the account", Some(usual), "the account's name")?,
            None => usual.to_owned(),
        };
        let problem = match super::name(&text) {
            Ok(name) if !settings.accounts.contains_key(&name) => return Ok(name),
            Ok(name) => Failure::new(Exit::Usage, format!("there is an account {name} already. Choose another name.")),
            Err(failure) => failure,
        };
        if !is_asked {
            return Err(problem);
        }
        say(&format!("{WARN}{}{WARN:#}", problem.message))?;
    }
}

/// Has the running agent take up the account, and offers to sign in.
async fn take_up(settings: &Settings, name: &AccountName, questions: &mut Questions) -> Result<(), Failure> {
    let mut agent = match RunningAgent::find(&settings.mqtt).await {
        Ok(agent) => agent,
        Err(failure) => {
            say(&format!("{WARN}The agent does not know of it yet:{WARN:#} {}", failure.message))?;
            return say(&format!("Then sign in with {BOLD}oauth2mqtt login {name}{BOLD:#}."));
        }
    };
    let result = async {
        agent.ask::<ReloadMessage>(Verb::Reload, None).await?;
        say(&format!("{GOOD}The agent has it.{GOOD:#}"))?;
        say("")?;
        if questions.yes("Sign in now?")? {
            return login::login(&mut agent, name).await.map_err(|failure| {
                let message = format!(
                    "{}\n  help: the account stays as it was added; sign in with `oauth2mqtt login {name}`, or undo it \
                     with `oauth2mqtt remove {name}`",
                    failure.message
                );
                Failure { message, ..failure }
            });
        }
        say(&format!("Sign in with {BOLD}oauth2mqtt login {name}{BOLD:#}."))
    };
    let result = result.await;
    agent.leave().await;
    result
}
