//! The life of one account's sign-in, as a state machine without a clock, a network or a disk.
//!
//! [`Session::handle`] takes one [`Event`] with the time and a jitter, and returns the [`Action`]s that follow from it.
//! Three rules hold whatever the events:
//!
//! - **Safe before seen.** A change that must survive the process is first sent to the store. Until the store has said
//!   that it is on disk, nobody sees it and the refresh token in it is not used.
//! - **One question at a time.** Each kind of request to the provider is made once, and an answer counts only if it is
//!   to the request that is under way.
//! - **A fault costs no sign-in.** Only the provider's own word ends a grant, and even then its tokens stay on disk
//!   until others take their place.
//!
//! A refresh is written down before it goes out: if its answer never arrives, the next process knows why the provider
//! no longer takes the refresh token.

mod action;
mod active_fault;
mod context;
mod disk;
mod event;
mod grant;
mod sign_in;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::domain::clock::{BootTime, Now};
use crate::domain::fault::{Fault, FaultCode, SignInSource};
use crate::domain::identity::{AllowList, Identity};
use crate::domain::policy::Jitter;
use crate::domain::record::{ClientBinding, Fingerprint, PendingSignIn, Record, StoredRecord};
use crate::domain::token::{Granted, TokenAnswer, User};
use crate::domain::token_name::TokenName;
use crate::domain::token_target::TokenTarget;

pub use action::{Action, ProviderRequest, Revision, Topic};
pub(crate) use action::{CommandError, LogEvent};
use active_fault::{ActiveFault, BY_FILES, Moment};
use context::Context;
use disk::Disk;
use event::RequestIds;
pub(crate) use event::{Command, RequestId, Ticket};
pub use event::{Event, ProviderAnswer};
use grant::{FurtherRenewal, Grant, Renewal};
use sign_in::SignIn;
use view::Shown;
pub(crate) use view::{ErrorView, FurtherView, PendingView, SessionState, StatusView, TokenView};

/// The rules by which an account's session behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The way to its first tokens.
    pub acquisition: Acquisition,
    /// True if a fresh code is kept on offer while signed out.
    pub offer: bool,
    /// The scopes that were asked for, separated by spaces: those of tokens for which the provider names none.
    pub scope: Option<String>,
    /// The further tokens that the refresh token brings, by name.
    pub tokens: BTreeMap<TokenName, TokenTarget>,
    /// Who may approve.
    pub allow: AllowList,
    /// True if others may learn who has approved.
    pub tells_user: bool,
}

/// The way to an account's first tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquisition {
    /// A user approves.
    User,
    /// The configuration itself is enough, at any time: the client's own right, or a password.
    Unattended,
    /// By a refresh token from a file, once; this tells it from any other. Without one, there is no such file.
    Import(Option<Fingerprint>),
}

impl Acquisition {
    /// The source of the account's sign-ins, for advice.
    pub(crate) fn source(&self) -> SignInSource {
        match self {
            Self::User => SignInSource::User,
            Self::Unattended => SignInSource::Configuration,
            Self::Import(_) => SignInSource::File,
        }
    }
}

/// One account's sign-in.
#[derive(Debug)]
pub struct Session {
    client: ClientBinding,
    rules: Rules,
    request_ids: RequestIds,
    grant: Grant,
    sign_in: SignIn,
    /// The refresh token from a file that was taken in.
    imported: Option<Fingerprint>,
    /// True if an account that signs in by itself is to stay signed out.
    stopped: bool,
    /// True if only a user can bring other tokens than those that are held, which are of no use any more.
    held_is_over: bool,
    /// True if the process is about to end, and nothing is begun any more.
    stopping: bool,
    disk: Disk,
    shown: Shown,
    /// Further tokens that the rules do not name any more, which the broker may still have.
    retired: Vec<TokenName>,
}

impl Session {
    /// Takes up what was `found` in the store. Each session of a process needs an `epoch` of its own, growing.
    #[must_use]
    pub fn restore(
        client: ClientBinding,
        rules: Rules,
        epoch: u64,
        found: StoredRecord,
        now: Now,
        jitter: Jitter,
    ) -> Self {
        let cx = &Context::new(now, jitter);
        let mut disk = Disk::new(epoch);
        let (record, unreadable) = match found {
            StoredRecord::Record(record) => (record, None),
            StoredRecord::Unreadable(fault) => (Record::default(), Some(fault)),
        };
        let Record { signed_in, pending, imported, stopped } = record;
        let of_record = signed_in.iter().flat_map(|signed_in| signed_in.further.keys().cloned()).collect::<Vec<_>>();
        let grant = if let Some(fault) = unreadable {
            disk.protect();
            Grant::unreadable(fault.of_account(rules.acquisition.source()), cx.now)
        } else {
            Grant::restore(signed_in, &client, &rules, cx)
        };
        if grant.kept().is_some_and(|kept| kept.further.len() < of_record.len()) {
            disk.note();
        }
        let pending = pending.filter(|pending| client.may_take_over(&pending.client));
        let pending = pending.map(|pending| PendingSignIn { client, ..pending });
        // A code on offer that has expired meanwhile is replaced in its turn, like one that was never there.
        let has_expired = |pending: &PendingSignIn| rules.offer && pending.expiry.ends() <= cx.now.boot;
        let pending = pending.filter(|pending| !has_expired(pending));
        let sign_in = pending.map_or_else(|| SignIn::start(cx), |pending| SignIn::waiting(pending, 0, cx.now));
        let shown = Shown::default();
        let (held_is_over, stopping) = (false, false);
        let mut session = Self {
            client,
            rules,
            request_ids: RequestIds::new(epoch),
            grant,
            sign_in,
            imported,
            stopped,
            held_is_over,
            stopping,
            disk,
            shown,
            retired: Vec::new(),
        };
        session.retire(of_record);
        session.held_is_over = session.grant.is_over(&session.rules.acquisition, cx.now);
        session
    }

