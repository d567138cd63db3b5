//! The private key by which a client authenticates in place of a secret (RFC 7523).

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::domain::profile::SigningAlgorithm;
use crate::domain::secret::Secret;

/// A key that signs, and the names that the provider knows it by.
#[derive(Clone)]
pub struct ClientKey {
    pair: Arc<Pair>,
    /// The `kid` of its public half in the registration, where there is one.
    pub id: Option<String>,
    /// The thumbprints of the certificate that was registered in place of the public half alone.
    pub(crate) certificate: Option<Thumbprints>,
}

/// The thumbprints of a certificate, as the header of an assertion has them (RFC 7515 4.1.7 and 4.1.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thumbprints {
    /// By SHA-1, as `x5t`.
    pub(crate) sha1: String,
    /// By SHA-256, as `x5t#S256`.
    pub(crate) sha256: String,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a file holds no usable key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It is no PEM file with an unencrypted private key in it.
    #[error("it is no PEM file with a private key without a passphrase")]
    NoKey,
    /// The key is of a kind that is not supported.
    #[error("its key is none of RSA (2048 bits or more), P-256, P-384 and Ed25519")]
    Kind,
    /// The algorithm is not one of this kind of key.
    #[error("its key does not sign with this algorithm")]
    Algorithm,
    /// The system gives no random numbers, or the key does not sign.
    #[error("the key does not sign")]
    NoSignature,
    /// It is no PEM file with a certificate in it.
    #[error("it is no PEM file with a certificate")]
    NoCertificate,
    /// The certificate is for another key.
    #[error("its certificate is for another key")]
    OtherCertificate,
}

impl ClientKey {
    /// Reads a PEM file: PKCS #8 for all kinds, PKCS #1 for RSA and SEC 1 for P-256 and P-384 as well.
    ///
    /// # Errors
    /// When it holds no usable key.
    pub fn from_pem(pem: &Secret, id: Option<String>) -> Result<Self, InvalidKey> {
        let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| InvalidKey::NoKey)?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok().map(Pair::Rsa),
            PrivateKeyDer::Pkcs8(der) => pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(der) => sec1(der.secret_sec1_der()),
            _ => None,
        };
        Ok(Self { pair: Arc::new(pair.ok_or(InvalidKey::Kind)?), id, certificate: None })
    }

    /// The same key with the certificate that was registered for it, the first of a PEM file.
    ///
    /// # Errors
    /// When there is no certificate in it, or one for another key.
    pub(crate) fn with_certificate(self, pem: &[u8]) -> Result<Self, InvalidKey> {
        let (certificate, thumbprints) = Thumbprints::of(pem)?;
        let public = self.pair.public_half();
        // A certificate holds the public half byte for byte (RFC 5280 4.1.2.7), and nothing else of its length.
        if !certificate.windows(public.len()).any(|window| window == public) {
            return Err(InvalidKey::OtherCertificate);
        }
        Ok(Self { certificate: Some(thumbprints), ..self })
    }

    /// The algorithm that it signs with where none is chosen (RFC 7518 3.1, RFC 8037 3.1).
    #[must_use]
    pub(crate) fn usual_algorithm(&self) -> SigningAlgorithm {
        match *self.pair {
            Pair::Rsa(_) => SigningAlgorithm::Rs256,
            Pair::P256(_) => SigningAlgorithm::Es256,
            Pair::P384(_) => SigningAlgorithm::Es384,
            Pair::Ed25519(_) => SigningAlgorithm::EdDsa,
        }
    }

    /// Returns whether it can sign with this algorithm.
    #[must_use]
    pub(crate) fn signs_with(&self, algorithm: SigningAlgorithm) -> bool {
        match *self.pair {
            Pair::Rsa(_) => rsa(algorithm).is_some(),
            Pair::P256(_) | Pair::P384(_) | Pair::Ed25519(_) => algorithm == self.usual_algorithm(),
        }
    }

    /// The signature over `message`, as JWS writes it (RFC 7518 3.3 to 3.5).
    ///
    /// # Errors
    /// When the algorithm is not one of this kind of key, or the system gives no random numbers.
    pub(crate) fn sign(&self, algorithm: SigningAlgorithm, message: &[u8]) -> Result<Vec<u8>, InvalidKey> {
        if !self.signs_with(algorithm) {
            return Err(InvalidKey::Algorithm);
        }
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let encoding = rsa(algorithm).ok_or(InvalidKey::Algorithm)?;
                pair.sign(encoding, &random, message, &mut signature).map_err(|_| InvalidKey::NoSignature)?;
                Ok(signature)
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                let signature = pair.sign(&random, message).map_err(|_| InvalidKey::NoSignature)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl Thumbprints {
    /// Those of the first certificate in a PEM file, with that certificate.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn of(pem: &[u8]) -> Result<(CertificateDer<'static>, Self), InvalidKey> {
        let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| InvalidKey::NoCertificate)?;
        let thumbprint = |algorithm| URL_SAFE_NO_PAD.encode(digest(algorithm, &certificate));
        let thumbprints = Self { sha1: thumbprint(&SHA1_FOR_LEGACY_USE_ONLY), sha256: thumbprint(&SHA256) };
        Ok((certificate, thumbprints))
    }
}

/// Two are the same if their public halves and names are.
impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.certificate == other.certificate
            && self.pair.public_half() == other.pair.public_half()
    }
}

impl Pair {
    fn public_half(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::P256(pair) | Self::P384(pair) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }
}

