//! Reads a table into a type by serde, and reports all that is wrong with it at once.
//!
//! serde stops at the first error. What it stopped at is reported, left out, and the rest is read again.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Expected, IntoDeserializer as _, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::diagnostic::{Place, quoted};
use super::nearest::{help_for_key, nearest};
use super::node::{Entries, Node, Value};

/// Reads `entries`, which stand at `place`; `None` if anything was wrong, which is in the report.
pub(super) fn read<T: DeserializeOwned>(entries: &Entries, place: &Place<'_>) -> Option<T> {
    let mut rest = Node { value: Value::Table(entries.clone()), written: place.written };
    let mut left_out: Vec<Vec<Step>> = Vec::new();
    loop {
        let error = match T::deserialize(&rest) {
            Ok(value) if left_out.is_empty() => return Some(value),
            Ok(_) => return None,
            Err(error) => error,
        };
        let mut path: Vec<Step> = error.path.iter().rev().cloned().collect();
        let follows = matches!(&error.fault, DecodeFault::Missing(key)
            if left_out.contains(&[path.as_slice(), &[Step::Key((*key).to_owned())]].concat()));
        if !follows {
            error.fault.report(&rest, &path, place);
        }
        if path.is_empty() {
            return None;
        }
        rest.remove(&path);
        left_out.push(std::mem::take(&mut path));
    }
}

/// Reads one value; `None` if it is wrong, which is in the report.
pub(super) fn read_value<T: DeserializeOwned>(node: &Node, place: &Place<'_>) -> Option<T> {
    match T::deserialize(node) {
        Ok(value) => Some(value),
        Err(error) => {
            let path: Vec<Step> = error.path.iter().rev().cloned().collect();
            error.fault.report(node, &path, place);
            None
        }
    }
}

/// Lists the keys of a type that serde reads from a table.
pub(super) fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Lister(&'static [&'static str]);
    impl<'de> de::Deserializer<'de> for &mut Lister {
        type Error = Error;
        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(de::Error::custom("not a struct"))
        }
        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            self.0 = fields;
            Err(de::Error::custom("listed"))
        }
        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut lister = Lister(&[]);
    // It never gets a value: its keys were all that was asked for.
    let _ = T::deserialize(&mut lister);
    lister.0
}

/// One step from a table or list to what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// A fault, and its place: the path grows from its end as the error passes up.
#[derive(Debug)]
pub(super) struct Error {
    fault: DecodeFault,
    path: Vec<Step>,
}

#[derive(Debug)]
enum DecodeFault {
    Other(String),
    WrongType(String),
    NoSuchKey(&'static [&'static str]),
    NoSuchValue(String, &'static [&'static str]),
    Missing(&'static str),
}

impl DecodeFault {
    fn report(&self, root: &Node, path: &[Step], place: &Place<'_>) {
        let (place, node) = find(root, path, place);
        let key = path.last().map_or("it", |step| if let Step::Key(key) = step { key } else { "" });
        match self {
            Self::Missing(key) => place.below(key, None).error("this key is missing", format!("write {key} = …")),
            Self::NoSuchKey(known) => place.error("there is no such key", help_for_key(key, known)),
            Self::NoSuchValue(value, known) => {
                let mut help = format!("write one of: {}", known.join(", "));
                if let Some(name) = nearest(value, known) {
                    help = format!("did you mean {name:?}? The values are: {}", known.join(", "));
                }
                place.error(format!("there is no value {}", quoted(value)), help);
            }
            Self::WrongType(expected) => {
                let (expected, example) = in_words(expected);
                let help = if example.is_empty() {
                    "see provider-files.md in the documentation".to_owned()
                } else if key.is_empty() {
                    format!("write each as {example}")
                } else {
                    format!("write it as {key} = {example}")
                };
                place.error(mismatch(expected, node), help);
            }
            Self::Other(message) => {
                let (message, help) =
                    message.split_once("; ").unwrap_or((message, "see provider-files.md in the documentation"));
                place.error(message, help);
            }
        }
    }
}