    /// Takes in one event and says what follows from it.
    pub fn handle(&mut self, event: Event, now: Now, jitter: Jitter) -> Vec<Action> {
        let cx = &mut Context::new(now, jitter);
        match event {
            Event::Woke => {}
            Event::ClockSet => self.clock_was_set(cx),
            Event::PublishAll => self.shown = Shown::default(),
            Event::Reconfigured => self.reconfigured(cx),
            Event::FilesReadAgain => {
                self.grant.retry_soon(BY_FILES, cx);
                self.sign_in.retry_soon(BY_FILES, cx);
            }
            Event::Command(command, ticket) => self.command(command, ticket, cx),
            Event::Answered(id, answer) => self.answered(id, answer, cx),
            Event::Stopping => {
                self.stopping = true;
                self.disk.try_now(cx.now);
            }
            Event::Stored(revision, result) => self.disk.stored(revision, result, cx),
        }
        self.held_is_over = self.grant.is_over(&self.rules.acquisition, cx.now);
        if !self.stopping {
            self.refresh_if_due(cx);
            self.sign_in_if_due(cx);
        }
        if self.disk.wants_record(cx.now) {
            self.disk.send(self.record(), cx);
        }
        self.disk.answer(cx);
        if self.disk.is_safe() {
            self.grant.is_safe_on_disk();
        }
        if let Some(fault) = self.disk.waits_because() {
            self.grant.cannot_ask(fault, cx);
        }
        self.publish_what_changed(cx);
        std::mem::take(&mut cx.actions)
    }

