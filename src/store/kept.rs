//! A sealed record and its place in the order of writing, by which the newer of two copies is told.

use std::collections::BTreeMap;

/// One sealed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Grows with every write to the store.
    pub(super) serial: u64,
    pub(super) sealed: Vec<u8>,
}

/// Records by name.
pub(super) type Records = BTreeMap<Vec<u8>, Kept>;

impl Kept {
    /// As it lies in the database. No serial reaches 2^56, so that the first byte is zero.
    pub(super) fn to_value(&self) -> Vec<u8> {
        [&self.serial.to_be_bytes()[..], &self.sealed].concat()
    }

    /// Reads what [`Kept::to_value`] wrote. What a former version wrote has no serial, and starts with a seal's format,
    /// which is never zero.
    pub(super) fn from_value(value: &[u8]) -> Self {
        match value.split_first_chunk() {
            Some((serial, sealed)) if serial[0] == 0 => {
                Self { serial: u64::from_be_bytes(*serial), sealed: sealed.to_vec() }
            }
            _ => Self { serial: 0, sealed: value.to_vec() },
        }
    }
}

/// Of each record the newest of the two.
pub(super) fn newest(mut records: Records, others: &Records) -> Records {
    for (name, other) in others {
        if records.get(name).is_none_or(|kept| kept.serial < other.serial) {
            records.insert(name.clone(), other.clone());
        }
    }
    records
}

/// The serial of the newest record of all.
pub(super) fn newest_serial(records: &Records) -> u64 {
    records.values().map(|kept| kept.serial).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(serial: u64, text: &[u8]) -> Kept {
        Kept { serial, sealed: text.to_vec() }
    }

    #[test]
    fn a_value_comes_back_and_one_of_a_former_version_counts_as_the_oldest() {
        assert_eq!(Kept::from_value(&kept(7, b"\x01sealed").to_value()), kept(7, b"\x01sealed"));
        assert_eq!(Kept::from_value(b"\x01sealed without a serial"), kept(0, b"\x01sealed without a serial"));
        assert_eq!(Kept::from_value(b""), kept(0, b""));
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
