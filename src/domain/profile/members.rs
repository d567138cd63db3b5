//! The members of answers, and where they are.

use serde::Deserialize;

/// A member of an answer, by its standard name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Member {
    /// RFC 6749 5.1.
    AccessToken,
    /// RFC 6749 5.1.
    TokenType,
    /// Seconds (RFC 6749 5.1).
    ExpiresIn,
    /// RFC 6749 5.1.
    RefreshToken,
    /// Seconds, 0 for ever; no standard has it.
    RefreshTokenExpiresIn,
    /// RFC 6749 5.1.
    Scope,
    /// OpenID Connect Core 3.1.3.3.
    IdToken,
    /// RFC 8628 3.2.
    DeviceCode,
    /// RFC 8628 3.2.
    UserCode,
    /// RFC 8628 3.2.
    VerificationUri,
    /// RFC 8628 3.2.
    VerificationUriComplete,
    /// Seconds (RFC 8628 3.2).
    Interval,
    /// RFC 6749 5.2.
    ErrorDescription,
}

impl Member {
    /// The names that it has at the top of an answer: that of the standard, and those that are often used in its place.
    #[must_use]
    pub(crate) fn usual_names(self) -> &'static [&'static str] {
        match self {
            Self::AccessToken => &["access_token"],
            Self::TokenType => &["token_type"],
            Self::ExpiresIn => &["expires_in"],
            Self::RefreshToken => &["refresh_token"],
            Self::RefreshTokenExpiresIn => {
                &["refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"]
            }
            Self::Scope => &["scope"],
            Self::IdToken => &["id_token"],
            Self::DeviceCode => &["device_code"],
            Self::UserCode => &["user_code"],
            Self::VerificationUri => &["verification_uri", "verification_url"],
            Self::VerificationUriComplete => &["verification_uri_complete", "verification_url_complete"],
            Self::Interval => &["interval"],
            Self::ErrorDescription => &["error_description"],
        }
    }
}

/// The way to a member through the objects and lists of a JSON text: names, and numbers of a list from 0, with dots
/// between them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct MemberPath(String);

/// A text that is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no path to a member: write names with single dots between them, such as \"body.access_token\"")]
pub(crate) struct InvalidPath;

impl TryFrom<String> for MemberPath {
    type Error = InvalidPath;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = text.is_empty() || text.split('.').all(|step| !step.trim().is_empty());
        good.then_some(Self(text)).ok_or(InvalidPath)
    }
}

impl MemberPath {
    /// The names on the way, outermost first; none of an empty path, which names nothing.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &str> {
        self.0.split('.').filter(|step| !step.is_empty())
    }

    /// Returns whether it names nothing.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
