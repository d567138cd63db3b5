//! The life of one account's sign-in, as a state machine without a clock, a network or a disk.
//!
//! [`Session::handle`] takes one [`Event`] with the time and a chance, and returns the [`Action`]s that follow from it.
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
mod disk;
mod event;
mod grant;
mod sign_in;
mod trouble;
mod view;

#[cfg(test)]
mod tests;

use crate::domain::clock::{BootTime, Now};
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::identity::{AllowList, Identity};
use crate::domain::policy::Chance;
use crate::domain::record::{ClientBinding, Fingerprint, PendingSignIn, Record};
use crate::domain::token::{Granted, TokenAnswer, User};

pub use action::{Action, Question, Revision, Topic};
pub(crate) use action::{Note, Refused};
use disk::Disk;
pub use event::{Answer, Event};
pub(crate) use event::{Command, RequestId, Ticket};
use grant::{Grant, Renewal};
use sign_in::SignIn;
use trouble::{BY_FILES, Moment, Trouble};
#[cfg(test)]
pub(crate) use view::ErrorView;
use view::Shown;
pub(crate) use view::{PendingView, SessionState, StatusView, TokenView};

/// How an account's session should behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How it comes by its tokens.
    pub way: Way,
    /// Whether a fresh code is kept on offer while signed out.
    pub offer: bool,
    /// What was asked for, separated by spaces: the scope of tokens for which the provider names none.
    pub scope: Option<String>,
    /// Who may approve.
    pub allow: AllowList,
    /// Whether others may learn who has approved.
    pub tells_user: bool,
}

/// How an account comes by its first tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A user approves.
    User,
    /// What the configuration holds is enough, at any time: the client's own right, or a password.
    Unattended,
    /// By a refresh token from a file, once; this tells it from any other. Without one, there is no such file.
    Import(Option<Fingerprint>),
}

/// What was found in the store for an account.
#[derive(Debug)]
pub enum Found {
    /// A record; an empty one if there was none.
    Record(Record),
    /// Something that cannot be opened now.
    Unreadable(Fault),
}

/// One account's sign-in.
#[derive(Debug)]
pub struct Session {
    client: ClientBinding,
    rules: Rules,
    epoch: u64,
    next_serial: u64,
    grant: Grant,
    sign_in: SignIn,
    /// The refresh token from a file that was taken in.
    imported: Option<Fingerprint>,
    /// Whether an account that signs in by itself is to stay signed out.
    stopped: bool,
    /// Whether only a user can bring other tokens than those that are held, which are of no use any more.
    held_is_over: bool,
    /// Whether the process is about to end, and nothing is begun any more.
    stopping: bool,
    disk: Disk,
    shown: Shown,
}

impl Session {
    /// Takes up what was `found` in the store. Each session of a process needs an `epoch` of its own, growing.
    #[must_use]
    pub fn restore(client: ClientBinding, rules: Rules, epoch: u64, found: Found, now: Now, chance: Chance) -> Self {
        let mut disk = Disk::new(epoch);
        let (record, unreadable) = match found {
            Found::Record(record) => (record, None),
            Found::Unreadable(fault) => (Record::default(), Some(fault)),
        };
        let Record { signed_in, pending, imported, stopped } = record;
        let grant = if let Some(fault) = unreadable {
            disk.protect();
            Grant::unreadable(fault, now)
        } else {
            Grant::restore(signed_in, &client, &rules, now, chance)
        };
        let pending = pending.filter(|pending| client.may_take_over(&pending.client));
        let pending = pending.map(|pending| PendingSignIn { client, ..pending });
        // A code on offer that has lapsed meanwhile is replaced in its turn, like one that was never there.
        let has_lapsed = |pending: &PendingSignIn| rules.offer && pending.expiry.ends() <= now.boot;
        let pending = pending.filter(|pending| !has_lapsed(pending));
        let sign_in = pending.map_or_else(|| SignIn::start(now, chance), |pending| SignIn::waiting(pending, 0, now));
        let shown = Shown::default();
        let (held_is_over, stopping) = (false, false);
        let mut session = Self {
            client,
            rules,
            epoch,
            next_serial: 0,
            grant,
            sign_in,
            imported,
            stopped,
            held_is_over,
            stopping,
            disk,
            shown,
        };
        session.held_is_over = session.grant.is_over(&session.rules.way, now);
        session
    }

