//! What the broker refuses to take, said where people look.

use std::collections::BTreeSet;

use super::Agent;
use crate::broker::TopicRefusal;
use crate::domain::policy;
use crate::domain::rate_limit::Complaint;
use crate::domain::text::printable;
use crate::platform::clock;

/// The topics that the broker refuses.
pub(super) struct Refusals {
    topics: BTreeSet<String>,
    responses: Complaint,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { topics: BTreeSet::new(), responses: Complaint::new(policy::COMPLAINTS) }
    }
}

impl Agent {
    /// The broker does not take what belongs on this topic, or the subscription to it.
    pub(super) fn refused(&mut self, topic: String, refusal: &TopicRefusal) {
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
        self.refusals.topics.insert(topic);
        self.summary_is_old = true;
    }

    /// The broker takes what it had refused.
    pub(super) fn accepted(&mut self, topic: &str) {
        tracing::info!(topic, "the broker takes this again");
        self.refusals.topics.remove(topic);
        self.summary_is_old = true;
    }

    /// Returns the number of topics in use that the broker refuses.
    pub(super) fn refused_topics(&self) -> usize {
        self.refusals.topics.iter().filter(|topic| self.is_own(topic)).count()
    }

    fn is_own(&self, topic: &str) -> bool {
        let of_account = || self.topics.account_of(topic).is_some_and(|name| self.accounts.contains_key(&name));
        [self.topics.requests(), self.topics.state(), self.topics.info()].iter().any(|own| own == topic) || of_account()
    }
}
