//! What the link reports to the agent.

use std::time::Duration;

use bytes::Bytes;

use super::connector::BrokerError;
use super::deliveries::TopicChange;
use super::outbox::Correlation;
use super::refusal::TopicRefusal;

/// An event on the link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// There is a connection, and the broker has nothing from this agent yet.
    Connected,
    /// There is none; the next attempt is after this time.
    Lost(BrokerError, Duration),
    /// The broker does not accept messages on this topic, or the subscription to this filter.
    Refused(String, TopicRefusal),
    /// It accepts again what it had refused.
    Accepted(String),
    /// Somebody sent a request.
    Request {
        /// The topic of the request.
        topic: String,
        /// The request itself.
        payload: Bytes,
        /// Where the answer should go.
        response_topic: Option<String>,
        /// The data that the answer should carry.
        correlation: Option<Correlation>,
    },
}

impl From<TopicChange> for LinkEvent {
    fn from(change: TopicChange) -> Self {
        match change {
            TopicChange::Refused(name, refusal) => Self::Refused(name, refusal),
            TopicChange::Accepted(name) => Self::Accepted(name),
        }
    }
}
