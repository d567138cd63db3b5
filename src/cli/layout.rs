//! Text that fits the terminal: lines are broken between words, and continue below their beginning.

use textwrap::{Options, WordSeparator, WordSplitter};

/// The least width, in columns, for which lines are broken: on fewer, a line would hold a single word.
const FEWEST: usize = 20;

/// `text` with the lines broken that are longer than `columns`. What follows a break is indented by `hang`, or as the line
/// itself is. Colours take no room, and two spaces stay two spaces.
pub(super) fn wrapped(text: &str, hang: Option<usize>, columns: Option<usize>) -> String {
    let Some(columns) = columns.filter(|columns| *columns >= FEWEST) else { return text.to_owned() };
    let lines = text.split('\n').map(|line| {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let hang = " ".repeat(hang.unwrap_or(indent).min(columns / 2));
        let options = Options::new(columns)
            .initial_indent(&line[..indent])
            .subsequent_indent(&hang)
            .break_words(false)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation);
        textwrap::wrap(&line[indent..], options).join("\n")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The number of columns that a text takes, without the sequences that change its colour.
pub(super) fn visible_width(text: &str) -> usize {
    textwrap::core::display_width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_between_words_and_goes_on_under_its_beginning() {
        let text = "  one two three four five six\nseven";
        assert_eq!(wrapped(text, None, Some(20)), "  one two three four\n  five six\nseven");
        assert_eq!(wrapped(text, Some(6), Some(20)), "  one two three four\n      five six\nseven");
        assert_eq!(wrapped(text, None, None), text);
    }

    #[test]
    fn colours_take_no_room_and_columns_of_a_table_stay() {
        let styled = "\u{1b}[1mgoogle\u{1b}[0m    active  x";
        assert_eq!(wrapped(styled, None, Some(20)), styled);
        assert_eq!(visible_width(styled), 19);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(visible_width("漢字"), 4);
    }

    #[test]
    fn a_word_that_fits_no_line_stays_whole() {
        let address = "https://login.example.com/device?user_code=ABCD";
        assert_eq!(wrapped(&format!("  {address} x"), None, Some(20)), format!("  {address}\n  x"));
    }
}
