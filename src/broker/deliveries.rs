//! What becomes of messages on their way: which the broker has taken, and which it refuses.

use std::collections::{HashMap, HashSet, VecDeque};

use rumqttc::v5::mqttbytes::v5::{PubAckReason, SubscribeReasonCode};

/// Why the broker does not take something, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The client has no right to it (MQTT 5, reason code 0x87).
    #[error("the broker does not let this agent. Give its user the right in the broker's access rules (ACL)")]
    NotAuthorized,
    /// The message is larger than the broker takes (MQTT 5, 3.2.2.3.6).
    #[error(
        "{bytes} bytes are more than the {most} that the broker takes. Raise its limit, such as mosquitto's max_packet_size"
    )]
    TooLarge {
        /// The size of the packet.
        bytes: usize,
        /// The broker's Maximum Packet Size.
        most: usize,
    },
    /// Something else, by the name of its reason code.
    #[error("the broker answered {0}. See its log, and its limits for this agent's user")]
    Other(String),
}

/// A change in what the broker takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It refuses a topic or filter that it had not refused before, or that may differ each time.
    Refused(String, Refusal),
    /// It takes again what it had refused.
    Taken(String),
}

/// Follows each message to its acknowledgement, and remembers what is refused through all connections, so that each is said
/// once.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// Handed to the library, which numbers them in this order.
    handed_over: VecDeque<Subject>,
    /// By packet identifier (MQTT 5, 2.2.1).
    sent: HashMap<u16, Subject>,
    refused: HashSet<String>,
}

/// What an acknowledgement is for.
#[derive(Debug)]
pub(super) struct Subject {
    /// A topic, or the filter of a subscription.
    pub(super) name: String,
    /// Whether it comes again and again. Who asks names the topics of responses: they could be remembered without end.
    pub(super) lasts: bool,
}

impl Deliveries {
    /// Nothing is under way on a new connection.
    pub(super) fn begin(&mut self) {
        self.handed_over.clear();
        self.sent.clear();
    }

    /// A message is about to be given to the library.
    pub(super) fn handed_over(&mut self, subject: Subject) {
        self.handed_over.push_back(subject);
    }

    /// The library has sent the next message under this identifier.
    pub(super) fn sent(&mut self, packet: u16) {
        if let Some(subject) = self.handed_over.pop_front() {
            self.sent.insert(packet, subject);
        }
    }

    /// The broker has acknowledged a message.
    pub(super) fn published(&mut self, packet: u16, reason: PubAckReason) -> Option<Change> {
        let refusal = match reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
            PubAckReason::NotAuthorized => Some(Refusal::NotAuthorized),
            other => Some(Refusal::Other(format!("{other:?}"))),
        };
        let subject = self.sent.remove(&packet)?;
        self.settle(subject, refusal)
    }

    /// The broker has answered the one subscription.
    pub(super) fn subscribed(&mut self, filter: &str, reason: SubscribeReasonCode) -> Option<Change> {
        let refusal = match reason {
            SubscribeReasonCode::Success(_) => None,
            SubscribeReasonCode::NotAuthorized => Some(Refusal::NotAuthorized),
            other => Some(Refusal::Other(format!("{other:?}"))),
        };
        self.settle(Subject { name: filter.to_owned(), lasts: true }, refusal)
    }

    /// It is known how the broker takes it.
    pub(super) fn settle(&mut self, subject: Subject, refusal: Option<Refusal>) -> Option<Change> {
        let Subject { name, lasts } = subject;
        match refusal {
            None => self.refused.remove(&name).then_some(Change::Taken(name)),
            Some(refusal) if !lasts || self.refused.insert(name.clone()) => Some(Change::Refused(name, refusal)),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retained(name: &str) -> Subject {
        Subject { name: name.to_owned(), lasts: true }
    }

    fn refused(name: &str) -> Change {
        Change::Refused(name.to_owned(), Refusal::NotAuthorized)
    }

    #[test]
    fn what_is_refused_is_said_once_and_taken_back_when_it_is_taken() {
        let mut deliveries = Deliveries::default();
        for name in ["a", "b", "a", "a", "a"] {
            deliveries.handed_over(retained(name));
        }
        for packet in 1..=5 {
            deliveries.sent(packet);
        }
        assert_eq!(deliveries.published(1, PubAckReason::NotAuthorized), Some(refused("a")));
        assert_eq!(deliveries.published(2, PubAckReason::NoMatchingSubscribers), None);
        assert_eq!(deliveries.published(3, PubAckReason::NotAuthorized), None);
        assert_eq!(deliveries.published(4, PubAckReason::Success), Some(Change::Taken("a".to_owned())));
        assert_eq!(deliveries.published(5, PubAckReason::Success), None);
    }

    #[test]
    fn a_new_connection_counts_anew_and_forgets_no_refusal() {
        let mut deliveries = Deliveries::default();
        deliveries.handed_over(retained("a"));
        deliveries.sent(1);
        assert_eq!(deliveries.published(1, PubAckReason::NotAuthorized), Some(refused("a")));
        deliveries.handed_over(retained("lost"));
        deliveries.begin();
        deliveries.handed_over(retained("a"));
        deliveries.sent(1);
        assert_eq!(deliveries.published(1, PubAckReason::NotAuthorized), None);
    }

    #[test]
    fn topics_that_others_name_are_not_remembered() {
        let mut deliveries = Deliveries::default();
        let response = || Subject { name: "reply".to_owned(), lasts: false };
        assert_eq!(deliveries.settle(response(), Some(Refusal::NotAuthorized)), Some(refused("reply")));
        assert_eq!(deliveries.settle(response(), Some(Refusal::NotAuthorized)), Some(refused("reply")));
        assert!(deliveries.refused.is_empty());
    }

    #[test]
    fn a_subscription_can_be_refused_too() {
        let mut deliveries = Deliveries::default();
        assert_eq!(deliveries.subscribed("r/+", SubscribeReasonCode::NotAuthorized), Some(refused("r/+")));
        let granted = SubscribeReasonCode::Success(rumqttc::v5::mqttbytes::QoS::AtLeastOnce);
        assert_eq!(deliveries.subscribed("r/+", granted), Some(Change::Taken("r/+".to_owned())));
    }
}
