//! The bytes of a message.

use serde::Serialize;
use zeroize::Zeroizing;

/// The bytes of a message, wiped when they have been sent.
#[derive(Clone)]
pub(crate) struct Payload(Zeroizing<Vec<u8>>);

impl Payload {
    /// The JSON of a message.
    #[must_use]
    pub(crate) fn json(message: &impl Serialize) -> Self {
        // Counted first, because growing would leave copies behind, and room to spare adds up where thousands wait.
        let mut length = Length(0);
        let counted = serde_json::to_writer(&mut length, message);
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
        let written = serde_json::to_writer(&mut *bytes, message);
        // Only a map with keys that are no text could fail, and there is none.
        debug_assert!(counted.is_ok() && written.is_ok() && bytes.len() == length.0);
        Self(bytes)
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

/// Counts what is written to it.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
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
