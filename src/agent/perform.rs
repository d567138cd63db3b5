//! Carries out what a session wants done.

use std::sync::Arc;

use super::Agent;
use super::event::LoopEvent;
use crate::broker::Publication;
use crate::domain::account::AccountName;
use crate::domain::session::{Action, LogEvent, ProviderAnswer, ProviderRequest, RequestId, Topic};
use crate::domain::settings::PublishMode;
use crate::platform::clock;
use crate::provider::{Provider, Refreshed};
use crate::wire::{self, Payload};

impl Agent {
    pub(super) fn perform(&mut self, name: &AccountName, action: Action) {
        match action {
            Action::Ask(id, question) => self.ask(name, id, question),
            Action::Save(revision, record) => self.store.save(name, revision.0, record),
            Action::Erase(revision) => self.store.erase(name, revision.0),
            Action::Publish(topic) => {
                self.publish(name, &topic);
                if topic == Topic::SignIn {
                    self.redirects.may_have_changed = true;
                    // The warning of an address that cannot be listened on begins and ends with the sign-in that waits for it.
                    if self.redirects.has_refused() {
                        self.publish(name, &Topic::Status);
                    }
                }
            }
            Action::Reply(ticket, result) => self.reply(name, ticket, result),
            Action::Log(event) => {
                if matches!(event, LogEvent::SignedIn { .. }) {
                    self.signed_in_as_declared(name);
                }
                write_down(name, event, self.store_forgets.as_deref());
            }
        }
    }

    fn ask(&self, name: &AccountName, id: RequestId, question: ProviderRequest) {
        let Some(account) = self.accounts.get(name) else { return };
        let (provider, name, events) = (Arc::clone(&account.provider), name.clone(), self.events.clone());
        tokio::spawn(async move {
            let _turn = provider.turn().await;
            let answer = put(&provider, question).await;
            // The loop is gone only when the process is about to be.
            let _ = events.send(LoopEvent::Answered(name, id, answer)).await;
        });
    }

    pub(super) fn publish(&mut self, name: &AccountName, topic: &Topic) {
        self.summary_is_old |= *topic == Topic::Status;
        if !matches!(topic, Topic::Token | Topic::FurtherToken(_)) {
            self.show_on_page(name);
        }
        let Some(account) = self.accounts.get(name) else { return };
        let now = clock::now();
        let session = &account.session;
        let (payload, good_until) = match topic {
            Topic::FurtherToken(token) if !account.settings.tokens.contains_key(token) => {
                return self.withdraw_token(name, Some(token));
            }
            Topic::Token | Topic::FurtherToken(_) if account.settings.publish == PublishMode::OnRequest => return,
            Topic::Token => match session.token(now) {
                Some(token) => (wire::token(name, None, &token), token.usable_until),
                None => (wire::withdrawn_token(name, None), None),
            },
            Topic::FurtherToken(further) => match session.further_token(further, now) {
                Some(token) => (wire::token(name, Some(further), &token), token.usable_until),
                None => (wire::withdrawn_token(name, Some(further)), None),
            },
            Topic::Status => (Payload::json(&self.status_message(name, account)), None),
            Topic::SignIn => (Payload::json(&wire::sign_in(name, session.pending().as_ref())), None),
            Topic::Identity => (wire::identity(name, session.identity(now)), None),
        };
        let topic = self.topics.account(name, topic);
        self.link.publish(Publication { topic, payload, retain: true, good_until, correlation: None });
    }
}

async fn put(provider: &Provider, question: ProviderRequest) -> ProviderAnswer {
    match question {
        ProviderRequest::Authorize => ProviderAnswer::Authorization(provider.authorize().await),
        ProviderRequest::Poll { device_code, further } => {
            ProviderAnswer::Poll(provider.poll(&device_code, &further).await)
        }
        ProviderRequest::Exchange { code, code_verifier } => {
            ProviderAnswer::Granted(provider.exchange(&code, &code_verifier).await)
        }
        ProviderRequest::Obtain => ProviderAnswer::Granted(provider.obtain().await),
        ProviderRequest::Refresh { refresh_token, token, is_first } => {
            match provider.refresh(&refresh_token, token.as_ref(), is_first).await {
                Ok(Refreshed::Tokens(tokens)) => ProviderAnswer::Refresh(Ok(tokens)),
                Ok(Refreshed::Rotated(refresh_token, fault)) => ProviderAnswer::Rotated(refresh_token, fault),
                Err(fault) => ProviderAnswer::Refresh(Err(fault)),
            }
        }
        ProviderRequest::Revoke { refresh_token, access_tokens } => {
            ProviderAnswer::Revoked(provider.revoke(refresh_token.as_ref(), &access_tokens).await)
        }
    }
}

/// The journal: what happened, to which account, what comes next.
fn write_down(name: &AccountName, event: LogEvent, store: Option<&str>) {
    let account = name.as_str();
    match event {
        LogEvent::CodeOffered(until) => {
            tracing::info!(account, expires_at = %until, "a sign-in waits for the user");
        }
        LogEvent::SignedIn { lasts, another_user } => {
            tracing::info!(account, "signed in");
            if another_user {
                tracing::warn!(account, "somebody else than before has signed in");
            }
            if !lasts {
                tracing::warn!(
                    account,
                    "the provider gave no refresh token: the sign-in ends with this access token. \
                     Ask for offline access, for example with the scope offline_access"
                );
            }
        }
        LogEvent::UserUnknown(fault) => tracing::warn!(account, %fault, "nobody knows who signed in"),
        LogEvent::NotRevoked(fault) => {
            tracing::warn!(account, %fault, "tokens that are not kept could not be revoked");
        }
        LogEvent::SignInFailed { fault, keeps_former: false } => tracing::warn!(account, %fault, "the sign-in failed"),
        LogEvent::SignInFailed { fault, keeps_former: true } => {
            tracing::warn!(account, %fault, "a new sign-in failed; the former one is kept");
        }
        LogEvent::Refreshed(None) => tracing::info!(account, "refreshed"),
        LogEvent::Refreshed(Some(token)) => tracing::info!(account, token = token.as_str(), "refreshed"),
        LogEvent::RefreshFailed(None, fault, wait) => {
            tracing::warn!(account, %fault, retry_in_seconds = wait.as_secs(), "the refresh failed");
        }
        LogEvent::RefreshFailed(Some(token), fault, wait) => {
            let (token, retry_in_seconds) = (token.as_str(), wait.as_secs());
            tracing::warn!(account, token, %fault, retry_in_seconds, "the refresh for a further token failed");
        }
        LogEvent::GrantEnded(fault) => {
            tracing::error!(account, %fault, "the provider has ended the sign-in");
            if let Some(why) = store {
                tracing::error!(
                    account,
                    %why,
                    "this may be why: the boot brought back a refresh token that had been used; see path in [store]"
                );
            }
        }
        LogEvent::SignedOut(Ok(())) => tracing::info!(account, "signed out"),
        LogEvent::SignedOut(Err(fault)) => {
            tracing::warn!(account, %fault, "signed out");
        }
        LogEvent::StoreFailed(fault, wait) => {
            // The store itself has told of the first failure.
            tracing::debug!(account, %fault, retry_in_seconds = wait.as_secs(), "not yet written");
        }
    }
}
