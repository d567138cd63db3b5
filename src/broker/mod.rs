//! The one place that speaks MQTT: the agent's lasting link to the broker, and the short calls of the command line.

mod call;
mod connection;
mod connector;
mod deliveries;
mod dial;
#[cfg(test)]
mod documented;
mod frame;
mod link;
mod outbox;
mod reason;

pub(crate) use call::{Call, CallError, Message};
pub(crate) use connector::{BrokerError, Connector, Will};
pub(crate) use deliveries::TopicRefusal;
pub(crate) use link::{Link, LinkEvent, connect};
pub(crate) use outbox::{Correlation, Publication, Unsent};
