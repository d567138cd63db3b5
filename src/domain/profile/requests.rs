//! The kinds of requests, and what is peculiar to each.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Parameters or header fields, by name.
pub(crate) type Params = BTreeMap<String, String>;

/// One kind of request to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// By the user's browser, to the authorization endpoint (RFC 6749 4.1.1).
    Authorization,
    /// For a device code (RFC 8628 3.1).
    DeviceAuthorization,
    /// For the tokens of an authorization code (RFC 6749 4.1.3).
    CodeExchange,
    /// For the tokens of a device code (RFC 8628 3.4).
    DevicePoll,
    /// In the client's own right (RFC 6749 4.4.2).
    ClientCredentials,
    /// By a user's name and password (RFC 6749 4.3.2).
    Password,
    /// By a signed assertion (RFC 7523 2.1).
    JwtBearer,
    /// For the next access token (RFC 6749 6).
    Refresh,
    /// To end a token (RFC 7009 2.1).
    Revocation,
}

impl RequestKind {
    /// Returns whether a sign-in begins with it.
    #[must_use]
    pub(crate) fn begins_sign_in(self) -> bool {
        match self {
            Self::Authorization
            | Self::DeviceAuthorization
            | Self::ClientCredentials
            | Self::Password
            | Self::JwtBearer => true,
            Self::CodeExchange | Self::DevicePoll | Self::Refresh | Self::Revocation => false,
        }
    }

    /// The parameters that the program itself sends in it, which nothing else can set.
    #[must_use]
    pub(crate) fn reserved(self) -> &'static [&'static str] {
        match self {
            Self::Authorization => &[
                "client_id",
                "code_challenge",
                "code_challenge_method",
                "nonce",
                "redirect_uri",
                "response_type",
                "scope",
                "state",
            ],
            Self::DeviceAuthorization => &["client_id", "code_challenge", "code_challenge_method", "scope"],
            Self::CodeExchange => &["client_id", "code", "code_verifier", "grant_type", "redirect_uri"],
            Self::DevicePoll => &["client_id", "code_verifier", "device_code", "grant_type"],
            Self::ClientCredentials => &["client_id", "grant_type", "scope"],
            Self::Password => &["client_id", "grant_type", "password", "scope", "username"],
            Self::JwtBearer => &["assertion", "client_id", "grant_type", "scope"],
            Self::Refresh => &["client_id", "grant_type", "refresh_token"],
            Self::Revocation => &["client_id", "token", "token_type_hint"],
        }
    }

    /// Returns whether the program itself sends this parameter in it.
    #[must_use]
    pub(crate) fn is_own(self, name: &str) -> bool {
        self.reserved().contains(&name) || Self::AUTHENTICATION.contains(&name)
    }

    /// The parameters by which a client authenticates, in every request; nothing else can set them.
    pub(crate) const AUTHENTICATION: [&'static str; 3] = ["client_assertion", "client_assertion_type", "client_secret"];
}

/// One value for each kind of request, and one for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ByRequest<T> {
    /// For every kind.
    pub(crate) every: T,
    /// See [`RequestKind::Authorization`].
    pub(crate) authorization: T,
    /// See [`RequestKind::DeviceAuthorization`].
    pub(crate) device_authorization: T,
    /// See [`RequestKind::CodeExchange`].
    pub(crate) code_exchange: T,
    /// See [`RequestKind::DevicePoll`].
    pub(crate) device_poll: T,
    /// See [`RequestKind::ClientCredentials`].
    pub(crate) client_credentials: T,
    /// See [`RequestKind::Password`].
    pub(crate) password: T,
    /// See [`RequestKind::JwtBearer`].
    pub(crate) jwt_bearer: T,
    /// See [`RequestKind::Refresh`].
    pub(crate) refresh: T,
    /// See [`RequestKind::Revocation`].
    pub(crate) revocation: T,
}

