//! The tables of `docs/provider-files.md`, made of the code and the files; `OAUTH2MQTT_WRITE_DOCS=1` writes them anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::super::Catalog;
use crate::domain::profile::Profile;
use crate::domain::provider_file::KnownProvider;

const PROFILE: &str = include_str!("../../domain/profile.rs");

/// The documentation of each key, as its type has it.
fn settings() -> String {
    let mut table = String::from("| key | meaning |\n|---|---|\n");
    for key in Profile::KEYS {
        let (before, _) = PROFILE.split_once(&format!("\n    pub(crate) {key}: ")).unwrap();
        let mut lines: Vec<&str> = before.lines().rev().map_while(|line| line.strip_prefix("    /// ")).collect();
        lines.reverse();
        assert!(!lines.is_empty(), "{key} is not documented");
        writeln!(table, "| `{key}` | {} |", lines.join(" ").replace('|', "\\|")).unwrap();
    }
    table
}

fn providers() -> String {
    let catalog = Catalog::default();
    let mut table = String::from("| provider | grants | what is peculiar | source, read on |\n|---|---|---|---|\n");
    for provider in catalog.usable() {
        let KnownProvider { name, file, .. } = provider.as_ref();
        let grants: Vec<_> = file.grants.keys().map(|grant| format!("`{}`", grant.name())).collect();
        let peculiar: Vec<_> = Catalog::settings(&provider).iter().map(|line| format!("`{line}`")).collect();
        let sources: Vec<_> =
            file.sources.iter().map(|source| format!("[{}]({}), {}", source.says, source.url, source.read)).collect();
        writeln!(
            table,
            "| `{name}`: {} | {} | {} | {} |",
            file.title,
            grants.join(", "),
            peculiar.join("<br>"),
            sources.join("<br>")
        )
        .unwrap();
    }
    table
}

/// The page with what stands between the marks replaced.
fn with_part(page: &str, mark: &str, part: &str) -> String {
    let start = page.find(&format!("<!-- {mark}")).unwrap();
    let start = start + page[start..].find("-->\n").unwrap() + 4;
    let end = start + page[start..].find("<!-- end -->").unwrap();
    format!("{}{part}{}", &page[..start], &page[end..])
}

#[test]
fn the_page_on_provider_files_says_what_the_code_and_the_files_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/provider-files.md");
    let written = fs::read_to_string(&path).unwrap();
    let page = with_part(&with_part(&written, "settings", &settings()), "providers", &providers());
    if std::env::var_os("OAUTH2MQTT_WRITE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
        return;
    }
    for (line, expected) in page.lines().zip(written.lines()) {
        assert_eq!(line, expected, "what the files say, and what docs/provider-files.md says");
    }
    assert_eq!(page.lines().count(), written.lines().count());
}

/// Providers that were built in before sources were noted down; what their files say is to be read again.
const WITHOUT_SOURCE: [&str; 8] =
    ["auth0", "authentik", "discord", "keycloak", "netatmo", "okta", "spotify", "zitadel"];

#[test]
fn every_built_in_provider_names_where_its_facts_were_read_and_when() {
    for provider in Catalog::default().usable() {
        let KnownProvider { name, file, .. } = provider.as_ref();
        assert_eq!(file.sources.is_empty(), WITHOUT_SOURCE.contains(&name.as_str()), "{name}");
        for source in &file.sources {
            assert!(source.url.starts_with("https://") && !source.says.is_empty(), "{name}: {source:?}");
            let day: Vec<_> = source.read.split('-').map(str::parse::<u16>).collect();
            assert!(matches!(day.as_slice(), [Ok(2026..), Ok(1..=12), Ok(1..=31)]), "{name}: {source:?}");
        }
    }
}

#[test]
fn the_examples_of_the_page_can_be_read() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/provider-files.md")).unwrap();
    let examples: Vec<&str> = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("providers.d")).unwrap();
    fs::write(folder.path().join("providers.d/plant.toml"), examples[0]).unwrap();
    let loaded =
        super::super::parse(examples[1], &folder.path().join("config.toml"), &super::super::Environment::default());
    assert_eq!(loaded.unwrap().settings.accounts.len(), 1);
}
