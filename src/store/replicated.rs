//! The database and the copies as one store: what either has lost, the other still has.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::SetAside;
use super::copies::{CopiedRecords, Copies};
use super::database;
use super::error::DatabaseError;
use super::folder;
use super::process::{DatabaseHandle, Start};
use super::sealed_record::{Records, SealedRecord, difference, newest};
use crate::domain::clock::UnixTime;

/// Changes of records, by name.
pub(super) type RecordChanges = BTreeMap<Vec<u8>, RecordChange>;

/// A change of one record.
#[derive(Debug)]
pub(super) enum RecordChange {
    /// Put it in both files.
    Put(SealedRecord),
    /// Put it in the copies alone: it holds no tokens that the one before has not, so that one safe place is enough,
    /// and half the wear.
    PutInCopies(SealedRecord),
    /// Remove it.
    Erase,
}

/// Both files, open.
pub(super) struct ReplicatedFiles {
    path: PathBuf,
    start: Start,
    database: DatabaseHandle,
    copies: Copies,
}

/// The result of opening both.
pub(super) struct OpenedFiles {
    pub(super) files: ReplicatedFiles,
    /// Of every record the newest version.
    pub(super) records: Records,
    /// The former database, if it would not open and the copies may lack something of it.
    pub(super) set_aside: Option<SetAside>,
}

impl ReplicatedFiles {
    /// Opens what is in the store's folder `path`, repairs each by the other, and makes what is not there.
    pub(super) fn open(path: &Path, when: UnixTime, start: Start) -> Result<OpenedFiles, DatabaseError> {
        let (of_copies, of_sled, old) = (copies_in(path), sled_in(path), path.join("sled.old"));
        let opened = Copies::open(&of_copies)?;
        if opened.is_none() && !of_sled.try_exists()? && old.try_exists()? {
            fs::rename(&old, &of_sled)?;
            folder::sync(path)?;
        }
        let is_whole = opened.as_ref().is_some_and(|(_, found)| found.is_whole);
        let mut set_aside = None;
        let (mut database, in_database) = match open_twice(path, start) {
            Err(DatabaseError::Damaged(why)) if is_whole => {
                tracing::warn!(%why, "the database would not open; it is made anew from the copies");
                folder::remove(&of_sled)?;
                DatabaseHandle::open(&of_sled, start)?
            }
            Err(DatabaseError::Damaged(reason)) => {
                let aside = folder::set_aside(path, &of_sled, when)?;
                if of_copies.try_exists()? {
                    fs::copy(&of_copies, aside.join("copies"))?;
                }
                set_aside = Some(SetAside { path: aside, reason });
                DatabaseHandle::open(&of_sled, start)?
            }
            opened => opened?,
        };
        let (copies, records) = match opened {
            Some((mut copies, found)) => {
                let records = newest(in_database.clone(), &found.records);
                let lacking = records.iter().filter(|(name, record)| found.records.get(*name) != Some(record));
                let lacking: Vec<_> = lacking.map(|(name, record)| (name.as_slice(), record)).collect();
                copies.put(&lacking, || Ok(records.clone()))?;
                if !found.is_whole {
                    copies.clear_remains()?;
                }
                (copies, records)
            }
            None => (Copies::make(&of_copies, &in_database)?, in_database.clone()),
        };
        database.write(difference(&in_database, &records))?;
        folder::remove(&old)?;
        let files = Self { path: path.to_owned(), start, database, copies };
        Ok(OpenedFiles { files, records, set_aside })
    }

    /// Reads the copies without writing anything, for a disk that takes nothing; `None` unless they are complete.
    pub(super) fn read_copies(path: &Path) -> io::Result<Option<Records>> {
        let found = Copies::read_only(&copies_in(path))?;
        Ok(found.filter(|found| found.is_whole).map(|CopiedRecords { records, .. }| records))
    }

    /// Opens both again after a failure, and makes them hold `all` and nothing else. `has_gaps` says that the log may
    /// lack pages that the kernel counts as written.
    ///
    /// The copies come first: a disk that cannot write and sync this one small file leaves the database alone.
    pub(super) fn reopen(path: &Path, start: Start, all: &Records, has_gaps: bool) -> Result<Self, DatabaseError> {
        let (of_copies, of_sled) = (copies_in(path), sled_in(path));
        let copies = Copies::make(&of_copies, all)?;
        if has_gaps {
            match database::write_again(&of_sled) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let (mut database, found) = match open_twice(path, start) {
            Err(DatabaseError::Damaged(why)) => {
                tracing::warn!(%why, "the database would not open again; it is made anew from memory");
                folder::remove(&of_sled)?;
                DatabaseHandle::open(&of_sled, start)?
            }
            opened => opened?,
        };
        database.write(difference(&found, all))?;
        folder::remove(&path.join("sled.old"))?;
        Ok(Self { path: path.to_owned(), start, database, copies })
    }

    /// Writes `changes`, and returns when both have them safe. `all` gives what they are to hold then.
    pub(super) fn write(
        &mut self,
        changes: &RecordChanges,
        all: impl FnOnce() -> io::Result<Records>,
    ) -> Result<(), DatabaseError> {
        let (mut put, mut erased, mut in_database) = (Vec::new(), Vec::new(), Vec::new());
        for (name, change) in changes {
            match change {
                RecordChange::Put(record) => {
                    put.push((name.as_slice(), record));
                    in_database.push((name.clone(), Some(record.clone())));
                }
                RecordChange::PutInCopies(record) => put.push((name.as_slice(), record)),
                RecordChange::Erase => {
                    erased.push(name.as_slice());
                    in_database.push((name.clone(), None));
                }
            }
        }
        self.copies.put(&put, all)?;
        self.copies.erase(&erased)?;
        self.database.write(in_database)
    }

    /// Writes the database anew: its log keeps former versions of what was erased, and whoever has the key could read
    /// them there.
    pub(super) fn forget_former_versions(self, all: &Records) -> Result<Self, DatabaseError> {
        let Self { path, start, database, mut copies } = self;
        copies.clear_remains()?;
        drop(database);
        let (of_sled, old) = (sled_in(&path), path.join("sled.old"));
        folder::remove(&old)?;
        fs::rename(&of_sled, &old)?;
        folder::sync(&path)?;
        // Until the new one is complete, a power cut leaves the copies, from which it is made at the next start.
        let (mut database, found) = DatabaseHandle::open(&of_sled, start)?;
        database.write(difference(&found, all))?;
        folder::remove(&old)?;
        Ok(Self { path, start, database, copies })
    }

    /// Makes both hold `all`, and nothing of what they had before.
    pub(super) fn replace(mut self, all: &Records) -> Result<Self, DatabaseError> {
        self.copies = Copies::make(&copies_in(&self.path), all)?;
        self.forget_former_versions(all)
    }
}

/// Returns the folder of the database.
pub(super) fn sled_in(path: &Path) -> PathBuf {
    path.join("sled")
}

fn copies_in(path: &Path) -> PathBuf {
    path.join("copies")
}

/// Opens the database, once more if its process ended early. One that ends it twice on a disk that works counts as damaged.
fn open_twice(path: &Path, start: Start) -> Result<(DatabaseHandle, Records), DatabaseError> {
    let of_sled = sled_in(path);
    match DatabaseHandle::open(&of_sled, start) {
        Err(DatabaseError::Ended(_)) => match DatabaseHandle::open(&of_sled, start) {
            Err(DatabaseError::Ended(why)) => {
                folder::try_disk(path)?;
                Err(DatabaseError::Damaged(why))
            }
            opened => opened,
        },
        opened => opened,
    }
}
