//! What the agent publishes: the JSON of the contract.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::payload::Payload;
use super::request::Transaction;
use super::response::{Outcome, response};
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;
use crate::domain::identity::Identity;
use crate::domain::secret::Secret;
use crate::domain::session::{PendingView, StatusView, TokenView};
use crate::ui::qr::Qr;

/// Whether the agent is there: `bridge/state`.
#[must_use]
pub(crate) fn state(online: bool) -> Payload {
    Payload::json(&serde_json::json!({ "state": if online { "online" } else { "offline" } }))
}

/// One account in `bridge/info`.
#[derive(Debug, Serialize)]
pub(crate) struct AccountInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its provider.
    pub provider: &'a str,
    /// Its grant, as the configuration calls it.
    pub grant: &'a str,
    /// The scopes it asks for.
    pub scopes: &'a [String],
}

/// What the agent is: `bridge/info`.
#[must_use]
pub(crate) fn info(started_at: UnixTime, accounts: &[AccountInfo<'_>]) -> Payload {
    #[derive(Serialize)]
    struct Info<'a> {
        version: &'static str,
        started_at: i64,
        accounts: &'a [AccountInfo<'a>],
    }
    Payload::json(&Info { version: env!("CARGO_PKG_VERSION"), started_at: started_at.seconds(), accounts })
}

#[derive(Serialize)]
struct TokenMessage<'a> {
    account: &'a str,
    access_token: Option<&'a str>,
    token_type: &'static str,
    authorization: Option<&'a str>,
    expires_at: Option<i64>,
    scope: Option<&'a str>,
    extra: BTreeMap<&'a str, &'a RawValue>,
}

impl<'a> TokenMessage<'a> {
    fn new(account: &'a AccountName, token: &'a TokenView, authorization: &'a str) -> Self {
        Self {
            account: account.as_str(),
            access_token: Some(token.access_token.expose()),
            token_type: "Bearer",
            authorization: Some(authorization),
            expires_at: token.expires_at.map(UnixTime::seconds),
            scope: token.scope.as_deref(),
            extra: token.extra.iter().filter_map(extra).collect(),
        }
    }
}

/// A further member as it goes out; each is JSON already.
fn extra<'a>((name, value): (&'a String, &'a Secret)) -> Option<(&'a str, &'a RawValue)> {
    Some((name, serde_json::from_str(value.expose()).ok()?))
}

/// A token as it stands in a header (RFC 6750 2.1).
fn authorization(access_token: &Secret) -> Zeroizing<String> {
    Zeroizing::new(format!("Bearer {}", access_token.expose()))
}

/// An access token: `<account>/token`.
#[must_use]
pub(crate) fn token(account: &AccountName, token: &TokenView) -> Payload {
    Payload::json(&TokenMessage::new(account, token, &authorization(&token.access_token)))
}

/// The same in answer to a request.
#[must_use]
pub(crate) fn token_response(account: &AccountName, token: &TokenView, transaction: &Transaction) -> Payload {
    let authorization = authorization(&token.access_token);
    response(&Outcome::Done(TokenMessage::new(account, token, &authorization)), transaction)
}

/// That there is no access token now: `<account>/token`, never empty, since a flow that reads JSON would fail on that.
#[must_use]
pub(crate) fn withdrawn_token(account: &AccountName) -> Payload {
    Payload::json(&TokenMessage {
        account: account.as_str(),
        access_token: None,
        token_type: "Bearer",
        authorization: None,
        expires_at: None,
        scope: None,
        extra: BTreeMap::new(),
    })
}

/// What `status` says of an account's settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetUp {
    /// Its grant, as the configuration calls it; `None` for an account that is gone.
    pub grant: Option<&'static str>,
    /// Where it was declared: `file` or `mqtt`.
    pub declared: Option<&'static str>,
    /// Whether its sign-in is for other scopes or by another grant than it asks for now.
    pub sign_in_needed: bool,
}

/// The state of an account: `<account>/status`.
#[must_use]
pub(crate) fn status(account: &AccountName, set_up: SetUp, status: &StatusView) -> impl Serialize + use<> {
    #[derive(Serialize)]
    struct Status {
        account: String,
        state: &'static str,
        needs_user: bool,
        expires_at: Option<i64>,
        next_refresh_at: Option<i64>,
        last_refresh_at: Option<i64>,
        scope: Option<String>,
        grant: Option<&'static str>,
        signed_in_at: Option<i64>,
        sign_in_ends_at: Option<i64>,
        extra: Vec<String>,
        user: Option<String>,
        user_changed_at: Option<i64>,
        declared: Option<&'static str>,
        sign_in_needed: bool,
        error: Option<Error>,
    }
    #[derive(Serialize)]
    struct Error {
        code: &'static str,
        message: String,
        since: i64,
        retry_at: Option<i64>,
    }
    Status {
        account: account.to_string(),
        state: status.state.name(),
        needs_user: status.needs_user,
        expires_at: status.expires_at.map(UnixTime::seconds),
        next_refresh_at: status.next_refresh_at.map(UnixTime::seconds),
        last_refresh_at: status.last_refresh_at.map(UnixTime::seconds),
        scope: status.scope.clone(),
        grant: set_up.grant,
        signed_in_at: status.signed_in_at.map(UnixTime::seconds),
        sign_in_ends_at: status.sign_in_ends_at.map(UnixTime::seconds),
        extra: status.extra.clone(),
        user: status.user.clone(),
        user_changed_at: status.user_changed_at.map(UnixTime::seconds),
        declared: set_up.declared,
        sign_in_needed: set_up.sign_in_needed,
        error: status.error.as_ref().map(|error| Error {
            code: error.code.name(),
            message: error.message.clone(),
            since: error.since.seconds(),
            retry_at: error.retry_at.map(UnixTime::seconds),
        }),
    }
}

