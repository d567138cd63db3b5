//! The standard's errors, and the signs by which a provider gives them.

use serde::Deserialize;

use super::MemberPath;

/// An error code of the standards, to which a provider's own are mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OauthError {
    /// RFC 8628 3.5.
    AuthorizationPending,
    /// RFC 8628 3.5.
    SlowDown,
    /// RFC 6749 4.1.2.1, RFC 8628 3.5.
    AccessDenied,
    /// RFC 8628 3.5.
    ExpiredToken,
    /// RFC 6749 5.2.
    InvalidGrant,
    /// RFC 6749 5.2.
    InvalidClient,
    /// RFC 6749 5.2.
    UnauthorizedClient,
    /// RFC 6749 5.2.
    InvalidScope,
    /// RFC 6749 5.2.
    InvalidRequest,
    /// RFC 6749 5.2.
    UnsupportedGrantType,
    /// RFC 7009 2.2.1.
    UnsupportedTokenType,
    /// RFC 8707 2.
    InvalidTarget,
    /// OpenID Connect Core 3.1.2.6.
    InteractionRequired,
    /// RFC 6749 4.1.2.1.
    ServerError,
    /// RFC 6749 4.1.2.1.
    TemporarilyUnavailable,
}

impl OauthError {
    /// Every error, by the code of the standard.
    pub(crate) const ALL: [(&'static str, Self); 15] = [
        ("authorization_pending", Self::AuthorizationPending),
        ("slow_down", Self::SlowDown),
        ("access_denied", Self::AccessDenied),
        ("expired_token", Self::ExpiredToken),
        ("invalid_grant", Self::InvalidGrant),
        ("invalid_client", Self::InvalidClient),
        ("unauthorized_client", Self::UnauthorizedClient),
        ("invalid_scope", Self::InvalidScope),
        ("invalid_request", Self::InvalidRequest),
        ("unsupported_grant_type", Self::UnsupportedGrantType),
        ("unsupported_token_type", Self::UnsupportedTokenType),
        ("invalid_target", Self::InvalidTarget),
        ("interaction_required", Self::InteractionRequired),
        ("server_error", Self::ServerError),
        ("temporarily_unavailable", Self::TemporarilyUnavailable),
    ];

    /// The other codes of the standards, and of large providers, that mean the same as one above.
    const ALIKE: [(&'static str, Self); 4] = [
        ("authorization_declined", Self::AccessDenied),
        ("login_required", Self::InteractionRequired),
        ("consent_required", Self::InteractionRequired),
        ("account_selection_required", Self::InteractionRequired),
    ];

    /// The code of the standard.
    #[must_use]
    pub(crate) fn code(self) -> &'static str {
        Self::ALL.iter().find(|(_, error)| *error == self).map_or("", |(code, _)| code)
    }

    /// The error that a standard's code names.
    #[must_use]
    pub(crate) fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().chain(&Self::ALIKE).find(|(own, _)| *own == code).map(|(_, error)| *error)
    }
}

/// An HTTP status that stands for an error, written as a text: the keys of a table are texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct StatusCode(pub(crate) u16);

/// A text that is no status of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no HTTP status of an error, from 400 to 499")]
pub(crate) struct InvalidStatus;

impl TryFrom<String> for StatusCode {
    type Error = InvalidStatus;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // One of 500 or more tells of the server, and ends nothing.
        text.parse().ok().filter(|status| (400..500).contains(status)).map(Self).ok_or(InvalidStatus)
    }
}

/// The sign of an answer that is no error, whatever its HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Success {
    /// Where it is.
    pub(crate) member: MemberPath,
    /// Its value, as a text: a number is compared as it is written, a truth value as `true` or `false`.
    pub(crate) value: String,
}
