//! Browsers that come back from a provider to this device.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use url::Url;

use super::Agent;
use super::accounts::Account;
use super::requests::{Asker, PendingRequest};
use crate::domain::account::AccountName;
use crate::domain::redirection::Redirection;
use crate::domain::secret::Secret;
use crate::domain::session::{Command, Event, Topic};
use crate::platform::inherited_sockets::InheritedSockets;
use crate::platform::redirect_listener::{self, Arrival, Listener};
use crate::wire::Verb;

/// The listeners for the sign-ins that wait for a browser.
#[derive(Default)]
pub(super) struct Redirects {
    listeners: BTreeMap<SocketAddr, Listener>,
    /// Where it cannot be listened, and why.
    refused: BTreeMap<SocketAddr, String>,
    pub(super) inherited: InheritedSockets,
    /// True if other addresses may be wanted than are listened on.
    pub(super) may_have_changed: bool,
}

impl Redirects {
    /// With the sockets that the service manager has handed over.
    pub(super) fn from_process() -> Self {
        Self { inherited: InheritedSockets::from_process(), ..Self::default() }
    }

    /// Returns whether there is an address that cannot be listened on.
    pub(super) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Returns where the browser of an account's sign-in cannot come back to, and why.
    pub(super) fn refusal(&self, account: &Account) -> Option<(SocketAddr, &str)> {
        let address = awaited_address(account)?;
        Some((address, self.refused.get(&address)?))
    }
}

impl Agent {
    /// Listens where sign-ins that wait want it, and nowhere else.
    pub(super) fn listen_for_browsers(&mut self) {
        if !std::mem::take(&mut self.redirects.may_have_changed) {
            return;
        }
        let mut wanted = BTreeMap::<_, Vec<_>>::new();
        for (name, account) in &self.accounts {
            if let Some(address) = awaited_address(account) {
                wanted.entry(address).or_default().push(name.clone());
            }
        }
        self.redirects.listeners.retain(|address, _| wanted.contains_key(address));
        self.redirects.refused.retain(|address, _| wanted.contains_key(address));
        for (address, names) in wanted {
            if self.redirects.listeners.contains_key(&address) {
                continue;
            }
            let reason = match redirect_listener::listen(address, &self.redirects.inherited, self.events.clone()) {
                Ok(listener) => {
                    self.redirects.listeners.insert(address, listener);
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            if self.redirects.refused.get(&address) == reason.as_ref() {
                continue;
            }
            match reason {
                Some(reason) => {
                    let account = names.first().map(AccountName::as_str);
                    tracing::warn!(
                        account,
                        %address,
                        error = reason,
                        "cannot listen for the browser to come back; paste the address that it shows into oauth2mqtt login"
                    );
                    self.redirects.refused.insert(address, reason);
                }
                None => drop(self.redirects.refused.remove(&address)),
            }
            for name in names {
                self.publish(&name, &Topic::Status);
            }
        }
    }

    /// Tries again to listen where it could not: the port may be free by now, and whoever asks is told how it is.
    pub(super) fn listen_again(&mut self) {
        self.redirects.may_have_changed |= self.redirects.has_refused();
        self.listen_for_browsers();
    }

    /// A browser has come back.
    pub(super) fn browser_arrived(&mut self, arrival: Arrival) {
        let Arrival { target, outcome } = arrival;
        match self.find_redirection(None, &target) {
            Ok((name, redirection)) => {
                let asked = PendingRequest { verb: Verb::Complete, asker: Asker::Browser(outcome) };
                // A sign-in waits for this, and for no other after it, so there is room.
                let ticket = self.tickets.issue(&name, asked);
                self.tell(&name, Event::Command(Command::Complete(redirection), ticket));
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

/// Returns where on this device the browser of a sign-in that waits comes back to.
fn awaited_address(account: &Account) -> Option<SocketAddr> {
    redirect_listener::address(&Url::parse(account.session.awaited_redirect_uri()?).ok()?)
}
