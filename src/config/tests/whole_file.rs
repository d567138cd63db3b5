use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::{Environment, load, parse};
use super::{PATH, complaint, errors, github, load_text};
use crate::domain::settings::{BrokerAddress, KeySource};

#[test]
fn an_empty_file_means_the_broker_of_this_device_and_no_accounts() {
    let settings = load_text("").unwrap().settings;
    assert!(matches!(settings.mqtt.address, BrokerAddress::Tcp { host, port: 1883 } if host == "127.0.0.1"));
    assert_eq!(settings.mqtt.base_topic, "oauth2mqtt");
    assert_eq!(settings.mqtt.client_id, "oauth2mqtt");
    assert!(settings.mqtt.login.is_none());
    assert_eq!(settings.store.path, Path::new("/var/lib/oauth2mqtt"));
    assert_eq!(settings.store.key, KeySource::MadeOnce("/var/lib/oauth2mqtt/key".into()));
    assert!(settings.accounts.is_empty());
}

#[test]
fn all_errors_of_a_file_come_at_once_in_the_order_of_its_lines() {
    let text = r#"
[mqtt]
url = "mqtt://broker.lan"
bse_topic = "x"

[acounts.google]
provider = "google"

[accounts.google]
provider = "gogle"
clint_id = 7
scopes = "openid email"
publish = "retain"
"#;
    assert_eq!(
        errors(text),
        r#"/conf/config.toml:3: mqtt.url: plain mqtt:// would send tokens readable through the network
  help: write mqtts://, or allow_plaintext = true in [mqtt] if everybody on that network may read them
/conf/config.toml:4: mqtt.bse_topic: there is no such key
  help: did you mean `base_topic`?
/conf/config.toml:6: acounts: there is no such key
  help: did you mean `accounts`?
/conf/config.toml:9: accounts.google.client_id: this key is missing
  help: register the application at the provider, then write client_id = "…"
/conf/config.toml:10: accounts.google.provider: no provider "gogle" is known
  help: did you mean "google"? `oauth2mqtt providers` lists them; for any other provider, write issuer = "https://…", or describe it in providers.d/NAME.toml
/conf/config.toml:11: accounts.google.clint_id: there is no such key
  help: did you mean `client_id`?
/conf/config.toml:12: accounts.google.scopes: this takes a list of texts, and a text stands here
  help: write it as scopes = ["one", "two"]
/conf/config.toml:13: accounts.google.publish: there is no value "retain"
  help: did you mean "retained"? The values are: retained, on_request"#
    );
}

#[test]
fn what_is_not_toml_is_named_line_by_line() {
    assert_eq!(
        errors("[mqtt]\nurl = mqtt://x\n\n[mqtt]\n"),
        r#"/conf/config.toml:2: this is not TOML: string values must be quoted, expected literal string
  help: correct this line; texts stand in double quotes, as in client_id = "abc"
/conf/config.toml:4: this is not TOML: duplicate key
  help: write each section once, and each key once in its section"#
    );
}

