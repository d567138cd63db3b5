//! Messages on their way: which the broker has accepted, which it refuses, and which it cannot bear.
//!
//! Some brokers end the connection at a publish that their rules refuse, and some never acknowledge one. Either would keep
//! everything else from being published. So the topic is found, left out, and tried again seldom.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{End, PACKET_IDS};
use super::refusal::TopicRefusal;

/// The time for the broker to acknowledge a message that it has read.
pub(super) const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(20);

/// The time for which a topic is left out at first, and at most.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(5 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// The most topics of responses that are left out. Requesters name them, and could name new ones without end.
const MOST_RESPONSE_TOPICS: usize = 32;

/// The identifier of the subscription's packet, while it may be used; those of messages are above it.
const SUBSCRIPTION: u16 = 1;

/// A change in what the broker accepts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TopicChange {
    /// It refuses a topic or filter that it had not refused before, or that may differ each time.
    Refused(String, TopicRefusal),
    /// It accepts again what it had refused.
    Accepted(String),
}

/// The topic of a message, or the filter of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// Its text.
    pub(super) name: String,
    /// True if it comes again and again, as the topics of responses do not.
    pub(super) lasts: bool,
}

/// Follows each message to its acknowledgement, and remembers what is refused through all connections, so that each is said
/// once.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// By packet identifier (MQTT 5, 2.2.1).
    in_flight: BTreeMap<u16, (Subject, Instant)>,
    /// No longer waited for; their identifiers must not be used again on this connection.
    given_up: BTreeMap<u16, Subject>,
    last_id: u16,
    refused: HashSet<String>,
    left_out: HashMap<String, LeftOut>,
    /// Topics of responses among those, oldest first.
    response_topics: VecDeque<String>,
    /// Of these, one may have ended a connection. While there are any, one message is sent after the other.
    suspects: BTreeSet<String>,
}

/// A topic that is left out.
#[derive(Clone, Copy, Debug)]
struct LeftOut {
    until: Instant,
    pause: Duration,
    /// True if it must be tried while nothing else is under way.
    alone: bool,
}

impl Deliveries {
    /// Forgets what was under way; a new connection begins.
    pub(super) fn begin(&mut self) {
        self.in_flight.clear();
        self.given_up.clear();
        self.last_id = 0;
    }

    /// Returns whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Returns whether one more message may be sent, to a broker that accepts `most` without an acknowledgement.
    pub(super) fn have_room(&self, most: usize) -> bool {
        let alone =
            !self.suspects.is_empty() || self.in_flight.values().any(|(subject, _)| self.is_tried_alone(subject));
        let window = if alone { 1 } else { most.min(usize::from(PACKET_IDS) / 2) };
        self.in_flight.len() < window && self.places_taken() < most
    }

    /// Returns whether messages without an acknowledgement take up everything, with nothing else under way.
    pub(super) fn are_blocked(&self, most: usize) -> bool {
        !self.given_up.is_empty() && self.places_taken() >= most.min(usize::from(PACKET_IDS) - 1)
    }

    fn places_taken(&self) -> usize {
        // The subscription is no message (MQTT 5, 4.9).
        let messages = |id: &&u16| **id != SUBSCRIPTION;
        self.in_flight.keys().filter(messages).count() + self.given_up.keys().filter(messages).count()
    }

    fn is_tried_alone(&self, subject: &Subject) -> bool {
        self.left_out.get(&subject.name).is_some_and(|left_out| left_out.alone)
    }

    /// Notes that a message is sent, and returns its identifier.
    pub(super) fn sent(&mut self, subject: Subject, now: Instant) -> u16 {
        let ids = SUBSCRIPTION + 1..=PACKET_IDS;
        let is_free = |id: &u16| !self.in_flight.contains_key(id) && !self.given_up.contains_key(id);
        let above = ids.clone().filter(|&id| id > self.last_id).find(is_free);
        // There is one, or there would be no room.
        let id = above.or_else(|| ids.clone().find(is_free)).unwrap_or(PACKET_IDS);
        self.last_id = id;
        self.in_flight.insert(id, (subject, now));
        id
    }

