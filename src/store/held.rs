//! The records that the files are to hold, kept in memory so that nothing that happens to the files can lose them.
//!
//! A sign-in is kept as its session has it, and shares its secrets with the session: the sealed records of a thousand
//! accounts would take a MiB more. A session at the gate is kept in the same way, and shares its visitor. Both are sealed
//! again where everything has to be written. A member that a later version added without a new format is not read, and so
//! is lost then, as with any other save of that record.

use std::collections::BTreeMap;
use std::io;

use super::floor::Floor;
use super::format;
use super::seal::SealingKey;
use super::sealed_record::SealedRecord;
use crate::domain::gate::sessions::GateSession;
use crate::domain::record::Record;

/// A record that the files are to hold.
pub(super) enum HeldRecord {
    /// A sign-in.
    SignIn(Box<Record>),
    /// A session at the gate.
    GateSession(Box<GateSession>),
    /// A declaration, or what this key does not open.
    Sealed(SealedRecord),
}

/// Records that the files are to hold, by name.
pub(super) type HeldRecords = BTreeMap<Vec<u8>, HeldRecord>;

impl HeldRecord {
    /// Returns whether it has tokens or a client's secret in it, as far as is known.
    pub(super) fn has_secrets(&self) -> bool {
        match self {
            Self::SignIn(record) => record.signed_in.is_some(),
            Self::GateSession(_) => false,
            Self::Sealed(_) => true,
        }
    }

    /// Seals it anew, with this serial and floor. What does not open stays as it is, with its own.
    pub(super) fn seal(
        &mut self,
        name: &[u8],
        key: &SealingKey,
        serial: u64,
        floor: Floor,
    ) -> io::Result<SealedRecord> {
        let name = String::from_utf8_lossy(name);
        let text = match self {
            Self::SignIn(record) => format::encode(record).map_err(io::Error::other)?,
            Self::GateSession(session) => format::encode_gate_session(session).map_err(io::Error::other)?,
            Self::Sealed(sealed) => match key.open(&name, sealed) {
                Ok(unsealed) => unsealed.text,
                Err(_) => return Ok(sealed.clone()),
            },
        };
        let anew = key.seal(&name, serial, floor.serial(), &text).map_err(io::Error::other)?;
        if let Self::Sealed(sealed) = self {
            sealed.clone_from(&anew);
        }
        Ok(anew)
    }
}
