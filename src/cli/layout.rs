//! Lines that fit the terminal: broken between words, and what follows stands under its beginning.

use std::os::fd::AsFd;

/// Fewer columns than this are not reckoned with: a word would be all that a line holds.
const FEWEST: usize = 20;

/// How many columns the terminal has; `None` where there is no terminal, and lines stay as they are.
pub(super) fn columns(stream: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// `text` with its lines broken between words where they are longer than `columns`. What follows the break is indented
/// by `hang`, or else as the line itself is.
pub(super) fn wrapped(text: &str, hang: Option<usize>, columns: Option<usize>) -> String {
    let Some(columns) = columns.filter(|columns| *columns >= FEWEST) else { return text.to_owned() };
    let lines = text.split('\n').map(|line| wrapped_line(line, hang, columns));
    lines.collect::<Vec<_>>().join("\n")
}

fn wrapped_line(line: &str, hang: Option<usize>, columns: usize) -> String {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let hang = hang.unwrap_or(indent).min(columns / 2);
    let mut whole = " ".repeat(indent);
    let (mut width, mut is_empty) = (indent, true);
    // Two spaces in a row are two columns of a table; only where the line breaks are they dropped.
    for (gap, word) in words(&line[indent..]) {
        let word_width = visible_width(word);
        if !is_empty && width + gap + word_width > columns {
            whole.push('\n');
            whole.push_str(&" ".repeat(hang));
            width = hang;
        } else {
            whole.push_str(&" ".repeat(gap));
            width += gap;
        }
        whole.push_str(word);
        width += word_width;
        is_empty = false;
    }
    whole
}

/// The words, each with the number of spaces before it.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut gap = 0;
    line.split(' ').enumerate().filter_map(move |(at, word)| {
        if at > 0 {
            gap += 1;
        }
        if word.is_empty() {
            return None;
        }
        Some((std::mem::take(&mut gap), word))
    })
}

/// How many columns a text takes, without what only changes its colour.
pub(super) fn visible_width(text: &str) -> usize {
    let mut width = 0;
    let mut is_escape = false;
    for c in text.chars() {
        match (is_escape, c) {
            (false, '\u{1b}') => is_escape = true,
            (true, 'm') => is_escape = false,
            (true, _) => {}
            (false, _) => width += 1,
        }
    }
    width
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
    fn a_word_that_fits_no_line_stays_whole() {
        let address = "https://login.example.com/device?user_code=ABCD";
        assert_eq!(wrapped(&format!("  {address} x"), None, Some(20)), format!("  {address}\n  x"));
    }
}
