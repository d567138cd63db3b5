//! What the agent publishes.

use serde::Serialize;
use zeroize::Zeroizing;

use super::request::{Outcome, Transaction, response};
use crate::account::AccountName;
use crate::clock::UnixTime;
use crate::identity::Identity;
use crate::qr::Qr;
use crate::secret::Secret;
use crate::session::{PendingView, StatusView, TokenView};

/// The bytes of a message, wiped when they have been sent.
#[derive(Clone)]
pub struct Payload(Zeroizing<Vec<u8>>);

impl Payload {
    pub(super) fn json(message: &impl Serialize) -> Self {
        // Counted first, because growing would leave copies behind, and room to spare adds up where thousands wait.
        let mut length = Length(0);
        let counted = serde_json::to_writer(&mut length, message);
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
        let written = serde_json::to_writer(&mut *bytes, message);
        // Only a map with keys that are no text could fail, and there is none.
        debug_assert!(counted.is_ok() && written.is_ok() && bytes.len() == length.0);
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Counts what is written to it.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

/// Whether the agent is there: `bridge/state`.
#[must_use]
pub fn state(online: bool) -> Payload {
    Payload::json(&serde_json::json!({ "state": if online { "online" } else { "offline" } }))
}

/// One account in `bridge/info`.
#[derive(Debug, Serialize)]
pub struct AccountInfo<'a> {
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
pub fn info(started_at: UnixTime, accounts: &[AccountInfo<'_>]) -> Payload {
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
}

impl<'a> TokenMessage<'a> {
    fn new(account: &'a AccountName, token: &'a TokenView, access_token: &'a Secret, authorization: &'a str) -> Self {
        Self {
            account: account.as_str(),
            access_token: Some(access_token.expose()),
            token_type: "Bearer",
            authorization: Some(authorization),
            expires_at: token.expires_at.map(UnixTime::seconds),
            scope: token.scope.as_deref(),
        }
    }
}

/// A token as it stands in a header (RFC 6750 2.1).
fn authorization(access_token: &Secret) -> Zeroizing<String> {
    Zeroizing::new(format!("Bearer {}", access_token.expose()))
}

/// An access token: `<account>/token`. `access_token` is that of `token`, in the clear.
#[must_use]
pub fn token(account: &AccountName, token: &TokenView, access_token: &Secret) -> Payload {
    Payload::json(&TokenMessage::new(account, token, access_token, &authorization(access_token)))
}

/// The same in answer to a request.
#[must_use]
pub fn token_response(
    account: &AccountName,
    token: &TokenView,
    access_token: &Secret,
    transaction: &Transaction,
) -> Payload {
    let authorization = authorization(access_token);
    response(&Outcome::Done(TokenMessage::new(account, token, access_token, &authorization)), transaction)
}

/// That there is no access token now: `<account>/token`, never empty, since a flow that reads JSON would fail on that.
#[must_use]
pub fn withdrawn_token(account: &AccountName) -> Payload {
    Payload::json(&TokenMessage {
        account: account.as_str(),
        access_token: None,
        token_type: "Bearer",
        authorization: None,
        expires_at: None,
        scope: None,
    })
}

/// What `status` says of an account's settings.
#[derive(Clone, Copy, Debug)]
pub struct SetUp {
    /// Its grant, as the configuration calls it; `None` for an account that is gone.
    pub grant: Option<&'static str>,
    /// Where it was declared: `file` or `mqtt`.
    pub declared: Option<&'static str>,
    /// Whether its sign-in is for other scopes or by another grant than it asks for now.
    pub sign_in_needed: bool,
}

/// The state of an account: `<account>/status`.
#[must_use]
pub fn status(account: &AccountName, set_up: SetUp, status: &StatusView) -> impl Serialize + use<> {
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
pub fn sign_in(account: &AccountName, pending: Option<&PendingView>) -> impl Serialize + use<> {
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
pub fn identity(account: &AccountName, user: Option<&Identity>) -> Payload {
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

impl Payload {
    /// The bytes of a message without secrets.
    #[must_use]
    pub fn of(message: &impl Serialize) -> Self {
        Self::json(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultCode;
    use crate::session::{ErrorView, SessionState};
    use crate::token::Token;

    fn text(payload: &Payload) -> &str {
        std::str::from_utf8(payload.as_bytes()).unwrap()
    }

    fn google() -> AccountName {
        "google".parse().unwrap()
    }

    #[test]
    fn a_token_is_ready_for_a_header() {
        let view = TokenView {
            access_token: Token::Stored,
            expires_at: Some(UnixTime::new(1_800_000_000)),
            usable_until: None,
            scope: Some("openid email".to_owned()),
        };
        assert_eq!(
            text(&token(&google(), &view, &Secret::new("ya29.x".to_owned()))),
            r#"{"account":"google","access_token":"ya29.x","token_type":"Bearer","authorization":"Bearer ya29.x","expires_at":1800000000,"scope":"openid email"}"#
        );
    }

    #[test]
    fn a_withdrawn_token_has_every_key() {
        assert_eq!(
            text(&withdrawn_token(&google())),
            r#"{"account":"google","access_token":null,"token_type":"Bearer","authorization":null,"expires_at":null,"scope":null}"#
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
            text(&Payload::of(&status(
                &google(),
                SetUp { grant: Some("device_code"), declared: Some("file"), sign_in_needed: false },
                &view
            ))),
            r#"{"account":"google","state":"expired","needs_user":false,"expires_at":10,"next_refresh_at":20,"last_refresh_at":null,"scope":null,"grant":"device_code","signed_in_at":null,"user":null,"user_changed_at":null,"declared":"file","sign_in_needed":false,"error":{"code":"provider_timeout","message":"Slow.","since":5,"retry_at":20}}"#
        );
    }

    #[test]
    fn a_sign_in_that_is_over_has_every_key() {
        assert_eq!(
            text(&Payload::of(&sign_in(&google(), None))),
            r#"{"account":"google","pending":false,"verification_uri":null,"verification_uri_complete":null,"user_code":null,"redirect_uri":null,"expires_at":null,"qr":null}"#
        );
    }

    #[test]
    fn debug_shows_no_byte_of_a_payload() {
        assert_eq!(format!("{:?}", state(true)), "[18 bytes]");
    }
}
