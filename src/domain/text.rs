//! Text from outside, made fit for a terminal, a log or a page.

/// The longest piece of a provider's text that is passed on, in characters.
const LONGEST: usize = 300;

/// `text` without control characters (escape sequences among them) or marks that turn the direction of writing, on one
/// line, and cut to a length that fits a log.
///
/// Whatever a provider or another client of the broker wrote goes through here before a person sees it.
#[must_use]
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    for (count, c) in text.trim_matches(|c: char| c.is_whitespace() || !is_harmless(c)).chars().enumerate() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        shown.push(if is_harmless(c) { c } else { ' ' });
    }
    shown
}

/// Returns whether every character of `text` may be shown as it is.
#[must_use]
pub(crate) fn is_printable(text: &str) -> bool {
    text.chars().all(is_harmless)
}

fn is_harmless(c: char) -> bool {
    let turns_direction = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separates_lines = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    !c.is_control() && !turns_direction && !separates_lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_hidden_marks_become_spaces() {
        assert_eq!(printable("\u{1b}[2Jgone\r\nnext\u{202e}"), "[2Jgone  next");
        assert_eq!(printable("  déjà vu \u{2603} "), "déjà vu \u{2603}");
    }

    #[test]
    fn a_long_text_is_cut() {
        let shown = printable(&"x".repeat(10_000));
        assert_eq!(shown.chars().count(), LONGEST + 1);
    }
}
