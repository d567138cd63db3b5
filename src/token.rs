//! What a provider gives: device codes and tokens.

use std::time::Duration;

use crate::expiry::Expiry;
use crate::secret::Secret;

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

/// The tokens of one sign-in.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// What a flow sends to an API.
    pub access_token: Secret,
    /// What gets the next access token; `None` if the provider gave none.
    pub refresh_token: Option<Secret>,
    /// When the access token ends; `None` if the provider does not say.
    pub expiry: Option<Expiry>,
    /// The scopes granted, separated by spaces; `None` if unknown.
    pub scope: Option<String>,
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
    Granted(TokenAnswer),
    /// Nobody has decided yet.
    Pending,
    /// The same, and polls must be further apart: by 5 s, or as far as the provider says.
    SlowDown {
        /// The new interval, where the provider names one.
        interval: Option<Duration>,
    },
}
