//! The provider of an account: one that is known by name, an issuer, or the endpoints themselves.
//!
//! They are never mixed: a token or secret of one provider is not sent to another because of a line that was left over.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use super::address::{AddressUse, http_address, is_host, is_label, is_segment};
use super::catalog::{self, Catalog};
use super::table::{Entry, Table};
use super::{ACCOUNT_KEYS, profile};
use crate::domain::grant_kind::GrantKind;
use crate::domain::profile::Profile;
use crate::domain::provider_file::{KnownProvider, Parameter, ParameterKind, fill};
use crate::domain::settings::EndpointSettings;
use crate::domain::text;

/// The keys of the endpoints, beside `issuer`.
pub(super) const ENDPOINT_KEYS: [&str; 6] = [
    "device_authorization_endpoint",
    "device_token_endpoint",
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
];

/// The provider of an account.
pub(super) struct AccountProvider {
    /// The name of the provider in `bridge/info`.
    pub(super) label: String,
    pub(super) endpoints: EndpointSettings,
    /// The provider's file, if it has one.
    pub(super) known: Option<Arc<KnownProvider>>,
    /// The peculiarities of the provider, with the account's parameters in it.
    pub(super) profile: Profile,
}

/// Reads the keys about the provider.
pub(super) fn read(
    table: &mut Table<'_>,
    kind: Option<GrantKind>,
    allow_http: bool,
    catalog: &Catalog,
) -> Option<AccountProvider> {
    let name = table.text("provider");
    let known = name.as_ref().map(|name| find(name, catalog));
    let named = named_endpoints(table, allow_http);
    refuse_mixtures(table, named.as_ref());
    let known = match (known, name) {
        (None, _) | (_, None) => None,
        (Some(Some(provider)), Some(name)) => Some((provider, name)),
        // Which parameters go with a provider that is not known cannot be told.
        (Some(None), Some(_)) => {
            ignore_parameters(table, catalog);
            return None;
        }
    };
    refuse_parameters(table, known.as_ref().map(|(provider, _)| provider.as_ref()), catalog);
    let Some((provider, name)) = known else {
        require_some_way(table, kind);
        let endpoints = named?;
        return Some(AccountProvider { label: label(&endpoints), endpoints, known: None, profile: Profile::default() });
    };
    let values = parameters(table, &provider, allow_http)?;
    let values = values.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let endpoints = file_endpoints(&provider, &values, &name, allow_http)?;
    require_grant(&provider, &name, kind, &endpoints);
    let profile = profile::filled(&provider.profile, &values);
    Some(AccountProvider { label: provider.name.clone(), endpoints, known: Some(provider), profile })
}

fn find(name: &Entry<'_, &str>, catalog: &Catalog) -> Option<Arc<KnownProvider>> {
    let Some(provider) = catalog.find(name.value) else {
        let (message, help) = catalog.unknown(name.value);
        name.place.error(message, help);
        return None;
    };
    if let Some(reason) = &provider.file.retired {
        let (message, help) = reason.split_once("; ").unwrap_or((reason, "`oauth2mqtt providers` lists the others"));
        name.place.error(message, help);
        return None;
    }
    Some(provider)
}

/// Complains about endpoints of more than one provider.
fn refuse_mixtures(table: &Table<'_>, named: Option<&EndpointSettings>) {
    let has_provider = table.has("provider");
    if let (true, Some(issuer)) = (has_provider, table.place_of("issuer")) {
        issuer.error("an account has a provider or an issuer, not both", "take out `provider` or `issuer`");
    }
    for key in ENDPOINT_KEYS {
        let Some(place) = table.place_of(key) else { continue };
        if has_provider {
            place.error(
                "the provider's file says where its endpoints are, and an account cannot change that",
                format!(
                    "take it out, or take out `provider` and write all endpoints; for a server of your own that works \
                     like that provider, install a file {}/NAME.toml with extends = \"…\"",
                    catalog::FOLDER
                ),
            );
        } else if let Some(EndpointSettings { issuer: Some(issuer), .. }) = named {
            let endpoint = named.and_then(|named| named_endpoint(named, key));
            if endpoint.is_some_and(|endpoint| endpoint.origin() != issuer.origin()) {
                place.error(
                    "this is another server than that of the issuer",
                    "take it out, or take out `issuer` and write all endpoints",
                );
            }
        }
    }
}

