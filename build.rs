//! Writes the manual and the shell completions beside the binary, in `assets/`.

// These files' types are used by the program alone.
#[allow(dead_code)]
#[path = "src/cli/args.rs"]
mod args;
#[allow(dead_code)]
#[path = "src/cli/manual.rs"]
mod manual;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use manual::{DETAILS, Details, FILES};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/cli/args.rs");
    println!("cargo::rerun-if-changed=src/cli/manual.rs");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    // OUT_DIR is <target>/<profile>/build/<package>/out, and packages are made from <target>/<profile>.
    let assets = out.ancestors().nth(3).ok_or("OUT_DIR is not where it used to be")?.join("assets");
    fs::create_dir_all(&assets)?;
    let mut command = manual::command();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let path = clap_complete::generate_to(shell, &mut command, "oauth2mqtt", &assets)?;
        fs::write(&path, with_names(shell, &fs::read_to_string(&path)?))?;
    }
    if env::var_os("PROFILE").is_some_and(|profile| profile == "release") {
        leave_out_unwind_tables(&out)?;
    }
    write_providers(&out)?;
    command.build();
    for details in DETAILS {
        let (name, page) = manual_page(&command, details)?;
        fs::write(assets.join(format!("{name}.1")), page)?;
    }
    Ok(())
}

/// The manual page of one command, and its name.
fn manual_page(program: &Command, details: &Details) -> Result<(String, Vec<u8>), Box<dyn Error>> {
    let is_program = details.command.is_empty();
    let command = match program.find_subcommand(details.command) {
        Some(command) => command.clone(),
        None if is_program => program.clone(),
        None => return Err(format!("there is no command {}", details.command).into()),
    };
    let name = if is_program { "oauth2mqtt".to_owned() } else { format!("oauth2mqtt-{}", details.command) };
    // The exit codes and examples have sections of their own here.
    let command = command.after_help("").after_long_help("").display_name(name.clone()).disable_help_flag(true);
    let man = Man::new(command).title(name.to_uppercase()).source(concat!("oauth2mqtt ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if is_program {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in details.exit_codes {
        roff.control("TP", []).text([bold(code.to_string())]).text([roman(*meaning)]);
    }
    if is_program {
        roff.control("SH", ["FILES"]);
        for (path, what) in FILES {
            roff.control("TP", []).text([bold(*path)]).text([roman(*what)]);
        }
    }
    roff.control("SH", ["EXAMPLES"]);
    for example in details.examples {
        roff.control("PP", []).control("nf", []).text([roman(*example)]).control("fi", []);
    }
    roff.control("SH", ["SEE ALSO"]);
    let others = DETAILS.iter().filter(|other| other.command != details.command).map(|other| match other.command {
        "" => "oauth2mqtt(1)".to_owned(),
        command => format!("oauth2mqtt-{command}(1)"),
    });
    roff.text([roman(others.collect::<Vec<_>>().join(", "))]);
    roff.to_writer(&mut page)?;
    Ok((name, page))
}

/// The commands whose argument is the name of an account.
const OF_ACCOUNT: [&str; 7] = ["login", "complete", "cancel", "status", "token", "refresh", "logout"];

/// A completion script that also completes the names of accounts and providers, which the program itself prints.
fn with_names(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => {
            let commands = OF_ACCOUNT.join("|");
            format!(
                "{script}
_oauth2mqtt_with_names() {{
    _oauth2mqtt \"$@\"
    local word what=
    [[ ${{COMP_WORDS[COMP_CWORD]}} == -* ]] && return 0
    if [[ ${{COMP_WORDS[COMP_CWORD-1]}} == --provider ]]; then
        what=providers
    else
        for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do
            case $word in {commands}) what=accounts ;; esac
        done
        [[ ${{COMP_WORDS[COMP_CWORD-1]}} == --config ]] && what=
    fi
    [[ -n $what ]] && COMPREPLY=($(compgen -W \"$(oauth2mqtt names $what 2>/dev/null)\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))
    return 0
}}
complete -F _oauth2mqtt_with_names -o nosort -o bashdefault -o default oauth2mqtt
"
            )
        }
        Shell::Zsh => script
            .replace(
                "#compdef oauth2mqtt\n",
                "#compdef oauth2mqtt\n
_oauth2mqtt_names() { compadd -- ${(f)\"$(oauth2mqtt names $1 2>/dev/null)\"} }
",
            )
            .replace("configuration:_default'", "configuration:_oauth2mqtt_names accounts'")
            .replace(":PROVIDER:_default'", ":PROVIDER:_oauth2mqtt_names providers'"),
        _ => {
            let commands = OF_ACCOUNT.join(" ");
            format!(
                "{script}
complete -c oauth2mqtt -n \"__fish_seen_subcommand_from {commands}\" -f -a \"(oauth2mqtt names accounts 2>/dev/null)\"
complete -c oauth2mqtt -n \"__fish_seen_subcommand_from add\" -l provider -x -a \"(oauth2mqtt names providers 2>/dev/null)\"
"
            )
        }
    }
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
        list += &format!("    ({name:?}, include_str!({path:?})),\n");
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
