//! Requests for a token.

use super::Agent;
use super::requests::ReplyTo;
use super::withdrawals::topic_of;
use crate::domain::account::AccountName;
use crate::domain::settings::PublishMode;
use crate::domain::token_name::TokenName;
use crate::platform::clock;
use crate::wire::{self, ErrorCode, RequestError, Transaction};

impl Agent {
    /// Gives out the account's own token, or a further one.
    pub(super) fn respond_token(
        &mut self,
        account: Option<&AccountName>,
        token: Option<&TokenName>,
        transaction: &Transaction,
        reply_to: &ReplyTo,
    ) -> Result<(), RequestError> {
        let name = self.known(account)?;
        if !self.topics.may_carry_token(&reply_to.topic) {
            let error = "Tokens stay at the device's own broker: ask with a response topic below $local/.";
            return Err(RequestError::new(ErrorCode::TokenIsLocal, error));
        }
        let Some(account) = self.accounts.get(&name) else { return Ok(()) };
        let full_name = token.map_or_else(|| name.to_string(), |token| format!("{name}/{token}"));
        if let Some(token) = token.filter(|token| !account.settings.tokens.contains_key(*token)) {
            let known: Vec<_> = account.settings.tokens.keys().map(TokenName::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let error = format!("There is no further token {token} of {name}; there is: {known}.");
            return Err(RequestError::new(ErrorCode::UnknownToken, error));
        }
        if account.settings.publish == PublishMode::Retained {
            let topic = self.topics.account(&name, &topic_of(token));
            return Err(RequestError::new(
                ErrorCode::TokenIsRetained,
                format!("The token of {full_name} is retained on {topic}; subscribe to that."),
            ));
        }
        let now = clock::now();
        let found = match token {
            None => account.session.token(now),
            Some(token) => account.session.further_token(token, now),
        };
        let Some(found) = found else {
            let error = format!("There is no valid token of {full_name} now. Request status to see why.");
            return Err(RequestError::new(ErrorCode::NoToken, error));
        };
        let payload = wire::token_response(&name, token, &found, &reply_to.subject, transaction);
        self.send(reply_to, payload, transaction);
        Ok(())
    }
}
