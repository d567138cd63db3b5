//! The agent's link to the broker: made again whenever it breaks, and empty at each beginning.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::Request;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    Filter, Packet, PubAck, PubAckReason, Publish, PublishProperties, SubAck, Subscribe, SubscribeReasonCode,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::{Connection, End, Limits};
use super::connector::{BrokerError, CONTENT_TYPE, Connector};
use super::deliveries::{Deliveries, SUBSCRIPTION, Subject, TopicChange, TopicRefusal};
use super::outbox::{Correlation, Outbox, Publication, Unsent};
use super::reason::Reason;
use crate::domain::policy::{self, Jitter};
use crate::domain::text::printable;
use crate::platform::clock;

/// The time for an orderly end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause between two looks at a broker that acknowledges nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// An event on the link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// There is a connection, and the broker has nothing from this agent yet.
    Connected,
    /// There is none; the next attempt is after this time.
    Lost(BrokerError, Duration),
    /// The broker does not accept messages on this topic, or the subscription to this filter.
    Refused(String, TopicRefusal),
    /// It accepts again what it had refused.
    Accepted(String),
    /// Somebody sent a request.
    Request {
        /// The topic of the request.
        topic: String,
        /// The request itself.
        payload: Bytes,
        /// Where the answer should go.
        response_topic: Option<String>,
        /// The data that the answer should carry.
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
pub(crate) struct ClosingLink(JoinHandle<()>);

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
        let Publication { topic, payload, retain, .. } = &publication;
        tracing::debug!(topic, bytes = payload.as_bytes().len(), retain, "publish");
        // Only responses can be refused here.
        let _ = self.outbox.put(publication);
    }

    /// The same for a response, of which there can be too many, or one too large for the broker.
    ///
    /// # Errors
    /// When it is not sent, or older ones are not, in its favour.
    pub(crate) fn respond(&self, publication: Publication) -> Result<(), Unsent> {
        tracing::debug!(topic = printable(&publication.topic), bytes = publication.payload.as_bytes().len(), "respond");
        self.outbox.put(publication)
    }

    /// Waits until only few retained messages wait to be sent.
    pub(crate) async fn has_room(&self) {
        self.outbox.has_room().await;
    }

    /// Sends what was handed over, and then disconnects.
    #[must_use]
    pub(crate) fn close(self) -> ClosingLink {
        self.outbox.close();
        ClosingLink(self.task)
    }
}

