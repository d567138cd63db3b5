//! Keeps one sealed record per account, safe from power cuts, and one more for each account that was declared over MQTT.
//!
//! A thread of its own writes. It takes what waits, writes it, syncs it to the disk once, and only then says so for each
//! change: whoever waits for its [`Ack`] may use what was saved.

mod copies;
mod database;
mod error;
mod folder;
mod format;
mod key;
pub(crate) mod machine;
mod seal;
mod sealed_record;
#[cfg(test)]
mod tests;
mod twin;
mod writer;

use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use crate::domain::account::AccountName;
use crate::domain::clock::{Confidence, Now};
use crate::domain::declaration::Declaration;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::record::Record;
use crate::domain::settings::StoreSettings;
use crate::store::machine::Machine;
use crate::store::seal::{SealError, SealedFor, SealingKey};
use database::Trouble;
use sealed_record::{Records, SealedRecord, newest_serial};
use twin::{OpenedTwin, Twin};
use writer::{Job, Task, Writer};

pub(crate) use error::OpenError;

/// An open store. Dropping it waits until everything that was sent is written and the files are closed.
#[derive(Debug)]
pub struct Store {
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// What opening the store brought.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What was in it, by name.
    pub records: Vec<(AccountName, Loaded)>,
    /// The accounts that were declared, as far as they can be read.
    pub declarations: Vec<(AccountName, Result<Declaration, Fault>)>,
    /// The former store, if it would not open.
    pub set_aside: Option<SetAside>,
    /// Whether there was no key, and one was made.
    pub key_made: bool,
}

/// One record that was found in the store.
#[derive(Debug)]
pub enum Loaded {
    /// It is whole.
    Record(Record),
    /// It cannot be read ([`FaultCode::is_of_closed_record`]); it stays as it is until it is overwritten or erased.
    Unreadable(Fault),
}

/// A store that would not open; nothing of it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The folder that it is in now.
    pub path: PathBuf,
    /// Why it would not open.
    pub reason: String,
}

/// What is kept of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its sign-in.
    SignIn,
    /// What it is, where that is not in the configuration file.
    Declaration,
}

impl Kind {
    /// Under which name it is kept. No account's name has a slash, so no two ever meet.
    fn name(self, account: &AccountName) -> String {
        match self {
            Self::SignIn => account.to_string(),
            Self::Declaration => format!("{DECLARED}{account}"),
        }
    }
}

/// What the names of declarations start with.
const DECLARED: &str = "declared/";

/// The end of one save or erase.
#[derive(Clone, Debug)]
pub struct Ack {
    /// Whose.
    pub account: AccountName,
    /// Of what.
    pub kind: Kind,
    /// Which, as the sender counts.
    pub revision: u64,
    /// Whether it is safe on disk; if not, what was there before, or what was sent, is.
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
pub fn open(
    settings: &StoreSettings,
    machine: Option<&Machine>,
    (now, confidence): (Now, Confidence),
    acks: impl Fn(Ack) + Send + 'static,
) -> Result<Opened, OpenError> {
    let path = &settings.path;
    folder::make_private(path).map_err(|error| OpenError::files("use the folder of the store,", path, &error))?;
    let sealed_for = match machine {
        Some(machine) if settings.bind_to_machine => SealedFor::This(machine),
        machine => SealedFor::Any(machine),
    };
    let (key, key_made) = key::obtain(&settings.key, sealed_for)?;
    let refused = |trouble| match trouble {
        Trouble::InUse => OpenError::InUse { path: path.clone() },
        Trouble::Damaged(why) => OpenError::files("make a new store in", path, &std::io::Error::other(why)),
        Trouble::Files(error) => OpenError::files("open the store in", path, &error),
    };
    let OpenedTwin { twin, records: mut kept, set_aside } = Twin::open(path, now.wall).map_err(refused)?;
    let twin = seal_as_wanted(&key, twin, &mut kept).map_err(refused)?;
    let records: Vec<_> =
        kept.iter().filter_map(|(name, kept)| load(&key, name, kept.sealed(), (now, confidence))).collect();
    let may_have_tokens = |loaded: &Loaded| match loaded {
        Loaded::Record(record) => record.signed_in.is_some(),
        Loaded::Unreadable(_) => true,
    };
    let with_tokens = records.iter().filter(|(_, loaded)| may_have_tokens(loaded)).map(|(name, _)| name);
    let declarations: Vec<_> =
        kept.iter().filter_map(|(name, kept)| load_declaration(&key, name, kept.sealed())).collect();
    let declared = declarations.iter().map(|(name, _)| name);
    let names =
        with_tokens.map(|name| Kind::SignIn.name(name)).chain(declared.map(|name| Kind::Declaration.name(name)));
    let with_secrets = names.map(String::into_bytes).collect();

    let serial = newest_serial(&kept);
    let writer =
        Writer { path: path.clone(), twin: Some(twin), with_secrets, serial, key, records: kept, gaps: false, acks };
    let (queue, jobs) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("store".to_owned())
        .spawn(move || writer.run(&jobs))
        .map_err(|error| OpenError::files("start the thread of the store", path, &error))?;
    let store = Store { queue: Some(queue), thread: Some(thread) };
    Ok(Opened { store, records, declarations, set_aside, key_made })
}

impl Store {
    /// Writes `record` in the place of what the account had.
    pub fn save(&self, account: &AccountName, revision: u64, record: Record) {
        self.send(Job { account: account.clone(), revision, task: Task::Save(record) });
    }

