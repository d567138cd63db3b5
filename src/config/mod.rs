//! Reads the configuration file into [`Settings`], and says everything that is wrong with it at once.

mod account;
mod address;
mod catalog;
mod client;
mod decode;
mod diagnostic;
mod edit;
mod files;
mod gate;
mod grant;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod mqtt;
mod nearest;
mod node;
mod page;
mod profile;
mod provider;
mod provisioning;
mod registration;
mod scopes;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod tokens;
pub(crate) mod toml_text;

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::domain::settings::Settings;
use crate::domain::text;
use account::ACCOUNT_KEYS;
use address::AddressUse;
use diagnostic::{FileId, Lines, Report};
use files::Files;
use node::Entries;
use table::Table;

pub(crate) use catalog::{Catalog, FOLDER as PROVIDERS_FOLDER};
pub(crate) use diagnostic::{ConfigError, Diagnostic};
pub(crate) use edit::without_account;
pub(crate) use grant::DEFAULT_REDIRECT_URI;
pub(crate) use provisioning::declared;

/// The largest configuration file, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// A usable configuration.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The settings.
    pub settings: Settings,
    /// Remarks on what is allowed but may not be meant, in the order of files and lines.
    pub warnings: Vec<Diagnostic>,
}

/// The folders that the service manager names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The folder with the credentials passed to this service (`$CREDENTIALS_DIRECTORY`).
    pub credentials_directory: Option<PathBuf>,
    /// The folder for what this service keeps (`$STATE_DIRECTORY`).
    pub state_directory: Option<PathBuf>,
}

impl Environment {
    /// Reads the variables of this process.
    #[must_use]
    pub fn from_process() -> Self {
        Self::from_variables(std::env::var_os("CREDENTIALS_DIRECTORY"), std::env::var_os("STATE_DIRECTORY"))
    }

    fn from_variables(credentials: Option<OsString>, state: Option<OsString>) -> Self {
        let named = |value: OsString| if value.is_empty() { None } else { Some(PathBuf::from(value)) };
        // A unit with several state directories gets them all, with colons between; the first is the main one.
        let first = |value: OsString| std::env::split_paths(&value).next().map(PathBuf::into_os_string);
        Self {
            credentials_directory: credentials.and_then(named),
            state_directory: state.and_then(first).and_then(named),
        }
    }
}

/// The names of the built-in providers that can be used.
#[must_use]
pub fn built_in_providers() -> Vec<String> {
    Catalog::default().usable().iter().map(|provider| provider.name.clone()).collect()
}

/// Reads the provider files beside the configuration file at `path`; those that are built in are there as well.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn catalog(path: &Path) -> Result<Catalog, ConfigError> {
    let report = Report::default();
    let catalog = Catalog::beside(path, &report);
    let (diagnostics, _) = report.finish();
    if diagnostics.is_empty() { Ok(catalog) } else { Err(ConfigError { path: path.to_owned(), diagnostics }) }
}

/// Tells what is wrong with the address of an issuer, if anything is.
#[must_use]
pub(crate) fn issuer_problem(issuer: &str) -> Option<String> {
    let (message, help) = address::check(issuer, AddressUse::Issuer, false).err()?;
    Some(format!("{message}; {help}."))
}

/// Reads the file at `path`, and the files with secrets that it names.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path, environment: &Environment) -> Result<Configuration, ConfigError> {
    parse(&read(path)?, path, environment)
}

/// Reads a configuration from `text`, which came from the file at `path`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, path: &Path, environment: &Environment) -> Result<Configuration, ConfigError> {
    let fail = |diagnostics| Err(ConfigError { path: path.to_owned(), diagnostics });
    let report = Report::default();
    let entries = match toml_entries(text, FileId::CONFIGURATION) {
        Ok(entries) => entries,
        Err(diagnostics) => return fail(diagnostics),
    };
    let settings = settings(Table::root(&report, FileId::CONFIGURATION, &entries), path, environment);
    let (errors, warnings) = report.finish();
    match settings {
        Some(settings) if errors.is_empty() => Ok(Configuration { settings, warnings }),
        _ => fail(errors),
    }
}

fn settings(mut root: Table<'_>, path: &Path, environment: &Environment) -> Option<Settings> {
    let files = Files::beside(path, environment.credentials_directory.as_deref());
    let catalog = Catalog::beside(path, root.place.report);
    files::warn_of_writers(path, &root.place);
    let mqtt = mqtt::read(root.section("mqtt"), &files);
    let store = store::read(root.section("store"), environment, &files);
    let sections = root.section("accounts").sections();
    let (wants_page, wants_gate) = (root.has("page"), root.has("gate"));
    let page = page::read(root.section("page"), &files);
    let gate = root.section("gate");
    let gate = if wants_gate { gate::read(gate, &files, &catalog) } else { None };
    let accounts =
        sections.into_iter().filter_map(|(name, table)| account::read(name, table, &files, &catalog)).collect();
    let provisioning = provisioning::read(root.section("provisioning"), &catalog);
    root.finish();
    let page = if wants_page { Some(page?) } else { None };
    let gate = if wants_gate { Some(gate?) } else { None };
    Some(Settings { mqtt: mqtt?, store: store?, page, gate, provisioning, accounts })
}

/// The keys and values of a TOML text, or what is wrong with its lines.
fn toml_entries(text: &str, file: FileId) -> Result<Entries, Vec<Diagnostic>> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(syntax_diagnostics(&lines, &errors));
    }
    Ok(node::from_toml(document.get_ref(), file, &|offset| lines.at(offset)))
}

/// One complaint for each line that is not TOML: what follows on the same line is mostly an echo of it.
fn syntax_diagnostics(lines: &Lines, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<Diagnostic> = errors
        .iter()
        .map(|error| Diagnostic {
            file: None,
            line: error.span().map(|span| lines.at(span.start)),
            key: String::new(),
            message: format!("this is not TOML: {}", text::printable(error.message())),
            help: match error.message() {
                "duplicate key" => "write each section once, and each key once in its section",
                _ => "correct this line; texts stand in double quotes, as in client_id = \"abc\"",
            }
            .to_owned(),
        })
        .collect();
    diagnostics.sort_by_key(|diagnostic| diagnostic.line);
    diagnostics.dedup_by_key(|diagnostic| diagnostic.line);
    diagnostics
}

fn read(path: &Path) -> Result<String, ConfigError> {
    const ANOTHER: &str = "name another file with --config PATH or the variable OAUTH2MQTT_CONFIG";
    let fail = |line, message: String, help: String| {
        let diagnostic = Diagnostic { file: None, line, key: String::new(), message, help };
        Err(ConfigError { path: path.to_owned(), diagnostics: vec![diagnostic] })
    };
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return fail(
                None,
                "there is no such file".to_owned(),
                format!("make it with `sudo oauth2mqtt add`, or {ANOTHER}"),
            );
        }
        Err(error) => {
            let message = format!("this file cannot be read: {error}");
            return fail(None, message, format!("let the user who runs the agent read it, or {ANOTHER}"));
        }
    }
    if bytes.len() as u64 > LARGEST {
        return fail(None, "this file is larger than 1 MiB".to_owned(), ANOTHER.to_owned());
    }
    String::from_utf8(bytes).or_else(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let line = Lines::of(&good).at(good.len());
        fail(Some(line), "this line is not UTF-8 text".to_owned(), "save the file as UTF-8".to_owned())
    })
}
