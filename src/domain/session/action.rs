//! What a session wants done.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{RequestId, Ticket};
use crate::domain::clock::UnixTime;
use crate::domain::fault::Fault;
use crate::domain::record::Record;
use crate::domain::redirection::RedirectedCode;
use crate::domain::secret::Secret;
use crate::domain::token::TokenAnswer;
use crate::domain::token_name::TokenName;

/// Something that a session wants done.
#[derive(Debug)]
pub enum Action {
    /// Ask the provider, and come back with the answer under this name.
    Ask(RequestId, ProviderRequest),
    /// Write this to the disk, and come back when it is safe there.
    Save(Revision, Record),
    /// Remove everything of this account from the disk, and come back when it is gone.
    Erase(Revision),
    /// Publish what [`Session::token`], [`Session::further_token`], [`Session::status`] or [`Session::pending`] now returns.
    Publish(Topic),
    /// Answer a request from MQTT.
    Reply(Ticket, Result<(), CommandError>),
    /// Write to the journal.
    Log(LogEvent),
}

/// A request to the provider.
#[derive(Debug)]
pub enum ProviderRequest {
    /// For a way to the user's approval (RFC 8628 3.1, RFC 6749 4.1.1).
    Authorize,
    /// Ask whether the user has approved (RFC 8628 3.4).
    Poll {
        /// The code to ask with.
        device_code: Secret,
        /// The further parameters.
        further: BTreeMap<String, Secret>,
    },
    /// For the tokens of an authorization code (RFC 6749 4.1.3).
    Exchange {
        /// The code that the redirection brought.
        code: RedirectedCode,
        /// Proof that the code is ours (RFC 7636 4.5).
        code_verifier: Secret,
    },
    /// For tokens by what the configuration itself holds: the client's own right (RFC 6749 4.4), a password (4.3), or a
    /// refresh token obtained elsewhere (6).
    Obtain,
    /// For the next access token (RFC 6749 6).
    Refresh {
        /// The token to ask with.
        refresh_token: Secret,
        /// The further token that is asked for; `None` for the account's own.
        token: Option<TokenName>,
        /// True if none of this sign-in has succeeded yet.
        is_first: bool,
    },
    /// To end the grant (RFC 7009 2.1).
    Revoke {
        /// The refresh token, whose end is the end of the grant at most providers.
        refresh_token: Option<Secret>,
        /// The access tokens, the account's own first.
        access_tokens: Vec<Secret>,
    },
}

impl ProviderRequest {
    /// To end the grant of tokens that nobody keeps.
    pub(super) fn revoke(TokenAnswer { refresh_token, access_token, .. }: TokenAnswer) -> Self {
        Self::Revoke { refresh_token, access_tokens: vec![access_token] }
    }
}

/// A topic of the account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// `<account>/token`
    Token,
    /// `<account>/<name>/token`
    FurtherToken(TokenName),
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
pub enum CommandError {
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
    /// The redirection does not belong to a sign-in that is pending.
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
    #[error("{} {}", .0.message, .0.advice())]
    Failed(Fault),
}

/// An event for the journal.
#[derive(Debug)]
pub enum LogEvent {
    /// A code waits for the user, until then.
    CodeOffered(UnixTime),
    /// The sign-in succeeded.
    SignedIn {
        /// True if there will be another access token without a new sign-in.
        lasts: bool,
        /// True if somebody else than before has approved.
        another_user: bool,
    },
    /// The provider was asked who approved, and did not say.
    UserUnknown(Fault),
    /// The tokens of somebody who may not sign in could not be revoked.
    NotRevoked(Fault),
    /// The sign-in ended without tokens.
    SignInFailed {
        /// Why.
        fault: Fault,
        /// True if the account has a sign-in from before, which goes on.
        keeps_former: bool,
    },
    /// New tokens are there, the account's own or a further one of this name.
    Refreshed(Option<TokenName>),
    /// A refresh failed, and is tried again after this time.
    RefreshFailed(Option<TokenName>, Fault, Duration),
    /// The provider has ended the grant.
    GrantEnded(Fault),
    /// The tokens were given up, and this is what the provider said to the revocation, if it was asked.
    SignedOut(Result<(), Fault>),
    /// The store failed, and is tried again after this time.
    StoreFailed(Fault, Duration),
}
