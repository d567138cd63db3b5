//! The agent's link to the broker: made again whenever it breaks, and empty at each beginning.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish, PublishProperties};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::deliveries::{Change, Deliveries, Refusal, Subject};
use super::options::{BrokerError, CONTENT_TYPE, Connector};
use super::outbox::{Correlation, Outbox, Publication, Unsent};
use crate::domain::policy::{self, Jitter};
use crate::platform::clock;

/// How many messages are handed to the MQTT library ahead of the network.
const IN_HAND: usize = 8;

/// How long an orderly end may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What happens on the link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// There is a connection, and the broker has nothing from this agent yet.
    Connected,
    /// There is none; the next attempt is after this time.
    Lost(BrokerError, Duration),
    /// The broker does not take what is published on this topic, or the subscription to this filter.
    Refused(String, Refusal),
    /// It takes again what it had refused.
    Taken(String),
    /// Somebody sent a request.
    Request {
        /// The topic it came on.
        topic: String,
        /// What was sent.
        payload: Bytes,
        /// Where the answer should go.
        response_topic: Option<String>,
        /// What the answer should carry.
        correlation: Option<Correlation>,
    },
}

/// A handle to the link.
#[derive(Debug)]
pub(crate) struct Link {
    outbox: Arc<Outbox>,
    task: JoinHandle<()>,
}

/// A link that is being closed.
#[derive(Debug)]
pub(crate) struct Farewell(JoinHandle<()>);

/// Connects, subscribes to `filter`, and reports to `events` from now on.
#[must_use]
pub(crate) fn connect<E: From<LinkEvent> + Send + 'static>(
    connector: Connector,
    filter: String,
    events: mpsc::Sender<E>,
) -> Link {
    let outbox = Arc::new(Outbox::default());
    let task = tokio::spawn(stay_connected(connector, filter, Arc::clone(&outbox), events));
    Link { outbox, task }
}

impl Link {
    /// Hands over a message. While there is no connection it is dropped: at the next one everything is published
    /// afresh.
    pub(crate) fn publish(&self, publication: Publication) {
        // Only responses can be refused here.
        let _ = self.outbox.put(publication);
    }

    /// The same for a response, of which there can be too many, or one too large for the broker.
    ///
    /// # Errors
    /// When it is not sent, or older ones are not, in its favour.
    pub(crate) fn respond(&self, publication: Publication) -> Result<(), Unsent> {
        self.outbox.put(publication)
    }

    /// Waits until only few retained messages wait to be sent.
    pub(crate) async fn has_room(&self) {
        self.outbox.has_room().await;
    }

    /// Sends what was handed over, and then goes.
    #[must_use]
    pub(crate) fn close(self) -> Farewell {
        self.outbox.close();
        Farewell(self.task)
    }
}

