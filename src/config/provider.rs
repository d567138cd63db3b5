//! Who an account's provider is: a preset, an issuer, or the endpoints themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::address::{AddressUse, http_address, is_host, is_segment};
use super::diagnostic::quoted;
use super::nearest::nearest;
use super::table::{Entry, Table};
use crate::domain::presets::{PRESETS, Preset};
use crate::domain::settings::{EndpointSettings, GrantKind};

/// What the keys about the provider come to.
pub(super) struct Provider {
    /// What the provider is called in `bridge/info`.
    pub(super) label: String,
    pub(super) endpoints: EndpointSettings,
    pub(super) preset: Option<&'static Preset>,
}

/// Reads the keys about the provider.
pub(super) fn read(table: &mut Table<'_>, kind: Option<GrantKind>, allow_http: bool) -> Option<Provider> {
    let preset = table.text("provider").map(|name| (find_preset(&name), name));
    let named = named_endpoints(table, allow_http);
    if let (true, Some(issuer)) = (table.has("provider"), table.place_of("issuer")) {
        issuer.error("an account has a provider or an issuer, not both", "take out `provider` or `issuer`");
    }
    let Some((preset, preset_name)) = preset else {
        refuse_parameters(table, None);
        require_some_way(table, kind);
        let endpoints = named?;
        return Some(Provider { label: label(&endpoints), endpoints, preset: None });
    };
    let Some(preset) = preset else {
        PRESETS.iter().flat_map(|preset| preset.parameters).for_each(|key| table.ignore(key));
        return None;
    };
    refuse_parameters(table, Some(preset));
    let known = preset_endpoints(table, preset, &preset_name, allow_http);
    let (named, known) = (named?, known?);
    let endpoints = EndpointSettings {
        issuer: known.issuer,
        device_authorization: named.device_authorization.or(known.device_authorization),
        authorization: named.authorization.or(known.authorization),
        token: named.token.or(known.token),
        revocation: named.revocation.or(known.revocation),
        userinfo: named.userinfo.or(known.userinfo),
        id_token_issuer: known.id_token_issuer,
    };
    require_grant(preset, &preset_name, kind, &endpoints);
    Some(Provider { label: preset.name.to_owned(), endpoints, preset: Some(preset) })
}

