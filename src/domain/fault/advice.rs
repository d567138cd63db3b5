//! The next step after a fault, which depends on where an account's sign-ins come from.

use super::code::FaultCode;

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

impl FaultCode {
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
}
