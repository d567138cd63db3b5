//! The known faults by name.

use std::fmt;

/// The faults a user can meet. The name of each is part of the contract with flows; see [`FaultCode::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultCode {
    /// The user, or the provider's administrator, said no (RFC 8628 3.5, RFC 6749 4.1.2.1).
    AccessDenied,
    /// The device code expired before anyone approved it (RFC 8628 3.5).
    CodeExpired,
    /// The refresh token, or the device code, is no longer good (RFC 6749 5.2).
    InvalidGrant,
    /// The provider does not accept the client's id, secret or way of authenticating (RFC 6749 5.2).
    InvalidClient,
    /// The client may not use this grant (RFC 6749 5.2).
    UnauthorizedClient,
    /// A scope is unknown, malformed or too much (RFC 6749 5.2).
    InvalidScope,
    /// The provider finds the request malformed (RFC 6749 5.2).
    InvalidRequest,
    /// The provider does not know this grant at all (RFC 6749 5.2).
    UnsupportedGrantType,
    /// The provider answered with an error code that no standard knows.
    ProviderRefused,
    /// No connection: refused, reset, unroutable, or the host has no address.
    ProviderUnreachable,
    /// The provider took longer than the time allowed.
    ProviderTimeout,
    /// No trustworthy encrypted connection could be made.
    TlsFailed,
    /// HTTP 5xx, or an OAuth error that says "later".
    ProviderUnavailable,
    /// HTTP 429.
    RateLimited,
    /// The server that answered is no OAuth server: a captive portal, a proxy, a wrong address.
    NotOauth,
    /// The answer is an OAuth one but lacks what it must have, or contradicts itself.
    AnswerMalformed,
    /// The token is of a type other than Bearer (RFC 6749 7.1).
    TokenTypeUnsupported,
    /// The provider's metadata could not be used (RFC 8414).
    DiscoveryFailed,
    /// The access token has expired and the provider gave no refresh token.
    NoRefreshToken,
    /// The provider has taken a refresh whose answer never arrived, and with it the refresh token (RFC 6749 10.4).
    RefreshInterrupted,
    /// The provider wants the user to take part before it gives another token (OpenID Connect Core 3.1.2.6).
    InteractionRequired,
    /// Whoever approved is not among those who may.
    NotAllowed,
    /// Who approved could not be found out.
    IdentityUnknown,
    /// The redirection does not belong to the sign-in (RFC 6749 10.12, RFC 9207).
    RedirectInvalid,
    /// The tokens were given up here, and may still be good at the provider (RFC 7009 2.2).
    NotRevoked,
    /// The stored sign-in is for another provider, endpoint or client than the configuration names now.
    ClientChanged,
    /// The stored sign-in cannot be opened: another key, or damage.
    RecordUnreadable,
    /// The stored sign-in was sealed on another machine: this card, or its store, is a copy.
    ClonedDevice,
    /// The store could not write.
    StoreFailed,
    /// The broker does not take the account's token, such as one that is larger than its packets may be.
    TokenRefused,
}

impl FaultCode {
    /// Every code, in the order of the table in `docs/operations.md`.
    pub const ALL: [Self; 30] = [
        Self::AccessDenied,
        Self::CodeExpired,
        Self::InvalidGrant,
        Self::InvalidClient,
        Self::UnauthorizedClient,
        Self::InvalidScope,
        Self::InvalidRequest,
        Self::UnsupportedGrantType,
        Self::ProviderRefused,
        Self::ProviderUnreachable,
        Self::ProviderTimeout,
        Self::TlsFailed,
        Self::ProviderUnavailable,
        Self::RateLimited,
        Self::NotOauth,
        Self::AnswerMalformed,
        Self::TokenTypeUnsupported,
        Self::DiscoveryFailed,
        Self::NoRefreshToken,
        Self::RefreshInterrupted,
        Self::InteractionRequired,
        Self::NotAllowed,
        Self::IdentityUnknown,
        Self::RedirectInvalid,
        Self::NotRevoked,
        Self::ClientChanged,
        Self::RecordUnreadable,
        Self::ClonedDevice,
        Self::StoreFailed,
        Self::TokenRefused,
    ];

    /// The stable name, as it stands in `status`, in the journal and in the documentation.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::CodeExpired => "expired_token",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidRequest => "invalid_request",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::ProviderRefused => "provider_refused",
            Self::ProviderUnreachable => "provider_unreachable",
            Self::ProviderTimeout => "provider_timeout",
            Self::TlsFailed => "tls_failed",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::RateLimited => "rate_limited",
            Self::NotOauth => "not_an_oauth_answer",
            Self::AnswerMalformed => "answer_malformed",
            Self::TokenTypeUnsupported => "token_type_unsupported",
            Self::DiscoveryFailed => "discovery_failed",
            Self::NoRefreshToken => "no_refresh_token",
            Self::RefreshInterrupted => "refresh_interrupted",
            Self::InteractionRequired => "interaction_required",
            Self::NotAllowed => "not_allowed",
            Self::IdentityUnknown => "identity_unknown",
            Self::RedirectInvalid => "redirect_invalid",
            Self::NotRevoked => "not_revoked",
            Self::ClientChanged => "client_changed",
            Self::RecordUnreadable => "record_unreadable",
            Self::ClonedDevice => "cloned_device",
            Self::StoreFailed => "store_failed",
            Self::TokenRefused => "token_refused",
        }
    }

    /// Returns whether it says that what is in the store cannot be opened now, and has to stay as it is.
    #[must_use]
    pub fn is_of_closed_record(self) -> bool {
        matches!(self, Self::RecordUnreadable | Self::ClonedDevice)
    }

    /// The code whose stable name is `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
