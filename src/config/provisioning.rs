//! The `[provisioning]` section, and accounts that are declared under it.

use serde_json::Value;
use url::Url;

use super::account;
use super::address::{AddressUse, http_address};
use super::catalog::Catalog;
use super::client::MOST_SECRETS;
use super::diagnostic::{Diagnostic, FileId, Report, quoted};
use super::files::{Files, NO_FILES};
use super::grant::DEFAULT_REDIRECT_URI;
use super::nearest::nearest;
use super::node;
use super::provider::ENDPOINT_KEYS;
use super::table::Table;
use crate::domain::account::AccountName;
use crate::domain::declaration::Declaration;
use crate::domain::profile::Profile;
use crate::domain::settings::{AccountSettings, Declared, GrantSettings, ProvisioningSettings};
use crate::domain::text;

/// The keys that a declaration may have beside `client_secret` and the parameters of the providers that it may use. All
/// others name a file of the device, lower its guard, or say how a provider works, which its administrator says.
const KEYS: [&str; 22] = [
    "allow",
    "authorization_endpoint",
    "client_auth",
    "client_id",
    "device_authorization_endpoint",
    "device_token_endpoint",
    "grant",
    "identity",
    "issuer",
    "params",
    "prompt",
    "provider",
    "publish",
    "redirect_uri",
    "request_params",
    "revocation_endpoint",
    "scope_at_refresh",
    "scopes",
    "sign_in",
    "token_endpoint",
    "tokens",
    "userinfo_endpoint",
];

/// The keys that are for the configuration file alone, and why.
const NOT_DECLARABLE: [(&str, &str); 10] = [
    ("allow_http", "only the configuration file of the device may allow plain HTTP"),
    ("ca_file", NO_FILES),
    ("certificate_file", NO_FILES),
    ("client_secret_file", NO_FILES),
    ("password", "a user's password is not declared over MQTT"),
    ("password_file", NO_FILES),
    ("private_key_file", NO_FILES),
    ("private_key_id", "a private key is named in the configuration file of the device"),
    ("refresh_token_file", NO_FILES),
    ("service_account_file", NO_FILES),
];

/// The reason why a declaration says nothing of how a provider works.
const NOT_PECULIAR: &str = "how a provider works is said in its file, which the administrator of the device installs";

/// The longest client secret, and the longest text of any other key, in bytes.
const LONGEST: usize = 2_048;