    /// When the session next has something to do, if nothing happens before. A stopping one has nothing more to do.
    #[must_use]
    pub fn next_wake(&self) -> Option<BootTime> {
        if self.stopping {
            return None;
        }
        [
            self.grant.next_wake(self.disk.is_safe()),
            self.sign_in.next_wake(self.wants_sign_in()),
            self.disk.next_wake(),
            self.shown.next_wake(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Returns whether an answer is awaited that must not be lost, or a change is not yet on disk: the moment to wait with a
    /// change of the configuration, or with the end of the process.
    ///
    /// Once it is [stopping](Event::Stopping), a write that failed is not waited for any more: it was the last.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let is_asking = self.grant.is_asking() || self.sign_in.is_asking();
        // A code that the browser brought back is in memory alone.
        let has_work = !self.disk.is_safe() || self.sign_in.has_code();
        is_asking || self.disk.is_writing() || (!self.stopping && has_work)
    }

    /// Returns whether the disk has all that is to outlive the process.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.disk.is_safe()
    }

    /// Returns whether the session can go on under these rules. Where the held sign-in is of somebody who is not admitted any
    /// more, it has to be restored under them.
    #[must_use]
    pub fn can_go_on_under(&self, rules: &Rules) -> bool {
        self.grant.is_admitted_by(&rules.allow) == self.grant.is_admitted_by(&self.rules.allow)
    }

    /// Changes how the session behaves, for the same provider and client.
    pub fn set_rules(&mut self, rules: Rules) {
        let former = std::mem::replace(&mut self.rules, rules);
        self.retire(former.tokens.into_keys());
    }

    /// Takes back, at every connection, what the broker may have of these further tokens, unless the rules name them.
    pub fn retire(&mut self, names: impl IntoIterator<Item = TokenName>) {
        self.retired.extend(names);
        self.retired.retain(|name| !self.rules.tokens.contains_key(name));
        self.retired.sort_unstable();
        self.retired.dedup();
    }

    /// Asks for other tokens at once where no user is needed for them; the present token stays until then.
    pub fn requests_other_tokens(&mut self, now: Now) {
        if self.rules.acquisition == Acquisition::Unattended {
            self.grant.requests_other_tokens(now);
        }
    }

    /// Returns whether there is a sign-in that goes on, or would if the provider could be reached.
    #[must_use]
    pub fn has_sign_in(&self) -> bool {
        matches!(&self.grant, Grant::Held(renewal) if renewal.signed_in.refused.is_none())
    }

    /// Whose tokens the session holds.
    #[must_use]
    pub fn client(&self) -> &ClientBinding {
        &self.client
    }

    /// Returns the record that a later session takes up, if this one ends now.
    #[must_use]
    pub fn into_found(self) -> StoredRecord {
        match self.grant.unreadable_because() {
            Some(fault) => StoredRecord::Unreadable(fault.clone()),
            None => StoredRecord::Record(self.record()),
        }
    }

    fn record(&self) -> Record {
        Record {
            signed_in: self.grant.kept().cloned(),
            pending: self.sign_in.to_keep(),
            imported: self.imported,
            stopped: self.stopped,
        }
    }

    fn command(&mut self, command: Command, ticket: Ticket, cx: &mut Context) {
        match command {
            Command::Login => self.login(ticket, cx),
            Command::Cancel => self.cancel(ticket, cx),
            Command::Complete(redirection) => self.complete(redirection, ticket, cx),
            Command::Refresh => self.refresh(ticket, cx),
            Command::Logout => self.logout(ticket, cx),
        }
    }

    fn answered(&mut self, id: RequestId, answer: ProviderAnswer, cx: &mut Context) {
        match answer.of_account(self.rules.acquisition.source()) {
            ProviderAnswer::Authorization(answer) => self.authorization_answered(id, answer, cx),
            ProviderAnswer::Poll(answer) => self.poll_answered(id, answer, cx),
            ProviderAnswer::Granted(answer) if self.grant.awaits(id) => {
                // Not named means as asked for (RFC 6749 5.1), which may be something else than the last time.
                let as_asked = |Granted { tokens, .. }: Granted| TokenAnswer {
                    scope: tokens.scope.or_else(|| self.rules.scope.clone()),
                    ..tokens
                };
                self.refresh_answered(id, answer.map(as_asked), cx);
            }
            ProviderAnswer::Granted(answer) => self.granted_answered(id, answer, cx),
            ProviderAnswer::Refresh(answer) => self.refresh_answered(id, answer, cx),
            ProviderAnswer::Rotated(refresh_token, fault) => self.rotated(id, refresh_token, fault, cx),
            ProviderAnswer::Revoked(answer) => self.revoke_answered(id, answer, cx),
        }
    }

    fn clock_was_set(&mut self, cx: &Context) {
        self.grant.clock_was_set(cx);
        self.sign_in.clock_was_set(cx);
        self.disk.clock_was_set(cx);
        self.disk.note();
    }

    fn reconfigured(&mut self, cx: &Context) {
        self.grant.reconfigured(&self.rules.acquisition, cx.now);
        self.sign_in.reconfigured(&self.rules.acquisition);
        if let Grant::Held(renewal) = &mut self.grant
            && renewal.follow_targets(&self.rules, cx.now.boot, cx)
        {
            self.disk.note();
        }
    }

    /// A sign-in has succeeded: its tokens take the place of whatever was there, unless whoever approved may not.
    fn approved(&mut self, granted: Granted, request: (RequestId, Now), cx: &mut Context) -> Result<(), Fault> {
        let Granted { tokens, user } = granted;
        let user = match self.admit(user, cx) {
            Ok(user) => user,
            Err(fault) => {
                cx.ask(self.request_ids.next(), ProviderRequest::revoke(tokens));
                return Err(fault);
            }
        };
        let mut renewal = Renewal::first(self.client, tokens, &self.rules, request, cx);
        let lasts = renewal.can_renew(&self.rules.acquisition);
        let another_user = self.grant.is_of_another_user(user.as_ref());
        renewal.signed_in.user = user.map(Box::new);
        renewal.signed_in.user_changed_at = another_user.then_some(cx.now.wall);
        self.grant.replace(renewal, cx);
        self.stopped = false;
        self.mark_imported();
        self.disk.unprotect();
        self.disk.change();
        cx.log(LogEvent::SignedIn { lasts, another_user });
        Ok(())
    }

    /// The refresh token in the file has served its purpose, or is good for none.
    fn mark_imported(&mut self) {
        if let Acquisition::Import(Some(fingerprint)) = &self.rules.acquisition {
            self.imported = Some(*fingerprint);
        }
    }

    /// Lets in whom the rules admit. Nobody unknown is admitted where only some are.
    fn admit(&self, user: User, cx: &mut Context) -> Result<Option<Identity>, Fault> {
        let everybody = self.rules.allow.admits_everybody();
        match user {
            User::Known(user) if self.rules.allow.admits(&user) => Ok(Some(user)),
            User::Known(_) => Err(not_admitted("Somebody approved whom this account's allow does not name.")),
            User::NotAsked if everybody => Ok(None),
            User::Unknown(fault) if everybody => {
                cx.log(LogEvent::UserUnknown(fault));
                Ok(None)
            }
            User::Unknown(fault) => Err(fault),
            User::NotAsked => Err(Fault::ask_user(FaultCode::IdentityUnknown, "Nobody knows who approved.")),
        }
    }
}

fn not_admitted(message: &str) -> Fault {
    Fault::ask_user(FaultCode::NotAllowed, message)
}
