//! What can go wrong, and what follows from it.

mod advice;
mod code;

use std::fmt;
use std::time::Duration;

pub use advice::SignInSource;
pub use code::FaultCode;

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

impl Fault {
    /// A passing fault: the same is tried again.
    pub fn passing(code: FaultCode, message: impl Into<String>) -> Self {
        Self::new(code, message, Remedy::TryAgain { after: None })
    }

    /// A fault after which only the user can help.
    pub fn ask_user(code: FaultCode, message: impl Into<String>) -> Self {
        Self::new(code, message, Remedy::AskUser)
    }

    /// A fault of the set-up.
    pub fn reconfigure(code: FaultCode, message: impl Into<String>) -> Self {
        Self::new(code, message, Remedy::Reconfigure)
    }

    fn new(code: FaultCode, message: impl Into<String>, remedy: Remedy) -> Self {
        Self { code, message: message.into(), remedy, in_doubt: false, source: SignInSource::default() }
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
    fn a_fault_reads_as_what_happened_then_what_to_do() {
        let fault = Fault::passing(FaultCode::RateLimited, "The provider answered HTTP 429.");
        assert_eq!(
            fault.to_string(),
            "rate_limited: The provider answered HTTP 429. Nothing to do; the agent tries again by itself."
        );
    }
}
