//! Lines of any length from standard input.
//!
//! A terminal cuts a line at 4,095 bytes while it lets it be edited (termios(3)). The address that a browser is sent back to can
//! be longer, and its end is what is missing then. So the terminal is set otherwise while lines are read; a signal that ends the
//! program from outside, such as SIGTERM, leaves it set so, and `stty sane` sets it right again.

use std::io::BufRead;

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// The longest line, in bytes; what is beyond is left out.
const LONGEST: usize = 16 * 1024;

/// A standard input that cuts no line, until this is dropped.
pub(super) struct WholeLines {
    former: Option<Termios>,
}

impl WholeLines {
    /// Has the terminal pass on each character as it comes; a pipe or a file does so anyway.
    pub(super) fn from_stdin() -> Self {
        let stdin = std::io::stdin();
        let former = tcgetattr(&stdin).ok().filter(|former| {
            let mut whole = former.clone();
            whole.local_modes -= LocalModes::ICANON | LocalModes::ISIG;
            whole.special_codes[SpecialCodeIndex::VMIN] = 1;
            whole.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(&stdin, OptionalActions::Now, &whole).is_ok()
        });
        Self { former }
    }

    /// The reader of the lines, for a thread of its own.
    pub(super) fn reader(&self) -> LineReader {
        LineReader { former: self.former.clone() }
    }
}

impl Drop for WholeLines {
    fn drop(&mut self) {
        restore(self.former.as_ref());
    }
}

fn restore(former: Option<&Termios>) {
    if let Some(former) = former {
        // A terminal that has gone needs nothing.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, former);
    }
}

/// Reads the lines.
pub(super) struct LineReader {
    former: Option<Termios>,
}

impl LineReader {
    /// The next line, without its end; `None` if there is no further one.
    pub(super) fn next_line(&self) -> Option<Zeroizing<String>> {
        match read(&mut std::io::stdin().lock(), self.former.is_some()) {
            Input::Line(line) => Some(line),
            Input::End => None,
            Input::Interrupt => {
                restore(self.former.as_ref());
                // As if the terminal had sent the signal, which it leaves to this program now.
                let _ = kill_process(getpid(), Signal::INT);
                None
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Input {
    Line(Zeroizing<String>),
    End,
    Interrupt,
}

/// Reads a line. Of a terminal, the keys that correct or end a line, or interrupt the program, do so here.
fn read(from: &mut impl BufRead, is_terminal: bool) -> Input {
    // Large enough at once: growing would leave a copy of the code behind.
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let whole = |line: &[u8]| Input::Line(Zeroizing::new(String::from_utf8_lossy(line).into_owned()));
    loop {
        let Some(byte) = from.fill_buf().ok().and_then(|bytes| bytes.first().copied()) else {
            return if line.is_empty() { Input::End } else { whole(&line) };
        };
        from.consume(1);
        match byte {
            b'\n' => return whole(&line),
            // Ctrl-C and Ctrl-\, Ctrl-D, backspace, Ctrl-U.
            0x03 | 0x1c if is_terminal => return Input::Interrupt,
            0x04 if is_terminal => return if line.is_empty() { Input::End } else { whole(&line) },
            0x08 | 0x7f if is_terminal => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            0x15 if is_terminal => line.clear(),
            // Other keys, and whatever a terminal puts around what is pasted, belong to no address.
            byte if is_terminal && byte.is_ascii_control() => {}
            byte if line.len() < LONGEST => line.push(byte),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Input {
        Input::Line(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn a_line_of_any_length_is_whole_and_the_next_one_follows() {
        let long = "x".repeat(10_000);
        let mut input = std::io::Cursor::new(format!("{long}\nrest"));
        assert_eq!(read(&mut input, true), line(&long));
        assert_eq!(read(&mut input, true), line("rest"));
        assert_eq!(read(&mut input, true), Input::End);
        let mut endless = std::io::Cursor::new("x".repeat(2 * LONGEST) + "\nnext\n");
        assert_eq!(read(&mut endless, false), line(&"x".repeat(LONGEST)));
        assert_eq!(read(&mut endless, false), line("next"));
    }

    #[test]
    fn the_keys_of_a_terminal_do_what_the_terminal_would_have_done() {
        let typed = |text: &str| read(&mut text.as_bytes(), true);
        assert_eq!(typed("ax\u{7f}b\u{e9}\u{8}c\n"), line("abc"));
        assert_eq!(typed("wrong\u{15}right\n"), line("right"));
        assert_eq!(typed("a\u{17}b\tc\u{0}\r\n"), line("abc"));
        assert_eq!(typed("a\u{3}"), Input::Interrupt);
        assert_eq!((typed("\u{4}more"), typed("a\u{4}")), (Input::End, line("a")));
        assert_eq!(read(&mut "a\u{3}b\n".as_bytes(), false), line("a\u{3}b"), "a file has no keys");
    }
}
