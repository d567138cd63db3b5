//! What a session is told.

use super::Revision;
use crate::domain::approval::Authorization;
use crate::domain::fault::{Fault, SignInSource};
use crate::domain::redirection::Redirection;
use crate::domain::secret::Secret;
use crate::domain::token::{Granted, PollAnswer, TokenAnswer};

/// Names one request to the provider, so that an answer to another one is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    pub(super) epoch: u64,
    pub(super) serial: u64,
}

/// Names the requests of one session, each by a number of its own.
#[derive(Debug)]
pub(super) struct RequestIds {
    pub(super) epoch: u64,
    last_serial: u64,
}

impl RequestIds {
    pub(super) fn new(epoch: u64) -> Self {
        Self { epoch, last_serial: 0 }
    }

    pub(super) fn next(&mut self) -> RequestId {
        self.last_serial += 1;
        RequestId { epoch: self.epoch, serial: self.last_serial }
    }
}

/// Names one request from MQTT that waits for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// An event that a session is told of.
#[derive(Debug)]
pub enum Event {
    /// A moment that [`Session::next_wake`] named has come.
    Woke,
    /// The device's clock was set.
    ClockSet,
    /// Everything is to be published again: the broker was just connected, or what it holds may be of another configuration.
    PublishAll,
    /// The account is set up otherwise: what waits for that is tried at once.
    Reconfigured,
    /// The files that the configuration names were read again: what may have failed by one of them is tried soon.
    FilesReadAgain,
    /// The process is about to end: what can be finished is, and nothing is begun.
    Stopping,
    /// Somebody asked for something.
    Command(Command, Ticket),
    /// The provider answered, or could not be asked.
    Answered(RequestId, ProviderAnswer),
    /// The store has finished with a revision.
    Stored(Revision, Result<(), Fault>),
}

/// A command that a session takes.
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

/// The provider's answer to a [`ProviderRequest`].
#[derive(Debug)]
pub enum ProviderAnswer {
    /// To [`ProviderRequest::Authorize`].
    Authorization(Result<Authorization, Fault>),
    /// To [`ProviderRequest::Poll`].
    Poll(Result<PollAnswer, Fault>),
    /// To [`ProviderRequest::Exchange`] and [`ProviderRequest::Obtain`].
    Granted(Result<Granted, Fault>),
    /// To [`ProviderRequest::Refresh`].
    Refresh(Result<TokenAnswer, Fault>),
    /// To [`ProviderRequest::Refresh`] as well: no access token that can be used, for this reason, but a refresh token that takes
    /// the place of the one that was sent.
    Rotated(Secret, Fault),
    /// To [`ProviderRequest::Revoke`].
    Revoked(Result<(), Fault>),
}

impl ProviderAnswer {
    /// The same answer; a fault in it is one of an account whose sign-ins come from `source`.
    pub(super) fn of_account(self, source: SignInSource) -> Self {
        let of_account = |fault: Fault| fault.of_account(source);
        match self {
            Self::Authorization(answer) => Self::Authorization(answer.map_err(of_account)),
            Self::Poll(answer) => Self::Poll(answer.map_err(of_account)),
            Self::Granted(answer) => Self::Granted(answer.map_err(of_account)),
            Self::Refresh(answer) => Self::Refresh(answer.map_err(of_account)),
            Self::Rotated(refresh_token, fault) => Self::Rotated(refresh_token, of_account(fault)),
            Self::Revoked(answer) => Self::Revoked(answer.map_err(of_account)),
        }
    }
}
