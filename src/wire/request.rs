//! The payloads of requests.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::secret_text::exposed;
use super::verb::Verb;
use crate::domain::account::{AccountName, InvalidAccountName};
use crate::domain::declaration::Declaration;
use crate::domain::secret::Secret;
use crate::domain::text::printable;
use crate::domain::token_name::{InvalidTokenName, TokenName};

/// The `transaction` of a request, which comes back with the response: any JSON, kept as its text. As a tree it would take up
/// to a hundred times the memory, and hundreds of them may wait.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Transaction(Option<Box<RawValue>>);

impl Transaction {
    /// The longest that is taken, in bytes.
    const LONGEST: usize = 1024;

    fn is_too_long(&self) -> bool {
        self.0.as_ref().is_some_and(|text| text.get().len() > Self::LONGEST)
    }

    fn too_long() -> Malformed {
        (format!("\"transaction\" is longer than {} bytes.", Self::LONGEST), Self::default())
    }
}

/// The payload of a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The account; `None` for all, where that makes sense.
    #[serde(default)]
    pub account: Option<AccountName>,
    /// For [`Verb::Token`]: the further token; `None` for the account's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenName>,
    /// For [`Verb::Complete`]: the redirected address, which has a code in it.
    #[serde(default, serialize_with = "exposed", skip_serializing_if = "Option::is_none")]
    pub redirected_to: Option<Secret>,
    /// For [`Verb::Declare`]: the settings of the account.
    #[serde(default, skip_serializing)]
    pub settings: Option<Declaration>,
    /// For [`Verb::Gate`]: who is to be signed out, or [`EVERYBODY`](super::EVERYBODY).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_out: Option<String>,
    /// Sent back with the response as it came.
    #[serde(default)]
    pub transaction: Transaction,
}

/// A sentence about a malformed request, and the transaction if that could be read.
type Malformed = (String, Transaction);

impl Request {
    /// A request about one account, or about all.
    #[must_use]
    pub(crate) fn about(account: Option<&AccountName>) -> Self {
        Self { account: account.cloned(), ..Self::default() }
    }

    /// Reads `{"account":"google","transaction":"any"}`, a bare account name, or nothing at all. A request to complete a
    /// sign-in has `redirected_to` as well, or is that address alone; one to declare an account has its `settings`; one for
    /// a further token names that `token`, or is `google/drive` alone.
    ///
    /// # Errors
    /// A sentence for whoever sent it. It comes with the transaction, if that could be read.
    pub(crate) fn read(verb: Verb, payload: &[u8]) -> Result<Self, Malformed> {
        let none = Transaction::default;
        let text = std::str::from_utf8(payload).map_err(|_| ("The request is not UTF-8.".to_owned(), none()))?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        if !text.starts_with('{') {
            let text = text.trim_matches('"');
            if verb == Verb::Complete {
                return Ok(Self { redirected_to: Some(Secret::new(text.to_owned())), ..Self::default() });
            }
            return Self::named(verb, text).map_err(|error| (error, none()));
        }
        let Ok(request) = serde_json::from_str::<Self>(text) else { return Err(explain(text)) };
        if request.transaction.is_too_long() {
            return Err(Transaction::too_long());
        }
        if request.redirected_to.is_some() && verb != Verb::Complete {
            let error = "\"redirected_to\" is only for the verb complete.".to_owned();
            return Err((error, request.transaction));
        }
        if request.token.is_some() && verb != Verb::Token {
            return Err(("\"token\" is only for the verb token.".to_owned(), request.transaction));
        }
        if request.sign_out.is_some() && verb != Verb::Gate {
            return Err(("\"sign_out\" is only for the verb gate.".to_owned(), request.transaction));
        }
        if request.settings.is_some() && verb != Verb::Declare {
            return Err(("\"settings\" is only for the verb declare.".to_owned(), request.transaction));
        }
        Ok(request)
    }

    /// About a bare account name; for a token also about `google/drive`.
    fn named(verb: Verb, text: &str) -> Result<Self, String> {
        let further = text.split_once('/').filter(|_| verb == Verb::Token);
        let (account, token) = further.map_or((text, None), |(account, token)| (account, Some(token)));
        let account = account.parse().map_err(|error: InvalidAccountName| bad_name(account, &error))?;
        let token = token.map(|token| token.parse().map_err(|error: InvalidTokenName| bad_name(token, &error)));
        Ok(Self { account: Some(account), token: token.transpose()?, ..Self::default() })
    }
}

