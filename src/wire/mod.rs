//! The topics and payloads: the JSON of the contract.

mod error_code;
mod gate;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod messages;
mod payload;
mod request;
mod response;
mod secret_text;
mod token_message;
mod topics;
mod verb;

pub(crate) use error_code::{ErrorCode, RequestError};
pub(crate) use gate::{EVERYBODY, GateEventMessage, GateMessage, GateSessionMessage, VisitorMessage};
pub(crate) use messages::{
    AccountInfo, InfoMessage, Presence, SetUp, SignInMessage, StateMessage, StatusMessage, identity, info, sign_in,
    state, status,
};
pub(crate) use payload::Payload;
pub(crate) use request::{Request, Transaction};
pub(crate) use response::{DeclareMessage, ForgetMessage, ReloadMessage, Response, ResponseSubject};
pub(crate) use token_message::{TokenMessage, token, token_response, withdrawn_token};
pub(crate) use topics::{Topics, is_of_token};
pub(crate) use verb::Verb;
