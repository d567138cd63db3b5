//! The retained messages of the agent, each one type: the agent writes it, the command line reads it.

use serde::{Deserialize, Serialize};

use super::payload::Payload;
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;
use crate::domain::identity::Identity;
use crate::domain::session::{ErrorView, FurtherView, PendingView, StatusView};
use crate::ui::qr::Qr;

/// The payload of `bridge/state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateMessage {
    /// The presence of the agent.
    pub state: Presence,
}

/// The presence of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    /// It is.
    Online,
    /// It is not, as it said itself or as the broker says in its will.
    Offline,
}

/// Builds the payload of `bridge/state`.
#[must_use]
pub(crate) fn state(online: bool) -> Payload {
    Payload::json(&StateMessage { state: if online { Presence::Online } else { Presence::Offline } })
}

/// The payload of `bridge/info`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InfoMessage {
    /// The version of the agent.
    pub version: String,
    /// When it started, in Unix seconds.
    pub started_at: i64,
    /// Its accounts.
    pub accounts: Vec<AccountInfo>,
}

/// One account in `bridge/info`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountInfo {
    /// Its name.
    pub name: String,
    /// Its provider.
    pub provider: String,
    /// Its grant, as the configuration calls it.
    pub grant: String,
    /// The scopes it asks for.
    pub scopes: Vec<String>,
    /// The way its token is given out: `retained` or `on_request`.
    pub publish: String,
    /// The names of its further tokens.
    #[serde(default)]
    pub tokens: Vec<String>,
}

/// Builds the payload of `bridge/info`.
#[must_use]
pub(crate) fn info(started_at: UnixTime, accounts: Vec<AccountInfo>) -> Payload {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Payload::json(&InfoMessage { version, started_at: started_at.seconds(), accounts })
}

/// The part of `status` that comes from outside the account's session.
#[derive(Clone, Debug)]
pub(crate) struct SetUp {
    /// Its grant, as the configuration calls it; `None` for an account that is gone.
    pub grant: Option<&'static str>,
    /// Where it was declared: `file` or `mqtt`.
    pub declared: Option<&'static str>,
    /// True if its sign-in is for other scopes or by another grant than it asks for now.
    pub sign_in_needed: bool,
    /// Advice to an operator, although nothing has failed yet, each in full sentences.
    pub warnings: Vec<String>,
}

/// The payload of `<account>/status`. Every `*_at` is in Unix seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StatusMessage {
    /// The account.
    pub account: AccountName,
    /// `signed_out`, `awaiting_user`, `active` or `expired`.
    pub state: String,
    /// True if nothing goes on before a user signs in.
    pub needs_user: bool,
    /// When the access token expires.
    pub expires_at: Option<i64>,
    /// When the next refresh is due.
    pub next_refresh_at: Option<i64>,
    /// When the last refresh was.
    pub last_refresh_at: Option<i64>,
    /// The scopes granted.
    pub scope: Option<String>,
    /// The grant, as the configuration calls it.
    pub grant: Option<String>,
    /// When the user signed in.
    pub signed_in_at: Option<i64>,
    /// When the sign-in itself ends if nobody acts.
    pub sign_in_ends_at: Option<i64>,
    /// The names of the further members that are published with the token.
    pub extra: Vec<String>,
    /// Who signed in, if the account may tell.
    pub user: Option<String>,
    /// When somebody else than before signed in.
    pub user_changed_at: Option<i64>,
    /// Where the account was declared: `file` or `mqtt`.
    pub declared: Option<String>,
    /// True if the sign-in is for other scopes or by another grant than the account asks for now.
    pub sign_in_needed: bool,
    /// Advice to an operator, although nothing has failed yet, each in full sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Its further tokens, by name.
    #[serde(default)]
    pub tokens: Vec<FurtherTokenMessage>,
    /// The fault, if there is one.
    pub error: Option<ErrorMessage>,
}

/// A further token in a status.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FurtherTokenMessage {
    /// Its name.
    pub name: String,
    /// When it expires.
    pub expires_at: Option<i64>,
    /// The fault of this token alone, if there is one.
    pub error: Option<ErrorMessage>,
}

/// The `error` of a status.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ErrorMessage {
    /// The name of the fault.
    pub code: String,
    /// The event, and the next step.
    pub message: String,
    /// Since when.
    pub since: i64,
    /// When the agent tries again, if it does.
    pub retry_at: Option<i64>,
}

/// Builds the payload of `<account>/status`.
#[must_use]
pub(crate) fn status(account: &AccountName, set_up: SetUp, status: &StatusView) -> StatusMessage {
    StatusMessage {
        account: account.clone(),
        state: status.state.name().to_owned(),
        needs_user: status.needs_user,
        expires_at: status.expires_at.map(UnixTime::seconds),
        next_refresh_at: status.next_refresh_at.map(UnixTime::seconds),
        last_refresh_at: status.last_refresh_at.map(UnixTime::seconds),
        scope: status.scope.clone(),
        grant: set_up.grant.map(str::to_owned),
        signed_in_at: status.signed_in_at.map(UnixTime::seconds),
        sign_in_ends_at: status.sign_in_ends_at.map(UnixTime::seconds),
        extra: status.extra.clone(),
        user: status.user.clone(),
        user_changed_at: status.user_changed_at.map(UnixTime::seconds),
        declared: set_up.declared.map(str::to_owned),
        sign_in_needed: set_up.sign_in_needed,
        warnings: set_up.warnings,
        tokens: status.tokens.iter().map(FurtherTokenMessage::from).collect(),
        error: status.error.as_ref().map(ErrorMessage::from),
    }
}

