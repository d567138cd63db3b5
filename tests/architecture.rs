//! The rules of `docs/architecture.md`: which module of `src` may use which, that no two files use each other, and how things are
//! named and described.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../docs/architecture.md");

/// A place in the code that names another module of the crate.
struct Use {
    file: String,
    line: usize,
    /// The module that the file is.
    from: Vec<String>,
    /// The path that is named, from the root of the crate.
    to: Vec<String>,
}

/// Reads the table of modules: the name of each, and those that it may use; `None` for a module that may use all others.
fn rules(page: &str) -> BTreeMap<String, Option<BTreeSet<String>>> {
    let rows = page.lines().skip_while(|line| !line.starts_with("| module |")).skip(2);
    let cells = rows.map_while(|line| line.strip_prefix("| `")).map(|row| row.split('|').map(str::trim).collect());
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    cells
        .map(|cells: Vec<_>| {
            let may_use = (cells[2] != "all others").then(|| names(cells[2]));
            (cells[0].trim_matches('`').to_owned(), may_use)
        })
        .collect()
}

/// Breaches of the rule of the modules, each with file, line and rule.
fn breaches(rules: &BTreeMap<String, Option<BTreeSet<String>>>, uses: &[Use]) -> Vec<String> {
    let mut breaches = Vec::new();
    for Use { file, line, from, to } in uses {
        let (from, to) = (&from[0], &to[0]);
        let Some(may_use) = rules.get(from) else {
            breaches.push(format!("{file}: the table of docs/architecture.md has no module `{from}`"));
            continue;
        };
        if from != to && may_use.as_ref().is_some_and(|may_use| !may_use.contains(to)) {
            breaches.push(format!("{file}:{line}: `{from}` may not use `{to}`"));
        }
    }
    breaches
}

/// Pairs of modules of which each uses the other, neither being inside the other.
fn circles(uses: &[Use], modules: &BTreeSet<Vec<String>>) -> Vec<String> {
    let mut arrows = BTreeMap::<_, BTreeSet<_>>::new();
    for Use { from, to, .. } in uses {
        let target = (1..=to.len()).rev().map(|length| &to[..length]).find(|path| modules.contains(*path));
        let Some(target) = target.filter(|target| !from.starts_with(target) && !target.starts_with(from)) else {
            continue;
        };
        arrows.entry(from.as_slice()).or_default().insert(target);
    }
    let mut circles = Vec::new();
    for start in arrows.keys() {
        let mut reached = BTreeSet::new();
        let mut next: Vec<_> = arrows[start].iter().collect();
        while let Some(module) = next.pop() {
            if reached.insert(*module) {
                next.extend(arrows.get(module).into_iter().flatten());
            }
        }
        if reached.contains(start) {
            circles.push(format!("`{}` uses itself through others", start.join("::")));
        }
    }
    circles
}

/// Every place of the product's code that names a module by its path. Unit tests may use whatever they need.
fn uses_in(file: &str, from: &[String], source: &str) -> Vec<Use> {
    let mut uses = Vec::new();
    for (number, line) in product_of(source).lines().enumerate() {
        let code = line.split("//").next().unwrap();
        for (start, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
            if code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let end = code[start..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            let path =
                code[start..end.map_or(code.len(), |end| start + end)].split("::").filter(|part| !part.is_empty());
            let mut to = if code[start..].starts_with("crate") { Vec::new() } else { from.to_vec() };
            for part in path {
                match part {
                    "crate" | "self" => {}
                    "super" => drop(to.pop()),
                    _ => to.push(part.to_owned()),
                }
            }
            if !to.is_empty() {
                uses.push(Use { file: file.to_owned(), line: number + 1, from: from.to_vec(), to });
            }
        }
    }
    uses
}

/// A source file without the unit tests at its end.
fn product_of(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

/// Every file of the product, with the module that it is. Those for tests alone are left out.
fn files(root: &Path) -> Vec<(String, Vec<String>, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            if ["tests", "hostile", "testing"].contains(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((shown(&path, root), module(&path, root), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found.retain(|(_, module, _)| !module.is_empty());
    found
}

fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()
}

fn module(path: &Path, root: &Path) -> Vec<String> {
    let below: PathBuf = path.strip_prefix(root.join("src")).unwrap().with_extension("");
    let parts = below.iter().map(|part| part.to_str().unwrap());
    parts.filter(|part| !["mod", "lib", "main"].contains(part)).map(str::to_owned).collect()
}

#[test]
fn every_room_uses_only_what_the_table_allows_and_no_two_files_use_each_other() {
    let files = files(Path::new(env!("CARGO_MANIFEST_DIR")));
    let modules: BTreeSet<_> = files.iter().map(|(_, module, _)| module.clone()).collect();
    let uses: Vec<_> = files.iter().flat_map(|(file, module, source)| uses_in(file, module, source)).collect();
    assert!(uses.len() > 300, "{}", uses.len());
    let mut wrong = breaches(&rules(PAGE), &uses);
    wrong.extend(circles(&uses, &modules));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_two_types_have_one_name() {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for (file, _, source) in files(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        for line in product_of(&source).lines() {
            if let Some(name) = name_of_type(line) {
                found.entry(name.to_owned()).or_default().push(file.clone());
            }
        }
    }
    assert!(found.len() > 150, "{}", found.len());
    found.retain(|_, files| files.len() > 1);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn doc_comments_begin_with_a_verb_or_a_noun_phrase() {
    let mut wrong = Vec::new();
    for (file, _, source) in files(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        let mut is_inside = false;
        for (number, line) in product_of(&source).lines().enumerate() {
            let text = line.trim_start().strip_prefix("/// ");
            let first = text.filter(|_| !is_inside).and_then(|text| text.split(' ').next());
            if first.is_some_and(|first| ["What", "Whether", "How"].contains(&first)) {
                wrong.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
            is_inside = line.trim_start().starts_with("///");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The name of the type that a line begins to define.
fn name_of_type(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line =
        ["pub(crate) ", "pub(super) ", "pub "].iter().find_map(|prefix| line.strip_prefix(prefix)).unwrap_or(line);
    let rest = ["struct ", "enum ", "trait "].iter().find_map(|keyword| line.strip_prefix(keyword))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

#[test]
fn every_room_of_the_table_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_room = |path: PathBuf| path.is_dir().then(|| path.file_name().unwrap().to_str().unwrap().to_owned());
    let there: BTreeSet<_> = fs::read_dir(root).unwrap().filter_map(|entry| is_room(entry.unwrap().path())).collect();
    assert_eq!(rules(PAGE).into_keys().collect::<BTreeSet<_>>(), there);
}

#[test]
fn a_breach_names_file_line_and_rule() {
    let name = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    let source = "use std::fs;\nuse crate::store::Store; // crate::agent\n";
    let uses = uses_in("src/domain/token.rs", &name("domain::token"), source);
    assert_eq!(breaches(&rules(PAGE), &uses), ["src/domain/token.rs:2: `domain` may not use `store`"]);
    let there = uses_in("src/wire/a.rs", &name("wire::a"), "use super::b::B;\n");
    let back = uses_in("src/wire/b.rs", &name("wire::b"), "use crate::wire::a::A;\n");
    let modules = [name("wire"), name("wire::a"), name("wire::b")].into_iter().collect();
    assert_eq!(circles(&there.into_iter().chain(back).collect::<Vec<_>>(), &modules).len(), 2);
}
