//! What others ask of the agent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::account::AccountName;
use crate::domain::declaration::Declaration;
use crate::domain::secret::Secret;
use crate::domain::text::printable;

/// What can be asked for on `bridge/request/<verb>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Start a sign-in.
    Login,
    /// Give up the pending sign-in.
    Cancel,
    /// Go on with the address that the provider sent the user's browser to.
    Complete,
    /// Refresh now.
    Refresh,
    /// Revoke and forget.
    Logout,
    /// The state of one account, or of all.
    Status,
    /// The access token of an account that does not publish it.
    Token,
    /// Read the configuration again.
    Reload,
    /// Take up an account, or other settings for one that was declared before.
    Declare,
    /// Revoke, and forget a declared account.
    Forget,
}

impl Verb {
    /// Every verb.
    pub(crate) const ALL: [Self; 10] = [
        Self::Login,
        Self::Cancel,
        Self::Complete,
        Self::Refresh,
        Self::Logout,
        Self::Status,
        Self::Token,
        Self::Reload,
        Self::Declare,
        Self::Forget,
    ];

    /// The last level of its topics.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Cancel => "cancel",
            Self::Complete => "complete",
            Self::Refresh => "refresh",
            Self::Logout => "logout",
            Self::Status => "status",
            Self::Token => "token",
            Self::Reload => "reload",
            Self::Declare => "declare",
            Self::Forget => "forget",
        }
    }

    /// The verb of that name.
    #[must_use]
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }
}

/// What an asker gives to recognise the answer by: any JSON, kept as its text. As a tree it would take up to a hundred times
/// the memory, and hundreds of them may wait.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Transaction(Option<Box<RawValue>>);

impl Transaction {
    /// The longest that is taken, in bytes.
    const LONGEST: usize = 1024;

    fn new(given: Option<&RawValue>) -> Result<Self, (String, Self)> {
        match given {
            Some(given) if given.get().len() > Self::LONGEST => {
                Err((format!("\"transaction\" is longer than {} bytes.", Self::LONGEST), Self::default()))
            }
            given => Ok(Self(given.map(RawValue::to_owned))),
        }
    }
}

/// The payload of a request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Whom it concerns; `None` for all, where that makes sense.
    pub account: Option<AccountName>,
    /// For [`Verb::Complete`]: the redirected address, in which there is a code.
    pub redirected_to: Option<Secret>,
    /// For [`Verb::Declare`]: what the account is to be.
    pub settings: Option<Declaration>,
    /// What the asker gave to recognise the answer by; sent back as it came.
    pub transaction: Transaction,
}

/// A well-formed request, read without a copy of what may be secret in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    redirected_to: Option<Secret>,
    #[serde(default)]
    settings: Option<Declaration>,
    #[serde(default, borrow)]
    transaction: Option<&'a RawValue>,
}

impl Request {
    /// Reads `{"account":"google","transaction":"any"}`, a bare account name, or nothing at all. A request to complete a
    /// sign-in has `redirected_to` as well, or is that address alone; one to declare an account has its `settings`.
    ///
    /// # Errors
    /// A sentence for the asker. It comes with the transaction, if that could be read.
    pub(crate) fn read(verb: Verb, payload: &[u8]) -> Result<Self, (String, Transaction)> {
        let none = Transaction::default;
        let text = std::str::from_utf8(payload).map_err(|_| ("The request is not UTF-8.".to_owned(), none()))?;
        let text = text.trim();
        let bare = |account, redirected_to| Ok(Self { account, redirected_to, settings: None, transaction: none() });
        if text.is_empty() {
            return bare(None, None);
        }
        if !text.starts_with('{') {
            let text = text.trim_matches('"');
            return match verb {
                Verb::Complete => bare(None, Some(Secret::new(text.to_owned()))),
                _ => bare(Some(account(text, &none())?), None),
            };
        }
        let Ok(Members { account: name, redirected_to, settings, transaction }) = serde_json::from_str(text) else {
            return Err(wrong_with(text));
        };
        let transaction = Transaction::new(transaction)?;
        if redirected_to.is_some() && verb != Verb::Complete {
            return Err(("\"redirected_to\" goes only with the verb complete.".to_owned(), transaction));
        }
        if settings.is_some() && verb != Verb::Declare {
            return Err(("\"settings\" goes only with the verb declare.".to_owned(), transaction));
        }
        let account = name.map(|name| account(&name, &transaction)).transpose()?;
        Ok(Self { account, redirected_to, settings, transaction })
    }
}

