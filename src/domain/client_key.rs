//! The private key by which a client authenticates in place of a secret (RFC 7523).

use std::fmt;
use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::domain::secret::Secret;

/// A key that signs, and the name that the provider knows it by.
#[derive(Clone)]
pub struct ClientKey {
    pair: Arc<Pair>,
    /// The `kid` of its public half in the registration, where there is one.
    pub id: Option<String>,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a file holds no usable key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It is no PEM file with an unencrypted private key in it.
    #[error("it is no PEM file with a private key without a passphrase")]
    NoKey,
    /// The key is of a kind that is not supported.
    #[error("its key is none of RSA (2048 bits or more), P-256 and Ed25519")]
    Kind,
    /// The system gives no random numbers, or the key does not sign.
    #[error("the key does not sign")]
    NoSignature,
}

impl ClientKey {
    /// Reads a PEM file: PKCS #8 for all kinds, and PKCS #1 for RSA as well.
    ///
    /// # Errors
    /// When it holds no usable key.
    pub fn from_pem(pem: &Secret, id: Option<String>) -> Result<Self, InvalidKey> {
        let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| InvalidKey::NoKey)?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok().map(Pair::Rsa),
            PrivateKeyDer::Pkcs8(der) => pkcs8(der.secret_pkcs8_der()),
            _ => None,
        };
        Ok(Self { pair: Arc::new(pair.ok_or(InvalidKey::Kind)?), id })
    }

    /// The name of its algorithm (RFC 7518 3.1, RFC 8037 3.1).
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match *self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// The signature over `message`, as JWS writes it (RFC 7518 3.3 and 3.4).
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, InvalidKey> {
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| InvalidKey::NoSignature)?;
                Ok(signature)
            }
            Pair::P256(pair) => {
                let signature = pair.sign(&random, message).map_err(|_| InvalidKey::NoSignature)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

/// Two are the same if their public halves and names are.
impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.pair.public_half() == other.pair.public_half()
    }
}

impl Pair {
    fn public_half(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::P256(pair) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }
}

fn pkcs8(der: &[u8]) -> Option<Pair> {
    let ecdsa = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new()).ok();
    // Without the public half too, as openssl writes it.
    let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok();
    let rsa = RsaKeyPair::from_pkcs8(der).ok().map(Pair::Rsa);
    rsa.or_else(|| ecdsa().map(Pair::P256)).or_else(|| ed25519().map(Pair::Ed25519))
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} key]", self.algorithm())
    }
}
