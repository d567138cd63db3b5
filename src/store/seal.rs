//! Seals what is kept, so that a copied disk or backup tells nothing without the key.
//!
//! A sealed record is one byte of format, one that says for which machines it is sealed, a label of the key material, 24
//! bytes of nonce, XChaCha20-Poly1305 over the floor (see below) and the text, and a checksum. Authenticated with them are
//! the record's name and its serial, so that one record cannot stand in for another, nor an old one for a newer. The
//! nonce is random: at 192 bits a device may write for ever without a repeat, and a restored backup cannot cause one.
//!
//! Nothing in it tells whether a guess of the machine is right but the seal itself, and to try that costs the slow
//! derivation of `machine_key`. So a record for another machine looks like a damaged one, but for the checksum, which
//! needs no key: where it fits, the record is as it was written.
//!
//! The floor is a serial below which no record counts any more. It rises at each sign-out, so that an old record
//! that somebody puts back on the disk undoes none.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::machine_key::MachineKey;
use super::sealed_record::SealedRecord;

/// The byte that every sealed record of this format starts with.
const FORMAT: u8 = 1;
const NONCE: usize = 24;
const LABEL: usize = 8;
/// The length of what stands before the nonce: the format, the binding and the label.
const HEADER: usize = 2 + LABEL;
const CHECKSUM: usize = 8;
const FLOOR: usize = size_of::<u64>();
/// The bindings of a record: to no machine, or to one.
const UNBOUND: u8 = 0;
const BOUND: u8 = 1;
/// The purpose of the key (RFC 5869 3.2), so that the same material may serve other ends as well.
const PURPOSE: &[u8] = b"oauth2mqtt store, records, format 1";
const LABEL_PURPOSE: &[u8] = b"oauth2mqtt store, label of the key, format 1";
/// The beginning of the authenticated data.
const DOMAIN: &[u8] = b"oauth2mqtt record\0";

/// The least length of key material, in bytes.
pub(super) const SHORTEST_MATERIAL: usize = 32;

/// The key that seals records; wiped when dropped.
pub(super) struct SealingKey {
    label: [u8; LABEL],
    unbound: XChaCha20Poly1305,
    /// `None` where nothing tells this machine from others.
    bound: Option<XChaCha20Poly1305>,
    /// For which machines it seals.
    binding: u8,
}

/// The content of a sealed record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsealed {
    /// The serial below which no record counted when this one was sealed.
    pub(super) floor: u64,
    /// The text; wiped when dropped.
    pub(super) text: Zeroizing<Vec<u8>>,
}

