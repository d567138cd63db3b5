//! The one place that speaks MQTT: the agent's lasting link to the broker, and the short calls of the command line.

mod call;
mod connection;
mod connector;
mod deliveries;
mod dial;
#[cfg(test)]
mod documented;
mod event;
mod frame;
mod link;
mod open_link;
mod outbox;
mod reason;
mod refusal;

pub(crate) use call::{Call, CallError, Message};
pub(crate) use connector::{BrokerError, Connector, Will};
pub(crate) use event::LinkEvent;
pub(crate) use link::{Link, connect};
pub(crate) use outbox::{Correlation, Publication, Unsent};
pub(crate) use refusal::TopicRefusal;
