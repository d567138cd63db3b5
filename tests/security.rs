//! What `docs/security.md` says is so.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_test_that_it_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: String = [root.join("src"), root.join("tests")].iter().flat_map(|folder| sources(folder)).collect();
    let text = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let names: Vec<_> = text.split('`').skip(1).step_by(2).filter(|name| is_name_of_a_test(name)).collect();
    assert!(names.len() >= 15, "{names:?}");
    for name in names {
        assert!(sources.contains(&format!("fn {name}(")), "{name}");
    }
}

/// Tests are named in whole sentences.
fn is_name_of_a_test(name: &str) -> bool {
    name.matches('_').count() >= 4 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

fn sources(folder: &Path) -> Vec<String> {
    let entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let here = entries.iter().filter(|path| is_source(path)).map(|path| fs::read_to_string(path).unwrap());
    let below = entries.iter().filter(|path| path.is_dir() && !path.ends_with("node_modules"));
    here.chain(below.flat_map(|folder| sources(folder))).collect()
}