    /// Notes that the subscription is sent, and returns its identifier.
    pub(super) fn subscribing(&mut self, filter: &str, now: Instant) -> u16 {
        let subject = Subject { name: filter.to_owned(), lasts: true };
        if self.given_up.contains_key(&SUBSCRIPTION) {
            return self.sent(subject, now);
        }
        self.in_flight.insert(SUBSCRIPTION, (subject, now));
        SUBSCRIPTION
    }

    /// Notes an acknowledgement, and returns when that message was sent.
    pub(super) fn acknowledged(
        &mut self,
        id: u16,
        refusal: Option<TopicRefusal>,
    ) -> (Option<Instant>, Option<TopicChange>) {
        let (subject, sent) = match (self.in_flight.remove(&id), self.given_up.remove(&id)) {
            (Some((subject, sent)), _) => (subject, Some(sent)),
            (None, Some(subject)) => (subject, None),
            (None, None) => return (None, None),
        };
        self.suspects.remove(&subject.name);
        self.left_out.remove(&subject.name);
        self.response_topics.retain(|name| *name != subject.name);
        (sent, self.settle(subject, refusal))
    }

    /// Notes how the broker takes a subject, and returns what is new about that.
    pub(super) fn settle(&mut self, subject: Subject, refusal: Option<TopicRefusal>) -> Option<TopicChange> {
        let Subject { name, lasts } = subject;
        match refusal {
            None => self.refused.remove(&name).then_some(TopicChange::Accepted(name)),
            Some(refusal) if !lasts || self.refused.insert(name.clone()) => Some(TopicChange::Refused(name, refusal)),
            Some(_) => None,
        }
    }

    /// The moment for [`Deliveries::give_up`], while anything is under way.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.in_flight.values().map(|&(_, sent)| sent + ACKNOWLEDGE_TIMEOUT).min()
    }

    /// Gives up messages that should have been acknowledged by now, of those that the broker has read. `None` for the broker
    /// has to be asked for a sign of life first.
    pub(super) fn give_up(&mut self, now: Instant, read_up_to: Instant) -> Option<Vec<TopicChange>> {
        let late: Vec<_> = self.in_flight.iter().filter(|(_, (_, sent))| *sent + ACKNOWLEDGE_TIMEOUT <= now).collect();
        let read: Vec<_> = late.iter().filter(|(_, (_, sent))| *sent <= read_up_to).map(|(id, _)| **id).collect();
        if read.is_empty() && !late.is_empty() {
            return None;
        }
        let mut changes = Vec::new();
        for id in read {
            if let Some((subject, _)) = self.in_flight.remove(&id) {
                self.given_up.insert(id, subject.clone());
                self.suspects.remove(&subject.name);
                self.leave_out(&subject, now, false);
                changes
                    .extend(self.settle(subject, Some(TopicRefusal::Unacknowledged { waited: ACKNOWLEDGE_TIMEOUT })));
            }
        }
        Some(changes)
    }

    /// Draws conclusions from the end of a connection.
    pub(super) fn ended(&mut self, end: &End, now: Instant) -> Option<TopicChange> {
        let under_way: Vec<_> = std::mem::take(&mut self.in_flight).into_values().map(|(subject, _)| subject).collect();
        if !may_be_for_a_message(end) {
            return None;
        }
        match under_way.as_slice() {
            // It was restarted, perhaps with other rules.
            [] => {
                self.suspects.clear();
                for left_out in self.left_out.values_mut() {
                    left_out.until = now;
                }
                None
            }
            [only] if is_for_one_message(end) || self.suspects.contains(&only.name) || self.is_tried_alone(only) => {
                let only = only.clone();
                self.suspects.remove(&only.name);
                self.leave_out(&only, now, true);
                let refusal = match end {
                    End::Disconnected(reason) => TopicRefusal::Disconnects { reason: reason.clone() },
                    _ => TopicRefusal::HangsUp,
                };
                self.settle(only, Some(refusal))
            }
            several => {
                self.suspects.extend(several.iter().map(|subject| subject.name.clone()));
                None
            }
        }
    }

    /// Stops suspecting anything: the connection has lasted.
    pub(super) fn trust(&mut self) {
        self.suspects.clear();
    }

    fn leave_out(&mut self, subject: &Subject, now: Instant, alone: bool) {
        let before = self.left_out.get(&subject.name).map(|left_out| left_out.pause * 2);
        let pause = before.unwrap_or(FIRST_PAUSE).min(LONGEST_PAUSE);
        self.left_out.insert(subject.name.clone(), LeftOut { until: now + pause, pause, alone });
        if !subject.lasts && before.is_none() {
            self.response_topics.push_back(subject.name.clone());
            if self.response_topics.len() > MOST_RESPONSE_TOPICS
                && let Some(oldest) = self.response_topics.pop_front()
            {
                self.left_out.remove(&oldest);
            }
        }
    }

    /// Returns whether this topic is left out at `now`.
    pub(super) fn leave_this_out(&self, name: &str, now: Instant) -> bool {
        let may_be_tried = |left_out: &LeftOut| left_out.until <= now && (!left_out.alone || self.in_flight.is_empty());
        self.left_out.get(name).is_some_and(|left_out| !may_be_tried(left_out))
    }

    /// The moment at which one of these topics may be tried again, as far as what is under way allows it.
    pub(super) fn next_trial<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<Instant> {
        let left_out = names.filter_map(|name| self.left_out.get(name));
        left_out.filter(|left_out| !left_out.alone || self.in_flight.is_empty()).map(|left_out| left_out.until).min()
    }
}

