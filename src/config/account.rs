//! One `[accounts.NAME]` section.

use std::collections::{BTreeMap, HashSet};

use super::client;
use super::diagnostic::quoted;
use super::files::Files;
use super::provider;
use super::table::{Entry, Table};
use crate::account::AccountName;
use crate::settings::{AccountSettings, PublishMode, SignInMode};
use crate::text;

/// What the grant itself sends, and `params` must not (RFC 6749, RFC 7636, RFC 8628).
const RESERVED_PARAMS: [&str; 11] = [
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "grant_type",
    "redirect_uri",
    "refresh_token",
    "response_type",
    "scope",
    "state",
];

const SIGN_IN: [(&str, SignInMode); 2] = [("on_request", SignInMode::OnRequest), ("offer", SignInMode::Offer)];

const PUBLISH: [(&str, PublishMode); 2] = [("retained", PublishMode::Retained), ("on_request", PublishMode::OnRequest)];

/// Reads the section of the account `name`.
pub(super) fn read(name: &str, mut table: Table<'_>, files: &Files) -> Option<(AccountName, AccountSettings)> {
    let name = name.parse::<AccountName>().map_err(|reason| {
        table.place.error(reason.to_string(), "choose another name; it stands in the topics of this account");
    });
    refuse_later_keys(&mut table);
    let allow_http = table.flag("allow_http");
    let provider = provider::read(&mut table, allow_http);
    let preset = provider.as_ref().and_then(|provider| provider.preset);
    let client = client::read(&mut table, preset, files);
    let separator = preset.map_or(' ', |preset| preset.scope_separator);
    let scopes = scopes(&table.texts("scopes"), separator);
    let params = params(table.section("params"));
    let sign_in = match table.text("sign_in") {
        Some(mode) => mode.choose(&SIGN_IN),
        None => Some(SignInMode::OnRequest),
    };
    let publish = match table.text("publish") {
        Some(mode) => mode.choose(&PUBLISH),
        None => Some(PublishMode::Retained),
    };
    let ca_file = table.text("ca_file").and_then(|file| files.public(&file));
    table.finish();

    let provider = provider?;
    let settings = AccountSettings {
        provider: provider.label,
        endpoints: provider.endpoints,
        client: client?,
        scopes,
        scope_separator: separator,
        params,
        sign_in: sign_in?,
        publish: publish?,
        ca_file,
        allow_http,
    };
    Some((name.ok()?, settings))
}

/// Keys that mean something to a later version are refused, never passed over: `allow` keeps people out.
fn refuse_later_keys(table: &mut Table<'_>) {
    const MESSAGE: &str = "this version does not support it";
    table.refuse("allow", MESSAGE, "take it out only if whoever can approve a sign-in may do so");
    table.refuse("identity", MESSAGE, "take it out");
    if let Some(grant) = table.text("grant").filter(|grant| grant.value != "device_code") {
        grant.place.error(
            format!("this version does not support the grant {}", quoted(grant.value)),
            "write grant = \"device_code\", or take it out: that is the default",
        );
    }
}

/// The scopes, each of the characters of RFC 6749 3.3.
fn scopes(entries: &[Entry<'_, &str>], separator: char) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut scopes = Vec::new();
    for entry in entries {
        let of_a_scope = |c: char| matches!(c, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e') && c != separator;
        if entry.value.is_empty() || !entry.value.chars().all(of_a_scope) {
            entry.place.error(
                format!("{} is not a scope", quoted(entry.value)),
                "write each scope in quotes of its own: scopes = [\"openid\", \"email\"]",
            );
        } else if seen.insert(entry.value) {
            scopes.push(entry.value.to_owned());
        } else {
            entry.place.warn(format!("the scope {} stands here twice", quoted(entry.value)), "take one of them out");
        }
    }
    scopes
}

fn params(table: Table<'_>) -> BTreeMap<String, String> {
    let mut params = BTreeMap::new();
    for (name, entry) in table.named_texts() {
        if RESERVED_PARAMS.contains(&name) {
            entry.place.error(
                "the sign-in itself sends this parameter",
                "take it out; client_id, client_secret_file and scopes are keys of the account",
            );
        } else if name.is_empty() || !text::is_printable(name) {
            entry.place.error("this is no name of a parameter", "write the name as the provider documents it");
        } else {
            params.insert(name.to_owned(), entry.value.to_owned());
        }
    }
    params
}
