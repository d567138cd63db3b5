//! The thread that writes: whatever waits is written together and synced once.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use super::database::{self, Trouble};
use super::seal::SealingKey;
use super::sealed_record::{Records, SealedRecord};
use super::twin::{Change, Changes, OpenedTwin, Twin, sled_in};
use super::{Ack, Kind, folder, format};
use crate::domain::account::AccountName;
use crate::domain::declaration::Declaration;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::record::Record;
use crate::platform::clock;

/// One change that waits to be written.
pub(super) struct Job {
    pub(super) account: AccountName,
    pub(super) revision: u64,
    pub(super) task: Task,
}

/// What to do.
pub(super) enum Task {
    Save(Record),
    Declare(Declaration),
    Erase(Kind),
}

impl Task {
    fn kind(&self) -> Kind {
        match self {
            Self::Save(_) => Kind::SignIn,
            Self::Declare(_) => Kind::Declaration,
            Self::Erase(kind) => *kind,
        }
    }

    /// Whether what it writes has tokens or a client's secret in it.
    fn has_secrets(&self) -> bool {
        match self {
            Self::Save(record) => record.signed_in.is_some(),
            Self::Declare(_) => true,
            Self::Erase(_) => false,
        }
    }
}

impl Job {
    /// The name that it is kept under.
    fn key(&self) -> Vec<u8> {
        self.task.kind().name(&self.account).into_bytes()
    }
}

/// What the thread owns.
pub(super) struct Writer<F> {
    /// The folder of the store.
    pub(super) path: PathBuf,
    /// `None` after a failed write, until it can be opened again.
    pub(super) twin: Option<Twin>,
    pub(super) key: SealingKey,
    /// The records that the files are to hold. Nothing that happens to the files can lose them while the agent runs.
    pub(super) records: Records,
    /// That of the newest record.
    pub(super) serial: u64,
    /// The names under which the files may have tokens or a client's secret, in some version or other.
    pub(super) with_secrets: BTreeSet<Vec<u8>>,
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
            let results = self.write(&batch);
            for (Job { account, revision, task }, result) in batch.into_iter().zip(results) {
                (self.acks)(Ack { account, kind: task.kind(), revision, result });
            }
        }
    }

    /// Writes a batch, and says of each job how it went.
    fn write(&mut self, batch: &[Job]) -> Vec<Result<(), Fault>> {
        let mut changes = Changes::new();
        let mut leaving = BTreeSet::new();
        let mut results = Vec::new();
        for job in batch {
            let key = job.key();
            let prepared = self.prepare(job, &key, &changes);
            results.push(prepared.map(|change| {
                if job.task.has_secrets() {
                    self.with_secrets.insert(key.clone());
                } else {
                    leaving.extend(self.with_secrets.get(&key).cloned());
                }
                // A later change of the same account takes the place of an earlier one.
                changes.insert(key, change);
            }));
        }
        for (name, change) in &changes {
            match change {
                Change::Put(record) | Change::PutForAMoment(record) => {
                    self.records.insert(name.clone(), record.clone())
                }
                Change::Erase => self.records.remove(name),
            };
        }
        if let Err(trouble) = self.attempt(&changes, !leaving.is_empty()) {
            self.gaps |= trouble.may_leave_gaps();
            let fault = self.failed(&trouble);
            return results.into_iter().map(|result| result.and(Err(fault.clone()))).collect();
        }
        for name in leaving {
            // Who has signed in again since is back.
            let last = batch.iter().rev().find(|job| job.key() == name);
            if last.is_none_or(|job| !job.task.has_secrets()) {
                self.with_secrets.remove(&name);
            }
        }
        results
    }

    /// What a job comes to, after the `changes` before it.
    fn prepare(&mut self, job: &Job, key: &[u8], changes: &Changes) -> Result<Change, Fault> {
        let text = match &job.task {
            Task::Save(record) => format::encode(record),
            Task::Declare(declaration) => format::encode_declaration(declaration),
            Task::Erase(_) => return Ok(Change::Erase),
        };
        let text = text.map_err(|error| self.failed(&error))?;
        let name = job.task.kind().name(&job.account);
        let sealed = self.key.seal(&name, &text).map_err(|error| self.failed(&error))?;
        self.serial += 1;
        let kept = SealedRecord::new(self.serial, &sealed);
        // A refresh is only ever begun with tokens that are safe already; its answer follows.
        let is_safe = !changes.contains_key(key) && self.records.contains_key(key);
        Ok(if is_asking(&job.task) && is_safe { Change::PutForAMoment(kept) } else { Change::Put(kept) })
    }

    /// Writes; after one failure the handle refuses everything, so it is given up then.
    fn attempt(&mut self, changes: &Changes, forget: bool) -> Result<(), Trouble> {
        let mut twin = match self.twin.take() {
            Some(mut twin) => {
                twin.write(changes, || self.records.clone())?;
                twin
            }
            None => self.reopen()?,
        };
        if forget {
            twin = twin.forget_former_versions(&self.records)?;
        }
        self.twin = Some(twin);
        Ok(())
    }

    /// Opens the files after a failed write, and puts into them what they lack.
    fn reopen(&mut self) -> Result<Twin, Trouble> {
        folder::make_private(&self.path)?;
        if self.gaps {
            match database::write_again(&sled_in(&self.path)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => self.gaps = false,
            }
        }
        let OpenedTwin { mut twin, set_aside, .. } = Twin::open(&self.path, clock::now().wall)?;
        if let Some(aside) = set_aside {
            let (path, why) = (aside.path.display(), aside.reason);
            tracing::warn!(%path, why, "set the damaged store aside; writing a new one");
        }
        twin.restore(&self.records)?;
        tracing::info!(path = %self.path.display(), "opened the store again after it could not write");
        Ok(twin)
    }

    fn failed(&self, why: &dyn Display) -> Fault {
        let folder = sled_in(&self.path);
        Fault::passing(FaultCode::StoreFailed, format!("The store cannot write {}: {why}.", folder.display()))
    }
}

/// Whether a refresh is under way by the record.
fn is_asking(task: &Task) -> bool {
    match task {
        Task::Save(record) => record.signed_in.as_ref().is_some_and(|signed_in| signed_in.refreshing_since.is_some()),
        Task::Declare(_) | Task::Erase(_) => false,
    }
}
