//! How a command ends.

use std::process::ExitCode;

use crate::broker::CallError;
use crate::config::ConfigError;

/// The exit codes, those of `sysexits.h` where one fits. They are part of the contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// It failed or was refused.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// No broker can be reached, or no agent is running (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// A passing fault (`EX_TEMPFAIL`).
    TryAgain = 75,
    /// An account needs somebody (`EX_NOPERM`).
    NeedsSomebody = 77,
    /// The configuration is bad (`EX_CONFIG`).
    Config = 78,
}

/// A command that ended badly: what to say, and with which code.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// What could not be said to the terminal, because it is gone, concerns nobody any more.
    pub(super) fn output(error: &std::io::Error) -> Self {
        Self::new(Exit::Failed, format!("the output cannot be written: {error}."))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
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
