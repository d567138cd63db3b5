//! Seals what is kept, so that a copied disk or backup tells nothing without the key.
//!
//! A sealed record is one byte of format, a label of the key material, a label of the machine, 24 bytes of nonce, then
//! XChaCha20-Poly1305 over the text. The record's name is authenticated with it, so that one record cannot stand in for
//! another. The nonce is random: at 192 bits a device may write for ever without a repeat, and a restored backup cannot
//! cause one. The labels tell another key, another machine and damage apart; they are derived one way, like the key.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::store::machine::Machine;

/// The byte that every sealed record of this format starts with.
const FORMAT: u8 = 1;
const NONCE: usize = 24;
const LABEL: usize = 8;
/// Where the nonce begins: after the format and two labels.
const HEADER: usize = 1 + 2 * LABEL;
/// What the key is for (RFC 5869 3.2), so that the same material may serve other ends as well.
const PURPOSE: &[u8] = b"oauth2mqtt store, records, format 1";
const LABEL_PURPOSE: &[u8] = b"oauth2mqtt store, label of the key, format 1";
/// What stands before the record's name in the authenticated data.
const DOMAIN: &[u8] = b"oauth2mqtt record\0";

/// The least length of key material, in bytes.
pub(super) const SHORTEST_MATERIAL: usize = 32;

/// The key that seals records; wiped when dropped.
pub(super) struct SealingKey {
    label: Label,
    seals: Variant,
    opens_too: Option<Variant>,
}

/// For which machines a record is sealed.
#[derive(Clone, Copy, Debug)]
pub(super) enum SealedFor<'a> {
    /// For this one alone. What was sealed for any machine opens as well, and is to be sealed again.
    This(&'a Machine),
    /// For any machine that has the key material. What was sealed for this one, if it is known, opens as well.
    Any(Option<&'a Machine>),
}

/// The key as it is for one machine, or for any.
struct Variant {
    label: Label,
    cipher: XChaCha20Poly1305,
}

type Label = [u8; LABEL];

/// Why something cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    /// There are fewer than [`SHORTEST_MATERIAL`] bytes to make a key of.
    #[error("a key needs at least {SHORTEST_MATERIAL} bytes")]
    ShortMaterial,
    /// The system gave no random bytes.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// A newer version of this program sealed it.
    #[error("a newer version sealed it (format {0}; this one knows {FORMAT})")]
    NewerFormat(u8),
    /// It was sealed with other key material.
    #[error("another key sealed it")]
    OtherKey,
    /// It was sealed with this key material, for another machine.
    #[error("it was sealed on another device")]
    OtherMachine,
    /// It belongs under another name, or is not what it was; these look the same.
    #[error("it is damaged, or belongs to another account")]
    Damaged,
    /// The text is larger than the cipher can take.
    #[error("it is too large")]
    TooLarge,
}

impl SealingKey {
    /// Derives the key from secret random bytes, by HKDF-SHA256 (RFC 5869).
    ///
    /// # Errors
    /// When the material is too short.
    pub(super) fn derive(material: &[u8], sealed_for: SealedFor<'_>) -> Result<Self, SealError> {
        if material.len() < SHORTEST_MATERIAL {
            return Err(SealError::ShortMaterial);
        }
        let mut label = [0; LABEL];
        expand(None, material, LABEL_PURPOSE, &mut label)?;
        let any = || Variant::derive(material, None);
        let this = |machine| Variant::derive(material, Some(machine));
        let (seals, opens_too) = match sealed_for {
            SealedFor::This(machine) => (this(machine)?, Some(any()?)),
            SealedFor::Any(machine) => (any()?, machine.map(this).transpose()?),
        };
        Ok(Self { label, seals, opens_too })
    }

    /// Seals `text` as the record `name`.
    ///
    /// # Errors
    /// When the system gives no random numbers, or `text` is larger than 256 GiB.
    pub(super) fn seal(&self, name: &str, text: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let nonce = XNonce::from(nonce);
        let header = [&[FORMAT], self.label.as_slice(), &self.seals.label].concat();
        let aad = authenticated(&header, name);
        let payload = Payload { msg: text, aad: &aad };
        let closed = self.seals.cipher.encrypt(&nonce, payload).map_err(|_| SealError::TooLarge)?;
        Ok([&header, nonce.as_slice(), &closed].concat())
    }