fn find_preset(name: &Entry<'_, &str>) -> Option<&'static Preset> {
    let preset = Preset::find(name.value);
    if preset.is_none() {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        let guess = nearest(name.value, &names).map(|known| format!("did you mean {known:?}? ")).unwrap_or_default();
        name.place.error(
            format!("there is no preset for a provider {}", quoted(name.value)),
            format!("{guess}`oauth2mqtt providers` lists them; for any other provider, write issuer = \"https://…\""),
        );
    }
    preset
}

/// A preset without an issuer has just the grants of its endpoints.
fn require_grant(preset: &Preset, name: &Entry<'_, &str>, kind: Option<GrantKind>, endpoints: &EndpointSettings) {
    let Some(kind) = kind else { return };
    let (has, other, grant) = match kind {
        GrantKind::DeviceCode => (endpoints.device_authorization.is_some(), "authorization_code", "device grant"),
        GrantKind::AuthorizationCode => (endpoints.authorization.is_some(), "device_code", "authorization code grant"),
        GrantKind::ClientCredentials | GrantKind::RefreshToken | GrantKind::Password => return,
    };
    if !has && endpoints.issuer.is_none() {
        name.place.error(
            format!("{} has no {grant}", preset.title),
            format!("write grant = \"{other}\"; `oauth2mqtt providers` tells what to register for it"),
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
        authorization: address("authorization_endpoint", AddressUse::Endpoint),
        token: address("token_endpoint", AddressUse::Endpoint),
        revocation: address("revocation_endpoint", AddressUse::Endpoint),
        userinfo: address("userinfo_endpoint", AddressUse::Endpoint),
        id_token_issuer: None,
    };
    all_usable.then_some(endpoints)
}

/// Without a preset, there must be an issuer or the endpoints of the grant.
fn require_some_way(table: &Table<'_>, kind: Option<GrantKind>) {
    // What goes with a grant that is not known cannot be told.
    let Some(kind) = kind else { return };
    let first = match kind {
        GrantKind::DeviceCode => Some("device_authorization_endpoint"),
        GrantKind::AuthorizationCode => Some("authorization_endpoint"),
        GrantKind::ClientCredentials | GrantKind::RefreshToken | GrantKind::Password => None,
    };
    let has_first = first.is_some_and(|first| table.has(first));
    let has_token = table.has("token_endpoint");
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
                "write provider = \"google\" (`oauth2mqtt providers` lists the presets), or issuer = \"https://…\", \
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

/// Complains about parameters of presets other than the account's.
fn refuse_parameters(table: &mut Table<'_>, preset: Option<&Preset>) {
    let mut owners: BTreeMap<&'static str, Vec<&'static str>> = BTreeMap::new();
    for preset in PRESETS {
        for parameter in preset.parameters {
            owners.entry(parameter).or_default().push(preset.name);
        }
    }
    for (parameter, owners) in owners {
        if !preset.is_some_and(|preset| preset.parameters.contains(&parameter)) {
            let message = format!("this goes only with provider = \"{}\"", owners.join("\" or \""));
            table.refuse(parameter, &message, "take it out, or name that provider");
        }
    }
}

/// The endpoints of a preset with the account's parameters in them.
fn preset_endpoints(
    table: &mut Table<'_>,
    preset: &Preset,
    name: &Entry<'_, &str>,
    allow_http: bool,
) -> Option<EndpointSettings> {
    let mut values = BTreeMap::new();
    for &key in preset.parameters {
        let default = preset.defaults.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
        let value = if default.is_some() && !table.has(key) {
            // Asked for all the same, so that it is among the keys that a misspelt one may have meant.
            let _absent = table.text(key);
            default
        } else {
            let help = format!("provider = \"{}\" needs it: write {}", preset.name, example(key));
            table.required_text(key, &help).and_then(|entry| parameter(key, &entry, allow_http))
        };
        values.insert(key, value);
    }
    let values: BTreeMap<_, _> = values.into_iter().map(|(key, value)| Some((key, value?))).collect::<Option<_>>()?;

    let mut all_usable = true;
    let mut address = |template: Option<&str>, purpose| {
        let filled = Entry { value: fill(template?, &values), place: name.place.clone() };
        let address = http_address(&Entry { value: filled.value.as_str(), place: filled.place }, purpose, allow_http);
        all_usable &= address.is_some();
        address.map(Arc::new)
    };
    let endpoints = EndpointSettings {
        issuer: address(preset.issuer, AddressUse::Issuer),
        device_authorization: address(preset.device_authorization, AddressUse::Endpoint),
        authorization: address(preset.authorization, AddressUse::Endpoint),
        token: address(preset.token, AddressUse::Endpoint),
        revocation: address(preset.revocation, AddressUse::Endpoint),
        userinfo: address(preset.userinfo, AddressUse::Endpoint),
        id_token_issuer: preset.id_token_issuer.map(|template| fill(template, &values)),
    };
    all_usable.then_some(endpoints)
}

/// A parameter's value, if it can change nothing of an address but its own part.
fn parameter(key: &str, entry: &Entry<'_, &str>, allow_http: bool) -> Option<String> {
    let value = entry.value;
    if key == "url" {
        let url = http_address(entry, AddressUse::Issuer, allow_http)?;
        return Some(url.as_str().trim_end_matches('/').to_owned());
    }
    let (usable, message) = match key {
        "domain" | "host" => (is_host(value), "this is not a host with or without a port"),
        _ => (is_segment(value), "this is not one part of a path"),
    };
    if !usable {
        entry.place.error(message, format!("write it alone: {}", example(key)));
    }
    usable.then(|| value.replace(' ', "%20"))
}

fn example(key: &str) -> &'static str {
    match key {
        "application" => "application = \"gateway\", its slug in the application's address",
        "domain" => "domain = \"example.eu.auth0.com\", the host of your account there",
        "host" => "host = \"gitlab.example.com\"",
        "realm" => "realm = \"master\"",
        "tenant" => "tenant = \"common\", or your directory's id or domain",
        "url" => "url = \"https://keycloak.example.com\"",
        _ => "its value in quotes",
    }
}

/// The template with each `{parameter}` replaced that has a value, in one pass: what stands in a value is never a
/// parameter itself.
fn fill(template: &str, values: &BTreeMap<&str, String>) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (key, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        match values.get(key) {
            Some(value) => filled.push_str(value),
            None => filled.extend(["{", key, "}"]),
        }
        rest = after;
    }
    filled + rest
}

/// What to call a provider that has no preset.
fn label(endpoints: &EndpointSettings) -> String {
    let address = endpoints.issuer.as_ref().or(endpoints.token.as_ref());
    address.and_then(|address| address.host_str()).unwrap_or_default().to_owned()
}
