//! Browsers that come back from a provider to this device.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use url::Url;

use super::Agent;
use super::requests::{Asked, Asker};
use crate::domain::account::AccountName;
use crate::domain::redirection::Redirection;
use crate::domain::secret::Secret;
use crate::domain::session::{Command, Event};
use crate::platform::redirect_listener::{self, Arrival, InheritedSockets, Listener};
use crate::wire::Verb;

/// The listeners for the sign-ins that wait for a browser.
#[derive(Default)]
pub(super) struct Redirects {
    listeners: BTreeMap<SocketAddr, Listener>,
    inherited: InheritedSockets,
    /// True if other addresses may be wanted than are listened on.
    pub(super) may_have_changed: bool,
}

impl Redirects {
    /// With the sockets that the service manager has handed over.
    pub(super) fn from_process() -> Self {
        Self { inherited: InheritedSockets::from_process(), ..Self::default() }
    }
}

impl Agent {
    /// Listens where sign-ins that wait want it, and nowhere else.
    pub(super) fn listen_for_browsers(&mut self) {
        if !std::mem::take(&mut self.redirects.may_have_changed) {
            return;
        }
        let waiting = self.accounts.iter().filter_map(|(name, account)| {
            let address = Url::parse(account.session.awaited_redirect_uri()?).ok()?;
            Some((redirect_listener::address(&address)?, name.clone()))
        });
        let wanted: BTreeMap<_, _> = waiting.collect();
        self.redirects.listeners.retain(|address, _| wanted.contains_key(address));
        for (address, name) in wanted {
            if self.redirects.listeners.contains_key(&address) {
                continue;
            }
            match redirect_listener::listen(address, &self.redirects.inherited, self.events.clone()) {
                Ok(listener) => drop(self.redirects.listeners.insert(address, listener)),
                Err(error) => tracing::warn!(
                    account = name.as_str(),
                    %address,
                    %error,
                    "cannot listen for the browser to come back; paste the address that it shows into `oauth2mqtt login`"
                ),
            }
        }
    }

    /// A browser has come back.
    pub(super) fn browser_arrived(&mut self, arrival: Arrival) {
        let Arrival { target, outcome } = arrival;
        match self.find_redirection(None, &target) {
            Ok((name, redirection)) => {
                let asked = Asked { verb: Verb::Complete, asker: Asker::Browser(outcome) };
                // If there is no room, the browser is told that nobody has answered.
                if let Ok(ticket) = self.tickets.issue(asked) {
                    self.tell(&name, Event::Command(Command::Complete(redirection), ticket));
                }
            }
            // A browser that has gone away needs no reason.
            Err(reason) => drop(outcome.send(Err(reason))),
        }
    }

    /// Returns the content of an address, and the account whose sign-in waits for it; `account`, if somebody has named one.
    pub(super) fn find_redirection(
        &self,
        account: Option<AccountName>,
        address: &Secret,
    ) -> Result<(AccountName, Redirection), String> {
        let redirection = Redirection::read(address.expose()).map_err(|reason| format!("{reason}."))?;
        let waiting = self.accounts.iter().find(|(_, account)| account.session.awaits_state(&redirection.state));
        match account.or_else(|| waiting.map(|(name, _)| name.clone())) {
            Some(name) => Ok((name, redirection)),
            None => {
                Err("this address belongs to no sign-in that is pending. Start one, and use the newest address alone."
                    .to_owned())
            }
        }
    }
}
