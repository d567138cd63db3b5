//! The thread that writes: whatever waits is written together and synced once.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use super::error::DatabaseError;
use super::floor::{self, Floor};
use super::held::{HeldRecord, HeldRecords};
use super::process::Start;
use super::replicated::{RecordChange, RecordChanges, ReplicatedFiles, sled_in};
use super::retry::Retry;
use super::seal::SealingKey;
use super::sealed_record::Records;
use super::{Ack, RecordKey, folder, format};
use crate::domain::declaration::Declaration;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::gate::sessions::GateSession;
use crate::domain::record::Record;
use crate::platform::clock;

/// One change that waits to be written.
pub(super) struct Job {
    pub(super) key: RecordKey,
    pub(super) revision: u64,
    pub(super) task: Task,
}

/// Kinds of change.
pub(super) enum Task {
    Save(Record),
    Declare(Declaration),
    SaveGateSession(Box<GateSession>),
    Erase,
}

impl Task {
    /// Returns whether what it writes has tokens or a client's secret in it.
    fn has_secrets(&self) -> bool {
        match self {
            Self::Save(record) => record.signed_in.is_some(),
            Self::Declare(_) => true,
            // A session has neither.
            Self::SaveGateSession(_) | Self::Erase => false,
        }
    }
}

/// The state of the thread.
pub(super) struct Writer<F> {
    /// The folder of the store.
    pub(super) path: PathBuf,
    /// Starts the server of the database.
    pub(super) start: Start,
    /// `None` after a failure, until they can be opened again.
    pub(super) files: Option<ReplicatedFiles>,
    pub(super) key: SealingKey,
    /// The records that the files are to hold. Nothing that happens to the files can lose them while the agent runs.
    pub(super) held: HeldRecords,
    /// The serial of the newest record.
    pub(super) serial: u64,
    /// The serial below which no record counts.
    pub(super) floor: Floor,
    /// The names under which the files may have tokens or a client's secret, in some version or other.
    pub(super) with_secrets: BTreeSet<Vec<u8>>,
    /// Those of them whose secrets are given up. Every former version of them has yet to leave the files.
    pub(super) leaving: BTreeSet<Vec<u8>>,
    /// Set while the log may have gaps, and has to be written again before anything else.
    pub(super) has_gaps: bool,
    /// When the disk may be tried again.
    pub(super) retry: Retry,
    pub(super) acks: F,
}

