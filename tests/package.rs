//! What the Debian package brings to `/etc` is good as it is, and shows every key that there is.
#![allow(clippy::unwrap_used)]

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
    let key = Command::new("openssl").args(["genpkey", "-algorithm", "ED25519"]).output().unwrap().stdout;
    for line in in_force().lines().filter(|line| line.contains("_file = ")) {
        let name = line.split('"').nth(1).unwrap();
        let path = folder.path().join(name);
        fs::write(&path, if name == "line-7.key" { &key[..] } else { b"of no importance" }).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    // What goes with mqtts:// alone is beside an address of this device.
    let text = in_force().replace("url = \"mqtt://127.0.0.1:1883\"", "url = \"mqtts://broker.example.com\"");
    let loaded = parse(&text, &folder.path().join("config.toml")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.settings.accounts.len(), 7);
    // Nobody should use that grant without having been told.
    assert!(loaded.warnings.iter().all(|warning| warning.key.contains("old")), "{:?}", loaded.warnings);
}

#[test]
fn it_has_every_key_that_the_program_knows() {
    let unknown = "no_such_key_at_all = 1";
    let text = format!(
        "[mqtt]\n{unknown}\n[store]\n{unknown}\n[page]\n{unknown}\n[provisioning]\n{unknown}\n[accounts.a]\n{unknown}\nprovider = \"keycloak\"\n"
    );
    let error = parse(&text, Path::new("/config.toml")).unwrap_err();
    let lists: Vec<_> = error.lines().filter_map(|line| line.split_once("the keys here are: ")).collect();
    assert_eq!(lists.len(), 5, "{error}");
    for key in lists.iter().flat_map(|(_, keys)| keys.split(", ")) {
        let is_there = CONFIG.lines().any(|line| line.starts_with(&format!("#{key} = ")));
        let is_explained = CONFIG.lines().any(|line| line.starts_with("# ") && line.contains(&format!("`{key}`")));
        // What is peculiar to a provider has a page of its own, which comes with the package.
        let has_row = PROVIDER_FILES.contains(&format!("\n| `{key}` |"));
        // Which of them a provider needs, `oauth2mqtt providers` says.
        let is_parameter = ["realm", "host", "domain"].contains(&key);
        assert!(is_there || is_explained || has_row || is_parameter, "{key} is not in systemd/config.toml");
    }
}
