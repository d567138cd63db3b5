//! One `[accounts.NAME]` section.

use super::catalog::Catalog;
use super::diagnostic::quoted;
use super::files::Files;
use super::registration::ClientPurpose;
use super::table::{Entry, Table};
use super::{grant, registration, tokens};
use crate::domain::account::AccountName;
use crate::domain::grant_kind::GrantKind;
use crate::domain::identity::{Admission, AllowList};
use crate::domain::settings::{AccountSettings, PublishMode, SignInMode};

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
    let kind = grant::kind(&mut table);
    let registration = registration::read(&mut table, (kind, ClientPurpose::Tokens), files, catalog);
    let tokens = tokens::read(&mut table, kind, &registration.separator);
    let sign_in = sign_in(&mut table, kind);
    let publish = table.value_or("publish", PublishMode::Retained);
    let allow = allow(&mut table);
    let identity = table.flag("identity");
    if let (Some(kind), Some(by_userinfo)) = (kind, registration.by_userinfo) {
        check_identity(&table, kind, &allow, &registration.scopes, by_userinfo);
    }
    table.finish();

    let settings =
        AccountSettings { tokens, sign_in: sign_in?, publish: publish?, allow, identity, ..registration.settings? };
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
    const HELP: &str = "write \"user@example.com\", \"*@example.com\" or \"sub:1234567890\"";
    let entries = table.texts("allow");
    if let Some(place) = table.place_of("allow").filter(|_| entries.is_empty()) {
        place.error("this list admits nobody", "name who may approve, or take it out: then everybody may");
    }
    let admissions = entries.iter().filter_map(|entry| {
        let admission = admission(entry, HELP)?;
        if admission.claim().is_some() {
            entry.place.error(format!("{}: only the gate admits people by a claim", quoted(entry.value)), HELP);
        }
        Some(admission)
    });
    admissions.collect()
}

/// One entry of a list of people, if it is one.
pub(super) fn admission(entry: &Entry<'_, &str>, help: &str) -> Option<Admission> {
    let admission = entry.value.parse::<Admission>();
    if let Err(reason) = &admission {
        entry.place.error(format!("{}: {reason}", quoted(entry.value)), help);
    }
    admission.ok()
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
