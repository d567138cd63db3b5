//! The reasons for which the broker does not accept a topic, and the next step for each.

use std::time::Duration;

use super::reason::Reason;

/// The reason why the broker does not accept a topic, and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TopicRefusal {
    /// The broker's answer, with its reason code.
    #[error("the broker refuses it: {reason}. {}", reason.next_step_inside())]
    Answered {
        /// The reason that it gave.
        reason: Reason,
    },
    /// The message is larger than the broker accepts (MQTT 5, 3.2.2.3.6).
    #[error(
        "{bytes} bytes are more than the {most} that the broker accepts. Raise its limit, such as mosquitto's max_packet_size"
    )]
    TooLarge {
        /// The size of the packet.
        bytes: usize,
        /// The broker's Maximum Packet Size.
        most: usize,
    },
    /// The broker ends the connection when it gets this, and has said why.
    #[error(
        "the broker ends the connection when it gets this: {reason}. {} The agent leaves it out, and tries again in a few minutes \
         and then ever more seldom", reason.next_step_inside()
    )]
    Disconnects {
        /// The reason that it gave.
        reason: Reason,
    },
    /// The broker closes the connection when it gets this.
    #[error(
        "the broker closes the connection when it gets this, without a reason. See its log, and its access rules for this \
         agent's user. The agent leaves it out, and tries again in a few minutes and then ever more seldom"
    )]
    HangsUp,
    /// The broker has read the message, and does not acknowledge it.
    #[error(
        "the broker does not acknowledge it within {} s. See its log. The agent leaves it out, and tries again in a few minutes \
         and then ever more seldom", waited.as_secs()
    )]
    Unacknowledged {
        /// The time that it had for that.
        waited: Duration,
    },
}
