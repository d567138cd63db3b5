//! The agent's link to the broker: made again whenever it breaks, and empty at each beginning.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish, PublishProperties};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::options::{BrokerError, CONTENT_TYPE, Connector};
use super::outbox::{Correlation, Outbox, Publication};
use crate::clock;
use crate::policy::{self, Chance};

/// How many messages are handed to the MQTT library ahead of the network.
const IN_HAND: usize = 8;

/// How long an orderly end may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What happens on the link.
#[derive(Debug)]
pub enum LinkEvent {
    /// There is a connection, and the broker has nothing from this agent yet.
    Connected,
    /// There is none; the next attempt is after this time.
    Lost(BrokerError, Duration),
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
pub struct Link {
    outbox: Arc<Outbox>,
    task: JoinHandle<()>,
}

/// A link that is being closed.
#[derive(Debug)]
pub struct Farewell(JoinHandle<()>);

/// Connects, subscribes to `filter`, and reports to `events` from now on.
#[must_use]
pub fn connect<E: From<LinkEvent> + Send + 'static>(
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
    pub fn publish(&self, publication: Publication) {
        if !self.outbox.put(publication) {
            tracing::warn!("dropped a response: requests come faster than the broker takes the answers");
        }
    }

    /// Waits until only few retained messages wait to be sent.
    pub async fn has_room(&self) {
        self.outbox.has_room().await;
    }

    /// Sends what was handed over, and then goes.
    #[must_use]
    pub fn close(self) -> Farewell {
        self.outbox.close();
        Farewell(self.task)
    }
}

impl Farewell {
    /// Waits until the broker has been told, but not for long.
    pub async fn wait(mut self) {
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
    while !outbox.is_closed() {
        // A client for each connection: one that outlives its connection would send later what it had in hand, by then
        // perhaps a token that has lapsed.
        let (client, mut eventloop) = AsyncClient::new(connector.options(), IN_HAND);
        let error = match connected(&mut eventloop).await {
            Ok(()) => {
                failures = 0;
                outbox.set_connected(true);
                if events.send(LinkEvent::Connected.into()).await.is_err() {
                    return;
                }
                let error = tokio::select! {
                    error = receive(&mut eventloop, &events) => error,
                    error = send(&client, &filter, &outbox) => error,
                };
                if outbox.is_closed() {
                    return;
                }
                outbox.set_connected(false);
                error
            }
            Err(error) => error,
        };
        failures += 1;
        let wait = policy::reconnect_wait(failures, Chance::new(fastrand::f64()));
        if events.send(LinkEvent::Lost(connector.explain(&error), wait).into()).await.is_err() {
            return;
        }
        sleep(wait).await;
    }
}

async fn connected(eventloop: &mut EventLoop) -> Result<(), ConnectionError> {
    loop {
        if let Event::Incoming(Packet::ConnAck(_)) = eventloop.poll().await? {
            return Ok(());
        }
    }
}

/// Passes on requests until the connection ends. While the agent is behind, nothing more is read from the network, so
/// that a flood waits at the broker and not here.
async fn receive<E: From<LinkEvent>>(eventloop: &mut EventLoop, events: &mpsc::Sender<E>) -> ConnectionError {
    loop {
        match eventloop.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) if !publish.retain => {
                if events.send(request(publish).into()).await.is_err() {
                    return ConnectionError::RequestsDone;
                }
            }
            Ok(_) => {}
            Err(error) => return error,
        }
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

/// Subscribes, and then sends what is put in the outbox. Once that is closed, says goodbye and waits for the end.
async fn send(client: &AsyncClient, filter: &str, outbox: &Outbox) -> ConnectionError {
    if client.subscribe(filter, QoS::AtLeastOnce).await.is_err() {
        return ConnectionError::RequestsDone;
    }
    while let Some(publication) = outbox.next().await {
        let Some(properties) = properties(&publication) else { continue };
        let Publication { topic, payload, retain, .. } = publication;
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
