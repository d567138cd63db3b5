//! Whatever may stand in a configuration, or in the file of a provider.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;

use super::catalog::{Catalog, read_text};
use super::diagnostic::{ConfigError, Diagnostic, FileId, Report};
use super::files::Files;
use super::table::Table;
use super::toml_text::quoted;
use super::{Environment, account, parse, toml_entries};
use crate::domain::grant_kind::GrantKind;
use crate::domain::provider_file::KnownProvider;
use crate::domain::text::is_printable;

/// A path in a folder that no machine has.
const PATH: &str = "/conf/config.toml";

/// What is shown of the errors, in characters: as many complaints as there are faults are wanted.
const SHOWN: usize = 8_000;

/// A configuration file.
pub(crate) fn configurations(text: &[u8], _: &mut Rng) -> String {
    match parse(&String::from_utf8_lossy(text), Path::new(PATH), &Environment::default()) {
        Ok(loaded) => {
            let topic = &loaded.settings.mqtt.base_topic;
            assert!(!topic.contains(['+', '#', '\0']) && !topic.is_empty(), "{topic:?}");
            assert!(loaded.settings.accounts.keys().all(|name| !name.as_str().contains(['+', '#', '/'])));
            complaints(loaded.warnings)
        }
        Err(error) => complaints(error.diagnostics),
    }
}

/// The file of a provider, and an account for each of its grants.
pub(crate) fn provider_files(text: &[u8], chance: &mut Rng) -> String {
    match read_text("odd", &String::from_utf8_lossy(text)) {
        Ok(provider) => complaints(diagnostics_of_accounts(provider, chance)),
        Err(errors) => complaints(errors),
    }
}

/// Reads an account for each grant of the provider, with the examples of some of its parameters.
fn diagnostics_of_accounts(provider: KnownProvider, chance: &mut Rng) -> Vec<Diagnostic> {
    let is_address = |(_, template): (_, &str)| !template.contains([' ', '\\', '#']);
    assert!(provider.file.endpoints.all().all(is_address), "{provider:?}");
    let mut text = String::new();
    for grant in provider.file.grants.keys().copied().map(GrantKind::name) {
        let _ = write!(text, "[{grant}]\nprovider = \"odd\"\nclient_id = \"c\"\ngrant = \"{grant}\"\n");
        for (key, parameter) in provider.file.parameters.iter().filter(|_| chance.u8(0..4) > 0) {
            let _ = writeln!(text, "{} = {}", quoted(key), quoted(&parameter.example));
        }
    }
    let report = Report::default();
    let entries = match toml_entries(&text, FileId::CONFIGURATION) {
        Ok(entries) => entries,
        Err(errors) => return errors,
    };
    let (files, catalog) = (Files::beside(Path::new(PATH), None), Catalog::of([Arc::new(provider)]));
    for (name, table) in Table::root(&report, FileId::CONFIGURATION, &entries).sections() {
        account::read(name, table, &files, &catalog);
    }
    let (errors, warnings) = report.finish();
    errors.into_iter().chain(warnings).collect()
}

fn complaints(diagnostics: Vec<Diagnostic>) -> String {
    let text = ConfigError { path: PATH.into(), diagnostics }.to_string();
    assert!(text.lines().all(is_printable), "{text:?}");
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hostile::bombard;

    #[test]
    fn no_configuration_does_harm() {
        bombard("configurations", configurations);
    }

    #[test]
    fn no_provider_file_does_harm() {
        bombard("provider-files", provider_files);
    }
}
