//! The `[provisioning]` section, and accounts that are declared under it.

use std::fmt::Write as _;

use serde_json::Value;
use toml::de::DeTable;
use url::Url;

use super::account;
use super::address::{AddressUse, http_address};
use super::client::MOST_SECRETS;
use super::diagnostic::{Diagnostic, Report, quoted};
use super::files::Files;
use super::grant::DEFAULT_REDIRECT_URI;
use super::nearest::nearest;
use super::table::Table;
use crate::domain::account::AccountName;
use crate::domain::declaration::Declaration;
use crate::domain::presets::Preset;
use crate::domain::settings::{AccountSettings, Declared, GrantSettings, ProvisioningSettings};
use crate::domain::text;

/// The keys that a declaration may have beside `client_secret`. What is not here either names a file of the device, or lowers
/// its guard.
const KEYS: [&str; 23] = [
    "allow",
    "application",
    "authorization_endpoint",
    "client_auth",
    "client_id",
    "device_authorization_endpoint",
    "domain",
    "grant",
    "host",
    "identity",
    "issuer",
    "params",
    "provider",
    "publish",
    "realm",
    "redirect_uri",
    "revocation_endpoint",
    "scopes",
    "sign_in",
    "tenant",
    "token_endpoint",
    "url",
    "userinfo_endpoint",
];

/// The keys that are for the configuration file alone, and why.
const NOT_DECLARABLE: [(&str, &str); 8] = [
    ("allow_http", "only the configuration file of the device may allow plain HTTP"),
    ("ca_file", "only the configuration file of the device may name files"),
    ("client_secret_file", "only the configuration file of the device may name files"),
    ("password", "a user's password is not declared over MQTT"),
    ("password_file", "only the configuration file of the device may name files"),
    ("private_key_file", "only the configuration file of the device may name files"),
    ("private_key_id", "a private key is named in the configuration file of the device"),
    ("refresh_token_file", "only the configuration file of the device may name files"),
];

/// The parameters of presets that decide on whose server an account is.
const WHOSE_SERVER: [&str; 3] = ["domain", "host", "url"];

/// The longest client secret, and the longest text of any other key, in bytes.
const LONGEST: usize = 2_048;

/// Reads the section; without `enabled = true` nothing may be declared.
pub(super) fn read(mut table: Table<'_>) -> Option<ProvisioningSettings> {
    let enabled = table.flag("enabled");
    let issuers = table.texts("issuers");
    let issuers: Vec<_> = issuers.iter().map(|entry| (http_address(entry, AddressUse::Issuer, false), entry)).collect();
    let presets = table.texts("presets");
    for preset in presets.iter().filter(|preset| Preset::find(preset.value).is_none()) {
        preset.place.error(
            format!("there is no preset for a provider {}", quoted(preset.value)),
            "`oauth2mqtt providers` lists them; name any other provider in issuers",
        );
    }
    if enabled && issuers.is_empty() && presets.is_empty() {
        table.place.warn(
            "accounts may be declared, but of no provider",
            "name those that may be used: issuers = [\"https://…\"], presets = [\"google\"]",
        );
    }
    table.finish();
    let issuers = issuers.into_iter().filter_map(|(issuer, _)| issuer).collect();
    let presets = presets.iter().map(|preset| preset.value.to_owned()).collect();
    enabled.then_some(ProvisioningSettings { issuers, presets })
}

/// Reads a declared account, by the same rules as one of the configuration file and some more.
///
/// # Errors
/// Everything that is wrong with it, by key, as one text. No value of a key that may be secret is in it.
pub(crate) fn declared(
    name: &AccountName,
    declaration: &Declaration,
    provisioning: &ProvisioningSettings,
) -> Result<AccountSettings, String> {
    let refusals = refusals(declaration, provisioning);
    if !refusals.is_empty() {
        return Err(refusals.join(" "));
    }
    let text = as_toml(declaration)
        .ok_or("A value is neither a text, a truth value, a list of texts nor an object of texts.")?;
    let report = Report::new(&text);
    // What was written from JSON values is TOML.
    let document = DeTable::parse(&text).map_err(|_| "The declaration cannot be read.")?;
    let files = Files::none(declaration.secrets.clone());
    let table = Table::root(&report, document.get_ref());
    let account = account::read(name.as_str(), table, &files);
    let (errors, _) = report.finish();
    match account {
        Some((_, mut settings)) if errors.is_empty() => {
            settings.declared = Declared::Mqtt;
            check_addresses(declaration, &settings, provisioning)?;
            Ok(settings)
        }
        _ => Err(sentences(&errors)),
    }
}

/// What is refused without looking at it any further.
fn refusals(declaration: &Declaration, provisioning: &ProvisioningSettings) -> Vec<String> {
    let Declaration { settings, secrets, .. } = declaration;
    let mut refusals = Vec::new();
    for (key, value) in settings {
        if let Some((_, why)) = NOT_DECLARABLE.iter().find(|(other, _)| other == key) {
            refusals.push(format!("{key}: {why}."));
        } else if key == "grant" && matches!(value.as_str(), Some("password" | "refresh_token")) {
            let why = "this grant needs a file of the device, which only its configuration file may name";
            refusals.push(format!("grant: {why}."));
        } else if !KEYS.contains(&key.as_str()) {
            let guess = nearest(key, &KEYS).map(|known| format!("; did you mean {known}?"));
            let keys = || format!("; the keys are: {}, client_secret.", KEYS.join(", "));
            let shown = text::printable(key);
            refusals.push(format!("{shown}: there is no such key in a declaration{}", guess.unwrap_or_else(keys)));
        } else if is_too_long(value) {
            refusals.push(format!("{}: this is too long.", text::printable(key)));
        }
    }
    if let Some(Value::String(preset)) = settings.get("provider")
        && !provisioning.presets.contains(preset)
    {
        refusals.push(format!("provider: [provisioning] presets of the device do not name {}.", quoted(preset)));
    }
    if secrets.len() > MOST_SECRETS {
        refusals
            .push("client_secret: a client has at most two secrets, a new one and the one that it replaces.".into());
    }
    let is_secret =
        |secret: &str| !secret.trim().is_empty() && secret.len() <= LONGEST && !secret.contains(char::is_control);
    if !secrets.iter().all(|secret| is_secret(secret.expose())) {
        refusals.push(
            "client_secret: this is empty, too long, or more than one line. If it comes from an environment variable, see \
             that the variable is set."
                .into(),
        );
    }
    refusals
}

