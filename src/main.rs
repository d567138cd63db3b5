//! The program; [`oauth2mqtt::cli`] is all of it.

use std::process::ExitCode;

fn main() -> ExitCode {
    oauth2mqtt::cli::main()
}
