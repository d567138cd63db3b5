//! What `docs/conformance.md` says is shown by tests that exist.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../docs/conformance.md");

/// The cells of each requirement: section, what is asked, and what shows it.
fn requirements() -> Vec<Vec<&'static str>> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| section "));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// Whether a function of this name in the source is a test.
fn is_test(source: &str, name: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else { return false };
    let attributes = before.rsplit(['}', ';']).next().unwrap();
    attributes.contains("#[test]") || attributes.contains("#[tokio::test]")
}

#[test]
fn every_requirement_is_shown_by_tests_that_exist() {
    let requirements = requirements();
    assert!(requirements.len() > 70, "{}", requirements.len());
    for cells in requirements {
        let [section, asked, shown] = cells[..] else { panic!("not three cells: {cells:?}") };
        assert!(!section.is_empty() && !asked.is_empty());
        for test in shown.split("<br>") {
            let parts: Vec<_> = test.split('`').collect();
            let ["", file, ": ", name, ""] = parts[..] else { panic!("{section}: no file and test: {test}") };
            let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(is_test(&source, name), "{section}: there is no test {name} in {file}");
        }
    }
}

#[test]
fn a_test_that_does_not_exist_is_found_out() {
    let source = "#[test]\nfn one() {}\n\nfn two() {}\n";
    assert!(is_test(source, "one"));
    assert!(!is_test(source, "two") && !is_test(source, "on") && !is_test(source, "three"));
}
