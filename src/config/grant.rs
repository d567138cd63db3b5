//! How an account comes by its tokens.

use url::{Host, Url};

use super::diagnostic::quoted;
use super::files::Files;
use super::table::{Entry, Table};
use crate::domain::presets::Preset;
use crate::domain::settings::GrantSettings;
use crate::domain::text;

/// Where the browser comes back to if the configuration does not say: on the device itself (RFC 8252 7.3).
pub(crate) const DEFAULT_REDIRECT_URI: &str = "http://127.0.0.1:8629/oauth2/redirect";

/// The names of the grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    DeviceCode,
    AuthorizationCode,
    ClientCredentials,
    RefreshToken,
    Password,
}

const KINDS: [(&str, Kind); 5] = [
    ("device_code", Kind::DeviceCode),
    ("authorization_code", Kind::AuthorizationCode),
    ("client_credentials", Kind::ClientCredentials),
    ("refresh_token", Kind::RefreshToken),
    ("password", Kind::Password),
];

/// The keys that go with one grant alone.
const KEYS: [(&str, Kind, &str); 4] = [
    ("redirect_uri", Kind::AuthorizationCode, "authorization_code"),
    ("refresh_token_file", Kind::RefreshToken, "refresh_token"),
    ("username", Kind::Password, "password"),
    ("password_file", Kind::Password, "password"),
];

impl Kind {
    /// Whether a user approves each sign-in.
    pub(super) fn has_user(self) -> bool {
        matches!(self, Self::DeviceCode | Self::AuthorizationCode)
    }
}

/// Which grant the account has.
pub(super) fn kind(table: &mut Table<'_>) -> Option<Kind> {
    let Some(entry) = table.text("grant") else { return Some(Kind::DeviceCode) };
    if entry.value == "implicit" {
        entry.place.error(
            "the implicit grant hands the token to a browser's address bar and gives no refresh token, which is why \
             nobody should use it any more (RFC 9700 2.1.2)",
            "write grant = \"authorization_code\", which every such provider has, or \"device_code\" where there is one",
        );
        return None;
    }
    entry.choose(&KINDS)
}

/// Reads the keys of the grant, and complains about those of others.
pub(super) fn read(kind: Kind, table: &mut Table<'_>, files: &Files, allow_http: bool) -> Option<GrantSettings> {
    for (key, owner, name) in KEYS {
        if owner != kind {
            let message = format!("this goes only with grant = {}", quoted(name));
            table.refuse(key, &message, "take it out, or choose that grant");
        }
    }
    match kind {
        Kind::DeviceCode => Some(GrantSettings::DeviceCode),
        Kind::AuthorizationCode => {
            let redirect_uri = match table.text("redirect_uri") {
                Some(entry) => redirect_uri(&entry, allow_http)?,
                None => DEFAULT_REDIRECT_URI.to_owned(),
            };
            Some(GrantSettings::AuthorizationCode { redirect_uri: redirect_uri.into() })
        }
        Kind::ClientCredentials => Some(GrantSettings::ClientCredentials),
        Kind::RefreshToken => {
            let help = "write refresh_token_file = \"…\", the name of the file with the token obtained elsewhere";
            let entry = table.required_text("refresh_token_file", help)?;
            let token = files.secret_if_there(&entry);
            Some(GrantSettings::RefreshToken { token })
        }
        Kind::Password => password(table, files),
    }
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
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain("localhost")) => {
            entry.place.warn(
                "\"localhost\" may lead elsewhere than to this device (RFC 8252 8.3), and not every provider takes it",
                "write 127.0.0.1 here and at the provider",
            );
            true
        }
        _ => false,
    };
    if url.scheme() == "http" && !is_loopback && !allow_http {
        entry.place.error("plain http:// would send the code readable through the network", FORMS);
        return None;
    }
    Some(entry.value.trim().to_owned())
}

/// Warns of scopes that the preset's provider is known to refuse to devices.
pub(super) fn check_device_scopes(preset: &Preset, scopes: &[Entry<'_, &str>]) {
    if preset.device_scopes.is_empty() {
        return;
    }
    for scope in scopes.iter().filter(|scope| !preset.device_scopes.contains(&scope.value)) {
        scope.place.warn(
            format!("{} does not give the scope {} to devices", preset.title, quoted(scope.value)),
            format!(
                "write grant = \"authorization_code\", with a client of the type that `oauth2mqtt providers` names, or \
                 keep to {}",
                preset.device_scopes.join(", ")
            ),
        );
    }
}
