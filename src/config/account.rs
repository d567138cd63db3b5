//! One `[accounts.NAME]` section.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::client;
use super::diagnostic::quoted;
use super::files::Files;
use super::grant;
use super::provider;
use super::table::{Entry, Table};
use crate::domain::account::AccountName;
use crate::domain::identity::{Admission, AllowList};
use crate::domain::profile::Profile;
use crate::domain::settings::{AccountSettings, Declared, GrantKind, PublishMode, SignInMode};
use crate::domain::text;

/// What the grant itself sends, and `params` must not (RFC 6749, RFC 7636, RFC 8628).
const RESERVED_PARAMS: [&str; 17] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "grant_type",
    "password",
    "redirect_uri",
    "refresh_token",
    "response_type",
    "scope",
    "state",
    "username",
];

/// Reads the section of the account `name`.
pub(super) fn read(name: &str, mut table: Table<'_>, files: &Files) -> Option<(AccountName, AccountSettings)> {
    let name = name.parse::<AccountName>().map_err(|reason| {
        table.place.error(reason.to_string(), "choose another name; it stands in the topics of this account");
    });
    let allow_http = table.flag("allow_http");
    let kind = grant::kind(&mut table);
    let provider = provider::read(&mut table, kind, allow_http);
    let preset = provider.as_ref().and_then(|provider| provider.preset);
    let client = client::read(&mut table, preset, kind, files);
    let grant = kind.and_then(|kind| grant::read(kind, &mut table, files, allow_http));
    let separator = preset.map_or(' ', |preset| preset.scope_separator);
    let entries = table.texts("scopes");
    if let Some(preset) = preset.filter(|_| kind == Some(GrantKind::DeviceCode)) {
        grant::check_device_scopes(preset, &entries);
    }
    let scopes = scopes(&entries, separator);
    let mut params = params(table.section("params"));
    if let Some(preset) = preset.filter(|_| kind == Some(GrantKind::AuthorizationCode)) {
        let defaults =
            preset.authorization_params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        params = defaults.chain(params).collect();
    }
    let sign_in = sign_in(&mut table, kind);
    let publish = table.value_or("publish", PublishMode::Retained);
    let allow = allow(&mut table);
    let identity = table.flag("identity");
    let ca_file = table.text("ca_file").and_then(|file| files.public(&file));
    if let (Some(kind), Some(provider)) = (kind, &provider) {
        let by_userinfo = provider.endpoints.userinfo.is_some();
        check_identity(&table, kind, &allow, &scopes, by_userinfo);
    }
    table.finish();

    let provider = provider?;
    let (client, client_auth) = client?;
    let separator = (separator != ' ').then(|| separator.to_string());
    let profile = Profile { params, scope_separator: separator, client_auth, ..Profile::default() };
    let settings = AccountSettings {
        provider: provider.label,
        endpoints: Arc::new(provider.endpoints),
        client,
        grant: grant?,
        scopes,
        profile: Arc::new(profile),
        sign_in: sign_in?,
        publish: publish?,
        allow,
        identity,
        ca_file,
        allow_http,
        declared: Declared::File,
    };
    Some((name.ok()?, settings))
}

fn sign_in(table: &mut Table<'_>, kind: Option<GrantKind>) -> Option<SignInMode> {
    let mode = table.value_or("sign_in", SignInMode::OnRequest);
    if let Some(place) = table.place_of("sign_in").filter(|_| kind.is_some_and(|kind| !kind.has_user())) {
        place.error("with this grant no user approves anything", "take it out; the agent signs in by itself");
    }
    mode
}

fn allow(table: &mut Table<'_>) -> AllowList {
    let entries = table.texts("allow");
    if let Some(place) = table.place_of("allow").filter(|_| entries.is_empty()) {
        place.error("this list admits nobody", "name who may approve, or take it out: then everybody may");
    }
    let admissions = entries.iter().filter_map(|entry| {
        let admission = entry.value.parse::<Admission>();
        if let Err(reason) = &admission {
            entry.place.error(
                format!("{}: {reason}", quoted(entry.value)),
                "write \"user@example.com\", \"*@example.com\" or \"sub:1234567890\"",
            );
        }
        admission.ok()
    });
    admissions.collect()
}

/// Whoever is to be told apart must first be known.
fn check_identity(table: &Table<'_>, kind: GrantKind, allow: &AllowList, scopes: &[String], by_userinfo: bool) {
    let places = [table.place_of("allow"), table.place_of("identity")];
    for place in places.into_iter().flatten() {
        if !kind.has_user() {
            place.error("with this grant no user approves anything", "take it out, or choose a grant with a user");
        } else if !by_userinfo && !scopes.iter().any(|scope| scope == "openid") {
            place.error(
                "without the scope \"openid\" the provider does not say who has approved",
                "add \"openid\" to scopes, and \"email\" where addresses are to be compared",
            );
        }
    }
    let by_address = allow.names_addresses() && !scopes.iter().any(|scope| scope.contains("email"));
    if let Some(place) = table.place_of("allow").filter(|_| by_address) {
        place.warn(
            "many providers tell an e-mail address only if the scope \"email\" is asked for",
            "add \"email\" to scopes, or name users as \"sub:…\"",
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
    // They are held as long as the agent runs.
    scopes.shrink_to_fit();
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
