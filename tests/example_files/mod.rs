//! The files that an example configuration names, so that the real reader finds them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;

/// Writes each file that `configuration` names into `folder`: a private key where one belongs, and otherwise some text.
pub(crate) fn write(folder: &Path, configuration: &str) {
    for line in configuration.lines() {
        let Some((key, value)) = line.split_once('=').filter(|(key, _)| key.trim_end().ends_with("_file")) else {
            continue;
        };
        for name in value.split('"').skip(1).step_by(2) {
            let text = if key.contains("private_key") { private_key() } else { "of no importance\n".to_owned() };
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
