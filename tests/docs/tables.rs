//! Tables that the program knows itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use oauth2mqtt::testing::{FaultCode, SignInSource};
use toml::{Table, Value};

use crate::page::{self, Page, root};

#[test]
fn the_fault_codes_are_those_of_the_program() {
    let mut table =
        String::from("| code | what to do | with client credentials, an assertion or a password |\n|---|---|---|\n");
    for code in FaultCode::ALL {
        let advice = code.advice(SignInSource::User);
        let of_machine = code.advice(SignInSource::Configuration);
        let of_machine = if of_machine == advice { String::new() } else { format!(" {of_machine}") };
        writeln!(table, "| `{}` | {advice} |{of_machine} |", code.name()).unwrap();
    }
    compare("docs/operations.md", "faults", &table);
}

/// The keys of a provider's file that every provider has. All others say where it deviates from the standards.
const COMMON: [&str; 11] = [
    "title",
    "register_at",
    "notes",
    "retired",
    "needs_secret",
    "scopes",
    "parameters",
    "endpoints",
    "grants",
    "sources",
    "extends",
];

#[test]
fn the_known_providers_are_those_of_their_files() {
    let mut table = String::from(
        "| `provider` | name | grants | also needs | good to know | differs in | source, read on |\n|---|---|---|---|---|---|---|\n",
    );
    let files = fs::read_dir(root().join("providers")).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    assert!(files.len() > 20, "{}", files.len());
    for path in files {
        let file: Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        if file.contains_key("retired") {
            continue;
        }
        // The file of another would have to be laid under it.
        assert!(!file.contains_key("extends"), "{}: extends", path.display());
        let cells = [
            format!("`{}`", path.file_stem().unwrap().to_str().unwrap()),
            file["title"].as_str().unwrap().to_owned(),
            grants(&file),
            needs(&file),
            items(&file, "notes").filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
            code(file.keys().map(String::as_str).filter(|key| !COMMON.contains(key))),
            items(&file, "sources").map(source).collect::<Vec<_>>().join(", "),
        ];
        table.push_str(&format!("| {} |\n", cells.join(" | ")).replace("|  |", "| |").replace("|  |", "| |"));
    }
    compare("docs/providers.md", "presets", &table);
}

fn tables<'a>(file: &'a Table, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    file.get(key).and_then(Value::as_table).into_iter().flatten()
}

fn items<'a>(file: &'a Table, key: &str) -> impl Iterator<Item = &'a Value> {
    file.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn code<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The grants of this provider, the default one first.
fn grants(file: &Table) -> String {
    let mut grants: Vec<_> = tables(file, "grants").map(|(grant, _)| grant.as_str()).collect();
    grants.sort_by_key(|grant| *grant != "device_code");
    code(grants.into_iter())
}

/// The keys that an account of this provider has to have beside `client_id`.
fn needs(file: &Table) -> String {
    let required = tables(file, "parameters").filter(|(_, parameter)| parameter.get("default").is_none());
    let secret = file.get("needs_secret").and_then(Value::as_bool) == Some(true);
    code(required.map(|(name, _)| name.as_str()).chain(secret.then_some("client_secret_file")))
}

/// A link to where a fact was read, on the day when it was read.
fn source(source: &Value) -> String {
    format!(
        "[{}]({} \"{}\")",
        source["read"].as_str().unwrap(),
        source["url"].as_str().unwrap(),
        source["says"].as_str().unwrap()
    )
}

