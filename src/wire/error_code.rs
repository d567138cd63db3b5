//! The error codes of requests.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::fault::FaultCode;

/// Why a request was refused or failed, as a stable name. The names are part of the contract with flows and scripts, and
/// `docs/mqtt.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    /// There is no such verb.
    UnknownVerb,
    /// There is no such account.
    UnknownAccount,
    /// The account has no such further token.
    UnknownToken,
    /// Too many requests wait for an answer.
    Busy,
    /// The requests of this kind come faster than they are taken.
    TooManyRequests,
    /// Declarations change faster than they are taken.
    TooManyChanges,
    /// No further account can be declared.
    TooManyAccounts,
    /// The configuration has no `[provisioning]`.
    ProvisioningDisabled,
    /// The configuration has no `[gate]`.
    GateDisabled,
    /// The account is in the configuration file.
    DeclaredInFile,
    /// The settings of a declared account are not allowed, or are wrong.
    InvalidDeclaration,
    /// The configuration file is wrong, so the former one stays in force.
    BadConfiguration,
    /// The response topic may be carried to another broker, and a token must not.
    TokenIsLocal,
    /// The token is on its retained topic.
    TokenIsRetained,
    /// There is no access token that is good now.
    NoToken,
    /// There is nothing to refresh.
    NotSignedIn,
    /// No sign-in is pending.
    NothingPending,
    /// Another request cancelled the sign-in.
    Cancelled,
    /// The refresh token in the file was imported before.
    AlreadyImported,
    /// The account is being signed out.
    SigningOut,
    /// The broker accepts no packet as large as the response.
    ResponseTooLarge,
    /// A fault of an account: the names in `status`.
    Fault(FaultCode),
}

/// The exit code of a command whose request failed or was refused.
const FAILED: u8 = 1;

/// The exit code after a fault that may pass (`EX_TEMPFAIL`).
const TRY_AGAIN: u8 = 75;

/// The exit code after a wrong configuration (`EX_CONFIG`).
const CONFIG: u8 = 78;

impl ErrorCode {
    /// The codes that are not those of a fault, in the order of the table in the documentation.
    pub(crate) const OF_REQUESTS: [Self; 21] = [
        Self::UnknownVerb,
        Self::UnknownAccount,
        Self::UnknownToken,
        Self::Busy,
        Self::TooManyRequests,
        Self::TooManyChanges,
        Self::TooManyAccounts,
        Self::ProvisioningDisabled,
        Self::GateDisabled,
        Self::DeclaredInFile,
        Self::InvalidDeclaration,
        Self::BadConfiguration,
        Self::TokenIsLocal,
        Self::TokenIsRetained,
        Self::NoToken,
        Self::NotSignedIn,
        Self::NothingPending,
        Self::Cancelled,
        Self::AlreadyImported,
        Self::SigningOut,
        Self::ResponseTooLarge,
    ];

    /// The stable name.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UnknownVerb => "unknown_verb",
            Self::UnknownAccount => "unknown_account",
            Self::UnknownToken => "unknown_token",
            Self::Busy => "busy",
            Self::TooManyRequests => "too_many_requests",
            Self::TooManyChanges => "too_many_changes",
            Self::TooManyAccounts => "too_many_accounts",
            Self::ProvisioningDisabled => "provisioning_disabled",
            Self::GateDisabled => "gate_disabled",
            Self::DeclaredInFile => "declared_in_file",
            Self::InvalidDeclaration => "invalid_declaration",
            Self::BadConfiguration => "bad_configuration",
            Self::TokenIsLocal => "token_is_local",
            Self::TokenIsRetained => "token_is_retained",
            Self::NoToken => "no_token",
            Self::NotSignedIn => "not_signed_in",
            Self::NothingPending => "nothing_pending",
            Self::Cancelled => "cancelled",
            Self::AlreadyImported => "already_imported",
            Self::SigningOut => "signing_out",
            Self::ResponseTooLarge => "response_too_large",
            Self::Fault(code) => code.name(),
        }
    }

    /// The code of that name.
    #[must_use]
    pub(crate) fn find(name: &str) -> Option<Self> {
        let own = Self::OF_REQUESTS.into_iter().find(|code| code.name() == name);
        own.or_else(|| FaultCode::from_name(name).map(Self::Fault))
    }

    /// Returns whether the same request may succeed later, although nobody has changed anything.
    #[must_use]
    pub(crate) fn may_pass(self) -> bool {
        match self {
            Self::Busy | Self::TooManyRequests | Self::TooManyChanges | Self::SigningOut => true,
            Self::Fault(code) => matches!(
                code,
                FaultCode::ProviderUnreachable
                    | FaultCode::ProviderTimeout
                    | FaultCode::ProviderUnavailable
                    | FaultCode::RateLimited
                    | FaultCode::TlsFailed
                    | FaultCode::NotOauth
                    | FaultCode::AnswerMalformed
                    | FaultCode::StoreFailed
            ),
            _ => false,
        }
    }

    /// The exit code of a command that gets this answer.
    #[must_use]
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::BadConfiguration => CONFIG,
            code if code.may_pass() => TRY_AGAIN,
            _ => FAILED,
        }
    }
}

impl From<FaultCode> for ErrorCode {
    fn from(code: FaultCode) -> Self {
        Self::Fault(code)
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::find(&name).ok_or_else(|| serde::de::Error::custom("an unknown error code"))
    }
}

/// Why a request was refused or failed: a code for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestError {
    /// The code.
    pub code: ErrorCode,
    /// The error, and the next step.
    pub message: String,
}

impl RequestError {
    /// An error with a code and a sentence.
    pub(crate) fn new(code: impl Into<ErrorCode>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// A request that is malformed.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(FaultCode::InvalidRequest, message)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use super::*;

    fn all() -> impl Iterator<Item = ErrorCode> {
        ErrorCode::OF_REQUESTS.into_iter().chain(FaultCode::ALL.map(ErrorCode::Fault))
    }

    #[test]
    fn every_code_has_a_name_of_its_own_and_is_found_by_it() {
        let names: HashSet<_> = all().map(ErrorCode::name).collect();
        assert_eq!(names.len(), all().count());
        for code in all() {
            assert_eq!(ErrorCode::find(code.name()), Some(code));
        }
    }

    #[test]
    fn the_table_in_the_documentation_is_that_of_the_program() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mqtt.md");
        let page = fs::read_to_string(path).unwrap();
        let (_, table) = page.split_once("## Error codes").unwrap();
        let (table, _) = table.split_once("## Limits").unwrap();
        let found: HashSet<_> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .filter_map(|(name, rest)| Some((name, rest.split_once(' ')?.0.parse().unwrap_or(0))))
            .collect();
        let malformed = ErrorCode::Fault(FaultCode::InvalidRequest);
        let codes = ErrorCode::OF_REQUESTS.into_iter().chain([malformed]);
        assert_eq!(found, codes.map(|code| (code.name(), code.exit_code())).collect(), "{path}");
        let passing = FaultCode::ALL.map(ErrorCode::Fault).into_iter().filter(|code| code.may_pass());
        let passing: Vec<_> = passing.map(|code| format!("`{}`", code.name())).collect();
        let line = format!("these are such: {}.", passing.join(", "));
        assert!(table.replace('\n', " ").contains(&line), "{path} should say:\n{line}");
    }
}
