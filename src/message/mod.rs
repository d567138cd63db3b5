//! What stands in the messages: the JSON of the contract, and the names of the topics.

#[cfg(test)]
mod hostile;
mod payload;
mod request;
mod topics;

pub use payload::{
    AccountInfo, Payload, SetUp, identity, info, sign_in, state, status, token, token_response, withdrawn_token,
};
pub use request::{Outcome, Request, Transaction, Verb, response};
pub use topics::Topics;
