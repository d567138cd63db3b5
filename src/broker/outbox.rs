//! Messages that wait to be sent to the broker.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::refusal::TopicRefusal;
use crate::domain::clock::BootTime;
use crate::wire::{Payload, is_of_token};

/// The most responses that wait. Where requests come faster than the broker takes the answers, the oldest are dropped: who has
/// waited longest for one is the likeliest to have given up, and who asks after a flood is answered.
const MOST_RESPONSES: usize = 256;

/// The most bytes of responses that wait, unless one alone has more.
const MOST_RESPONSE_BYTES: usize = 1024 * 1024;

/// The size of a packet without topic, payload and correlation data, at most, in bytes (MQTT 5, 3.3): the header, the lengths, and
/// the other properties that this agent sends.
const PACKET_OVERHEAD: usize = 42;

/// With fewer retained messages than this that wait, there is room for what is not urgent. Responses do not count: whoever
/// asks without end would keep the accounts' topics from ever being published.
const FEW: usize = 32;

/// Correlation data, by which a requester recognises the response (MQTT 5, 4.10).
pub(crate) type Correlation = Vec<u8>;

/// One message for the broker.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    /// The topic.
    pub topic: String,
    /// The message.
    pub payload: Payload,
    /// True if the broker keeps it for later subscribers.
    pub retain: bool,
    /// The moment from which nobody must get it any more; `None` for never.
    pub good_until: Option<BootTime>,
    /// For a response.
    pub correlation: Option<Correlation>,
}

/// The reason why a message is not sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// Too many responses wait; older ones are not sent, and this one is.
    Older,
    /// It is larger than the broker takes.
    TooLarge(TopicRefusal),
}

/// Messages in the order they came, of which a newer one on a retained topic takes the place of an older one.
///
/// So it never holds more than the topics there are, however long the broker is slow.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<WaitingMessages>,
    changed: Notify,
    taken: Notify,
}

#[derive(Debug, Default)]
struct WaitingMessages {
    retained: HashMap<String, Publication>,
    /// The topics of those, in the order in which they are sent: tokens before all else.
    tokens: VecDeque<String>,
    others: VecDeque<String>,
    responses: VecDeque<Publication>,
    response_bytes: usize,
    /// True if there is a connection. Without one nothing waits: at the next, everything is published afresh.
    connected: bool,
    /// The broker's Maximum Packet Size, if it has one (MQTT 5, 3.2.2.3.6).
    largest: Option<usize>,
    closed: bool,
}

impl Outbox {
    /// Adds a message, or drops it while there is no connection.
    pub(super) fn put(&self, publication: Publication) -> Result<(), Unsent> {
        let mut waiting = self.lock();
        if !waiting.connected {
            return Ok(());
        }
        let mut dropped = false;
        if publication.retain {
            let topic = publication.topic.clone();
            if waiting.retained.insert(topic.clone(), publication).is_none() {
                // Whatever else the broker does not accept, tokens should be there.
                let order = if is_of_token(&topic) { &mut waiting.tokens } else { &mut waiting.others };
                order.push_back(topic);
            }
        } else if let Some(refusal) = publication.refused_by(waiting.largest) {
            return Err(Unsent::TooLarge(refusal));
        } else {
            dropped = waiting.make_room_for_response(publication.bytes());
            waiting.response_bytes += publication.bytes();
            waiting.responses.push_back(publication);
        }
        self.changed.notify_one();
        if dropped { Err(Unsent::Older) } else { Ok(()) }
    }

    /// Waits until only few retained messages wait.
    pub(super) async fn has_room(&self) {
        while self.lock().is_crowded() {
            self.taken.notified().await;
        }
    }

    /// There is a connection from now on, to a broker that takes packets up to this size.
    pub(super) fn connected(&self, largest: Option<usize>) {
        self.begin_anew(WaitingMessages { connected: true, largest, ..WaitingMessages::default() });
    }

    /// There is none any more.
    pub(super) fn disconnected(&self) {
        self.begin_anew(WaitingMessages::default());
    }

    /// Whatever waited for another connection is forgotten.
    fn begin_anew(&self, empty: WaitingMessages) {
        let mut waiting = self.lock();
        *waiting = WaitingMessages { closed: waiting.closed, ..empty };
        self.taken.notify_one();
    }

