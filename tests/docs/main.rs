//! What the README says is so.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use oauth2mqtt::testing::FaultCode;
use oauth2mqtt::testing::config::{self, Environment};

const README: &str = include_str!("../README.md");

/// The code blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block: Option<String> = None;
    for line in README.lines() {
        let line_text = line.trim_start();
        match &mut block {
            None if line_text == format!("```{language}") => block = Some(String::new()),
            None => {}
            Some(_) if line_text == "```" => found.extend(block.take()),
            Some(text) => {
                text.push_str(line_text);
                text.push('\n');
            }
        }
    }
    found
}

#[test]
fn every_configuration_in_it_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let key = Command::new("openssl").args(["genpkey", "-algorithm", "ED25519"]).output().unwrap().stdout;
    let files = [
        "google.secret",
        "page.code",
        "legacy.secret",
        "mqtt.password",
        "company-ca.pem",
        "gateway.pem",
        "gateway.key",
    ];
    for name in files.into_iter().chain(["line-7.key"]) {
        let path = folder.path().join(name);
        fs::write(&path, if name == "line-7.key" { &key[..] } else { b"of no importance\n" }).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let blocks = blocks("toml");
    assert_eq!(blocks.len(), 3, "the first configuration, that of the page, and the one with everything");
    for text in blocks {
        let path = folder.path().join("config.toml");
        let loaded = config::parse(&text, &path, &Environment::default()).unwrap_or_else(|error| panic!("{error}"));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}

#[test]
fn the_table_of_faults_is_that_of_the_program() {
    let rows: Vec<_> = README.lines().filter(|line| line.starts_with("| `") && line.ends_with(". |")).collect();
    let expected: Vec<_> =
        FaultCode::ALL.iter().map(|code| format!("| `{}` | {} |", code.name(), code.advice())).collect();
    assert_eq!(rows, expected);
}

#[test]
fn every_file_that_it_links_to_is_there() {
    let links = README.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
    for link in links.filter(|link| !link.starts_with("http")) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(), "{link}");
    }
}
