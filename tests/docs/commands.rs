//! Every command in the documentation is one of the program.

// Of its types the tests need the command line alone.
#[allow(dead_code)]
#[path = "../../src/cli/args.rs"]
mod args;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use crate::page::{self, Page};
use args::Args;

#[test]
fn every_command_in_a_code_block_is_complete() {
    let mut read = 0;
    for page in page::all() {
        for block in page.blocks("sh") {
            for words in commands(&block.text) {
                parse(&words).unwrap_or_else(|error| panic!("{}: {words:?}\n{error}", page.path));
                read += 1;
            }
        }
    }
    assert!(read >= 8, "{read}");
}

#[test]
fn every_command_in_the_text_exists() {
    let mut read = 0;
    for page in page::all() {
        for code in page.inline_code() {
            for words in commands(&code) {
                match parse(&words) {
                    // The text may speak of a command without naming an account.
                    Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {}
                    other => other.unwrap_or_else(|error| panic!("{}: `{code}`\n{error}", page.path)),
                }
                read += 1;
            }
        }
    }
    assert!(read >= 30, "{read}");
}

#[test]
fn every_command_is_in_the_list_of_commands() {
    let page = Page::read("docs/operations.md");
    let rows: Vec<_> = page.text.lines().filter_map(|line| line.strip_prefix("| `oauth2mqtt ")).collect();
    let listed: Vec<_> = rows.iter().map(|row| row.split([' ', '`']).next().unwrap()).collect();
    let command = Args::command();
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    let mut known: Vec<_> = shown.map(clap::Command::get_name).collect();
    known.sort_unstable();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, known);
}

/// The words of each command of the program, as a shell sees them.
fn commands(code: &str) -> Vec<Vec<String>> {
    let code = code.replace("\\\n", " ");
    let lines = code.lines().map(|line| line.split(" #").next().unwrap());
    let parts = lines.flat_map(|line| line.split(" && ").flat_map(|part| part.split(" | ")));
    let commands = parts.map(|part| {
        let words = part.split_whitespace().map(|word| word.trim_matches(['[', ']', '"', '\'']).to_owned());
        words.skip_while(|word| word == "sudo" || (word.contains('=') && !word.starts_with('-'))).collect::<Vec<_>>()
    });
    commands.filter(|words| words.len() > 1 && words[0] == "oauth2mqtt").collect()
}

fn parse(words: &[String]) -> Result<(), clap::Error> {
    match Args::try_parse_from(words) {
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => Ok(()),
        other => other.map(drop),
    }
}