impl Farewell {
    /// Waits until the broker has been told, but not for long.
    pub(crate) async fn wait(mut self) {
        if timeout(FAREWELL, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

async fn stay_connected<E: From<LinkEvent>>(
    connector: Connector,
    filter: String,
    outbox: Arc<Outbox>,
    events: mpsc::Sender<E>,
) {
    let mut failures = 0;
    let mut short_connections = 0;
    let deliveries = Mutex::default();
    while !outbox.is_closed() {
        // A client for each connection: one that outlives its connection would send later what it had in hand, by then
        // perhaps a token that has lapsed.
        let (client, mut eventloop) = AsyncClient::new(connector.options(), IN_HAND);
        let error = match connected(&mut eventloop).await {
            Ok(largest) => {
                let since = clock::now().boot;
                let connection = Connection { filter: &filter, largest, deliveries: &deliveries, events: &events };
                connection.deliveries().begin();
                outbox.connected(largest);
                if events.send(LinkEvent::Connected.into()).await.is_err() {
                    return;
                }
                let error = tokio::select! {
                    error = connection.receive(&mut eventloop) => error,
                    error = connection.send(&client, &outbox) => error,
                };
                if outbox.is_closed() {
                    return;
                }
                outbox.disconnected();
                let lasted = clock::now().boot.after(since) >= policy::LASTING_CONNECTION;
                short_connections = if lasted { 0 } else { short_connections + 1 };
                failures = short_connections.max(1);
                error
            }
            Err(error) => {
                failures += 1;
                error
            }
        };
        let wait = policy::reconnect_wait(failures, Jitter::new(fastrand::f64()));
        if events.send(LinkEvent::Lost(connector.explain(&error), wait).into()).await.is_err() {
            return;
        }
        sleep(wait).await;
    }
}

/// Connects, and says how large a packet the broker takes.
async fn connected(eventloop: &mut EventLoop) -> Result<Option<usize>, ConnectionError> {
    loop {
        if let Event::Incoming(Packet::ConnAck(ack)) = eventloop.poll().await? {
            let largest = ack.properties.and_then(|properties| properties.max_packet_size);
            return Ok(largest.and_then(|bytes| usize::try_from(bytes).ok()));
        }
    }
}

/// What both directions of one connection need.
struct Connection<'a, E> {
    filter: &'a str,
    largest: Option<usize>,
    deliveries: &'a Mutex<Deliveries>,
    events: &'a mpsc::Sender<E>,
}

impl<E: From<LinkEvent>> Connection<'_, E> {
    /// Passes on requests until the connection ends. While the agent is behind, nothing more is read from the network, so
    /// that a flood waits at the broker and not here.
    async fn receive(&self, eventloop: &mut EventLoop) -> ConnectionError {
        loop {
            let event = match eventloop.poll().await {
                Ok(event) => event,
                Err(error) => return error,
            };
            let told = match event {
                Event::Incoming(Packet::Publish(publish)) if !publish.retain => Some(request(publish)),
                Event::Incoming(Packet::PubAck(ack)) => self.deliveries().published(ack.pkid, ack.reason).map(told),
                Event::Incoming(Packet::SubAck(ack)) => {
                    ack.return_codes.first().and_then(|&code| self.deliveries().subscribed(self.filter, code)).map(told)
                }
                Event::Outgoing(Outgoing::Publish(packet)) => {
                    self.deliveries().sent(packet);
                    None
                }
                _ => None,
            };
            if !self.tell(told).await {
                return ConnectionError::RequestsDone;
            }
        }
    }

    /// Subscribes, and then sends what is put in the outbox. Once that is closed, says goodbye and waits for the end.
    async fn send(&self, client: &AsyncClient, outbox: &Outbox) -> ConnectionError {
        if client.subscribe(self.filter, QoS::AtLeastOnce).await.is_err() {
            return ConnectionError::RequestsDone;
        }
        while let Some(publication) = outbox.next().await {
            let Some(properties) = properties(&publication) else { continue };
            let refusal = publication.refused_by(self.largest);
            let Publication { topic, payload, retain, .. } = publication;
            let subject = Subject { name: topic.clone(), lasts: retain };
            if refusal.is_some() {
                // The broker would break the connection, and nothing else would reach it either.
                let change = self.deliveries().settle(subject, refusal);
                if !self.tell(change.map(told)).await {
                    return ConnectionError::RequestsDone;
                }
                continue;
            }
            self.deliveries().handed_over(subject);
            let payload = Bytes::from_owner(payload);
            let sent = client.publish_with_properties(topic, QoS::AtLeastOnce, retain, payload, properties).await;
            if sent.is_err() {
                return ConnectionError::RequestsDone;
            }
        }
        if client.disconnect().await.is_err() {
            return ConnectionError::RequestsDone;
        }
        std::future::pending().await
    }

    /// Tells the agent, which is gone if that fails.
    async fn tell(&self, event: Option<LinkEvent>) -> bool {
        match event {
            Some(event) => self.events.send(event.into()).await.is_ok(),
            None => true,
        }
    }

    fn deliveries(&self) -> MutexGuard<'_, Deliveries> {
        // Nothing that is done under the lock can leave it half done.
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(change: Change) -> LinkEvent {
    match change {
        Change::Refused(name, refusal) => LinkEvent::Refused(name, refusal),
        Change::Taken(name) => LinkEvent::Taken(name),
    }
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
