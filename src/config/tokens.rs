//! The further tokens of an account: `[accounts.NAME.tokens.TOKEN]`.

use std::collections::BTreeMap;

use url::Url;

use super::profile::check_table;
use super::scopes::scopes;
use super::table::{Entry, Table};
use crate::domain::grant_kind::GrantKind;
use crate::domain::profile::{Params, RequestKind};
use crate::domain::text;
use crate::domain::token_name::TokenName;
use crate::domain::token_target::TokenTarget;

/// The most further tokens of an account: each has its own refresh, which the provider and the disk bear.
const MOST: usize = 16;

/// Reads the further tokens of an account, which has its scopes apart by `separator`.
pub(super) fn read(
    table: &mut Table<'_>,
    kind: Option<GrantKind>,
    separator: &str,
) -> BTreeMap<TokenName, TokenTarget> {
    let sections = table.section("tokens").sections();
    if let Some(place) = table.place_of("tokens") {
        if kind.is_some_and(|kind| !kind.has_refresh_token()) {
            place.error(
                "this grant has no refresh token, by which further tokens are had (RFC 6749 6)",
                "take it out, and write one account for each token",
            );
        } else if sections.len() > MOST {
            place
                .error(format!("an account has at most {MOST} further tokens"), "write another account for the others");
        }
    }
    sections.into_iter().filter_map(|(name, table)| token(name, table, separator)).collect()
}

fn token(name: &str, mut table: Table<'_>, separator: &str) -> Option<(TokenName, TokenTarget)> {
    let name = name.parse::<TokenName>().map_err(|reason| {
        table.place.error(reason.to_string(), "choose another name; it stands in the topic of this token");
    });
    let scopes = scopes(&table.texts("scopes"), separator);
    let resource = table.text("resource").and_then(|entry| resource(&entry));
    let params = params(&mut table);
    if !["scopes", "resource", "params"].iter().any(|key| table.has(key)) {
        table.place.error(
            "nothing here says what this token is for",
            "write scopes = [\"…\"], resource = \"https://…\" or params = { audience = \"…\" }",
        );
    }
    if params.contains_key("resource")
        && let Some(place) = table.place_of("resource")
    {
        place.error("the resource stands here twice", "take it out of params");
    }
    table.finish();
    Some((name.ok()?, TokenTarget { scopes, resource, params }))
}

/// An absolute URI without a fragment (RFC 8707 2), letter by letter.
fn resource(entry: &Entry<'_, &str>) -> Option<String> {
    let url = Url::parse(entry.value).ok().filter(|url| url.fragment().is_none() && text::is_printable(entry.value));
    if url.is_none() {
        entry.place.error(
            "a resource is an absolute URI without a fragment (RFC 8707 2)",
            "write resource = \"https://…\"; what a provider calls otherwise goes into params = { audience = \"…\" }",
        );
    }
    url.map(|_| entry.value.to_owned())
}

fn params(table: &mut Table<'_>) -> Params {
    let Some((_, node)) = table.written().find(|(key, _)| *key == "params") else {
        table.known("params");
        return Params::new();
    };
    let Some(params) = table.value::<Params>("params") else { return Params::new() };
    check_table(node, &params.place, &[RequestKind::Refresh]);
    if params.value.contains_key("scope") {
        params
            .place
            .below("scope", None)
            .error("the program itself sends this parameter", "write it as scopes = [\"…\"]");
    }
    params.value
}
