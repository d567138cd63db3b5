//! One call of the command line: a request to the agent, and what comes back.

use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::Request;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, PublishProperties, Subscribe};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::connection::Connection;
use super::connector::{BrokerError, CONTENT_TYPE, Connector};
use crate::wire::Payload;

/// The time for an orderly end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection for the length of one command.
#[derive(Debug)]
pub(crate) struct Call {
    /// Packets to send; the connection ends in order when this is dropped.
    requests: mpsc::Sender<Request>,
    incoming: mpsc::Receiver<Result<Message, BrokerError>>,
    task: JoinHandle<()>,
    retains: bool,
    acknowledges: bool,
}

/// A message from the broker.
#[derive(Debug)]
pub(crate) struct Message {
    /// The topic.
    pub topic: String,
    /// The message itself.
    pub payload: Bytes,
    /// The correlation data, of an answer that of its request.
    pub correlation: Option<Bytes>,
}

/// The reason why a call failed.
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
    pub(crate) async fn connect(mut connector: Connector) -> Result<Self, CallError> {
        let connection = connector.open().await?;
        let limits = connection.limits();
        let (requests, to_send) = mpsc::channel(16);
        let (sender, incoming) = mpsc::channel(64);
        let task = tokio::spawn(forward(connector, connection, to_send, sender));
        Ok(Self { requests, incoming, task, retains: limits.retains, acknowledges: limits.acknowledges })
    }

    /// Returns whether the broker keeps retained messages. Without them it cannot be seen whether an agent is there.
    pub(crate) fn broker_retains(&self) -> bool {
        self.retains
    }

    /// Subscribes to a topic.
    ///
    /// # Errors
    /// When the connection is closed.
    pub(crate) async fn subscribe(&self, topic: &str) -> Result<(), CallError> {
        let subscribe = Subscribe::new(Filter::new(topic, QoS::AtLeastOnce), None);
        self.requests.send(Request::Subscribe(subscribe)).await.map_err(|_| CallError::Closed)
    }

    /// Sends a request whose answer is to go to `response_topic`, with this correlation data.
    ///
    /// # Errors
    /// When the connection is closed.
    pub(crate) async fn request(
        &self,
        topic: &str,
        payload: Payload,
        response_topic: &str,
        correlation: &[u8],
    ) -> Result<(), CallError> {
        let properties = PublishProperties {
            payload_format_indicator: Some(1),
            content_type: Some(CONTENT_TYPE.to_owned()),
            response_topic: Some(response_topic.to_owned()),
            correlation_data: Some(Bytes::copy_from_slice(correlation)),
            ..PublishProperties::default()
        };
        let qos = if self.acknowledges { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        let publish = Publish::new(topic, qos, Bytes::from_owner(payload), Some(properties));
        self.requests.send(Request::Publish(publish)).await.map_err(|_| CallError::Closed)
    }

    /// Returns the next message.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn next(&mut self) -> Result<Message, CallError> {
        Ok(self.incoming.recv().await.ok_or(CallError::Closed)??)
    }

    /// Ends the connection in order.
    pub(crate) async fn close(self) {
        let Self { requests, incoming, mut task, .. } = self;
        drop((requests, incoming));
        if timeout(CLOSE_TIMEOUT, &mut task).await.is_err() {
            task.abort();
        }
    }
}

async fn forward(
    connector: Connector,
    mut connection: Connection,
    mut to_send: mpsc::Receiver<Request>,
    sender: mpsc::Sender<Result<Message, BrokerError>>,
) {
    loop {
        let ended = tokio::select! {
            packet = connection.next() => match packet {
                Ok(Packet::Publish(publish)) => {
                    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                    let correlation = publish.properties.and_then(|properties| properties.correlation_data);
                    // Nobody waits for it any more while the connection is being closed.
                    let _ = sender.send(Ok(Message { topic, payload: publish.payload, correlation })).await;
                    None
                }
                Ok(_) => None,
                Err(end) => Some(end),
            },
            request = to_send.recv() => {
                let Some(request) = request else {
                    let _ = connection.send(Request::Disconnect);
                    connection.flush().await;
                    return;
                };
                connection.send(request).err()
            }
        };
        if let Some(end) = ended {
            let _ = sender.send(Err(connector.explain(end))).await;
            return;
        }
    }
}