    /// Lets [`Outbox::next`] end once everything was taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// The next message; `None` when the outbox is closed and empty.
    pub(super) async fn next(&self) -> Option<Publication> {
        loop {
            {
                let mut waiting = self.lock();
                if let Some(publication) = waiting.take() {
                    if !waiting.is_crowded() {
                        self.taken.notify_one();
                    }
                    return Some(publication);
                }
                if waiting.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, WaitingMessages> {
        // Nothing that is done under the lock can leave it half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publication {
    /// Returns whether it is too large for a broker that takes packets up to this size.
    pub(super) fn refused_by(&self, largest: Option<usize>) -> Option<TopicRefusal> {
        let bytes = self.bytes() + PACKET_OVERHEAD;
        largest.filter(|&most| bytes > most).map(|most| TopicRefusal::TooLarge { bytes, most })
    }

    fn bytes(&self) -> usize {
        self.topic.len() + self.payload.as_bytes().len() + self.correlation.as_ref().map_or(0, Vec::len)
    }
}

impl WaitingMessages {
    fn is_crowded(&self) -> bool {
        self.tokens.len() + self.others.len() >= FEW
    }

    /// Drops the oldest responses until one of so many bytes has room, and says whether there were any to drop.
    fn make_room_for_response(&mut self, bytes: usize) -> bool {
        let mut dropped = false;
        while self.responses.len() >= MOST_RESPONSES || self.response_bytes + bytes > MOST_RESPONSE_BYTES {
            if self.take_response().is_none() {
                break;
            }
            dropped = true;
        }
        dropped
    }

    /// Retained messages come first: whoever has an answer finds the outcome of the request on the topics.
    fn take(&mut self) -> Option<Publication> {
        self.take_retained().or_else(|| self.take_response())
    }

    fn take_retained(&mut self) -> Option<Publication> {
        let topic = self.tokens.pop_front().or_else(|| self.others.pop_front())?;
        self.retained.remove(&topic)
    }

    fn take_response(&mut self) -> Option<Publication> {
        let response = self.responses.pop_front()?;
        self.response_bytes -= response.bytes();
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::state;

    fn connected() -> Outbox {
        let outbox = Outbox::default();
        outbox.connected(None);
        outbox
    }

    fn publication(topic: &str, online: bool, retain: bool) -> Publication {
        Publication { topic: topic.to_owned(), payload: state(online), retain, good_until: None, correlation: None }
    }

    #[tokio::test]
    async fn a_newer_message_takes_the_place_of_an_older_one_on_its_topic() {
        let outbox = connected();
        outbox.put(publication("a", true, true)).unwrap();
        outbox.put(publication("b", true, true)).unwrap();
        outbox.put(publication("a", false, true)).unwrap();
        let first = outbox.next().await.unwrap();
        assert_eq!((first.topic.as_str(), first.payload.as_bytes()), ("a", state(false).as_bytes()));
        assert_eq!(outbox.next().await.unwrap().topic, "b");
        outbox.close();
        assert!(outbox.next().await.is_none());
    }

    #[tokio::test]
    async fn tokens_come_before_all_else() {
        let outbox = connected();
        for topic in ["a/status", "a/token", "b/status", "b/mail/token"] {
            outbox.put(publication(topic, true, true)).unwrap();
        }
        outbox.put(publication("r/token", true, false)).unwrap();
        for topic in ["a/token", "b/mail/token", "a/status", "b/status", "r/token"] {
            assert_eq!(outbox.next().await.unwrap().topic, topic);
        }
    }

    #[tokio::test]
    async fn there_is_room_while_few_messages_wait() {
        let outbox = connected();
        for number in 0..FEW {
            outbox.has_room().await;
            outbox.put(publication(&number.to_string(), true, true)).unwrap();
        }
        let mut room = std::pin::pin!(outbox.has_room());
        assert!(is_pending(room.as_mut()).await, "it is full");
        outbox.next().await;
        room.await;
    }

    #[tokio::test]
    async fn whoever_asks_without_end_takes_no_room_from_the_accounts_and_gets_none_from_them() {
        let outbox = connected();
        while outbox.put(publication("r", true, false)).is_ok() {}
        let mut room = std::pin::pin!(outbox.has_room());
        assert!(!is_pending(room.as_mut()).await, "only responses wait");
        for number in 0..FEW {
            outbox.put(publication(&number.to_string(), true, true)).unwrap();
        }
        for number in 0..FEW {
            assert_eq!(outbox.next().await.unwrap().topic, number.to_string());
            let _ = outbox.put(publication("r", true, false));
        }
        assert_eq!(outbox.next().await.unwrap().topic, "r");
    }

    async fn is_pending(mut future: std::pin::Pin<&mut impl Future>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn without_a_connection_nothing_waits() {
        let outbox = Outbox::default();
        outbox.put(publication("a", true, true)).unwrap();
        outbox.connected(None);
        outbox.put(publication("b", true, true)).unwrap();
        assert_eq!(outbox.next().await.unwrap().topic, "b");
        outbox.put(publication("c", true, true)).unwrap();
        outbox.disconnected();
        outbox.close();
        assert!(outbox.next().await.is_none());
    }

    #[tokio::test]
    async fn long_responses_wait_up_to_a_number_of_bytes() {
        let outbox = connected();
        let long =
            |bytes: usize| Publication { payload: Payload::json(&"x".repeat(bytes)), ..publication("r", true, false) };
        assert_eq!(outbox.put(long(2 * MOST_RESPONSE_BYTES)), Ok(()), "one alone may be as long as it is");
        assert_eq!(outbox.put(long(1)), Err(Unsent::Older));
        outbox.next().await;
        let accepted = (0..MOST_RESPONSES).filter(|_| outbox.put(long(100_000)).is_ok()).count();
        assert_eq!(accepted, 10);
        let mut kept = 0;
        while outbox.lock().take().is_some() {
            kept += 1;
        }
        assert_eq!(kept, 10);
    }

    #[tokio::test]
    async fn a_response_that_the_broker_would_not_take_is_refused_at_once() {
        let outbox = Outbox::default();
        outbox.connected(Some(1_000));
        let of_size = |bytes: usize| Publication {
            payload: Payload::json(&"x".repeat(bytes - PACKET_OVERHEAD - "r".len() - 2)),
            ..publication("r", true, false)
        };
        assert_eq!(outbox.put(of_size(1_000)), Ok(()));
        let refusal = TopicRefusal::TooLarge { bytes: 1_001, most: 1_000 };
        assert_eq!(outbox.put(of_size(1_001)), Err(Unsent::TooLarge(refusal)));
    }

    #[tokio::test]
    async fn of_too_many_responses_the_newest_are_kept() {
        let outbox = connected();
        let put = |number: usize| outbox.put(publication(&number.to_string(), true, false));
        assert_eq!((0..1_000).filter(|number| put(*number).is_ok()).count(), MOST_RESPONSES);
        assert_eq!(outbox.put(publication("a", true, true)), Ok(()), "what is retained always has room");
        assert_eq!(outbox.next().await.unwrap().topic, "a");
        assert_eq!(outbox.next().await.unwrap().topic, (1_000 - MOST_RESPONSES).to_string());
    }
}
