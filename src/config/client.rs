//! The client of an account, as it was registered at the provider.

use super::files::Files;
use super::table::Table;
use crate::presets::Preset;
use crate::settings::{ClientAuth, ClientSettings};
use crate::text;

const CLIENT_AUTH: [(&str, ClientAuth); 3] =
    [("none", ClientAuth::None), ("client_secret_post", ClientAuth::Post), ("client_secret_basic", ClientAuth::Basic)];

/// Reads the keys about the client.
pub(super) fn read(table: &mut Table<'_>, preset: Option<&Preset>, files: &Files) -> Option<ClientSettings> {
    let id = client_id(table, preset);
    refuse_inline_secrets(table);
    let secret = table.text("client_secret_file").and_then(|file| files.secret(&file));
    let has_secret = table.has("client_secret_file");
    let auth = table.text("client_auth").and_then(|auth| Some((auth.choose(&CLIENT_AUTH)?, auth.place)));
    match &auth {
        Some((ClientAuth::None, place)) if has_secret => {
            place.error(
                "a client with a secret does not sign in without it",
                "take out client_auth, or client_secret_file if the registration has no secret",
            );
        }
        Some((ClientAuth::Post | ClientAuth::Basic, place)) if !has_secret => {
            place.error(
                "this way of signing in needs a secret",
                "name the file that holds it: client_secret_file = \"…\"",
            );
        }
        _ => {}
    }
    if let Some(preset) = preset.filter(|preset| preset.needs_secret && !has_secret && !table.has("client_secret")) {
        table.place.below("client_secret_file", None).error(
            "this key is missing",
            format!(
                "{} signs in no device without the client's secret: put it in a file and name it, such as \
                 client_secret_file = \"{}.secret\"",
                preset.title, preset.name
            ),
        );
    }
    Some(ClientSettings { id: id?, secret, auth: auth.map(|(auth, _)| auth) })
}

fn client_id(table: &mut Table<'_>, preset: Option<&Preset>) -> Option<String> {
    let where_to = preset.map_or("the provider", |preset| preset.register_at);
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
        "take it out: nobody's password is needed here. The client's own secret goes into a file of its own, named \
         with client_secret_file",
    );
}
