//! The messages of the agent, as a flow reads them.

use std::fmt::{self, Display, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::mqtt::Message;
use crate::failure::Failure;

#[derive(Deserialize)]
struct BridgeState {
    state: String,
}

/// `online` or `offline`.
pub(super) fn bridge_state(message: &Message) -> Result<String, Failure> {
    message.json::<BridgeState>().map(|bridge| bridge.state)
}

#[derive(Deserialize)]
pub(super) struct BridgeInfo {
    version: String,
    accounts: Vec<Account>,
}

#[derive(Deserialize)]
struct Account {
    name: String,
    provider: String,
}

impl Display for BridgeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {}", self.version)?;
        self.accounts.iter().try_for_each(|account| write!(f, ", account {} at {}", account.name, account.provider))
    }
}

/// `<account>/token`.
#[derive(Deserialize)]
pub(super) struct TokenMessage {
    access_token: Option<String>,
    authorization: Option<String>,
    expires_at: Option<u64>,
}

/// A token that a flow can use.
pub(super) struct Usable {
    pub(super) access_token: String,
    pub(super) authorization: String,
    pub(super) seconds_left: u64,
}

impl TokenMessage {
    /// The token, or none if the account has none at present.
    pub(super) fn current(self) -> Result<Option<Usable>, Failure> {
        let (Some(access_token), Some(authorization)) = (self.access_token, self.authorization) else {
            return Ok(None);
        };
        let seconds_left = self.expires_at.unwrap_or_default().saturating_sub(unix_now());
        if seconds_left == 0 {
            return Err(Failure::new("the flow got a token that has expired already"));
        }
        Ok(Some(Usable { access_token, authorization, seconds_left }))
    }
}

impl Usable {
    /// Enough of a digest to tell two tokens apart.
    pub(super) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.access_token.as_bytes());
        digest.iter().take(4).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// `<account>/status`.
#[derive(Deserialize)]
pub(super) struct StatusMessage {
    state: String,
    needs_user: bool,
    next_refresh_at: Option<u64>,
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Error {
    code: String,
    message: String,
}

impl Display for StatusMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.state)?;
        if self.needs_user {
            f.write_str(", needs the user")?;
        }
        if let Some(at) = self.next_refresh_at {
            write!(f, ", next refresh in {} s", at.saturating_sub(unix_now()))?;
        }
        if let Some(error) = &self.error {
            write!(f, ", {}: {}", error.code, error.message)?;
        }
        Ok(())
    }
}

/// `<account>/signin`.
#[derive(Deserialize)]
pub(super) struct SignInMessage {
    pending: bool,
    verification_uri: Option<String>,
    verification_uri_complete: Option<String>,
    user_code: Option<String>,
    qr: Option<String>,
}

/// What a dashboard would show to the person.
pub(super) struct Offer {
    pub(super) link: String,
    pub(super) user_code: String,
    pub(super) qr: String,
}

impl SignInMessage {
    /// What to show, if a person is asked for.
    pub(super) fn offered(self) -> Option<Offer> {
        let link = self.verification_uri_complete.or(self.verification_uri).filter(|_| self.pending)?;
        Some(Offer { link, user_code: self.user_code.unwrap_or_default(), qr: self.qr.unwrap_or_default() })
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
