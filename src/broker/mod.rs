//! The one place that speaks MQTT: the agent's lasting link to the broker, and the short calls of the command line.

mod call;
mod deliveries;
mod link;
mod options;
mod outbox;

pub(crate) use call::{Call, CallError, Message};
pub(crate) use deliveries::Refusal;
pub(crate) use link::{Link, LinkEvent, connect};
pub(crate) use options::{BrokerError, Connector, Will};
pub(crate) use outbox::{Correlation, Publication, Unsent};
