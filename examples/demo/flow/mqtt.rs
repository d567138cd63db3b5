//! An MQTT 5 client that only listens.

use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The embedded broker needs a moment until it listens.
const TO_CONNECT: Duration = Duration::from_secs(5);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A connection to the broker.
pub(super) struct Client {
    events: EventLoop,
    // Without it there is nobody left who could ask for anything, and the connection ends.
    _requests: AsyncClient,
}

/// One message.
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) retained: bool,
    /// After how many seconds the broker forgets it.
    pub(super) expiry: Option<u32>,
    content_type: Option<String>,
}

impl Client {
    /// Connects as `client_id` and subscribes to `filter`; returns once the broker has granted that.
    pub(super) async fn connect(client_id: &str, broker: SocketAddr, filter: &str) -> Result<Self, Failure> {
        let mut options = MqttOptions::new(client_id, broker.ip().to_string(), broker.port());
        options.set_clean_start(true).set_max_packet_size(Some(256 * 1024));
        let (requests, mut events) = AsyncClient::new(options, 10);
        requests.try_subscribe(filter, QoS::AtLeastOnce).map_err(|error| Failure::new(error.to_string()))?;
        let granted = async {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::SubAck(_))) => return,
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
                }
            }
        };
        tokio::time::timeout(TO_CONNECT, granted)
            .await
            .map_err(|_| Failure::new(format!("the embedded broker does not answer on {broker}")))?;
        Ok(Self { events, _requests: requests })
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Message, Failure> {
        loop {
            match self.events.poll().await {
                Ok(Event::Incoming(Packet::Publish(publish))) => return Ok(Message::from(publish)),
                Ok(_) => {}
                Err(error) => return Err(Failure::new(format!("the subscriber lost the broker: {error}"))),
            }
        }
    }
}

impl From<Publish> for Message {
    fn from(publish: Publish) -> Self {
        let properties = publish.properties.unwrap_or_default();
        Self {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.to_vec(),
            retained: publish.retain,
            expiry: properties.message_expiry_interval,
            content_type: properties.content_type,
        }
    }
}

impl Message {
    /// The payload as a JSON object of the shape that the agent promises.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        if self.content_type.as_deref() != Some("application/json") {
            let found = self.content_type.as_deref().unwrap_or("none");
            return Err(Failure::new(format!("{}: the content type is {found}", self.topic)));
        }
        // What serde says could quote the payload, and so a token.
        serde_json::from_slice(&self.payload)
            .map_err(|error| Failure::new(format!("{}: no such JSON as promised, line {}", self.topic, error.line())))
    }
}
