mod accounts;
mod broker;
mod catalog;
mod decode;
mod docs;
mod gate;
mod grants;
mod named_files;
mod page;
mod provisioning;
mod tokens;
mod whole_file;

use std::path::Path;

use super::{Configuration, Environment, parse};
use crate::domain::settings::AccountSettings;

/// A path in a folder that no machine has.
const PATH: &str = "/conf/config.toml";

fn load_text(text: &str) -> Result<Configuration, String> {
    parse(text, Path::new(PATH), &Environment::default()).map_err(|error| error.to_string())
}

/// The errors of the text, whole.
fn errors(text: &str) -> String {
    load_text(text).unwrap_err()
}

/// The errors of the text, without what to do about them.
fn complaint(text: &str) -> String {
    let errors = errors(text);
    let complaints: Vec<&str> = errors.lines().filter(|line| !line.starts_with("  help: ")).collect();
    complaints.join("\n").replace("/conf/config.toml:", "")
}

/// The one account of a usable text.
fn account(text: &str) -> AccountSettings {
    let settings = load_text(text).unwrap().settings;
    assert_eq!(settings.accounts.len(), 1);
    settings.accounts.into_values().next().unwrap()
}

/// An account at GitHub with these further lines; they start at line 4.
fn github(lines: &str) -> String {
    format!("[accounts.hub]\nprovider = \"github\"\nclient_id = \"abc\"\n{lines}")
}