/// Reasons why something cannot be sealed or opened.
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
    /// It is as it was written, with this key material, and yet does not open.
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
    /// With the key of a machine it also opens what is bound to that machine; `binds` says that it seals so.
    ///
    /// # Errors
    /// When the material is too short.
    pub(super) fn derive(material: &[u8], machine: Option<&MachineKey>, binds: bool) -> Result<Self, SealError> {
        if material.len() < SHORTEST_MATERIAL {
            return Err(SealError::ShortMaterial);
        }
        let mut label = [0; LABEL];
        expand(None, material, LABEL_PURPOSE, &mut label)?;
        let cipher = |machine| {
            let mut key = Zeroizing::new([0; 32]);
            expand(machine, material, PURPOSE, key.as_mut_slice())?;
            Ok(XChaCha20Poly1305::new(key.as_slice().into()))
        };
        let binding = if binds && machine.is_some() { BOUND } else { UNBOUND };
        Ok(Self { label, unbound: cipher(None)?, bound: machine.map(|it| cipher(Some(it))).transpose()?, binding })
    }

    /// Seals `text` as the record `name`, with this serial and floor.
    ///
    /// # Errors
    /// When the system gives no random numbers, or `text` is larger than 256 GiB.
    pub(super) fn seal(&self, name: &str, serial: u64, floor: u64, text: &[u8]) -> Result<SealedRecord, SealError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let header = [&[FORMAT, self.binding], self.label.as_slice()].concat();
        let cipher = if self.binding == BOUND { self.bound.as_ref() } else { Some(&self.unbound) };
        let aad = authenticated(&header, name, serial);
        let msg = Zeroizing::new([&floor.to_be_bytes(), text].concat());
        let closed = cipher
            .and_then(|cipher| cipher.encrypt(&XNonce::from(nonce), Payload { msg: &msg, aad: &aad }).ok())
            .ok_or(SealError::TooLarge)?;
        let checksum = checksum(&aad, &nonce, &closed);
        Ok(SealedRecord::new(serial, &[&header, nonce.as_slice(), &closed, &checksum].concat()))
    }

    /// Opens what [`SealingKey::seal`] made of the record `name`.
    ///
    /// # Errors
    /// When it was sealed with another key, on another machine, for another name or by a newer version, or is not what
    /// it was.
    pub(super) fn open(&self, name: &str, record: &SealedRecord) -> Result<Unsealed, SealError> {
        let sealed = record.sealed();
        match sealed.first() {
            Some(&FORMAT) => {}
            Some(&newer) if newer > FORMAT => return Err(SealError::NewerFormat(newer)),
            _ => return Err(SealError::Damaged),
        }
        let (header, rest) = sealed.split_at_checked(HEADER).ok_or(SealError::Damaged)?;
        let (nonce, rest) = rest.split_at_checked(NONCE).ok_or(SealError::Damaged)?;
        let (closed, expected) = rest.split_last_chunk::<CHECKSUM>().ok_or(SealError::Damaged)?;
        if header[2..] != self.label {
            return Err(SealError::OtherKey);
        }
        let aad = authenticated(header, name, record.serial());
        let is_as_written = checksum(&aad, nonce, closed) == *expected;
        let cipher = match header[1] {
            _ if !is_as_written => return Err(SealError::Damaged),
            UNBOUND => &self.unbound,
            BOUND => self.bound.as_ref().ok_or(SealError::OtherMachine)?,
            _ => return Err(SealError::Damaged),
        };
        let opened = cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: closed, aad: &aad });
        let failed = if header[1] == BOUND { SealError::OtherMachine } else { SealError::Damaged };
        let mut text = opened.map(Zeroizing::new).map_err(|_| failed)?;
        let floor = text.first_chunk::<FLOOR>().copied().ok_or(SealError::Damaged)?;
        text.drain(..FLOOR);
        Ok(Unsealed { floor: u64::from_be_bytes(floor), text })
    }

    /// Returns whether a record, which this key opens, is sealed for the machines that it should be for.
    #[must_use]
    pub(super) fn is_sealed_as_wanted(&self, record: &SealedRecord) -> bool {
        record.sealed().get(1) == Some(&self.binding)
    }
}

