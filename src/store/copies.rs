//! A second copy of every record, in one file of slots that a power cut cannot take the last good one from.
//!
//! sled alone loses a store about once in a hundred power cuts: it takes a torn snapshot for the newest, and its names
//! and its log reach the disk in an order of their own. So every record is first written here, into a slot that holds
//! nothing of worth, and synced; only then does the slot that it was in before become free. A write that is cut short
//! can spoil only the free slot it went to. It costs one page, 4 KiB, for a record of the usual size.
//!
//! ```text
//! page 0        what the file is, and how many pages a slot has
//! then slots    each: magic, serial, lengths, a digest, the record's name, the sealed record, zeros
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::folder;
use super::sealed_record::{Records, SealedRecord};

/// The size of a page: a disk writes as much at once, or a part of it.
const PAGE: usize = 4096;
const FILE_MAGIC: &[u8; 8] = b"o2mqcop1";
const SLOT_MAGIC: &[u8; 4] = b"slot";
/// Magic, serial, length of the name, length of the sealed record, digest.
const HEADER: usize = 4 + 8 + 2 + 4 + 8;
/// The least number of slots that the file grows by; growing costs a sync of the file's length.
const GROWTH: usize = 4;
/// The most pages of a slot: more than any record can need.
const MOST_PAGES: u32 = 4096;

/// The open file of slots.
#[derive(Debug)]
pub(super) struct Copies {
    path: PathBuf,
    file: File,
    /// Bytes of one slot.
    slot: usize,
    slots: Vec<Slot>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    /// Nothing of worth; what is there may be overwritten.
    Free,
    /// The newest record of this name.
    Holds(Vec<u8>),
}

/// The contents of the file.
#[derive(Debug, Default)]
pub(super) struct CopiedRecords {
    pub(super) records: Records,
    /// Set where every slot is as it was left, so that nothing can be missing.
    pub(super) is_whole: bool,
}