fn named_endpoint<'e>(endpoints: &'e EndpointSettings, key: &str) -> Option<&'e Arc<Url>> {
    match key {
        "device_authorization_endpoint" => endpoints.device_authorization.as_ref(),
        "device_token_endpoint" => endpoints.device_token.as_ref(),
        "authorization_endpoint" => endpoints.authorization.as_ref(),
        "token_endpoint" => endpoints.token.as_ref(),
        "revocation_endpoint" => endpoints.revocation.as_ref(),
        "userinfo_endpoint" => endpoints.userinfo.as_ref(),
        _ => None,
    }
}

/// Complains about a grant that the provider is known not to have.
fn require_grant(
    provider: &KnownProvider,
    name: &Entry<'_, &str>,
    kind: Option<GrantKind>,
    endpoints: &EndpointSettings,
) {
    let Some(grant) = kind else { return };
    let other = match grant {
        GrantKind::DeviceCode => "device grant",
        GrantKind::AuthorizationCode => "authorization code grant",
        _ => return,
    };
    let has_endpoint = match grant {
        GrantKind::DeviceCode => endpoints.device_authorization.is_some(),
        _ => endpoints.authorization.is_some(),
    };
    if provider.grant(grant).is_none() || (!has_endpoint && endpoints.issuer.is_none()) {
        let has: Vec<_> = provider.file.grants.keys().map(|grant| format!("grant = \"{}\"", grant.name())).collect();
        name.place.error(
            format!("{} has no {other}", provider.file.title),
            format!(
                "write {}; `oauth2mqtt providers {}` tells what to register for it",
                has.join(" or "),
                provider.name
            ),
        );
    }
}

/// The endpoints that the account names itself; `None` if one of them is unusable.
fn named_endpoints(table: &mut Table<'_>, allow_http: bool) -> Option<EndpointSettings> {
    let mut all_usable = true;
    let mut address = |key, purpose| {
        let entry = table.text(key)?;
        let address = http_address(&entry, purpose, allow_http);
        all_usable &= address.is_some();
        address.map(Arc::new)
    };
    let endpoints = EndpointSettings {
        issuer: address("issuer", AddressUse::Issuer),
        device_authorization: address("device_authorization_endpoint", AddressUse::Endpoint),
        device_token: address("device_token_endpoint", AddressUse::Endpoint),
        authorization: address("authorization_endpoint", AddressUse::Endpoint),
        token: address("token_endpoint", AddressUse::Endpoint),
        revocation: address("revocation_endpoint", AddressUse::Endpoint),
        userinfo: address("userinfo_endpoint", AddressUse::Endpoint),
        id_token_issuer: None,
        named: true,
    };
    all_usable.then_some(endpoints)
}

/// Without a provider of a known name, there must be an issuer or the endpoints of the grant.
fn require_some_way(table: &Table<'_>, kind: Option<GrantKind>) {
    // What goes with a grant that is not known cannot be told.
    let Some(kind) = kind else { return };
    let first = match kind {
        GrantKind::DeviceCode => Some("device_authorization_endpoint"),
        GrantKind::AuthorizationCode => Some("authorization_endpoint"),
        GrantKind::ClientCredentials | GrantKind::JwtBearer | GrantKind::RefreshToken | GrantKind::Password => None,
    };
    let has_first = first.is_some_and(|first| table.has(first));
    let has_token = table.has("token_endpoint");
    if kind == GrantKind::JwtBearer && table.has("service_account_file") {
        // Its file says where tokens are.
        return;
    }
    if table.has("issuer") || (has_token && (has_first || first.is_none())) {
        return;
    }
    if !has_first && !has_token {
        let endpoints = first.map_or_else(
            || "token_endpoint = \"https://…\"".to_owned(),
            |first| format!("both {first} = \"https://…\" and token_endpoint = \"https://…\""),
        );
        return table.place.error(
            "nothing here says who the provider is",
            format!(
                "write provider = \"google\" (`oauth2mqtt providers` lists the others), or issuer = \"https://…\", \
                 or {endpoints}"
            ),
        );
    }
    let missing = first.filter(|_| has_token).unwrap_or("token_endpoint");
    table.place.below(missing, None).error(
        "this key is missing",
        format!(
            "write {missing} = \"https://…\" beside the other endpoint, or issuer = \"https://…\" in place of both"
        ),
    );
}

/// The keys that no account has by itself.
fn unknown_keys(table: &Table<'_>) -> Vec<String> {
    let is_known = |key: &str| ACCOUNT_KEYS.contains(&key) || Profile::KEYS.contains(&key);
    table.written().map(|(key, _)| key).filter(|key| !is_known(key)).map(str::to_owned).collect()
}

