//! An account as somebody declared it over MQTT.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::domain::secret::Secret;

/// The keys of an account as the configuration file has them, with the client's secrets themselves in place of the names
/// of files.
#[derive(Clone, Debug, Default)]
pub struct Declaration {
    /// The client's secrets, in the order in which they are tried.
    pub secrets: Vec<Secret>,
    /// All other keys. There is no secret in them.
    pub settings: Map<String, Value>,
    /// True if the sign-in that is held was made for other scopes or by another grant than are declared now.
    pub sign_in_needed: bool,
}

impl Declaration {
    /// True if both declare the same account.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.settings == other.settings && self.secrets == other.secrets
    }

    /// True if a sign-in by `other` serves this one as well: it asks for the same, in the same way.
    #[must_use]
    pub fn asks_the_same_as(&self, other: &Self) -> bool {
        ["scopes", "grant", "params"].iter().all(|key| self.settings.get(*key) == other.settings.get(*key))
    }
}

/// Reads the object of the request, its secrets without a copy.
impl<'de> Deserialize<'de> for Declaration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Declaration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the keys of an account")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Declaration, M::Error> {
        let mut declaration = Declaration::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == "client_secret" {
                declaration.secrets = map.next_value::<OneOrMore>()?.0;
            } else if declaration.settings.insert(key, map.next_value()?).is_some() {
                return Err(M::Error::custom("a key stands twice"));
            }
        }
        Ok(declaration)
    }
}

struct OneOrMore(Vec<Secret>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Secrets)
    }
}

struct Secrets;

impl<'de> Visitor<'de> for Secrets {
    type Value = OneOrMore;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret, or a list of two")
    }

    fn visit_unit<E>(self) -> Result<OneOrMore, E> {
        Ok(OneOrMore(Vec::new()))
    }

    fn visit_str<E: Error>(self, secret: &str) -> Result<OneOrMore, E> {
        Ok(OneOrMore(vec![Secret::new(secret.to_owned())]))
    }

    fn visit_string<E: Error>(self, secret: String) -> Result<OneOrMore, E> {
        Ok(OneOrMore(vec![Secret::new(secret)]))
    }

    // What is no text must not be quoted by the complaint about it.
    fn visit_bool<E: Error>(self, _: bool) -> Result<OneOrMore, E> {
        Err(E::custom("a secret is a text"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<OneOrMore, E> {
        Err(E::custom("a secret is a text"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<OneOrMore, E> {
        Err(E::custom("a secret is a text"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<OneOrMore, E> {
        Err(E::custom("a secret is a text"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore, A::Error> {
        let mut secrets = Vec::new();
        while let Some(secret) = list.next_element()? {
            secrets.push(secret);
        }
        Ok(OneOrMore(secrets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Declaration {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn secrets_are_kept_apart_and_never_shown() {
        let one = read(r#"{"issuer":"https://id.example","client_secret":"hunter2"}"#);
        assert_eq!((one.secrets[0].expose(), one.settings.len()), ("hunter2", 1));
        let two = read(r#"{"client_secret":["new","hunter2"]}"#);
        assert_eq!(two.secrets.iter().map(Secret::expose).collect::<Vec<_>>(), ["new", "hunter2"]);
        assert!(!format!("{one:?}{two:?}").contains("hunter2"));
        for wrong in [r#"{"client_secret":4711}"#, r#"{"client_secret":{"a":"hunter2"}}"#] {
            let error = serde_json::from_str::<Declaration>(wrong).unwrap_err().to_string();
            assert!(!error.contains("4711") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_same_account_is_known_in_any_order_of_its_keys() {
        let first = read(r#"{"client_id":"c","scopes":["a"],"client_secret":"s"}"#);
        assert!(first.is_same_as(&read(r#"{"client_secret":["s"],"scopes":["a"],"client_id":"c"}"#)));
        assert!(!first.is_same_as(&read(r#"{"client_secret":"t","scopes":["a"],"client_id":"c"}"#)));
        assert!(!first.is_same_as(&read(r#"{"client_secret":["s","t"],"scopes":["a"],"client_id":"c"}"#)));
        let wider = read(r#"{"client_id":"c","scopes":["a","b"],"client_secret":"s"}"#);
        assert!(!first.is_same_as(&wider) && !first.asks_the_same_as(&wider));
    }
}