impl Copies {
    /// Opens the file. Without one, or with one that is something else, there is nothing to open.
    pub(super) fn open(path: &Path) -> io::Result<Option<(Self, CopiedRecords)>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        Self::read_file(path, file)
    }

    /// Reads the file and leaves it as it is, on a disk that may take no writes. Without one there is nothing to read.
    pub(super) fn read_only(path: &Path) -> io::Result<Option<CopiedRecords>> {
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => Ok(Self::read_file(path, file?)?.map(|(_, found)| found)),
        }
    }

    fn read_file(path: &Path, file: File) -> io::Result<Option<(Self, CopiedRecords)>> {
        let mut head = [0; FILE_MAGIC.len() + 4];
        if file.read_exact_at(&mut head, 0).is_err() || !head.starts_with(FILE_MAGIC) {
            return Ok(None);
        }
        let pages = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if !(1..=MOST_PAGES).contains(&pages) {
            return Ok(None);
        }
        let slot = pages as usize * PAGE;
        let mut copies = Self { path: path.to_owned(), file, slot, slots: Vec::new() };
        let found = copies.read()?;
        Ok(Some((copies, found)))
    }

    /// Makes the file anew with these records in it; it appears whole or not at all.
    pub(super) fn make(path: &Path, records: &Records) -> io::Result<Self> {
        let longest = records.iter().map(|(name, record)| frame_length(name, record)).max().unwrap_or(0);
        let pages = longest.div_ceil(PAGE).next_power_of_two();
        let unfinished = path.with_extension("new");
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let mut head = vec![0; PAGE];
        head[..FILE_MAGIC.len()].copy_from_slice(FILE_MAGIC);
        head[8..12].copy_from_slice(&u32::try_from(pages).unwrap_or(MOST_PAGES).to_be_bytes());
        file.write_all_at(&head, 0)?;
        let mut copies = Self { path: path.to_owned(), file, slot: pages * PAGE, slots: Vec::new() };
        copies.grow(records.len() + GROWTH)?;
        for (index, (name, record)) in records.iter().enumerate() {
            copies.write(index, &frame(name, record))?;
            copies.slots[index] = Slot::Holds(name.clone());
        }
        copies.file.sync_all()?;
        fs::rename(&unfinished, path)?;
        folder::sync(path.parent().unwrap_or(Path::new("/")))?;
        Ok(copies)
    }

    /// Writes these records, and returns when they are safe. `all` gives everything that the file is to hold.
    pub(super) fn put<'a>(
        &mut self,
        changed: &[(&'a [u8], &'a SealedRecord)],
        all: impl FnOnce() -> io::Result<Records>,
    ) -> io::Result<()> {
        if changed.is_empty() {
            return Ok(());
        }
        if changed.iter().any(|(name, record)| frame_length(name, record) > self.slot) {
            *self = Self::make(&self.path, &all()?)?;
            return Ok(());
        }
        let mut free: Vec<_> = self.free().collect();
        if free.len() < changed.len() {
            self.grow((changed.len() - free.len()).max(GROWTH))?;
            self.file.sync_all()?;
            free = self.free().collect();
        }
        let mut former = Vec::new();
        for ((name, record), index) in changed.iter().zip(&free) {
            self.write(*index, &frame(name, record))?;
            former.extend(self.slots.iter().position(|slot| matches!(slot, Slot::Holds(other) if other == name)));
        }
        self.file.sync_data()?;
        for index in former {
            self.slots[index] = Slot::Free;
        }
        for ((name, _), index) in changed.iter().zip(free) {
            self.slots[index] = Slot::Holds(name.to_vec());
        }
        Ok(())
    }

    /// Takes these records out, with every earlier version of them, and returns when that is safe.
    pub(super) fn erase(&mut self, names: &[&[u8]]) -> io::Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        for slot in &mut self.slots {
            if matches!(slot, Slot::Holds(name) if names.contains(&name.as_slice())) {
                *slot = Slot::Free;
            }
        }
        self.clear_remains()
    }

    /// Overwrites what is left of former records: in free slots, and behind a record that is shorter than its slot.
    pub(super) fn clear_remains(&mut self) -> io::Result<()> {
        let zeros = vec![0; self.slot];
        let mut there = vec![0; self.slot];
        for (index, slot) in self.slots.iter().enumerate() {
            self.file.read_exact_at(&mut there, self.offset(index))?;
            let used = match (slot, parse(&there)) {
                (Slot::Free, _) => 0,
                (Slot::Holds(_), Some((name, record))) => frame_length(&name, &record).next_multiple_of(PAGE),
                (Slot::Holds(_), None) => self.slot,
            };
            if there[used..] != zeros[used..] {
                self.file.write_all_at(&zeros[used..], self.offset(index) + used as u64)?;
            }
        }
        self.file.sync_data()
    }

    fn read(&mut self) -> io::Result<CopiedRecords> {
        let length = self.file.metadata()?.len();
        let count = length.saturating_sub(PAGE as u64) / self.slot as u64;
        let mut newest: BTreeMap<Vec<u8>, (usize, SealedRecord)> = BTreeMap::new();
        let mut is_whole = true;
        let mut bytes = vec![0; self.slot];
        for index in 0..usize::try_from(count).unwrap_or(0) {
            self.file.read_exact_at(&mut bytes, self.offset(index))?;
            match parse(&bytes) {
                Some((name, record)) if newest.get(&name).is_none_or(|(_, other)| other.serial() < record.serial()) => {
                    newest.insert(name, (index, record));
                }
                Some(_) => {}
                None => is_whole &= bytes.iter().all(|byte| *byte == 0),
            }
            self.slots.push(Slot::Free);
        }
        for (name, (index, _)) in &newest {
            self.slots[*index] = Slot::Holds(name.clone());
        }
        Ok(CopiedRecords { records: newest.into_iter().map(|(name, (_, record))| (name, record)).collect(), is_whole })
    }

    fn free(&self) -> impl Iterator<Item = usize> + use<'_> {
        self.slots.iter().enumerate().filter(|(_, slot)| **slot == Slot::Free).map(|(index, _)| index)
    }

    fn grow(&mut self, by: usize) -> io::Result<()> {
        let zeros = vec![0; self.slot];
        for _ in 0..by {
            self.file.write_all_at(&zeros, self.offset(self.slots.len()))?;
            self.slots.push(Slot::Free);
        }
        Ok(())
    }

    fn write(&self, index: usize, frame: &[u8]) -> io::Result<()> {
        self.file.write_all_at(frame, self.offset(index))
    }

    fn offset(&self, index: usize) -> u64 {
        (PAGE + index * self.slot) as u64
    }
}

fn frame_length(name: &[u8], record: &SealedRecord) -> usize {
    HEADER + name.len() + record.sealed().len()
}

/// A record as it lies in its slot, in whole pages.
fn frame(name: &[u8], record: &SealedRecord) -> Vec<u8> {
    let length = frame_length(name, record);
    let mut frame = Vec::with_capacity(length.next_multiple_of(PAGE));
    frame.extend_from_slice(SLOT_MAGIC);
    frame.extend_from_slice(&record.serial().to_be_bytes());
    frame.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
    frame.extend_from_slice(&u32::try_from(record.sealed().len()).unwrap_or(u32::MAX).to_be_bytes());
    let digest = digest(&frame, name, record.sealed());
    frame.extend_from_slice(&digest);
    frame.extend_from_slice(name);
    frame.extend_from_slice(record.sealed());
    frame.resize(length.next_multiple_of(PAGE), 0);
    frame
}

