//! A sealed record and its place in the order of writing, by which the newer of two copies is told.

use std::collections::BTreeMap;

/// The bytes of a record in the database; clones share their memory.
pub(super) type Value = sled::IVec;

/// One sealed record, as it lies in the database: the serial, which grows with every write to the store, then the sealed
/// text. Whoever has read it from the database, or put it there, shares its memory with the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SealedRecord(Value);

/// Records by name.
pub(super) type Records = BTreeMap<Vec<u8>, SealedRecord>;

impl SealedRecord {
    /// No serial reaches 2^56, so that the first byte is zero.
    pub(super) fn new(serial: u64, sealed: &[u8]) -> Self {
        Self([&serial.to_be_bytes()[..], sealed].concat().into())
    }

    pub(super) fn from_value(value: Value) -> Self {
        Self(value)
    }

    pub(super) fn to_value(&self) -> Value {
        self.0.clone()
    }

    /// Zero for what a former version wrote: that has none, and starts with a seal's format, which is never zero.
    pub(super) fn serial(&self) -> u64 {
        self.parts().map_or(0, |(serial, _)| u64::from_be_bytes(*serial))
    }

    pub(super) fn sealed(&self) -> &[u8] {
        self.parts().map_or(&self.0, |(_, sealed)| sealed)
    }

    fn parts(&self) -> Option<(&[u8; 8], &[u8])> {
        self.0.split_first_chunk().filter(|(serial, _)| serial[0] == 0)
    }
}

/// Of each record the newest of the two.
pub(super) fn newest(mut records: Records, others: &Records) -> Records {
    for (name, other) in others {
        if records.get(name).is_none_or(|kept| kept.serial() < other.serial()) {
            records.insert(name.clone(), other.clone());
        }
    }
    records
}

/// The serial of the newest record of all.
pub(super) fn newest_serial(records: &Records) -> u64 {
    records.values().map(SealedRecord::serial).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(serial: u64, text: &[u8]) -> SealedRecord {
        SealedRecord::new(serial, text)
    }

    #[test]
    fn a_value_comes_back_and_one_of_a_former_version_counts_as_the_oldest() {
        let read = |value: &[u8]| {
            let kept = SealedRecord::from_value(value.into());
            (kept.serial(), kept.sealed().to_vec())
        };
        assert_eq!(read(&kept(7, b"\x01sealed").to_value()), (7, b"\x01sealed".to_vec()));
        assert_eq!(read(b"\x01sealed without a serial"), (0, b"\x01sealed without a serial".to_vec()));
        assert_eq!(read(b""), (0, Vec::new()));
    }

    #[test]
    fn the_newest_of_two_is_taken_and_what_only_one_has_stays() {
        let of = |records: &[(&str, u64)]| -> Records {
            records.iter().map(|(name, serial)| (name.as_bytes().to_vec(), kept(*serial, name.as_bytes()))).collect()
        };
        let both = newest(of(&[("a", 1), ("b", 5), ("c", 2)]), &of(&[("a", 3), ("b", 4), ("d", 1)]));
        assert_eq!(both, of(&[("a", 3), ("b", 5), ("c", 2), ("d", 1)]));
        assert_eq!((newest_serial(&both), newest_serial(&Records::new())), (5, 0));
    }
}