/// Returns whether a broker may end a connection in this way because of a message.
fn may_be_for_a_message(end: &End) -> bool {
    const FOR_A_MESSAGE: [u8; 13] = [0x80, 0x81, 0x82, 0x83, 0x87, 0x8f, 0x90, 0x93, 0x95, 0x97, 0x99, 0x9a, 0x9b];
    match end {
        End::Closed => true,
        End::Disconnected(reason) => FOR_A_MESSAGE.contains(&reason.code()),
        _ => false,
    }
}

/// Returns whether the reason is about what was sent last, and nothing else.
fn is_for_one_message(end: &End) -> bool {
    matches!(end, End::Disconnected(reason) if matches!(reason.code(), 0x87 | 0x8f | 0x90 | 0x95 | 0x99))
}

#[cfg(test)]
mod tests {
    use super::super::reason::Reason;
    use super::*;

    fn retained(name: &str) -> Subject {
        Subject { name: name.to_owned(), lasts: true }
    }

    fn response(name: &str) -> Subject {
        Subject { name: name.to_owned(), lasts: false }
    }

    fn not_authorized() -> TopicRefusal {
        TopicRefusal::Answered { reason: Reason::new(0x87, None) }
    }

    fn refused(name: &str) -> TopicChange {
        TopicChange::Refused(name.to_owned(), not_authorized())
    }

    fn after(now: Instant, time: Duration) -> Instant {
        now + time
    }

    #[test]
    fn what_is_refused_is_said_once_and_so_is_that_it_is_accepted_again() {
        let now = Instant::now();
        let mut deliveries = Deliveries::default();
        let ids: Vec<_> = ["a", "b", "a", "a"].iter().map(|name| deliveries.sent(retained(name), now)).collect();
        assert_eq!(deliveries.acknowledged(ids[0], Some(not_authorized())), (Some(now), Some(refused("a"))));
        assert_eq!(deliveries.acknowledged(ids[1], None).1, None);
        assert_eq!(deliveries.acknowledged(ids[2], Some(not_authorized())).1, None);
        assert_eq!(deliveries.acknowledged(ids[3], None).1, Some(TopicChange::Accepted("a".to_owned())));
        assert_eq!(deliveries.acknowledged(ids[3], None), (None, None));
    }

    #[test]
    fn a_new_connection_counts_anew_and_forgets_no_refusal() {
        let now = Instant::now();
        let mut deliveries = Deliveries::default();
        let first = deliveries.sent(retained("a"), now);
        assert_eq!(deliveries.acknowledged(first, Some(not_authorized())).1, Some(refused("a")));
        deliveries.begin();
        assert_eq!(deliveries.sent(retained("a"), now), first);
        assert_eq!(deliveries.acknowledged(first, Some(not_authorized())).1, None);
    }

