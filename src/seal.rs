//! Seals what is kept, so that a copied disk or backup tells nothing without the key.
//!
//! A sealed record is one byte of format, 24 bytes of nonce, then XChaCha20-Poly1305 over the text; the record's name
//! is authenticated with it, so that one record cannot stand in for another. The nonce is random: at 192 bits a device
//! may write for ever without a repeat, and a restored backup cannot cause one.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The byte that every sealed record of this format starts with.
const FORMAT: u8 = 1;
const NONCE: usize = 24;
/// What the key is for (RFC 5869 3.2), so that the same material may serve other ends as well.
const PURPOSE: &[u8] = b"oauth2mqtt store, records, format 1";
/// What stands before the record's name in the authenticated data.
const DOMAIN: &[u8] = b"oauth2mqtt record\0";

/// The least length of key material, in bytes.
pub const SHORTEST_MATERIAL: usize = 32;

/// The key that seals records; wiped when dropped.
pub struct SealingKey(XChaCha20Poly1305);

/// Why something cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There are fewer than [`SHORTEST_MATERIAL`] bytes to make a key of.
    #[error("a key needs at least {SHORTEST_MATERIAL} bytes")]
    ShortMaterial,
    /// The system gave no random bytes.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// A newer version of this program sealed it.
    #[error("a newer version sealed it (format {0}; this one knows {FORMAT})")]
    NewerFormat(u8),
    /// Another key sealed it, it belongs under another name, or it is damaged; these look all the same.
    #[error("another key sealed it, or it is damaged")]
    Closed,
    /// The text is larger than the cipher can take.
    #[error("it is too large")]
    TooLarge,
}

impl SealingKey {
    /// Derives the key from secret random bytes, by HKDF-SHA256 (RFC 5869).
    ///
    /// # Errors
    /// When the material is too short.
    pub fn derive(material: &[u8]) -> Result<Self, SealError> {
        if material.len() < SHORTEST_MATERIAL {
            return Err(SealError::ShortMaterial);
        }
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, material)
            .expand(PURPOSE, key.as_mut_slice())
            .map_err(|_| SealError::ShortMaterial)?;
        Ok(Self(XChaCha20Poly1305::new(key.as_slice().into())))
    }

    /// Seals `text` as the record `name`.
    ///
    /// # Errors
    /// When the system gives no random numbers, or `text` is larger than 256 GiB.
    pub fn seal(&self, name: &str, text: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let nonce = XNonce::from(nonce);
        let aad = authenticated(name);
        let closed = self.0.encrypt(&nonce, Payload { msg: text, aad: &aad }).map_err(|_| SealError::TooLarge)?;
        let mut sealed = Vec::with_capacity(1 + NONCE + closed.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&closed);
        Ok(sealed)
    }

    /// Opens what [`SealingKey::seal`] made of the record `name`.
    ///
    /// # Errors
    /// When it was sealed with another key, for another name or by a newer version, or is not what it was.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        match sealed.first() {
            Some(&FORMAT) => {}
            Some(&newer) if newer > FORMAT => return Err(SealError::NewerFormat(newer)),
            _ => return Err(SealError::Closed),
        }
        let (nonce, closed) = sealed[1..].split_at_checked(NONCE).ok_or(SealError::Closed)?;
        let aad = authenticated(name);
        self.0
            .decrypt(XNonce::from_slice(nonce), Payload { msg: closed, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| SealError::Closed)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

fn authenticated(name: &str) -> Vec<u8> {
    [DOMAIN, &[FORMAT], name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(fill: u8) -> SealingKey {
        SealingKey::derive(&[fill; 32]).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_again_and_shows_nothing() {
        let sealed = key(1).seal("google", b"refresh-token").unwrap();
        assert!(!sealed.windows(7).any(|bytes| bytes == b"refresh"));
        assert_eq!(key(1).open("google", &sealed).unwrap().as_slice(), b"refresh-token");
        assert_eq!(sealed.len(), 1 + NONCE + 13 + 16);
    }

    #[test]
    fn the_same_text_is_never_sealed_the_same_way_twice() {
        assert_ne!(key(1).seal("a", b"text").unwrap(), key(1).seal("a", b"text").unwrap());
    }

    #[test]
    fn a_record_does_not_open_under_another_name_or_with_another_key() {
        let sealed = key(1).seal("google", b"text").unwrap();
        assert_eq!(key(1).open("github", &sealed).unwrap_err(), SealError::Closed);
        assert_eq!(key(2).open("google", &sealed).unwrap_err(), SealError::Closed);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let sealed = key(1).seal("google", b"text").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(key(1).open("google", &damaged).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(key(1).open("google", &sealed[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut sealed = key(1).seal("google", b"text").unwrap();
        sealed[0] = 9;
        assert_eq!(key(1).open("google", &sealed).unwrap_err(), SealError::NewerFormat(9));
    }

    #[test]
    fn short_material_makes_no_key() {
        assert_eq!(SealingKey::derive(&[1; 31]).unwrap_err(), SealError::ShortMaterial);
        assert_eq!(format!("{:?}", key(1)), "[key]");
    }

    proptest! {
        #[test]
        fn any_text_and_name_come_back(name: String, text: Vec<u8>) {
            let sealed = key(3).seal(&name, &text).unwrap();
            let opened = key(3).open(&name, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), text.as_slice());
        }

        #[test]
        fn no_bytes_make_it_panic(sealed: Vec<u8>) {
            prop_assert!(key(3).open("a", &sealed).is_err());
        }
    }
}
