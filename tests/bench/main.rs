//! Light and quick, beside what a user would pick instead: `tests/bench/run` writes the table of `docs/performance.md`.
//!
//! It takes a while, wants a machine that does nothing else, and is no test: `budgets` holds what it shows.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

mod device;
mod disk;
mod figures;
mod gate;
mod peers;
mod provider;
mod reading;
mod sizes;
#[allow(dead_code, unused_imports, reason = "the end-to-end tests use the rest")]
#[path = "../e2e/support/mod.rs"]
mod support;
mod table;

use std::path::Path;
use std::time::Duration;

use figures::Effort;
use table::Table;

type Part = (&'static str, fn(&mut Table, Effort));

const PARTS: [Part; 10] = [
    ("sizes", sizes::sizes),
    ("memory", figures::memory),
    ("idle", figures::idle),
    ("start", figures::start),
    ("refresh", figures::refresh),
    ("disk", figures::disk),
    ("outage", figures::outage),
    ("requests", figures::requests),
    ("gate", gate::gate),
    ("peers", peers::peers),
];

/// With names of parts, only those; with `--quick`, few runs.
fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (options, names): (Vec<_>, Vec<_>) = arguments.into_iter().partition(|argument| argument.starts_with("--"));
    let effort = if options.iter().any(|option| option == "--quick") {
        Effort { runs: 2, idle: Duration::from_secs(5) }
    } else {
        Effort { runs: 10, idle: Duration::from_secs(60) }
    };
    let mut table = Table::default();
    for (name, part) in PARTS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            part(&mut table, effort);
        }
    }
    let output = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/performance.json");
    std::fs::write(&output, serde_json::to_string_pretty(&table.json()).unwrap()).unwrap();
    println!("{}\nAs JSON: {}", table.markdown(), output.display());
}