    /// Removes what the account had.
    pub fn erase(&self, account: &AccountName, revision: u64) {
        self.send(Job { account: account.clone(), revision, task: Task::Erase(Kind::SignIn) });
    }

    /// Writes what an account is, in the place of what was declared before.
    pub fn declare(&self, account: &AccountName, revision: u64, declaration: Declaration) {
        self.send(Job { account: account.clone(), revision, task: Task::Declare(declaration) });
    }

    /// Removes what was declared.
    pub fn forget(&self, account: &AccountName, revision: u64) {
        self.send(Job { account: account.clone(), revision, task: Task::Erase(Kind::Declaration) });
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

/// Seals again what was sealed for other machines than it should be for now, and leaves nothing of how it was.
fn seal_as_wanted(key: &SealingKey, mut twin: Twin, records: &mut Records) -> Result<Twin, Trouble> {
    let mut serial = newest_serial(records);
    let before = serial;
    for (name, kept) in records.iter_mut().filter(|(_, kept)| !key.is_sealed_as_wanted(kept.sealed())) {
        let Ok(account) = std::str::from_utf8(name) else { continue };
        let Ok(sealed) = key.open(account, kept.sealed()).and_then(|text| key.seal(account, &text)) else { continue };
        serial += 1;
        *kept = SealedRecord::new(serial, &sealed);
    }
    if serial == before {
        return Ok(twin);
    }
    twin.restore(records)?;
    twin.forget_former_versions(records)
}

fn load(key: &SealingKey, name: &[u8], sealed: &[u8], clock: format::Clock) -> Option<(AccountName, Loaded)> {
    // What is under no account's name is left alone: a newer version may keep something of its own.
    let account: AccountName = std::str::from_utf8(name).ok()?.parse().ok()?;
    let closed = |code, why: &dyn std::fmt::Display| {
        Loaded::Unreadable(Fault::ask_user(code, format!("The stored sign-in of {account} cannot be read: {why}.")))
    };
    let loaded = match key.open(account.as_str(), sealed) {
        Ok(text) => match format::decode(&text, clock) {
            Ok(record) => Loaded::Record(record),
            Err(error) => closed(FaultCode::RecordUnreadable, &error),
        },
        Err(error @ SealError::OtherMachine) => closed(FaultCode::ClonedDevice, &error),
        Err(error) => closed(FaultCode::RecordUnreadable, &error),
    };
    Some((account, loaded))
}

fn load_declaration(key: &SealingKey, name: &[u8], sealed: &[u8]) -> Option<(AccountName, Result<Declaration, Fault>)> {
    let name = std::str::from_utf8(name).ok()?;
    let account: AccountName = name.strip_prefix(DECLARED)?.parse().ok()?;
    let read = key
        .open(name, sealed)
        .map_err(|error| error.to_string())
        .and_then(|text| format::decode_declaration(&text).map_err(|error| error.to_string()));
    let declaration = read.map_err(|why| {
        let message = format!("What was declared of {account} cannot be read: {why}.");
        Fault::ask_user(FaultCode::RecordUnreadable, message)
    });
    Some((account, declaration))
}