impl ClosingLink {
    /// Waits until the broker has been told, but not for long.
    pub(crate) async fn wait(mut self) {
        if timeout(CLOSE_TIMEOUT, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

async fn stay_connected<E: From<LinkEvent>>(
    mut connector: Connector,
    filter: String,
    outbox: Arc<Outbox>,
    events: mpsc::Sender<E>,
) {
    let mut failures = 0;
    let mut short_connections = 0;
    let mut deliveries = Deliveries::default();
    let mut complete = true;
    while !outbox.is_closed() {
        let error = match connector.open().await {
            Ok(connection) => {
                let since = clock::now().boot;
                let limits = connection.limits();
                tell_missing_features(limits, &mut complete);
                deliveries.begin();
                outbox.connected(limits.largest);
                if events.send(LinkEvent::Connected.into()).await.is_err() {
                    return;
                }
                let mut link = OpenLink {
                    connection,
                    limits,
                    filter: &filter,
                    deliveries: &mut deliveries,
                    outbox: &outbox,
                    events: &events,
                    held: HashMap::new(),
                };
                let Stop::Ended(end) = link.run().await else { return };
                let change = deliveries.ended(&end, Instant::now());
                if outbox.is_closed() {
                    return;
                }
                if let Some(change) = change
                    && events.send(event(change).into()).await.is_err()
                {
                    return;
                }
                outbox.disconnected();
                let lasted = clock::now().boot.after(since) >= policy::LASTING_CONNECTION;
                short_connections = if lasted { 0 } else { short_connections + 1 };
                failures = short_connections.max(1);
                connector.explain(end)
            }
            Err(error) => {
                failures += 1;
                error
            }
        };
        let wait = policy::reconnect_wait(failures, Jitter::new(fastrand::f64()));
        if events.send(LinkEvent::Lost(error, wait).into()).await.is_err() {
            return;
        }
        sleep(wait).await;
    }
}

/// Says once which features a broker lacks, and what works without them.
fn tell_missing_features(limits: Limits, was_complete: &mut bool) {
    if std::mem::replace(was_complete, limits.retains && limits.acknowledges) {
        if !limits.retains {
            tracing::warn!(
                "this broker keeps no retained messages: who subscribes later gets no token until the next refresh. Allow them, \
                 such as with mosquitto's retain_available, or ask for tokens with the request `token`"
            );
        }
        if !limits.acknowledges {
            tracing::warn!(
                "this broker does not acknowledge messages (Maximum QoS 0): one that it loses is not sent again until the next \
                 refresh. Allow QoS 1, such as with mosquitto's max_qos"
            );
        }
    }
}

/// The reason why a connection is no longer used.
enum Stop {
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
struct OpenLink<'a, E> {
    connection: Connection,
    limits: Limits,
    filter: &'a str,
    deliveries: &'a mut Deliveries,
    outbox: &'a Outbox,
    events: &'a mpsc::Sender<E>,
    /// Messages on topics that are left out, until these are tried again.
    held: HashMap<String, Publication>,
}

impl<E: From<LinkEvent>> OpenLink<'_, E> {
    async fn run(&mut self) -> Stop {
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
        if !self.deliveries.leave_this_out(self.filter, began) {
            self.deliveries.subscribing(self.filter, began);
            let filter = Filter::new(self.filter, QoS::AtLeastOnce);
            self.connection.send(Request::Subscribe(Subscribe::new(filter, None)))?;
        }
        loop {
            if is_closing && self.deliveries.is_idle() {
                return self.say_goodbye().await;
            }
            let most = usize::from(self.limits.receive_maximum);
            if self.deliveries.are_blocked(most) {
                return Err(End::Blocked.into());
            }
            let may_send = !is_closing && self.deliveries.have_room(most) && self.connection.has_room();
            let trial = self.deliveries.next_trial(self.held.keys()).filter(|_| may_send);
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

    async fn received(&mut self, packet: Packet) -> Result<(), Stop> {
        let told = match packet {
            Packet::Publish(publish) if !publish.retain => Some(request(publish)),
            Packet::PubAck(PubAck { pkid, reason, properties }) => {
                let text = properties.and_then(|properties| properties.reason_string);
                let refusal = publish_code(reason).map(|code| answered(code, text));
                self.acknowledged(pkid, refusal)
            }
            Packet::SubAck(SubAck { return_codes, properties, .. }) => {
                let text = properties.and_then(|properties| properties.reason_string);
                let code = return_codes.first().copied().and_then(subscribe_code);
                self.acknowledged(SUBSCRIPTION, code.map(|code| answered(code, text)))
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
        change.map(event)
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
            return self.tell(change.map(event)).await;
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
                for change in changes {
                    self.tell(Some(event(change))).await?;
                }
                Ok(())
            }
            None => Ok(self.connection.ask()?),
        }
    }

    /// Tries topics that were left out long enough.
    async fn try_again(&mut self, now: Instant) -> Result<(), Stop> {
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

fn event(change: TopicChange) -> LinkEvent {
    match change {
        TopicChange::Refused(name, refusal) => LinkEvent::Refused(name, refusal),
        TopicChange::Accepted(name) => LinkEvent::Accepted(name),
    }
}

fn answered(code: u8, text: Option<String>) -> TopicRefusal {
    TopicRefusal::Answered { reason: Reason::new(code, text) }
}

/// The code of a PUBACK (MQTT 5, 3.4.2.1), if it is that of a failure.
fn publish_code(reason: PubAckReason) -> Option<u8> {
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
fn subscribe_code(reason: SubscribeReasonCode) -> Option<u8> {
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
