//! Writes texts as TOML.

use std::fmt::Write as _;

/// A basic string (TOML 1.0, "String").
#[must_use]
pub(crate) fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\U{:08X}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_read_back_as_it_was() {
        for text in ["", "plain", "a\"b\\c", "two\nlines\t\u{1b}[2J", "\u{7f}\u{85}", "déjà ☃ 🦀"] {
            let document: toml::de::DeTable<'_> =
                toml::de::DeTable::parse(Box::leak(format!("key = {}", quoted(text)).into_boxed_str()))
                    .unwrap()
                    .into_inner();
            assert_eq!(document["key"].get_ref().as_str(), Some(text));
        }
    }
}
