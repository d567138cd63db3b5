//! Carries out what a session wants done.

use std::sync::Arc;

use super::{Agent, Event};
use crate::broker::Publication;
use crate::domain::account::AccountName;
use crate::domain::secret::Secret;
use crate::domain::session::{Action, Answer, Note, Question, RequestId, Session, TokenView, Topic};
use crate::domain::settings::PublishMode;
use crate::domain::token::Token;
use crate::platform::clock;
use crate::provider::Provider;
use crate::wire::{self, Payload};

impl Agent {
    pub(super) fn perform(&mut self, name: &AccountName, action: Action) {
        match action {
            Action::Ask(id, question) => self.ask(name, id, question),
            Action::Save(revision, record) => self.store.save(name, revision.0, record),
            Action::Erase(revision) => self.store.erase(name, revision.0),
            Action::Publish(topic) => {
                self.redirects.may_have_changed |= topic == Topic::SignIn;
                self.publish(name, topic);
            }
            Action::Reply(ticket, result) => self.reply(name, ticket, result),
            Action::Note(note) => {
                if matches!(note, Note::SignedIn { .. }) {
                    self.signed_in_as_declared(name);
                }
                write_down(name, note, self.store_forgets.as_deref());
            }
        }
    }

    fn ask(&self, name: &AccountName, id: RequestId, question: Question) {
        let Some(account) = self.accounts.get(name) else { return };
        let (provider, name, events) = (Arc::clone(&account.provider), name.clone(), self.events.clone());
        let ends_grant = matches!(question, Question::Revoke { .. });
        // Of now: when its turn comes, which may be in an hour, the store may have the tokens of another sign-in.
        let tokens = self.store.tokens(&name);
        tokio::spawn(async move {
            let _turn = provider.turn().await;
            let answer = match question.open(|| tokens.open()) {
                Ok(question) => put(&provider, question).await,
                Err(fault) if ends_grant => Answer::Revoked(Err(fault)),
                Err(fault) => Answer::Refresh(Err(fault)),
            };
            // The loop is gone only when the process is about to be.
            let _ = events.send(Event::Answered(name, id, answer)).await;
        });
    }

    /// The token that a flow may use now, and its text.
    pub(super) fn token(&self, name: &AccountName, session: &Session) -> Option<(TokenView, Secret)> {
        let token = session.token(clock::now())?;
        let access_token = match &token.access_token {
            Token::Clear(access_token) => access_token.clone(),
            Token::Stored => match self.store.tokens(name).open() {
                Ok(stored) => stored.access_token,
                Err(fault) => {
                    tracing::error!(account = name.as_str(), %fault, "the token cannot be given out");
                    return None;
                }
            },
        };
        Some((token, access_token))
    }

    fn publish(&mut self, name: &AccountName, topic: Topic) {
        self.summary_is_old |= topic == Topic::Status;
        if topic != Topic::Token {
            self.show_on_page(name);
        }
        let Some(account) = self.accounts.get(name) else { return };
        let now = clock::now();
        let session = &account.session;
        let (payload, good_until) = match topic {
            Topic::Token if account.settings.publish == PublishMode::OnRequest => return,
            Topic::Token => match self.token(name, session) {
                Some((token, access_token)) => (wire::token(name, &token, &access_token), token.usable_until),
                None => (wire::withdrawn_token(name), None),
            },
            Topic::Status => (Payload::json(&account.status(name, self.declarations.needs_sign_in(name))), None),
            Topic::SignIn => (Payload::json(&wire::sign_in(name, session.pending().as_ref())), None),
            Topic::Identity => (wire::identity(name, session.identity(now)), None),
        };
        let topic = self.topics.account(name, topic);
        self.link.publish(Publication { topic, payload, retain: true, good_until, correlation: None });
    }
}

async fn put(provider: &Provider, question: Question<Secret>) -> Answer {
    match question {
        Question::Authorize => Answer::Authorization(provider.authorize().await),
        Question::Poll { device_code } => Answer::Poll(provider.poll(&device_code).await),
        Question::Exchange { code, code_verifier } => Answer::Granted(provider.exchange(&code, &code_verifier).await),
        Question::Obtain => Answer::Granted(provider.obtain().await),
        Question::Refresh { refresh_token } => Answer::Refresh(provider.refresh(&refresh_token).await),
        Question::Revoke { refresh_token, access_token } => {
            Answer::Revoked(provider.revoke(refresh_token.as_ref(), &access_token).await)
        }
    }
}

/// The journal: what happened, to which account, what comes next.
fn write_down(name: &AccountName, note: Note, store: Option<&str>) {
    let account = name.as_str();
    match note {
        Note::CodeOffered(until) => {
            tracing::info!(account, lapses_at = until.seconds(), "a sign-in waits for the user");
        }
        Note::SignedIn { lasts, another_user } => {
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
        Note::UserUnknown(fault) => tracing::warn!(account, %fault, "nobody knows who signed in"),
        Note::NotRevoked(fault) => tracing::warn!(account, %fault, "the tokens of whoever was refused are not revoked"),
        Note::SignInFailed(fault) => tracing::warn!(account, %fault, "the sign-in ended"),
        Note::Refreshed => tracing::info!(account, "refreshed"),
        Note::RefreshFailed(fault, wait) => {
            tracing::warn!(account, %fault, retry_in_seconds = wait.as_secs(), "the refresh failed");
        }
        Note::GrantEnded(fault) => {
            tracing::error!(account, %fault, "the provider has ended the sign-in");
            if let Some(why) = store {
                tracing::error!(
                    account,
                    %why,
                    "this may be why: the boot brought back a refresh token that had been used; see path in [store]"
                );
            }
        }
        Note::SignedOut(Ok(())) => tracing::info!(account, "signed out"),
        Note::SignedOut(Err(fault)) => {
            tracing::warn!(account, %fault, "signed out");
        }
        Note::StoreFailed(fault, wait) => {
            // The store itself has told of the first failure.
            tracing::debug!(account, %fault, retry_in_seconds = wait.as_secs(), "not yet written");
        }
    }
}
