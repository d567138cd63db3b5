//! Reason codes (MQTT 5, 2.4): their names, and what to do about each.

use std::fmt;

use rumqttc::v5::mqttbytes::v5::{PubAckReason, SubscribeReasonCode};

use crate::domain::text::printable;

/// A reason code that a broker gave, with the sentence that it may have added (Reason String).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    code: u8,
    text: Option<String>,
}

/// One row of the table: a code, its name in the standard, and what to do where it ends or prevents a connection.
pub(crate) struct KnownReason {
    /// The code.
    pub code: u8,
    /// The name in the standard, in lower case.
    pub name: &'static str,
    /// The next step.
    pub next_step: &'static str,
}

/// The next step where a code has none of its own.
const SEE_LOG: &str = "See the broker's log, and its limits for this agent's user.";

/// The next step where the broker refuses one topic or subscription for want of a right.
pub(crate) const GIVE_RIGHT: &str = "Give the agent's user the right in the broker's access rules (ACL).";

const CHECK_LOGIN: &str = "Check [mqtt] username and password_file, and that the broker knows this user.";
const USE_MQTT5: &str = "Use a broker that speaks MQTT 5, such as mosquitto 1.6 or later. aedes, also inside Node-RED, speaks MQTT 3.1.1 only.";
const CHECK_PROXY: &str =
    "See the broker's log. If a proxy is between the agent and the broker, check that it passes MQTT 5.";
const OTHER_TOPIC: &str = "Choose another [mqtt] base_topic, or allow it at the broker.";
const WAIT: &str = "The agent tries again by itself.";
const OWN_NAME: &str = "Give each agent and each other client a name of its own: [mqtt] client_id.";
const RAISE_SIZE: &str = "Raise the broker's limit, such as mosquitto's max_packet_size.";
const OTHER_ADDRESS: &str = "Put the broker's new address into [mqtt] url.";

/// The reason codes of failures (MQTT 5, table 2-6).
#[rustfmt::skip]
pub(crate) const REASONS: &[KnownReason] = &[
    known(0x80, "unspecified error", SEE_LOG),
    known(0x81, "malformed packet", CHECK_PROXY),
    known(0x82, "protocol error", CHECK_PROXY),
    known(0x83, "implementation specific error", SEE_LOG),
    known(0x84, "unsupported protocol version", USE_MQTT5),
    known(0x85, "client identifier not valid", "Choose another [mqtt] client_id, of letters and digits; some brokers take 23 at most."),
    known(0x86, "bad user name or password", CHECK_LOGIN),
    known(0x87, "not authorized", CHECK_LOGIN),
    known(0x88, "server unavailable", WAIT),
    known(0x89, "server busy", WAIT),
    known(0x8a, "banned", "Remove this agent from the broker's list of banned clients."),
    known(0x8b, "server shutting down", WAIT),
    known(0x8c, "bad authentication method", "Allow the broker's clients to sign in by user name and password, or by certificate."),
    known(0x8d, "keep alive timeout", "Check the network between agent and broker, and the broker's keep-alive limit. The agent connects again by itself."),
    known(0x8e, "session taken over", OWN_NAME),
    known(0x8f, "topic filter invalid", OTHER_TOPIC),
    known(0x90, "topic name invalid", OTHER_TOPIC),
    known(0x91, "packet identifier in use", SEE_LOG),
    known(0x93, "receive maximum exceeded", SEE_LOG),
    known(0x94, "topic alias invalid", SEE_LOG),
    known(0x95, "packet too large", RAISE_SIZE),
    known(0x96, "message rate too high", "Raise the broker's limit of messages in a second for this agent's user."),
    known(0x97, "quota exceeded", "Raise the broker's quota for this agent's user: connections, messages, or retained messages."),
    known(0x98, "administrative action", "Somebody ended this connection at the broker: ask its administrator. The agent connects again by itself."),
    known(0x99, "payload format invalid", SEE_LOG),
    known(0x9a, "retain not supported", "Allow retained messages at the broker, such as mosquitto's retain_available."),
    known(0x9b, "QoS not supported", "Allow QoS 1 at the broker, such as mosquitto's max_qos."),
    known(0x9c, "use another server", OTHER_ADDRESS),
    known(0x9d, "server moved", OTHER_ADDRESS),
    known(0x9e, "shared subscriptions not supported", SEE_LOG),
    known(0x9f, "connection rate exceeded", WAIT),
    known(0xa0, "maximum connect time", WAIT),
    known(0xa1, "subscription identifiers not supported", SEE_LOG),
    known(0xa2, "wildcard subscriptions not supported", "Allow wildcards in subscriptions at the broker: without them nobody can send a request to the agent."),
];

