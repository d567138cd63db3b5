//! Commands at a terminal of their own, which script(1) makes.

use std::process::Command;

use super::world::{World, binary, in_this_world};

/// A command line of the program at a terminal so many columns wide, and high enough for everything.
pub(crate) fn at_terminal(world: &World, columns: u32, line: &str) -> Command {
    at_terminal_of(world, (columns, 60), line)
}

/// A command line of the program at a terminal of so many columns and rows.
pub(crate) fn at_terminal_of(world: &World, (columns, rows): (u32, u32), line: &str) -> Command {
    let mut command = Command::new("script");
    in_this_world(&mut command, &world.config());
    let line = format!("stty cols {columns} rows {rows}; exec '{}' {line}", binary().display());
    command.env("TERM", "xterm-256color").env("SHELL", "/bin/sh").args(["-qefc", &line, "/dev/null"]);
    command
}

/// Whether the time that is left for a sign-in has been written, which comes last.
pub(crate) fn counts_down(written: &str) -> bool {
    written.split("expires in ").nth(1).is_some_and(|left| left.contains(':'))
}