#[test]
fn the_error_codes_of_requests_are_those_of_the_program() {
    let page = Page::read("docs/mqtt.md");
    let (_, section) = page.text.split_once("\n## Error codes\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: BTreeSet<_> = rows.map(|row| row.split_once('`').unwrap().0.to_owned()).collect();
    let faults: BTreeSet<_> = FaultCode::ALL.iter().map(|code| code.name().to_owned()).collect();
    let mut own: BTreeSet<_> = codes_of_refusals().into_iter().filter(|code| !faults.contains(code)).collect();
    // It is a fault's code as well, and has another meaning here.
    own.insert("invalid_request".to_owned());
    assert_eq!(listed, own);
}

#[test]
fn no_row_of_a_table_is_on_two_pages() {
    let mut found = BTreeMap::new();
    for page in page::all() {
        let (_, prose) = page.parts();
        for pair in prose.windows(2) {
            let (row, is_heading) = (pair[0], pair[1].starts_with("|---"));
            if row.starts_with("| ") && !is_heading {
                let former = found.insert(row.to_owned(), page.path.clone());
                assert!(former.as_ref().is_none_or(|former| *former == page.path), "{former:?}, {}: {row}", page.path);
            }
        }
    }
    assert!(found.len() > 200, "{}", found.len());
}

#[test]
fn every_line_of_the_journal_is_one_of_the_program() {
    let page = Page::read("docs/operations.md");
    let (_, section) = page.text.split_once("\n## The journal\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let lines: Vec<_> = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |")).collect();
    assert!(lines.len() > 10, "{}", lines.len());
    let source = joined(&page::sources(&root().join("src")));
    for (line, _) in lines {
        assert!(source.contains(&format!("\"{line}\"")), "the program never writes: {line}");
    }
}

/// Source code in which a text that goes over several lines is one.
fn joined(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut is_begun = false;
    for line in source.lines() {
        let line = if is_begun { line.trim_start() } else { line };
        is_begun = line.ends_with('\\');
        text.push_str(line.trim_end_matches('\\'));
        text.push_str(if is_begun { "" } else { "\n" });
    }
    text
}

#[test]
fn every_warning_and_error_of_the_journal_is_explained() {
    let pages = ["docs/operations.md", "docs/broker-and-network.md"].map(|path| Page::read(path).text).concat();
    let source = joined(&page::sources(&root().join("src")));
    let mut found = 0;
    for begin in ["tracing::warn!(", "tracing::error!("] {
        for call in source.split(begin).skip(1).map(|rest| &rest[..rest.find(");").unwrap_or(rest.len())]) {
            // The message is the last argument; one that is put together from others has no text of its own.
            let is_last = |place: &usize| {
                let rest = call[place + 1..].trim_start();
                rest.is_empty() || rest.starts_with(')')
            };
            let Some(end) = call.match_indices('"').map(|(place, _)| place).find(is_last) else { continue };
            let (_, message) = call[..end].rsplit_once('"').unwrap();
            let end = [": ", ". ", "; ", " ("].iter().filter_map(|end| message.find(end)).min();
            let beginning = &message[..end.unwrap_or(message.len())];
            assert!(beginning.len() > 8, "too short to be looked for: {message}");
            assert!(pages.contains(beginning), "no page explains: {message}");
            found += 1;
        }
    }
    assert!(found > 30, "{found}");
}

/// The codes with which the agent refuses a request, as its source has them: `("code", …)` and `=> "code",`.
fn codes_of_refusals() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let files = ["src/agent/requests.rs", "src/agent/declarations.rs", "src/wire/error_code.rs"];
    for file in files.iter().map(|file| root().join(file)).filter(|file| file.exists()) {
        let source = fs::read_to_string(file).unwrap();
        for before in ["(\"", "(\n                \"", "=> \""] {
            for literal in source.split(before).skip(1).filter_map(|rest| rest.split_once("\",")).map(|(code, _)| code)
            {
                if !literal.is_empty() && literal.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                    codes.insert(literal.to_owned());
                }
            }
        }
    }
    assert!(codes.len() > 15, "{codes:?}");
    codes
}

/// Compares what stands in `page` between the marks of `name` with `expected`, or writes it there.
fn compare(page: &str, name: &str, expected: &str) {
    let Page { text, .. } = Page::read(page);
    let (before, rest) =
        text.split_once(&format!("<!-- {name}: begin")).unwrap_or_else(|| panic!("{page} has no {name}"));
    let (comment, rest) = rest.split_once('\n').unwrap();
    let end = format!("<!-- {name}: end -->");
    let (table, after) = rest.split_once(&end).unwrap();
    let expected = format!("\n{expected}\n");
    if std::env::var_os("OAUTH2MQTT_WRITE_DOCS").is_some() {
        let new = format!("{before}<!-- {name}: begin{comment}\n{expected}{end}{after}");
        return fs::write(root().join(page), new).unwrap();
    }
    assert_eq!(table, expected, "{page}: write it with OAUTH2MQTT_WRITE_DOCS=1 cargo test --test docs");
}
