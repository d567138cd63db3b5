//! What the person at the terminal sees: one line for each thing that happens, with the time and who did it.

use std::fmt::{self, Display};
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The program that runs the whole play.
    Demo,
    /// The embedded MQTT broker.
    Broker,
    /// The authorization server, and the API behind it.
    Provider,
    /// The real agent.
    Agent,
    /// The subscriber in Node-RED's place.
    Flow,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Broker => "broker",
            Self::Provider => "provider",
            Self::Agent => "agent",
            Self::Flow => "flow",
        }
    }

    fn style(self) -> Style {
        let color = match self {
            Self::Demo => return Style::new().bold(),
            Self::Broker => AnsiColor::Blue,
            Self::Provider => AnsiColor::Magenta,
            Self::Agent => AnsiColor::Cyan,
            Self::Flow => AnsiColor::Green,
        };
        color.on_default()
    }
}

/// The terminal, shared by all who speak. Clones are the same terminal.
#[derive(Clone)]
pub(crate) struct Stage {
    started: Instant,
    held: Arc<Mutex<Option<Vec<String>>>>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), held: Arc::default() }
    }

    /// The time since the demo started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Shows what `who` does, now or, while another program has the terminal, as soon as it has left it.
    pub(crate) fn say(&self, who: Who, text: impl Display) {
        let (style, dim) = (who.style(), Style::new().dimmed());
        let line =
            format!("{dim}{:>6.1} s{dim:#}  {style}{:<9}{style:#} {text}", self.elapsed().as_secs_f32(), who.name());
        match self.held().as_mut() {
            Some(held) => held.push(line),
            None => print(format_args!("{line}")),
        }
    }

    /// Shows `text` as it is.
    pub(crate) fn show(text: impl Display) {
        print(format_args!("{text}"));
    }

    /// Leaves the terminal to another program until what is returned is dropped.
    #[must_use]
    pub(crate) fn leave(&self) -> Away<'_> {
        self.held().get_or_insert_default();
        Away(self)
    }

    fn held(&self) -> MutexGuard<'_, Option<Vec<String>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While this lives, the terminal belongs to another program.
pub(crate) struct Away<'a>(&'a Stage);

impl Drop for Away<'_> {
    fn drop(&mut self) {
        for line in self.0.held().take().into_iter().flatten() {
            print(format_args!("{line}"));
        }
    }
}

/// A terminal that is gone is no reason to stop before everything is cleaned up.
fn print(line: fmt::Arguments<'_>) {
    let _ = writeln!(anstream::stdout(), "{line}");
}
