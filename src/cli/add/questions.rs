//! Questions to the person at the terminal.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{BOLD, DIM};
use crate::domain::secret::Secret;

/// The longest answer, in bytes.
const LONGEST: usize = 4 * 1024;

/// A terminal to ask at, or none.
pub(super) struct Questions(Option<File>);

impl Questions {
    /// Asks at the terminal of this process, if it has one.
    pub(super) fn at_terminal() -> Self {
        let asks = io::stdin().is_terminal() && io::stdout().is_terminal();
        let terminal = asks.then(|| io::stdin().as_fd().try_clone_to_owned().ok()).flatten();
        Self(terminal.map(File::from))
    }

    pub(super) fn can_ask(&self) -> bool {
        self.0.is_some()
    }

    /// Asks for a text; `default` is what an empty answer means. `flag` says it on the command line.
    pub(super) fn text(&mut self, question: &str, default: Option<&str>, flag: &str) -> Result<String, Failure> {
        let hint = default.filter(|default| !default.is_empty());
        let hint = hint.map(|default| format!(" {DIM}[{default}]{DIM:#}")).unwrap_or_default();
        loop {
            let answer = self.line(&format!("{BOLD}{question}{BOLD:#}{hint}: "), flag)?;
            let answer = answer.trim();
            match default {
                _ if !answer.is_empty() => return Ok(answer.to_owned()),
                Some(default) => return Ok(default.to_owned()),
                None => {}
            }
        }
    }

    /// Asks for a secret, which the terminal does not show; `None` for an empty answer.
    pub(super) fn secret(&mut self, question: &str, flag: &str) -> Result<Option<Secret>, Failure> {
        let quiet = self.0.as_ref().and_then(Quiet::keep);
        let answer = self.line(&format!("{BOLD}{question}{BOLD:#} {DIM}(not shown){DIM:#}: "), flag);
        drop(quiet);
        let answer = answer?;
        let answer = answer.trim();
        Ok((!answer.is_empty()).then(|| Secret::new(answer.to_owned())))
    }

    /// Asks whether to do something; an empty answer means yes. Where nobody can be asked, no.
    pub(super) fn yes(&mut self, question: &str) -> Result<bool, Failure> {
        if !self.can_ask() {
            return Ok(false);
        }
        let answer = self.line(&format!("{BOLD}{question}{BOLD:#} {DIM}[Y/n]{DIM:#} "), "")?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes"))
    }

    fn line(&mut self, prompt: &str, flag: &str) -> Result<Zeroizing<String>, Failure> {
        let Some(terminal) = &mut self.0 else {
            return Err(Failure::new(Exit::Usage, format!("there is no terminal to ask at; say it with {flag}.")));
        };
        let mut out = anstream::stdout();
        write!(out, "{prompt}").and_then(|()| out.flush()).map_err(|error| Failure::output(&error))?;
        let gone = |error: &io::Error| Failure::new(Exit::Failed, format!("the answer cannot be read: {error}."));
        // Byte by byte, so that no buffer keeps a copy.
        let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
        let mut byte = [0];
        loop {
            match terminal.read(&mut byte) {
                Ok(0) if line.is_empty() => return Err(Failure::new(Exit::Failed, "nothing was written.")),
                Ok(0) => break,
                Ok(_) if byte[0] == b'\n' => break,
                Ok(_) if line.len() == LONGEST => return Err(Failure::new(Exit::Failed, "that answer is too long.")),
                Ok(_) => line.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(gone(&error)),
            }
        }
        let text = std::str::from_utf8(&line).map_err(|_| Failure::new(Exit::Failed, "that answer is not UTF-8."))?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn keep(terminal: &File) -> Option<Self> {
        let terminal = terminal.try_clone().ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown all the same, so that what follows begins on the next.
        quiet.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Now, &quiet).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
