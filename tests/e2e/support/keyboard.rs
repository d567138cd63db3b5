//! Commands at a terminal of their own, which script(1) makes.

use std::process::Command;

use super::world::{World, binary, in_this_world};

/// A command line of the program at a terminal so many columns wide.
pub(crate) fn at_terminal(world: &World, columns: u32, line: &str) -> Command {
    let mut command = Command::new("script");
    in_this_world(&mut command, &world.config());
    let line = format!("stty cols {columns} rows 60; exec '{}' {line}", binary().display());
    command.env("TERM", "xterm-256color").env("SHELL", "/bin/sh").args(["-qefc", &line, "/dev/null"]);
    command
}
