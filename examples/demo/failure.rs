//! Why the demo does not reach its end.

use std::fmt::{self, Display};
use std::io;

/// What went wrong, for a person to read.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds what was attempted to an I/O error.
pub(crate) trait Attempted<T> {
    fn attempted(self, what: &str) -> Result<T, Failure>;
}

impl<T> Attempted<T> for io::Result<T> {
    fn attempted(self, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure(format!("cannot {what}: {error}")))
    }
}
