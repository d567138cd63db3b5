//! Keeps one sealed record per account, safe from power cuts, one more for each account that was declared over MQTT, and one for each
//! session at the gate.
//!
//! A thread of its own writes. It takes what waits, writes it, syncs it to the disk once, and only then says so for each
//! change: whoever waits for its [`Ack`] may use what was saved.

mod copies;
mod database;
mod error;
mod floor;
mod folder;
mod format;
mod held;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod key;
mod loading;
pub(crate) mod machine;
mod machine_key;
mod mounts;
pub(crate) mod process;
mod protocol;
mod replicated;
mod retry;
mod seal;
mod sealed_record;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::account::AccountName;
use crate::domain::clock::{Confidence, Now};
use crate::domain::declaration::Declaration;
use crate::domain::fault::Fault;
use crate::domain::gate::CookieDigest;
use crate::domain::gate::sessions::GateSession;
use crate::domain::record::{Record, StoredRecord};
use crate::domain::settings::StoreSettings;
use crate::store::machine::Machine;
use error::DatabaseError;
use floor::Floor;
use folder::Foreign;
use held::{HeldRecord, HeldRecords};
use key::Binding;
use process::Start;
use replicated::{OpenedFiles, ReplicatedFiles};
use retry::Retry;
use seal::{SealingKey, Unsealed};
use sealed_record::{Records, newest_serial};
use writer::{Job, Task, Writer};

pub(crate) use error::OpenError;

/// An open store. Dropping it waits until everything that was sent is written and the files are closed.
#[derive(Debug)]
pub struct Store {
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// The result of opening the store.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// The records that were in it, by name.
    pub records: Vec<(AccountName, StoredRecord)>,
    /// The accounts that were declared, as far as they can be read.
    pub declarations: Vec<(AccountName, Result<Declaration, Fault>)>,
    /// The sessions at the gate.
    pub(crate) gate_sessions: Vec<(CookieDigest, GateSession)>,
    /// The former store, if it would not open.
    pub set_aside: Option<SetAside>,
    /// Set when there was no key, and one was made.
    pub key_made: bool,
}

/// A store that would not open; nothing of it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The folder that it is in now.
    pub path: PathBuf,
    /// The reason why it would not open.
    pub reason: String,
}

/// A record of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordKey {
    /// The sign-in of an account.
    SignIn(AccountName),
    /// The settings of an account, where they are not in the configuration file.
    Declaration(AccountName),
    /// The session of somebody at the gate, by the cookie of the browser.
    GateSession(CookieDigest, GateChange),
}

/// A change of a session at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateChange {
    /// It was written.
    Save,
    /// It was removed.
    Erase,
}

impl RecordKey {
    /// Returns the name that it is kept under. No account's name has a slash, so no two ever meet.
    fn name(&self) -> String {
        match self {
            Self::SignIn(account) => account.to_string(),
            Self::Declaration(account) => format!("{DECLARED}{account}"),
            Self::GateSession(CookieDigest(digest), _) => format!("{GATE}{}", URL_SAFE_NO_PAD.encode(digest)),
        }
    }
}

/// The start of the names of declarations, and of the sessions at the gate.
const DECLARED: &str = "declared/";
const GATE: &str = "gate/";

/// The end of one save or erase.
#[derive(Clone, Debug)]
pub struct Ack {
    /// The record.
    pub key: RecordKey,
    /// The number of the change, as the sender counts.
    pub revision: u64,
    /// Success when it is safe on disk; if not, what was there before, or what was sent, is.
    pub result: Result<(), Fault>,
}

/// Opens the store, and makes what is not there yet: the folder, the key if it is the agent's to make, the database.
///
/// `machine` is the one that this runs on, if it can be told from others. What is in the store opens on it alone, unless
/// the settings say otherwise; what they say is then also true of what was sealed before, as far as it opens.
///
/// `acks` is called on the store's thread once for each change, in their order.
///
/// # Errors
/// When another process has the store open, the system refuses, or the key cannot be used. A store that is damaged is
/// no error: it is set aside, and a new one takes its place.
pub(crate) fn open(
    settings: &StoreSettings,
    machine: Option<&Machine>,
    clock: (Now, Confidence),
    acks: impl Fn(Ack) + Send + 'static,
) -> Result<Opened, OpenError> {
    open_with(settings, machine, clock, acks, process::start_process)
}

