//! The part of the store's key that belongs to the machine.
//!
//! A board's serial number has 32 bits at most that differ, and part of them may stand in logs on the same card. So the
//! machine's key is derived slowly (Argon2id, RFC 9106): each guess costs whoever has a copy of the card as much. The agent pays
//! once per boot; the result is kept in the runtime directory, in memory, so that a restart is quick.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use hkdf::Hkdf;
use rustix::process::geteuid;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::machine::Machine;
use super::mounts;

/// Memory of the derivation in KiB, for as long as it takes. A device with 16 MiB for the agent has room for it.
const MEMORY: u32 = 8 * 1024;
/// Passes over that memory: 36 ms on a PC (measured), about two seconds on a Raspberry Pi Zero (estimated from the count of
/// instructions).
const PASSES: u32 = 12;

const SALT_PURPOSE: &[u8] = b"oauth2mqtt store, salt of the machine, format 1";
const CHECK_PURPOSE: &[u8] = b"oauth2mqtt store, machine in memory, format 1";
const LENGTH: usize = 32;

/// The derived key; wiped when dropped.
pub(super) struct MachineKey(Zeroizing<[u8; LENGTH]>);

impl MachineKey {
    /// Wraps the bytes of a key.
    pub(super) fn new(bytes: [u8; LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Derives the key of `machine` for a store with this key material, or finds what this boot has derived already.
    ///
    /// # Errors
    /// When there is not enough memory for it.
    pub(super) fn obtain(machine: &Machine, material: &[u8]) -> io::Result<Self> {
        let mut salt = [0; LENGTH];
        let mut check = Zeroizing::new([0; LENGTH]);
        let hkdf = |purpose: &[u8], salt: Option<&[u8]>, out: &mut [u8]| {
            Hkdf::<Sha256>::new(salt, material).expand(purpose, out).map_err(other)
        };
        hkdf(SALT_PURPOSE, None, &mut salt)?;
        // Tells whether what is in memory is of this machine and material. On the disk it would confirm a guess.
        hkdf(CHECK_PURPOSE, Some(machine.identity()), check.as_mut_slice())?;
        let kept = machine.runtime_directory().map(|folder| folder.join("machine"));
        if let Some(key) = kept.as_deref().and_then(|path| read(path, &check)) {
            return Ok(key);
        }
        let key = Self(derive(machine.identity(), &salt)?);
        if let Some(path) = kept
            && let Err(error) = keep(&path, &key, &check)
        {
            tracing::debug!(path = %path.display(), %error, "the machine's key is derived anew at each start");
        }
        Ok(key)
    }

    /// Returns the bytes of the key.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for MachineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[machine key]")
    }
}

fn derive(identity: &[u8], salt: &[u8]) -> io::Result<Zeroizing<[u8; LENGTH]>> {
    let params = Params::new(MEMORY, PASSES, 1, Some(LENGTH)).map_err(other)?;
    let mut blocks: Vec<Block> = Vec::new();
    blocks.try_reserve_exact(params.block_count())?;
    blocks.resize(params.block_count(), Block::default());
    let mut key = Zeroizing::new([0; LENGTH]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(identity, salt, key.as_mut_slice(), &mut blocks)
        .map_err(other)?;
    Ok(key)
}

fn other(error: impl fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Reads a kept key, if it is of this machine and nobody but this user can have written it.
fn read(path: &Path, check: &[u8; LENGTH]) -> Option<MachineKey> {
    let mut file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o077 != 0 || !mounts::is_in_memory(&file) {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 2 * LENGTH]);
    file.read_exact(bytes.as_mut_slice()).ok()?;
    let (kept_check, key) = bytes.split_first_chunk::<LENGTH>()?;
    (kept_check == check).then(|| key.first_chunk().copied().map(MachineKey::new)).flatten()
}

/// Keeps the key for the next start in this boot, in a folder that is in memory; anywhere else it would outlive the boot.
fn keep(path: &Path, key: &MachineKey, check: &[u8; LENGTH]) -> io::Result<()> {
    let unfinished: PathBuf = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let folder = File::open(path.parent().unwrap_or(Path::new("/")))?;
    if !mounts::is_in_memory(&folder) {
        return Err(io::Error::other("the runtime directory is not in memory"));
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(check)?;
    file.write_all(key.expose())?;
    fs::rename(&unfinished, path)
}
