//! The `[gate]` section, whose presence turns the gate on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::account::admission;
use super::catalog::Catalog;
use super::diagnostic::quoted;
use super::files::Files;
use super::page::{listen_address, origin};
use super::registration::{self, ClientPurpose};
use super::table::{Entry, Table};
use crate::domain::gate::Way;
use crate::domain::gate::settings::{CALLBACK_PATH, GateSettings};
use crate::domain::grant_kind::GrantKind;
use crate::domain::identity::AllowList;
use crate::domain::loopback::leads_to_loopback;
use crate::domain::settings::{AccountSettings, GrantSettings};
use crate::domain::text;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8630);
const DEFAULT_SESSION: Duration = Duration::from_secs(8 * 3_600);
const DEFAULT_IDLE: Duration = Duration::from_secs(30 * 60);
const LONGEST_SESSION: Duration = Duration::from_secs(30 * 86_400);
const DEFAULT_GROUPS: &str = "groups";
const DEFAULT_SCOPES: [&str; 3] = ["openid", "email", "profile"];

/// The keys of an account that a client of the gate does not have, and what stands in their place.
const NOT_HERE: [(&str, &str); 8] = [
    ("allow", "write it in [gate]: it is for both ways to sign in"),
    ("grant", "take it out: [gate.browser] uses an authorization code, [gate.phone] the device grant"),
    ("identity", "take it out: the gate always asks who it is"),
    ("publish", "take it out: no token of a visitor is published"),
    ("redirect_uri", "take it out: it is made from the address in [gate]"),
    ("sign_in", "take it out: people sign in when they come"),
    ("tokens", "take it out: no token of a visitor is kept"),
    ("refresh_token_file", "take it out: people sign in themselves"),
];

/// Reads the section.
pub(super) fn read(mut table: Table<'_>, files: &Files, catalog: &Catalog) -> Option<GateSettings> {
    let help =
        "write the address by which browsers reach the dashboard, such as address = \"https://panel.example.com\"";
    let address = table.required_text("address", help).and_then(|entry| address(&entry));
    let listen = match table.text("listen") {
        Some(entry) => listen_address(&entry).inspect(|listen| warn_if_open(*listen, &entry)),
        None => Some(DEFAULT_LISTEN),
    };
    let allow = allow(&mut table);
    let session = duration(&mut table, "session", DEFAULT_SESSION);
    let idle = duration(&mut table, "idle", DEFAULT_IDLE);
    let groups = claim(&mut table);
    let browser = client(&mut table, Way::Browser, files, catalog);
    let phone = client(&mut table, Way::Phone, files, catalog);
    if !table.has("browser") && !table.has("phone") {
        table.place.error(
            "nothing here says how people sign in",
            "write a section [gate.browser], for a sign-in in the browser, or [gate.phone], for one by scanning a code",
        );
    }
    if let (Some(browser), Some(phone)) = (&browser, &phone)
        && place_of_issuer(browser) != place_of_issuer(phone)
    {
        table.place.error(
            "[gate.browser] and [gate.phone] lead to two providers, of which one could tell of a person as the other does",
            "name the same provider in both, or leave one of them out",
        );
    }
    table.finish();

    let (address, allow, groups) = (address?, allow?, groups?);
    let claims: Vec<String> = std::iter::once(groups.as_str()).chain(allow.claims()).map(str::to_owned).collect();
    let complete = |mut settings: AccountSettings| {
        settings.allow = allow.clone();
        settings.claims.clone_from(&claims);
        settings.claims.sort();
        settings.claims.dedup();
        if let GrantSettings::AuthorizationCode { redirect_uri } = &mut settings.grant {
            *redirect_uri = format!("{address}{CALLBACK_PATH}").into();
        }
        Arc::new(settings)
    };
    let (browser, phone) = (browser.map(complete), phone.map(complete));
    Some(GateSettings { listen: listen?, session: session?, idle: idle?, address, allow, groups, browser, phone })
}

/// Where a client's provider is, by what its settings say.
fn place_of_issuer(client: &AccountSettings) -> (Option<&Url>, Option<&Url>) {
    let endpoints = &client.endpoints;
    (endpoints.issuer.as_deref(), endpoints.token.as_deref())
}

