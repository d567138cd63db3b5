//! What the files are to hold, and the key to it: for the thread that writes them, and for whoever needs a token.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::format;
use super::replicated::{RecordChange, RecordChanges};
use super::sealed_record::{Records, SealedRecord};
use crate::domain::account::AccountName;
use crate::domain::token::ClearTokens;
use crate::store::seal::SealingKey;

/// See the module. Nothing that happens to the files can lose it while the agent runs. Clones share it, and no one holds it for
/// as long as a disk takes.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    key: Arc<SealingKey>,
    records: Arc<Mutex<Records>>,
}

impl Wanted {
    pub(super) fn new(key: SealingKey, records: Records) -> Self {
        Self { key: Arc::new(key), records: Arc::new(Mutex::new(records)) }
    }

    pub(super) fn key(&self) -> &SealingKey {
        &self.key
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<SealedRecord> {
        self.lock().get(name).cloned()
    }

    /// All of it. The records share their memory, their names do not.
    pub(super) fn all(&self) -> Records {
        self.lock().clone()
    }

    pub(super) fn change(&self, changes: &RecordChanges) {
        let mut records = self.lock();
        for (name, change) in changes {
            match change {
                RecordChange::Put(kept) | RecordChange::PutInCopies(kept) => records.insert(name.clone(), kept.clone()),
                RecordChange::Erase => records.remove(name),
            };
        }
    }

    /// The tokens in a record of the account's sign-in, or why they cannot be had; `None` where it has none.
    pub(super) fn open(&self, account: &AccountName, kept: &SealedRecord) -> Result<Option<ClearTokens>, String> {
        let text = self.key.open(account.as_str(), kept).map_err(|error| error.to_string())?.text;
        format::decode_tokens(&text).map_err(|error| error.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
