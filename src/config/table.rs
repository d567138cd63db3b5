//! Reads one table key by key; what has the wrong type, and what nobody asked for, goes to the report.

use serde::de::DeserializeOwned;

use super::decode::{self, mismatch};
use super::diagnostic::{FileId, Place, Report};
use super::nearest::help_for_key;
use super::node::{Entries, Node, Value};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a, T> {
    pub(super) value: T,
    pub(super) place: Place<'a>,
}

/// A table of the file, or the empty one where the file has none.
pub(super) struct Table<'a> {
    pub(super) place: Place<'a>,
    entries: Option<&'a Entries>,
    /// The keys that this table may have, as far as they were asked for.
    known: Vec<String>,
    /// Keys that were complained about already.
    refused: Vec<String>,
}

impl<'a> Table<'a> {
    /// The table that is the whole file.
    pub(super) fn root(report: &'a Report, file: FileId, entries: &'a Entries) -> Self {
        Self::at(report.whole(file), entries)
    }

    /// A table of another making, at a place of the file.
    pub(super) fn at(place: Place<'a>, entries: &'a Entries) -> Self {
        Self::new(place, Some(entries))
    }

    fn new(place: Place<'a>, entries: Option<&'a Entries>) -> Self {
        Self { place, entries, known: Vec::new(), refused: Vec::new() }
    }

    /// True if the key is there, with whatever value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str) -> Option<Entry<'a, &'a str>> {
        let entry = self.entry(key)?;
        as_text(entry, &format!("write it as {key} = \"…\""))
    }

    /// A value of whatever type serde reads.
    pub(super) fn value<T: DeserializeOwned>(&mut self, key: &str) -> Option<Entry<'a, T>> {
        let entry = self.entry(key)?;
        let value = decode::read_value(entry.value, &entry.place)?;
        Some(Entry { value, place: entry.place })
    }

    /// The same, or `default` where there is none; `None` if what is there is wrong.
    pub(super) fn value_or<T: DeserializeOwned>(&mut self, key: &str, default: T) -> Option<T> {
        if self.has(key) {
            return self.value(key).map(|entry| entry.value);
        }
        self.known(key);
        Some(default)
    }

    /// A text that must be there and say something; `help` tells what to write.
    pub(super) fn required_text(&mut self, key: &str, help: &str) -> Option<Entry<'a, &'a str>> {
        if !self.has(key) {
            self.known(key);
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
    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.flag_or(key, false)
    }

    /// True or false, or what is so where it is not written.
    pub(super) fn flag_or(&mut self, key: &str, default: bool) -> bool {
        let Some(entry) = self.entry(key) else { return default };
        if let Value::Bool(value) = entry.value.value {
            return value;
        }
        entry.place.error(mismatch("true or false", entry.value), format!("write it as {key} = {}", !default));
        default
    }

    /// A list of texts; an empty one where there is none.
    pub(super) fn texts(&mut self, key: &str) -> Vec<Entry<'a, &'a str>> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let help = format!("write it as {key} = [\"one\", \"two\"]");
        let Value::List(items) = &entry.value.value else {
            entry.place.error(mismatch("a list of texts", entry.value), help);
            return Vec::new();
        };
        let item_place = |item: &Node| Place { written: item.written, ..entry.place.clone() };
        items.iter().filter_map(|item| as_text(Entry { value: item, place: item_place(item) }, &help)).collect()
    }

    /// A text, or a list of them; an empty list where there is neither.
    pub(super) fn text_or_texts(&mut self, key: &str) -> Vec<Entry<'a, &'a str>> {
        match self.entry(key) {
            Some(entry) if matches!(entry.value.value, Value::List(_)) => self.texts(key),
            Some(entry) => as_text(entry, &format!("write it as {key} = \"…\"")).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// A table, empty where there is none.
    pub(super) fn section(&mut self, key: &str) -> Table<'a> {
        let table = self.entry(key).and_then(as_table);
        table.unwrap_or_else(|| Table::new(self.place.below(key, None), None))
    }

    /// Every entry as a table, with its name: this table's keys are the user's to choose.
    pub(super) fn sections(self) -> Vec<(&'a str, Table<'a>)> {
        self.entries().filter_map(|(name, entry)| Some((name, as_table(entry)?))).collect()
    }

    /// The keys that are written, with their values.
    pub(super) fn written(&self) -> impl Iterator<Item = (&'a str, &'a Node)> + use<'a> {
        self.entries.into_iter().flatten().map(|(key, node)| (key.as_str(), node))
    }

    /// Complains about the key if it is there.
    pub(super) fn refuse(&mut self, key: &str, message: &str, help: &str) {
        if let Some(place) = self.place_of(key) {
            place.error(message, help);
        }
        self.ignore(key);
    }

    /// Lets the key be there, because something else that was complained about decides on it.
    pub(super) fn ignore(&mut self, key: &str) {
        self.refused.push(key.to_owned());
    }

    /// Complains about every key that was never asked for.
    pub(super) fn finish(self) {
        for (key, entry) in self.entries() {
            if self.known.iter().chain(&self.refused).any(|known| known == key) {
                continue;
            }
            let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
            entry.place.error("there is no such key", help_for_key(key, &known));
        }
    }

    /// The place of the key, if it is there.
    pub(super) fn place_of(&self, key: &str) -> Option<Place<'a>> {
        let node = self.entries?.get(key)?;
        Some(self.place.below(key, Some(node.written)))
    }

    /// Counts the key among those that this table may have.
    pub(super) fn known(&mut self, key: &str) {
        if !self.known.iter().any(|known| known == key) {
            self.known.push(key.to_owned());
        }
    }

    fn entry(&mut self, key: &str) -> Option<Entry<'a, &'a Node>> {
        self.known(key);
        Some(Entry { value: self.entries?.get(key)?, place: self.place_of(key)? })
    }

    fn entries(&self) -> impl Iterator<Item = (&'a str, Entry<'a, &'a Node>)> {
        self.entries
            .into_iter()
            .flatten()
            .map(|(key, node)| (key.as_str(), Entry { value: node, place: self.place.below(key, Some(node.written)) }))
    }
}

fn as_text<'a>(entry: Entry<'a, &'a Node>, help: &str) -> Option<Entry<'a, &'a str>> {
    let Value::Text(text) = &entry.value.value else {
        entry.place.error(mismatch("a text in quotes", entry.value), help);
        return None;
    };
    Some(Entry { value: text, place: entry.place })
}

fn as_table<'a>(entry: Entry<'a, &'a Node>) -> Option<Table<'a>> {
    let Value::Table(entries) = &entry.value.value else {
        entry.place.error(
            mismatch("a section", entry.value),
            format!("write a line [{}] and its keys below", entry.place.key),
        );
        return None;
    };
    Some(Table::new(entry.place, Some(entries)))
}