/// The origin by which browsers come. The cookies of the gate are for TLS alone, or for a browser of this device.
fn address(entry: &Entry<'_, &str>) -> Option<String> {
    let origin = origin(entry)?;
    let is_safe = Url::parse(&origin).is_ok_and(|url| url.scheme() == "https" || leads_to_loopback(&url));
    if !is_safe {
        entry.place.error(
            "without TLS anybody in the network could read the cookie that lets a browser in",
            "give the proxy a certificate, and write https://",
        );
    }
    is_safe.then_some(origin)
}

fn warn_if_open(listen: SocketAddr, entry: &Entry<'_, &str>) {
    if !listen.ip().is_loopback() {
        entry.place.warn(
            "the gate is for the proxy and Node-RED alone, and other devices can reach this address",
            "listen on 127.0.0.1:8630, unless the proxy is in a container or on another device; a firewall then keeps the \
             others out",
        );
    }
}

fn allow(table: &mut Table<'_>) -> Option<AllowList> {
    const HELP: &str = "write \"user@example.com\", \"*@example.com\", \"sub:1234567890\" or a claim and its value, such as \
                        \"groups:operators\"";
    let entries = table.texts("allow");
    if !table.has("allow") {
        table.place.below("allow", None).error("this key is missing: nobody could come in", HELP);
        return None;
    }
    if entries.is_empty() {
        table.place_of("allow")?.error("this list admits nobody", HELP);
    }
    let read: Vec<_> = entries.iter().filter_map(|entry| admission(entry, HELP)).collect();
    (!entries.is_empty() && read.len() == entries.len()).then(|| read.into_iter().collect())
}

fn claim(table: &mut Table<'_>) -> Option<String> {
    let Some(entry) = table.text("groups") else { return Some(DEFAULT_GROUPS.to_owned()) };
    if entry.value.is_empty() || !text::is_printable(entry.value) {
        entry.place.error(
            "this is not the name of a claim",
            "write the name that the provider gives to the list of a person's groups, such as \"groups\" or \
             \"realm_access.roles\"",
        );
        return None;
    }
    Some(entry.value.to_owned())
}

/// A time such as `8h`.
fn duration(table: &mut Table<'_>, key: &str, default: Duration) -> Option<Duration> {
    let Some(entry) = table.text(key) else { return Some(default) };
    let duration =
        read_duration(entry.value).filter(|duration| (Duration::from_secs(1)..=LONGEST_SESSION).contains(duration));
    if duration.is_none() {
        entry.place.error(
            format!("{} is not a time from one second to 30 days", quoted(entry.value)),
            "write a number and its unit: \"90s\", \"30m\", \"8h\" or \"7d\"",
        );
    }
    duration
}

fn read_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

/// The client for one way, if there is a section for it that is written well.
fn client(table: &mut Table<'_>, way: Way, files: &Files, catalog: &Catalog) -> Option<AccountSettings> {
    let is_there = table.has(way.name());
    let mut section = table.section(way.name());
    if !is_there {
        return None;
    }
    for (key, help) in NOT_HERE {
        section.refuse(key, "a client of the gate has no such key", help);
    }
    let kind = match way {
        Way::Browser => GrantKind::AuthorizationCode,
        Way::Phone => GrantKind::DeviceCode,
    };
    let has_scopes = section.has("scopes");
    let registration = registration::read(&mut section, (Some(kind), ClientPurpose::Identity), files, catalog);
    let scopes =
        if has_scopes { registration.scopes } else { DEFAULT_SCOPES.iter().map(|scope| (*scope).to_owned()).collect() };
    if registration.by_userinfo == Some(false) && !scopes.iter().any(|scope| scope == "openid") {
        section.place.error(
            "without the scope \"openid\" the provider does not say who comes",
            "add \"openid\" to scopes, and \"email\" where addresses are to be compared",
        );
    }
    section.finish();
    Some(AccountSettings { scopes, identity: true, ..registration.settings? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_its_unit() {
        assert_eq!(read_duration("8h"), Some(Duration::from_secs(28_800)));
        assert_eq!(read_duration("90s"), Some(Duration::from_secs(90)));
        for bad in ["", "h", "8", "8 h", "-1h", "1.5h", "8hours", "99999999999999999999d", "9999999999999999999d", "é"]
        {
            assert_eq!(read_duration(bad), None, "{bad}");
        }
    }
}
