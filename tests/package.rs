//! What the Debian package brings to `/etc` is good as it is, and shows every key that there is.
#![allow(clippy::unwrap_used)]

mod example_files;
mod known_keys;

use std::fs;
use std::path::Path;
use std::process::Command;

use oauth2mqtt::testing::config::{self, Configuration, Environment};

const PROVIDER_FILES: &str = include_str!("../docs/provider-files.md");

const CONFIG: &str = include_str!("../systemd/config.toml");

fn parse(text: &str, path: &Path) -> Result<Configuration, String> {
    config::parse(text, path, &Environment::default()).map_err(|error| error.to_string())
}

/// The file with every example in force: explanations start with `# `, examples with `#` alone.
fn in_force() -> String {
    let lines = CONFIG.lines().map(|line| match line.strip_prefix('#') {
        Some(example) if !example.starts_with(' ') => example,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn as_it_is_installed_it_names_no_account_and_is_good() {
    let loaded = parse(CONFIG, Path::new("/etc/oauth2mqtt/config.toml")).unwrap();
    assert!(loaded.settings.accounts.is_empty() && loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn every_example_in_it_is_good() {
    let folder = tempfile::tempdir().unwrap();
    example_files::write(folder.path(), &in_force());
    // What goes with mqtts:// alone is beside an address of this device.
    let text = in_force().replace("url = \"mqtt://127.0.0.1:1883\"", "url = \"mqtts://broker.example.com\"");
    let loaded = parse(&text, &folder.path().join("config.toml")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.settings.accounts.len(), 7);
    // Nobody should use that grant without having been told.
    assert!(loaded.warnings.iter().all(|warning| warning.key.contains("old")), "{:?}", loaded.warnings);
}

#[test]
fn it_has_every_key_that_the_program_knows() {
    let refusal = |text: &str| parse(text, Path::new("/config.toml")).unwrap_err();
    for (_, key) in known_keys::known_keys(Some("keycloak"), refusal) {
        let is_there = CONFIG.lines().any(|line| line.starts_with(&format!("#{key} = ")));
        let is_explained = CONFIG.lines().any(|line| line.starts_with("# ") && line.contains(&format!("`{key}`")));
        // What is peculiar to a provider has a page of its own, which comes with the package.
        let has_row = PROVIDER_FILES.contains(&format!("\n| `{key}` |"));
        // Which of them a provider needs, `oauth2mqtt providers` says.
        let is_parameter = ["realm", "host", "domain"].contains(&key.as_str());
        assert!(is_there || is_explained || has_row || is_parameter, "{key} is not in systemd/config.toml");
    }
}

#[test]
fn every_command_has_a_manual_page_with_its_exit_codes_and_an_example() {
    let binary = Path::new(env!("CARGO_BIN_EXE_oauth2mqtt"));
    let help = String::from_utf8(Command::new(binary).arg("--help").output().unwrap().stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<_> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"login") && commands.len() > 10, "{commands:?}");
    let pages = commands.iter().map(|command| format!("oauth2mqtt-{command}.1"));
    for name in pages.chain(["oauth2mqtt.1".to_owned()]) {
        let path = binary.with_file_name("assets").join(&name);
        let page = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for section in ["SYNOPSIS", "OPTIONS", "\"EXIT STATUS\"", "EXAMPLES"] {
            assert!(page.contains(&format!(".SH {section}\n")), "{name} has no {section}");
        }
    }
}
