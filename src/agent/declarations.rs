//! Accounts that are declared over MQTT: taken up, changed and forgotten by requests, as far as the configuration lets them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::Value;

use super::Agent;
use super::accounts::{PendingChange, rules};
use super::reload;
use super::requests::{Asker, PendingRequest, ReplyTo, busy, data, sentence};
use super::tickets::MOST_WAITING;
use crate::config;
use crate::domain::account::AccountName;
use crate::domain::declaration::Declaration;
use crate::domain::fault::Fault;
use crate::domain::policy;
use crate::domain::rate_limit::Throttle;
use crate::domain::record::{Record, StoredRecord};
use crate::domain::session::{Command, Event, Rules, Ticket};
use crate::domain::settings::{AccountSettings, Declared};
use crate::platform::clock;
use crate::wire::{DeclareMessage, ErrorCode, ForgetMessage, RequestError, Transaction, Verb};

/// The most accounts that may be declared: each has its place in the store and in the broker's memory.
const MOST: usize = 32;

/// Nobody waits for the answer to a command with this ticket.
const UNHEARD: Ticket = Ticket(0);

/// The declared accounts, and the requests that wait until they are safe on disk.
pub(super) struct Declarations {
    by_name: BTreeMap<AccountName, Declaration>,
    /// The accounts of the configuration file as it was last read, also those that wait for their moment or cannot be used.
    in_file: BTreeSet<AccountName>,
    changes: Throttle,
    /// Those that are being signed out, to be forgotten then.
    forgetting: BTreeSet<AccountName>,
    last: u64,
    waiting: HashMap<u64, (ReplyTo, Transaction, Value)>,
}

impl Declarations {
    /// Takes up the declarations that the store had.
    pub(super) fn from_store(found: Vec<(AccountName, Result<Declaration, crate::domain::fault::Fault>)>) -> Self {
        let mut by_name = BTreeMap::new();
        for (name, declaration) in found {
            match declaration {
                Ok(declaration) => drop(by_name.insert(name, declaration)),
                Err(fault) => tracing::error!(account = name.as_str(), %fault, "the account is left out"),
            }
        }
        Self {
            by_name,
            in_file: BTreeSet::new(),
            changes: Throttle::new(policy::DECLARED_CHANGES),
            forgetting: BTreeSet::new(),
            last: 0,
            waiting: HashMap::new(),
        }
    }

    /// The accounts that were declared, also those that may not be used now.
    pub(super) fn names(&self) -> impl Iterator<Item = &AccountName> {
        self.by_name.keys()
    }

    /// Returns whether the account asks for something else by now than its sign-in was for.
    pub(super) fn needs_sign_in(&self, name: &AccountName) -> bool {
        self.by_name.get(name).is_some_and(|declaration| declaration.sign_in_needed)
    }
}

fn too_many_changes(wait: Duration) -> RequestError {
    let error = format!(
        "Too much has been declared anew or changed in a short time; the next change is taken in {} s. Declaring the same again \
         changes nothing. See whether a flow declares something else each time.",
        wait.as_secs() + 1
    );
    RequestError::new(ErrorCode::TooManyChanges, error)
}

impl Agent {
    /// The accounts of the configuration file, and those that were declared and may still be used. What is in the file
    /// wins.
    pub(super) fn with_declared(
        &mut self,
        mut accounts: BTreeMap<AccountName, AccountSettings>,
    ) -> BTreeMap<AccountName, AccountSettings> {
        self.declarations.in_file = accounts.keys().cloned().collect();
        let Some(provisioning) = &self.settings.provisioning else { return accounts };
        for (name, declaration) in &self.declarations.by_name {
            if accounts.contains_key(name) {
                tracing::warn!(
                    account = name.as_str(),
                    "the configuration file has this account; what was declared waits"
                );
                continue;
            }
            match config::declared(name, declaration, provisioning) {
                Ok(settings) => drop(accounts.insert(name.clone(), settings)),
                Err(reason) => tracing::error!(account = name.as_str(), reason, "a declared account is left out"),
            }
        }
        accounts
    }

    /// Returns whether the account may be declared or signed in, and is not about to go with all that is kept of it.
    pub(super) fn is_not_forgotten(&self, name: &AccountName) -> Result<(), RequestError> {
        let is_leaving = self
            .accounts
            .get(name)
            .is_some_and(|account| matches!(account.change.as_deref(), Some(PendingChange::Forget)));
        if is_leaving || self.declarations.forgetting.contains(name) {
            let error = format!("{name} is being forgotten. Declare it once the request to forget it is answered.");
            return Err(RequestError::new(ErrorCode::SigningOut, error));
        }
        Ok(())
    }

