//! The settings of one account: its provider, its client there, its grant, and how its token reaches the flow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use url::Url;

use crate::domain::account::Declared;
use crate::domain::client_key::ClientKey;
use crate::domain::grant_kind::GrantKind;
use crate::domain::identity::AllowList;
use crate::domain::jwt_bearer::JwtBearer;
use crate::domain::profile::Profile;
use crate::domain::record::{ClientBinding, Fingerprint};
use crate::domain::secret::Secret;
use crate::domain::token_name::TokenName;
use crate::domain::token_target::TokenTarget;

/// One account.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountSettings {
    /// The provider's name in `bridge/info` and `status`: that of its file, or the host of the issuer or the token
    /// endpoint.
    pub provider: String,
    /// The provider's endpoints.
    pub endpoints: Arc<EndpointSettings>,
    /// The client as registered at the provider.
    pub client: ClientSettings,
    /// The grant, with what it needs.
    pub grant: GrantSettings,
    /// The scopes to ask for.
    pub scopes: Vec<String>,
    /// The further tokens that its refresh token brings, by name.
    pub tokens: BTreeMap<TokenName, TokenTarget>,
    /// The peculiarities of the provider, and of the account at it.
    pub(crate) profile: Arc<Profile>,
    /// When a code is shown.
    pub sign_in: SignInMode,
    /// The users who may approve.
    pub allow: AllowList,
    /// True if the user who approved is published.
    pub identity: bool,
    /// The names of further claims about the user that are asked for.
    pub claims: Vec<String>,
    /// The way in which the token reaches the flow.
    pub publish: PublishMode,
    /// PEM file of a private certificate authority, trusted in place of the device's own.
    pub ca_file: Option<PathBuf>,
    /// True if endpoints on other machines may be reached without TLS.
    pub allow_http: bool,
    /// The place of its declaration.
    pub declared: Declared,
}

impl AccountSettings {
    /// The party whose tokens this account's tokens are: provider, endpoints and client, whether they are a user's, and where
    /// the account was declared.
    ///
    /// Of endpoints that the account names itself, every one that gets a token or secret is part of it, so that none of
    /// them is sent to another. Those of a provider's file are bound by issuer and token endpoint, so that a file can
    /// learn of one more endpoint without a new sign-in.
    #[must_use]
    pub fn binding(&self) -> ClientBinding {
        let text = |url: &Option<Arc<Url>>| url.as_ref().map_or("", |url| url.as_str()).to_owned();
        let owner = match &self.grant {
            GrantSettings::DeviceCode
            | GrantSettings::AuthorizationCode { .. }
            | GrantSettings::RefreshToken { .. } => String::new(),
            GrantSettings::ClientCredentials => " owner=client".to_owned(),
            GrantSettings::Password { username, .. } => format!(" owner=user {username}"),
            GrantSettings::JwtBearer(bearer) => {
                format!(" owner=issuer {} subject {}", bearer.issuer, bearer.subject.as_deref().unwrap_or_default())
            }
        };
        let endpoints = &self.endpoints;
        let mut party = format!("issuer={} token_endpoint={}", text(&endpoints.issuer), text(&endpoints.token));
        let others = [
            ("device_authorization_endpoint", &endpoints.device_authorization),
            ("device_token_endpoint", &endpoints.device_token),
            ("revocation_endpoint", &endpoints.revocation),
            ("userinfo_endpoint", &endpoints.userinfo),
        ];
        for (key, address) in others.iter().filter(|(_, address)| endpoints.named && address.is_some()) {
            // Writing to a string cannot fail.
            let _ = write!(party, " {key}={}", text(address));
        }
        let client = format!("{party} client_id={}{owner}", self.client.id);
        ClientBinding::new(Fingerprint::of(&client)).declared(self.declared)
    }

    /// True if the provider is asked who has approved.
    #[must_use]
    pub fn asks_for_user(&self) -> bool {
        let wanted = self.identity || !self.allow.admits_everybody() || !self.claims.is_empty();
        let by_scope = self.scopes.iter().any(|scope| scope == "openid");
        self.grant.has_user() && (by_scope || (wanted && self.endpoints.userinfo.is_some()))
    }
}

