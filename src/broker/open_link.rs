//! One connection of the link, in use: what it sends, what it receives, and when it gives up waiting.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::Request;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, PubAck, Publish, PublishProperties, SubAck, Subscribe};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::connection::{Connection, End, Limits};
use super::connector::CONTENT_TYPE;
use super::deliveries::{Deliveries, FIRST_PAUSE, Subject};
use super::event::LinkEvent;
use super::outbox::{Outbox, Publication};
use super::reason::{Reason, publish_code, subscribe_code};
use super::refusal::TopicRefusal;
use crate::domain::policy;
use crate::platform::clock;

/// The pause between two looks at a broker that acknowledges nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The reason why a connection is no longer used.
pub(super) enum Stop {
    /// It ended.
    Ended(End),
    /// Nobody needs it: the agent is gone, or has said goodbye.
    Done,
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

/// One connection in use.
pub(super) struct OpenLink<'a, E> {
    connection: Connection,
    limits: Limits,
    filter: &'a str,
    deliveries: &'a mut Deliveries,
    outbox: &'a Outbox,
    events: &'a mpsc::Sender<E>,
    /// Messages on topics that are left out, until these are tried again.
    held: HashMap<String, Publication>,
    /// False while the subscription is left out: the broker hangs up at it, or has not acknowledged it.
    is_subscribed: bool,
    /// The moment to subscribe again after the broker has refused that. Its rules may have been corrected by then.
    subscribe_again: Option<Instant>,
}

impl<'a, E: From<LinkEvent>> OpenLink<'a, E> {
    /// Takes a connection over which nothing has been sent yet.
    pub(super) fn new(
        connection: Connection,
        filter: &'a str,
        deliveries: &'a mut Deliveries,
        outbox: &'a Outbox,
        events: &'a mpsc::Sender<E>,
    ) -> Self {
        let limits = connection.limits();
        Self {
            connection,
            limits,
            filter,
            deliveries,
            outbox,
            events,
            held: HashMap::new(),
            is_subscribed: false,
            subscribe_again: None,
        }
    }

    /// Uses the connection until it ends or nobody needs it.
    pub(super) async fn run(&mut self) -> Stop {
        match self.talk().await {
            Ok(()) => Stop::Done,
            Err(stop) => stop,
        }
    }

    /// Subscribes, passes on requests, and sends what is put in the outbox, until that is closed. While the agent is behind,
    /// nothing more is read from the network, so that a flood waits at the broker and not here.
    async fn talk(&mut self) -> Result<(), Stop> {
        let began = Instant::now();
        let mut look = None;
        let mut is_closing = false;
        self.subscribe(began)?;
        loop {
            if is_closing && self.deliveries.is_idle() {
                return self.say_goodbye().await;
            }
            let most = usize::from(self.limits.receive_maximum);
            if self.deliveries.are_blocked(most) {
                return Err(End::Blocked.into());
            }
            let may_send = !is_closing && self.deliveries.have_room(most) && self.connection.has_room();
            let filter = (!self.is_subscribed).then_some(self.filter);
            let left_out = self.held.keys().map(String::as_str).chain(filter);
            let trial = [self.deliveries.next_trial(left_out), self.subscribe_again];
            let trial = trial.into_iter().flatten().min().filter(|_| may_send);
            let due = [look.max(self.deliveries.next_look()).filter(|_| !self.deliveries.is_idle()), trial];
            let due = due.into_iter().flatten().min();
            tokio::select! {
                packet = self.connection.next() => self.received(packet?).await?,
                publication = self.outbox.next(), if may_send => match publication {
                    Some(publication) => self.publish(publication).await?,
                    None => is_closing = true,
                },
                () = sleep_until(due.unwrap_or(began)), if due.is_some() => {
                    let now = Instant::now();
                    look = Some(now + LOOK_AGAIN);
                    self.look_for_late_answers(now).await?;
                    self.try_again(now).await?;
                }
            }
            if began.elapsed() >= policy::LASTING_CONNECTION {
                self.deliveries.trust();
            }
        }
    }

    /// Subscribes, unless that is left out.
    fn subscribe(&mut self, now: Instant) -> Result<(), End> {
        if self.deliveries.leave_this_out(self.filter, now) {
            return Ok(());
        }
        self.is_subscribed = true;
        self.subscribe_again = None;
        let pkid = self.deliveries.subscribing(self.filter, now);
        let subscribe = Subscribe { pkid, ..Subscribe::new(Filter::new(self.filter, QoS::AtLeastOnce), None) };
        self.connection.write(&Packet::Subscribe(subscribe))
    }

