//! The settings of the gate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Way;
use crate::domain::account_settings::AccountSettings;
use crate::domain::identity::AllowList;

/// The path, below the address, to which a provider sends a browser back.
pub(crate) const CALLBACK_PATH: &str = "/oauth2mqtt/callback";

/// The gate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GateSettings {
    /// The origin by which browsers reach the proxy: scheme, host and port, no slash at its end.
    pub(crate) address: String,
    /// The address on which the gate listens, for the proxy and for Node-RED.
    pub(crate) listen: SocketAddr,
    /// The people who may come in; never everybody.
    pub(crate) allow: AllowList,
    /// The longest time between two sign-ins of a person.
    pub(crate) session: Duration,
    /// The time without a request after which a session ends.
    pub(crate) idle: Duration,
    /// The claim with the groups of a person.
    pub(crate) groups: String,
    /// The client for a sign-in in the browser.
    pub(crate) browser: Option<Arc<AccountSettings>>,
    /// The client for a sign-in with a phone.
    pub(crate) phone: Option<Arc<AccountSettings>>,
}

impl GateSettings {
    /// The host and port of the address, as browsers name them.
    #[must_use]
    pub(crate) fn authority(&self) -> &str {
        self.address.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The client for this way, if it is offered.
    #[must_use]
    pub(crate) fn client(&self, way: Way) -> Option<&Arc<AccountSettings>> {
        match way {
            Way::Browser => self.browser.as_ref(),
            Way::Phone => self.phone.as_ref(),
        }
    }
}
