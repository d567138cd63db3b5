//! One call of the command line: a request to the agent, and what comes back.

use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::options::{BrokerError, CONTENT_TYPE, Connector};
use crate::wire::Payload;

/// A connection for the length of one command.
#[derive(Debug)]
pub(crate) struct Call {
    client: AsyncClient,
    incoming: mpsc::Receiver<Result<Message, BrokerError>>,
    task: JoinHandle<()>,
}

/// A message from the broker.
#[derive(Debug)]
pub(crate) struct Message {
    /// Where it was published.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The connection could not be made, or broke.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The connection was closed.
    #[error("the connection to the broker was closed.")]
    Closed,
}

impl Call {
    /// Connects.
    ///
    /// # Errors
    /// When the broker cannot be reached or does not want this client.
    pub(crate) async fn connect(connector: Connector) -> Result<Self, CallError> {
        let (client, mut eventloop) = AsyncClient::new(connector.options(), 16);
        loop {
            match eventloop.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => break,
                Ok(_) => {}
                Err(error) => return Err(connector.explain(&error).into()),
            }
        }
        let (sender, incoming) = mpsc::channel(64);
        // A task of its own, because the library must not be interrupted in the middle of a packet.
        let task = tokio::spawn(forward(connector, eventloop, sender));
        Ok(Self { client, incoming, task })
    }

    /// Subscribes to a topic.
    ///
    /// # Errors
    /// When the connection is closed.
    pub(crate) async fn subscribe(&self, topic: &str) -> Result<(), CallError> {
        self.client.subscribe(topic, QoS::AtLeastOnce).await.map_err(|_| CallError::Closed)
    }

    /// Sends a request whose answer is to go to `response_topic`.
    ///
    /// # Errors
    /// When the connection is closed.
    pub(crate) async fn request(&self, topic: &str, payload: Payload, response_topic: &str) -> Result<(), CallError> {
        let properties = PublishProperties {
            payload_format_indicator: Some(1),
            content_type: Some(CONTENT_TYPE.to_owned()),
            response_topic: Some(response_topic.to_owned()),
            ..PublishProperties::default()
        };
        self.client
            .publish_with_properties(topic, QoS::AtLeastOnce, false, Bytes::from_owner(payload), properties)
            .await
            .map_err(|_| CallError::Closed)
    }

    /// The next message.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn next(&mut self) -> Result<Message, CallError> {
        Ok(self.incoming.recv().await.ok_or(CallError::Closed)??)
    }

    /// Ends the connection in order.
    pub(crate) async fn close(mut self) {
        if self.client.disconnect().await.is_ok() {
            let _ = tokio::time::timeout(Duration::from_secs(1), &mut self.task).await;
        }
    }
}

async fn forward(connector: Connector, mut eventloop: EventLoop, sender: mpsc::Sender<Result<Message, BrokerError>>) {
    loop {
        let message = match eventloop.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                Ok(Message { topic: String::from_utf8_lossy(&publish.topic).into_owned(), payload: publish.payload })
            }
            Ok(_) => continue,
            Err(error) => Err(connector.explain(&error)),
        };
        let ended = message.is_err();
        if sender.send(message).await.is_err() || ended {
            return;
        }
    }
}
