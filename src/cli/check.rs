//! Checks the configuration.

use std::path::Path;

use super::bridge;
use super::exit::Failure;
use super::{BOLD, GOOD, say, service_user, warn};
use crate::config::{self, Environment};
use crate::domain::loopback::is_loopback;
use crate::domain::settings::{BrokerAddress, PublishMode, SignInMode};
use crate::store;

pub(super) fn check(path: &Path, broker: &Path) -> Result<(), Failure> {
    if let Err(error) = service_user::become_service_user(path) {
        warn(&format!("checked with the rights of root, not of the service's user: {error}."))?;
    }
    let loaded = config::load(path, &Environment::from_process())?;
    for warning in &loaded.warnings {
        warn(&warning.in_file(path).to_string())?;
    }
    if is_here(&loaded.settings.mqtt.address) {
        for warning in bridge::warnings(&loaded.settings, broker) {
            warn(&warning)?;
        }
    }
    if let Some(why) = store::forgets(&loaded.settings.store.path) {
        warn(&format!(
            "{why}: every sign-in is forgotten at the next boot; name a folder on a disk, path in [store]."
        ))?;
    }
    for (name, account) in &loaded.settings.accounts {
        let scopes = if account.scopes.is_empty() { "no scopes".to_owned() } else { account.scopes.join(" ") };
        let mut ways = vec![account.grant.name()];
        if account.sign_in == SignInMode::Offer {
            ways.push("a code is always on offer while signed out");
        }
        if account.publish == PublishMode::OnRequest {
            ways.push("the token is given on request only");
        }
        if !account.allow.admits_everybody() {
            ways.push("only those whom allow names may approve");
        }
        say(&format!("{BOLD}{name}{BOLD:#}: {}, {scopes} ({})", account.provider, ways.join("; ")))?;
    }
    let count = loaded.settings.accounts.len();
    let accounts = match count {
        0 => "no account yet".to_owned(),
        1 => "1 account".to_owned(),
        _ => format!("{count} accounts"),
    };
    say(&format!("{GOOD}{} is good{GOOD:#}: {accounts}.", path.display()))
}

/// True if the broker is on this device, so that its configuration may be here as well.
fn is_here(address: &BrokerAddress) -> bool {
    match address {
        BrokerAddress::Tcp { host, .. } | BrokerAddress::Tls { host, .. } => is_loopback(host),
        BrokerAddress::Unix(_) => true,
    }
}
