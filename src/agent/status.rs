//! The status of an account: what its session says, what the broker refuses of it, and advice to an operator, although nothing
//! has failed yet.

use super::Agent;
use super::accounts::Account;
use crate::domain::account::AccountName;
use crate::domain::grant_kind::GrantKind;
use crate::domain::session::{SessionState, StatusView, Topic};
use crate::domain::settings::PublishMode;
use crate::platform::clock;
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

    /// Returns the state, times and faults of an account: those of its session, or that the broker refuses a token of it.
    pub(super) fn status_of(&self, name: &AccountName, account: &Account) -> StatusView {
        let mut status = account.session.status(clock::now());
        if status.state != SessionState::Active || account.settings.publish != PublishMode::Retained {
            return status;
        }
        status.error = self.refusal_of(name, &Topic::Token).or(status.error);
        for token in &mut status.tokens {
            token.error = self.refusal_of(name, &Topic::FurtherToken(token.name.clone())).or(token.error.take());
        }
        status
    }
}

impl Account {
    /// Returns the part of `status` that comes from the settings.
    pub(super) fn set_up(&self, sign_in_needed: bool) -> SetUp {
        SetUp {
            grant: Some(self.settings.grant.name()),
            declared: Some(self.settings.declared.name()),
            sign_in_needed,
            warnings: Vec::new(),
        }
    }
}
