//! One `[accounts.NAME]` section.

use std::sync::Arc;

use super::catalog::Catalog;
use super::client;
use super::diagnostic::quoted;
use super::files::Files;
use super::grant;
use super::node::Entries;
use super::scopes::scopes;
use super::table::Table;
use super::{profile, provider, tokens};
use crate::domain::account::AccountName;
use crate::domain::grant_kind::GrantKind;
use crate::domain::identity::{Admission, AllowList};
use crate::domain::profile::{Pkce, Profile};
use crate::domain::settings::{AccountSettings, Declared, PublishMode, SignInMode};

/// The keys of an account beside those of [`Profile`] and the parameters of its provider.
pub(super) const ACCOUNT_KEYS: [&str; 30] = [
    "allow",
    "allow_http",
    "authorization_endpoint",
    "ca_file",
    "certificate_file",
    "client_id",
    "client_secret",
    "client_secret_file",
    "device_authorization_endpoint",
    "device_token_endpoint",
    "grant",
    "identity",
    "issuer",
    "password",
    "password_file",
    "private_key_file",
    "private_key_id",
    "provider",
    "publish",
    "redirect_uri",
    "refresh_token_file",
    "revocation_endpoint",
    "scopes",
    "service_account_file",
    "sign_in",
    "subject",
    "token_endpoint",
    "tokens",
    "userinfo_endpoint",
    "username",
];

/// Reads the section of the account `name`.
pub(super) fn read(
    name: &str,
    mut table: Table<'_>,
    files: &Files,
    catalog: &Catalog,
) -> Option<(AccountName, AccountSettings)> {
    let name = name.parse::<AccountName>().map_err(|reason| {
        table.place.error(reason.to_string(), "choose another name; it stands in the topics of this account");
    });
    let allow_http = table.flag("allow_http");
    let kind = grant::kind(&mut table);
    let mut provider = provider::read(&mut table, kind, allow_http, catalog);
    let known = provider.as_ref().and_then(|provider| provider.known.clone());
    let known = known.as_deref();
    let profile = profile(&mut table);
    let mut client = client::read(&mut table, known, kind, profile.as_ref(), files);
    let endpoints = provider.as_mut().map(|provider| &mut provider.endpoints);
    let grant = kind.and_then(|kind| grant::read(kind, &mut table, files, allow_http, client.as_mut(), endpoints));
    let entries = table.texts("scopes");
    if let (Some(known), Some(kind)) = (known, kind) {
        grant::check_scopes(known, kind, &entries);
    }
    let file_profile = provider.as_ref().map(|provider| provider.profile.clone()).unwrap_or_default();
    let profile = profile.map(|profile| profile::layered(profile, file_profile));
    let separator = profile.as_ref().map_or(" ", |profile| profile.scope_separator());
    let scopes = scopes(&entries, separator);
    let tokens = tokens::read(&mut table, kind, separator);
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
    let settings = AccountSettings {
        provider: if provider.label.is_empty() { provider::label(&provider.endpoints) } else { provider.label },
        endpoints: Arc::new(provider.endpoints),
        client: client?,
        grant: grant?,
        scopes,
        tokens,
        profile: catalog.shared(profile?),
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

/// The account's own settings of what is peculiar to its provider.
fn profile(table: &mut Table<'_>) -> Option<Profile> {
    for key in Profile::KEYS {
        table.known(key);
    }
    let written = table.written().filter(|(key, _)| Profile::KEYS.contains(key));
    let entries: Entries = written.map(|(key, node)| (key.to_owned(), node.clone())).collect();
    let profile = profile::read(&entries, &table.place);
    let off = profile.as_ref().is_some_and(|profile| profile.pkce == Some(Pkce::Off));
    if let Some(place) = table.place_of("pkce").filter(|_| off) {
        place.warn(
            "without PKCE, anyone who intercepts the redirection can use the code (RFC 9700 2.1.1)",
            "leave it on, unless the provider refuses code_challenge; a secret of the client then has to protect the code",
        );
    }
    profile
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
