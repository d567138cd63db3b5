//! Certificates that an administrator has named one by one.
//!
//! The usual manuals for brokers make a self-signed certificate that no authority would: of version 1, without names, or marked
//! as an authority itself. Where exactly that certificate is named, nothing that it says about itself matters: the server proves
//! that it has the key.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// The tags of DER (X.690) that lead to the public key of a certificate.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const BIT_STRING: u8 = 0x03;

/// Accepts certificates that were named, and those by an authority that was.
#[derive(Debug)]
pub(super) struct NamedCertificates {
    named: Vec<CertificateDer<'static>>,
    by_authority: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl NamedCertificates {
    pub(super) fn new(
        named: Vec<CertificateDer<'static>>,
        by_authority: Option<Arc<WebPkiServerVerifier>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { named, by_authority, algorithms }
    }

    fn is_named(&self, certificate: &CertificateDer<'_>) -> bool {
        self.named.iter().any(|named| named == certificate)
    }

    /// Checks a signature of the handshake. The library does not read certificates of version 1, so the key is found here.
    fn signed(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let bad = |reason| Error::InvalidCertificate(reason);
        let parts = CertificateParts::read(certificate).ok_or_else(|| bad(CertificateError::BadEncoding))?;
        let candidates = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signature.scheme);
        let mut fitting = candidates
            .flat_map(|(_, algorithms)| algorithms.iter())
            .filter(|algorithm| *algorithm.public_key_alg_id() == *parts.algorithm);
        fitting
            .any(|algorithm| algorithm.verify_signature(parts.key, message, signature.signature()).is_ok())
            .then(HandshakeSignatureValid::assertion)
            .ok_or_else(|| bad(CertificateError::BadSignature))
    }
}

impl ServerCertVerifier for NamedCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.is_named(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.by_authority {
            Some(verifier) => verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.is_named(certificate) {
            return self.signed(message, certificate, signature);
        }
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.is_named(certificate) {
            // Only TLS 1.2 allows these (RFC 8446 4.2.3).
            let is_old = matches!(
                signature.scheme,
                SignatureScheme::RSA_PKCS1_SHA1
                    | SignatureScheme::RSA_PKCS1_SHA256
                    | SignatureScheme::RSA_PKCS1_SHA384
                    | SignatureScheme::RSA_PKCS1_SHA512
                    | SignatureScheme::ECDSA_SHA1_Legacy
            );
            if is_old {
                return Err(Error::InvalidCertificate(CertificateError::BadSignature));
            }
            return self.signed(message, certificate, signature);
        }
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Returns whether a certificate names itself as its issuer.
pub(super) fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    CertificateParts::read(certificate).is_some_and(|parts| parts.issuer == parts.subject)
}

/// The parts of a certificate that are needed (RFC 5280 4.1), of any version.
struct CertificateParts<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    /// The content of the algorithm identifier of the key.
    algorithm: &'a [u8],
    key: &'a [u8],
}

impl<'a> CertificateParts<'a> {
    fn read(certificate: &'a [u8]) -> Option<Self> {
        let (certificate, _) = content(certificate, SEQUENCE)?;
        let (signed, _) = content(certificate, SEQUENCE)?;
        let mut rest = signed;
        if rest.first() == Some(&VERSION) {
            rest = value(rest)?.1;
        }
        let (_serial, rest) = value(rest)?;
        let (_algorithm, rest) = value(rest)?;
        let (issuer, rest) = value(rest)?;
        let (_validity, rest) = value(rest)?;
        let (subject, rest) = value(rest)?;
        let (key_info, _) = content(rest, SEQUENCE)?;
        let (algorithm, rest) = content(key_info, SEQUENCE)?;
        let (key, _) = content(rest, BIT_STRING)?;
        // The first byte says how many bits of the last are unused: none, in a key.
        let key = key.strip_prefix(&[0])?;
        Some(Self { issuer, subject, algorithm, key })
    }
}

/// The content of the value at the start, which must have this tag, and what follows the value.
fn content(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (value, rest) = value(bytes)?;
    let header = value.len() - length(value)?.1;
    (value.first() == Some(&tag)).then_some((value.get(header..)?, rest))
}

/// The value at the start with its tag and length, and what follows it.
fn value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, content) = length(bytes)?;
    bytes.split_at_checked(header.checked_add(content)?)
}

/// The bytes that tag and length take, and those of the content.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*bytes.get(1)?);
    if first < 0x80 {
        return Some((2, first));
    }
    let digits = first - 0x80;
    if !(1..=3).contains(&digits) {
        return None;
    }
    let digits = bytes.get(2..2 + digits)?;
    Some((2 + digits.len(), digits.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_no_certificate() {
        for bad in [&[][..], &[0x30], &[0x30, 0x84, 1, 1, 1, 1], &[0x30, 0x03, 1, 2, 3], &[0x30, 0x82, 0xff, 0xff]] {
            assert!(CertificateParts::read(bad).is_none(), "{bad:?}");
            assert!(!is_self_signed(&CertificateDer::from(bad)));
        }
    }
}
