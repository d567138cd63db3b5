//! The bytes of a message.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::domain::json::to_json;

/// The bytes of a message, wiped when they have been sent.
#[derive(Clone)]
pub(crate) struct Payload(Zeroizing<Vec<u8>>);

impl Payload {
    /// The JSON of a message.
    #[must_use]
    pub(crate) fn json(message: &impl Serialize) -> Self {
        let json = to_json(message);
        // Only a map with keys that are no text could fail, and there is none.
        debug_assert!(json.is_ok());
        Self(json.unwrap_or_default())
    }

    /// The bytes.
    #[must_use]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text of the message.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap()
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte_of_a_payload() {
        assert_eq!(format!("{:?}", Payload::json(&"hunter2")), "[9 bytes]");
    }
}