/// Does what [`open`] does with the database in this process: for tests, whose program cannot be the child.
///
/// # Errors
/// As [`open`].
pub fn open_in_process(
    settings: &StoreSettings,
    machine: Option<&Machine>,
    clock: (Now, Confidence),
    acks: impl Fn(Ack) + Send + 'static,
) -> Result<Opened, OpenError> {
    open_with(settings, machine, clock, acks, process::start_thread)
}

fn open_with(
    settings: &StoreSettings,
    machine: Option<&Machine>,
    (now, confidence): (Now, Confidence),
    acks: impl Fn(Ack) + Send + 'static,
    start: Start,
) -> Result<Opened, OpenError> {
    let path = &settings.path;
    let refused = |error| OpenError::files("use the folder of the store,", path, &error);
    // Who owns a folder that somebody made is asked before its mode is changed.
    if path.try_exists().map_err(refused)?
        && let Some(Foreign { path, owner }) = folder::find_foreign(path).map_err(refused)?
    {
        return Err(OpenError::Foreign { path, owner });
    }
    folder::make_private(path).map_err(refused)?;
    let binding = Binding { machine, binds: settings.bind_to_machine };
    let (key, key_made) = key::obtain(&settings.key, binding)?;
    let refused = |error| match error {
        DatabaseError::InUse => OpenError::InUse { path: path.clone() },
        DatabaseError::Damaged(why) => OpenError::database("make a new store in", path, why),
        DatabaseError::Files(error) => OpenError::files("open the store in", path, &error),
        error => OpenError::database("open the store in", path, error.to_string()),
    };
    let mut retry = Retry::default();
    let opened = ReplicatedFiles::open(path, now.wall, start)
        .and_then(|OpenedFiles { files, mut records, set_aside }| {
            let floor = Floor::of(&key, &records);
            let files = seal_as_wanted(&key, floor, files, &mut records)?;
            Ok((Some(files), records, set_aside))
        })
        .or_else(|error| {
            let readable = error.is_of_disk().then(|| ReplicatedFiles::read_copies(path).ok().flatten()).flatten();
            let Some(records) = readable else { return Err(error) };
            tracing::error!(
                path = %path.display(),
                %error,
                "the store failed; the sign-ins are read from its copies, and what cannot be written stays in memory"
            );
            retry.failed(now.boot, error.to_string());
            Ok((None, records, None))
        });
    let (files, mut kept, set_aside) = opened.map_err(refused)?;
    let floor = Floor::of(&key, &kept);
    floor.drop_rolled_back(&key, &mut kept);
    let serial = newest_serial(&kept);
    let declarations: Vec<_> = kept.iter().filter_map(|(name, kept)| loading::declaration(&key, name, kept)).collect();
    let (mut records, mut gate_sessions, mut held) = (Vec::new(), Vec::new(), HeldRecords::new());
    for (name, kept) in kept {
        let loaded = loading::sign_in(&key, &name, &kept, (now, confidence));
        let session = loading::gate_session(&key, &name, &kept, (now, confidence));
        let to_hold = match (&loaded, &session) {
            (Some((_, StoredRecord::Record(record))), _) => HeldRecord::SignIn(Box::new(record.clone())),
            (_, Some((_, session))) => HeldRecord::GateSession(Box::new(session.clone())),
            _ => HeldRecord::Sealed(kept),
        };
        held.insert(name, to_hold);
        records.extend(loaded);
        gate_sessions.extend(session);
    }
    let may_have_tokens = |loaded: &StoredRecord| match loaded {
        StoredRecord::Record(record) => record.signed_in.is_some(),
        StoredRecord::Unreadable(_) => true,
    };
    let with_tokens = records.iter().filter(|(_, loaded)| may_have_tokens(loaded)).map(|(name, _)| name);
    let declared = declarations.iter().map(|(name, _)| name);
    let names =
        with_tokens.map(AccountName::to_string).chain(declared.map(|name| RecordKey::Declaration(name.clone()).name()));
    let with_secrets = names.map(String::into_bytes).collect();

    let writer = Writer {
        path: path.clone(),
        start,
        has_gaps: files.is_none(),
        files,
        with_secrets,
        leaving: BTreeSet::new(),
        serial,
        floor,
        key,
        held,
        retry,
        acks,
    };
    let (queue, jobs) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("store".to_owned())
        .spawn(move || writer.run(&jobs))
        .map_err(|error| OpenError::files("start the thread of the store", path, &error))?;
    let store = Store { queue: Some(queue), thread: Some(thread) };
    Ok(Opened { store, records, declarations, gate_sessions, set_aside, key_made })
}

