//! The one place where a secret becomes part of a message.

use serde::{Serialize, Serializer};

use crate::domain::secret::Secret;

/// Writes a secret in the clear: for a token that is published, and for the address that completes a sign-in.
#[allow(clippy::ref_option, reason = "serde hands over the field as it is")]
pub(super) fn exposed<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}