fn rsa(algorithm: SigningAlgorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        SigningAlgorithm::Rs256 => &RSA_PKCS1_SHA256,
        SigningAlgorithm::Rs384 => &RSA_PKCS1_SHA384,
        SigningAlgorithm::Rs512 => &RSA_PKCS1_SHA512,
        SigningAlgorithm::Ps256 => &RSA_PSS_SHA256,
        SigningAlgorithm::Ps384 => &RSA_PSS_SHA384,
        SigningAlgorithm::Ps512 => &RSA_PSS_SHA512,
        SigningAlgorithm::Es256 | SigningAlgorithm::Es384 | SigningAlgorithm::EdDsa => return None,
    })
}

fn pkcs8(der: &[u8]) -> Option<Pair> {
    let ecdsa = |curve: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::from_pkcs8(curve, der, &SystemRandom::new()).ok();
    // Without the public half too, as openssl writes it.
    let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok();
    let rsa = RsaKeyPair::from_pkcs8(der).ok().map(Pair::Rsa);
    rsa.or_else(|| ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::P256))
        .or_else(|| ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Pair::P384))
        .or_else(|| ed25519().map(Pair::Ed25519))
}

/// Wraps a key of SEC 1 as PKCS #8 has it (RFC 5958 2, RFC 5480 2.1.1), once for each curve.
fn sec1(der: &[u8]) -> Option<Pair> {
    const EC_P256: &[u8] = b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    const EC_P384: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
    const VERSION: &[u8] = b"\x02\x01\x00";
    const OCTET_STRING: u8 = 0x04;
    const SEQUENCE: u8 = 0x30;
    let tagged = |tag: u8, parts: [&[u8]; 3]| {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        // Two bytes of length are allowed for any that needs one; readers of DER want the shortest form.
        let [_, .., high, low] = length.to_be_bytes();
        let mut whole = Zeroizing::new(Vec::with_capacity(length + 4));
        whole.push(tag);
        match length {
            0..0x80 => whole.push(low),
            0x80..0x100 => whole.extend([0x81, low]),
            _ => whole.extend([0x82, high, low]),
        }
        for part in parts {
            whole.extend_from_slice(part);
        }
        whole
    };
    let key = tagged(OCTET_STRING, [der, &[], &[]]);
    [EC_P256, EC_P384].into_iter().find_map(|curve| pkcs8(&tagged(SEQUENCE, [VERSION, curve, &key])))
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} key]", self.usual_algorithm().name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::keys;

    fn file(name: &str) -> String {
        std::fs::read_to_string(format!("{}/tests/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn read(pem: &str) -> Result<ClientKey, InvalidKey> {
        ClientKey::from_pem(&Secret::new(pem.to_owned()), None)
    }

    #[test]
    fn keys_are_read_in_every_usual_form_of_pem() {
        assert!(file("rsa-2048-pkcs1").contains("BEGIN RSA PRIVATE KEY"));
        assert!(
            file("p256-sec1").contains("BEGIN EC PARAMETERS") && file("p384-sec1").contains("BEGIN EC PRIVATE KEY")
        );
        for (pem, name) in [
            (file("rsa-2048"), "RS256"),
            (file("rsa-2048-pkcs1"), "RS256"),
            (file("p256"), "ES256"),
            (file("p256-sec1"), "ES256"),
            (file("p384"), "ES384"),
            (file("p384-sec1"), "ES384"),
            (keys::ed25519(), "EdDSA"),
        ] {
            let key = read(&pem).unwrap();
            assert_eq!(key.usual_algorithm().name(), name);
            assert!(key.sign(key.usual_algorithm(), b"message").is_ok());
        }
        assert_eq!(read(&file("p256-sec1")).unwrap(), read(&file("p256")).unwrap());
        assert_eq!(read(&file("p384-sec1")).unwrap(), read(&file("p384")).unwrap());
        assert_eq!(read(&file("x25519")).unwrap_err(), InvalidKey::Kind);
        assert_eq!(read("hunter2").unwrap_err(), InvalidKey::NoKey);
    }

    #[test]
    fn a_key_signs_with_the_algorithms_of_its_kind_alone() {
        let rsa = read(&keys::rsa(2048)).unwrap();
        for (name, algorithm) in SigningAlgorithm::ALL {
            let is_rsa = name.starts_with(['R', 'P']);
            assert_eq!(rsa.sign(algorithm, b"message").is_ok(), is_rsa, "{name}");
        }
        let ed25519 = read(&keys::ed25519()).unwrap();
        assert_eq!(ed25519.sign(SigningAlgorithm::Es256, b"message").unwrap_err(), InvalidKey::Algorithm);
    }

    #[test]
    fn an_rsa_key_signs_with_the_padding_that_its_algorithm_names() {
        use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
        let rsa = read(&keys::rsa(2048)).unwrap();
        let pkcs1 = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa.pair.public_half());
        let pss = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, rsa.pair.public_half());
        let signature = |algorithm| rsa.sign(algorithm, b"message").unwrap();
        assert!(pkcs1.verify(b"message", &signature(SigningAlgorithm::Rs256)).is_ok());
        assert!(pss.verify(b"message", &signature(SigningAlgorithm::Ps256)).is_ok());
        assert!(pkcs1.verify(b"message", &signature(SigningAlgorithm::Ps256)).is_err());
    }

    #[test]
    fn a_certificate_must_be_for_the_key() {
        let certificate = file("rsa-2048-certificate");
        let key = read(&keys::rsa(2048)).unwrap().with_certificate(certificate.as_bytes()).unwrap();
        assert_eq!(key.certificate.map(|it| (it.sha1.len(), it.sha256.len())), Some((27, 43)));
        let other = read(&file("p256")).unwrap();
        assert_eq!(other.with_certificate(certificate.as_bytes()).unwrap_err(), InvalidKey::OtherCertificate);
        let none = read(&keys::rsa(2048)).unwrap().with_certificate(b"hunter2");
        assert_eq!(none.unwrap_err(), InvalidKey::NoCertificate);
    }
}
