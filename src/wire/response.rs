//! The responses to requests.

use serde::{Deserialize, Serialize};

use super::error_code::{ErrorCode, RequestError};
use super::request::Transaction;
use super::verb::Verb;
use crate::domain::account::AccountName;

/// The request that a response answers: what it asked for, and of which account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResponseSubject {
    /// The name of the verb; `None` for an unknown one.
    pub verb: Option<String>,
    /// The account that the request named.
    pub account: Option<AccountName>,
}

impl ResponseSubject {
    /// The subject of a request.
    #[must_use]
    pub(crate) fn new(verb: Option<Verb>, account: Option<&AccountName>) -> Self {
        Self { verb: verb.map(|verb| verb.name().to_owned()), account: account.cloned() }
    }
}

/// The payload on `bridge/response/<verb>`, or on the response topic of the request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Response<T> {
    status: ResponseStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<ErrorCode>,
    verb: Option<String>,
    account: Option<AccountName>,
    transaction: Transaction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ResponseStatus {
    Ok,
    Error,
}

impl<T> Response<T> {
    /// The response to a request that ended as `result` says.
    #[must_use]
    pub(crate) fn new(result: Result<T, RequestError>, subject: &ResponseSubject, transaction: &Transaction) -> Self {
        let ResponseSubject { verb, account } = subject.clone();
        let (status, data, error, code) = match result {
            Ok(data) => (ResponseStatus::Ok, Some(data), None, None),
            Err(RequestError { code, message }) => (ResponseStatus::Error, None, Some(message), Some(code)),
        };
        Self { status, data, error, code, verb, account, transaction: transaction.clone() }
    }

    /// Returns the result of the request; `None` if the response contradicts itself.
    #[must_use]
    pub(crate) fn into_result(self) -> Option<Result<T, RequestError>> {
        match self {
            Self { status: ResponseStatus::Ok, data: Some(data), .. } => Some(Ok(data)),
            Self { status: ResponseStatus::Error, error: Some(message), code: Some(code), .. } => {
                Some(Err(RequestError { code, message }))
            }
            _ => None,
        }
    }
}

/// The data of the response to `reload`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ReloadMessage {
    /// The number of accounts now.
    pub accounts: usize,
    /// The accounts that were added.
    pub added: Vec<String>,
    /// Those whose settings are others than before.
    pub changed: Vec<String>,
    /// Those that were removed.
    pub removed: Vec<String>,
    /// The sections that were changed and take effect at the next start.
    #[serde(default)]
    pub at_next_start: Vec<String>,
}

/// The data of the response to `declare`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DeclareMessage {
    /// The account.
    pub account: String,
    /// True if it was declared otherwise before, or not at all.
    pub changed: bool,
    /// True if the sign-in is for other scopes or by another grant than the account asks for now.
    pub sign_in_needed: bool,
}

impl DeclareMessage {
    /// The data about `account`.
    pub(crate) fn new(account: &AccountName, changed: bool, sign_in_needed: bool) -> Self {
        Self { account: account.to_string(), changed, sign_in_needed }
    }
}

/// The data of the response to `forget`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ForgetMessage {
    /// The account.
    pub account: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_reads_as_the_contract_says_and_is_read_back() {
        let none = Transaction::default();
        let subject = ResponseSubject::new(Some(Verb::Status), "garden".parse().ok().as_ref());
        let done = serde_json::to_string(&Response::new(Ok(7), &subject, &none)).unwrap();
        assert_eq!(done, r#"{"status":"ok","data":7,"verb":"status","account":"garden","transaction":null}"#);
        let failed = RequestError::new(ErrorCode::Busy, "Later.");
        let nobody = ResponseSubject::default();
        let failed = serde_json::to_string(&Response::<u8>::new(Err(failed), &nobody, &none)).unwrap();
        assert_eq!(
            failed,
            r#"{"status":"error","error":"Later.","code":"busy","verb":null,"account":null,"transaction":null}"#
        );
        let subject_of = |text| serde_json::from_str::<ResponseSubject>(text).unwrap();
        assert_eq!((subject_of(&done), subject_of(&failed)), (subject, nobody));
        let read = |text| serde_json::from_str::<Response<u8>>(text).unwrap().into_result();
        assert_eq!(read(&done), Some(Ok(7)));
        assert_eq!(read(&failed), Some(Err(RequestError::new(ErrorCode::Busy, "Later."))));
        assert_eq!(read(r#"{"status":"ok","transaction":null}"#), None);
    }
}
