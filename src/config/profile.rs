//! The settings that are peculiar to a provider, in its file or in an account.

use std::collections::BTreeMap;

use super::decode;
use super::diagnostic::Place;
use super::node::{Entries, Node, Value};
use crate::domain::profile::{Profile, RequestKind};
use crate::domain::provider_file::fill;
use crate::domain::text;

/// Kinds of requests, by the key that they have in `request_params`.
const REQUESTS: [(&str, RequestKind); 9] = [
    ("authorization", RequestKind::Authorization),
    ("device_authorization", RequestKind::DeviceAuthorization),
    ("code_exchange", RequestKind::CodeExchange),
    ("device_poll", RequestKind::DevicePoll),
    ("client_credentials", RequestKind::ClientCredentials),
    ("password", RequestKind::Password),
    ("jwt_bearer", RequestKind::JwtBearer),
    ("refresh", RequestKind::Refresh),
    ("revocation", RequestKind::Revocation),
];

/// Reads the settings; `None` if anything is wrong, which is in the report.
pub(super) fn read(entries: &Entries, place: &Place<'_>) -> Option<Profile> {
    check_params(entries, place);
    let profile = decode::read::<Profile>(entries, place)?;
    if let Some(separator) = &profile.scope_separator
        && (separator.is_empty() || !text::is_printable(separator))
    {
        let node = entries.get("scope_separator").map(|node| node.written);
        place.below("scope_separator", node).error("this separates nothing", "write scope_separator = \",\"");
    }
    Some(profile)
}

/// The settings of a provider's file with an account's parameters in what is sent.
pub(super) fn filled(file: &Profile, values: &BTreeMap<&str, String>) -> Profile {
    let mut file = file.clone();
    let requests = &mut file.request_params;
    for params in [
        &mut file.params,
        &mut requests.every,
        &mut requests.authorization,
        &mut requests.device_authorization,
        &mut requests.code_exchange,
        &mut requests.device_poll,
        &mut requests.client_credentials,
        &mut requests.password,
        &mut requests.jwt_bearer,
        &mut requests.refresh,
        &mut requests.revocation,
    ] {
        for value in params.values_mut() {
            *value = fill(value, values);
        }
    }
    file
}

/// True if a parameter of that name stands in what is sent.
pub(super) fn has_parameter(file: &Profile, name: &str) -> bool {
    let marked = BTreeMap::from([(name, String::new())]);
    filled(file, &marked) != *file
}

/// Lays an account's settings over those of its provider's file. What the account's `params` set wins over the file's
/// parameters of each request that begins a sign-in, as it wins over the file's `params`.
pub(super) fn layered(account: Profile, mut file: Profile) -> Profile {
    let requests = &mut file.request_params;
    for params in [
        &mut requests.every,
        &mut requests.authorization,
        &mut requests.device_authorization,
        &mut requests.client_credentials,
        &mut requests.password,
        &mut requests.jwt_bearer,
    ] {
        params.retain(|name, _| !account.params.contains_key(name));
    }
    account.over(file)
}

/// Complains about parameters that the program itself sends: nothing can take their place.
fn check_params(entries: &Entries, place: &Place<'_>) {
    if let Some(node) = entries.get("params") {
        check_table(node, &place.below("params", Some(node.written)), &REQUESTS.map(|(_, kind)| kind));
    }
    let Some(Node { value: Value::Table(requests), written }) = entries.get("request_params") else { return };
    let place = place.below("request_params", Some(*written));
    for (key, node) in requests {
        let place = place.below(key, Some(node.written));
        match REQUESTS.iter().find(|(name, _)| name == key) {
            Some((_, kind)) => check_table(node, &place, &[*kind]),
            None if key == "every" => check_table(node, &place, &REQUESTS.map(|(_, kind)| kind)),
            // Reading it complains.
            None => {}
        }
    }
}

/// Complains about parameters that the program sends in requests of these kinds.
pub(super) fn check_table(node: &Node, place: &Place<'_>, kinds: &[RequestKind]) {
    let Value::Table(params) = &node.value else { return };
    for (name, node) in params {
        let place = place.below(name, Some(node.written));
        let is_reserved = RequestKind::AUTHENTICATION.contains(&name.as_str())
            || kinds.iter().any(|kind| kind.reserved().contains(&name.as_str()));
        if is_reserved {
            place.error(
                "the program itself sends this parameter",
                "take it out; client_id, client_secret_file and scopes are keys of the account, and parameter_names, \
                 grant_types and response_type change how others are sent",
            );
        } else if name.is_empty() || !text::is_printable(name) {
            place.error("this is no name of a parameter", "write the name as the provider documents it");
        }
    }
}