/// The machine is the salt (RFC 5869 3.1).
fn expand(machine: Option<&MachineKey>, material: &[u8], purpose: &[u8], out: &mut [u8]) -> Result<(), SealError> {
    let hkdf = Hkdf::<Sha256>::new(machine.map(MachineKey::expose), material);
    hkdf.expand(purpose, out).map_err(|_| SealError::ShortMaterial)
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

fn authenticated(header: &[u8], name: &str, serial: u64) -> Vec<u8> {
    [DOMAIN, header, &serial.to_be_bytes(), name.as_bytes()].concat()
}

/// Tells a record that is as it was written from one that is not; whoever changes one can write another checksum.
fn checksum(aad: &[u8], nonce: &[u8], closed: &[u8]) -> [u8; CHECKSUM] {
    let all = Sha256::new().chain_update(aad).chain_update(nonce).chain_update(closed).finalize();
    let mut first = [0; CHECKSUM];
    first.copy_from_slice(&all[..CHECKSUM]);
    first
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(fill: u8) -> SealingKey {
        SealingKey::derive(&[fill; 32], None, true).unwrap()
    }

    fn seal(key: &SealingKey, name: &str, text: &[u8]) -> SealedRecord {
        key.seal(name, 7, 3, text).unwrap()
    }

    fn with(record: &SealedRecord, change: impl FnOnce(&mut Vec<u8>)) -> SealedRecord {
        let mut bytes = record.as_bytes().to_vec();
        change(&mut bytes);
        SealedRecord::from_bytes(&bytes)
    }

    #[test]
    fn what_is_sealed_opens_again_and_shows_nothing() {
        let record = seal(&key(1), "google", b"refresh-token");
        assert!(!record.sealed().windows(7).any(|bytes| bytes == b"refresh"));
        let unsealed = key(1).open("google", &record).unwrap();
        assert_eq!((unsealed.floor, unsealed.text.as_slice()), (3, b"refresh-token".as_slice()));
        assert_eq!(record.sealed().len(), HEADER + NONCE + FLOOR + 13 + 16 + CHECKSUM);
    }

    #[test]
    fn the_same_text_is_never_sealed_the_same_way_twice() {
        assert_ne!(seal(&key(1), "a", b"text"), seal(&key(1), "a", b"text"));
    }

    #[test]
    fn a_record_does_not_open_under_another_name_or_with_another_key_or_serial() {
        let record = seal(&key(1), "google", b"text");
        assert_eq!(key(1).open("github", &record).unwrap_err(), SealError::Damaged);
        assert_eq!(key(2).open("google", &record).unwrap_err(), SealError::OtherKey);
        let newer = with(&record, |bytes| bytes[7] += 1);
        assert_eq!(newer.serial(), 8);
        assert_eq!(key(1).open("google", &newer).unwrap_err(), SealError::Damaged);
    }

    #[test]
    fn what_is_sealed_for_one_machine_is_closed_on_another_and_moves_once_it_is_sealed_for_any() {
        let (old, new) = (MachineKey::new([1; 32]), MachineKey::new([2; 32]));
        let key = |machine, binds| SealingKey::derive(&[1; 32], machine, binds).unwrap();
        let record = seal(&key(Some(&old), true), "google", b"text");
        assert!(key(Some(&old), true).open("google", &record).is_ok());
        for (machine, binds) in [(Some(&new), true), (Some(&new), false), (None, false)] {
            assert_eq!(key(machine, binds).open("google", &record).unwrap_err(), SealError::OtherMachine);
        }
        let freed = key(Some(&old), false);
        assert!(!freed.is_sealed_as_wanted(&record));
        let record = seal(&freed, "google", &freed.open("google", &record).unwrap().text);
        assert!(freed.is_sealed_as_wanted(&record));
        let bound = key(Some(&new), true);
        assert!(bound.open("google", &record).is_ok() && !bound.is_sealed_as_wanted(&record));
        let other_key = SealingKey::derive(&[2; 32], Some(&new), true).unwrap();
        assert_eq!(other_key.open("google", &record).unwrap_err(), SealError::OtherKey);
    }

    #[test]
    fn nothing_outside_the_seal_is_derived_from_the_machine() {
        let on = |machine: u8| SealingKey::derive(&[1; 32], Some(&MachineKey::new([machine; 32])), true).unwrap();
        let (here, there) = (seal(&on(1), "a", b"text"), seal(&on(2), "a", b"text"));
        assert_eq!(here.sealed()[..HEADER], there.sealed()[..HEADER]);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let record = seal(&key(1), "google", b"text");
        let length = record.as_bytes().len();
        for bit in 0..length * 8 {
            let damaged = with(&record, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            assert!(key(1).open("google", &damaged).is_err(), "bit {bit}");
        }
        for length in 0..length {
            assert!(key(1).open("google", &with(&record, |bytes| bytes.truncate(length))).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let newer = with(&seal(&key(1), "google", b"text"), |bytes| bytes[8] = 9);
        assert_eq!(key(1).open("google", &newer).unwrap_err(), SealError::NewerFormat(9));
    }

    #[test]
    fn short_material_makes_no_key() {
        assert_eq!(SealingKey::derive(&[1; 31], None, true).unwrap_err(), SealError::ShortMaterial);
        assert_eq!(format!("{:?}", key(1)), "[key]");
    }

    proptest! {
        #[test]
        fn any_text_and_name_come_back(name: String, text: Vec<u8>, serial: u64, floor: u64) {
            let record = key(3).seal(&name, serial, floor, &text).unwrap();
            let opened = key(3).open(&name, &record).unwrap();
            prop_assert_eq!((opened.floor, opened.text.as_slice()), (floor, text.as_slice()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            prop_assert!(key(3).open("a", &SealedRecord::from_bytes(&bytes)).is_err());
        }
    }
}