    async fn received(&mut self, packet: Packet) -> Result<(), Stop> {
        let told = match packet {
            Packet::Publish(publish) if !publish.retain => Some(request(publish)),
            Packet::PubAck(PubAck { pkid, reason, properties }) => {
                let text = properties.and_then(|properties| properties.reason_string);
                let refusal = publish_code(reason).map(|code| answered(code, text));
                self.acknowledged(pkid, refusal)
            }
            Packet::SubAck(SubAck { pkid, return_codes, properties }) => {
                let text = properties.and_then(|properties| properties.reason_string);
                let code = return_codes.first().copied().and_then(subscribe_code);
                self.is_subscribed = true;
                self.subscribe_again = code.map(|_| Instant::now() + FIRST_PAUSE);
                self.acknowledged(pkid, code.map(|code| answered(code, text)))
            }
            _ => None,
        };
        self.tell(told).await
    }

    fn acknowledged(&mut self, id: u16, refusal: Option<TopicRefusal>) -> Option<LinkEvent> {
        let (sent, change) = self.deliveries.acknowledged(id, refusal);
        if let Some(sent) = sent {
            self.connection.was_read(sent);
        }
        change.map(LinkEvent::from)
    }

    /// Sends a message, unless its topic is left out or it is no longer good.
    async fn publish(&mut self, publication: Publication) -> Result<(), Stop> {
        let now = Instant::now();
        let subject = Subject { name: publication.topic.clone(), lasts: publication.retain };
        if self.deliveries.leave_this_out(&subject.name, now) {
            // One that is not retained would be too late.
            if publication.retain {
                self.held.insert(subject.name, publication);
            }
            return Ok(());
        }
        // An older one that was held back must not follow.
        self.held.remove(&subject.name);
        let Some(properties) = properties(&publication) else { return Ok(()) };
        if let Some(refusal) = publication.refused_by(self.limits.largest) {
            // The broker would break the connection, and nothing else would reach it either.
            let change = self.deliveries.settle(subject, Some(refusal));
            return self.tell(change.map(LinkEvent::from)).await;
        }
        let Publication { topic, payload, retain, .. } = publication;
        let (qos, pkid) = if self.limits.acknowledges {
            (QoS::AtLeastOnce, self.deliveries.sent(subject, now))
        } else {
            (QoS::AtMostOnce, 0)
        };
        let publish = Publish {
            dup: false,
            qos,
            retain: retain && self.limits.retains,
            topic: Bytes::from(topic),
            pkid,
            payload: Bytes::from_owner(payload),
            properties: Some(properties),
        };
        Ok(self.connection.send(Request::Publish(publish))?)
    }

    /// Gives up messages that the broker has read and does not acknowledge.
    async fn look_for_late_answers(&mut self, now: Instant) -> Result<(), Stop> {
        match self.deliveries.give_up(now, self.connection.read_up_to()) {
            Some(changes) => {
                self.is_subscribed &= !self.deliveries.leave_this_out(self.filter, now);
                for change in changes {
                    self.tell(Some(change.into())).await?;
                }
                Ok(())
            }
            None => Ok(self.connection.ask()?),
        }
    }

    /// Tries the subscription or a topic that was left out long enough, and one at a time.
    async fn try_again(&mut self, now: Instant) -> Result<(), Stop> {
        if !self.is_subscribed || self.subscribe_again.is_some_and(|moment| moment <= now) {
            self.is_subscribed = false;
            self.subscribe_again = None;
            self.subscribe(now)?;
            if self.is_subscribed {
                return Ok(());
            }
        }
        let may_be_tried = |name: &&String| !self.deliveries.leave_this_out(name, now);
        let name = self.held.keys().find(may_be_tried).cloned();
        match name.and_then(|name| self.held.remove(&name)) {
            Some(publication) => self.publish(publication).await,
            None => Ok(()),
        }
    }

    /// Disconnects, and waits until the broker has closed the connection: closed from here, it could lose what was sent last.
    async fn say_goodbye(&mut self) -> Result<(), Stop> {
        self.connection.send(Request::Disconnect)?;
        self.connection.flush().await;
        while self.connection.next().await.is_ok() {}
        Ok(())
    }

    /// Tells the agent, which is gone if that fails.
    async fn tell(&self, event: Option<LinkEvent>) -> Result<(), Stop> {
        match event {
            Some(event) => self.events.send(event.into()).await.map_err(|_| Stop::Done),
            None => Ok(()),
        }
    }
}

fn answered(code: u8, text: Option<String>) -> TopicRefusal {
    TopicRefusal::Answered { reason: Reason::new(code, text) }
}

