//! Hostile input for tests: changes a corpus at random, and has a target take it.
//!
//! The corpus is in `tests/corpus`, a folder for each target; what once broke something belongs there. The short form
//! runs each target some ten thousand times, `OAUTH2MQTT_FAULTS=long` a million and more; `OAUTH2MQTT_SEED` repeats one.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use fastrand::Rng;

use super::harmless::assert_harmless;

/// No target grows by more, in KiB, between its first runs and its last.
const MOST_GROWTH: u64 = 4 * 1024;

/// Pieces that parsers trip over.
const PIECES: [&str; 44] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\n",
    "\0",
    "\u{1b}[2J",
    "\u{202e}",
    "\\u0000",
    "\\ud800",
    "\\u202e",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "-1e-999",
    "18446744073709551616",
    "9223372036854775807",
    "NaN",
    "\u{feff}",
    "é",
    "\u{1f511}",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://a@b/",
    "http://[::1]/",
    "//",
    "../",
    "%00",
    "+",
    "#",
    "/",
    "\"\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":{\"a\":",
    "error",
    "access_token",
    "expires_in",
    "= ",
];

/// Runs `target` on changed pieces of the corpus. It returns all that it would show anybody.
pub(crate) fn bombard(corpus: &str, mut target: impl FnMut(&[u8], &mut Rng) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(corpus);
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let corpus: Vec<_> = names.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(!corpus.is_empty(), "{}", folder.display());
    let is_long = std::env::var("OAUTH2MQTT_FAULTS").is_ok_and(|form| form == "long");
    let runs = if is_long { 1_050_000 } else { 20_000 };
    let seed = std::env::var("OAUTH2MQTT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let mut chance = Rng::with_seed(seed);
    let mut before = 0;
    for run in 0..runs {
        let input = if run < corpus.len() { corpus[run].clone() } else { changed(&corpus, &mut chance) };
        let harm = catch_unwind(AssertUnwindSafe(|| assert_harmless(&input, &target(&input, &mut chance))));
        if let Err(panic) = harm {
            say(&format!("seed {seed}, run {run}: {}", String::from_utf8_lossy(&input).escape_debug()));
            resume_unwind(panic)
        }
        if run == runs / 10 {
            before = memory();
        }
    }
    // In the short form other tests may run in this process.
    assert!(!is_long || memory() < before + MOST_GROWTH, "it grew from {before} to {} KiB", memory());
    report(&names[0], runs, memory().saturating_sub(before));
}

fn changed(corpus: &[Vec<u8>], chance: &mut Rng) -> Vec<u8> {
    let mut input = chance.choice(corpus).unwrap().clone();
    for _ in 0..chance.usize(1..6) {
        let at = chance.usize(0..=input.len());
        let end = input.len().min(at + chance.usize(0..40));
        match chance.u8(0..9) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => drop(input.splice(at..at, chance.choice(PIECES).unwrap().bytes())),
            3 => drop(input.splice(at..end, chance.choice(PIECES).unwrap().bytes())),
            4 => {
                let again = input[at..end].repeat(chance.usize(1..8));
                drop(input.splice(at..at, again));
            }
            5 => {
                let other = chance.choice(corpus).unwrap();
                let from = chance.usize(0..=other.len());
                let to = other.len().min(from + chance.usize(0..200));
                drop(input.splice(at..end, other[from..to].iter().copied()));
            }
            6 => {
                // A member's name or a number in the place of another one.
                let long = "x".repeat(chance.usize(0..3_000));
                drop(input.splice(at..at, long.into_bytes()));
            }
            _ if at < input.len() => {
                input[at] = if chance.bool() { chance.u8(..) } else { input[at] ^ (1 << chance.u8(0..8)) }
            }
            _ => input.push(chance.u8(..)),
        }
    }
    input
}

/// Returns the memory of this process, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[expect(clippy::print_stderr, reason = "it is what a failed test has to say")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// A line for the table of `tests/faults`.
fn report(corpus: &Path, runs: usize, growth: u64) {
    let Some(path) = std::env::var_os("OAUTH2MQTT_FAULTS_TABLE") else { return };
    let name = corpus.parent().unwrap().file_name().unwrap().to_string_lossy();
    let line =
        format!("| hostile input: {name} | {runs} | 0 | 0 | - | no panic, no secret shown, grew by {growth} KiB |\n");
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, line.as_bytes()).unwrap();
}
