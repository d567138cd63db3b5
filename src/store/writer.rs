//! The thread that writes: whatever waits is written together and synced once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use super::database::{self, Database, Trouble};
use super::{Ack, folder, format};
use crate::account::AccountName;
use crate::clock;
use crate::fault::{Fault, FaultCode};
use crate::record::Record;
use crate::seal::SealingKey;

/// One change that waits to be written; `None` erases.
pub(super) struct Job {
    pub(super) account: AccountName,
    pub(super) revision: u64,
    pub(super) record: Option<Record>,
}

/// The sealed records, by name.
pub(super) type Mirror = BTreeMap<Vec<u8>, Vec<u8>>;

/// What the thread owns.
pub(super) struct Writer<F> {
    /// The folder of the store.
    pub(super) path: PathBuf,
    /// The folder of the database.
    pub(super) folder: PathBuf,
    pub(super) key: SealingKey,
    /// `None` after a failed write, until it can be opened again.
    pub(super) database: Option<Database>,
    /// What the database is to hold: nothing that happens to the files can lose it while the agent runs.
    pub(super) wanted: Mirror,
    /// Whether the log may have gaps, and has to be written again before anything else.
    pub(super) gaps: bool,
    pub(super) acks: F,
}

impl<F: Fn(Ack)> Writer<F> {
    /// Writes until nobody can send any more and all is written.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            batch.extend(queue.try_iter());
            let result = self.write(&batch);
            for Job { account, revision, .. } in batch {
                (self.acks)(Ack { account, revision, result: result.clone() });
            }
        }
    }

    fn write(&mut self, batch: &[Job]) -> Result<(), Fault> {
        let mut changes = BTreeMap::new();
        for job in batch {
            let name = job.account.as_str();
            let sealed = match &job.record {
                Some(record) => {
                    let text = format::encode(record).map_err(|error| failed(&self.folder, &error))?;
                    Some(self.key.seal(name, &text).map_err(|error| failed(&self.folder, &error))?)
                }
                None => None,
            };
            // A later change of the same account takes the place of an earlier one.
            changes.insert(name.as_bytes().to_vec(), sealed);
        }
        for (name, sealed) in &changes {
            match sealed {
                Some(sealed) => self.wanted.insert(name.clone(), sealed.clone()),
                None => self.wanted.remove(name),
            };
        }
        self.attempt(&changes).map_err(|trouble| {
            self.gaps |= trouble.may_leave_gaps();
            // After one failure the handle refuses everything.
            self.database = None;
            failed(&self.folder, &trouble)
        })
    }

    fn attempt(&mut self, changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<(), Trouble> {
        let database = if let Some(database) = &self.database {
            for (name, sealed) in changes {
                database.put(name, sealed.as_deref())?;
            }
            database
        } else {
            let database = self.reopen()?;
            self.database.insert(database)
        };
        database.sync()
    }

    /// Opens the database after a failed write, and puts into it what it lacks; that is safe after the next sync.
    fn reopen(&mut self) -> Result<Database, Trouble> {
        folder::make_private(&self.path)?;
        if self.gaps {
            match database::write_again(&self.folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => self.gaps = false,
            }
        }
        let database = match Database::open(&self.folder) {
            Err(Trouble::Damaged(why)) => {
                let aside = folder::set_aside(&self.path, &self.folder, clock::now().wall)?;
                tracing::warn!(path = %aside.display(), %why, "set the damaged store aside; writing a new one");
                Database::open(&self.folder)?
            }
            opened => opened?,
        };
        let found: Mirror = database.records()?.into_iter().collect();
        for (name, sealed) in self.wanted.iter().filter(|(name, sealed)| found.get(*name) != Some(sealed)) {
            database.put(name, Some(sealed))?;
        }
        for name in found.keys().filter(|name| !self.wanted.contains_key(*name)) {
            database.put(name, None)?;
        }
        tracing::info!(path = %self.folder.display(), "opened the store again after it could not write");
        Ok(database)
    }
}

fn failed(folder: &Path, why: &dyn Display) -> Fault {
    Fault::passing(FaultCode::StoreFailed, format!("The store cannot write {}: {why}.", folder.display()))
}
