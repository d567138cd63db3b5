//! The agent's answers to requests.

use serde::Serialize;

use super::payload::Payload;
use super::request::Transaction;

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
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
pub(crate) fn response<T: Serialize>(outcome: &Outcome<T>, transaction: &Transaction) -> Payload {
    #[derive(Serialize)]
    struct Done<'a, T> {
        status: &'static str,
        data: &'a T,
        transaction: &'a Transaction,
    }
    #[derive(Serialize)]
    struct Failed<'a> {
        status: &'static str,
        error: &'a str,
        code: &'static str,
        transaction: &'a Transaction,
    }
    match outcome {
        Outcome::Done(data) => Payload::json(&Done { status: "ok", data, transaction }),
        Outcome::Failed { code, error } => Payload::json(&Failed { status: "error", error, code, transaction }),
    }
}
