//! Private keys of clients, as PEM.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};

/// A fresh Ed25519 key.
pub(crate) fn ed25519() -> String {
    pem(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref())
}

/// A fresh P-256 key.
pub(crate) fn p256() -> String {
    pem(EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap().as_ref())
}

/// The RSA key of so many bits from `tests/keys`: ring makes none.
pub(crate) fn rsa(bits: u32) -> String {
    std::fs::read_to_string(format!("{}/tests/keys/rsa-{bits}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn pem(pkcs8: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(pkcs8))
}
