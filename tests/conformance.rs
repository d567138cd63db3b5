//! What `docs/conformance.md` and `docs/security.md` say is shown by tests that exist.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../docs/conformance.md");

const SECURITY: &str = include_str!("../docs/security.md");
const RELEASE: &str = include_str!("release");

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

/// Whether what the documentation puts between backticks is the name of a test: those are whole sentences.
fn is_name_of_a_test(name: &str) -> bool {
    name.matches('_').count() >= 4 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Every source file below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let here = entries.iter().filter(|path| is_source(path)).map(|path| fs::read_to_string(path).unwrap());
    let below = entries.iter().filter(|path| path.is_dir() && !path.ends_with("node_modules"));
    here.chain(below.flat_map(|folder| sources(folder))).collect()
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
fn every_test_that_the_page_on_security_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = ["src", "tests"].map(|folder| sources(&root.join(folder))).concat();
    let names: Vec<_> = SECURITY.split('`').skip(1).step_by(2).filter(|name| is_name_of_a_test(name)).collect();
    assert!(names.len() >= 15, "{names:?}");
    for name in names {
        assert!(sources.iter().any(|source| is_test(source, name)), "there is no test {name}");
    }
}

#[test]
fn a_test_that_does_not_exist_is_found_out() {
    let source = "#[test]\nfn one() {}\n\nfn two() {}\n";
    assert!(is_test(source, "one"));
    assert!(!is_test(source, "two") && !is_test(source, "on") && !is_test(source, "three"));
}

/// What a script prints as the title of a step on this line.
fn title(line: &str) -> Option<&str> {
    line.strip_prefix("printf '   ")?.strip_suffix("\\n'")
}

#[test]
fn every_attack_that_was_tried_has_its_test() {
    let (_, section) = SECURITY.split_once("\n## Attacks that were tried\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 25, "{}", rows.len());
    for row in rows {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let mut names = shown_by.split('`').skip(1).step_by(2);
        let is_script = |name: &str| match name {
            // By the title of a step.
            "tests/release" => RELEASE.lines().filter_map(title).any(|title| shown_by.contains(&format!("*{title}*"))),
            name => name.starts_with("tests/install/run "),
        };
        assert!(names.any(|name| is_name_of_a_test(name) || is_script(name)), "{row}");
    }
}
