//! What stands in the messages: the JSON of the contract, and the names of the topics.

#[cfg(test)]
mod hostile;
mod messages;
mod payload;
mod request;
mod response;
mod topics;

pub(crate) use messages::{
    AccountInfo, SetUp, identity, info, sign_in, state, status, token, token_response, withdrawn_token,
};
pub(crate) use payload::Payload;
pub(crate) use request::{Request, Transaction, Verb};
pub(crate) use response::{Outcome, response};
pub(crate) use topics::Topics;
