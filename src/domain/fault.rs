//! What can go wrong, and what follows from it.

use std::fmt;
use std::time::Duration;

/// One thing that went wrong: a stable code for programs, a sentence for people, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which of the known faults it is.
    pub code: FaultCode,
    /// The event in one sentence; free of secrets and of control characters.
    pub message: String,
    /// The agent's reaction.
    pub remedy: Remedy,
    /// True if the other side may have carried the request out although its answer is not known.
    pub in_doubt: bool,
    /// The source of the account's sign-ins, on which the next step depends.
    pub source: SignInSource,
}

/// The source of an account's sign-ins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignInSource {
    /// A user approves each.
    #[default]
    User,
    /// The configuration holds what is needed: nobody signs in.
    Configuration,
    /// A file with a refresh token, good once.
    File,
}

/// The agent's reaction to a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A passing fault: the same is tried again, not before the time the other side asked for (`Retry-After`).
    TryAgain {
        /// The least wait that the other side asked for.
        after: Option<Duration>,
    },
    /// The grant or the sign-in has ended; only the user can give a new one.
    AskUser,
    /// Something is set up wrongly; until that is changed, trying again is of little use.
    Reconfigure,
}

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

    /// Returns the next step, in one sentence, for an account whose sign-ins come from `source`.
    #[must_use]
    pub fn advice(self, source: SignInSource) -> &'static str {
        let without_user = match source {
            SignInSource::User => None,
            SignInSource::Configuration => self.advice_for_machine(),
            SignInSource::File => self.advice_for_import(),
        };
        without_user.unwrap_or_else(|| self.advice_for_user())
    }

    /// The next step where nobody can sign in, if it is another one then.
    fn advice_for_machine(self) -> Option<&'static str> {
        Some(match self {
            Self::AccessDenied => "Allow the account's client, or its user, at the provider.",
            Self::CodeExpired | Self::InvalidGrant | Self::RefreshInterrupted => {
                "Check what the account signs in with, such as its key, subject or password, and the device's clock."
            }
            Self::ProviderRefused => "Look the error up in the provider's documentation.",
            Self::InteractionRequired => {
                "Allow the account to sign in without a person at the provider, or choose another grant."
            }
            Self::NoRefreshToken => "Nothing to do; the agent asks for another token by itself.",
            Self::ClientChanged => "Nothing to do; the agent signs in by itself.",
            Self::RecordUnreadable | Self::ClonedDevice => {
                "Nothing to do; what was stored is not needed, and the agent signs in by itself."
            }
            _ => return None,
        })
    }

    /// The next step where a refresh token in a file is the sign-in, if it is another one then.
    fn advice_for_import(self) -> Option<&'static str> {
        Some(match self {
            Self::AccessDenied
            | Self::CodeExpired
            | Self::InvalidGrant
            | Self::NoRefreshToken
            | Self::RefreshInterrupted
            | Self::InteractionRequired => "Put another refresh token into refresh_token_file, and reload.",
            Self::ProviderRefused => {
                "Look the error up in the provider's documentation, or put another refresh token into \
                 refresh_token_file and reload."
            }
            Self::ClientChanged => {
                "Put another refresh token into refresh_token_file and reload, or put the former provider and \
                 client_id back."
            }
            Self::RecordUnreadable => {
                "Put the store's former key back, or put another refresh token into refresh_token_file and reload."
            }
            Self::ClonedDevice => {
                "Put a refresh token of its own into refresh_token_file on this device, and reload; a copied card does \
                 not carry the sign-in of another."
            }
            _ => return None,
        })
    }

    fn advice_for_user(self) -> &'static str {
        match self {
            Self::AccessDenied => "Sign in again and approve the request, as a user who may.",
            Self::CodeExpired => "Sign in again and approve the code before it expires.",
            Self::InvalidGrant => "Sign in again; the provider has ended this sign-in.",
            Self::InvalidClient => "Check client_id, client_secret_file and client_auth against the registration.",
            Self::UnauthorizedClient => "Allow the account's grant in the provider's registration of the client.",
            Self::InvalidScope => "Check scopes against what the provider offers to this client and grant.",
            Self::InvalidRequest => "Check the account's settings against the provider's documentation.",
            Self::UnsupportedGrantType => "Choose another grant, or a provider or endpoint that has this one.",
            Self::ProviderRefused => "Look the error up in the provider's documentation, then sign in again.",
            Self::ProviderUnreachable => "Nothing to do if it passes; else check network, name resolution and proxy.",
            Self::ProviderTimeout => "Nothing to do if it passes; else check network and proxy.",
            Self::TlsFailed => "Check the device's clock, the address, and ca_file for a private authority.",
            Self::ProviderUnavailable | Self::RateLimited => "Nothing to do; the agent tries again by itself.",
            Self::NotOauth => "Look for a captive portal or proxy between, and check the endpoint's address.",
            Self::AnswerMalformed => "Check the endpoint's address; report it if the provider is a known one.",
            Self::TokenTypeUnsupported => "Register the client for Bearer tokens.",
            Self::DiscoveryFailed => "Check issuer, or name the endpoints in the configuration.",
            Self::NoRefreshToken => "Ask for offline access (for example the scope offline_access), then sign in.",
            Self::RefreshInterrupted => "Sign in again; the answer to a refresh was lost and cannot be had twice.",
            Self::InteractionRequired => "Sign in again; the provider wants to see the user.",
            Self::NotAllowed => "Sign in as somebody whom the account's allow names, or change allow.",
            Self::IdentityUnknown => "Sign in again; if it stays, check that scopes has openid and email.",
            Self::RedirectInvalid => "Start the sign-in again, and use the newest address alone.",
            Self::NotRevoked => "Take this device's access away in the account's settings at the provider.",
            Self::ClientChanged => "Sign in again, or put the former provider and client_id back.",
            Self::RecordUnreadable => "Put the store's former key back, or sign in again.",
            Self::ClonedDevice => {
                "Sign in on this device too; a copied card does not carry the sign-in of another device."
            }
            Self::StoreFailed => "Make room on the disk, or see why it is read-only; no sign-in is lost meanwhile.",
            Self::TokenRefused => {
                "Raise the broker's largest packet, or give the agent's user the right to publish there."
            }
        }
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Fault {
    /// A passing fault: the same is tried again.
    pub fn passing(code: FaultCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            remedy: Remedy::TryAgain { after: None },
            in_doubt: false,
            source: SignInSource::default(),
        }
    }

    /// A fault after which only the user can help.
    pub fn ask_user(code: FaultCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            remedy: Remedy::AskUser,
            in_doubt: false,
            source: SignInSource::default(),
        }
    }

    /// A fault of the set-up.
    pub fn reconfigure(code: FaultCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            remedy: Remedy::Reconfigure,
            in_doubt: false,
            source: SignInSource::default(),
        }
    }

    /// The same fault, after which nobody knows whether the request was carried out.
    #[must_use]
    pub fn in_doubt(mut self) -> Self {
        self.in_doubt = true;
        self
    }

    /// The same fault, of an account whose sign-ins come from `source`.
    #[must_use]
    pub fn of_account(mut self, source: SignInSource) -> Self {
        self.source = source;
        self
    }

    /// Returns the next step, in one sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        self.code.advice(self.source)
    }

    /// The same passing fault, with the wait that the other side asked for.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        if let Remedy::TryAgain { after } = &mut self.remedy {
            *after = wait;
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.code, self.message, self.advice())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own_and_a_next_step() {
        let names: std::collections::HashSet<_> = FaultCode::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), FaultCode::ALL.len());
        for code in FaultCode::ALL {
            assert_eq!(FaultCode::from_name(code.name()), Some(code));
            for source in [SignInSource::User, SignInSource::Configuration, SignInSource::File] {
                assert!(code.advice(source).ends_with('.'), "{code}");
            }
        }
    }

    #[test]
    fn where_nobody_signs_in_nobody_is_told_to() {
        // These are only ever said of a user's sign-in.
        let of_user = [FaultCode::NotAllowed, FaultCode::IdentityUnknown, FaultCode::RedirectInvalid];
        for code in FaultCode::ALL.into_iter().filter(|code| !of_user.contains(code)) {
            for source in [SignInSource::Configuration, SignInSource::File] {
                let advice = code.advice(source).to_lowercase();
                assert!(!advice.contains("sign in again") && !advice.contains("then sign in"), "{code}: {advice}");
            }
        }
    }

    #[test]
    fn a_fault_reads_as_what_happened_then_what_to_do() {
        let fault = Fault::passing(FaultCode::RateLimited, "The provider answered HTTP 429.");
        assert_eq!(
            fault.to_string(),
            "rate_limited: The provider answered HTTP 429. Nothing to do; the agent tries again by itself."
        );
    }
}
