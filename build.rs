//! Writes the man page and the shell completions beside the binary, in `assets/`.

// This file's types are used by the program alone.
#[allow(dead_code)]
#[path = "src/cli/args.rs"]
mod args;

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use clap::CommandFactory;
use clap_complete::Shell;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/cli/args.rs");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    // OUT_DIR is <target>/<profile>/build/<package>/out, and packages are made from <target>/<profile>.
    let assets = out.ancestors().nth(3).ok_or("OUT_DIR is not where it used to be")?.join("assets");
    fs::create_dir_all(&assets)?;
    let mut command = args::Args::command();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, "oauth2mqtt", &assets)?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    fs::write(assets.join("oauth2mqtt.1"), page)?;
    Ok(())
}
