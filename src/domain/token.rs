//! What a provider gives: the way to a user's approval, and tokens.

use std::time::Duration;

use crate::domain::expiry::Expiry;
use crate::domain::fault::Fault;
use crate::domain::identity::Identity;
use crate::domain::secret::Secret;

/// A successful answer of the token endpoint (RFC 6749 5.1). The type of the token is always Bearer: the reader of the
/// answer refuses any other.
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    /// The access token; never empty.
    pub access_token: Secret,
    /// The refresh token; never empty. In an answer to a refresh, `None` means that the old one stays (RFC 6749 6).
    pub refresh_token: Option<Secret>,
    /// How long the access token lives, from the moment of the answer; `None` if the provider does not say.
    pub expires_in: Option<Duration>,
    /// The scopes that were granted, separated by spaces; `None` means those that were asked for.
    pub scope: Option<String>,
}

/// What a completed sign-in brought.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The tokens.
    pub tokens: TokenAnswer,
    /// Whose they are.
    pub user: User,
}

/// Who approved a sign-in, as far as the provider was asked and said so.
#[derive(Clone, Debug)]
pub enum User {
    /// Nobody asked the provider: the scopes do not have `openid`, or there is no user at all.
    NotAsked,
    /// The provider said who.
    Known(Identity),
    /// The provider was asked and did not say, for this reason.
    Unknown(Fault),
}

/// The tokens of one sign-in.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// What a flow sends to an API.
    pub access_token: Token,
    /// What gets the next access token; `None` if the provider gave none.
    pub refresh_token: Option<Token>,
    /// When the access token ends; `None` if the provider does not say.
    pub expiry: Option<Expiry>,
    /// The scopes granted, separated by spaces; `None` if unknown.
    pub scope: Option<String>,
}

/// A token, as far as it has to be held. What is safe on disk is sealed there and in memory alike, and opened each time that it
/// is used: a thousand accounts at rest have no token in the clear.
#[derive(Clone, Debug)]
pub enum Token {
    /// In the clear, until it is known to be on disk.
    Clear(Secret),
    /// The one that the store has of the account.
    Stored,
}

/// The tokens of one sign-in in the clear.
#[derive(Clone, Debug)]
pub struct ClearTokens {
    /// What a flow sends to an API.
    pub access_token: Secret,
    /// What gets the next access token.
    pub refresh_token: Option<Secret>,
}

impl Token {
    /// Whether it is held nowhere but in the store.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        matches!(self, Self::Stored)
    }

    /// The token in the clear, where `stored` is what the store has.
    #[must_use]
    pub fn or_stored(self, stored: Option<Secret>) -> Option<Secret> {
        match self {
            Self::Clear(secret) => Some(secret),
            Self::Stored => stored,
        }
    }
}

impl Tokens {
    /// Whether one of them is held nowhere but in the store.
    #[must_use]
    pub fn are_stored(&self) -> bool {
        self.access_token.is_stored() || self.refresh_token.as_ref().is_some_and(Token::is_stored)
    }

    /// Both in the clear, where `stored` are those that the store has; `None` where it lacks one that only it could have.
    #[must_use]
    pub fn clear(&self, stored: Option<ClearTokens>) -> Option<ClearTokens> {
        let (access_token, refresh_token) = stored.map(|it| (it.access_token, it.refresh_token)).unzip();
        let refresh = |token: Token| token.or_stored(refresh_token.flatten());
        Some(ClearTokens {
            access_token: self.access_token.clone().or_stored(access_token)?,
            refresh_token: match self.refresh_token.clone() {
                Some(token) => Some(refresh(token)?),
                None => None,
            },
        })
    }
}

/// How a user can approve a sign-in that was begun.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// With a code, on another device (RFC 8628).
    Device(DeviceAuthorization),
    /// At an address, which leads back with a code (RFC 6749 4.1).
    Code(CodeAuthorization),
}

/// An authorization request (RFC 6749 4.1.1) with a proof key for its code (RFC 7636).
#[derive(Clone, Debug)]
pub struct CodeAuthorization {
    /// The address that the user opens.
    pub address: String,
    /// Where the provider sends the user's browser afterwards.
    pub redirect_uri: String,
    /// What the redirection must bring back (RFC 6749 10.12).
    pub state: String,
    /// What shows that the code is exchanged by who asked for it (RFC 7636 4.1).
    pub code_verifier: Secret,
    /// Who must have sent the redirection if that says who has, where it is known (RFC 9207 2.4).
    pub issuer: Option<String>,
    /// Whether the provider promises that it says so.
    pub names_issuer: bool,
}

/// A successful answer of the device authorization endpoint (RFC 8628 3.2). Every text in it is printable and the
/// addresses are http or https: the reader of the answer refuses any other.
#[derive(Clone, Debug)]
pub struct DeviceAuthorization {
    /// What the agent polls with.
    pub device_code: Secret,
    /// What the user types.
    pub user_code: String,
    /// Where the user types it.
    pub verification_uri: String,
    /// An address that holds the code already, for the QR code.
    pub verification_uri_complete: Option<String>,
    /// How long the codes live.
    pub expires_in: Duration,
    /// The least time between two polls.
    pub interval: Duration,
}

/// What one poll with a device code brought (RFC 8628 3.5).
#[derive(Clone, Debug)]
pub enum PollAnswer {
    /// The user approved.
    Granted(Granted),
    /// Nobody has decided yet.
    Pending,
    /// The same, and polls must be further apart: by 5 s, or as far as the provider says.
    SlowDown {
        /// The new interval, where the provider names one.
        interval: Option<Duration>,
    },
}
