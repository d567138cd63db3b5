//! What the store keeps of one account.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::domain::account::Declared;
use crate::domain::approval::Approval;
use crate::domain::clock::UnixTime;
use crate::domain::expiry::Expiry;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::identity::Identity;
use crate::domain::secret::Secret;
use crate::domain::token::Tokens;
use crate::domain::token_name::TokenName;

/// Everything of one account that must outlive the process.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The sign-in, if there is one.
    pub signed_in: Option<SignedIn>,
    /// The sign-in that waits for the user, if there is one.
    pub pending: Option<PendingSignIn>,
    /// The refresh token from a file that was taken in, so that each is taken in once.
    pub imported: Option<Fingerprint>,
    /// True if an account that signs in by itself was signed out on request, and waits for another.
    pub stopped: bool,
}

impl Record {
    /// Returns whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signed_in.is_none() && self.pending.is_none() && self.imported.is_none() && !self.stopped
    }
}

/// The record that the store has of an account.
#[derive(Debug)]
pub enum StoredRecord {
    /// A record; an empty one if there was none.
    Record(Record),
    /// A record that cannot be opened now, for this reason.
    Unreadable(Fault),
}

/// Tells one text from another in 16 bytes, and without giving either away: the first half of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// That of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&Sha256::digest(text)[..16]);
        Self(half)
    }
}

/// The provider, endpoint and client that tokens were got with, and for whom; and where the account was declared that got
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientBinding {
    client: Fingerprint,
    declared: Declared,
}

impl ClientBinding {
    /// That of a client which no other has the fingerprint of, for an account of the configuration file.
    #[must_use]
    pub fn new(client: Fingerprint) -> Self {
        Self { client, declared: Declared::File }
    }

    /// The same of an account that was declared there.
    #[must_use]
    pub fn declared(self, declared: Declared) -> Self {
        Self { declared, ..self }
    }

    /// The provider, endpoint and client.
    #[must_use]
    pub fn client(&self) -> Fingerprint {
        self.client
    }

    /// Where the account was declared.
    #[must_use]
    pub fn declared_in(&self) -> Declared {
        self.declared
    }

    /// Returns whether both are of one client at one provider, wherever their accounts were declared.
    #[must_use]
    pub fn is_same_client(&self, other: &Self) -> bool {
        self.client == other.client
    }

    /// Returns whether an account may go on with what `former` got. Whoever may publish requests can declare an account, and knows
    /// what a client is called: that alone must not bring tokens which the administrator's own account was given. The
    /// administrator may take up what was declared.
    #[must_use]
    pub fn may_take_over(&self, former: &Self) -> bool {
        self.is_same_client(former) && (self.declared == Declared::File || former.declared == Declared::Mqtt)
    }
}

/// A completed sign-in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Whose tokens these are; they are never sent anywhere else.
    pub client: ClientBinding,
    /// The newest tokens.
    pub tokens: Tokens,
    /// The further access tokens that its refresh token brought, by name.
    pub further: BTreeMap<TokenName, FurtherToken>,
    /// When the user approved.
    pub since: UnixTime,
    /// When the tokens were last renewed.
    pub last_refresh: Option<UnixTime>,
    /// Why the provider no longer accepts the refresh token, which is kept until another takes its place.
    pub refused: Option<Box<Refusal>>,
    /// When the refresh under way was begun. It is written down before the request goes out and cleared by its answer:
    /// found after a restart, it says that the provider may have answered somebody who was no longer there.
    pub refreshing_since: Option<UnixTime>,
    /// Who approved, if the provider said so.
    pub user: Option<Box<Identity>>,
    /// When somebody else than before approved, if that has happened.
    pub user_changed_at: Option<UnixTime>,
}

/// A further access token of a sign-in.
#[derive(Clone, Debug)]
pub struct FurtherToken {
    /// The token that a flow sends to an API.
    pub access_token: Secret,
    /// When it ends; `None` if the provider does not say.
    pub expiry: Option<Expiry>,
    /// The scopes granted, separated by spaces; `None` if unknown.
    pub scope: Option<String>,
    /// Further members that are published with it, each as JSON text, by name.
    pub extra: BTreeMap<String, Secret>,
    /// The target that it was got for.
    pub target: Fingerprint,
}

/// The word of the provider that a grant has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which fault it was.
    pub code: FaultCode,
    /// The provider's words.
    pub message: String,
    /// When it said so.
    pub since: UnixTime,
}

/// A sign-in that waits for the user.
#[derive(Clone, Debug)]
pub struct PendingSignIn {
    /// Who asked for it; its codes are never sent anywhere else.
    pub client: ClientBinding,
    /// When it expires.
    pub expiry: Expiry,
    /// The way for the user to approve.
    pub approval: Approval,
}
