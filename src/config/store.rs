//! The `[store]` section.

use std::path::{Path, PathBuf};

use super::Environment;
use super::files::Files;
use super::table::Table;
use crate::domain::settings::{KeySource, StoreSettings};
use crate::domain::text;

/// The folder of the store when neither the file nor systemd says.
const DEFAULT_PATH: &str = "/var/lib/oauth2mqtt";

/// The credential that holds the store's key, where systemd passes one.
const KEY_CREDENTIAL: &str = "store.key";

/// Reads the section; nothing of it need be there.
pub(super) fn read(mut table: Table<'_>, environment: &Environment, files: &Files) -> Option<StoreSettings> {
    let path = match table.text("path") {
        Some(path) if path.value.trim().is_empty() || !text::is_printable(path.value) => {
            path.place.error("this is no name of a folder", "name the folder, such as \"/var/lib/oauth2mqtt\"");
            None
        }
        Some(path) => Some(files.resolve(Path::new(path.value))),
        None => Some(environment.state_directory.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_PATH))),
    };
    let key = match table.text("key_file") {
        Some(file) => files.private(&file).map(KeySource::Provided),
        None => match files.credential(KEY_CREDENTIAL) {
            Some(credential) => Some(KeySource::Provided(credential)),
            None => path.as_ref().map(|path| KeySource::MadeOnce(path.join("key"))),
        },
    };
    let bind_to_machine = table.flag_or("bind_to_machine", true);
    table.refuse(
        "key",
        "the key must not stand in this file",
        "put it in a file of its own, and name that file with key_file",
    );
    table.finish();
    Some(StoreSettings { path: path?, key: key?, bind_to_machine })
}