impl From<&FurtherView> for FurtherTokenMessage {
    fn from(FurtherView { name, expires_at, error }: &FurtherView) -> Self {
        Self {
            name: name.to_string(),
            expires_at: expires_at.map(UnixTime::seconds),
            error: error.as_ref().map(ErrorMessage::from),
        }
    }
}

impl From<&ErrorView> for ErrorMessage {
    fn from(error: &ErrorView) -> Self {
        Self {
            code: error.code.name().to_owned(),
            message: error.message.clone(),
            since: error.since.seconds(),
            retry_at: error.retry_at.map(UnixTime::seconds),
        }
    }
}

/// The payload of `<account>/signin`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SignInMessage {
    /// The account.
    pub account: String,
    /// True if a sign-in waits for the user.
    pub pending: bool,
    /// Where the user types the code, or approves (RFC 8628 3.2).
    pub verification_uri: Option<String>,
    /// The address that needs nothing more to be typed (RFC 8628 3.3.1).
    pub verification_uri_complete: Option<String>,
    /// The code that the user types, in the device grant.
    pub user_code: Option<String>,
    /// Where the browser comes back to, in the authorization code grant.
    pub redirect_uri: Option<String>,
    /// When the sign-in expires, in Unix seconds.
    pub expires_at: Option<i64>,
    /// The address as a QR code: a `data:` URI of an SVG picture.
    pub qr: Option<String>,
}

/// Builds the payload of `<account>/signin`.
#[must_use]
pub(crate) fn sign_in(account: &AccountName, pending: Option<&PendingView>) -> SignInMessage {
    let address = pending.map(|code| code.verification_uri_complete.as_ref().unwrap_or(&code.verification_uri));
    SignInMessage {
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

/// The payload of `<account>/identity`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IdentityMessage {
    /// The account.
    pub account: String,
    /// The subject: the user's stable identifier at the provider.
    pub sub: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// True if the provider vouches for the address.
    pub email_verified: Option<bool>,
    /// The name.
    pub name: Option<String>,
    /// The address of a picture.
    pub picture: Option<String>,
}

/// Builds the payload of `<account>/identity`.
#[must_use]
pub(crate) fn identity(account: &AccountName, user: Option<&Identity>) -> Payload {
    Payload::json(&IdentityMessage {
        account: account.to_string(),
        sub: user.map(|user| user.sub.clone()),
        email: user.and_then(|user| user.email.clone()),
        email_verified: user.filter(|user| user.email.is_some()).map(|user| user.email_verified),
        name: user.and_then(|user| user.name.clone()),
        picture: user.and_then(|user| user.picture.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::FaultCode;
    use crate::domain::session::SessionState;

    fn google() -> AccountName {
        "google".parse().unwrap()
    }

    #[test]
    fn a_status_of_what_is_no_account_is_not_read() {
        let status = |account: &str| {
            let json = serde_json::json!({ "account": account, "state": "active", "needs_user": false, "extra": [],
                                           "sign_in_needed": false });
            serde_json::from_value::<StatusMessage>(json)
        };
        assert!(status("garden").is_ok());
        for account in ["", "bridge", "\u{1b}]0;PWNED\u{7}", &"a".repeat(70_000)] {
            assert!(status(account).is_err(), "{account:.20}");
        }
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
            tokens: vec![FurtherView {
                name: "mail".parse().unwrap(),
                expires_at: Some(UnixTime::new(9)),
                error: None,
            }],
            error: Some(ErrorView {
                code: FaultCode::ProviderTimeout,
                message: "Slow.".to_owned(),
                since: UnixTime::new(5),
                retry_at: Some(UnixTime::new(20)),
            }),
        };
        assert_eq!(
            Payload::json(&status(
                &google(),
                SetUp {
                    grant: Some("device_code"),
                    declared: Some("file"),
                    sign_in_needed: false,
                    warnings: Vec::new()
                },
                &view
            ))
            .text(),
            r#"{"account":"google","state":"expired","needs_user":false,"expires_at":10,"next_refresh_at":20,"last_refresh_at":null,"scope":null,"grant":"device_code","signed_in_at":null,"sign_in_ends_at":null,"extra":[],"user":null,"user_changed_at":null,"declared":"file","sign_in_needed":false,"warnings":[],"tokens":[{"name":"mail","expires_at":9,"error":null}],"error":{"code":"provider_timeout","message":"Slow.","since":5,"retry_at":20}}"#
        );
    }

    #[test]
    fn a_sign_in_that_is_over_has_every_key() {
        assert_eq!(
            Payload::json(&sign_in(&google(), None)).text(),
            r#"{"account":"google","pending":false,"verification_uri":null,"verification_uri_complete":null,"user_code":null,"redirect_uri":null,"expires_at":null,"qr":null}"#
        );
    }
}
