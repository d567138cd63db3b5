//! Obtains the key of the store.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::error::OpenError;
use super::folder;
use super::machine::Machine;
use super::machine_key::MachineKey;
use super::seal::{SHORTEST_MATERIAL, SealingKey};
use crate::domain::settings::KeySource;

/// The most that is read; no key is as long.
const LONGEST: usize = 64 * 1024;

/// The machine that records are sealed for.
#[derive(Clone, Copy)]
pub(super) struct Binding<'a> {
    /// `None` where nothing tells it from others.
    pub(super) machine: Option<&'a Machine>,
    /// Set where new records open on it alone.
    pub(super) binds: bool,
}

/// Reads or makes the key; returns it, and whether it was made just now.
pub(super) fn obtain(source: &KeySource, binding: Binding<'_>) -> Result<(SealingKey, bool), OpenError> {
    match source {
        KeySource::Provided(path) => Ok((read(path, File::open(path), binding)?, false)),
        KeySource::MadeOnce(path) => match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(path).map_err(|error| OpenError::files("make the key of the store,", path, &error))?;
                Ok((read(path, File::open(path), binding)?, true))
            }
            opened => {
                let opened = opened.and_then(|file| Ok((file.metadata()?.permissions().mode(), file)));
                if let Ok((mode, _)) = &opened
                    && mode & 0o077 != 0
                {
                    return Err(OpenError::Key {
                        path: path.clone(),
                        reason: format!("others on this device may read or change it (mode {:04o})", mode & 0o7777),
                        help: "Run chmod 600 on it, and sign in afresh if somebody may have copied it and the store.",
                    });
                }
                Ok((read(path, opened.map(|(_, file)| file), binding)?, false))
            }
        },
    }
}

fn read(path: &Path, opened: io::Result<File>, binding: Binding<'_>) -> Result<SealingKey, OpenError> {
    // Room for all of it at once, so that no part of the key is left behind by a buffer that grew.
    let mut material = Zeroizing::new(vec![0; LONGEST + 1]);
    let length = opened.and_then(|mut file| fill(&mut file, &mut material)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::Key {
            path: path.to_owned(),
            reason: "there is no such file".to_owned(),
            help: "Provide it, or leave key_file out of [store]: then the agent makes a key of its own.",
        },
        _ => OpenError::files("read the key of the store,", path, &error),
    })?;
    let wrong = match length {
        _ if length > LONGEST => format!("it is longer than {LONGEST} bytes"),
        _ if length < SHORTEST_MATERIAL => format!("it has {length} bytes and needs at least {SHORTEST_MATERIAL}"),
        _ => {
            let material = &material[..length];
            let machine = binding.machine.map(|machine| MachineKey::obtain(machine, material)).transpose();
            let machine = machine.map_err(|error| OpenError::files("make the key of the store,", path, &error))?;
            match SealingKey::derive(material, machine.as_ref(), binding.binds) {
                Ok(key) => return Ok(key),
                Err(error) => error.to_string(),
            }
        }
    };
    Err(OpenError::Key {
        path: path.to_owned(),
        reason: wrong,
        help: "Put the former key back from a backup; a new one does not open what is in the store.",
    })
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Makes a new key; the file appears whole or not at all.
fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut material = Zeroizing::new([0; SHORTEST_MATERIAL]);
    getrandom::fill(material.as_mut_slice()).map_err(io::Error::from)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(material.as_slice())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    folder::sync(folder)
}
