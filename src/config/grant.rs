//! The grant of an account.

use std::sync::Arc;

use url::Url;

use super::address::{AddressUse, http_address};
use super::diagnostic::quoted;
use super::files::Files;
use super::table::{Entry, Table};
use crate::domain::grant_kind::GrantKind;
use crate::domain::jwt_bearer::JwtBearer;
use crate::domain::loopback::leads_to_loopback;
use crate::domain::provider_file::KnownProvider;
use crate::domain::settings::{ClientSettings, EndpointSettings, GrantSettings};
use crate::domain::text;

/// The redirect address of an account that names none: on the device itself (RFC 8252 7.3).
pub(crate) const DEFAULT_REDIRECT_URI: &str = "http://127.0.0.1:8629/oauth2/redirect";

/// The keys that go with one grant alone.
const KEYS: [(&str, GrantKind); 6] = [
    ("redirect_uri", GrantKind::AuthorizationCode),
    ("refresh_token_file", GrantKind::RefreshToken),
    ("service_account_file", GrantKind::JwtBearer),
    ("subject", GrantKind::JwtBearer),
    ("username", GrantKind::Password),
    ("password_file", GrantKind::Password),
];

/// Reads the grant of the account; `None` if it is not known.
pub(super) fn kind(table: &mut Table<'_>) -> Option<GrantKind> {
    if let Some(entry) = table.text("grant").filter(|entry| entry.value == "implicit") {
        entry.place.error(
            "the implicit grant hands the token to a browser's address bar and gives no refresh token, which is why \
             nobody should use it any more (RFC 9700 2.1.2)",
            "write grant = \"authorization_code\", which every such provider has, or \"device_code\" where there is one",
        );
        return None;
    }
    table.value_or("grant", GrantKind::DeviceCode)
}

/// Reads the keys of the grant, and complains about those of others.
pub(super) fn read(
    kind: GrantKind,
    table: &mut Table<'_>,
    files: &Files,
    allow_http: bool,
    client: Option<&mut ClientSettings>,
    endpoints: Option<&mut EndpointSettings>,
) -> Option<GrantSettings> {
    for (key, owner) in KEYS {
        if owner != kind {
            let message = format!("this goes only with grant = {}", quoted(owner.name()));
            table.refuse(key, &message, "take it out, or choose that grant");
        }
    }
    match kind {
        GrantKind::DeviceCode => Some(GrantSettings::DeviceCode),
        GrantKind::AuthorizationCode => {
            let redirect_uri = match table.text("redirect_uri") {
                Some(entry) => redirect_uri(&entry, allow_http)?,
                None => DEFAULT_REDIRECT_URI.to_owned(),
            };
            Some(GrantSettings::AuthorizationCode { redirect_uri: redirect_uri.into() })
        }
        GrantKind::ClientCredentials => Some(GrantSettings::ClientCredentials),
        GrantKind::RefreshToken => {
            let help = "write refresh_token_file = \"…\", the name of the file with the token obtained elsewhere";
            let entry = table.required_text("refresh_token_file", help)?;
            let token = files.secret_if_there(&entry);
            Some(GrantSettings::RefreshToken { token })
        }
        GrantKind::JwtBearer => jwt_bearer(table, files, allow_http, client?, endpoints?),
        GrantKind::Password => password(table, files),
    }
}

/// Reads who signs: a service account by its file, or the client by its key.
fn jwt_bearer(
    table: &mut Table<'_>,
    files: &Files,
    allow_http: bool,
    client: &mut ClientSettings,
    endpoints: &mut EndpointSettings,
) -> Option<GrantSettings> {
    let subject = table.text("subject").map(|subject| subject.value.to_owned());
    let Some(file) = table.text("service_account_file") else {
        let Some(key) = client.key.take() else {
            table.place.below("private_key_file", None).error(
                "with grant = \"jwt_bearer\" the account signs with a key (RFC 7523 2.1)",
                "name its file: private_key_file = \"…\", or service_account_file = \"…\" for a service account of Google",
            );
            return None;
        };
        let bearer = JwtBearer { key, issuer: client.id.clone(), subject, is_service_account: false };
        return Some(GrantSettings::JwtBearer(Arc::new(bearer)));
    };
    if let Some(place) = table.place_of("private_key_file") {
        place.error("the service account's file has its key in it", "take it out");
    }
    let json = files.pem(&file)?;
    let (bearer, token) = match JwtBearer::from_service_account(&json, subject) {
        Ok(read) => read,
        Err(reason) => {
            file.place.error(reason.to_string(), "download the key of the service account again, as JSON");
            return None;
        }
    };
    let address = Entry { value: token.as_str(), place: file.place.clone() };
    http_address(&address, AddressUse::Endpoint, allow_http)?;
    match &endpoints.token {
        None if endpoints.issuer.is_none() => endpoints.token = Some(Arc::new(token)),
        Some(known) if **known == token => {}
        _ => {
            file.place.error(
                "this service account has another token endpoint than the account's provider",
                "take out provider, issuer or token_endpoint: the file says where tokens are",
            );
            return None;
        }
    }
    if client.id.is_empty() {
        client.id.clone_from(&bearer.issuer);
    }
    Some(GrantSettings::JwtBearer(Arc::new(bearer)))
}

