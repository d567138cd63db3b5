//! Advice to an operator, although nothing has failed yet, given in the status of the accounts that it concerns.

use super::Agent;
use super::accounts::Account;
use crate::domain::account::AccountName;
use crate::domain::grant_kind::GrantKind;
use crate::wire::{self, SetUp, StatusMessage};

impl Agent {
    /// Returns the content of an account's `status` now.
    pub(super) fn status_message(&self, name: &AccountName, account: &Account) -> StatusMessage {
        let of_redirect = self.redirects.refusal(account).map(|(address, reason)| {
            format!(
                "The browser cannot come back by itself: the agent cannot listen on {address} ({reason}). Paste the address \
                 that the browser shows into `oauth2mqtt login {name}`. For the next time, choose another port in \
                 redirect_uri, or reserve this one with oauth2mqtt-redirect.socket."
            )
        });
        // What needs no user comes back by itself.
        let forgets =
            self.store_forgets.as_ref().filter(|_| !GrantKind::UNATTENDED.contains(&account.settings.grant.kind()));
        let of_store = forgets.map(|why| {
            format!("This sign-in is forgotten at the next boot: {why}. Name a folder on a disk: path in [store].")
        });
        let warnings = of_redirect.into_iter().chain(of_store).collect();
        let set_up = SetUp { warnings, ..account.set_up(self.declarations.needs_sign_in(name)) };
        wire::status(name, set_up, &self.status_of(name, account))
    }
}
