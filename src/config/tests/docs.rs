//! The table of keys in `docs/provider-files.md`, made of the code; `OAUTH2MQTT_WRITE_DOCS=1` writes it anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::super::Catalog;
use super::super::decode::keys_of;
use crate::domain::profile::Profile;
use crate::domain::provider_file::{EndpointTemplates, KnownProvider, Parameter, ProviderFile, Registration, Source};

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

/// The page with what stands between the marks replaced.
fn with_part(page: &str, mark: &str, part: &str) -> String {
    let start = page.find(&format!("<!-- {mark}")).unwrap();
    let start = start + page[start..].find("-->\n").unwrap() + 4;
    let end = start + page[start..].find("<!-- end -->").unwrap();
    format!("{}{part}{}", &page[..start], &page[end..])
}

#[test]
fn the_page_on_provider_files_says_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/provider-files.md");
    let written = fs::read_to_string(&path).unwrap();
    let page = with_part(&written, "settings", &settings());
    if std::env::var_os("OAUTH2MQTT_WRITE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
        return;
    }
    for (line, expected) in page.lines().zip(written.lines()) {
        assert_eq!(line, expected, "what the code says, and what docs/provider-files.md says");
    }
    assert_eq!(page.lines().count(), written.lines().count());
}

#[test]
fn the_page_on_provider_files_names_every_key_of_a_file() {
    let page = include_str!("../../../docs/provider-files.md");
    let section = |title: &str| page.split("\n#").find(|part| part.lines().next().unwrap().ends_with(title)).unwrap();
    for (title, keys) in [
        ("`[endpoints]`", keys_of::<EndpointTemplates>()),
        ("`[parameters.NAME]`", keys_of::<Parameter>()),
        ("`[grants.GRANT]`", keys_of::<Registration>()),
        ("`[[sources]]`", keys_of::<Source>()),
    ] {
        for key in keys {
            assert!(section(title).contains(&format!("`{key}`")), "{title}: {key}");
        }
    }
    for key in keys_of::<ProviderFile>() {
        let is_table = ["endpoints", "parameters", "grants", "sources"].contains(key);
        assert!(is_table || section(" The provider").contains(&format!("| `{key}` |")), "{key}");
    }
}

#[test]
fn every_built_in_provider_names_where_its_facts_were_read_and_when() {
    for provider in Catalog::default().usable() {
        let KnownProvider { name, file, .. } = provider.as_ref();
        assert!(!file.sources.is_empty(), "{name}");
        for source in &file.sources {
            assert!(source.url.starts_with("https://") && !source.says.is_empty(), "{name}: {source:?}");
            let day: Vec<_> = source.read.split('-').map(str::parse::<u16>).collect();
            assert!(matches!(day.as_slice(), [Ok(2026..), Ok(1..=12), Ok(1..=31)]), "{name}: {source:?}");
        }
    }
}