    /// Takes up what a request declares. The answer comes when it is safe on disk.
    pub(super) fn declare(
        &mut self,
        account: Option<AccountName>,
        declaration: Option<Declaration>,
        transaction: &Transaction,
        reply_to: &ReplyTo,
    ) -> Result<(), RequestError> {
        let name = self.may_declare(account)?;
        self.is_not_forgotten(&name)?;
        let Some(provisioning) = &self.settings.provisioning else { return Ok(()) };
        let Some(mut declaration) = declaration else {
            let error = "The request has no \"settings\": the keys of the account, as in the configuration file.";
            return Err(RequestError::invalid(error));
        };
        let settings = config::declared(&name, &declaration, provisioning)
            .map_err(|reason| RequestError::new(ErrorCode::InvalidDeclaration, sentence(&reason)))?;
        let former = self.declarations.by_name.get(&name);
        if former.is_none() && self.declarations.by_name.len() >= MOST {
            let error = format!("There are {MOST} declared accounts already. Forget one, then declare this one.");
            return Err(RequestError::new(ErrorCode::TooManyAccounts, error));
        }
        let running = self.accounts.contains_key(&name);
        if let Some(former) = former.filter(|former| running && former.is_same_as(&declaration)) {
            let answer = DeclareMessage::new(&name, false, former.sign_in_needed);
            self.respond(reply_to, Ok(answer), transaction);
            return Ok(());
        }
        if self.declarations.waiting.len() >= MOST_WAITING {
            return Err(busy());
        }
        self.clients
            .provider(settings.clone())
            .map_err(|reason| RequestError::new(ErrorCode::InvalidDeclaration, sentence(&reason)))?;
        // Whatever goes on from here ends on disk.
        self.declarations.changes.take(clock::now().boot).map_err(too_many_changes)?;
        let former = self.declarations.by_name.get(&name);
        let requests_other_tokens = former.is_some_and(|former| !former.asks_the_same_as(&declaration));
        let needed_before = former.is_some_and(|former| former.sign_in_needed);
        // Without a user the agent sees to it by itself.
        let has_user = settings.grant.has_user();
        declaration.sign_in_needed = has_user && (requests_other_tokens || needed_before) && self.is_signed_in(&name);
        if requests_other_tokens && running {
            // What the user would approve is not what is asked for any more.
            self.tell(&name, Event::Command(Command::Cancel, UNHEARD));
        }
        let answer = DeclareMessage::new(&name, true, declaration.sign_in_needed);
        let revision = self.save_declaration(&name, declaration);
        self.declarations.waiting.insert(revision, (reply_to.clone(), transaction.clone(), data(&answer)));
        tracing::info!(account = name.as_str(), provider = settings.provider, "declared");
        self.take_up(&name, settings);
        Ok(())
    }

    /// Signs a declared account out, and forgets it when that is done.
    pub(super) fn forget(
        &mut self,
        account: Option<AccountName>,
        transaction: &Transaction,
        reply_to: &ReplyTo,
    ) -> Result<(), RequestError> {
        let name = self.may_declare(account)?;
        if !self.declarations.by_name.contains_key(&name) {
            return Err(RequestError::new(ErrorCode::UnknownAccount, format!("No account {name} was declared.")));
        }
        if !self.accounts.contains_key(&name) {
            // It was left out, and nothing says any more where its tokens could be revoked.
            self.forgotten(&name, transaction, reply_to);
            return Ok(());
        }
        let asker = Asker::Broker { reply_to: reply_to.clone(), transaction: transaction.clone() };
        self.may_wait(&name, &Command::Logout)?;
        let ticket = self.tickets.issue(&name, PendingRequest { verb: Verb::Forget, asker });
        self.declarations.forgetting.insert(name.clone());
        self.keep_codes_on_offer(&name, false);
        self.tell(&name, Event::Command(Command::Logout, ticket));
        Ok(())
    }