fn is_too_long(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() > LONGEST,
        Value::Array(items) => items.len() > 100 || items.iter().any(is_too_long),
        Value::Object(members) => {
            members.len() > 50 || members.iter().any(|(key, value)| key.len() > LONGEST || is_too_long(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Tokens and secrets go only where the administrator of the device allows it: to what the declaration itself names only below
/// one of the issuers, and to a preset's own addresses.
fn check_addresses(
    declaration: &Declaration,
    settings: &AccountSettings,
    provisioning: &ProvisioningSettings,
) -> Result<(), String> {
    let named = |key: &str| declaration.settings.contains_key(key);
    let chosen_server = WHOSE_SERVER.iter().any(|key| named(key));
    let endpoints = &settings.endpoints;
    let addresses = [
        ("issuer", &endpoints.issuer),
        ("device_authorization_endpoint", &endpoints.device_authorization),
        ("authorization_endpoint", &endpoints.authorization),
        ("token_endpoint", &endpoints.token),
        ("revocation_endpoint", &endpoints.revocation),
        ("userinfo_endpoint", &endpoints.userinfo),
    ];
    let to_check = addresses.iter().filter(|(key, _)| named(key) || chosen_server);
    for (key, address) in to_check.filter_map(|(key, address)| Some((key, address.as_ref()?))) {
        if !provisioning.issuers.iter().any(|issuer| is_below(address, issuer)) {
            return Err(format!(
                "{key}: [provisioning] issuers of the device do not name this address, nor one above it. Let whoever \
                 administers the device add it."
            ));
        }
    }
    // A sign-in belongs to its issuer and token endpoint: what would get its tokens is no further away than those.
    let home = endpoints.token.as_ref().or(endpoints.issuer.as_ref());
    for (key, address) in [("revocation_endpoint", &endpoints.revocation), ("userinfo_endpoint", &endpoints.userinfo)] {
        let is_elsewhere = |address: &Url| home.is_none_or(|home| home.origin() != address.origin());
        if named(key) && address.as_deref().is_some_and(is_elsewhere) {
            return Err(format!("{key}: this is another server than that of the token endpoint or issuer."));
        }
    }
    match &settings.grant {
        GrantSettings::Password { .. } | GrantSettings::RefreshToken { .. } => {
            Err("grant: this grant is not declared over MQTT.".to_owned())
        }
        // The agent listens there: a port of the declarer's choice could be that of another program, while it restarts.
        GrantSettings::AuthorizationCode { redirect_uri }
            if !redirect_uri.to_ascii_lowercase().starts_with("https:") && **redirect_uri != *DEFAULT_REDIRECT_URI =>
        {
            Err(format!(
                "redirect_uri: on the device itself a declared account has {DEFAULT_REDIRECT_URI}, and no other address. Leave the key \
                 out, or name the https:// address of a page that passes the browser's address on."
            ))
        }
        _ => Ok(()),
    }
}

/// Whether `address` is `above` or below it. An escape in a path might be undone by a server, and lead up again.
fn is_below(address: &Url, above: &Url) -> bool {
    let (path, above_path) = (address.path(), above.path().trim_end_matches('/'));
    let below = path.strip_prefix(above_path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    address.origin() == above.origin() && below && !path.contains('%')
}

/// The declaration as the configuration file would have it, but for the secrets.
fn as_toml(declaration: &Declaration) -> Option<String> {
    let mut text = String::new();
    for (key, value) in &declaration.settings {
        let value = value_as_toml(value)?;
        if !value.is_empty() {
            writeln!(text, "{} = {value}", text_as_toml(key)).ok()?;
        }
    }
    Some(text)
}

/// A value as TOML; empty for `null`, which stands for nothing.
fn value_as_toml(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => number.as_i64().map(|number| number.to_string()),
        Value::String(text) => Some(text_as_toml(text)),
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(text_as_toml)).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                Some(format!("{} = {}", text_as_toml(key), text_as_toml(value.as_str()?)))
            };
            let members: Option<Vec<_>> = members.iter().map(member).collect();
            Some(format!("{{ {} }}", members?.join(", ")))
        }
    }
}

fn text_as_toml(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if character.is_control() => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted + "\""
}

/// What is wrong, for somebody who sees no file and no lines.
fn sentences(errors: &[Diagnostic]) -> String {
    let sentences = errors.iter().map(|Diagnostic { key, message, help, .. }| {
        let key = if key.is_empty() { String::new() } else { format!("{}: ", key.replace("_secret_file", "_secret")) };
        // What helps in a file does not help here.
        let help = if help.contains("_file") { "declare client_secret" } else { help };
        format!("{key}{message}; {help}.")
    });
    text::printable(&sentences.collect::<Vec<_>>().join(" "))
}
