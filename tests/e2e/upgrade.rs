//! Stores of earlier versions open in this one, and records of later versions stay unchanged.
//!
//! `tests/fixtures` has a folder for each version that changed a format: a configuration and the store of a device that is signed
//! in. RELEASING.md says when to add one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::files_below;
use crate::support::world::{Client, Setup, World};

/// The port of the provider of the fixtures, which is part of the fingerprint of their tokens. Nothing listens there in the tests.
const PROVIDER_PORT: u16 = 47_631;

/// Placeholders in a fixture's configuration.
const BROKER: &str = "mqtt://127.0.0.1:1883";
const STORE: &str = "/var/lib/oauth2mqtt";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, &target).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn broker_url(world: &World) -> String {
    format!("mqtt://127.0.0.1:{}", world.broker.port())
}

/// A device with the files of that version, before the agent's first start.
fn left_by(version: &str) -> World {
    let fixture = fixtures().join(version);
    let world = Setup::new().without_agent();
    copy(&fixture.join("store"), &world.store());
    let config = fs::read_to_string(fixture.join("config.toml")).unwrap();
    let config = config.replace(BROKER, &broker_url(&world)).replace(STORE, &world.store().display().to_string());
    fs::write(world.config(), config).unwrap();
    world
}

/// The database, as the agent opens it.
fn database(world: &World) -> sled::Db {
    sled::Config::new().path(world.store().join("sled")).segment_size(128 * 1_024).open().unwrap()
}

fn sealed_records(world: &World) -> Vec<(Vec<u8>, Vec<u8>)> {
    let database = database(world);
    database.iter().map(|entry| entry.map(|(name, record)| (name.to_vec(), record.to_vec())).unwrap()).collect()
}

#[test]
fn what_each_earlier_version_left_opens_and_stays_signed_in() {
    let mut versions: Vec<_> = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    versions.sort();
    assert!(!versions.is_empty());
    for version in versions {
        let mut world = left_by(version.to_str().unwrap());
        let ended = world.cli(&["check"]);
        assert_eq!(ended.code(), 0, "{version:?}: {ended:?}");
        world.start_agent();
        // The token may be too old; the sign-in is not.
        let status = world.wait("garden", "status", |status| status["user"] == "ann@example.com").json;
        assert_eq!(status["needs_user"], json!(false), "{version:?}: {status}");
        assert!(status["signed_in_at"].is_i64(), "{version:?}: {status}");
        assert_eq!(status["scope"], json!("openid email offline_access"), "{version:?}");
        let status = world.wait("shed", "status", |_| true).json;
        assert_eq!(status["error"], Value::Null, "{version:?}: {status}");
    }
}

#[test]
fn what_a_later_version_sealed_is_named_and_left_as_it_is() {
    let mut world = left_by("0.1.0");
    {
        let database = database(&world);
        let mut record = database.get("garden").unwrap().unwrap().to_vec();
        // The serial comes first; a higher one makes this the newer of the two copies. The format of the encryption follows.
        let serial = u64::from_be_bytes(record[..8].try_into().unwrap());
        record[..8].copy_from_slice(&(serial + 1_000).to_be_bytes());
        record[8] += 1;
        database.insert("garden", record).unwrap();
        database.flush().unwrap();
    }
    let before = sealed_records(&world);
    world.start_agent();
    let status = world.wait("garden", "status", |status| status["error"] != Value::Null).json;
    assert_eq!(status["error"]["code"], json!("record_unreadable"), "{status}");
    let message = status["error"]["message"].as_str().unwrap();
    assert!(message.contains("a newer version sealed it"), "{message}");
    world.stop_agent();
    assert_eq!(sealed_records(&world), before);
}

#[test]
#[ignore = "writes the fixture of this version; see RELEASING.md"]
fn make_the_fixture() {
    let fixture = fixtures().join(env!("CARGO_PKG_VERSION"));
    assert!(!fixture.exists(), "{} is there, and is never written anew", fixture.display());
    let account = "identity = true\nscopes = [\"openid\", \"email\", \"offline_access\"]";
    let mut world = Setup::new()
        .provider("port", PROVIDER_PORT)
        .token_life(3_600)
        .sections("bind_to_machine = false")
        .account_with("garden", Client::Public, account)
        .account_with("shed", Client::Public, account)
        .start();
    world.sign_in_as("garden", "ann");
    world.wait_for_state("garden", "active");
    world.stop_agent();
    copy(&world.store(), &fixture.join("store"));
    let config =
        world.config_text().replace(&broker_url(&world), BROKER).replace(&world.store().display().to_string(), STORE);
    fs::write(fixture.join("config.toml"), config).unwrap();
}
