//! The user's approval of a sign-in: on another device with a code, or in a browser that comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::redirection::Redirection;
use crate::domain::secret::Secret;

/// The provider's answer to a request for authorization.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The way for the user to approve.
    pub approval: Approval,
    /// The time that the provider waits for it, from the request on; `None` where the provider does not say.
    pub expires_in: Option<Duration>,
}

/// The way for a user to approve a sign-in. Every text in it is printable, and the addresses are http or https: the reader
/// of the provider's answer refuses any other.
#[derive(Clone, Debug)]
pub enum Approval {
    /// With a code, on another device (RFC 8628).
    Device(DeviceAuthorization),
    /// At an address that leads back with a code (RFC 6749 4.1).
    Redirect(AuthorizationRequest),
}

/// A device code and the address at which it is approved (RFC 8628 3.2).
#[derive(Clone, Debug)]
pub struct DeviceAuthorization {
    /// The code that the agent polls with.
    pub device_code: Secret,
    /// The code that the user types.
    pub user_code: String,
    /// The address at which the user types it.
    pub verification_uri: String,
    /// An address that holds the code already, for the QR code.
    pub verification_uri_complete: Option<String>,
    /// The least time between two polls, with every `slow_down` so far in it.
    pub interval: Duration,
    /// Further parameters of each poll, such as the verifier of a proof key.
    pub poll_parameters: BTreeMap<String, Secret>,
}

/// An authorization request (RFC 6749 4.1.1) with a proof key for its code (RFC 7636).
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// The address that the user opens.
    pub address: String,
    /// Where the provider sends the user's browser afterwards.
    pub redirect_uri: String,
    /// The value that the redirection must bring back (RFC 6749 10.12).
    pub state: String,
    /// Proof that whoever exchanges the code asked for it (RFC 7636 4.1).
    pub code_verifier: Secret,
    /// The issuer that must have sent the redirection if that names one (RFC 9207 2.4); `None` where it is not known.
    pub issuer: Option<String>,
    /// True if the provider promises to name itself in the redirection.
    pub names_issuer: bool,
}

impl AuthorizationRequest {
    /// Returns whether a redirection answers this request. Anybody can send a browser to the redirect address.
    #[must_use]
    pub fn is_answered_by(&self, redirection: &Redirection) -> bool {
        let from_another = match (&self.issuer, &redirection.issuer) {
            (Some(expected), Some(named)) => expected != named,
            (None, Some(_)) => false,
            // Who says in advance that it names itself, and then does not, is somebody else (RFC 9207 2.4); but for
            // an error, with which no code can be had, and in which some servers forget it.
            (_, None) => self.names_issuer && redirection.outcome.is_ok(),
        };
        self.state == redirection.state && !from_another && redirection.came_to(&self.redirect_uri)
    }
}
