//! Text from outside, made fit for a terminal, a log or a page.

/// The longest piece of a provider's text that is passed on, in characters.
const LONGEST: usize = 300;

/// The most combining characters on one letter. Languages need two; more only draw over the lines around.
const MOST_COMBINING: usize = 2;

/// `text` on one line, without characters that control a terminal, change the direction of writing, or cannot be seen, and cut
/// to a length that fits a log. Each of them becomes a space.
///
/// Whatever a provider or another client of the broker wrote goes through here before a person sees it.
#[must_use]
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    let mut combining = MOST_COMBINING;
    for (count, c) in text.trim_matches(|c: char| c.is_whitespace() || !is_harmless(c)).chars().enumerate() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        combining = if is_combining(c) { combining + 1 } else { 0 };
        shown.push(if is_harmless(c) && combining <= MOST_COMBINING { c } else { ' ' });
    }
    shown
}

/// Returns whether `text` may be shown as it is.
#[must_use]
pub(crate) fn is_printable(text: &str) -> bool {
    let marks = text.chars().scan(MOST_COMBINING, |marks, c| {
        *marks = if is_combining(c) { *marks + 1 } else { 0 };
        Some(*marks)
    });
    text.chars().all(is_harmless) && marks.max().is_none_or(|marks| marks <= MOST_COMBINING)
}

fn is_harmless(c: char) -> bool {
    // Most are of these, and they are told at once.
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    !c.is_control() && !turns_direction(c) && !separates_lines(c) && !is_invisible(c)
}

/// Returns whether the character changes the direction of writing (Unicode Standard Annex 9).
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn separates_lines(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Returns whether nothing is seen of the character: zero-width characters, fillers, variation selectors, tags, and those that are for
/// programs alone. Two texts that differ in these look alike.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{f0000}'..='\u{10ffff}'
    )
}

/// Returns whether the character is drawn on the one before it: the blocks of combining characters that no single language has.
fn is_combining(c: char) -> bool {
    !c.is_ascii()
        && matches!(
            c,
            '\u{300}'..='\u{36f}'
                | '\u{483}'..='\u{489}'
                | '\u{1ab0}'..='\u{1aff}'
                | '\u{1dc0}'..='\u{1dff}'
                | '\u{20d0}'..='\u{20ff}'
                | '\u{fe20}'..='\u{fe2f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_hidden_marks_become_spaces() {
        assert_eq!(printable("\u{1b}[2Jgone\r\nnext\u{202e}"), "[2Jgone  next");
        assert_eq!(printable("  déjà vu \u{2603} "), "déjà vu \u{2603}");
        for hidden in
            ["\u{61c}", "\u{200b}", "\u{200d}", "\u{ad}", "\u{2060}", "\u{feff}", "\u{fe0f}", "\u{e0041}", "\u{3164}"]
        {
            assert_eq!(printable(&format!("ad{hidden}min")), "ad min", "{}", hidden.escape_unicode());
            assert!(!is_printable(hidden), "{}", hidden.escape_unicode());
        }
    }

    #[test]
    fn of_ascii_all_but_the_control_characters_stay() {
        let ascii = (0..128_u8).map(char::from).filter(|c| *c != ' ').collect::<String>();
        let shown: String = printable(&ascii).chars().filter(|c| *c != ' ').collect();
        assert_eq!(shown, ('!'..='~').collect::<String>());
    }

    #[test]
    fn letters_keep_their_accents_and_no_stack_of_them() {
        let accented = "e\u{301}a\u{302}\u{323}";
        assert_eq!(printable(accented), accented);
        let stacked = format!("x{}y", "\u{301}".repeat(50));
        assert_eq!(printable(&stacked), format!("x\u{301}\u{301}{}y", " ".repeat(48)));
        assert!(is_printable(accented) && !is_printable(&stacked));
        assert!(!is_printable("\u{301}x"), "there is no letter for it to be on");
    }

    #[test]
    fn other_scripts_stay_as_they_are() {
        for text in ["Ω Жанна 漢字 かな", "नमस्ते", "สวัสดี", "שלום"] {
            assert_eq!(printable(text), text);
            assert!(is_printable(text));
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let shown = printable(&"x".repeat(10_000));
        assert_eq!(shown.chars().count(), LONGEST + 1);
    }
}