impl<T> ByRequest<T> {
    /// The value for one kind alone.
    pub(crate) fn of(&self, kind: RequestKind) -> &T {
        match kind {
            RequestKind::Authorization => &self.authorization,
            RequestKind::DeviceAuthorization => &self.device_authorization,
            RequestKind::CodeExchange => &self.code_exchange,
            RequestKind::DevicePoll => &self.device_poll,
            RequestKind::ClientCredentials => &self.client_credentials,
            RequestKind::Password => &self.password,
            RequestKind::JwtBearer => &self.jwt_bearer,
            RequestKind::Refresh => &self.refresh,
            RequestKind::Revocation => &self.revocation,
        }
    }

    /// This layer over the one `below`, each value laid by `lay`, which is given that of this layer first.
    pub(super) fn over(self, below: Self, lay: impl Fn(T, T) -> T) -> Self {
        Self {
            every: lay(self.every, below.every),
            authorization: lay(self.authorization, below.authorization),
            device_authorization: lay(self.device_authorization, below.device_authorization),
            code_exchange: lay(self.code_exchange, below.code_exchange),
            device_poll: lay(self.device_poll, below.device_poll),
            client_credentials: lay(self.client_credentials, below.client_credentials),
            password: lay(self.password, below.password),
            jwt_bearer: lay(self.jwt_bearer, below.jwt_bearer),
            refresh: lay(self.refresh, below.refresh),
            revocation: lay(self.revocation, below.revocation),
        }
    }
}

/// A parameter that the program sends, by its standard name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ParameterName {
    /// RFC 7521 4.1.
    Assertion,
    /// RFC 6749 2.2.
    ClientId,
    /// RFC 6749 2.3.1.
    ClientSecret,
    /// RFC 6749 4.1.3.
    Code,
    /// RFC 7636 4.3.
    CodeChallenge,
    /// RFC 7636 4.3.
    CodeChallengeMethod,
    /// RFC 7636 4.5.
    CodeVerifier,
    /// RFC 8628 3.4.
    DeviceCode,
    /// RFC 6749 4.1.3.
    GrantType,
    /// RFC 6749 4.3.2.
    Password,
    /// RFC 6749 3.1.2.
    RedirectUri,
    /// RFC 6749 6.
    RefreshToken,
    /// RFC 6749 3.1.1.
    ResponseType,
    /// RFC 6749 3.3.
    Scope,
    /// RFC 7009 2.1.
    Token,
    /// RFC 7009 2.1.
    TokenTypeHint,
    /// RFC 6749 4.3.2.
    Username,
}

impl ParameterName {
    /// Every name, as the standards write it.
    pub(crate) const ALL: [(&'static str, Self); 17] = [
        ("assertion", Self::Assertion),
        ("client_id", Self::ClientId),
        ("client_secret", Self::ClientSecret),
        ("code", Self::Code),
        ("code_challenge", Self::CodeChallenge),
        ("code_challenge_method", Self::CodeChallengeMethod),
        ("code_verifier", Self::CodeVerifier),
        ("device_code", Self::DeviceCode),
        ("grant_type", Self::GrantType),
        ("password", Self::Password),
        ("redirect_uri", Self::RedirectUri),
        ("refresh_token", Self::RefreshToken),
        ("response_type", Self::ResponseType),
        ("scope", Self::Scope),
        ("token", Self::Token),
        ("token_type_hint", Self::TokenTypeHint),
        ("username", Self::Username),
    ];
}

/// The encoding of a request's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RequestFormat {
    /// `application/x-www-form-urlencoded` (RFC 6749 appendix B).
    Form,
    /// A JSON object of texts.
    Json,
}

/// A proof key for the exchange of a code (RFC 7636).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Pkce {
    /// None is sent.
    #[serde(rename = "off")]
    Off,
    /// The verifier is its own challenge.
    #[serde(rename = "plain")]
    Plain,
    /// The challenge is the SHA-256 digest of the verifier.
    S256,
}

/// A token that a sign-out revokes (RFC 7009 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RevokedToken {
    /// The refresh token, whose end is the end of the grant at most providers.
    RefreshToken,
    /// The access token, which some providers let live on.
    AccessToken,
}
