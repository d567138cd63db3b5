//! The serial below which no record counts.
//!
//! Whoever can write the disk can put an old record back, without the key, and so undo a sign-out. So a sign-out seals
//! every other record anew, with serials that no earlier record has, and then raises the floor to the first of them. Each
//! record has the floor sealed in it that was in force when it was written; the highest one counts. A record of its own
//! has it when no other does. Only a disk that is put back as a whole, this record included, is not noticed.

use super::seal::SealingKey;
use super::sealed_record::Records;

/// The name of the record that has nothing but the floor; no account's name has a slash.
pub(super) const NAME: &str = "store/floor";

/// A floor that is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Floor(u64);

impl Floor {
    /// Makes a floor of the first serial that counts.
    pub(super) fn new(serial: u64) -> Self {
        Self(serial)
    }

    /// Finds the highest floor in the records that this key opens.
    pub(super) fn of(key: &SealingKey, records: &Records) -> Self {
        let floors = records.iter().filter_map(|(name, record)| {
            let unsealed = key.open(std::str::from_utf8(name).ok()?, record).ok()?;
            Some(unsealed.floor)
        });
        Self(floors.max().unwrap_or(0))
    }

    /// Returns the first serial that counts.
    pub(super) fn serial(self) -> u64 {
        self.0
    }

    /// Removes the records that this key opens and that no longer count; returns whether there were any.
    pub(super) fn drop_rolled_back(self, key: &SealingKey, records: &mut Records) -> bool {
        let before = records.len();
        records.retain(|name, record| {
            let opens = |name| key.open(name, record).is_ok();
            let counts = record.serial() >= self.0 || !std::str::from_utf8(name).is_ok_and(opens);
            if !counts {
                let name = String::from_utf8_lossy(name);
                tracing::error!(record = %name, "a record from before a sign-out was put back on the disk; it is not used");
            }
            counts
        });
        records.len() < before
    }
}
