//! Keys and values with the places where they were written, whatever they were written in.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{FileId, SourcePosition};
use super::toml_text;

/// A value, and where its key stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) written: SourcePosition,
}

/// Equal wherever they were written.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// A value of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Integer(i64),
    Text(String),
    List(Vec<Node>),
    Table(Entries),
    /// Something that no key takes, such as a date.
    Other(&'static str),
}

/// The entries of a table, by key.
pub(super) type Entries = BTreeMap<String, Node>;

impl Value {
    /// Names the type, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Table(_) => "a section",
            Self::Other(kind) => kind,
        }
    }
}

impl Value {
    /// Writes it as TOML, on one line.
    pub(super) fn to_toml(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => toml_text::quoted(text),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(|item| item.value.to_toml()).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Table(entries) => {
                let bare = |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
                let key = |key: &str| if bare(key) { key.to_owned() } else { toml_text::quoted(key) };
                let entries: Vec<_> =
                    entries.iter().map(|(name, node)| format!("{} = {}", key(name), node.value.to_toml())).collect();
                format!("{{ {} }}", entries.join(", "))
            }
            Self::Other(_) => String::new(),
        }
    }
}

/// Reads a TOML document; `line_at` tells the line of a byte.
pub(super) fn from_toml(table: &DeTable<'_>, file: FileId, line_at: &dyn Fn(usize) -> usize) -> Entries {
    let written = |offset| SourcePosition { file, line: Some(line_at(offset)) };
    let entry = |key: &toml::Spanned<_>, value: &DeValue<'_>| Node {
        value: toml_value(value, file, line_at),
        written: written(key.span().start),
    };
    table.iter().map(|(key, value)| (key.get_ref().to_string(), entry(key, value.get_ref()))).collect()
}

fn toml_value(value: &DeValue<'_>, file: FileId, line_at: &dyn Fn(usize) -> usize) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            number.map_or(Value::Other("a number that is too large"), Value::Integer)
        }
        DeValue::Float(_) => Value::Other("a number with a decimal point"),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Array(items) => {
            let item = |item: &toml::Spanned<DeValue<'_>>| Node {
                value: toml_value(item.get_ref(), file, line_at),
                written: SourcePosition { file, line: Some(line_at(item.span().start)) },
            };
            Value::List(items.iter().map(item).collect())
        }
        DeValue::Table(table) => Value::Table(from_toml(table, file, line_at)),
    }
}

/// Reads a JSON object. A key that is `null` counts as absent.
pub(super) fn from_json(object: &serde_json::Map<String, Json>, file: FileId) -> Entries {
    let entries = object.iter().filter(|(_, value)| !value.is_null());
    entries.map(|(key, value)| (key.clone(), json_node(value, file))).collect()
}

fn json_node(value: &Json, file: FileId) -> Node {
    let value = match value {
        Json::Null => Value::Other("null"),
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number.as_i64().map_or(Value::Other("a number of another kind"), Value::Integer),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(|item| json_node(item, file)).collect()),
        Json::Object(object) => Value::Table(from_json(object, file)),
    };
    Node { value, written: SourcePosition { file, line: None } }
}

/// Lays `upper` over `lower`: tables key by key, everything else as a whole.
pub(super) fn overlay(lower: Entries, upper: &Entries) -> Entries {
    let mut merged = lower;
    for (key, node) in upper {
        let laid = match (merged.remove(key).map(|node| node.value), &node.value) {
            (Some(Value::Table(lower)), Value::Table(upper)) => {
                Node { value: Value::Table(overlay(lower, upper)), written: node.written }
            }
            _ => node.clone(),
        };
        merged.insert(key.clone(), laid);
    }
    merged
}
