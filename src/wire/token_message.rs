//! The message with a token in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::payload::Payload;
use super::request::Transaction;
use super::response::{Response, ResponseSubject};
use super::secret_text::{exposed, exposed_members, secret_members};
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;
use crate::domain::secret::Secret;
use crate::domain::session::TokenView;
use crate::domain::token_name::TokenName;

/// The payload of `<account>/token` and of `<account>/<name>/token`, and the data of the response to a request for a token.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TokenMessage {
    /// The account.
    pub account: String,
    /// The name of the further token; `None` for the account's own.
    #[serde(default)]
    pub token: Option<String>,
    /// The access token; `None` while there is none that is good.
    #[serde(serialize_with = "exposed")]
    pub access_token: Option<Secret>,
    /// Always `Bearer` (RFC 6750).
    pub token_type: String,
    /// The token as it stands in a header (RFC 6750 2.1).
    #[serde(serialize_with = "exposed")]
    pub authorization: Option<Secret>,
    /// When it expires, in Unix seconds, if the provider says.
    pub expires_at: Option<i64>,
    /// The scopes granted.
    pub scope: Option<String>,
    /// Further members of the provider's answer, each as JSON.
    #[serde(default, serialize_with = "exposed_members", deserialize_with = "secret_members")]
    pub extra: BTreeMap<String, Secret>,
}

impl TokenMessage {
    fn new(account: &AccountName, name: Option<&TokenName>, token: &TokenView) -> Self {
        Self {
            account: account.to_string(),
            token: name.map(TokenName::to_string),
            access_token: Some(token.access_token.clone()),
            token_type: "Bearer".to_owned(),
            authorization: Some(Secret::new(format!("Bearer {}", token.access_token.expose()))),
            expires_at: token.expires_at.map(UnixTime::seconds),
            scope: token.scope.clone(),
            extra: token.extra.clone(),
        }
    }
}

/// Builds the payload of `<account>/token`, or that of the further token `name`.
#[must_use]
pub(crate) fn token(account: &AccountName, name: Option<&TokenName>, token: &TokenView) -> Payload {
    Payload::json(&TokenMessage::new(account, name, token))
}

/// Builds the response to a request for a token.
#[must_use]
pub(crate) fn token_response(
    account: &AccountName,
    name: Option<&TokenName>,
    token: &TokenView,
    subject: &ResponseSubject,
    transaction: &Transaction,
) -> Payload {
    Payload::json(&Response::new(Ok(TokenMessage::new(account, name, token)), subject, transaction))
}

/// Builds the payload of the same topic while there is no good token. It is never empty, since a flow that reads JSON
/// would fail on that.
#[must_use]
pub(crate) fn withdrawn_token(account: &AccountName, name: Option<&TokenName>) -> Payload {
    Payload::json(&TokenMessage {
        account: account.to_string(),
        token: name.map(TokenName::to_string),
        access_token: None,
        token_type: "Bearer".to_owned(),
        authorization: None,
        expires_at: None,
        scope: None,
        extra: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn google() -> AccountName {
        "google".parse().unwrap()
    }

    #[test]
    fn a_token_is_ready_for_a_header() {
        let view = TokenView {
            access_token: Secret::new("ya29.x".to_owned()),
            expires_at: Some(UnixTime::new(1_800_000_000)),
            usable_until: None,
            scope: Some("openid email".to_owned()),
            extra: [("instance_url".to_owned(), Secret::new("\"https://a.example\"".to_owned()))].into(),
        };
        assert_eq!(
            token(&google(), None, &view).text(),
            r#"{"account":"google","token":null,"access_token":"ya29.x","token_type":"Bearer","authorization":"Bearer ya29.x","expires_at":1800000000,"scope":"openid email","extra":{"instance_url":"https://a.example"}}"#
        );
    }

    #[test]
    fn a_withdrawn_token_has_every_key() {
        assert_eq!(
            withdrawn_token(&google(), Some(&"drive".parse().unwrap())).text(),
            r#"{"account":"google","token":"drive","access_token":null,"token_type":"Bearer","authorization":null,"expires_at":null,"scope":null,"extra":{}}"#
        );
    }
}