    /// Takes in one event and says what follows from it.
    pub fn handle(&mut self, event: Event, now: Now, chance: Chance) -> Vec<Action> {
        let mut out = Vec::new();
        match event {
            Event::Woke => {}
            Event::ClockSet => self.clock_was_set(now, chance),
            Event::BrokerConnected => self.shown = Shown::default(),
            Event::Reconfigured => self.reconfigured(now),
            Event::FilesReadAgain => {
                self.grant.may_be_mended(BY_FILES, now, chance);
                self.sign_in.may_be_mended(BY_FILES, now, chance);
            }
            Event::Command(command, ticket) => self.command(command, ticket, now, chance, &mut out),
            Event::Answered(id, answer) => self.answered(id, answer, now, chance, &mut out),
            Event::Stopping => {
                self.stopping = true;
                self.disk.try_now(now);
            }
            Event::Stored(revision, result) => {
                if let Some(fault) = self.disk.stored(revision, result, now, chance, &mut out) {
                    self.grant.cannot_ask(&fault, &mut out);
                }
            }
        }
        self.held_is_over = self.grant.is_over(&self.rules.way, now);
        if !self.stopping {
            self.refresh_if_due(now, &mut out);
            self.sign_in_if_due(now, chance, &mut out);
        }
        if self.disk.wants_record(now) {
            self.disk.send(self.record(), &mut out);
        }
        self.disk.answer(&mut out);
        self.publish_what_changed(now, &mut out);
        out
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

    /// Whether an answer is awaited that must not be lost, or a change is not yet on disk: the moment to wait with a
    /// change of the configuration, or with the end of the process.
    ///
    /// Once it is [stopping](Event::Stopping), a write that failed is not waited for any more: it was the last.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let is_asking = self.grant.is_asking() || self.sign_in.is_asking();
        is_asking || self.disk.is_writing() || (!self.stopping && !self.disk.is_safe())
    }

