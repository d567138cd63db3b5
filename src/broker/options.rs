//! How a connection to the broker is made.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, ConnectReturnCode, DisconnectReasonCode, LastWill, LastWillProperties,
};
use rumqttc::v5::{ConnectionError, MqttOptions, StateError};
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};

use crate::domain::settings::{BrokerAddress, MqttSettings};
use crate::domain::text::printable;
use crate::platform::tls::{Tls, TlsError};
use crate::wire::Payload;

/// How long the link may be silent before each side asks whether the other is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The time for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many messages may wait for the broker's acknowledgement. The library makes room for all of them at once: for its
/// default of 65,535 that is 14 MB.
const IN_FLIGHT: u16 = 32;

/// What the broker says when the agent is gone without a word.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Payload,
}

/// Sends each message when it comes: held back until the one before is acknowledged, it would be 40 ms late.
fn at_once() -> NetworkOptions {
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network
}

/// Makes connections to one broker.
pub(crate) struct Connector {
    options: MqttOptions,
    shown: String,
}

/// Why there is no connection to the broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    /// The TLS settings cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The broker does not want this client.
    #[error("the broker at {0} refused the user name or password. Check [mqtt] username and password_file.")]
    Refused(String),
    /// Another client with the same identifier has connected (MQTT 5, 3.1.4-3, reason code 0x8E).
    #[error(
        "the broker at {0} has given this agent's place to another client that also calls itself {1}. Give each agent and \
         each other client a name of its own: [mqtt] client_id."
    )]
    TakenOver(String, String),
    /// The broker has closed the connection without a word.
    #[error(
        "the broker at {0} closed the connection. See its log; if it does so again and again, another client may call itself \
         {1} as well ([mqtt] client_id)."
    )]
    Closed(String, String),
    /// All else.
    #[error("no connection to the broker at {0}: {1}. Check that it runs, and [mqtt] url.")]
    Unreachable(String, String),
}

impl Connector {
    /// A connector for `settings`. `largest` is the largest packet that the broker may send, in bytes: it keeps larger
    /// ones back, so that nobody can break the link by sending one.
    ///
    /// # Errors
    /// When the TLS settings cannot be used.
    pub(crate) fn new(settings: &MqttSettings, client_id: &str, largest: u32, tls: &Tls) -> Result<Self, BrokerError> {
        let (options, shown) = match &settings.address {
            BrokerAddress::Tcp { host, port } => (MqttOptions::new(client_id, host, *port), format!("{host}:{port}")),
            BrokerAddress::Tls { host, port, tls: wanted } => {
                let mut options = MqttOptions::new(client_id, host, *port);
                let config = tls.client_config(wanted)?;
                options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(config))));
                (options, format!("{host}:{port}"))
            }
            BrokerAddress::Unix(path) => {
                let mut options = MqttOptions::new(client_id, path.to_string_lossy(), 0);
                options.set_transport(Transport::Unix);
                (options, path.display().to_string())
            }
        };
        let mut connector = Self { options, shown };
        connector.options.set_network_options(at_once());
        connector.options.set_keep_alive(KEEP_ALIVE);
        connector.options.set_outgoing_inflight_upper_limit(IN_FLIGHT);
        connector.options.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
        connector
            .options
            .set_connect_properties(ConnectProperties { max_packet_size: Some(largest), ..ConnectProperties::new() });
        if let Some(login) = &settings.login {
            let password = login.password.as_ref().map_or("", |password| password.expose());
            connector.options.set_credentials(&login.username, password);
        }
        Ok(connector)
    }

    /// The same, with a will.
    #[must_use]
    pub(crate) fn with_will(mut self, will: Will) -> Self {
        let properties = LastWillProperties {
            delay_interval: None,
            payload_format_indicator: Some(1),
            message_expiry_interval: None,
            content_type: Some(CONTENT_TYPE.to_owned()),
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        };
        let payload = Bytes::from_owner(will.payload);
        self.options.set_last_will(LastWill::new(will.topic, payload, QoS::AtLeastOnce, true, Some(properties)));
        self
    }

    /// Options for one more connection. They hold the password, and their `Debug` prints it.
    pub(super) fn options(&self) -> MqttOptions {
        self.options.clone()
    }

    /// Says what went wrong with a connection.
    pub(super) fn explain(&self, error: &ConnectionError) -> BrokerError {
        let names = || (self.shown.clone(), printable(&self.options.client_id()));
        let reason = match error {
            ConnectionError::MqttState(StateError::ServerDisconnect {
                reason_code: DisconnectReasonCode::SessionTakenOver,
                ..
            }) => {
                let (broker, client_id) = names();
                return BrokerError::TakenOver(broker, client_id);
            }
            ConnectionError::MqttState(StateError::ConnectionAborted) => {
                let (broker, client_id) = names();
                return BrokerError::Closed(broker, client_id);
            }
            ConnectionError::ConnectionRefused(
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
            ) => return BrokerError::Refused(self.shown.clone()),
            ConnectionError::Timeout(_) => format!("it did not answer within {} s", CONNECT_TIMEOUT.as_secs()),
            ConnectionError::ConnectionRefused(code) => format!("it refused ({code:?})"),
            ConnectionError::Io(error) => error.to_string(),
            ConnectionError::Tls(error) => error.to_string(),
            ConnectionError::MqttState(error) => error.to_string(),
            ConnectionError::NotConnAck(_) => "what listens there is no MQTT 5 broker".to_owned(),
            ConnectionError::RequestsDone => "it was closed".to_owned(),
        };
        BrokerError::Unreachable(self.shown.clone(), printable(&reason))
    }
}

/// The content type of every message.
pub(super) const CONTENT_TYPE: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(error: StateError) -> String {
        let settings = MqttSettings {
            address: BrokerAddress::Tcp { host: "127.0.0.1".to_owned(), port: 1883 },
            login: None,
            base_topic: "oauth2mqtt".to_owned(),
            local_tokens: false,
            client_id: "gateway".to_owned(),
        };
        let connector = Connector::new(&settings, "gateway", 1024, &Tls::default()).unwrap();
        connector.explain(&ConnectionError::MqttState(error)).to_string()
    }

    #[test]
    fn a_takeover_is_named_with_what_to_do() {
        let reason_code = DisconnectReasonCode::SessionTakenOver;
        let told = explained(StateError::ServerDisconnect { reason_code, reason_string: None });
        assert!(told.contains("127.0.0.1:1883") && told.contains("calls itself gateway"), "{told}");
        assert!(told.ends_with("a name of its own: [mqtt] client_id."), "{told}");
        let told = explained(StateError::ConnectionAborted);
        assert!(told.contains("another client may call itself gateway as well"), "{told}");
    }
}
