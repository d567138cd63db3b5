//! The name of an account, as it stands in the configuration, the topics and the store.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A valid account name: `[a-z0-9][a-z0-9_-]{0,62}`, and not `bridge`, whose topics belong to the agent itself.
///
/// A name that passed is safe as one level of an MQTT topic and as a key of the store. Clones share one buffer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(Arc<str>);

/// Why a text is no account name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccountName {
    /// It has a character outside `a-z 0-9 _ -`, starts with `_` or `-`, is empty, or is longer than 63.
    #[error("an account name has 1 to 63 of the characters a-z, 0-9, _ and -, and starts with a letter or digit")]
    Malformed,
    /// It is `bridge`.
    #[error("the name \"bridge\" is taken by the topics of the agent itself")]
    Reserved,
}

impl AccountName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = InvalidAccountName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let starts_well = text.starts_with(plain);
        if !starts_well || text.len() > 63 || !text.chars().all(|c| plain(c) || c == '_' || c == '-') {
            return Err(InvalidAccountName::Malformed);
        }
        if text == "bridge" {
            return Err(InvalidAccountName::Reserved);
        }
        Ok(Self(text.into()))
    }
}

impl serde::Serialize for AccountName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for AccountName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place of an account's declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// In the configuration file.
    File,
    /// By a request over MQTT.
    Mqtt,
}

impl Declared {
    /// The word in `status` and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Mqtt => "mqtt",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_one_plain_topic_level_pass() {
        for good in ["google", "0", "a_b-c", &"x".repeat(63)] {
            assert_eq!(good.parse::<AccountName>().unwrap().as_str(), good);
        }
        for bad in ["", "_a", "-a", "Google", "a/b", "a+", "#", "a b", "ä", "a\n", &"x".repeat(64)] {
            assert_eq!(bad.parse::<AccountName>(), Err(InvalidAccountName::Malformed), "{bad:?}");
        }
        assert_eq!("bridge".parse::<AccountName>(), Err(InvalidAccountName::Reserved));
    }
}