    #[test]
    fn topics_that_others_name_are_not_remembered_without_end() {
        let now = Instant::now();
        let mut deliveries = Deliveries::default();
        assert_eq!(deliveries.settle(response("r"), Some(not_authorized())), Some(refused("r")));
        assert_eq!(deliveries.settle(response("r"), Some(not_authorized())), Some(refused("r")));
        for number in 0..1_000 {
            deliveries.sent(response(&number.to_string()), now);
            assert!(deliveries.ended(&End::Disconnected(Reason::new(0x87, None)), now).is_some());
        }
        assert!(deliveries.refused.is_empty());
        assert_eq!(deliveries.left_out.len(), MOST_RESPONSE_TOPICS);
    }

    #[test]
    fn identifiers_are_not_used_again_while_a_message_has_no_acknowledgement() {
        let now = Instant::now();
        let mut deliveries = Deliveries::default();
        let stuck = deliveries.sent(retained("stuck"), now);
        for _ in 0..500 {
            let id = deliveries.sent(retained("a"), now);
            assert!(id != stuck && id != SUBSCRIPTION);
            deliveries.acknowledged(id, None);
        }
        let late = after(now, ACKNOWLEDGE_TIMEOUT);
        assert_eq!(deliveries.give_up(late, now - Duration::from_secs(1)), None, "it may not have been read");
        let changes = deliveries.give_up(late, now).unwrap();
        assert_eq!(
            changes,
            [TopicChange::Refused("stuck".to_owned(), TopicRefusal::Unacknowledged { waited: ACKNOWLEDGE_TIMEOUT })]
        );
        assert!(deliveries.leave_this_out("stuck", late) && deliveries.have_room(32) && !deliveries.are_blocked(32));
        for _ in 0..500 {
            let id = deliveries.sent(retained("a"), now);
            assert_ne!(id, stuck);
            deliveries.acknowledged(id, None);
        }
        assert!(deliveries.are_blocked(1), "a broker with one place has none left");
    }

    #[test]
    fn the_topic_that_ends_connections_is_found_left_out_and_tried_again() {
        let mut now = Instant::now();
        let mut deliveries = Deliveries::default();
        for name in ["a", "bad", "c"] {
            deliveries.sent(retained(name), now);
        }
        assert_eq!(deliveries.ended(&End::Closed, now), None);
        deliveries.begin();
        let id = deliveries.sent(retained("a"), now);
        assert!(!deliveries.have_room(32), "one after the other");
        deliveries.acknowledged(id, None);
        deliveries.sent(retained("bad"), now);
        let found = TopicChange::Refused("bad".to_owned(), TopicRefusal::HangsUp);
        assert_eq!(deliveries.ended(&End::Closed, now), Some(found));
        assert!(deliveries.leave_this_out("bad", now) && !deliveries.leave_this_out("c", now));

        deliveries.begin();
        let id = deliveries.sent(retained("c"), now);
        deliveries.acknowledged(id, None);
        assert!(deliveries.have_room(32) && deliveries.suspects.is_empty());
        now = after(now, FIRST_PAUSE);
        let other = deliveries.sent(retained("c"), now);
        assert!(deliveries.leave_this_out("bad", now), "it is tried alone");
        assert_eq!(deliveries.next_trial(["bad"].into_iter()), None);
        deliveries.acknowledged(other, None);
        assert!(!deliveries.leave_this_out("bad", now));
        assert_eq!(deliveries.next_trial(["bad"].into_iter()), Some(now));
        deliveries.sent(retained("bad"), now);
        assert!(!deliveries.have_room(32));
        assert_eq!(deliveries.ended(&End::Closed, now), None, "it was said before");
        assert!(deliveries.leave_this_out("bad", after(now, FIRST_PAUSE)), "more seldom than before");
        assert_eq!(deliveries.ended(&End::Closed, now), None);
        assert!(!deliveries.leave_this_out("bad", now), "the broker was restarted");
        let id = deliveries.sent(retained("bad"), now);
        assert_eq!(deliveries.acknowledged(id, None).1, Some(TopicChange::Accepted("bad".to_owned())));
    }

    #[test]
    fn a_broker_that_goes_for_its_own_reasons_blames_no_topic() {
        let now = Instant::now();
        let mut deliveries = Deliveries::default();
        for code in [0x89, 0x8b, 0x8d, 0x8e, 0x98, 0x9c] {
            deliveries.sent(retained("a"), now);
            assert_eq!(deliveries.ended(&End::Disconnected(Reason::new(code, None)), now), None);
            assert!(deliveries.suspects.is_empty());
        }
    }
}
