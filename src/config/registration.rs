//! A client at a provider: what an account and the gate have in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalog::Catalog;
use super::files::Files;
use super::node::Entries;
use super::scopes::scopes;
use super::table::Table;
use super::{client, grant, profile, provider};
use crate::domain::grant_kind::GrantKind;
use crate::domain::identity::AllowList;
use crate::domain::profile::{Pkce, Profile};
use crate::domain::settings::{AccountSettings, Declared, PublishMode, SignInMode};

/// A client at a provider, as far as it is written well.
pub(super) struct ClientRegistration {
    /// The scopes to ask for.
    pub(super) scopes: Vec<String>,
    /// The text between two scopes.
    pub(super) separator: String,
    /// True if the settings name a userinfo endpoint; `None` if the provider is not known.
    pub(super) by_userinfo: Option<bool>,
    /// The settings, with the defaults for all that is not of the client; `None` if anything is wrong.
    pub(super) settings: Option<AccountSettings>,
}

/// The purpose of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientPurpose {
    /// To get tokens for flows, for as long as possible.
    Tokens,
    /// To learn who a user is.
    Identity,
}

/// Reads the keys about the provider, the client and the grant.
pub(super) fn read(
    table: &mut Table<'_>,
    (kind, purpose): (Option<GrantKind>, ClientPurpose),
    files: &Files,
    catalog: &Catalog,
) -> ClientRegistration {
    let allow_http = table.flag("allow_http");
    let mut provider = provider::read(table, kind, allow_http, catalog);
    let known = provider.as_ref().and_then(|provider| provider.known.clone());
    let known = known.as_deref();
    let profile = own_profile(table);
    let mut client = client::read(table, known, kind, profile.as_ref(), files);
    let endpoints = provider.as_mut().map(|provider| &mut provider.endpoints);
    let grant = kind.and_then(|kind| grant::read(kind, table, files, allow_http, client.as_mut(), endpoints));
    let entries = table.texts("scopes");
    if let (Some(known), Some(kind)) = (known, kind) {
        grant::check_scopes(known, kind, &entries);
    }
    let file_profile = provider.as_ref().map(|provider| provider.profile.clone()).unwrap_or_default();
    let file_profile = match purpose {
        ClientPurpose::Tokens => file_profile,
        ClientPurpose::Identity => file_profile.without_lasting_access(),
    };
    let profile = profile.map(|profile| profile::layered(profile, file_profile));
    let separator = profile.as_ref().map_or(" ", |profile| profile.scope_separator()).to_owned();
    let scopes = scopes(&entries, &separator);
    let ca_file = table.text("ca_file").and_then(|file| files.public(&file));
    let by_userinfo = provider.as_ref().map(|provider| provider.endpoints.userinfo.is_some());
    let settings = || {
        let provider = provider?;
        Some(AccountSettings {
            provider: if provider.label.is_empty() { provider::label(&provider.endpoints) } else { provider.label },
            endpoints: Arc::new(provider.endpoints),
            client: client?,
            grant: grant?,
            scopes: scopes.clone(),
            tokens: BTreeMap::new(),
            profile: catalog.shared(profile?),
            sign_in: SignInMode::OnRequest,
            publish: PublishMode::Retained,
            allow: AllowList::default(),
            identity: false,
            claims: Vec::new(),
            ca_file,
            allow_http,
            declared: Declared::File,
        })
    };
    let settings = settings();
    ClientRegistration { scopes, separator, by_userinfo, settings }
}

/// The client's own settings of what is peculiar to its provider.
fn own_profile(table: &mut Table<'_>) -> Option<Profile> {
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
