//! The database and the copies, as one: what either has lost, the other still has.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::SetAside;
use super::copies::Copies;
use super::database::{Database, Trouble};
use super::folder;
use super::sealed_record::{Records, SealedRecord, newest};
use crate::domain::clock::UnixTime;

/// What is to become of records, by name.
pub(super) type Changes = BTreeMap<Vec<u8>, Change>;

/// What is to become of a record.
#[derive(Debug)]
pub(super) enum Change {
    Put(SealedRecord),
    /// It holds no tokens that the one before has not: one safe place is enough for it, and half the wear.
    PutForAMoment(SealedRecord),
    Erase,
}

/// Both, open.
pub(super) struct Twin {
    path: PathBuf,
    database: Database,
    copies: Copies,
}

/// What opening them brought.
pub(super) struct OpenedTwin {
    pub(super) twin: Twin,
    /// Of every record the newest version.
    pub(super) records: Records,
    /// The former database, if it would not open and the copies may lack something of it.
    pub(super) set_aside: Option<SetAside>,
}

impl Twin {
    /// Opens what is in the store's folder `path`, mends each by the other, and makes what is not there.
    pub(super) fn open(path: &Path, when: UnixTime) -> Result<OpenedTwin, Trouble> {
        let (of_copies, of_sled, old) = (copies_in(path), sled_in(path), path.join("sled.old"));
        let opened = Copies::open(&of_copies)?;
        if opened.is_none() && !of_sled.try_exists()? && old.try_exists()? {
            fs::rename(&old, &of_sled)?;
            folder::sync(path)?;
        }
        let is_whole = opened.as_ref().is_some_and(|(_, found)| found.is_whole);
        let mut set_aside = None;
        let (database, in_database) = match open_and_read(&of_sled) {
            Err(Trouble::Damaged(why)) if is_whole => {
                tracing::warn!(%why, "the database would not open; it is made anew from the copies");
                folder::remove(&of_sled)?;
                open_and_read(&of_sled)?
            }
            Err(Trouble::Damaged(reason)) => {
                let aside = folder::set_aside(path, &of_sled, when)?;
                if of_copies.try_exists()? {
                    fs::copy(&of_copies, aside.join("copies"))?;
                }
                set_aside = Some(SetAside { path: aside, reason });
                open_and_read(&of_sled)?
            }
            opened => opened?,
        };
        let (copies, records) = match opened {
            Some((mut copies, found)) => {
                let records = newest(in_database, &found.records);
                let lacking = records.iter().filter(|(name, kept)| found.records.get(*name) != Some(kept));
                let lacking: Vec<_> = lacking.map(|(name, kept)| (name.as_slice(), kept)).collect();
                copies.put(&lacking, || records.clone())?;
                if !found.is_whole {
                    copies.clear_remains()?;
                }
                (copies, records)
            }
            None => (Copies::make(&of_copies, &in_database)?, in_database),
        };
        database.hold(&records)?;
        database.sync()?;
        folder::remove(&old)?;
        let twin = Self { path: path.to_owned(), database, copies };
        Ok(OpenedTwin { twin, records, set_aside })
    }

    /// Writes `changes`, and returns when both have them safe. `all` gives what they are to hold then.
    pub(super) fn write(&mut self, changes: &Changes, all: impl FnOnce() -> Records) -> Result<(), Trouble> {
        let (mut put, mut erased) = (Vec::new(), Vec::new());
        for (name, change) in changes {
            match change {
                Change::Put(kept) | Change::PutForAMoment(kept) => put.push((name.as_slice(), kept)),
                Change::Erase => erased.push(name.as_slice()),
            }
        }
        self.copies.put(&put, all)?;
        self.copies.erase(&erased)?;
        for (name, change) in changes {
            match change {
                Change::Put(kept) => self.database.put(name, Some(kept))?,
                Change::PutForAMoment(_) => {}
                Change::Erase => self.database.put(name, None)?,
            }
        }
        if changes.values().all(|change| matches!(change, Change::PutForAMoment(_))) {
            return Ok(());
        }
        self.database.sync()
    }

    /// Writes the database anew: its log keeps former versions of what was erased, and whoever has the key could read
    /// them there.
    pub(super) fn forget_former_versions(self, all: &Records) -> Result<Self, Trouble> {
        let Self { path, database, mut copies } = self;
        copies.clear_remains()?;
        drop(database);
        let (of_sled, old) = (sled_in(&path), path.join("sled.old"));
        folder::remove(&old)?;
        fs::rename(&of_sled, &old)?;
        folder::sync(&path)?;
        // Until the new one is complete, a power cut leaves the copies, from which it is made at the next start.
        let database = Database::open(&of_sled)?;
        database.hold(all)?;
        database.sync()?;
        folder::remove(&old)?;
        Ok(Self { path, database, copies })
    }

    /// Makes both hold `all` and nothing else, whatever happened to the files.
    pub(super) fn restore(&mut self, all: &Records) -> Result<(), Trouble> {
        self.copies = Copies::make(&copies_in(&self.path), all)?;
        self.database.hold(all)?;
        self.database.sync()
    }
}

/// The folder of the database.
pub(super) fn sled_in(path: &Path) -> PathBuf {
    path.join("sled")
}

fn copies_in(path: &Path) -> PathBuf {
    path.join("copies")
}

fn open_and_read(folder: &Path) -> Result<(Database, Records), Trouble> {
    let database = Database::open(folder)?;
    let records = database.records()?;
    Ok((database, records))
}
