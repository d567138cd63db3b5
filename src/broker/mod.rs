//! The one place that speaks MQTT: the agent's lasting link to the broker, and the short calls of the command line.

mod call;
mod deliveries;
mod link;
mod options;
mod outbox;

pub use call::{Call, CallError, Message};
pub use deliveries::Refusal;
pub use link::{Farewell, Link, LinkEvent, connect};
pub use options::{BrokerError, Connector, Will};
pub use outbox::{Correlation, Publication, Unsent};