impl<F: Fn(Ack)> Writer<F> {
    /// Writes until nobody can send any more and all is written.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            batch.extend(queue.try_iter());
            let results = self.write(&batch);
            for (Job { key, revision, .. }, result) in batch.into_iter().zip(results) {
                (self.acks)(Ack { key, revision, result });
            }
        }
    }

    /// Writes a batch, and returns the result of each job.
    fn write(&mut self, batch: &[Job]) -> Vec<Result<(), Fault>> {
        let mut changes = RecordChanges::new();
        let mut results = Vec::new();
        for job in batch {
            let key = job.key.name().into_bytes();
            let prepared = self.prepare(job, &key, &changes);
            results.push(prepared.map(|change| {
                if job.task.has_secrets() {
                    self.with_secrets.insert(key.clone());
                } else {
                    self.leaving.extend(self.with_secrets.get(&key).cloned());
                }
                self.hold(&key, &job.task, &change);
                // A later change of the same account takes the place of an earlier one.
                changes.insert(key, change);
            }));
        }
        if let Err(fault) = self.try_to_write(&changes) {
            return results.into_iter().map(|result| result.and(Err(fault.clone()))).collect();
        }
        for name in std::mem::take(&mut self.leaving) {
            // Who has signed in again since is back.
            if self.held.get(&name).is_none_or(|held| !held.has_secrets()) {
                self.with_secrets.remove(&name);
            }
        }
        results
    }

    /// Returns the change that a job makes, after the `changes` before it.
    fn prepare(&mut self, job: &Job, key: &[u8], changes: &RecordChanges) -> Result<RecordChange, Fault> {
        let text = match &job.task {
            Task::Save(record) => format::encode(record),
            Task::Declare(declaration) => format::encode_declaration(declaration),
            Task::SaveGateSession(session) => format::encode_gate_session(session),
            Task::Erase => return Ok(RecordChange::Erase),
        };
        let text = text.map_err(|error| self.failed(&error))?;
        let name = job.key.name();
        let sealed = self.key.seal(&name, self.serial + 1, self.floor.serial(), &text);
        let kept = sealed.map_err(|error| self.failed(&error))?;
        self.serial += 1;
        // A refresh is only ever begun with tokens that are safe already; its answer follows.
        let is_safe = !changes.contains_key(key) && self.held.contains_key(key);
        Ok(if is_asking(&job.task) && is_safe { RecordChange::PutInCopies(kept) } else { RecordChange::Put(kept) })
    }

    /// Notes what the files are to hold after a job.
    fn hold(&mut self, key: &[u8], task: &Task, change: &RecordChange) {
        let held = match (task, change) {
            (Task::Save(record), _) => HeldRecord::SignIn(Box::new(record.clone())),
            (Task::SaveGateSession(session), _) => HeldRecord::GateSession(session.clone()),
            (_, RecordChange::Put(sealed) | RecordChange::PutInCopies(sealed)) => HeldRecord::Sealed(sealed.clone()),
            (_, RecordChange::Erase) => {
                self.held.remove(key);
                return;
            }
        };
        self.held.insert(key.to_vec(), held);
    }

    /// Writes, unless the disk failed a short while ago: a dying one is not written to more often than it must be.
    fn try_to_write(&mut self, changes: &RecordChanges) -> Result<(), Fault> {
        let now = clock::now().boot;
        if let Some((why, wait)) = self.retry.refuses(now) {
            return Err(self.failed(&why).retry_after(Some(wait)));
        }
        match self.attempt(changes) {
            Ok(()) => {
                if self.retry.succeeded() {
                    tracing::info!(path = %self.path.display(), "the store works again; nothing is missing from it");
                }
                Ok(())
            }
            Err(error) => {
                self.has_gaps |= error.may_leave_gaps();
                let fault = self.failed(&error);
                if self.retry.failed(now, error.to_string()) {
                    tracing::error!(%fault, "the store failed; what it cannot write stays in memory, and is tried again");
                } else {
                    tracing::debug!(%fault, "the store still fails");
                }
                Err(fault)
            }
        }
    }

    /// Writes; after a failure the files are given up, and opened again the next time.
    fn attempt(&mut self, changes: &RecordChanges) -> Result<(), DatabaseError> {
        let mut files = match self.files.take() {
            Some(mut files) => match files.write(changes, || self.seal_all()) {
                Ok(()) => files,
                // Whatever ended it, perhaps a signal or a lack of memory: the disk may be well.
                Err(DatabaseError::Ended(why)) => {
                    tracing::warn!(%why, "the database is opened again");
                    self.has_gaps = true;
                    drop(files);
                    self.reopen()?
                }
                Err(error) => return Err(error),
            },
            None => self.reopen()?,
        };
        if !self.leaving.is_empty() {
            let all = self.raise_floor(&mut files)?;
            files = files.forget_former_versions(&all)?;
        }
        self.files = Some(files);
        Ok(())
    }

    /// Seals every remaining record again, and then writes down that no earlier one counts any more. Returns what the files
    /// hold then.
    ///
    /// In this order: were the floor on the disk first, a power cut would take the records that are still below it.
    fn raise_floor(&mut self, files: &mut ReplicatedFiles) -> Result<Records, DatabaseError> {
        let floor = Floor::new(self.serial + 1);
        let mut all = self.seal_all()?;
        // What does not open is of another key or machine, which has a floor of its own.
        let resealed = all.iter().filter(|(_, record)| record.serial() >= floor.serial());
        let resealed = resealed.map(|(name, record)| (name.clone(), RecordChange::Put(record.clone()))).collect();
        files.write(&resealed, || Ok(all.clone()))?;
        // Whatever fails from here on, what is sealed next says so.
        self.floor = floor;
        self.serial += 1;
        let record = self.key.seal(floor::NAME, self.serial, floor.serial(), b"").map_err(io::Error::other)?;
        self.held.insert(floor::NAME.into(), HeldRecord::Sealed(record.clone()));
        all.insert(floor::NAME.into(), record.clone());
        let raised = RecordChanges::from([(floor::NAME.into(), RecordChange::Put(record))]);
        files.write(&raised, || Ok(all.clone()))?;
        Ok(all)
    }

    /// Seals everything that the files are to hold, with new serials. What does not open stays as it is.
    fn seal_all(&mut self) -> io::Result<Records> {
        let mut all = Records::new();
        for (name, held) in &mut self.held {
            let sealed = held.seal(name, &self.key, self.serial + 1, self.floor)?;
            self.serial += 1;
            all.insert(name.clone(), sealed);
        }
        Ok(all)
    }

    /// Opens the files after a failure, and makes them hold what they should.
    fn reopen(&mut self) -> Result<ReplicatedFiles, DatabaseError> {
        folder::make_private(&self.path)?;
        let all = self.seal_all()?;
        let files = ReplicatedFiles::reopen(&self.path, self.start, &all, self.has_gaps)?;
        self.has_gaps = false;
        Ok(files)
    }

    fn failed(&self, why: &dyn Display) -> Fault {
        let folder = sled_in(&self.path);
        Fault::passing(FaultCode::StoreFailed, format!("The store cannot write {}: {why}.", folder.display()))
    }
}

/// Returns whether a refresh is under way by the record.
fn is_asking(task: &Task) -> bool {
    match task {
        Task::Save(record) => record.signed_in.as_ref().is_some_and(|signed_in| signed_in.refreshing_since.is_some()),
        Task::Declare(_) | Task::SaveGateSession(_) | Task::Erase => false,
    }
}