fn password(table: &mut Table<'_>, files: &Files) -> Option<GrantSettings> {
    let username = table.required_text("username", "write username = \"…\", the user's name at the provider");
    let help = "write password_file = \"…\", the name of the file with the user's password";
    let file = table.required_text("password_file", help);
    table.place.warn(
        "with this grant the device holds a user's password, which opens more than any token, cannot be revoked for \
         one device, and knows no second factor (RFC 9700 2.4)",
        "use it only where the service has nothing else; where it has, write grant = \"device_code\" or \
         \"authorization_code\"",
    );
    let username = username?;
    if !text::is_printable(username.value) {
        username.place.error("an unprintable character is in this name", "write the name as the provider knows it");
        return None;
    }
    Some(GrantSettings::Password { username: username.value.to_owned(), password: files.secret(&file?)? })
}

/// An address that only this device, or only whoever holds the name, can receive (RFC 8252 7, RFC 9700 4.1).
fn redirect_uri(entry: &Entry<'_, &str>, allow_http: bool) -> Option<String> {
    const FORMS: &str = "write http://127.0.0.1:PORT/PATH for this device, or the https:// address of a page that passes \
                         it on, just as it is registered at the provider";
    let url = Url::parse(entry.value).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.host().is_some() && text::is_printable(entry.value)
    });
    let Some(url) = url else {
        entry.place.error("this is no address that a browser can be sent to", FORMS);
        return None;
    };
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        entry.place.error("a redirect address has neither a fragment nor a user name (RFC 6749 3.1.2)", FORMS);
        return None;
    }
    let is_here = leads_to_loopback(&url);
    if is_here && url.domain().is_some() {
        entry.place.warn(
            "\"localhost\" may lead elsewhere than to this device (RFC 8252 8.3), and not every provider takes it",
            "write 127.0.0.1 here and at the provider",
        );
    }
    if url.scheme() == "http" && !is_here && !allow_http {
        entry.place.error("plain http:// would send the code readable through the network", FORMS);
        return None;
    }
    Some(entry.value.trim().to_owned())
}

/// Warns of scopes that the provider is known not to give by this grant.
pub(super) fn check_scopes(provider: &KnownProvider, kind: GrantKind, scopes: &[Entry<'_, &str>]) {
    let by = match kind {
        GrantKind::DeviceCode => "to devices",
        GrantKind::AuthorizationCode => "by a browser",
        GrantKind::ClientCredentials | GrantKind::JwtBearer | GrantKind::RefreshToken | GrantKind::Password => return,
    };
    let Some(registration) = provider.grant(kind).filter(|registration| !registration.scopes.is_empty()) else {
        return;
    };
    for scope in scopes.iter().filter(|scope| !registration.scopes.iter().any(|given| given == scope.value)) {
        let others = provider.file.grants.iter().filter(|(other, registration)| {
            **other != kind && (registration.scopes.is_empty() || registration.scopes.iter().any(|s| s == scope.value))
        });
        let others: Vec<_> = others.map(|(other, _)| format!("grant = \"{}\"", other.name())).collect();
        let keep = format!("keep to {}", registration.scopes.join(", "));
        scope.place.warn(
            format!("{} does not give the scope {} {by}", provider.file.title, quoted(scope.value)),
            match others.as_slice() {
                [] => keep,
                others => format!(
                    "write {}, with a client of the type that `oauth2mqtt providers {}` names, or {keep}",
                    others.join(" or "),
                    provider.name
                ),
            },
        );
    }
}