/// Says why what is kept in this folder is forgotten at the next boot, if it is: a file system in memory.
#[must_use]
pub(crate) fn forgets(path: &Path) -> Option<String> {
    mounts::forgets(path)
}

impl Store {
    /// Writes `record` in the place of what the account had.
    pub fn save(&self, account: &AccountName, revision: u64, record: Record) {
        self.send(Job { key: RecordKey::SignIn(account.clone()), revision, task: Task::Save(record) });
    }

    /// Removes what the account had.
    pub fn erase(&self, account: &AccountName, revision: u64) {
        self.send(Job { key: RecordKey::SignIn(account.clone()), revision, task: Task::Erase });
    }

    /// Writes what an account is, in the place of what was declared before.
    pub fn declare(&self, account: &AccountName, revision: u64, declaration: Declaration) {
        self.send(Job { key: RecordKey::Declaration(account.clone()), revision, task: Task::Declare(declaration) });
    }

    /// Removes what was declared.
    pub fn forget(&self, account: &AccountName, revision: u64) {
        self.send(Job { key: RecordKey::Declaration(account.clone()), revision, task: Task::Erase });
    }

    /// Writes the session of somebody at the gate.
    pub(crate) fn save_gate_session(&self, cookie: CookieDigest, session: GateSession) {
        self.send(Job {
            key: RecordKey::GateSession(cookie, GateChange::Save),
            revision: 0,
            task: Task::SaveGateSession(Box::new(session)),
        });
    }

    /// Removes the session of somebody at the gate.
    pub(crate) fn erase_gate_session(&self, cookie: CookieDigest) {
        self.send(Job { key: RecordKey::GateSession(cookie, GateChange::Erase), revision: 0, task: Task::Erase });
    }

    fn send(&self, job: Job) {
        if self.queue.as_ref().is_none_or(|queue| queue.send(job).is_err()) {
            tracing::error!("the thread of the store has ended; restart the agent");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.queue.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the store ended early; the last changes may be missing");
        }
    }
}

/// Seals again what was sealed for other machines than it should be for now, and leaves nothing of how it was. What was
/// put back from before a sign-out is removed.
fn seal_as_wanted(
    key: &SealingKey,
    floor: Floor,
    files: ReplicatedFiles,
    records: &mut Records,
) -> Result<ReplicatedFiles, DatabaseError> {
    let mut serial = newest_serial(records);
    let before = serial;
    let has_rolled_back = floor.drop_rolled_back(key, records);
    for (name, kept) in records.iter_mut().filter(|(_, kept)| !key.is_sealed_as_wanted(kept)) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let Ok(Unsealed { text, .. }) = key.open(name, kept) else { continue };
        let Ok(sealed) = key.seal(name, serial + 1, floor.serial(), &text) else { continue };
        serial += 1;
        *kept = sealed;
    }
    if serial == before && !has_rolled_back {
        return Ok(files);
    }
    files.replace(records)
}