fn request(publish: Publish) -> LinkEvent {
    let properties = publish.properties.unwrap_or_default();
    LinkEvent::Request {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        response_topic: properties.response_topic,
        correlation: properties.correlation_data.map(|data| data.to_vec()),
    }
}

/// The properties of a message, or `None` if it is no longer good.
fn properties(publication: &Publication) -> Option<PublishProperties> {
    let message_expiry_interval = match publication.good_until {
        None => None,
        Some(until) => match until.after(clock::now().boot).as_secs() {
            0 => return None,
            seconds => Some(u32::try_from(seconds).unwrap_or(u32::MAX)),
        },
    };
    Some(PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval,
        content_type: Some(CONTENT_TYPE.to_owned()),
        correlation_data: publication.correlation.clone().map(Bytes::from),
        ..PublishProperties::default()
    })
}

#[cfg(test)]
mod tests {
    use rumqttc::v5::mqttbytes::v5::Connect;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;

    const FILTER: &str = "oauth2mqtt/bridge/request/#";

    /// Lets a client in, answers its pings, and returns once it subscribes: the identifier, and when.
    async fn subscribed(broker: &mut DuplexStream) -> (u8, Instant) {
        loop {
            let mut header = [0; 2];
            broker.read_exact(&mut header).await.unwrap();
            let mut content = vec![0; header[1].into()];
            broker.read_exact(&mut content).await.unwrap();
            match header[0] & 0xf0 {
                0x10 => broker.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap(),
                0xc0 => broker.write_all(&[0xd0, 0]).await.unwrap(),
                0x80 => return (content[1], Instant::now()),
                other => panic!("{other:#x}"),
            }
        }
    }

    /// Uses a connection, for an hour at most, until the broker at its other end has done its part.
    async fn used(mut deliveries: Deliveries, broker: impl AsyncFnOnce(DuplexStream)) {
        let (client, other_end) = duplex(4_096);
        let outbox = Outbox::default();
        let (events, _events) = mpsc::channel::<LinkEvent>(8);
        let used = async {
            let connect = Connect { keep_alive: 60, client_id: "a".to_owned(), clean_start: true, properties: None };
            let connect = Packet::Connect(connect, None, None);
            let connection =
                Connection::open(Box::new(client), connect, 4_096).await.map_err(|_| "it is not let in")?;
            OpenLink::new(connection, FILTER, &mut deliveries, &outbox, &events).run().await;
            Err::<(), _>("the connection has ended")
        };
        tokio::select! {
            ended = used => ended.unwrap(),
            done = timeout(Duration::from_secs(3_600), broker(other_end)) => done.unwrap(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscription_at_which_the_broker_hung_up_is_tried_again_on_the_connection_that_lasts() {
        let began = Instant::now();
        let mut deliveries = Deliveries::default();
        deliveries.subscribing(FILTER, began);
        assert!(deliveries.ended(&End::Disconnected(Reason::new(0x87, None)), began).is_some());
        deliveries.begin();
        used(deliveries, async |mut broker| {
            let (_, tried) = subscribed(&mut broker).await;
            assert!(tried - began >= FIRST_PAUSE, "it is left out for a while");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscription_that_the_broker_refuses_is_tried_again_until_it_is_accepted() {
        used(Deliveries::default(), async |mut broker| {
            let (mut id, mut before) = subscribed(&mut broker).await;
            for _ in 0..3 {
                broker.write_all(&[0x90, 4, 0, id, 0, 0x87]).await.unwrap();
                let (next, tried) = subscribed(&mut broker).await;
                assert!(tried - before >= FIRST_PAUSE, "{:?}", tried - before);
                (id, before) = (next, tried);
            }
            broker.write_all(&[0x90, 4, 0, id, 0, 1]).await.unwrap();
            assert!(timeout(Duration::from_secs(1_200), subscribed(&mut broker)).await.is_err(), "it is accepted");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscription_without_an_acknowledgement_is_tried_again_with_another_identifier() {
        used(Deliveries::default(), async |mut broker| {
            let (first, began) = subscribed(&mut broker).await;
            let (second, tried) = subscribed(&mut broker).await;
            assert_ne!(first, second, "it may still be acknowledged");
            assert!(tried - began >= FIRST_PAUSE, "{:?}", tried - began);
            broker.write_all(&[0x90, 4, 0, second, 0, 1]).await.unwrap();
            assert!(timeout(Duration::from_secs(1_200), subscribed(&mut broker)).await.is_err(), "it is accepted");
        })
        .await;
    }
}
