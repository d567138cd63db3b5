//! Every configuration in the documentation, read by the reader of the program.

use oauth2mqtt::testing::config::{self, Environment};

use crate::example_files;
use crate::page::{self, Page};

#[test]
fn every_configuration_is_good_and_gives_no_warning() {
    let mut read = 0;
    for page in page::all() {
        for block in page.blocks("toml") {
            let folder = tempfile::tempdir().unwrap();
            example_files::write(folder.path(), &block.text);
            let path = folder.path().join("config.toml");
            let loaded = config::parse(&block.text, &path, &Environment::default())
                .unwrap_or_else(|error| panic!("{}:\n{}\n{error}", page.path, block.text));
            assert!(loaded.warnings.is_empty(), "{}:\n{}\n{:?}", page.path, block.text, loaded.warnings);
            read += 1;
        }
    }
    assert!(read >= 8, "{read}");
}

#[test]
fn the_reference_has_every_key() {
    let unknown = "no_such_key_at_all = 1";
    let text = format!(
        "[mqtt]\n{unknown}\n[store]\n{unknown}\n[page]\n{unknown}\n[provisioning]\n{unknown}\n[accounts.a]\n{unknown}\nprovider = \"keycloak\"\n"
    );
    let error = config::parse(&text, "/config.toml".as_ref(), &Environment::default()).unwrap_err().to_string();
    let lists: Vec<_> = error.lines().filter_map(|line| line.split_once("the keys here are: ")).collect();
    assert_eq!(lists.len(), 5, "{error}");
    let reference = Page::read("docs/configuration.md").inline_code();
    for key in lists.iter().flat_map(|(_, keys)| keys.split(", ")) {
        assert!(reference.iter().any(|code| code == key), "docs/configuration.md does not describe {key}");
    }
}
