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

mod disk;
mod grant;
mod redirect;
mod sign_in;
mod view;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::clock::{BootTime, Now, UnixTime};
use crate::fault::{Fault, FaultCode};
use crate::identity::{AllowList, Identity};
use crate::policy::Chance;
use crate::record::{ClientBinding, Fingerprint, Record};
use crate::redirection::Redirection;
use crate::secret::Secret;
use crate::token::{Authorization, Granted, PollAnswer, TokenAnswer, User};

use disk::Disk;
use grant::{Grant, Renewal};
use sign_in::SignIn;
use view::Shown;
pub use view::{ErrorView, PendingView, SessionState, StatusView, TokenView};

/// Names one request to the provider, so that an answer to another one is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    epoch: u64,
    serial: u64,
}

/// Names one request from MQTT that waits for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// What a session is told.
#[derive(Debug)]
pub enum Event {
    /// A moment that [`Session::next_wake`] named has come.
    Woke,
    /// The device's clock was set.
    ClockSet,
    /// The broker is connected and has nothing of ours yet.
    BrokerConnected,
    /// The configuration was read again: what waits for a change of it is tried at once.
    Reconfigured,
    /// Somebody asked for something.
    Command(Command, Ticket),
    /// The provider answered, or could not be asked.
    Answered(RequestId, Answer),
    /// The store has finished with a revision.
    Stored(Revision, Result<(), Fault>),
}

/// What somebody can ask of a session.
#[derive(Clone, Debug)]
pub enum Command {
    /// Start a sign-in, or join the one that is pending.
    Login,
    /// Give up the pending sign-in.
    Cancel,
    /// Go on with what the user's browser brought back.
    Complete(Redirection),
    /// Refresh now.
    Refresh,
    /// Revoke and forget.
    Logout,
}

/// What the provider said to a [`Question`].
#[derive(Debug)]
pub enum Answer {
    /// To [`Question::Authorize`].
    Authorization(Result<Authorization, Fault>),
    /// To [`Question::Poll`].
    Poll(Result<PollAnswer, Fault>),
    /// To [`Question::Exchange`] and [`Question::Obtain`].
    Granted(Result<Granted, Fault>),
    /// To [`Question::Refresh`].
    Refresh(Result<TokenAnswer, Fault>),
    /// To [`Question::Revoke`].
    Revoked(Result<(), Fault>),
}

/// What a session wants done.
#[derive(Debug)]
pub enum Action {
    /// Ask the provider, and come back with the answer under this name.
    Ask(RequestId, Question),
    /// Write this to the disk, and come back when it is safe there.
    Save(Revision, Record),
    /// Remove everything of this account from the disk, and come back when it is gone.
    Erase(Revision),
    /// Publish what [`Session::token`], [`Session::status`] or [`Session::pending`] now returns.
    Publish(Topic),
    /// Answer a request from MQTT.
    Reply(Ticket, Result<(), Refused>),
    /// Write to the journal.
    Note(Note),
}

/// What to ask the provider.
#[derive(Debug)]
pub enum Question {
    /// For a way to the user's approval (RFC 8628 3.1, RFC 6749 4.1.1).
    Authorize,
    /// Whether the user has approved (RFC 8628 3.4).
    Poll {
        /// The code to ask with.
        device_code: Secret,
    },
    /// For the tokens of an authorization code (RFC 6749 4.1.3).
    Exchange {
        /// What the redirection brought.
        code: Secret,
        /// What shows that the code is ours (RFC 7636 4.5).
        code_verifier: Secret,
    },
    /// For tokens by what the configuration itself holds: the client's own right (RFC 6749 4.4), a password (4.3), or a
    /// refresh token obtained elsewhere (6).
    Obtain,
    /// For the next access token (RFC 6749 6).
    Refresh {
        /// The token to ask with.
        refresh_token: Secret,
    },
    /// To end the grant (RFC 7009 2.1).
    Revoke {
        /// The refresh token, whose end is the end of the grant at most providers.
        refresh_token: Option<Secret>,
        /// The access token.
        access_token: Secret,
    },
}

/// A topic of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// `<account>/token`
    Token,
    /// `<account>/status`
    Status,
    /// `<account>/signin`
    SignIn,
    /// `<account>/identity`
    Identity,
}

/// Counts the states of a session that were sent to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing to refresh.
    #[error("not signed in. Request login, and let the user approve.")]
    NotSignedIn,
    /// There is nothing to refresh with.
    #[error("the provider gave no refresh token, so only a new sign-in brings a new access token. Request login.")]
    NoRefreshToken,
    /// There is nothing to cancel.
    #[error("no sign-in is pending.")]
    NothingPending,
    /// The sign-in that was asked for was given up by another request.
    #[error("the sign-in was cancelled.")]
    Cancelled,
    /// What came back does not belong to a sign-in that is pending.
    #[error("this address belongs to no sign-in that is pending. Request login, and use the newest address alone.")]
    NotOurRedirection,
    /// The refresh token in the file was taken in before.
    #[error(
        "refresh_token_file has no refresh token that was not taken in already. Put another one there, and reload."
    )]
    AlreadyImported,
    /// Another request is just signing out.
    #[error("the account is being signed out. Try again in a moment.")]
    SigningOut,
    /// It was tried and failed.
    #[error("{} {}", .0.message, .0.code.advice())]
    Failed(Fault),
}

