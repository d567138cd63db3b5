use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::decode::{keys_of, read};
use super::super::diagnostic::{FileId, Report};
use super::super::toml_entries;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
struct Shape {
    name: String,
    #[serde(default)]
    sizes: Vec<u8>,
    colour: Option<Colour>,
    #[serde(default)]
    inner: BTreeMap<String, bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Colour {
    Red,
    Green,
}

#[test]
fn all_that_serde_stops_at_is_told_at_once() {
    let text = "nam = \"x\"\nsizes = [1, \"two\", 3, -4]\ncolour = \"gren\"\n[inner]\na = true\nb = 1\nc = \"no\"\n";
    let report = Report::default();
    let entries = toml_entries(text, FileId::CONFIGURATION).unwrap();
    assert!(read::<Shape>(&entries, &report.whole(FileId::CONFIGURATION)).is_none());
    let (errors, _) = report.finish();
    let told: Vec<_> = errors
        .iter()
        .map(|error| format!("{}: {}: {} ({})", error.line.unwrap_or(0), error.key, error.message, error.help))
        .collect();
    assert_eq!(
        told,
        [
            "0: name: this key is missing (write name = …)",
            "1: nam: there is no such key (did you mean `name`?)",
            "2: sizes: this takes a whole number, and a text stands here (write each as 60)",
            "2: sizes: this must be a whole number (see provider-files.md in the documentation)",
            "3: colour: there is no value \"gren\" (did you mean \"green\"? The values are: red, green)",
            "6: inner.b: this takes true or false, and a number stands here (write it as b = true)",
            "7: inner.c: this takes true or false, and a text stands here (write it as c = true)",
        ]
    );
    assert_eq!(keys_of::<Shape>(), ["name", "sizes", "colour", "inner"]);
}

#[test]
fn a_value_of_the_wrong_type_is_not_told_to_be_missing_as_well() {
    let report = Report::default();
    let entries = toml_entries("name = 1\n", FileId::CONFIGURATION).unwrap();
    assert!(read::<Shape>(&entries, &report.whole(FileId::CONFIGURATION)).is_none());
    let (errors, _) = report.finish();
    assert_eq!(errors.len(), 1, "{errors:?}");
}
