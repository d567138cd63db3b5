//! Connections to one broker, and why there is none.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Connect, ConnectProperties, LastWill, LastWillProperties, Login, Packet};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connection::{Connection, End, KEEP_ALIVE};
use super::dial::{DialError, Dialer};
use super::reason::Reason;
use crate::domain::settings::{BrokerAddress, BrokerLogin, MqttSettings};
use crate::domain::text::printable;
use crate::platform::tls::{Tls, TlsError};
use crate::wire::Payload;

/// The time for a connection, TLS and the answer to CONNECT included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The time for finding out whether a broker that does not answer speaks MQTT 3.1.1.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The CONNECT of MQTT 3.1.1 (3.1) of a client without a name, a session or a password.
const OLD_CONNECT: [u8; 14] = *b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x1e\x00\x00";

/// The content type of every message.
pub(super) const CONTENT_TYPE: &str = "application/json";

/// The message that the broker publishes when the agent is gone without a DISCONNECT.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    /// The topic.
    pub topic: String,
    /// The message.
    pub payload: Payload,
}

/// Makes connections to one broker.
pub(crate) struct Connector {
    dialer: Dialer,
    client_id: String,
    login: Option<BrokerLogin>,
    will: Option<Will>,
    /// True if the broker keeps retained messages, and acknowledges. One that does not refuses a will that asks for it.
    will_is_retained: bool,
    will_is_acknowledged: bool,
    largest: u32,
    shown: String,
}

/// The reason why there is no connection to the broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    /// The TLS settings cannot be used.
    #[error(transparent)]
    Settings(#[from] TlsError),
    /// The broker refuses this client (CONNACK).
    #[error("the broker at {0} refuses this client: {1}. {2}")]
    Refused(String, Reason, &'static str),
    /// The broker has ended the connection and said why (DISCONNECT).
    #[error("the broker at {0} ended the connection: {1}. {2}")]
    Ended(String, Reason, &'static str),
    /// Another client with the same identifier has connected (MQTT 5, 3.1.4-3, reason code 0x8E).
    #[error("the broker at {0} has given this agent's place to another client that also calls itself {1}: {2}. {3}")]
    TakenOver(String, String, Reason, &'static str),
    /// The broker has closed the connection without a reason.
    #[error(
        "the broker at {0} closed the connection without a reason. See its log; if it does so again and again, another client \
         may call itself {1} as well ([mqtt] client_id)."
    )]
    Closed(String, String),
    /// The broker speaks MQTT 3.1.1 at most.
    #[error(
        "the broker at {0} does not speak MQTT 5. Use one that does, such as mosquitto 1.6 or later. aedes, also inside \
         Node-RED, speaks MQTT 3.1.1 only."
    )]
    OldVersion(String),
    /// The broker closes the connection in place of an answer to CONNECT, to version 3.1.1 as well.
    #[error(
        "the broker at {0} closes each new connection without an answer. See its log for the reason; if it wants TLS, write \
         mqtts:// in [mqtt] url."
    )]
    ClosedAtConnect(String),
    /// There is a connection, and no answer to CONNECT.
    #[error("the broker at {0} accepts a connection and says nothing for {n} s. See its log, and check the port in [mqtt] url.", n = CONNECT_TIMEOUT.as_secs())]
    NoAnswer(String),
    /// Something else than a broker answers.
    #[error("what answers at {0} is no MQTT broker. Check the port in [mqtt] url.")]
    NotMqtt(String),
    /// Messages that the broker never acknowledges take up all the places that it has.
    #[error("the broker at {0} leaves messages without an acknowledgement. The agent connects again, without those.")]
    Blocked(String),
    /// It is not certain that the broker is the one that answers. Nothing was sent.
    #[error(
        "no password was sent to {0}: {1}. [mqtt] broker_user names the only user whose program may be the broker; see who \
         listens with `sudo ss -ltnp`."
    )]
    NotTrusted(String, String),
    /// The name of the broker is not known.
    #[error("no connection to the broker at {0}: {1}. See [mqtt] url.")]
    UnknownName(String, String),
    /// The encrypted connection is not made.
    #[error("no encrypted connection to the broker at {0}: {1}.")]
    TlsFailed(String, String),
    /// Nothing answers.
    #[error("no connection to the broker at {0}: {1}. Check that it runs, and [mqtt] url.")]
    Unreachable(String, String),
    /// The connection broke.
    #[error("the connection to the broker at {0} broke: {1}. The agent connects again.")]
    Broken(String, String),
}

impl Connector {
    /// Makes a connector for `settings`. `largest` is the largest packet that the broker may send, in bytes: it keeps larger
    /// ones back, so that nobody can break the link by sending one.
    ///
    /// # Errors
    /// When the TLS settings cannot be used.
    pub(crate) fn new(settings: &MqttSettings, client_id: &str, largest: u32, tls: &Tls) -> Result<Self, BrokerError> {
        let (config, shown) = match &settings.address {
            BrokerAddress::Tcp { host, port } => (None, format!("{host}:{port}")),
            BrokerAddress::Tls { host, port, tls: wanted } => {
                (Some(Arc::new(tls.client_config(wanted)?)), format!("{host}:{port}"))
            }
            BrokerAddress::Unix(path) => (None, path.display().to_string()),
        };
        Ok(Self {
            dialer: Dialer {
                address: settings.address.clone(),
                tls: config,
                broker_user: settings.broker_user.clone(),
            },
            client_id: client_id.to_owned(),
            login: settings.login.clone(),
            will: None,
            will_is_retained: true,
            will_is_acknowledged: true,
            largest,
            shown,
        })
    }

