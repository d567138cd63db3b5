//! Takes an account out again: signs it out, removes its section and its secret's file, and tells the agent.

use std::fs;
use std::path::{Path, PathBuf};

use super::config_file::replace;
use super::exit::{Exit, Failure};
use super::remote::RunningAgent;
use super::{BOLD, DIM, GOOD, WARN, block_on, name, not_revoked, say};
use crate::config::{self, Environment, toml_text};
use crate::domain::account::AccountName;
use crate::domain::settings::MqttSettings;
use crate::wire::{ReloadMessage, StatusMessage, Verb};

/// Removes the account from the configuration at `config`.
pub(super) fn remove(config: &Path, account: &str) -> Result<(), Failure> {
    let account = name(account)?;
    let text = fs::read_to_string(config)
        .map_err(|error| Failure::new(Exit::Config, format!("{} cannot be read: {error}.", config.display())))?;
    let settings = config::parse(&text, config, &Environment::from_process())?.settings;
    if !settings.accounts.contains_key(&account) {
        let names: Vec<_> = settings.accounts.keys().map(AccountName::as_str).collect();
        let there =
            if names.is_empty() { "there is none".to_owned() } else { format!("there are {}", names.join(", ")) };
        let message = format!("no account {account} is in {}: {there}.", config.display());
        return Err(Failure::new(Exit::Failed, message));
    }
    let Some(kept) = config::without_account(&text, account.as_str()) else {
        let message = format!(
            "the account {account} does not stand in a section [accounts.{account}] of its own.\n  \
             help: take it out of {} yourself, then `oauth2mqtt reload`",
            config.display()
        );
        return Err(Failure::new(Exit::Failed, message));
    };
    // What is left must be as good as what was there.
    let left = config::parse(&kept, config, &Environment::from_process())?.settings;
    // Before it is signed out, which cannot be undone. The agent knows the account until it reads this.
    replace(config, &kept).map_err(|error| {
        Failure::new(Exit::Failed, format!("{} cannot be written: {error}. Run this with sudo.", config.display()))
    })?;
    say(&format!("{GOOD}Removed{GOOD:#} {BOLD}[accounts.{account}]{BOLD:#} from {}", config.display()))?;
    let left_over = block_on(sign_out(&settings.mqtt, &account))?;
    if let Some(secret) = own_secret(config, &text, &kept, &account) {
        match fs::remove_file(&secret) {
            Ok(()) => say(&format!("{GOOD}Removed{GOOD:#} the secret in {}", secret.display()))?,
            Err(error) => say(&format!("{WARN}{} cannot be removed: {error}.{WARN:#}", secret.display()))?,
        }
    }
    block_on(take_out(&left.mqtt))?;
    match left_over {
        None => Ok(()),
        Some(what) => Err(Failure::new(Exit::Failed, format!("{account} is removed, {what}"))),
    }
}

/// The fate of the sign-in of an account that is not signed out when it is removed.
const STAYS: &str = "A sign-in stays in the store, sealed, until an account of this name signs out.";

/// The file that `oauth2mqtt add` made for the account, if nothing else in the configuration names it.
fn own_secret(config: &Path, before: &str, after: &str, account: &AccountName) -> Option<PathBuf> {
    let name = format!("{account}.secret");
    // However another account may quote it, and with whatever folder before it.
    let is_own = before.contains(&toml_text::quoted(&name)) && !after.contains(&name);
    Some(config.with_file_name(name)).filter(|path| is_own && path.is_file())
}

/// Has the running agent revoke and erase the tokens while it still knows the account, and returns what is left of them, if anything.
async fn sign_out(mqtt: &MqttSettings, account: &AccountName) -> Result<Option<String>, Failure> {
    let mut agent = match RunningAgent::find(mqtt).await {
        Ok(agent) => agent,
        Err(failure) => {
            say(&format!("{DIM}Not signed out: {} {STAYS}{DIM:#}", failure.message))?;
            return Ok(None);
        }
    };
    let result = agent.ask::<StatusMessage>(Verb::Logout, Some(account)).await;
    agent.leave().await;
    match result.map(not_revoked) {
        Ok(None) => say(&format!("{GOOD}Signed out.{GOOD:#}")).map(|()| None),
        Ok(Some(why)) => Ok(Some(format!("and signed out on this device only. {why}"))),
        Err(failure) => Ok(Some(format!("but not signed out: {} {STAYS}", failure.message))),
    }
}

async fn take_out(mqtt: &MqttSettings) -> Result<(), Failure> {
    // Without an agent there is nobody to tell.
    let Ok(mut agent) = RunningAgent::find(mqtt).await else { return Ok(()) };
    let result = agent.ask::<ReloadMessage>(Verb::Reload, None).await;
    agent.leave().await;
    result.map(|_| ())?;
    say(&format!("{GOOD}The agent has taken it out.{GOOD:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_secret_that_another_account_names_is_kept_however_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.toml");
        let secret = config.with_file_name("garden.secret");
        fs::write(&secret, "secret").unwrap();
        let account = "garden".parse().unwrap();
        let removed = |after: &str| own_secret(&config, "client_secret_file = \"garden.secret\"\n", after, &account);
        assert_eq!(removed("[mqtt]\n"), Some(secret.clone()));
        for named in
            ["\"garden.secret\"", "'garden.secret'", "\"/etc/oauth2mqtt/garden.secret\"", "\"./garden.secret\""]
        {
            assert_eq!(removed(&format!("client_secret_file = {named}\n")), None, "{named}");
        }
        assert_eq!(own_secret(&config, "", "", &account), None, "it is not that of `oauth2mqtt add`");
    }
}
