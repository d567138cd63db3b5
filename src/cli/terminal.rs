//! The terminal: its size, and what it can show.

use std::env;
use std::os::fd::AsFd;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use rustix::termios::tcgetwinsize;

/// The terminals that know no more than ASCII when no locale is set: serial consoles, and those that are no terminals at all.
const PLAIN: [&str; 7] = ["", "dumb", "unknown", "ansi", "vt100", "vt102", "vt220"];

/// A terminal, or what takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terminal {
    /// Its columns; `None` for a pipe or a file.
    pub(super) columns: Option<usize>,
    /// Its rows; `None` for a pipe or a file.
    pub(super) rows: Option<usize>,
    /// True if it obeys control sequences. `TERM=dumb`, `NO_COLOR`, `CLICOLOR=0` and a pipe say that it does not.
    pub(super) obeys: bool,
    /// True if it shows more characters than those of ASCII.
    pub(super) unicode: bool,
}

impl Terminal {
    /// Standard output.
    pub(super) fn stdout() -> Self {
        Self::of(&std::io::stdout())
    }

    /// Standard error.
    pub(super) fn stderr() -> Self {
        Self::of(&std::io::stderr())
    }

    fn of(out: &(impl RawStream + AsFd)) -> Self {
        let size = tcgetwinsize(out).ok();
        let at_least_one = |size: u16| Some(usize::from(size)).filter(|size| *size > 0);
        let is_terminal = out.is_terminal();
        let variable = |name: &str| env::var(name).unwrap_or_default();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(variable).into_iter().find(|value| !value.is_empty());
        Self {
            columns: size.and_then(|size| at_least_one(size.ws_col)),
            rows: size.and_then(|size| at_least_one(size.ws_row)),
            obeys: is_terminal && AutoStream::choice(out) != ColorChoice::Never,
            unicode: shows_unicode(locale.as_deref(), &variable("TERM"), is_terminal),
        }
    }

    /// `text` as this terminal can show it.
    pub(super) fn fit(self, text: String) -> String {
        if self.unicode || text.is_ascii() { text } else { ascii(&text) }
    }
}

/// Returns whether more than ASCII is shown. Without a locale that is so of every usual terminal but the plainest.
fn shows_unicode(locale: Option<&str>, term: &str, is_terminal: bool) -> bool {
    match locale.map(str::to_ascii_lowercase) {
        Some(locale) if is_terminal => locale.contains("utf-8") || locale.contains("utf8"),
        None if is_terminal => !PLAIN.contains(&term),
        _ => true,
    }
}

/// The nearest text in ASCII.
fn ascii(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '…' => shown.push_str("..."),
            '–' | '—' => shown.push('-'),
            '‘' | '’' => shown.push('\''),
            '“' | '”' => shown.push('"'),
            c if c.is_ascii() => shown.push(c),
            _ => shown.push('?'),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_says_what_a_terminal_shows_and_else_its_kind() {
        for (locale, term, unicode) in [
            (Some("de_DE.UTF-8"), "linux", true),
            (Some("C.utf8"), "vt220", true),
            (Some("C"), "xterm-256color", false),
            (Some("de_DE.ISO-8859-1"), "xterm", false),
            (None, "xterm-256color", true),
            (None, "linux", true),
            (None, "vt220", false),
            (None, "dumb", false),
        ] {
            assert_eq!(shows_unicode(locale, term, true), unicode, "{locale:?} {term}");
        }
        assert!(shows_unicode(Some("C"), "dumb", false), "a pipe takes every byte");
    }

    #[test]
    fn a_text_in_ascii_says_the_same_as_far_as_it_can() {
        assert_eq!(ascii("a … – “b” é"), "a ... - \"b\" ?");
    }
}
