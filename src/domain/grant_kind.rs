//! The grants that an account can use, and a provider can have.

use serde::Deserialize;

/// A grant by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GrantKind {
    /// The device authorization grant (RFC 8628).
    DeviceCode,
    /// The authorization code grant (RFC 6749 4.1).
    AuthorizationCode,
    /// The client credentials grant (RFC 6749 4.4).
    ClientCredentials,
    /// The JWT bearer grant (RFC 7523 2.1).
    JwtBearer,
    /// A refresh token from elsewhere (RFC 6749 6).
    RefreshToken,
    /// The resource owner password credentials grant (RFC 6749 4.3).
    Password,
}

impl GrantKind {
    /// The grants that bring new tokens at any time, without a user.
    pub(crate) const UNATTENDED: [Self; 3] = [Self::ClientCredentials, Self::JwtBearer, Self::Password];

    /// The value of `grant` in an account.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DeviceCode => "device_code",
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::JwtBearer => "jwt_bearer",
            Self::RefreshToken => "refresh_token",
            Self::Password => "password",
        }
    }

    /// True if it may bring a refresh token, by which further tokens are had (RFC 6749 6).
    #[must_use]
    pub(crate) fn has_refresh_token(self) -> bool {
        !matches!(self, Self::ClientCredentials | Self::JwtBearer)
    }

    /// True if a user approves each sign-in.
    #[must_use]
    pub(crate) fn has_user(self) -> bool {
        matches!(self, Self::DeviceCode | Self::AuthorizationCode)
    }
}