/// Reads the section; without `enabled = true` nothing may be declared.
pub(super) fn read(mut table: Table<'_>, catalog: &Catalog) -> Option<ProvisioningSettings> {
    let enabled = table.flag("enabled");
    let issuers = table.texts("issuers");
    let issuers: Vec<_> = issuers.iter().map(|entry| http_address(entry, AddressUse::Issuer, false)).collect();
    let presets = table.texts("presets").into_iter().map(|preset| {
        let provider = catalog.find(preset.value);
        (preset, provider)
    });
    let presets: Vec<_> = presets.collect();
    for (preset, _) in presets.iter().filter(|(_, provider)| provider.is_none()) {
        let (message, _) = catalog.unknown(preset.value);
        preset.place.error(message, "`oauth2mqtt providers` lists them; name any other provider in issuers");
    }
    if enabled && issuers.is_empty() && presets.is_empty() {
        table.place.warn(
            "accounts may be declared, but of no provider",
            "name those that may be used: issuers = [\"https://…\"], presets = [\"google\"]",
        );
    }
    table.finish();
    let issuers = issuers.into_iter().flatten().collect();
    let presets = presets.into_iter().filter_map(|(_, provider)| provider).collect();
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
    let report = Report::default();
    let entries = node::from_json(&declaration.settings, FileId::CONFIGURATION);
    let files = Files::none(declaration.secrets.clone());
    let table = Table::root(&report, FileId::CONFIGURATION, &entries);
    let catalog = Catalog::of(provisioning.presets.iter().cloned());
    let account = account::read(name.as_str(), table, &files, &catalog);
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

/// Refusals of what needs no further look.
fn refusals(declaration: &Declaration, provisioning: &ProvisioningSettings) -> Vec<String> {
    let Declaration { settings, secrets, .. } = declaration;
    let mut refusals = Vec::new();
    let parameters = provisioning.presets.iter().flat_map(|provider| provider.file.parameters.keys());
    let keys: Vec<&str> = KEYS.into_iter().chain(parameters.map(String::as_str)).collect();
    for (key, value) in settings.iter().filter(|(_, value)| !value.is_null()) {
        if let Some((_, why)) = NOT_DECLARABLE.iter().find(|(other, _)| other == key) {
            refusals.push(format!("{key}: {why}."));
        } else if key == "grant" && matches!(value.as_str(), Some("jwt_bearer" | "password" | "refresh_token")) {
            let why = "this grant needs a file of the device, which only its configuration file may name";
            refusals.push(format!("grant: {why}."));
        } else if Profile::KEYS.contains(&key.as_str()) && !KEYS.contains(&key.as_str()) {
            refusals.push(format!("{key}: {NOT_PECULIAR}."));
        } else if !keys.contains(&key.as_str()) {
            let guess = nearest(key, &keys).map(|known| format!("; did you mean {known}?"));
            let all = || format!("; the keys are: {}, client_secret.", keys.join(", "));
            let shown = text::printable(key);
            refusals.push(format!("{shown}: there is no such key in a declaration{}", guess.unwrap_or_else(all)));
        } else if is_too_long(value) {
            refusals.push(format!("{}: this is too long.", text::printable(key)));
        }
    }
    if let Some(Value::String(preset)) = settings.get("provider")
        && !provisioning.presets.iter().any(|provider| provider.name == *preset)
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

/// Tokens and secrets go only where the administrator of the device allows it: to what the declaration itself names, all of
/// it below one of the issuers, or to the addresses of a provider's file, of which it can change none.
fn check_addresses(
    declaration: &Declaration,
    settings: &AccountSettings,
    provisioning: &ProvisioningSettings,
) -> Result<(), String> {
    let named = |key: &str| declaration.settings.get(key).is_some_and(|value| !value.is_null());
    let endpoints = &settings.endpoints;
    if let Some(key) = ENDPOINT_KEYS.iter().find(|key| named("issuer") && named(key)) {
        return Err(format!(
            "{key}: a declaration has an issuer or all endpoints, not both. Leave the key out; the issuer's metadata names \
             the endpoints."
        ));
    }
    let provider = provisioning.presets.iter().find(|provider| provider.name == settings.provider && !endpoints.named);
    let chooses_server = provider.is_some_and(|provider| {
        provider.file.parameters.iter().any(|(key, parameter)| parameter.kind.chooses_server() && named(key))
    });
    if endpoints.named || chooses_server {
        let addresses = endpoints.addresses();
        let mut allowed: Vec<&Url> = provisioning.issuers.iter().collect();
        for (key, address) in addresses {
            allowed.retain(|issuer| is_below(address, issuer));
            if allowed.is_empty() {
                return Err(format!(
                    "{key}: [provisioning] issuers of the device name no address that is above this one and those beside it. \
                     Ask the administrator of the device to add it."
                ));
            }
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

/// True if `address` is `above` or below it, segment by segment. What one server reads differently from another is below
/// nothing: an escape might be undone and lead up again, some read `..;` as `..`, and some two slashes as one.
fn is_below(address: &Url, above: &Url) -> bool {
    let segments = |url: &Url| -> Vec<String> {
        let path = url.path().strip_suffix('/').unwrap_or(url.path());
        path.split('/').skip(1).map(str::to_owned).collect()
    };
    let is_plain = |segment: &String| !segment.is_empty() && !segment.contains(['%', ';', '\\']) && *segment != "..";
    let (address_path, above_path) = (segments(address), segments(above));
    address.origin() == above.origin() && address_path.iter().all(is_plain) && address_path.starts_with(&above_path)
}

/// The errors, for somebody who sees no file and no lines.
fn sentences(errors: &[Diagnostic]) -> String {
    let sentences = errors.iter().map(|Diagnostic { key, message, help, .. }| {
        let key = if key.is_empty() { String::new() } else { format!("{}: ", key.replace("_secret_file", "_secret")) };
        // What helps in a file does not help here.
        let help = if help.contains("_file") { "declare client_secret" } else { help };
        format!("{key}{message}; {help}.")
    });
    text::printable(&sentences.collect::<Vec<_>>().join(" "))
}
