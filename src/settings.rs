//! What the administrator asked for, checked and complete, as plain data.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use crate::account::AccountName;
use crate::record::ClientBinding;
use crate::secret::Secret;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The broker.
    pub mqtt: MqttSettings,
    /// The store.
    pub store: StoreSettings,
    /// The accounts, by name.
    pub accounts: BTreeMap<AccountName, AccountSettings>,
}

impl Settings {
    /// Whether `other` differs in its accounts alone. Secrets are not compared.
    #[must_use]
    pub fn same_mqtt_and_store(&self, other: &Self) -> bool {
        let login = |mqtt: &MqttSettings| mqtt.login.as_ref().map(|login| login.username.clone());
        self.store == other.store
            && self.mqtt.address == other.mqtt.address
            && self.mqtt.base_topic == other.mqtt.base_topic
            && self.mqtt.client_id == other.mqtt.client_id
            && login(&self.mqtt) == login(&other.mqtt)
    }
}

/// How to reach the broker.
#[derive(Clone, Debug)]
pub struct MqttSettings {
    /// Where it listens.
    pub address: BrokerAddress,
    /// User name and password, where the broker wants them.
    pub login: Option<BrokerLogin>,
    /// What all topics start with; no wildcard, no slash at either end.
    pub base_topic: String,
    /// The agent's name at the broker; two agents at one broker need two names.
    pub client_id: String,
}

/// Where the broker listens.
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
        /// How to trust it, and how to show who we are.
        tls: TlsSettings,
    },
    /// A socket of this device.
    Unix(PathBuf),
}

/// What TLS needs beyond the device's own certificate authorities.
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

/// Where tokens are kept, and what seals them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The folder of the store.
    pub path: PathBuf,
    /// Where its key comes from.
    pub key: KeySource,
}

/// Where the key of the store comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file that somebody else provides, such as a systemd credential: it must be there.
    Provided(PathBuf),
    /// A file that is made at the first start, readable only by its owner.
    MadeOnce(PathBuf),
}

/// One account.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    /// What `bridge/info` and `status` call the provider: the preset's name, or the host of the issuer or the token
    /// endpoint.
    pub provider: String,
    /// Where the provider's endpoints are.
    pub endpoints: EndpointSettings,
    /// The client as registered at the provider.
    pub client: ClientSettings,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// What stands between two scopes in a request: a space, except at providers that differ from RFC 6749 3.3.
    pub scope_separator: char,
    /// Further parameters of the authorization request, such as `audience`.
    pub params: BTreeMap<String, String>,
    /// When a code is shown.
    pub sign_in: SignInMode,
    /// How the token reaches the flow.
    pub publish: PublishMode,
    /// PEM file of a private certificate authority, trusted in place of the device's own.
    pub ca_file: Option<PathBuf>,
    /// Whether endpoints on other machines may be reached without TLS.
    pub allow_http: bool,
}

impl AccountSettings {
    /// Whose tokens this account's tokens are: provider, endpoint and client.
    #[must_use]
    pub fn binding(&self) -> ClientBinding {
        let text = |url: &Option<Url>| url.as_ref().map_or("", Url::as_str).to_owned();
        ClientBinding(format!(
            "issuer={} token_endpoint={} client_id={}",
            text(&self.endpoints.issuer),
            text(&self.endpoints.token),
            self.client.id
        ))
    }
}

/// Where a provider's endpoints are: named, or found at the issuer (RFC 8414); a named one wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSettings {
    /// The issuer whose metadata names the endpoints.
    pub issuer: Option<Url>,
    /// The device authorization endpoint (RFC 8628 3.1).
    pub device_authorization: Option<Url>,
    /// The token endpoint (RFC 6749 3.2).
    pub token: Option<Url>,
    /// The revocation endpoint (RFC 7009 2).
    pub revocation: Option<Url>,
}

/// The client as registered at the provider.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The client identifier (RFC 6749 2.2).
    pub id: String,
    /// The client secret, where the registration has one.
    pub secret: Option<Secret>,
    /// How the client authenticates; `None` leaves it to the provider's metadata, and else to the usual way.
    pub auth: Option<ClientAuth>,
}

/// How a client authenticates at the token endpoint (RFC 6749 2.3.1; the names are those of RFC 7591 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Not at all: a public client that sends its `client_id`.
    None,
    /// Id and secret in the body.
    Post,
    /// Id and secret in the `Authorization` header.
    Basic,
}

/// When a sign-in code is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInMode {
    /// When somebody asks for it.
    OnRequest,
    /// Always while signed out: a lapsed code is replaced by a fresh one.
    Offer,
}

/// How the access token reaches the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishMode {
    /// As a retained message on the account's token topic.
    Retained,
    /// Only in answer to a `token` request.
    OnRequest,
}
