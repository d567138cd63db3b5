//! The files that an example configuration names, so that the real reader finds them.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;

/// Writes each file that `configuration` names into `folder`: a private key or a service account where one belongs, and
/// otherwise some text.
pub(crate) fn write(folder: &Path, configuration: &str) {
    for line in configuration.lines() {
        let Some((key, value)) = line.split_once('=').filter(|(key, _)| key.trim_end().ends_with("_file")) else {
            continue;
        };
        for name in value.split('"').skip(1).step_by(2) {
            let text = match key.trim() {
                "private_key_file" => private_key(),
                "service_account_file" => service_account(),
                _ => "of no importance\n".to_owned(),
            };
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// A fresh Ed25519 key as PEM.
fn private_key() -> String {
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(key))
}

/// The file of a service account, as Google gives it out.
fn service_account() -> String {
    let members = [
        ("type", "service_account"),
        ("client_email", "meter@plant.iam.gserviceaccount.com"),
        ("private_key", &private_key()),
        ("token_uri", "https://oauth2.googleapis.com/token"),
    ];
    serde_json::to_string(&BTreeMap::from(members)).unwrap()
}