#[test]
fn a_broken_line_with_a_secret_in_it_is_not_repeated() {
    for line in ["client_secret = hunter2", "client_secret = \"hunter2", "client_secret \"hunter2\"", "= hunter2"] {
        let errors = errors(&github(line));
        assert!(errors.starts_with("/conf/config.toml:4: this is not TOML") && !errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_key_like_no_other_gets_the_list_of_keys() {
    assert_eq!(
        errors("[store]\nengine = \"sled\"\n"),
        "/conf/config.toml:2: store.engine: there is no such key\n  help: the keys here are: path, key_file, bind_to_machine"
    );
    assert_eq!(
        errors("client_id = \"x\"\n"),
        "/conf/config.toml:1: client_id: there is no such key\n  help: the keys here are: mqtt, store, accounts, page, gate, provisioning"
    );
}

#[test]
fn a_value_in_place_of_a_section_is_named() {
    assert_eq!(
        errors("mqtt = \"mqtt://127.0.0.1\"\n[[accounts.google]]\n"),
        "/conf/config.toml:1: mqtt: this takes a section, and a text stands here\n  \
         help: write a line [mqtt] and its keys below\n\
         /conf/config.toml:2: accounts.google: this takes a section, and a list stands here\n  \
         help: write a line [accounts.google] and its keys below"
    );
}

#[test]
fn a_missing_file_is_named_with_the_ways_to_name_another() {
    let error = load(Path::new("/conf/other.toml"), &Environment::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/conf/other.toml: there is no such file\n  \
         help: make it with `sudo oauth2mqtt add`, or name another file with --config PATH or the variable OAUTH2MQTT_CONFIG"
    );
}

#[test]
fn a_folder_and_bytes_that_are_no_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path(), &Environment::default()).unwrap_err();
    assert!(error.to_string().contains(": this file cannot be read: Is a directory"), "{error}");

    let file = folder.path().join("config.toml");
    fs::write(&file, b"# one\n# two \xff\n").unwrap();
    let error = load(&file, &Environment::default()).unwrap_err();
    assert!(error.to_string().contains("config.toml:2: this line is not UTF-8 text\n"), "{error}");

    fs::write(&file, "#".repeat(1024 * 1024 + 1)).unwrap();
    let error = load(&file, &Environment::default()).unwrap_err();
    assert!(error.to_string().contains(": this file is larger than 1 MiB\n"), "{error}");
}

#[test]
fn of_several_state_folders_the_first_is_taken() {
    let path = |text: &str| Some(PathBuf::from(text));
    let environment = |credentials: &str, state: &str| {
        Environment::from_variables(Some(OsString::from(credentials)), Some(OsString::from(state)))
    };
    let both = environment("/run/credentials/x", "/var/lib/a:/var/lib/b");
    assert_eq!(
        both,
        Environment { credentials_directory: path("/run/credentials/x"), state_directory: path("/var/lib/a") }
    );
    assert_eq!(environment("", ""), Environment::default());
    assert_eq!(Environment::from_variables(None, None), Environment::default());
}

#[test]
fn the_store_is_where_systemd_or_the_file_says() {
    let environment = Environment { state_directory: Some("/var/lib/mine".into()), ..Environment::default() };
    let store = |text| parse(text, Path::new(PATH), &environment).unwrap().settings.store;
    assert_eq!(store("").path, Path::new("/var/lib/mine"));
    assert_eq!(store("").key, KeySource::MadeOnce("/var/lib/mine/key".into()));
    assert_eq!(store("[store]\npath = \"here\"\n").path, Path::new("/conf/here"));
    assert_eq!(store("[store]\npath = \"/there\"\n").key, KeySource::MadeOnce("/there/key".into()));
    assert_eq!(complaint("[store]\npath = \"\"\n"), "2: store.path: this is no name of a folder");
    assert_eq!(complaint("[store]\nkey = \"hunter2\"\n"), "2: store.key: the key must not stand in this file");
}

/// Lines that are close to right ones, in any order and number.
fn almost_a_configuration() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("[mqtt]"),
        Just("[accounts.a]"),
        Just("[accounts.b.params]"),
        Just("[[accounts.a]]"),
        Just("[store]"),
        Just("url"),
        Just("provider"),
        Just("issuer"),
        Just("token_endpoint"),
        Just("client_id"),
        Just("client_secret_file"),
        Just("client_auth"),
        Just("realm"),
        Just("domain"),
        Just("scopes"),
        Just("grant"),
        Just("params.x"),
        Just("base_topic"),
        Just("ca_file"),
        Just("username"),
        Just("path"),
    ];
    let value = prop_oneof![
        Just("\"keycloak\"".to_owned()),
        Just("\"auth0\"".to_owned()),
        Just("\"https://a.example\"".to_owned()),
        Just("\"mqtts://a\"".to_owned()),
        Just("[\"a\", 1]".to_owned()),
        Just("{ a = \"b\" }".to_owned()),
        "\"[^\"\\\\\\p{Cc}]{0,12}\"",
        "\\PC{0,8}",
    ];
    let line =
        (name, value).prop_map(
            |(name, value)| {
                if name.starts_with('[') { format!("{name}\n") } else { format!("{name} = {value}\n") }
            },
        );
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in prop_oneof![".{0,200}", almost_a_configuration()]) {
        if let Err(error) = parse(&text, Path::new(PATH), &Environment::default()) {
            prop_assert!(!error.diagnostics.is_empty());
            for diagnostic in &error.diagnostics {
                let shown = format!("{} {} {}", diagnostic.key, diagnostic.message, diagnostic.help);
                prop_assert!(crate::domain::text::is_printable(&shown), "{shown:?}");
            }
        }
    }
}
