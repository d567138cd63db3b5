//! Tokens, as a provider gives them and as they are held.

use std::collections::BTreeMap;
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
    /// The life of the access token, from the moment of the answer; `None` if the provider does not say.
    pub expires_in: Option<Duration>,
    /// When the sign-in itself ends, if nobody acts, from the moment of the answer.
    pub sign_in_end: SignInEnd,
    /// The scopes that were granted, separated by spaces; `None` means those that were asked for.
    pub scope: Option<String>,
    /// Further members that are published with the token, each as JSON text, by name.
    pub extra: BTreeMap<String, Secret>,
}

/// What an answer says of the end of the sign-in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignInEnd {
    /// Nothing: it is as it was, or unknown.
    #[default]
    NotSaid,
    /// It has none.
    Never,
    /// It ends after this time.
    In(Duration),
}

/// The result of a completed sign-in.
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
    /// The token that a flow sends to an API.
    pub access_token: Secret,
    /// The token that gets the next access token; `None` if the provider gave none.
    pub refresh_token: Option<Secret>,
    /// When the access token ends; `None` if the provider does not say.
    pub expiry: Option<Expiry>,
    /// When the sign-in itself ends, if nobody acts; `None` if unknown.
    pub sign_in_end: Option<Expiry>,
    /// The scopes granted, separated by spaces; `None` if unknown.
    pub scope: Option<String>,
    /// Further members that are published with the access token, each as JSON text, by name.
    pub extra: BTreeMap<String, Secret>,
}

/// The answer to one poll with a device code (RFC 8628 3.5).
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
