//! What others ask of the agent, and its answers.

use serde::Serialize;
use serde_json::Value;

use super::payload::Payload;
use crate::account::AccountName;
use crate::text::printable;

/// What can be asked for on `bridge/request/<verb>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Start a sign-in.
    Login,
    /// Give up the pending sign-in.
    Cancel,
    /// Refresh now.
    Refresh,
    /// Revoke and forget.
    Logout,
    /// The state of one account, or of all.
    Status,
    /// The access token of an account that does not publish it.
    Token,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 6] = [Self::Login, Self::Cancel, Self::Refresh, Self::Logout, Self::Status, Self::Token];

    /// The last level of its topics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Cancel => "cancel",
            Self::Refresh => "refresh",
            Self::Logout => "logout",
            Self::Status => "status",
            Self::Token => "token",
        }
    }

    /// The verb of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }
}

/// The payload of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Whom it concerns; `None` for all, where that makes sense.
    pub account: Option<AccountName>,
    /// What the asker gave to recognise the answer by; sent back as it came.
    pub transaction: Value,
}

impl Request {
    /// Reads `{"account":"google","transaction":"any"}`, a bare account name, or nothing at all.
    ///
    /// # Errors
    /// A sentence for the asker. It comes with the transaction, if that could be read.
    pub fn read(payload: &[u8]) -> Result<Self, (String, Value)> {
        let text = std::str::from_utf8(payload).map_err(|_| ("The request is not UTF-8.".to_owned(), Value::Null))?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self { account: None, transaction: Value::Null });
        }
        if !text.starts_with('{') {
            let name = text.trim_matches('"');
            return Ok(Self { account: Some(account(name, &Value::Null)?), transaction: Value::Null });
        }
        let mut members: serde_json::Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| (format!("The request is not valid JSON ({error})."), Value::Null))?;
        let transaction = members.remove("transaction").unwrap_or_default();
        let account = match members.remove("account") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(account(&name, &transaction)?),
            Some(_) => return Err(("\"account\" must be a text.".to_owned(), transaction)),
        };
        if let Some(unknown) = members.keys().next() {
            let message = format!("The request has an unknown key \"{}\".", printable(unknown));
            return Err((message, transaction));
        }
        Ok(Self { account, transaction })
    }
}

fn account(name: &str, transaction: &Value) -> Result<AccountName, (String, Value)> {
    name.parse().map_err(|error| (format!("\"{}\": {error}.", printable(name)), transaction.clone()))
}

/// How a request ended.
#[derive(Debug)]
pub enum Outcome<T> {
    /// Well, with this.
    Done(T),
    /// Not, for this reason.
    Failed {
        /// A stable word for programs.
        code: &'static str,
        /// A sentence for people.
        error: String,
    },
}

/// The response to a request.
#[must_use]
pub fn response<T: Serialize>(outcome: &Outcome<T>, transaction: &Value) -> Payload {
    #[derive(Serialize)]
    struct Done<'a, T> {
        status: &'static str,
        data: &'a T,
        transaction: &'a Value,
    }
    #[derive(Serialize)]
    struct Failed<'a> {
        status: &'static str,
        error: &'a str,
        code: &'static str,
        transaction: &'a Value,
    }
    match outcome {
        Outcome::Done(data) => Payload::json(&Done { status: "ok", data, transaction }),
        Outcome::Failed { code, error } => Payload::json(&Failed { status: "error", error, code, transaction }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_json_or_a_bare_name() {
        let google = Request { account: Some("google".parse().unwrap()), transaction: Value::Null };
        assert_eq!(Request::read(b"google\n").unwrap(), google);
        assert_eq!(Request::read(b"\"google\"").unwrap(), google);
        assert_eq!(Request::read(br#"{"account":"google"}"#).unwrap(), google);
        let with = Request::read(br#"{"account":"google","transaction":[1,"x"]}"#).unwrap();
        assert_eq!(with.transaction, serde_json::json!([1, "x"]));
        assert_eq!(Request::read(b"").unwrap().account, None);
    }

    #[test]
    fn a_bad_request_is_told_what_is_wrong_with_it() {
        let told = |payload: &[u8]| Request::read(payload).unwrap_err().0;
        assert_eq!(told(b"\xff"), "The request is not UTF-8.");
        assert_eq!(told(br#"{"account":7}"#), "\"account\" must be a text.");
        assert_eq!(told(br#"{"acount":"x"}"#), "The request has an unknown key \"acount\".");
        assert!(told(b"../x").starts_with("\"../x\": an account name has 1 to 63"));
        let (_, transaction) = Request::read(br#"{"account":"A","transaction":"t"}"#).unwrap_err();
        assert_eq!(transaction, "t");
    }
}
