//! The name of a further token of an account, as it stands in the configuration, the topics and the store.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::account::{AccountName, InvalidAccountName};

/// A valid name of a further token: by the rule of an account's name, and not that of a topic of the account.
///
/// A name that passed is safe as one level of an MQTT topic. Clones share one buffer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "AccountName", into = "AccountName")]
pub struct TokenName(AccountName);

/// Why a text is no name of a further token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokenName {
    /// It breaks the rule of an account's name.
    #[error("the name of a token has 1 to 63 of the characters a-z, 0-9, _ and -, and starts with a letter or digit")]
    Malformed,
    /// It is that of another topic.
    #[error("this name is taken by a topic of the account or of the agent")]
    Reserved,
}

impl TokenName {
    /// The last levels of the account's own topics.
    const RESERVED: [&'static str; 4] = ["identity", "signin", "status", "token"];

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<AccountName> for TokenName {
    type Error = InvalidTokenName;

    fn try_from(name: AccountName) -> Result<Self, Self::Error> {
        if Self::RESERVED.contains(&name.as_str()) { Err(InvalidTokenName::Reserved) } else { Ok(Self(name)) }
    }
}

impl From<TokenName> for AccountName {
    fn from(name: TokenName) -> Self {
        name.0
    }
}

impl FromStr for TokenName {
    type Err = InvalidTokenName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.parse::<AccountName>().map_err(|error| match error {
            InvalidAccountName::Malformed => InvalidTokenName::Malformed,
            InvalidAccountName::Reserved => InvalidTokenName::Reserved,
        });
        name?.try_into()
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_a_topic_level_of_their_own_pass() {
        assert_eq!("mail-2".parse::<TokenName>().unwrap().as_str(), "mail-2");
        for bad in ["", "-a", "Mail", "a/b", "+", "#"] {
            assert_eq!(bad.parse::<TokenName>(), Err(InvalidTokenName::Malformed), "{bad:?}");
        }
        for taken in ["bridge", "token", "status", "signin", "identity"] {
            assert_eq!(taken.parse::<TokenName>(), Err(InvalidTokenName::Reserved), "{taken:?}");
        }
    }
}
