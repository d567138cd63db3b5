//! Reads one TOML table key by key; what has the wrong type, and what nobody asked for, goes to the report.

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Place, Report, quoted};
use super::nearest::nearest;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a, T> {
    pub(super) value: T,
    pub(super) place: Place<'a>,
}

impl<'a, T> Entry<'a, T> {
    fn with<U>(self, value: U) -> Entry<'a, U> {
        Entry { value, place: self.place }
    }
}

impl<'a> Entry<'a, &'a str> {
    /// The meaning of the text, out of a few that there are.
    pub(super) fn choose<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        if let Some((_, meaning)) = choices.iter().find(|(name, _)| *name == self.value) {
            return Some(*meaning);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let mut help = format!("write one of: {}", names.join(", "));
        if let Some(name) = nearest(self.value, &names) {
            help = format!("did you mean {name:?}? The values are: {}", names.join(", "));
        }
        self.place.error(format!("there is no value {}", quoted(self.value)), help);
        None
    }
}

/// A table of the file, or the empty one where the file has none.
pub(super) struct Table<'a> {
    pub(super) place: Place<'a>,
    entries: Option<&'a DeTable<'a>>,
    /// The keys that this table may have, as far as they were asked for.
    known: Vec<&'static str>,
    /// Keys that were complained about already.
    refused: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// The table that is the whole file.
    pub(super) fn root(report: &'a Report, entries: &'a DeTable<'a>) -> Self {
        Self::new(Place { report, key: String::new(), line: None }, Some(entries))
    }

    fn new(place: Place<'a>, entries: Option<&'a DeTable<'a>>) -> Self {
        Self { place, entries, known: Vec::new(), refused: Vec::new() }
    }

    /// Whether the key is there, with whatever value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Entry<'a, &'a str>> {
        let entry = self.entry(key)?;
        as_text(entry, &format!("write it as {key} = \"…\""))
    }

    /// A text that must be there and say something; `help` tells what to write.
    pub(super) fn required_text(&mut self, key: &'static str, help: &str) -> Option<Entry<'a, &'a str>> {
        if !self.has(key) {
            self.known.push(key);
            self.place.below(key, None).error("this key is missing", help);
            return None;
        }
        let entry = self.text(key)?;
        if entry.value.trim().is_empty() {
            entry.place.error("this is empty", help);
            return None;
        }
        Some(entry)
    }

    /// A truth value; false where there is none.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        self.flag_or(key, false)
    }

    /// True or false, or what is so where it is not written.
    pub(super) fn flag_or(&mut self, key: &'static str, default: bool) -> bool {
        let Some(entry) = self.entry(key) else { return default };
        if let Some(value) = entry.value.as_bool() {
            return value;
        }
        entry.place.error(mismatch("true or false", entry.value), format!("write it as {key} = {}", !default));
        default
    }

    /// A list of texts; an empty one where there is none.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<Entry<'a, &'a str>> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let help = format!("write it as {key} = [\"one\", \"two\"]");
        let Some(items) = entry.value.as_array() else {
            entry.place.error(mismatch("a list of texts", entry.value), help);
            return Vec::new();
        };
        let item_place = |offset| Place { line: Some(self.place.report.line_at(offset)), ..entry.place.clone() };
        items
            .iter()
            .filter_map(|item| {
                as_text(Entry { value: item.get_ref(), place: item_place(item.span().start) }, help.as_str())
            })
            .collect()
    }

    /// A text, or a list of them; an empty list where there is neither.
    pub(super) fn text_or_texts(&mut self, key: &'static str) -> Vec<Entry<'a, &'a str>> {
        match self.entry(key) {
            Some(entry) if entry.value.is_array() => self.texts(key),
            Some(entry) => as_text(entry, &format!("write it as {key} = \"…\"")).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// A table, empty where there is none.
    pub(super) fn section(&mut self, key: &'static str) -> Table<'a> {
        let table = self.entry(key).and_then(as_table);
        table.unwrap_or_else(|| Table::new(self.place.below(key, None), None))
    }

    /// Every entry as a table, with its name: this table's keys are the user's to choose.
    pub(super) fn sections(self) -> Vec<(&'a str, Table<'a>)> {
        self.entries().filter_map(|(name, entry)| Some((name, as_table(entry)?))).collect()
    }

    /// Every entry as a text, with its name: this table's keys are the user's to choose.
    pub(super) fn named_texts(self) -> Vec<(&'a str, Entry<'a, &'a str>)> {
        let texts = self.entries().filter_map(|(name, entry)| Some((name, as_text(entry, "write it in quotes")?)));
        texts.collect()
    }

    /// Complains about the key if it is there.
    pub(super) fn refuse(&mut self, key: &'static str, message: &str, help: &str) {
        if let Some(place) = self.place_of(key) {
            place.error(message, help);
        }
        self.ignore(key);
    }

    /// Lets the key be there, because something else that was complained about decides on it.
    pub(super) fn ignore(&mut self, key: &'static str) {
        self.refused.push(key);
    }

    /// Complains about every key that was never asked for.
    pub(super) fn finish(self) {
        for (key, entry) in self.entries() {
            if self.known.contains(&key) || self.refused.contains(&key) {
                continue;
            }
            let help = match nearest(key, &self.known) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("the keys here are: {}", self.known.join(", ")),
            };
            entry.place.error("there is no such key", help);
        }
    }

    /// Where the key stands, if it does.
    pub(super) fn place_of(&self, key: &str) -> Option<Place<'a>> {
        let (written, _) = self.entries?.get_key_value(key)?;
        Some(self.place.below(key, Some(self.place.report.line_at(written.span().start))))
    }

    fn entry(&mut self, key: &'static str) -> Option<Entry<'a, &'a DeValue<'a>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let value = self.entries?.get(key)?.get_ref();
        Some(Entry { value, place: self.place_of(key)? })
    }

    fn entries(&self) -> impl Iterator<Item = (&'a str, Entry<'a, &'a DeValue<'a>>)> {
        self.entries.into_iter().flatten().map(|(key, value)| {
            let line = self.place.report.line_at(key.span().start);
            let key = key.get_ref().as_ref();
            (key, Entry { value: value.get_ref(), place: self.place.below(key, Some(line)) })
        })
    }
}

fn as_text<'a>(entry: Entry<'a, &'a DeValue<'a>>, help: &str) -> Option<Entry<'a, &'a str>> {
    let Some(text) = entry.value.as_str() else {
        entry.place.error(mismatch("a text in quotes", entry.value), help);
        return None;
    };
    Some(entry.with(text))
}

fn as_table<'a>(entry: Entry<'a, &'a DeValue<'a>>) -> Option<Table<'a>> {
    let Some(entries) = entry.value.as_table() else {
        entry.place.error(
            mismatch("a section", entry.value),
            format!("write a line [{}] and its keys below", entry.place.key),
        );
        return None;
    };
    Some(Table::new(entry.place, Some(entries)))
}

/// Says what type was expected and which was found; never the value, which may be a secret at the wrong place.
fn mismatch(expected: &str, found: &DeValue<'_>) -> String {
    let found = match found {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    };
    format!("this takes {expected}, and {found} stands here")
}
