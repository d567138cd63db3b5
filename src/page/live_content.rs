//! The content of the page, and what of it has changed since a visitor last looked.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::account::AccountName;
use crate::domain::grant_kind::GrantKind;
use crate::domain::session::{PendingView, StatusView};

/// One account, as a visitor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountView {
    /// The name of the account's provider.
    pub provider: String,
    /// The grant by which it signs in.
    pub grant: GrantKind,
    /// Its state, times and fault.
    pub status: StatusView,
    /// The code that waits for the user, if there is one.
    pub pending: Option<PendingView>,
}

/// The content of the page. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct LiveContent(Arc<watch::Sender<Content>>);

/// Counts the changes of the content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ContentRevision(u64);

/// See [`LiveContent`].
#[derive(Debug, Default)]
pub(super) struct Content {
    newest: ContentRevision,
    /// When an account last came or went.
    shape: ContentRevision,
    broker: (ContentRevision, bool),
    accounts: BTreeMap<AccountName, (ContentRevision, AccountView)>,
}

impl Default for LiveContent {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Content::default())))
    }
}

impl LiveContent {
    /// Shows this of an account.
    pub(crate) fn show(&self, name: &AccountName, view: AccountView) {
        self.0.send_if_modified(|content| {
            if content.accounts.get(name).is_some_and(|(_, shown)| *shown == view) {
                return false;
            }
            let revision = content.next();
            if content.accounts.insert(name.clone(), (revision, view)).is_none() {
                content.shape = revision;
            }
            true
        });
    }

    /// Takes an account off.
    pub(crate) fn remove(&self, name: &AccountName) {
        self.0.send_if_modified(|content| {
            let was_there = content.accounts.remove(name).is_some();
            if was_there {
                content.shape = content.next();
            }
            was_there
        });
    }

    /// Says whether the broker can be reached.
    pub(crate) fn show_broker(&self, connected: bool) {
        self.0.send_if_modified(|content| {
            let changes = content.broker.1 != connected;
            if changes {
                content.broker = (content.next(), connected);
            }
            changes
        });
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Content> {
        self.0.subscribe()
    }
}

impl Content {
    fn next(&mut self) -> ContentRevision {
        self.newest.0 += 1;
        self.newest
    }

    pub(super) fn newest(&self) -> ContentRevision {
        self.newest
    }

    pub(super) fn has_other_accounts_since(&self, seen: ContentRevision) -> bool {
        self.shape > seen
    }

    pub(super) fn broker_since(&self, seen: ContentRevision) -> Option<bool> {
        (self.broker.0 > seen).then_some(self.broker.1)
    }

    pub(super) fn has_broker(&self) -> bool {
        self.broker.1
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = (&AccountName, &AccountView)> {
        self.accounts.iter().map(|(name, (_, view))| (name, view))
    }

    pub(super) fn changed_since(&self, seen: ContentRevision) -> impl Iterator<Item = (&AccountName, &AccountView)> {
        self.accounts.iter().filter(move |(_, (at, _))| *at > seen).map(|(name, (_, view))| (name, view))
    }
}