    /// The account is signed out, and has no place any more. Whoever asked for it hears so when nothing of it is on disk.
    pub(super) fn forgotten(&mut self, name: &AccountName, transaction: &Transaction, reply_to: &ReplyTo) {
        self.declarations.forgetting.remove(name);
        self.declarations.by_name.remove(name);
        if let Some(account) = self.accounts.get_mut(name) {
            // An account that the file has by now comes in its place.
            let is_of_file = |settings: &AccountSettings| settings.declared == Declared::File;
            if !matches!(account.change.as_deref(), Some(PendingChange::Replace(settings)) if is_of_file(settings)) {
                account.change = Some(Box::new(PendingChange::Forget));
                self.store.erase(name, reload::UNHEARD.0);
            }
        } else {
            self.erase_spare(name);
        }
        self.declarations.last += 1;
        self.store.forget(name, self.declarations.last);
        let answer = (reply_to.clone(), transaction.clone(), data(&ForgetMessage { account: name.to_string() }));
        self.declarations.waiting.insert(self.declarations.last, answer);
    }

    /// The account could not be signed out, and stays as it was.
    pub(super) fn not_forgotten(&mut self, name: &AccountName) {
        self.declarations.forgetting.remove(name);
        self.keep_codes_on_offer(name, true);
    }

    /// Who is about to be forgotten has no use for another code; otherwise it would be had as soon as the account is signed
    /// out, and outlive it.
    fn keep_codes_on_offer(&mut self, name: &AccountName, wanted: bool) {
        if let Some(account) = self.accounts.get_mut(name) {
            let rules = rules(&account.settings);
            account.session.set_rules(Rules { offer: rules.offer && wanted, ..rules });
        }
    }

    /// Erases what the store has of an account that is not there, unless an account of the file was signed in by it.
    fn erase_spare(&mut self, name: &AccountName) {
        let of_file = |record: &Record| {
            record.signed_in.as_ref().is_some_and(|signed_in| signed_in.client.declared_in() == Declared::File)
        };
        if matches!(self.spare.get(name), Some(StoredRecord::Record(record)) if !of_file(record)) {
            self.spare.remove(name);
            self.store.erase(name, reload::UNHEARD.0);
        }
    }

    /// The store has finished with a declaration.
    pub(super) fn declaration_stored(&mut self, name: &AccountName, revision: u64, result: Result<(), Fault>) {
        let Some((reply_to, transaction, answer)) = self.declarations.waiting.remove(&revision) else {
            if let Err(fault) = result {
                tracing::error!(account = name.as_str(), %fault, "a declaration is not on disk");
            }
            return;
        };
        let outcome = match result {
            Ok(()) => Ok(answer),
            Err(fault) => Err(RequestError::new(fault.code, fault.message)),
        };
        self.respond(&reply_to, outcome, &transaction);
    }

    /// Somebody signed the account in as it is now.
    pub(super) fn signed_in_as_declared(&mut self, name: &AccountName) {
        let Some(declaration) = self.declarations.by_name.get(name) else { return };
        if declaration.sign_in_needed {
            let declaration = Declaration { sign_in_needed: false, ..declaration.clone() };
            self.save_declaration(name, declaration);
        }
    }

    fn may_declare(&self, account: Option<AccountName>) -> Result<AccountName, RequestError> {
        if self.settings.provisioning.is_none() {
            let error =
                "This device takes no declarations: its configuration has no [provisioning] with enabled = true.";
            return Err(RequestError::new(ErrorCode::ProvisioningDisabled, error));
        }
        let Some(name) = account else {
            return Err(RequestError::invalid("The request names no account."));
        };
        let is_of_file = self.accounts.get(&name).is_some_and(|account| account.settings.declared == Declared::File);
        if is_of_file || self.declarations.in_file.contains(&name) {
            let error = format!("{name} is in the configuration file of the device, and only changed there.");
            return Err(RequestError::new(ErrorCode::DeclaredInFile, error));
        }
        Ok(name)
    }

    fn is_signed_in(&self, name: &AccountName) -> bool {
        self.accounts.get(name).is_some_and(|account| account.session.has_sign_in())
    }

    fn save_declaration(&mut self, name: &AccountName, declaration: Declaration) -> u64 {
        self.declarations.last += 1;
        self.store.declare(name, self.declarations.last, declaration.clone());
        self.declarations.by_name.insert(name.clone(), declaration);
        self.declarations.last
    }

    fn take_up(&mut self, name: &AccountName, settings: AccountSettings) {
        if let Some(account) = self.accounts.get_mut(name) {
            account.change = Some(Box::new(PendingChange::Replace(settings)));
            self.apply_waiting_changes();
        } else if let Err(error) = self.add(name, settings) {
            tracing::error!(%error, "the account is left out");
        } else {
            self.tell(name, Event::PublishAll);
        }
        self.publish_info();
    }
}