    /// Opens what [`SealingKey::seal`] made of the record `name`.
    ///
    /// # Errors
    /// When it was sealed with another key, on another machine, for another name or by a newer version, or is not what
    /// it was.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        match sealed.first() {
            Some(&FORMAT) => {}
            Some(&newer) if newer > FORMAT => return Err(SealError::NewerFormat(newer)),
            _ => return Err(SealError::Damaged),
        }
        let (header, rest) = sealed.split_at_checked(HEADER).ok_or(SealError::Damaged)?;
        let (nonce, closed) = rest.split_at_checked(NONCE).ok_or(SealError::Damaged)?;
        let (key, machine) = header[1..].split_at(LABEL);
        if key != self.label {
            return Err(SealError::OtherKey);
        }
        let mut variants = [Some(&self.seals), self.opens_too.as_ref()].into_iter().flatten();
        let variant = variants.find(|variant| variant.label == machine).ok_or(SealError::OtherMachine)?;
        let aad = authenticated(header, name);
        variant
            .cipher
            .decrypt(XNonce::from_slice(nonce), Payload { msg: closed, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| SealError::Damaged)
    }

    /// Whether `sealed`, which this key opens, is sealed for the machines that it should be for.
    #[must_use]
    pub(super) fn is_sealed_as_wanted(&self, sealed: &[u8]) -> bool {
        sealed.get(1 + LABEL..HEADER) == Some(self.seals.label.as_slice())
    }
}

impl Variant {
    fn derive(material: &[u8], machine: Option<&Machine>) -> Result<Self, SealError> {
        let mut derived = Zeroizing::new([0; 32 + LABEL]);
        expand(machine, material, PURPOSE, derived.as_mut_slice())?;
        let (key, rest) = derived.split_at(32);
        let mut label = [0; LABEL];
        label.copy_from_slice(rest);
        Ok(Self { label, cipher: XChaCha20Poly1305::new(key.into()) })
    }
}

/// The machine is the salt (RFC 5869 3.1), which need not be secret.
fn expand(machine: Option<&Machine>, material: &[u8], purpose: &[u8], out: &mut [u8]) -> Result<(), SealError> {
    let hkdf = Hkdf::<Sha256>::new(machine.map(Machine::hash), material);
    hkdf.expand(purpose, out).map_err(|_| SealError::ShortMaterial)
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

fn authenticated(header: &[u8], name: &str) -> Vec<u8> {
    [DOMAIN, header, name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(fill: u8) -> SealingKey {
        SealingKey::derive(&[fill; 32], SealedFor::Any(None)).unwrap()
    }

    fn machine(id: &str) -> Machine {
        let root = tempfile::TempDir::new().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/machine-id"), id).unwrap();
        Machine::below(root.path()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_again_and_shows_nothing() {
        let sealed = key(1).seal("google", b"refresh-token").unwrap();
        assert!(!sealed.windows(7).any(|bytes| bytes == b"refresh"));
        assert_eq!(key(1).open("google", &sealed).unwrap().as_slice(), b"refresh-token");
        assert_eq!(sealed.len(), HEADER + NONCE + 13 + 16);
    }

    #[test]
    fn the_same_text_is_never_sealed_the_same_way_twice() {
        assert_ne!(key(1).seal("a", b"text").unwrap(), key(1).seal("a", b"text").unwrap());
    }

    #[test]
    fn a_record_does_not_open_under_another_name_or_with_another_key() {
        let sealed = key(1).seal("google", b"text").unwrap();
        assert_eq!(key(1).open("github", &sealed).unwrap_err(), SealError::Damaged);
        assert_eq!(key(2).open("google", &sealed).unwrap_err(), SealError::OtherKey);
    }

    #[test]
    fn what_is_sealed_for_one_machine_is_closed_on_another_and_moves_once_it_is_sealed_for_any() {
        let (old, new) = (machine("0123456789abcdef0123456789abcdef"), machine("1123456789abcdef0123456789abcdef"));
        let key = |sealed_for| SealingKey::derive(&[1; 32], sealed_for).unwrap();
        let sealed = key(SealedFor::This(&old)).seal("google", b"text").unwrap();
        assert!(key(SealedFor::This(&old)).open("google", &sealed).is_ok());
        for elsewhere in [SealedFor::This(&new), SealedFor::Any(Some(&new)), SealedFor::Any(None)] {
            assert_eq!(key(elsewhere).open("google", &sealed).unwrap_err(), SealError::OtherMachine);
        }
        let freed = key(SealedFor::Any(Some(&old)));
        assert!(!freed.is_sealed_as_wanted(&sealed));
        let text = freed.open("google", &sealed).unwrap();
        let sealed = freed.seal("google", &text).unwrap();
        assert!(freed.is_sealed_as_wanted(&sealed));
        let bound = key(SealedFor::This(&new));
        assert!(bound.open("google", &sealed).is_ok() && !bound.is_sealed_as_wanted(&sealed));
        let other_key = SealingKey::derive(&[2; 32], SealedFor::This(&new)).unwrap();
        assert_eq!(other_key.open("google", &sealed).unwrap_err(), SealError::OtherKey);
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
        assert_eq!(SealingKey::derive(&[1; 31], SealedFor::Any(None)).unwrap_err(), SealError::ShortMaterial);
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
