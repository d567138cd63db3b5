//! The body of an answer as a tree of members, whatever form it came in.
//!
//! Every text in it is held as a secret from the moment that it is read: which of them are, only its meaning tells.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use url::form_urlencoded;

use crate::domain::profile::{Member, MemberPath, Profile};
use crate::domain::secret::Secret;

/// One value. `Debug` shows no text of it.
#[derive(Clone, Debug)]
pub(super) enum Json {
    /// `null`.
    Null,
    Truth(bool),
    /// As it is written.
    Number(String),
    Text(Secret),
    List(Vec<Json>),
    /// In order; of two of one name, the later counts.
    Object(Vec<(String, Json)>),
}

/// The names of which a form has one if it is the answer of an OAuth server.
const FORM_MEMBERS: [&str; 4] = ["access_token", "device_code", "error", "refresh_token"];

/// The most values in one answer. Each can take a hundred bytes of memory for two bytes of the answer.
const MOST_VALUES: usize = 4_096;

/// Reads a body: a JSON object, or a form. `says_form` is what its content type says, which only decides where the content
/// leaves it open.
pub(super) fn read(body: &[u8], says_form: bool) -> Option<Json> {
    if is_object(body) {
        return object(body);
    }
    let body = without_mark(body);
    // GitHub's form, where a client has not asked for JSON; others say that it is text.
    let is_plain = body.iter().all(|byte| (0x21..=0x7e).contains(byte) && !b"<>\"{}".contains(byte));
    let pairs = || form_urlencoded::parse(body).take(MOST_VALUES);
    let is_form = says_form || (is_plain && pairs().any(|(name, _)| FORM_MEMBERS.contains(&name.as_ref())));
    is_form.then(|| {
        let texts = pairs().map(|(name, value)| (name.into_owned(), Json::Text(Secret::new(value.into_owned()))));
        Json::Object(texts.collect())
    })
}

/// Reads a JSON object, unless it has more values than any answer.
pub(super) fn object(json: &[u8]) -> Option<Json> {
    if !is_object(json) {
        return None;
    }
    let left = Cell::new(MOST_VALUES);
    let mut deserializer = serde_json::Deserializer::from_slice(without_mark(json));
    let value = Tree { left: &left }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok().map(|()| value)
}

/// Returns whether it is a JSON object as far as its beginning tells. A list would be no answer.
pub(super) fn is_object(body: &[u8]) -> bool {
    without_mark(body).starts_with(b"{")
}

/// Without a byte order mark and blanks before the first character.
pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    let body = body.trim_ascii();
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start()
}

/// The member of that meaning: where the profile says it is, or else under its usual names.
pub(super) fn member<'a>(json: &'a Json, profile: &Profile, name: Member) -> Option<&'a Json> {
    let value = match profile.members.get(&name) {
        Some(path) => json.at(path),
        None => name.usual_names().iter().filter_map(|name| json.member(name)).find(|value| value.says_something()),
    };
    value.filter(|value| value.says_something())
}

impl Json {
    /// The member of that name.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value),
            Self::List(items) => items.get(name.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// The value at the end of the path.
    pub(super) fn at(&self, path: &MemberPath) -> Option<&Self> {
        if path.is_empty() { None } else { self.along(path.steps()) }
    }

    /// The value at the end of these steps.
    pub(super) fn along<'a>(&self, steps: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        steps.into_iter().try_fold(self, |value, step| value.member(step))
    }

