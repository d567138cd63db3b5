//! What the broker refuses to take, said where people look.

use std::collections::BTreeMap;

use super::Agent;
use crate::broker::TopicRefusal;
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;
use crate::domain::fault::FaultCode;
use crate::domain::policy;
use crate::domain::rate_limit::Complaint;
use crate::domain::session::{ErrorView, Topic};
use crate::domain::text::printable;
use crate::platform::clock;
use crate::wire::is_of_token;

/// The topics that the broker refuses, each with the reason and the beginning.
pub(super) struct Refusals {
    topics: BTreeMap<String, (TopicRefusal, UnixTime)>,
    responses: Complaint,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { topics: BTreeMap::new(), responses: Complaint::new(policy::COMPLAINTS) }
    }
}

impl Agent {
    /// The broker does not take what belongs on this topic, or the subscription to it.
    pub(super) fn refused(&mut self, topic: String, refusal: TopicRefusal) {
        if topic == self.topics.requests() {
            tracing::error!(topic, %refusal, "nobody can ask anything of this agent, the command line included");
        } else if self.is_own(&topic) {
            tracing::error!(topic, %refusal, "this does not reach anybody");
        } else {
            // Whoever asks has chosen where the answer goes.
            if let Some(withheld) = self.refusals.responses.is_due(clock::now().boot) {
                tracing::warn!(topic = printable(&topic), %refusal, withheld, "a response does not reach anybody");
            }
            return;
        }
        let changed = topic.clone();
        self.refusals.topics.insert(topic, (refusal, clock::now().wall));
        self.refusals_changed(&changed);
    }

    /// The broker takes what it had refused.
    pub(super) fn accepted(&mut self, topic: &str) {
        tracing::info!(topic, "the broker takes this again");
        self.refusals.topics.remove(topic);
        self.refusals_changed(topic);
    }

    /// The status of an account tells whether its tokens reach anybody.
    fn refusals_changed(&mut self, topic: &str) {
        self.summary_is_old = true;
        if let Some(name) = self.topics.account_of(topic).filter(|_| is_of_token(topic)) {
            self.publish(&name, &Topic::Status);
        }
    }

    /// Returns the fault of an account whose token on this topic the broker refuses.
    pub(super) fn refusal_of(&self, name: &AccountName, topic: &Topic) -> Option<ErrorView> {
        let (refusal, since) = self.refusals.topics.get(&self.topics.account(name, topic))?;
        let reason = refusal.to_string();
        Some(ErrorView {
            code: FaultCode::TokenRefused,
            message: format!("The token reaches nobody: {}.", reason.trim_end_matches('.')),
            since: *since,
            retry_at: None,
        })
    }

    /// Returns the number of topics in use that the broker refuses.
    pub(super) fn refused_topics(&self) -> usize {
        self.refusals.topics.keys().filter(|topic| self.is_own(topic)).count()
    }

    fn is_own(&self, topic: &str) -> bool {
        let of_account = || self.topics.account_of(topic).is_some_and(|name| self.accounts.contains_key(&name));
        [self.topics.requests(), self.topics.state(), self.topics.info()].iter().any(|own| own == topic) || of_account()
    }
}
