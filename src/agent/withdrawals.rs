//! What the broker may still keep of this agent, and nobody stands by any more: it is taken back at every connection.
//!
//! A former run, or this one before the broker was lost, may have published it under another configuration. Only topics
//! of this agent's own base and accounts are written: at another base there may be another agent by now.

use std::time::Duration;

use super::Agent;
use super::accounts::Account;
use crate::broker::Publication;
use crate::domain::account::AccountName;
use crate::domain::record::StoredRecord;
use crate::domain::session::{SessionState, StatusView, Topic};
use crate::domain::settings::PublishMode;
use crate::domain::token_name::TokenName;
use crate::platform::clock;
use crate::wire::{self, Payload, SetUp};

/// The time for which the broker keeps a withdrawal.
const WITHDRAWAL_LIFE: Duration = Duration::from_secs(5);

impl Agent {
    /// The accounts to announce at a new connection: all there are, and then those that there may have been.
    pub(super) fn names_to_announce(&self) -> impl Iterator<Item = AccountName> + use<> {
        let present = self.accounts.keys().cloned().collect::<Vec<_>>();
        let mut gone = self.removed_while_offline.clone();
        gone.extend(self.spare.keys().cloned());
        gone.extend(self.declarations.names().cloned());
        gone.retain(|name| !self.accounts.contains_key(name));
        present.into_iter().chain(gone)
    }

    /// Takes back what the account as it is now does not publish.
    pub(super) fn withdraw_unpublished(&self, name: &AccountName, account: &Account) {
        for token in tokens_of(account.settings.tokens.keys()) {
            if account.settings.publish == PublishMode::OnRequest {
                self.withdraw_token(name, token);
            }
            self.withdraw_carried_token(name, token);
        }
        if account.session.keeps_user_to_itself() {
            self.withdraw_identity(name);
        }
    }

    /// Takes back everything of an account that is not there.
    pub(super) fn withdraw_all(&self, name: &AccountName) {
        let signed_in = match self.spare.get(name) {
            Some(StoredRecord::Record(record)) => record.signed_in.as_ref(),
            Some(StoredRecord::Unreadable(_)) | None => None,
        };
        let declared = signed_in.map(|it| it.client.declared_in().name());
        let further = signed_in.into_iter().flat_map(|it| it.further.keys());
        let set_up = SetUp { grant: None, declared, sign_in_needed: false, warnings: Vec::new() };
        self.withdraw_all_as(name, set_up, true, further);
    }

    /// The same of an account that was there until now; only one that told who signed in has an identity to take back.
    pub(super) fn withdraw_all_as<'a>(
        &self,
        name: &AccountName,
        set_up: SetUp,
        told_user: bool,
        further: impl Iterator<Item = &'a TokenName>,
    ) {
        for token in tokens_of(further) {
            self.withdraw_token(name, token);
            self.withdraw_carried_token(name, token);
        }
        self.withdraw(name, &Topic::SignIn, Payload::json(&wire::sign_in(name, None)));
        let status = StatusView::bare(SessionState::SignedOut, false);
        self.withdraw(name, &Topic::Status, Payload::json(&wire::status(name, set_up, &status)));
        if told_user {
            self.withdraw_identity(name);
        }
    }

    /// Takes back the account's own token, or a further one.
    pub(super) fn withdraw_token(&self, name: &AccountName, token: Option<&TokenName>) {
        self.withdraw(name, &topic_of(token), wire::withdrawn_token(name, token));
    }

    /// Takes back a token from where bridges might carry it, if it is not there now.
    fn withdraw_carried_token(&self, name: &AccountName, token: Option<&TokenName>) {
        if let Some(topic) = self.topics.carried_token(name, &topic_of(token)) {
            self.withdraw_on(topic, wire::withdrawn_token(name, token));
        }
    }

    pub(super) fn withdraw_identity(&self, name: &AccountName) {
        self.withdraw(name, &Topic::Identity, wire::identity(name, None));
    }

    fn withdraw(&self, name: &AccountName, topic: &Topic, payload: Payload) {
        self.withdraw_on(self.topics.account(name, topic), payload);
    }

    /// Tells subscribers, and lets the broker forget by itself: an empty message, which would make it forget at once,
    /// is an error to a flow that reads JSON.
    fn withdraw_on(&self, topic: String, payload: Payload) {
        let good_until = Some(clock::now().boot + WITHDRAWAL_LIFE);
        self.link.publish(Publication { topic, payload, retain: true, good_until, correlation: None });
    }
}

/// The account's own token, and the further ones of these names.
pub(super) fn tokens_of<'a>(
    further: impl Iterator<Item = &'a TokenName>,
) -> impl Iterator<Item = Option<&'a TokenName>> {
    std::iter::once(None).chain(further.map(Some))
}

/// The topic of the account's own token, or of a further one.
pub(super) fn topic_of(token: Option<&TokenName>) -> Topic {
    token.map_or(Topic::Token, |name| Topic::FurtherToken(name.clone()))
}
