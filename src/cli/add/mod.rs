//! Adds an account: asks for what is missing, writes it to the configuration, and has the agent take it up.

mod file;
mod questions;

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::args::Wanted;
use super::exit::{Exit, Failure};
use super::remote::RunningAgent;
use super::{BOLD, DIM, GOOD, WARN, login, say};
use crate::config::{self, DEFAULT_REDIRECT_URI, Environment};
use crate::domain::account::AccountName;
use crate::domain::presets::{PRESETS, Preset};
use crate::domain::secret::Secret;
use crate::domain::settings::Settings;
use crate::wire::{ReloadMessage, Verb};
use file::NewAccount;
use questions::Questions;

/// The configuration of a device that has none yet.
const FIRST: &str = "[mqtt]\nurl = \"mqtt://127.0.0.1:1883\"\n";

/// The grant for scopes and providers that devices cannot have.
const BY_BROWSER: &str = "authorization_code";

/// The largest secret, in bytes.
const LARGEST_SECRET: u64 = 64 * 1024;

/// Adds an account to the configuration at `config`.
pub(super) fn add(config: &Path, wanted: Wanted) -> Result<(), Failure> {
    let mut questions = Questions::at_terminal();
    let (text, settings) = existing(config)?;
    let account = account(wanted, &settings, &mut questions)?;
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

fn account(wanted: Wanted, settings: &Settings, questions: &mut Questions) -> Result<NewAccount, Failure> {
    let mut keys = Vec::new();
    let preset = provider(wanted.provider, wanted.issuer, &mut keys, questions)?;
    let set = wanted.set.iter().map(|pair| {
        let no_pair = || Failure::new(Exit::Usage, format!("\"{pair}\" is not KEY=VALUE."));
        pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(no_pair)
    });
    let set = set.collect::<Result<Vec<_>, _>>()?;
    for parameter in preset.iter().flat_map(|preset| preset.parameters) {
        if set.iter().any(|(key, _)| key == parameter) {
            continue;
        }
        let default = preset.and_then(|preset| preset.defaults.iter().find(|(name, _)| name == parameter));
        let default = default.map(|(_, value)| *value);
        if let (Some(_), false) = (default, questions.can_ask()) {
            continue;
        }
        let value = questions.text(parameter, default, &format!("--set {parameter}=…"))?;
        if Some(value.as_str()) != default {
            keys.push(((*parameter).to_owned(), value));
        }
    }
    let scopes = match wanted.scopes {
        Some(scopes) => scopes,
        None => words(&scopes(preset, questions)?),
    };
    let grant = set.iter().find(|(key, _)| key == "grant").map(|(_, grant)| grant.as_str());
    let needs_browser = grant.is_none() && preset.is_some_and(|preset| no_device_gets(preset, &scopes));
    if needs_browser {
        keys.push(("grant".to_owned(), BY_BROWSER.to_owned()));
    }
    if questions.can_ask() {
        register(preset, grant.or(needs_browser.then_some(BY_BROWSER)))?;
    }
    let client_id = match wanted.client_id {
        Some(id) => id,
        None => questions.text("Client ID", None, "--client-id")?,
    };
    keys.push(("client_id".to_owned(), client_id));
    let secret = secret(wanted.client_secret_from.as_deref(), preset, questions)?;
    keys.extend(set);
    let name = name(wanted.account, preset, settings, questions)?;
    Ok(NewAccount { name, keys, scopes, secret })
}

/// Who the provider is: a preset, or an issuer.
fn provider(
    provider: Option<String>,
    issuer: Option<String>,
    keys: &mut Vec<(String, String)>,
    questions: &mut Questions,
) -> Result<Option<&'static Preset>, Failure> {
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let answer = match (provider, issuer) {
        (Some(provider), _) => provider,
        (None, Some(issuer)) => issuer,
        (None, None) => {
            if questions.can_ask() {
                say(&format!(
                    "{DIM}Known by name: {}. Any other: the address of its issuer.{DIM:#}",
                    names.join(", ")
                ))?;
            }
            questions.text("Provider", None, "--provider or --issuer")?
        }
    };
    if answer.contains("://") {
        keys.push(("issuer".to_owned(), answer));
        return Ok(None);
    }
    let preset = Preset::find(&answer.to_ascii_lowercase()).ok_or_else(|| {
        let message = format!("no provider is known by that name. Known are: {}.", names.join(", "));
        Failure::new(Exit::Usage, message)
    })?;
    keys.push(("provider".to_owned(), preset.name.to_owned()));
    Ok(Some(preset))
}

/// Whether the provider gives these scopes to no device, or has no device grant at all.
fn no_device_gets(preset: &Preset, scopes: &[String]) -> bool {
    let is_for_devices = |scope: &String| preset.device_scopes.contains(&scope.as_str());
    preset.for_device.is_empty() || !(preset.device_scopes.is_empty() || scopes.iter().all(is_for_devices))
}

/// Says where the application is registered, and what is good to know before.
fn register(preset: Option<&Preset>, grant: Option<&str>) -> Result<(), Failure> {
    say("")?;
    let Some(preset) = preset else {
        return say("Register this device at the provider, as a client with the device authorization grant.");
    };
    let kind = if grant == Some(BY_BROWSER) { preset.for_code } else { preset.for_device };
    say(&format!("Register this device at {BOLD}{}{BOLD:#}", preset.title))?;
    say(&format!("  {}", preset.register_at))?;
    say(&format!("  {kind}"))?;
    if grant == Some(BY_BROWSER) {
        say(&format!("  redirect address: {BOLD}{DEFAULT_REDIRECT_URI}{BOLD:#}"))?;
    }
    if !preset.note.is_empty() {
        say(&format!("  {DIM}{}{DIM:#}", preset.note))?;
    }
    say("")
}

fn secret(from: Option<&Path>, preset: Option<&Preset>, questions: &mut Questions) -> Result<Option<Secret>, Failure> {
    let is_needed = preset.is_some_and(|preset| preset.needs_secret);
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
    read.map_err(|error| Failure::new(Exit::Failed, format!("the client secret cannot be read: {error}.")))?;
    match text.trim() {
        "" => Err(Failure::new(Exit::Usage, "the client secret is empty.")),
        secret => Ok(Secret::new(secret.to_owned())),
    }
}

/// What to ask for, with spaces between.
fn scopes(preset: Option<&Preset>, questions: &mut Questions) -> Result<String, Failure> {
    let usual = match preset.map(|preset| preset.name) {
        Some("github") => "read:user",
        Some("gitlab" | "google") => "openid email profile",
        Some("microsoft") => "openid email profile offline_access User.Read",
        _ => "openid offline_access",
    };
    if questions.can_ask() { questions.text("Scopes", Some(usual), "--scopes") } else { Ok(usual.to_owned()) }
}

fn words(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn name(
    wanted: Option<String>,
    preset: Option<&Preset>,
    settings: &Settings,
    questions: &mut Questions,
) -> Result<AccountName, Failure> {
    let usual = preset.map_or("account", |preset| preset.name);
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
            return login::login(&mut agent, name).await;
        }
        say(&format!("Sign in with {BOLD}oauth2mqtt login {name}{BOLD:#}."))
    };
    let result = result.await;
    agent.leave().await;
    result
}