fn ignore_parameters(table: &mut Table<'_>, catalog: &Catalog) {
    for key in unknown_keys(table) {
        if !catalog.with_parameter(&key).is_empty() {
            table.ignore(&key);
        }
    }
}

/// Complains about parameters of providers other than the account's.
fn refuse_parameters(table: &mut Table<'_>, provider: Option<&KnownProvider>, catalog: &Catalog) {
    let is_own = |key: &str| provider.is_some_and(|provider| provider.file.parameters.contains_key(key));
    let mut unknown = unknown_keys(table);
    unknown.retain(|key| !is_own(key));
    for key in unknown {
        let owners = catalog.with_parameter(&key);
        if !owners.is_empty() {
            let message = format!("this goes only with provider = \"{}\"", owners.join("\" or \""));
            table.refuse(&key, &message, "take it out, or name that provider");
        }
    }
}

/// The values of the parameters of a provider's file.
fn parameters(table: &mut Table<'_>, provider: &KnownProvider, allow_http: bool) -> Option<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for (key, parameter) in &provider.file.parameters {
        let value = match &parameter.default {
            Some(default) if !table.has(key) => {
                table.known(key);
                Some(default.clone())
            }
            _ => {
                let help = format!("provider = \"{}\" needs it: write {}", provider.name, example(key, parameter));
                table.required_text(key, &help).and_then(|entry| value(key, parameter, &entry, allow_http))
            }
        };
        values.insert(key.clone(), value);
    }
    values.into_iter().map(|(key, value)| Some((key, value?))).collect()
}

/// The endpoints of a provider's file with the account's parameters in them.
fn file_endpoints(
    provider: &KnownProvider,
    values: &BTreeMap<&str, String>,
    name: &Entry<'_, &str>,
    allow_http: bool,
) -> Option<EndpointSettings> {
    let mut all_usable = true;
    let mut address = |template: &Option<String>, purpose| {
        let filled = fill(template.as_ref()?, values);
        let address = http_address(&Entry { value: filled.as_str(), place: name.place.clone() }, purpose, allow_http);
        all_usable &= address.is_some();
        address.map(Arc::new)
    };
    let templates = &provider.file.endpoints;
    let endpoints = EndpointSettings {
        issuer: address(&templates.issuer, AddressUse::Issuer),
        device_authorization: address(&templates.device_authorization, AddressUse::Endpoint),
        device_token: address(&templates.device_token, AddressUse::Endpoint),
        authorization: address(&templates.authorization, AddressUse::Endpoint),
        token: address(&templates.token, AddressUse::Endpoint),
        revocation: address(&templates.revocation, AddressUse::Endpoint),
        userinfo: address(&templates.userinfo, AddressUse::Endpoint),
        id_token_issuer: templates.id_token_issuer.as_ref().map(|template| fill(template, values)),
        named: false,
    };
    all_usable.then_some(endpoints)
}

/// A parameter's value, if it can change nothing of an address but its own part.
fn value(key: &str, parameter: &Parameter, entry: &Entry<'_, &str>, allow_http: bool) -> Option<String> {
    let value = entry.value;
    let (usable, message) = match parameter.kind {
        ParameterKind::Url => {
            let url = http_address(entry, AddressUse::Issuer, allow_http)?;
            return Some(url.as_str().trim_end_matches('/').to_owned());
        }
        ParameterKind::Host => (is_host(value), "this is not a host with or without a port"),
        ParameterKind::Label => (is_label(value), "this is not one label of a host's name"),
        ParameterKind::Text => {
            if !text::is_printable(value) {
                entry.place.error("an unprintable character is in this text", "copy it again");
                return None;
            }
            return Some(value.to_owned());
        }
        ParameterKind::Segment => (is_segment(value), "this is not one part of a path"),
    };
    if !usable {
        entry.place.error(message, format!("write it alone: {}", example(key, parameter)));
    }
    usable.then(|| value.replace(' ', "%20"))
}

fn example(key: &str, parameter: &Parameter) -> String {
    let about = if parameter.about.is_empty() { String::new() } else { format!(", {}", parameter.about) };
    format!("{key} = \"{}\"{about}", parameter.example)
}

/// The name of a provider that has no file.
pub(super) fn label(endpoints: &EndpointSettings) -> String {
    let address = endpoints.issuer.as_ref().or(endpoints.token.as_ref());
    address.and_then(|address| address.host_str()).unwrap_or_default().to_owned()
}