/// Says what is wrong with a request that is not well-formed, without repeating what stands in it.
fn wrong_with(text: &str) -> (String, Transaction) {
    let mut members: BTreeMap<String, &RawValue> = match serde_json::from_str(text) {
        Ok(members) => members,
        Err(error) => return (format!("The request is not valid JSON ({error})."), Transaction::default()),
    };
    let transaction = match Transaction::new(members.remove("transaction")) {
        Ok(transaction) => transaction,
        Err(wrong) => return wrong,
    };
    for key in ["account", "redirected_to"] {
        if members.remove(key).is_some_and(|value| serde_json::from_str::<Option<Secret>>(value.get()).is_err()) {
            return (format!("\"{key}\" must be a text."), transaction);
        }
    }
    if members.remove("settings").is_some_and(|value| serde_json::from_str::<Declaration>(value.get()).is_err()) {
        let error = "\"settings\" must be an object with the keys of the account, each once, and client_secret a text or a \
                     list of two.";
        return (error.to_owned(), transaction);
    }
    let unknown = members.keys().next().map(|key| printable(key)).unwrap_or_default();
    (format!("The request has an unknown key \"{unknown}\"."), transaction)
}

fn account(name: &str, transaction: &Transaction) -> Result<AccountName, (String, Transaction)> {
    name.parse().map_err(|error| (format!("\"{}\": {error}.", printable(name)), transaction.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &[u8]) -> Result<(Option<String>, String), (String, String)> {
        let request = Request::read(Verb::Login, payload).map_err(|(told, transaction)| (told, text(&transaction)))?;
        Ok((request.account.map(|name| name.to_string()), text(&request.transaction)))
    }

    fn text(transaction: &Transaction) -> String {
        serde_json::to_string(transaction).unwrap()
    }

    #[test]
    fn a_request_is_json_or_a_bare_name() {
        let google = (Some("google".to_owned()), "null".to_owned());
        assert_eq!(read(b"google\n").unwrap(), google);
        assert_eq!(read(b"\"google\"").unwrap(), google);
        assert_eq!(read(br#"{"account":"google"}"#).unwrap(), google);
        let with = read(br#"{"account":"google","transaction":[1, "x"]}"#).unwrap();
        assert_eq!(with.1, r#"[1, "x"]"#);
        assert_eq!(read(b"").unwrap().0, None);
        assert_eq!(read(br#"{"account":null}"#).unwrap().0, None);
    }

    #[test]
    fn a_transaction_is_kept_as_it_came_if_it_is_short() {
        let with =
            |transaction: &str| read(format!(r#"{{"account":"google","transaction":{transaction}}}"#).as_bytes());
        let longest = format!("[{}1]", r#"{"":0},"#.repeat(145));
        assert_eq!(longest.len(), 1_018);
        assert_eq!(with(&longest).unwrap().1, longest);
        let (told, transaction) = with(&format!("[{longest},{longest}]")).unwrap_err();
        assert_eq!((told.as_str(), transaction.as_str()), ("\"transaction\" is longer than 1024 bytes.", "null"));
        let unknown_key = format!(r#"{{"acount":"x","transaction":[{longest},{longest}]}}"#);
        assert_eq!(read(unknown_key.as_bytes()).unwrap_err().0, told);
    }

    #[test]
    fn a_bad_request_is_told_what_is_wrong_with_it() {
        let told = |payload: &[u8]| read(payload).unwrap_err().0;
        assert_eq!(told(b"\xff"), "The request is not UTF-8.");
        assert_eq!(told(br#"{"account":7}"#), "\"account\" must be a text.");
        assert_eq!(told(br#"{"acount":"x"}"#), "The request has an unknown key \"acount\".");
        assert_eq!(told(br#"{"redirected_to":"x"}"#), "\"redirected_to\" goes only with the verb complete.");
        assert!(told(b"../x").starts_with("\"../x\": an account name has 1 to 63"));
        let (_, transaction) = read(br#"{"account":"A","transaction":"t"}"#).unwrap_err();
        assert_eq!(transaction, r#""t""#);
        let (_, transaction) = read(br#"{"acount":"a","transaction":"t"}"#).unwrap_err();
        assert_eq!(transaction, r#""t""#);
    }

    #[test]
    fn a_redirected_address_comes_alone_or_with_the_account() {
        let address = "http://127.0.0.1:8629/?code=hunter2&state=s";
        for payload in [address.to_owned(), format!(r#"{{"account":"spotify","redirected_to":"{address}"}}"#)] {
            let request = Request::read(Verb::Complete, payload.as_bytes()).unwrap();
            assert!(!format!("{request:?}").contains("hunter2"));
            assert_eq!(request.redirected_to.unwrap().expose(), address);
        }
        let wrong = Request::read(Verb::Complete, br#"{"redirected_to":["hunter2"]}"#).unwrap_err().0;
        assert_eq!(wrong, "\"redirected_to\" must be a text.");
    }
}
