//! A sealed record and its place in the order of writing, by which the newer of two copies is told.

use std::collections::BTreeMap;
use std::sync::Arc;

/// No store lives to write as many records; what claims more was not written by it.
const SERIALS: u64 = 1 << 56;

/// One sealed record, as it lies in the files: the serial, which grows with every write to the store, then the sealed
/// text. Clones share their memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SealedRecord(Arc<[u8]>);

/// Records by name.
pub(super) type Records = BTreeMap<Vec<u8>, SealedRecord>;

/// A list of records to put, or to remove where there is none, by name.
pub(super) type Changes = Vec<(Vec<u8>, Option<SealedRecord>)>;

impl SealedRecord {
    /// Joins a serial and a sealed text.
    pub(super) fn new(serial: u64, sealed: &[u8]) -> Self {
        Self([&serial.to_be_bytes()[..], sealed].concat().into())
    }

    /// Takes what [`SealedRecord::as_bytes`] gave. Bytes that are too short for a serial have the serial zero and no text.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Returns the record as it lies in the files.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the place in the order of writing.
    pub(super) fn serial(&self) -> u64 {
        self.0.split_first_chunk().map_or(0, |(serial, _)| u64::from_be_bytes(*serial))
    }

    /// Returns the sealed text.
    pub(super) fn sealed(&self) -> &[u8] {
        self.0.get(size_of::<u64>()..).unwrap_or_default()
    }
}

/// Returns of each record the newer of the two.
pub(super) fn newest(mut records: Records, others: &Records) -> Records {
    for (name, other) in others {
        if records.get(name).is_none_or(|record| record.serial() < other.serial()) {
            records.insert(name.clone(), other.clone());
        }
    }
    records
}

/// Returns what has to be changed where `from` is, so that `to` is there and nothing else.
pub(super) fn difference(from: &Records, to: &Records) -> Changes {
    let put = to.iter().filter(|(name, record)| from.get(*name) != Some(record));
    let removed = from.keys().filter(|name| !to.contains_key(*name));
    put.map(|(name, record)| (name.clone(), Some(record.clone())))
        .chain(removed.map(|name| (name.clone(), None)))
        .collect()
}

/// Returns the serial of the newest record of all.
pub(super) fn newest_serial(records: &Records) -> u64 {
    records.values().map(SealedRecord::serial).filter(|serial| *serial < SERIALS).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(serial: u64, text: &[u8]) -> SealedRecord {
        SealedRecord::new(serial, text)
    }

    #[test]
    fn a_record_comes_back_from_its_bytes_and_short_bytes_are_no_record() {
        let read = |bytes: &[u8]| {
            let record = SealedRecord::from_bytes(bytes);
            (record.serial(), record.sealed().to_vec())
        };
        assert_eq!(read(sealed(7, b"\x01sealed").as_bytes()), (7, b"\x01sealed".to_vec()));
        assert_eq!(read(b"short"), (0, Vec::new()));
        assert_eq!(read(b""), (0, Vec::new()));
    }

    #[test]
    fn the_newest_of_two_is_taken_and_what_only_one_has_stays() {
        let of = |records: &[(&str, u64)]| -> Records {
            records.iter().map(|(name, serial)| (name.as_bytes().to_vec(), sealed(*serial, name.as_bytes()))).collect()
        };
        let both = newest(of(&[("a", 1), ("b", 5), ("c", 2)]), &of(&[("a", 3), ("b", 4), ("d", 1)]));
        assert_eq!(both, of(&[("a", 3), ("b", 5), ("c", 2), ("d", 1)]));
        assert_eq!((newest_serial(&both), newest_serial(&Records::new())), (5, 0));
        assert_eq!(newest_serial(&newest(both, &of(&[("forged", u64::MAX)]))), 5);
    }

    #[test]
    fn a_difference_names_what_is_new_other_or_gone_and_nothing_else() {
        let from =
            Records::from([("a", 1), ("b", 2), ("c", 3)].map(|(name, serial)| (name.into(), sealed(serial, b"x"))));
        let to =
            Records::from([("b", 2), ("c", 4), ("d", 5)].map(|(name, serial)| (name.into(), sealed(serial, b"x"))));
        let changed: Vec<_> = difference(&from, &to)
            .into_iter()
            .map(|(name, record)| (String::from_utf8(name).unwrap(), record.map(|record| record.serial())))
            .collect();
        assert_eq!(changed, [("c".to_owned(), Some(4)), ("d".to_owned(), Some(5)), ("a".to_owned(), None)]);
        assert!(difference(&to, &to).is_empty());
    }
}