    /// Whether the disk has all that is to outlive the process.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.disk.is_safe()
    }

    /// Whether the session can go on under these rules. Where the held sign-in is of somebody who is not admitted any
    /// more, it has to be restored under them.
    #[must_use]
    pub fn can_go_on_under(&self, rules: &Rules) -> bool {
        self.grant.is_admitted_by(&rules.allow) == self.grant.is_admitted_by(&self.rules.allow)
    }

    /// Changes how the session behaves, for the same provider and client.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// What is asked for has changed. Where no user is needed for it, it is asked for at once; the token stays until then.
    pub fn asks_otherwise(&mut self, now: Now) {
        if self.rules.way == Way::Unattended {
            self.grant.asks_otherwise(now);
        }
    }

    /// Whether there is a sign-in that goes on, or would if the provider could be reached.
    #[must_use]
    pub fn has_sign_in(&self) -> bool {
        matches!(&self.grant, Grant::Held(renewal) if renewal.signed_in.refused.is_none())
    }

    /// Whose tokens the session holds.
    #[must_use]
    pub fn client(&self) -> &ClientBinding {
        &self.client
    }

    /// What a later session should take up, if this one ends now.
    #[must_use]
    pub fn into_found(self) -> Found {
        match self.grant.unreadable_because() {
            Some(fault) => Found::Unreadable(fault.clone()),
            None => Found::Record(self.record()),
        }
    }

    fn record(&self) -> Record {
        Record {
            signed_in: self.grant.to_keep(),
            pending: self.sign_in.to_keep(),
            imported: self.imported,
            stopped: self.stopped,
        }
    }

    fn new_request(&mut self) -> RequestId {
        self.next_serial += 1;
        RequestId { epoch: self.epoch, serial: self.next_serial }
    }

    fn command(&mut self, command: Command, ticket: Ticket, now: Now, chance: Chance, out: &mut Vec<Action>) {
        match command {
            Command::Login => self.login(ticket, now, out),
            Command::Cancel => self.cancel(ticket, out),
            Command::Complete(redirection) => self.complete(redirection, ticket, now, chance, out),
            Command::Refresh => self.refresh(ticket, now, out),
            Command::Logout => self.logout(ticket, out),
        }
    }

    fn answered(&mut self, id: RequestId, answer: Answer, now: Now, chance: Chance, out: &mut Vec<Action>) {
        match answer {
            Answer::Authorization(answer) => self.authorization_answered(id, answer, now, chance, out),
            Answer::Poll(answer) => self.poll_answered(id, answer, now, chance, out),
            Answer::Granted(answer) if self.grant.awaits(id) => {
                // Not named means as asked for (RFC 6749 5.1), which may be something else than the last time.
                let as_asked = |Granted { tokens, .. }: Granted| TokenAnswer {
                    scope: tokens.scope.or_else(|| self.rules.scope.clone()),
                    ..tokens
                };
                self.refresh_answered(id, answer.map(as_asked), now, chance, out);
            }
            Answer::Granted(answer) => self.granted_answered(id, answer, now, chance, out),
            Answer::Refresh(answer) => self.refresh_answered(id, answer, now, chance, out),
            Answer::Revoked(answer) => self.revoke_answered(id, answer, now, out),
        }
    }

    fn clock_was_set(&mut self, now: Now, chance: Chance) {
        self.grant.clock_was_set(&self.rules.way, now, chance);
        self.sign_in.clock_was_set(now, chance);
        self.disk.clock_was_set(now, chance);
        self.disk.note();
    }

    fn reconfigured(&mut self, now: Now) {
        self.grant.reconfigured(&self.rules.way, now);
        self.sign_in.reconfigured(&self.rules.way);
    }

    /// A sign-in has succeeded: its tokens take the place of whatever was there, unless whoever approved may not.
    fn approved(
        &mut self,
        granted: Granted,
        request: (RequestId, Now),
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let Granted { tokens, user } = granted;
        let user = match self.admit(user, out) {
            Ok(user) => user,
            Err(fault) => {
                out.push(Action::Ask(self.new_request(), Question::revoke(tokens)));
                return Err(fault);
            }
        };
        let lasts = tokens.refresh_token.is_some() || self.rules.way == Way::Unattended;
        let mut renewal = Renewal::first(self.client, tokens, &self.rules, request, now, chance);
        let another_user = self.grant.is_of_another_user(user.as_ref());
        renewal.signed_in.user = user.map(Box::new);
        renewal.signed_in.user_changed_at = another_user.then_some(now.wall);
        self.grant.replace(renewal, out);
        self.stopped = false;
        self.mark_imported();
        self.disk.unprotect();
        self.disk.change();
        out.push(Action::Note(Note::SignedIn { lasts, another_user }));
        Ok(())
    }

    /// The refresh token in the file has served its purpose, or is good for none.
    fn mark_imported(&mut self) {
        if let Way::Import(Some(fingerprint)) = &self.rules.way {
            self.imported = Some(*fingerprint);
        }
    }

    /// Lets in whom the rules admit. Nobody unknown is admitted where only some are.
    fn admit(&self, user: User, out: &mut Vec<Action>) -> Result<Option<Identity>, Fault> {
        let everybody = self.rules.allow.admits_everybody();
        match user {
            User::Known(user) if self.rules.allow.admits(&user) => Ok(Some(user)),
            User::Known(_) => Err(not_admitted("Somebody approved whom this account's allow does not name.")),
            User::NotAsked if everybody => Ok(None),
            User::Unknown(fault) if everybody => {
                out.push(Action::Note(Note::UserUnknown(fault)));
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