    /// A text that is not empty.
    pub(super) fn secret(&self) -> Option<Secret> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    }

    /// The same, or a number: some number their device codes.
    pub(super) fn secret_or_number(&self) -> Option<Secret> {
        match self {
            Self::Number(number) => Some(Secret::new(number.clone())),
            other => other.secret(),
        }
    }

    /// A text that is not empty, or a number.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.expose().to_owned()).filter(|text| !text.is_empty()),
            Self::Number(number) => Some(number.clone()),
            _ => None,
        }
    }

    /// Returns whether it has a value that could mean something: `null`, an empty text and an empty list count as absent.
    pub(super) fn says_something(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Truth(_) | Self::Number(_) | Self::Object(_) => true,
        }
    }

    /// Returns the text by which a value is compared, a truth value as `true` or `false`.
    pub(super) fn is(&self, value: &str) -> bool {
        match self {
            Self::Truth(truth) => value == if *truth { "true" } else { "false" },
            other => other.text().is_some_and(|text| text == value),
        }
    }

    /// A number, as such alone.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.parse().ok(),
            _ => None,
        }
    }

    /// Seconds, as a number or as the text of one, with their fraction; below zero where they are.
    pub(super) fn seconds(&self) -> Option<f64> {
        let text = self.text()?;
        text.trim().parse::<f64>().ok().filter(|seconds| !seconds.is_nan())
    }

    /// The same as a length of time; what is negative is nothing.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.seconds().map(duration)
    }

    /// As JSON text.
    pub(super) fn to_json(&self) -> Option<Secret> {
        Some(match self {
            Self::Null => return None,
            Self::Truth(truth) => Secret::new(truth.to_string()),
            Self::Number(number) => Secret::new(number.clone()),
            Self::Text(text) => Secret::new(serde_json::to_string(text.expose()).ok()?),
            Self::List(items) => joined('[', items.iter().map(Self::to_json_or_null), ']'),
            Self::Object(members) => {
                let members = members.iter().map(|(name, value)| {
                    let name = serde_json::Value::from(name.as_str());
                    Secret::new(format!("{name}:{}", value.to_json_or_null().expose()))
                });
                joined('{', members, '}')
            }
        })
    }

    fn to_json_or_null(&self) -> Secret {
        self.to_json().unwrap_or_else(|| Secret::new("null".to_owned()))
    }
}

/// A length of time in seconds; what is negative is nothing, what is too long the longest.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

fn joined(open: char, parts: impl Iterator<Item = Secret>, close: char) -> Secret {
    let parts: Vec<_> = parts.collect();
    let mut whole = String::with_capacity(2 + parts.iter().map(|part| part.expose().len() + 1).sum::<usize>());
    whole.push(open);
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            whole.push(',');
        }
        whole.push_str(part.expose());
    }
    whole.push(close);
    Secret::new(whole)
}

/// Makes the tree of what it reads.
#[derive(Clone, Copy)]
struct Tree<'a> {
    /// The number of values that may still come.
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Truth(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(Secret::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(Secret::new(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(name) = members.next_key()? {
            object.push((name, members.next_value_seed(self)?));
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &Json, path: &str) -> Option<String> {
        json.along(path.split('.')).and_then(Json::text)
    }

    #[test]
    fn the_content_decides_what_a_body_is_and_a_byte_order_mark_is_no_content() {
        for (body, says_form) in [
            (&b"{\"access_token\":\"a\"}"[..], false),
            (b"\xef\xbb\xbf{\"access_token\":\"a\"}", false),
            (b" \r\n\xef\xbb\xbf \n{\"access_token\":\"a\"}\n", true),
            (b"access_token=a&token_type=bearer", false),
            (b"token_type=bearer&access_token=a\n", true),
            (b"\xef\xbb\xbfaccess_token=a", false),
        ] {
            assert_eq!(text(&read(body, says_form).unwrap(), "access_token").as_deref(), Some("a"), "{body:?}");
        }
        for body in
            ["", "<html><a href=\"?error=1&x=2\">x</a></html>", "Bad gateway: error=1", "[{\"error\":1}]", "x=1&y=2"]
        {
            assert!(read(body.as_bytes(), false).is_none(), "{body}");
        }
    }

    #[test]
    fn members_are_found_by_their_paths_and_of_two_the_later_counts() {
        let json = read(br#"{"a":{"b":[{"c":"deep"},7]},"d":1,"d":2.5,"e":true,"f":""}"#, false).unwrap();
        assert_eq!(text(&json, "a.b.0.c").as_deref(), Some("deep"));
        assert_eq!(text(&json, "a.b.1").as_deref(), Some("7"));
        assert_eq!((text(&json, "a.b.2"), text(&json, "a"), text(&json, "f")), (None, None, None));
        assert_eq!(json.member("d").and_then(Json::seconds), Some(2.5));
        assert!(json.member("e").unwrap().is("true") && json.member("d").unwrap().is("2.5"));
        assert_eq!(json.member("a").unwrap().to_json().unwrap().expose(), r#"{"b":[{"c":"deep"},7]}"#);
        assert!(!format!("{json:?}").contains("deep"));
    }

    #[test]
    fn a_body_of_many_values_is_none() {
        let of = |values: usize| read(format!("{{\"a\":[{}[1]]}}", "[1],".repeat(values)).as_bytes(), false);
        assert!(of(2_000).is_some() && of(2_100).is_none() && of(65_000).is_none());
    }

    #[test]
    fn a_body_that_is_nested_without_end_is_none() {
        assert!(read("{\"a\":".repeat(100_000).as_bytes(), false).is_none());
    }
}