/// Says what is wrong with a malformed request, without repeating its values, among which there may be a secret.
fn explain(text: &str) -> Malformed {
    let mut members: BTreeMap<String, &RawValue> = match serde_json::from_str(text) {
        Ok(members) => members,
        Err(error) => return (format!("The request is not valid JSON ({error})."), Transaction::default()),
    };
    let transaction = members.remove("transaction").map(RawValue::to_owned);
    let transaction = Transaction(transaction.filter(|text| text.get() != "null"));
    if transaction.is_too_long() {
        return Transaction::too_long();
    }
    for key in ["account", "token", "redirected_to", "sign_out"] {
        let Some(value) = members.remove(key) else { continue };
        let Ok(value) = serde_json::from_str::<Option<Secret>>(value.get()) else {
            return (format!("\"{key}\" must be a string."), transaction);
        };
        let Some(value) = value.as_ref().map(Secret::expose) else { continue };
        let wrong = match key {
            "account" => value.parse::<AccountName>().err().map(|error| bad_name(value, &error)),
            "token" => value.parse::<TokenName>().err().map(|error| bad_name(value, &error)),
            _ => None,
        };
        if let Some(wrong) = wrong {
            return (wrong, transaction);
        }
    }
    if members.remove("settings").is_some_and(|value| serde_json::from_str::<Declaration>(value.get()).is_err()) {
        let error = "\"settings\" must be an object with the keys of the account, each once, and client_secret a string or a \
                     list of two.";
        return (error.to_owned(), transaction);
    }
    match members.keys().next() {
        Some(unknown) => (format!("The request has an unknown key \"{}\".", printable(unknown)), transaction),
        None => ("The request has the same key twice.".to_owned(), transaction),
    }
}

fn bad_name(name: &str, error: &impl fmt::Display) -> String {
    // An address that the browser was sent back to, under the wrong verb, has a code in it.
    if name.contains(['?', '=', '&']) {
        return format!("The request is not repeated here, since it may hold a code: {error}.");
    }
    format!("\"{}\": {error}.", printable(name))
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
        assert_eq!(told(br#"{"account":7}"#), "\"account\" must be a string.");
        assert_eq!(told(br#"{"acount":"x"}"#), "The request has an unknown key \"acount\".");
        assert_eq!(told(br#"{"redirected_to":"x"}"#), "\"redirected_to\" is only for the verb complete.");
        assert_eq!(told(br#"{"account":"a","account":"b"}"#), "The request has the same key twice.");
        assert!(told(br#"{"account":"../x"}"#).starts_with("\"../x\": an account name has 1 to 63"));
        assert!(told(b"../x").starts_with("\"../x\": an account name has 1 to 63"));
        let (_, transaction) = read(br#"{"account":"A","transaction":"t"}"#).unwrap_err();
        assert_eq!(transaction, r#""t""#);
        let (_, transaction) = read(br#"{"acount":"a","transaction":"t"}"#).unwrap_err();
        assert_eq!(transaction, r#""t""#);
    }

    #[test]
    fn a_further_token_is_named_beside_its_account() {
        for payload in [r#"{"account":"google","token":"drive"}"#, "google/drive", "\"google/drive\""] {
            let request = Request::read(Verb::Token, payload.as_bytes()).unwrap();
            assert_eq!(request.account.unwrap().as_str(), "google");
            assert_eq!(request.token.unwrap().as_str(), "drive");
        }
        let told = |verb, payload: &str| Request::read(verb, payload.as_bytes()).unwrap_err().0;
        assert_eq!(told(Verb::Refresh, r#"{"token":"drive"}"#), "\"token\" is only for the verb token.");
        assert_eq!(told(Verb::Token, r#"{"token":7}"#), "\"token\" must be a string.");
        let taken = "\"status\": this name is taken by a topic of the account or of the agent.";
        assert_eq!(told(Verb::Token, "google/status"), taken);
        assert_eq!(told(Verb::Token, r#"{"token":"status"}"#), taken);
        assert!(told(Verb::Refresh, "google/drive").contains("an account name has 1 to 63"));
    }

    #[test]
    fn a_request_is_read_as_it_is_written() {
        let about = |name: &str| serde_json::to_string(&Request::about(Some(&name.parse().unwrap()))).unwrap();
        assert_eq!(about("google"), r#"{"account":"google","transaction":null}"#);
        assert_eq!(read(about("google").as_bytes()).unwrap(), (Some("google".to_owned()), "null".to_owned()));
        let address = Secret::new("http://127.0.0.1/?code=hunter2".to_owned());
        let completion = Request { redirected_to: Some(address.clone()), ..Request::default() };
        let written = serde_json::to_string(&completion).unwrap();
        let read = Request::read(Verb::Complete, written.as_bytes()).unwrap();
        assert_eq!(read.redirected_to, Some(address));
    }

    #[test]
    fn a_redirected_address_under_another_verb_is_not_repeated() {
        let told = read(b"http://127.0.0.1:8629/?code=hunter2&state=s").unwrap_err().0;
        assert!(told.contains("an account name has") && !told.contains("hunter2"), "{told}");
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
        assert_eq!(wrong, "\"redirected_to\" must be a string.");
    }
}