/// Says what type was expected and which was found; never the value, which may be a secret at the wrong place.
pub(super) fn mismatch(expected: &str, found: &Node) -> String {
    format!("this takes {expected}, and {} stands here", found.value.kind())
}

/// The type that serde expects, in the words of this program, with an example.
fn in_words(expected: &str) -> (&str, &'static str) {
    match expected {
        "a string" | "a borrowed string" => ("a text in quotes", "\"…\""),
        "a boolean" => ("true or false", "true"),
        "a sequence" => ("a list", "[\"one\", \"two\"]"),
        "a map" => ("a section", "{ … }"),
        "a character" => ("one character in quotes", "\",\""),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => ("a whole number", "60"),
        _ if expected.starts_with("struct ") => ("a section", "{ … }"),
        _ if expected.contains(" enum ") || expected.starts_with("enum ") => ("a text in quotes", "\"…\""),
        _ => (expected, ""),
    }
}

/// The node at the end of the path, as far as there is one, with its place.
fn find<'a, 'n>(root: &'n Node, path: &[Step], place: &Place<'a>) -> (Place<'a>, &'n Node) {
    let (mut place, mut node) = (place.clone(), root);
    for step in path {
        let next = match (step, &node.value) {
            (Step::Key(key), Value::Table(entries)) => entries.get(key),
            (Step::Item(at), Value::List(items)) => items.get(*at),
            _ => None,
        };
        let Some(next) = next else { break };
        if let Step::Key(key) = step {
            place = place.below(key, Some(next.written));
        } else {
            place.written = next.written;
        }
        node = next;
    }
    (place, node)
}

impl Node {
    fn remove(&mut self, path: &[Step]) {
        match (path, &mut self.value) {
            ([Step::Key(key)], Value::Table(entries)) => drop(entries.remove(key)),
            ([Step::Item(at)], Value::List(items)) => drop(items.remove(*at)),
            ([Step::Key(key), rest @ ..], Value::Table(entries)) => {
                if let Some(node) = entries.get_mut(key) {
                    node.remove(rest);
                }
            }
            ([Step::Item(at), rest @ ..], Value::List(items)) => items[*at].remove(rest),
            _ => {}
        }
    }
}

impl Error {
    fn new(fault: DecodeFault) -> Self {
        Self { fault, path: Vec::new() }
    }

    fn below(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.fault)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(DecodeFault::Other(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(DecodeFault::WrongType(expected.to_string()))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(DecodeFault::Other(format!("this must be {}", in_words(&expected.to_string()).0)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(DecodeFault::NoSuchValue(variant.to_owned(), expected))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(DecodeFault::NoSuchKey(expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(DecodeFault::Missing(field))
    }
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Table(entries) => visitor.visit_map(TableMembers { rest: entries.iter(), current: None }),
            Value::Other(kind) => Err(de::Error::invalid_type(Unexpected::Other(kind), &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            Value::Text(text) => visitor.visit_enum(StrDeserializer::<Error>::new(text)),
            Value::Table(entries) => {
                visitor.visit_enum(MapAccessDeserializer::new(TableMembers { rest: entries.iter(), current: None }))
            }
            _ => Err(Error::new(DecodeFault::WrongType("a string".to_owned()))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Node>>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some((at, node)) = self.0.next() else { return Ok(None) };
        seed.deserialize(node).map(Some).map_err(|error| error.below(Step::Item(at)))
    }
}

struct TableMembers<'de> {
    rest: std::collections::btree_map::Iter<'de, String, Node>,
    current: Option<(&'de String, &'de Node)>,
}

impl<'de> de::MapAccess<'de> for TableMembers<'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.current = self.rest.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        let below = |error: Error| error.below(Step::Key(key.clone()));
        seed.deserialize(key.as_str().into_deserializer()).map(Some).map_err(below)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some((key, node)) = self.current else { return Err(de::Error::custom("a value without a key")) };
        seed.deserialize(node).map_err(|error| error.below(Step::Key(key.clone())))
    }
}