const fn known(code: u8, name: &'static str, next_step: &'static str) -> KnownReason {
    KnownReason { code, name, next_step }
}

impl Reason {
    /// A code, and what the broker added to it.
    #[must_use]
    pub(super) fn new(code: u8, text: Option<String>) -> Self {
        Self { code, text: text.filter(|text| !text.trim().is_empty()) }
    }

    /// Returns the code as it is on the wire.
    #[must_use]
    pub(super) fn code(&self) -> u8 {
        self.code
    }

    /// Returns what to do where the connection is refused.
    #[must_use]
    pub(super) fn next_step(&self) -> &'static str {
        self.known().map_or(SEE_LOG, |known| known.next_step)
    }

    /// Returns what to do where the agent was let in, and a topic or subscription is refused or the connection ended. Its login is
    /// right then; what it lacks is a right.
    #[must_use]
    pub(super) fn next_step_inside(&self) -> &'static str {
        if self.code == 0x87 { GIVE_RIGHT } else { self.next_step() }
    }

    fn known(&self) -> Option<&'static KnownReason> {
        REASONS.iter().find(|known| known.code == self.code)
    }
}

/// Name, code and the broker's own sentence: `not authorized (0x87: "no right")`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.known().map_or("an unknown reason", |known| known.name);
        write!(f, "{name} (0x{:02x}", self.code)?;
        if let Some(text) = &self.text {
            write!(f, ": \"{}\"", printable(text))?;
        }
        f.write_str(")")
    }
}

/// The code of a PUBACK (MQTT 5, 3.4.2.1), if it is that of a failure.
pub(super) fn publish_code(reason: PubAckReason) -> Option<u8> {
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
        PubAckReason::UnspecifiedError => Some(0x80),
        PubAckReason::ImplementationSpecificError => Some(0x83),
        PubAckReason::NotAuthorized => Some(0x87),
        PubAckReason::TopicNameInvalid => Some(0x90),
        PubAckReason::PacketIdentifierInUse => Some(0x91),
        PubAckReason::QuotaExceeded => Some(0x97),
        PubAckReason::PayloadFormatInvalid => Some(0x99),
    }
}

/// The code of a SUBACK (MQTT 5, 3.9.3), if it is that of a failure.
pub(super) fn subscribe_code(reason: SubscribeReasonCode) -> Option<u8> {
    match reason {
        SubscribeReasonCode::Success(_) => None,
        SubscribeReasonCode::Failure | SubscribeReasonCode::Unspecified => Some(0x80),
        SubscribeReasonCode::ImplementationSpecific => Some(0x83),
        SubscribeReasonCode::NotAuthorized => Some(0x87),
        SubscribeReasonCode::TopicFilterInvalid => Some(0x8f),
        SubscribeReasonCode::PkidInUse => Some(0x91),
        SubscribeReasonCode::QuotaExceeded => Some(0x97),
        SubscribeReasonCode::SharedSubscriptionsNotSupported => Some(0x9e),
        SubscribeReasonCode::SubscriptionIdNotSupported => Some(0xa1),
        SubscribeReasonCode::WildcardSubscriptionsNotSupported => Some(0xa2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_shows_its_name_its_code_and_what_the_broker_added() {
        assert_eq!(Reason::new(0x8b, None).to_string(), "server shutting down (0x8b)");
        let told = Reason::new(0x97, Some("more than\n10".to_owned())).to_string();
        assert!(told.starts_with("quota exceeded (0x97: \"more than") && !told.contains('\n'), "{told}");
        assert_eq!(Reason::new(0xf0, Some(" ".to_owned())).to_string(), "an unknown reason (0xf0)");
    }

    #[test]
    fn a_missing_right_is_a_matter_of_the_login_or_of_the_access_rules() {
        let reason = Reason::new(0x87, None);
        assert!(reason.next_step().contains("password_file"));
        assert!(reason.next_step_inside().contains("(ACL)"));
    }
}