pub(super) fn parse(slot: &[u8]) -> Option<(Vec<u8>, SealedRecord)> {
    let (header, rest) = slot.split_at_checked(HEADER)?;
    let (head, expected) = header.split_at(HEADER - 8);
    let head = head.strip_prefix(SLOT_MAGIC)?;
    let (serial, lengths) = head.split_first_chunk()?;
    let (name, sealed) = lengths.split_first_chunk()?;
    let name = usize::from(u16::from_be_bytes(*name));
    let sealed = usize::try_from(u32::from_be_bytes(sealed.try_into().ok()?)).ok()?;
    let (name, rest) = rest.split_at_checked(name)?;
    let sealed = rest.get(..sealed)?;
    (digest(&header[..HEADER - 8], name, sealed) == expected)
        .then(|| (name.to_vec(), SealedRecord::new(u64::from_be_bytes(*serial), sealed)))
}

/// Tells a slot that was written whole from one that was not. That nobody changed the record is for its seal to say.
fn digest(header: &[u8], name: &[u8], sealed: &[u8]) -> [u8; 8] {
    let all = Sha256::new().chain_update(header).chain_update(name).chain_update(sealed).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&all[..8]);
    first
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn record(serial: u64, length: usize) -> SealedRecord {
        SealedRecord::new(serial, &vec![u8::try_from(serial).unwrap(); length])
    }

    fn put(copies: &mut Copies, all: &mut Records, name: &[u8], record: &SealedRecord) {
        all.insert(name.to_vec(), record.clone());
        copies.put(&[(name, record)], || Ok(all.clone())).unwrap();
    }

    fn read(path: &Path) -> CopiedRecords {
        Copies::open(path).unwrap().unwrap().1
    }

    #[test]
    fn the_newest_version_is_found_whatever_the_length_and_number() {
        let root = TempDir::new().unwrap();
        let path = root.path().join("copies");
        assert!(Copies::open(&path).unwrap().is_none());
        let mut all = Records::new();
        let mut copies = Copies::make(&path, &all).unwrap();
        for serial in 1..200 {
            let name = [b'a' + u8::try_from(serial % 7).unwrap()];
            put(&mut copies, &mut all, &name, &record(serial, usize::try_from(serial * 31).unwrap()));
            let found = read(&path);
            assert_eq!((found.records, found.is_whole), (all.clone(), true), "{serial}");
        }
    }

    #[test]
    fn many_at_once_are_written_at_once() {
        let root = TempDir::new().unwrap();
        let path = root.path().join("copies");
        let mut copies = Copies::make(&path, &Records::new()).unwrap();
        let names: Vec<_> = (0..100).map(|number| format!("account-{number}").into_bytes()).collect();
        for round in 1..4 {
            let all: Records = names.iter().map(|name| (name.clone(), record(round, 900))).collect();
            let changed: Vec<_> = all.iter().map(|(name, record)| (name.as_slice(), record)).collect();
            copies.put(&changed, || Ok(all.clone())).unwrap();
            assert_eq!(read(&path).records, all);
        }
        assert!(fs::metadata(&path).unwrap().len() <= (210 * PAGE) as u64);
    }

    #[test]
    fn a_write_that_is_cut_short_anywhere_leaves_the_former_version() {
        let root = TempDir::new().unwrap();
        let path = root.path().join("copies");
        let mut all = Records::new();
        let mut copies = Copies::make(&path, &all).unwrap();
        put(&mut copies, &mut all, b"a", &record(1, 1_500));
        let before = fs::read(&path).unwrap();
        put(&mut copies, &mut all, b"a", &record(2, 1_500));
        let after = fs::read(&path).unwrap();
        assert_eq!(before.len(), after.len());
        for sectors in 0..=before.len() / 512 {
            let torn = [&after[..sectors * 512], &before[sectors * 512..]].concat();
            fs::write(&path, torn).unwrap();
            let serial = read(&path).records[b"a".as_slice()].serial();
            assert!(serial == 1 || serial == 2);
        }
    }

    #[test]
    fn what_is_erased_leaves_no_trace_of_any_version() {
        let root = TempDir::new().unwrap();
        let path = root.path().join("copies");
        let mut all = Records::new();
        let mut copies = Copies::make(&path, &all).unwrap();
        for serial in 1..9 {
            put(&mut copies, &mut all, b"leaves", &record(serial, 5_000));
            put(&mut copies, &mut all, b"stays", &record(100 + serial, 50));
        }
        copies.erase(&[b"leaves"]).unwrap();
        all.remove(b"leaves".as_slice());
        assert_eq!(read(&path).records, all);
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"leaves"));
        assert!((1..9_u8).all(|serial| !bytes.windows(16).any(|window| window == [serial; 16])));
    }

    #[test]
    fn a_file_that_is_something_else_is_not_taken_for_one() {
        let root = TempDir::new().unwrap();
        let path = root.path().join("copies");
        for bytes in [&b""[..], b"o2mq", &[0; 5_000], &[0xff; 5_000], b"o2mqcop1\0\0\0\0", b"o2mqcop1\xff\xff\xff\xff"]
        {
            fs::write(&path, bytes).unwrap();
            assert!(Copies::open(&path).unwrap().is_none());
        }
    }
}
