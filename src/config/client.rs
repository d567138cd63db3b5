//! The client of an account, as it was registered at the provider.

use super::files::Files;
use super::table::{Entry, Table};
use crate::domain::client_key::ClientKey;
use crate::domain::grant_kind::GrantKind;
use crate::domain::profile::{ClientAuth, Profile};
use crate::domain::provider_file::Provider;
use crate::domain::secret::Secret;
use crate::domain::settings::ClientSettings;
use crate::domain::text;

/// The most secrets that a client may have: a new one, and the one that it replaces.
pub(super) const MOST_SECRETS: usize = 2;

/// Reads the keys about the client.
pub(super) fn read(
    table: &mut Table<'_>,
    provider: Option<&Provider>,
    kind: Option<GrantKind>,
    profile: Option<&Profile>,
    files: &Files,
) -> Option<ClientSettings> {
    // The file of a service account names its client itself.
    let id = if table.has("service_account_file") && !table.has("client_id") {
        table.known("client_id");
        Some(String::new())
    } else {
        client_id(table, provider)
    };
    refuse_inline_secrets(table);
    let secrets = secrets(table, files);
    let key = key(table, files);
    check_means(table, files, profile);
    let has_means = has_secret(table, files) || table.has("private_key_file") || table.has("client_secret");
    let missing = table.place.below("client_secret_file", None);
    let shows_secret = kind != Some(GrantKind::JwtBearer);
    if let Some(provider) = provider.filter(|provider| shows_secret && provider.file.needs_secret && !has_means) {
        missing.error(
            "this key is missing",
            format!(
                "{} signs in no device without the client's secret: put it in a file and name it, such as \
                 client_secret_file = \"{}.secret\"",
                provider.file.title, provider.name
            ),
        );
    } else if kind == Some(GrantKind::ClientCredentials) && !has_means {
        missing.error(
            "with grant = \"client_credentials\" the client has to show who it is (RFC 6749 4.4)",
            "name the file with its secret: client_secret_file = \"…\", or with its key: private_key_file = \"…\"",
        );
    }
    Some(ClientSettings { id: id?, secrets, key })
}

/// The secrets in the files that are named, or those of a declaration.
fn secrets(table: &mut Table<'_>, files: &Files) -> Vec<Secret> {
    const TWO: &str =
        "name the new secret's file first, then the old one's, and take the old one out when every device has the new";
    let entries = table.text_or_texts("client_secret_file");
    if let Some(place) = table.place_of("client_secret_file") {
        if entries.len() > MOST_SECRETS {
            place.error("a client has at most two secrets, a new one and the one that it replaces", TWO);
        } else if entries.is_empty() {
            place.error("this list is empty", TWO);
        }
    }
    let named = entries.iter().filter_map(|file| files.secret(file));
    files.given().iter().cloned().chain(named).collect()
}

/// Checks that the client shows what it has.
fn check_means(table: &Table<'_>, files: &Files, profile: Option<&Profile>) {
    let (has_secret, has_key) = (has_secret(table, files), table.has("private_key_file"));
    if let Some(place) = table.place_of("private_key_file").filter(|_| has_secret) {
        place.error("a client has a secret or a key, not both", "take out client_secret_file or private_key_file");
    }
    let sends_empty = profile.is_some_and(|profile| profile.empty_secret == Some(true));
    let auth = profile.and_then(|profile| profile.client_auth);
    let Some((auth, place)) = auth.zip(table.place_of("client_auth")) else { return };
    match auth {
        ClientAuth::None if has_secret || has_key => place.error(
            "a client with a secret or a key does not sign in without it",
            "take out client_auth, or client_secret_file and private_key_file if the registration has none",
        ),
        ClientAuth::Post | ClientAuth::Basic if !has_secret && !sends_empty => place
            .error("this way of signing in needs a secret", "name the file that holds it: client_secret_file = \"…\""),
        ClientAuth::PrivateKeyJwt if !has_key => place.error(
            "this way of signing in needs a private key",
            "name the PEM file that holds it: private_key_file = \"…\"",
        ),
        _ => {}
    }
}

fn has_secret(table: &Table<'_>, files: &Files) -> bool {
    table.has("client_secret_file") || !files.given().is_empty()
}

fn key(table: &mut Table<'_>, files: &Files) -> Option<ClientKey> {
    let id = table.text("private_key_id");
    let file = table.text("private_key_file");
    if let (Some(id), None) = (&id, &file) {
        id.place.error("there is no key of that name", "write private_key_file = \"…\" beside it, or take it out");
    }
    let certificate = table.text("certificate_file");
    if let (Some(certificate), None) = (&certificate, &file) {
        certificate.place.error("there is no key to this certificate", "write private_key_file = \"…\" beside it");
    }
    let file = file?;
    let pem: Secret = files.pem(&file)?;
    match ClientKey::from_pem(&pem, id.map(|id| text::printable(id.value))) {
        Ok(key) => match certificate {
            Some(certificate) => with_certificate(key, &certificate, files),
            None => Some(key),
        },
        Err(reason) => {
            file.place.error(
                reason.to_string(),
                "make one that fits with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out client.key`, and \
                 register its public half",
            );
            None
        }
    }
}

/// The key with the thumbprints of its certificate (RFC 7515 4.1.7 and 4.1.8).
fn with_certificate(key: ClientKey, certificate: &Entry<'_, &str>, files: &Files) -> Option<ClientKey> {
    let path = files.public(certificate)?;
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(error) => {
            certificate.place.error(format!("it cannot be read: {error}"), "let the user who runs the agent read it");
            return None;
        }
    };
    match key.with_certificate(&pem) {
        Ok(key) => Some(key),
        Err(reason) => {
            certificate.place.error(
                reason.to_string(),
                "name the PEM file of the certificate that is registered, made for this key",
            );
            None
        }
    }
}

fn client_id(table: &mut Table<'_>, provider: Option<&Provider>) -> Option<String> {
    let where_to = provider.map_or("the provider", |provider| &provider.file.register_at);
    let help = format!("register the application at {where_to}, then write client_id = \"…\"");
    let id = table.required_text("client_id", &help)?;
    if !text::is_printable(id.value) {
        id.place.error("an unprintable character is in this client id", "copy it again from the registration");
        return None;
    }
    Some(id.value.to_owned())
}

fn refuse_inline_secrets(table: &mut Table<'_>) {
    table.refuse(
        "client_secret",
        "a secret must not stand in this file",
        "put it in a file of its own, and name that file with client_secret_file",
    );
    table.refuse(
        "password",
        "a password must not stand in this file",
        "take it out. The client's own secret goes into a file named with client_secret_file; a user's password, which \
         only grant = \"password\" needs, into one named with password_file",
    );
}