    /// Adds a will.
    #[must_use]
    pub(crate) fn with_will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// Connects, and waits until the broker has let this client in.
    ///
    /// # Errors
    /// When it does not, and why.
    pub(super) async fn open(&mut self) -> Result<Connection, BrokerError> {
        loop {
            match self.attempt().await {
                Ok(connection) => {
                    let limits = connection.limits();
                    self.will_is_retained |= limits.retains;
                    self.will_is_acknowledged |= limits.acknowledges;
                    return Ok(connection);
                }
                // A will is then refused with the feature that the broker lacks (MQTT 5, 3.2.2.2).
                Err(AttemptError::Ended(End::Refused(reason))) if reason.code() == 0x9a && self.will_is_retained => {
                    self.will_is_retained = false;
                }
                Err(AttemptError::Ended(End::Refused(reason)))
                    if reason.code() == 0x9b && self.will_is_acknowledged =>
                {
                    self.will_is_acknowledged = false;
                }
                Err(AttemptError::Ended(End::ClosedAtConnect | End::NoAnswer)) if self.speaks_old_version().await => {
                    return Err(self.explain(End::OldVersion));
                }
                Err(AttemptError::Ended(end)) => return Err(self.explain(end)),
                Err(AttemptError::DialError(reason)) => return Err(self.explain_dial(reason)),
            }
        }
    }

    async fn attempt(&self) -> Result<Connection, AttemptError> {
        let mut is_connected = false;
        let attempt = async {
            let stream = self.dialer.dial().await.map_err(AttemptError::DialError)?;
            is_connected = true;
            Connection::open(stream, self.connect(), self.largest).await.map_err(AttemptError::Ended)
        };
        match timeout(CONNECT_TIMEOUT, attempt).await {
            Ok(attempt) => attempt,
            Err(_) if is_connected => Err(AttemptError::Ended(End::NoAnswer)),
            Err(_) => {
                let reason = format!("it did not answer within {} s", CONNECT_TIMEOUT.as_secs());
                Err(AttemptError::DialError(DialError::Network(reason)))
            }
        }
    }

    /// Asks in the words of MQTT 3.1.1, which any broker of that version answers. Nothing secret is said.
    async fn speaks_old_version(&self) -> bool {
        let asked = async {
            let mut stream = self.dialer.dial().await.ok()?;
            stream.write_all(&OLD_CONNECT).await.ok()?;
            stream.flush().await.ok()?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await.ok()?;
            // Refused or not: a CONNACK of that version (3.2).
            matches!(answer, [0x20, 0x02, 0 | 1, 0..=5]).then_some(())
        };
        timeout(PROBE_TIMEOUT, asked).await.ok().flatten().is_some()
    }

    /// The packet that a connection begins with. It holds the password, and its `Debug` prints it.
    fn connect(&self) -> Packet {
        let properties = ConnectProperties { max_packet_size: Some(self.largest), ..ConnectProperties::new() };
        let connect = Connect {
            keep_alive: u16::try_from(KEEP_ALIVE.as_secs()).unwrap_or(u16::MAX),
            client_id: self.client_id.clone(),
            clean_start: true,
            properties: Some(properties),
        };
        let login = self.login.as_ref().map(|login| {
            let password = login.password.as_ref().map_or("", |password| password.expose());
            Login::new(&login.username, password)
        });
        Packet::Connect(connect, self.will.as_ref().map(|will| self.last_will(will)), login)
    }

    fn last_will(&self, will: &Will) -> LastWill {
        let properties = LastWillProperties {
            delay_interval: None,
            payload_format_indicator: Some(1),
            message_expiry_interval: None,
            content_type: Some(CONTENT_TYPE.to_owned()),
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        };
        let payload = Bytes::from_owner(will.payload.clone());
        let qos = if self.will_is_acknowledged { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        LastWill::new(will.topic.clone(), payload, qos, self.will_is_retained, Some(properties))
    }

    /// Says why a connection ended, and what to do.
    pub(super) fn explain(&self, end: End) -> BrokerError {
        let broker = self.shown.clone();
        let client_id = || printable(&self.client_id);
        match end {
            End::Refused(reason) => {
                let next_step = reason.next_step();
                BrokerError::Refused(broker, reason, next_step)
            }
            End::Disconnected(reason) => {
                let next_step = reason.next_step_inside();
                match reason.code() {
                    0x8e => BrokerError::TakenOver(broker, client_id(), reason, next_step),
                    _ => BrokerError::Ended(broker, reason, next_step),
                }
            }
            End::Closed => BrokerError::Closed(broker, client_id()),
            End::ClosedAtConnect => BrokerError::ClosedAtConnect(broker),
            End::NoAnswer => BrokerError::NoAnswer(broker),
            End::OldVersion => BrokerError::OldVersion(broker),
            End::NotMqtt => BrokerError::NotMqtt(broker),
            End::Blocked => BrokerError::Blocked(broker),
            End::Broken(reason) => BrokerError::Broken(broker, reason),
        }
    }

    pub(super) fn explain_dial(&self, reason: DialError) -> BrokerError {
        let broker = self.shown.clone();
        match reason {
            DialError::Name(reason) => BrokerError::UnknownName(broker, reason),
            DialError::Network(reason) => BrokerError::Unreachable(broker, printable(&reason)),
            DialError::Tls(reason) => BrokerError::TlsFailed(broker, reason),
            DialError::NotTrusted(reason) => BrokerError::NotTrusted(broker, printable(&reason.to_string())),
        }
    }
}

/// The reason why one attempt failed.
enum AttemptError {
    DialError(DialError),
    Ended(End),
}
