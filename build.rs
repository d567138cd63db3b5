//! Writes the man page and the shell completions beside the binary, in `assets/`.

// This file's types are used by the program alone.
#[allow(dead_code)]
#[path = "src/cli/args.rs"]
mod args;

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
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
    if env::var_os("PROFILE").is_some_and(|profile| profile == "release") {
        leave_out_unwind_tables(&out)?;
    }
    write_providers(&out)?;
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    fs::write(assets.join("oauth2mqtt.1"), page)?;
    Ok(())
}

/// Writes a list of the providers' files, each a pair of its name and its text, for the program to include.
fn write_providers(out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=providers");
    let folder =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?).join("providers");
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut list = String::from("&[\n");
    for path in paths {
        let name = path.file_stem().and_then(|name| name.to_str()).ok_or("a provider's file has no name")?;
        let path = path.to_str().ok_or("the path of the sources is not UTF-8")?;
        writeln!(list, "    ({name:?}, include_str!({path:?})),")?;
    }
    fs::write(out.join("providers.rs"), list + "]\n")?;
    Ok(())
}

/// A release aborts on a panic and has no symbols, so nobody ever reads its tables for unwinding the stack: an eighth of
/// the program. No flag leaves out those that come with the standard library, but every linker takes this script beside its
/// own.
fn leave_out_unwind_tables(out: &Path) -> Result<(), Box<dyn Error>> {
    let script = out.join("no-unwind-tables.ld");
    fs::write(
        &script,
        "SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame_hdr .gcc_except_table .gcc_except_table.*) } } INSERT AFTER .text;\n",
    )?;
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    Ok(())
}
