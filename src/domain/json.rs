//! JSON with secrets in it.

use std::io::{self, Write};

use serde::Serialize;
use zeroize::Zeroizing;

/// Returns the JSON of `value`, which is wiped when dropped.
///
/// Its length is counted first: a buffer that grows leaves half a secret behind where it was, and room to spare adds up where
/// thousands of messages wait.
///
/// # Errors
/// When `value` has a map with keys that are no text.
pub(crate) fn to_json(value: &impl Serialize) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    // One kind of writer for both ways, or each type of value would be compiled twice.
    let write_to = |writer: &mut dyn Write| serde_json::to_writer(writer, value);
    let mut length = Length(0);
    write_to(&mut length)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    write_to(&mut *bytes)?;
    debug_assert_eq!(bytes.len(), length.0);
    Ok(bytes)
}

/// Counts what is written to it.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_exactly_the_room_that_it_needs() {
        let json = to_json(&serde_json::json!({ "text": "a \"b\" ü", "numbers": [1, -2.5, null] })).unwrap();
        assert_eq!(std::str::from_utf8(&json), Ok(r#"{"numbers":[1,-2.5,null],"text":"a \"b\" ü"}"#));
        assert_eq!(json.capacity(), json.len());
    }
}
