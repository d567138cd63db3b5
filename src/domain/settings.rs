//! The configuration, checked and complete, as plain data.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use crate::domain::account::AccountName;
pub(crate) use crate::domain::account::Declared;
pub(crate) use crate::domain::account_settings::{
    AccountSettings, ClientSettings, EndpointSettings, GrantSettings, PublishMode, SignInMode,
};
use crate::domain::gate::settings::GateSettings;
use crate::domain::provider_file::KnownProvider;
use crate::domain::secret::Secret;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The broker.
    pub mqtt: MqttSettings,
    /// The store.
    pub store: StoreSettings,
    /// The sign-in page, where it is wanted.
    pub page: Option<PageSettings>,
    /// The gate before a dashboard, where it is wanted.
    pub(crate) gate: Option<GateSettings>,
    /// The rules for accounts declared over MQTT, where any may be.
    pub provisioning: Option<ProvisioningSettings>,
    /// The accounts, by name.
    pub accounts: BTreeMap<AccountName, AccountSettings>,
}

/// The rules for accounts that are declared over MQTT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvisioningSettings {
    /// Addresses that a declared account may use as its issuer or endpoints, with everything below each.
    pub issuers: Vec<Url>,
    /// The providers known by name that it may use.
    pub(crate) presets: Vec<Arc<KnownProvider>>,
}

impl Settings {
    /// The sections in which `other` differs and which a running agent does not take up. Secrets are not compared.
    #[must_use]
    pub fn sections_for_next_start(&self, other: &Self) -> Vec<&'static str> {
        let same_page = match (&self.page, &other.page) {
            (Some(page), Some(other)) => page.same_as(other),
            (page, other) => page.is_none() && other.is_none(),
        };
        let login = |mqtt: &MqttSettings| mqtt.login.as_ref().map(|login| login.username.clone());
        let same_mqtt = self.mqtt.address == other.mqtt.address
            && self.mqtt.base_topic == other.mqtt.base_topic
            && self.mqtt.local_tokens == other.mqtt.local_tokens
            && self.mqtt.client_id == other.mqtt.client_id
            && self.mqtt.broker_user == other.mqtt.broker_user
            && login(&self.mqtt) == login(&other.mqtt);
        // The rest of the gate's settings is taken up.
        let same_gate = match (&self.gate, &other.gate) {
            (Some(gate), Some(other)) => gate.listen == other.listen && gate.address == other.address,
            _ => true,
        };
        let same =
            [("mqtt", same_mqtt), ("store", self.store == other.store), ("page", same_page), ("gate", same_gate)];
        same.into_iter().filter(|(_, is_same)| !is_same).map(|(section, _)| section).collect()
    }
}

/// The sign-in page.
#[derive(Clone, Debug)]
pub struct PageSettings {
    /// The address on which it listens.
    pub listen: SocketAddr,
    /// True if a proxy stands in front of it, from whose address all visitors come.
    pub behind_proxy: bool,
    /// The code that a visitor has to enter first, where one is wanted.
    pub access_code: Option<Secret>,
    /// Names by which it is reached, beside addresses and `localhost`; in lower case, without a port.
    pub hosts: Vec<String>,
    /// The origins whose pages may show it in a frame.
    pub embed_in: Vec<String>,
}

impl PageSettings {
    /// True if the two say the same. Secrets are not compared, only whether there is one.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let shape = |page: &Self| {
            let Self { listen, behind_proxy, access_code, hosts, embed_in } = page.clone();
            (listen, behind_proxy, access_code.is_some(), hosts, embed_in)
        };
        shape(self) == shape(other)
    }
}

/// The connection to the broker.
#[derive(Clone, Debug)]
pub struct MqttSettings {
    /// Its address.
    pub address: BrokerAddress,
    /// User name and password, where the broker wants them.
    pub login: Option<BrokerLogin>,
    /// The user of this device whose program the broker is, where it listens on loopback and the administrator says so.
    pub broker_user: Option<String>,
    /// The first levels of every topic; no wildcard, no slash at either end.
    pub base_topic: String,
    /// True if tokens are published on topics that no bridge carries away by a wildcard.
    pub local_tokens: bool,
    /// The agent's name at the broker; two agents at one broker need two names.
    pub client_id: String,
}

/// The address of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerAddress {
    /// Plain TCP.
    Tcp {
        /// Host name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// TLS over TCP.
    Tls {
        /// Host name or address; the broker's certificate must be for it.
        host: String,
        /// TCP port.
        port: u16,
        /// The certificates by which the two know each other.
        tls: TlsSettings,
    },
    /// A socket of this device.
    Unix(PathBuf),
}

/// The needs of TLS beyond the device's own certificate authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM file of a private certificate authority, trusted in place of the device's own.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the client certificate and its key.
    pub identity: Option<TlsIdentity>,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsIdentity {
    /// PEM file of the certificate chain.
    pub cert_file: PathBuf,
    /// PEM file of the private key.
    pub key_file: PathBuf,
}

/// User name and password at the broker.
#[derive(Clone, Debug)]
pub struct BrokerLogin {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Option<Secret>,
}

/// The place of the tokens, and the key that seals them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The folder of the store.
    pub path: PathBuf,
    /// The source of its key.
    pub key: KeySource,
    /// True if it opens on this machine alone.
    pub bind_to_machine: bool,
}

/// The source of the store's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file that somebody else provides, such as a systemd credential: it must be there.
    Provided(PathBuf),
    /// A file that is made at the first start, readable only by its owner.
    MadeOnce(PathBuf),
}
