//! Accounts are added, changed and removed without a restart and without touching the others.

use std::sync::Arc;

use super::accounts::{Account, PendingChange, rules};
use super::withdrawals::tokens_of;
use super::{Agent, RunError};
use crate::config;
use crate::domain::account::AccountName;
use crate::domain::policy::Jitter;
use crate::domain::record::{Record, StoredRecord};
use crate::domain::session::{Event, Revision, Session};
use crate::domain::settings::{AccountSettings, PublishMode};
use crate::platform::clock;

/// For what no session waits to hear of: those count their revisions from numbers of their epochs on.
pub(super) const UNHEARD: Revision = Revision(0);

impl Agent {
    /// Takes up an account, with what the store has of it.
    pub(super) fn add(&mut self, name: &AccountName, settings: AccountSettings) -> Result<(), RunError> {
        let (settings, provider) =
            self.clients.provider(settings).map_err(|reason| RunError::Account(name.clone(), reason))?;
        let found = self.spare.remove(name).unwrap_or_else(|| StoredRecord::Record(Record::default()));
        let session = self.session(&settings, found);
        let account = Account { settings, provider, session, change: None };
        self.accounts.insert(name.clone(), Box::new(account));
        self.tell(name, Event::Woke);
        Ok(())
    }

    /// Reads the configuration again, and returns the sections that take effect at the next start. A bad one changes nothing.
    pub(super) fn reload(&mut self) -> Result<Vec<&'static str>, String> {
        let loaded = match config::load(&self.origin.path, &self.origin.environment) {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(%error, "the new configuration is not used; the running one stays in force");
                return Err(error.to_string());
            }
        };
        for warning in &loaded.warnings {
            tracing::warn!("{}", warning.in_file(&self.origin.path));
        }
        let settings = loaded.settings;
        let at_next_start = self.settings.sections_for_next_start(&settings);
        if !at_next_start.is_empty() {
            let sections = at_next_start.join(", ");
            tracing::warn!(
                sections,
                "what has changed in these sections takes effect at the next start; accounts do now"
            );
        }
        self.clients.read_files_again();
        self.settings.provisioning.clone_from(&settings.provisioning);
        self.use_gate_settings(settings.gate);
        let accounts = self.with_declared(settings.accounts);
        for (name, account) in &mut self.accounts {
            account.change = match accounts.get(name) {
                Some(wanted) => Some(Box::new(PendingChange::Replace(wanted.clone()))),
                None if matches!(account.change.as_deref(), Some(PendingChange::Forget)) => continue,
                None => Some(Box::new(PendingChange::Remove)),
            };
        }
        for (name, wanted) in accounts {
            if self.accounts.contains_key(&name) {
                continue;
            }
            if let Err(error) = self.add(&name, wanted) {
                tracing::error!(%error, "the account is left out");
            } else {
                tracing::info!(account = name.as_str(), "added");
                self.tell(&name, Event::PublishAll);
            }
        }
        self.apply_waiting_changes();
        self.publish_info();
        tracing::info!(accounts = self.accounts.len(), "read the configuration again");
        Ok(at_next_start)
    }

    /// Applies what the configuration says, to each account as soon as no answer is awaited for it: that answer may
    /// carry the only refresh token that is still good.
    pub(super) fn apply_waiting_changes(&mut self) {
        // At the end of the process, what could not be written has nobody else to go on with it.
        let ready =
            |account: &Account| account.change.is_some() && !account.session.is_busy() && account.session.is_safe();
        let names: Vec<_> =
            self.accounts.iter().filter(|(_, account)| ready(account)).map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(account) = self.accounts.get_mut(&name) else { continue };
            match account.change.take().map(|change| *change) {
                Some(PendingChange::Replace(settings)) => self.replace(&name, settings),
                Some(PendingChange::Remove) => self.remove(&name, true),
                Some(PendingChange::Forget) => self.remove(&name, false),
                None => {}
            }
        }
    }

    fn replace(&mut self, name: &AccountName, settings: AccountSettings) {
        let (settings, provider) = match self.clients.provider(settings) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(account = name.as_str(), error, "the account stays as it was");
                return;
            }
        };
        let Some(account) = self.accounts.get_mut(name) else { return };
        let is_changed = account.settings != settings;
        let retires = account.settings.publish == PublishMode::Retained && settings.publish == PublishMode::OnRequest;
        let tells_no_more = account.settings.identity && !settings.identity;
        let asked = |settings: &AccountSettings| (settings.scopes.clone(), Arc::clone(&settings.profile));
        let requests_other_tokens = asked(&account.settings) != asked(&settings);
        let told = account.info(name);
        let rules = rules(&settings);
        let same_client = *account.session.client() == settings.binding();
        if same_client && account.session.can_go_on_under(&rules) {
            account.session.set_rules(rules);
            if requests_other_tokens {
                account.session.requests_other_tokens(clock::now());
            }
            account.settings = settings;
            account.provider = provider;
        } else if let Some(account) = self.accounts.remove(name) {
            let mut session = self.session(&settings, account.session.into_found());
            session.retire(account.settings.tokens.keys().cloned());
            let account = Account { settings, provider, session, change: None };
            self.accounts.insert(name.clone(), Box::new(account));
        }
        if self.accounts.get(name).is_some_and(|account| account.info(name) != told) {
            self.publish_info();
        }
        if let Some(account) = self.accounts.get(name).filter(|_| retires) {
            for token in tokens_of(account.settings.tokens.keys()) {
                self.withdraw_token(name, token);
            }
        }
        if tells_no_more {
            self.withdraw_identity(name);
        }
        self.tell(name, if is_changed { Event::Reconfigured } else { Event::FilesReadAgain });
        self.tell(name, Event::PublishAll);
    }

    /// Takes an account away; what the store has of it is kept for one of that name, or not.
    fn remove(&mut self, name: &AccountName, keep: bool) {
        let Some(account) = self.accounts.remove(name) else { return };
        self.summary_is_old = true;
        let set_up = account.set_up(false);
        self.take_off_page(name);
        match account.session.into_found() {
            // Names may come and go without end; what is empty is kept for none.
            StoredRecord::Record(record) if record.is_empty() => {}
            found if keep => drop(self.spare.insert(name.clone(), found)),
            _ => self.store.erase(name, UNHEARD.0),
        }
        if self.broker_is_there {
            self.withdraw_all_as(name, set_up, account.settings.identity, account.settings.tokens.keys());
        } else {
            self.removed_while_offline.insert(name.clone());
        }
        self.redirects.may_have_changed = true;
        self.publish_info();
        let what = if keep { "removed; its sign-in stays in the store" } else { "forgotten" };
        tracing::info!(account = name.as_str(), "{what}");
    }

    fn session(&mut self, settings: &AccountSettings, found: StoredRecord) -> Session {
        self.epochs += 1;
        let jitter = Jitter::new(fastrand::f64());
        Session::restore(settings.binding(), rules(settings), self.epochs, found, clock::now(), jitter)
    }
}
