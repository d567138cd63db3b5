//! What the store keeps of one account.

use std::time::Duration;

use crate::clock::UnixTime;
use crate::expiry::Expiry;
use crate::fault::FaultCode;
use crate::secret::Secret;
use crate::token::Tokens;

/// Everything of one account that must outlive the process.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The sign-in, if there is one.
    pub signed_in: Option<SignedIn>,
    /// The sign-in that waits for the user, if there is one.
    pub pending: Option<PendingCode>,
}

/// The provider, endpoint and client that tokens were got with, as one comparable text. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientBinding(pub String);

/// A completed sign-in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Whose tokens these are; they are never sent anywhere else.
    pub client: ClientBinding,
    /// The newest tokens.
    pub tokens: Tokens,
    /// When the user approved.
    pub since: UnixTime,
    /// When the tokens were last renewed.
    pub last_refresh: Option<UnixTime>,
    /// Why the provider no longer accepts the refresh token, which is kept until another takes its place.
    pub refused: Option<Refusal>,
}

/// The word of the provider that a grant has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which fault it was.
    pub code: FaultCode,
    /// What the provider said.
    pub message: String,
    /// When it said so.
    pub since: UnixTime,
}

/// A device code that waits for the user (RFC 8628 3.3).
#[derive(Clone, Debug)]
pub struct PendingCode {
    /// Who asked for it; it is never sent anywhere else.
    pub client: ClientBinding,
    /// What the agent polls with.
    pub device_code: Secret,
    /// What the user types.
    pub user_code: String,
    /// Where the user types it.
    pub verification_uri: String,
    /// An address that holds the code already.
    pub verification_uri_complete: Option<String>,
    /// When the codes lapse.
    pub expiry: Expiry,
    /// The least time between two polls, with every `slow_down` so far in it.
    pub interval: Duration,
}
