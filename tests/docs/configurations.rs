//! Every configuration and every provider file in the documentation, read by the reader of the program.

use std::fs;

use oauth2mqtt::testing::config::{self, Environment};

use crate::example_files;
use crate::known_keys::known_keys;
use crate::page::{self, Page};

#[test]
fn every_configuration_is_good_and_gives_no_warning() {
    let mut read = 0;
    for page in page::all() {
        // The configurations of a page can use the provider files that stand on it before them.
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("providers.d")).unwrap();
        let path = folder.path().join("config.toml");
        for block in page.blocks("toml") {
            let configuration = if let Some(name) = provider_file(&block.text) {
                fs::write(folder.path().join("providers.d").join(name), &block.text).unwrap();
                ""
            } else {
                example_files::write(folder.path(), &block.text);
                &block.text
            };
            let loaded = config::parse(configuration, &path, &Environment::default())
                .unwrap_or_else(|error| panic!("{}:\n{}\n{error}", page.path, block.text));
            assert!(loaded.warnings.is_empty(), "{}:\n{}\n{:?}", page.path, block.text, loaded.warnings);
            read += 1;
        }
    }
    assert!(read >= 8, "{read}");
}

#[test]
fn the_reference_has_every_key() {
    let refusal =
        |text: &str| config::parse(text, "/config.toml".as_ref(), &Environment::default()).unwrap_err().to_string();
    // The keys that say how a provider works are described once, for its file and for an account.
    let page = Page::read("docs/configuration.md");
    assert!(page.text.contains("(provider-files.md#"), "docs/configuration.md does not link to docs/provider-files.md");
    let reference = [page.inline_code(), Page::read("docs/provider-files.md").inline_code()].concat();
    for (_, key) in known_keys(Some("keycloak"), refusal) {
        assert!(reference.contains(&key), "docs/configuration.md does not describe {key}");
    }
}

/// The name of the provider file that a block is, by its first line: `# /etc/oauth2mqtt/providers.d/NAME.toml`.
fn provider_file(block: &str) -> Option<&str> {
    block.lines().next()?.strip_prefix("# /etc/oauth2mqtt/providers.d/")
}