/// What a user needs to sign in: `<account>/signin`.
#[must_use]
pub(crate) fn sign_in(account: &AccountName, pending: Option<&PendingView>) -> impl Serialize + use<> {
    #[derive(Serialize)]
    struct SignIn {
        account: String,
        pending: bool,
        verification_uri: Option<String>,
        verification_uri_complete: Option<String>,
        user_code: Option<String>,
        redirect_uri: Option<String>,
        expires_at: Option<i64>,
        qr: Option<String>,
    }
    let address = pending.map(|code| code.verification_uri_complete.as_ref().unwrap_or(&code.verification_uri));
    SignIn {
        account: account.to_string(),
        pending: pending.is_some(),
        verification_uri: pending.map(|code| code.verification_uri.clone()),
        verification_uri_complete: pending.and_then(|code| code.verification_uri_complete.clone()),
        user_code: pending.and_then(|code| code.user_code.clone()),
        redirect_uri: pending.and_then(|code| code.redirect_uri.clone()),
        expires_at: pending.map(|code| code.expires_at.seconds()),
        qr: address.and_then(|address| Qr::new(address).ok()).map(|qr| qr.data_uri()),
    }
}

/// Who is signed in: `<account>/identity`.
#[must_use]
pub(crate) fn identity(account: &AccountName, user: Option<&Identity>) -> Payload {
    #[derive(Serialize)]
    struct IdentityMessage<'a> {
        account: &'a str,
        sub: Option<&'a str>,
        email: Option<&'a str>,
        name: Option<&'a str>,
        picture: Option<&'a str>,
    }
    Payload::json(&IdentityMessage {
        account: account.as_str(),
        sub: user.map(|user| user.sub.as_str()),
        email: user.and_then(|user| user.email.as_deref()),
        name: user.and_then(|user| user.name.as_deref()),
        picture: user.and_then(|user| user.picture.as_deref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::FaultCode;
    use crate::domain::session::{ErrorView, SessionState};

    fn text(payload: &Payload) -> &str {
        std::str::from_utf8(payload.as_bytes()).unwrap()
    }

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
            text(&token(&google(), &view)),
            r#"{"account":"google","access_token":"ya29.x","token_type":"Bearer","authorization":"Bearer ya29.x","expires_at":1800000000,"scope":"openid email","extra":{"instance_url":"https://a.example"}}"#
        );
    }

    #[test]
    fn a_withdrawn_token_has_every_key() {
        assert_eq!(
            text(&withdrawn_token(&google())),
            r#"{"account":"google","access_token":null,"token_type":"Bearer","authorization":null,"expires_at":null,"scope":null,"extra":{}}"#
        );
    }

    #[test]
    fn a_status_has_every_key() {
        let view = StatusView {
            state: SessionState::Expired,
            needs_user: false,
            expires_at: Some(UnixTime::new(10)),
            next_refresh_at: Some(UnixTime::new(20)),
            last_refresh_at: None,
            scope: None,
            signed_in_at: None,
            sign_in_ends_at: None,
            extra: Vec::new(),
            user: None,
            user_changed_at: None,
            error: Some(ErrorView {
                code: FaultCode::ProviderTimeout,
                message: "Slow.".to_owned(),
                since: UnixTime::new(5),
                retry_at: Some(UnixTime::new(20)),
            }),
        };
        assert_eq!(
            text(&Payload::json(&status(
                &google(),
                SetUp { grant: Some("device_code"), declared: Some("file"), sign_in_needed: false },
                &view
            ))),
            r#"{"account":"google","state":"expired","needs_user":false,"expires_at":10,"next_refresh_at":20,"last_refresh_at":null,"scope":null,"grant":"device_code","signed_in_at":null,"sign_in_ends_at":null,"extra":[],"user":null,"user_changed_at":null,"declared":"file","sign_in_needed":false,"error":{"code":"provider_timeout","message":"Slow.","since":5,"retry_at":20}}"#
        );
    }

    #[test]
    fn a_sign_in_that_is_over_has_every_key() {
        assert_eq!(
            text(&Payload::json(&sign_in(&google(), None))),
            r#"{"account":"google","pending":false,"verification_uri":null,"verification_uri_complete":null,"user_code":null,"redirect_uri":null,"expires_at":null,"qr":null}"#
        );
    }
}
