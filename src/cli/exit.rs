//! The exit codes of the commands.

use std::process::ExitCode;

use crate::broker::CallError;
use crate::config::ConfigError;
use crate::domain::text::printable;
use crate::wire::{ErrorCode, RequestError};

/// The exit codes, those of `sysexits.h` where one fits. They are part of the contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// It failed or was refused.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The broker cannot be reached, or no agent is running (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// A fault that may pass (`EX_TEMPFAIL`).
    TryAgain = 75,
    /// An account needs somebody (`EX_NOPERM`).
    NeedsSomebody = 77,
    /// The configuration is wrong (`EX_CONFIG`).
    Config = 78,
}

/// A command that failed: its message and its exit code.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// The failure to write to the terminal or to a pipe.
    pub(super) fn output(error: &std::io::Error) -> Self {
        Self::new(Exit::Failed, format!("the output cannot be written: {error}."))
    }

    /// A message of the agent that is not as expected.
    pub(super) fn not_understood() -> Self {
        Self::new(Exit::Failed, "the agent's message is not understood. Are agent and command of the same version?")
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Self {
        let exits = [Self::Config, Self::TryAgain];
        exits.into_iter().find(|exit| *exit as u8 == code.exit_code()).unwrap_or(Self::Failed)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Config, error.to_string())
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::new(Exit::Unavailable, error.to_string())
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::new(error.code.into(), printable(&error.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::FaultCode;

    #[test]
    fn the_exit_code_of_a_refused_request_is_that_of_its_error_code() {
        for code in ErrorCode::OF_REQUESTS.into_iter().chain(FaultCode::ALL.map(ErrorCode::Fault)) {
            assert_eq!(Exit::from(code) as u8, code.exit_code(), "{code:?}");
        }
    }
}