/// What is worth a line in the journal.
#[derive(Debug)]
pub enum Note {
    /// A code waits for the user, until then.
    CodeOffered(UnixTime),
    /// The sign-in succeeded.
    SignedIn {
        /// Whether there will be another access token without a new sign-in.
        lasts: bool,
        /// Whether somebody else than before has approved.
        another_user: bool,
    },
    /// The provider was asked who approved, and did not say.
    UserUnknown(Fault),
    /// The tokens of somebody who may not sign in could not be revoked.
    NotRevoked(Fault),
    /// The sign-in ended without tokens.
    SignInFailed(Fault),
    /// New tokens are there and safe.
    Refreshed,
    /// A refresh failed, and is tried again after this time.
    RefreshFailed(Fault, Duration),
    /// The provider has ended the grant.
    GrantEnded(Fault),
    /// The tokens were given up, and this is what the provider said to the revocation, if it was asked.
    SignedOut(Result<(), Fault>),
    /// The store failed, and is tried again after this time.
    StoreFailed(Fault, Duration),
}

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

/// A due time, on the clock of timers and as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    at: BootTime,
    wall: UnixTime,
}

impl Due {
    fn at(at: BootTime, now: Now) -> Self {
        Self { at, wall: now.wall_at(at) }
    }

    fn within(wait: Duration, now: Now) -> Self {
        Self::at(now.boot + wait, now)
    }
}

/// A fault that lasts, since when, and when what failed is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    fault: Fault,
    since: UnixTime,
    retry: Option<Due>,
}

impl Trouble {
    /// `fault` takes the place of `former`, and inherits its beginning if it is the same fault going on.
    fn continuing(former: Option<Self>, fault: Fault, retry: Option<Due>, now: Now) -> Self {
        let since = former.filter(|former| former.fault.code == fault.code).map_or(now.wall, |former| former.since);
        Self { fault, since, retry }
    }
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
        let pending = pending.filter(|pending| pending.client == client);
        let sign_in = pending.map_or_else(SignIn::default, |pending| SignIn::resume(pending, now));
        let shown = Shown::default();
        Self { client, rules, epoch, next_serial: 0, grant, sign_in, imported, stopped, disk, shown }
    }

    /// Takes in one event and says what follows from it.
    pub fn handle(&mut self, event: Event, now: Now, chance: Chance) -> Vec<Action> {
        let mut out = Vec::new();
        match event {
            Event::Woke => {}
            Event::ClockSet => self.clock_was_set(now, chance),
            Event::BrokerConnected => self.shown = Shown::default(),
            Event::Reconfigured => self.reconfigured(now),
            Event::Command(command, ticket) => self.command(command, ticket, now, chance, &mut out),
            Event::Answered(id, answer) => self.answered(id, answer, now, chance, &mut out),
            Event::Stored(revision, result) => self.disk.stored(revision, result, now, chance, &mut out),
        }
        self.refresh_if_due(now, &mut out);
        self.sign_in_if_due(now, chance, &mut out);
        self.disk.flush(&self.record(), now, &mut out);
        self.publish_what_changed(now, &mut out);
        out
    }

    /// When the session next has something to do, if nothing happens before.
    #[must_use]
    pub fn next_wake(&self) -> Option<BootTime> {
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
    /// shutdown or a change of the configuration.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.grant.is_asking() || self.sign_in.is_asking() || self.disk.is_writing()
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
            imported: self.imported.clone(),
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
                self.refresh_answered(id, answer.map(|granted| granted.tokens), now, chance, out);
            }
            Answer::Granted(answer) => self.granted_answered(id, answer, now, chance, out),
            Answer::Refresh(answer) => self.refresh_answered(id, answer, now, chance, out),
            Answer::Revoked(answer) => self.revoke_answered(id, answer, out),
        }
    }

    fn clock_was_set(&mut self, now: Now, chance: Chance) {
        self.grant.clock_was_set(&self.rules.way, now, chance);
        self.sign_in.clock_was_set(now);
        self.disk.change();
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
                let (refresh_token, access_token) = (tokens.refresh_token, tokens.access_token);
                out.push(Action::Ask(self.new_request(), Question::Revoke { refresh_token, access_token }));
                return Err(fault);
            }
        };
        let lasts = tokens.refresh_token.is_some() || self.rules.way == Way::Unattended;
        let mut renewal = Renewal::first(self.client.clone(), tokens, &self.rules, request, now, chance);
        let another_user = self.grant.is_of_another_user(user.as_ref());
        renewal.signed_in.user = user;
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
            self.imported = Some(fingerprint.clone());
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