/// A grant, with what an account needs for it.
#[derive(Clone, Debug, PartialEq)]
pub enum GrantSettings {
    /// A user approves on another device (RFC 8628).
    DeviceCode,
    /// A user approves in a browser, which is sent back with a code (RFC 6749 4.1).
    AuthorizationCode {
        /// The address to which the browser is sent back, letter by letter as registered at the provider (RFC 6749 3.1.2).
        redirect_uri: Arc<str>,
    },
    /// The client's own right is enough (RFC 6749 4.4).
    ClientCredentials,
    /// A machine signs for itself (RFC 7523 2.1).
    JwtBearer(Arc<JwtBearer>),
    /// A refresh token was obtained elsewhere (RFC 6749 6).
    RefreshToken {
        /// The token in the file; `None` once somebody has removed the file, which is needed only once.
        token: Option<Secret>,
    },
    /// A user's name and password (RFC 6749 4.3), for old services that have nothing better.
    Password {
        /// The user's name.
        username: String,
        /// The user's password.
        password: Secret,
    },
}

impl GrantSettings {
    /// Which grant it is.
    #[must_use]
    pub(crate) fn kind(&self) -> GrantKind {
        match self {
            Self::DeviceCode => GrantKind::DeviceCode,
            Self::AuthorizationCode { .. } => GrantKind::AuthorizationCode,
            Self::ClientCredentials => GrantKind::ClientCredentials,
            Self::JwtBearer(_) => GrantKind::JwtBearer,
            Self::RefreshToken { .. } => GrantKind::RefreshToken,
            Self::Password { .. } => GrantKind::Password,
        }
    }

    /// The name in the configuration and in `bridge/info`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// True if a user approves each sign-in.
    #[must_use]
    pub fn has_user(&self) -> bool {
        self.kind().has_user()
    }
}

/// A provider's endpoints: named, or found at the issuer (RFC 8414); a named one wins. Addresses are shared, since an
/// address in its parts is ten times as long as a pointer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EndpointSettings {
    /// The issuer whose metadata names the endpoints.
    pub issuer: Option<Arc<Url>>,
    /// The device authorization endpoint (RFC 8628 3.1).
    pub device_authorization: Option<Arc<Url>>,
    /// The endpoint at which a device code is polled, where that is not the token endpoint (RFC 8628 3.4).
    pub device_token: Option<Arc<Url>>,
    /// The authorization endpoint (RFC 6749 3.1).
    pub authorization: Option<Arc<Url>>,
    /// The token endpoint (RFC 6749 3.2).
    pub token: Option<Arc<Url>>,
    /// The revocation endpoint (RFC 7009 2).
    pub revocation: Option<Arc<Url>>,
    /// The userinfo endpoint (OpenID Connect Core 5.3).
    pub userinfo: Option<Arc<Url>>,
    /// The issuer that ID tokens must name where no issuer is configured, with `{tid}` for the claim of that name.
    pub id_token_issuer: Option<String>,
    /// True if the account itself names the issuer or endpoints, false if they are those of a provider's file.
    pub named: bool,
}

impl EndpointSettings {
    /// Every address, by its key in an account.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&'static str, &Url)> {
        let all = [
            ("issuer", &self.issuer),
            ("device_authorization_endpoint", &self.device_authorization),
            ("device_token_endpoint", &self.device_token),
            ("authorization_endpoint", &self.authorization),
            ("token_endpoint", &self.token),
            ("revocation_endpoint", &self.revocation),
            ("userinfo_endpoint", &self.userinfo),
        ];
        all.into_iter().filter_map(|(key, address)| Some((key, address.as_deref()?)))
    }
}

/// The client as registered at the provider.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientSettings {
    /// The client identifier (RFC 6749 2.2).
    pub id: String,
    /// The client secret, where the registration has one; while it is replaced by another, both: the first that the
    /// provider takes is used.
    pub secrets: Vec<Secret>,
    /// The key that signs in its place, where the registration has its public half.
    pub key: Option<ClientKey>,
}

/// The time at which a sign-in code is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInMode {
    /// When somebody asks for it.
    OnRequest,
    /// Always while signed out: an expired code is replaced by a fresh one.
    Offer,
}

/// The way in which the access token reaches the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishMode {
    /// As a retained message on the account's token topic.
    Retained,
    /// Only in answer to a `token` request.
    OnRequest,
}
