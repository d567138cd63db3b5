//! What a provider answered, read as generously as real providers need and no more.
//!
//! Only an error code in a JSON (or form-encoded) body ends anything. All else that is not a good answer is a passing
//! fault: a captive portal's page, a proxy's error, a broken body.

use std::time::Duration;

use serde::Deserialize;
use serde::de::Deserializer;
use url::Url;

use super::http::Exchange;
use crate::domain::approval::{Approval, Authorization, DeviceAuthorization};
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::policy;
use crate::domain::secret::Secret;
use crate::domain::text::{is_printable, printable};
use crate::domain::token::{PollAnswer, TokenAnswer};

/// How long a device code is taken to live where the provider breaks the rule to say so.
const ASSUMED_CODE_LIFE: Duration = Duration::from_secs(900);

/// The longest user code and address that are shown; a QR code holds no more than this.
const LONGEST_USER_CODE: usize = 64;
const LONGEST_URI: usize = 1_800;

/// Every member that any answer may have. Members of the wrong type count as absent, but for the tokens.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Members {
    error: Lenient,
    error_description: Lenient,
    access_token: Option<Secret>,
    refresh_token: Option<Secret>,
    id_token: Option<Secret>,
    token_type: Lenient,
    expires_in: Lenient,
    scope: Lenient,
    device_code: Option<Secret>,
    user_code: Lenient,
    verification_uri: Lenient,
    verification_url: Lenient,
    verification_uri_complete: Lenient,
    verification_url_complete: Lenient,
    interval: Lenient,
}

/// A text or number that may be missing, `null`, or of another type altogether.
#[derive(Default)]
struct Lenient(Option<String>);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(match value {
            serde_json::Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        }))
    }
}

impl Lenient {
    fn text(&self) -> Option<String> {
        self.0.as_deref().map(printable)
    }

    /// Seconds, as a number or as the text of one; a fraction is cut off, and what is negative is nothing.
    fn seconds(&self) -> Option<Duration> {
        let text = self.0.as_deref()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let seconds: f64 = text.parse().ok()?;
        Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
    }
}

/// Tokens, and the ID token that came with them.
#[derive(Debug)]
pub(super) struct NewTokens {
    pub(super) tokens: TokenAnswer,
    pub(super) id_token: Option<Secret>,
}

/// What one poll brought.
pub(super) enum Polled {
    Granted(NewTokens),
    NotYet(PollAnswer),
}

/// Whether the provider does not take the client's secret (RFC 6749 5.2).
pub(super) fn refuses_client(exchange: &Exchange) -> bool {
    read(exchange, &[]).is_ok_and(|members| members.error.0.as_deref() == Some("invalid_client"))
}

/// Whether this may be no OAuth endpoint, or none any more: the provider's metadata may name another by now.
pub(super) fn may_have_moved(exchange: &Exchange) -> bool {
    let is_gone = matches!(exchange.status, 300..400 | 404 | 405 | 410);
    let is_page = exchange.status < 500 && !exchange.is_form && !exchange.body.is_empty() && !is_object(&exchange.body);
    is_gone || is_page
}

/// Reads the answer to a refresh (RFC 6749 5).
pub(super) fn refresh(exchange: &Exchange, sent: &[&Secret], separator: &str) -> Result<TokenAnswer, Fault> {
    let members = read(exchange, sent)?;
    if let Some(error) = Refusal::of(&members, exchange, sent) {
        return Err(error.of_refresh());
    }
    good_token(members, exchange, sent, separator).map(|new| new.tokens)
}

/// Reads the answer to a request for the first tokens (RFC 6749 5).
pub(super) fn token(exchange: &Exchange, sent: &[&Secret], separator: &str) -> Result<NewTokens, Fault> {
    let members = read(exchange, sent)?;
    if let Some(error) = Refusal::of(&members, exchange, sent) {
        return Err(error.of_sign_in());
    }
    good_token(members, exchange, sent, separator)
}

/// Reads the answer to a poll with a device code (RFC 8628 3.5).
pub(super) fn poll(exchange: &Exchange, sent: &[&Secret], separator: &str) -> Result<Polled, Fault> {
    let members = read(exchange, sent)?;
    let Some(error) = Refusal::of(&members, exchange, sent) else {
        return good_token(members, exchange, sent, separator).map(Polled::Granted);
    };
    match error.code.as_str() {
        "authorization_pending" => Ok(Polled::NotYet(PollAnswer::Pending)),
        "slow_down" => Ok(Polled::NotYet(PollAnswer::SlowDown { interval: members.interval.seconds() })),
        _ => Err(error.of_sign_in()),
    }
}

/// Reads the answer of the device authorization endpoint (RFC 8628 3.2).
pub(super) fn device_authorization(exchange: &Exchange, sent: &[&Secret]) -> Result<Authorization, Fault> {
    let members = read(exchange, sent)?;
    if let Some(error) = Refusal::of(&members, exchange, sent) {
        return Err(error.of_sign_in());
    }
    require_success(exchange)?;
    let missing = |what: &str| malformed(format!("The provider's answer to the request for a code has no {what}."));
    let device_code = members.device_code.filter(|code| !code.is_empty()).ok_or_else(|| missing("device_code"))?;
    let user_code = members.user_code.0.ok_or_else(|| missing("user_code"))?;
    let user_code = user_code.trim().to_owned();
    if user_code.is_empty() || user_code.chars().count() > LONGEST_USER_CODE || !is_printable(&user_code) {
        return Err(malformed("The provider's user_code is empty, too long, or has characters that cannot be shown."));
    }
    let address = members.verification_uri.0.or(members.verification_url.0);
    let verification_uri = shown_address(&address.ok_or_else(|| missing("verification_uri"))?)?;
    let complete = members.verification_uri_complete.0.or(members.verification_url_complete.0);
    let verification_uri_complete = complete.map(|uri| shown_address(&uri)).transpose()?;
    let interval = policy::poll_interval(members.interval.seconds());
    Ok(Authorization {
        approval: Approval::Device(DeviceAuthorization {
            device_code,
            user_code,
            verification_uri,
            verification_uri_complete,
            interval,
        }),
        expires_in: Some(members.expires_in.seconds().unwrap_or(ASSUMED_CODE_LIFE)),
    })
}

/// Reads the answer to a revocation (RFC 7009 2.2): whatever its body, success is success.
pub(super) fn revocation(exchange: &Exchange, sent: &[&Secret]) -> Result<(), Fault> {
    if (200..300).contains(&exchange.status) {
        return Ok(());
    }
    let members = read(exchange, sent)?;
    match Refusal::of(&members, exchange, sent) {
        Some(error) => Err(error.of_sign_in()),
        None => require_success(exchange),
    }
}

/// An address that may be shown to a user: http or https, of a sensible length, without a user name in front of the
/// host that would make it look like another one. It is written anew, so that no character of the original is left
/// that a terminal or a page would take for more than text.
fn shown_address(text: &str) -> Result<String, Fault> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.filter(|url| url.host_str().is_some() && url.username().is_empty() && url.password().is_none());
    url.map(String::from).filter(|text| text.len() <= LONGEST_URI).ok_or_else(|| {
        malformed("The address that the provider gives for signing in is no plain http or https address.")
    })
}

fn good_token(members: Members, exchange: &Exchange, sent: &[&Secret], separator: &str) -> Result<NewTokens, Fault> {
    require_success(exchange)?;
    let access_token = members
        .access_token
        .filter(|token| !token.is_empty())
        .ok_or_else(|| malformed("The provider's answer has no access_token."))?;
    // Absent at some providers; RFC 6749 7.1 forbids to use a type that is not understood.
    let token_type = members.token_type.text().unwrap_or_else(|| "Bearer".to_owned());
    if !token_type.eq_ignore_ascii_case("bearer") {
        let given = [Some(&access_token), members.refresh_token.as_ref(), members.id_token.as_ref()];
        let secrets: Vec<_> = sent.iter().copied().chain(given.into_iter().flatten()).collect();
        let quoted = without_secrets(members.token_type.0.as_deref().unwrap_or_default(), &secrets);
        let token_type = printable(&quoted);
        let message = format!("The provider gave a token of the type \"{token_type}\"; only Bearer is supported.");
        return Err(Fault::reconfigure(FaultCode::TokenTypeUnsupported, message));
    }
    // A token travels in a header, where anything but visible ASCII would be cut off or refused (RFC 6750 2.1).
    if !access_token.expose().bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        return Err(malformed("The provider's access_token has characters that no header can carry."));
    }
    let scope = members.scope.0.map(|scope| without_secrets(&scope, sent).replace(separator, " "));
    let id_token = members.id_token.filter(|token| !token.is_empty());
    let tokens = TokenAnswer {
        access_token,
        refresh_token: members.refresh_token.filter(|token| !token.is_empty()),
        expires_in: members.expires_in.seconds(),
        scope: scope
            .map(|scope| scope.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|scope| is_printable(scope)),
    };
    Ok(NewTokens { tokens, id_token })
}

/// Reads the members, or says why what answered is no OAuth server.
fn read(exchange: &Exchange, sent: &[&Secret]) -> Result<Members, Fault> {
    match exchange.status {
        // A captive portal says so itself (RFC 6585 6).
        511 => return Err(no_oauth(exchange)),
        500.. => {
            let message = format!("The provider is not available now (HTTP {}).", exchange.status);
            let fault = Fault::passing(FaultCode::ProviderUnavailable, message);
            return Err(fault.retry_after(exchange.retry_after).in_doubt());
        }
        300..400 => {
            let to = without_secrets(exchange.redirected_to.as_deref().unwrap_or("nowhere"), sent);
            let message =
                format!("The request was redirected to {to} (HTTP {}), which is not followed.", exchange.status);
            return Err(Fault::passing(FaultCode::NotOauth, message));
        }
        _ => {}
    }
    let members = if exchange.is_form { read_form(&exchange.body) } else { read_object(&exchange.body) };
    members.ok_or_else(|| no_oauth(exchange))
}

/// An object alone: a list would be taken for its members in their order.
fn read_object(body: &[u8]) -> Option<Members> {
    is_object(body).then(|| serde_json::from_slice(body).ok()).flatten()
}

fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{")
}

/// GitHub's form, where a client has not asked for JSON.
fn read_form(body: &[u8]) -> Option<Members> {
    let pairs = url::form_urlencoded::parse(body);
    let object: serde_json::Map<_, _> =
        pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
    Members::deserialize(serde_json::Value::Object(object)).ok()
}

fn require_success(exchange: &Exchange) -> Result<(), Fault> {
    if (200..300).contains(&exchange.status) { Ok(()) } else { Err(no_oauth(exchange)) }
}

fn no_oauth(exchange: &Exchange) -> Fault {
    if exchange.status == 429 {
        return Fault::passing(FaultCode::RateLimited, "The provider asks for fewer requests (HTTP 429).")
            .retry_after(exchange.retry_after);
    }
    // Some providers have a form of their own for errors. A portal or a proxy does not answer so.
    if matches!(exchange.status, 400 | 401) && !exchange.is_form && read_object(&exchange.body).is_some() {
        let message = format!("The provider refused in a form that no standard knows (HTTP {}).", exchange.status);
        return Fault::passing(FaultCode::ProviderRefused, message).in_doubt();
    }
    let body = if exchange.body.is_empty() { "an empty body" } else { "something that is no OAuth answer" };
    let message = format!("What answered in the provider's place sent HTTP {} with {body}.", exchange.status);
    Fault::passing(FaultCode::NotOauth, message).retry_after(exchange.retry_after).in_doubt()
}

/// Whoever sends this may mend it, and a token that was sent is kept meanwhile.
fn malformed(message: impl Into<String>) -> Fault {
    Fault::passing(FaultCode::AnswerMalformed, message).in_doubt()
}

/// An error code of the provider's, with what it said about it.
struct Refusal {
    code: String,
    message: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn of(members: &Members, exchange: &Exchange, sent: &[&Secret]) -> Option<Self> {
        let code = printable(&without_secrets(members.error.0.as_deref()?, sent));
        // Secrets are taken out before the text is cut, which could leave a part of one.
        let description = members.error_description.0.as_deref().map(|text| printable(&without_secrets(text, sent)));
        let description = description.map_or_else(String::new, |text| format!(": {}", text.trim_end_matches('.')));
        let message = format!("The provider answered \"{code}\"{description} (HTTP {}).", exchange.status);
        Some(Self { code, message, retry_after: exchange.retry_after })
    }

    /// What the error means for a sign-in under way: an unknown code ends it too, as no one can wait for what nobody
    /// knows (RFC 8628 3.5).
    fn of_sign_in(self) -> Fault {
        self.known().unwrap_or_else(|this| Fault::ask_user(FaultCode::ProviderRefused, this.message))
    }

    /// What the error means for a grant that is held: only a known code ends it.
    fn of_refresh(self) -> Fault {
        self.known().unwrap_or_else(|this| Fault::passing(FaultCode::ProviderRefused, this.message))
    }

    fn known(self) -> Result<Fault, Self> {
        let fault = match self.code.as_str() {
            "access_denied" | "authorization_declined" => Fault::ask_user(FaultCode::AccessDenied, self.message),
            "expired_token" => Fault::ask_user(FaultCode::CodeExpired, self.message),
            "invalid_grant" => Fault::ask_user(FaultCode::InvalidGrant, self.message),
            "invalid_client" => Fault::reconfigure(FaultCode::InvalidClient, self.message),
            "unauthorized_client" => Fault::reconfigure(FaultCode::UnauthorizedClient, self.message),
            "invalid_scope" => Fault::reconfigure(FaultCode::InvalidScope, self.message),
            "invalid_request" => Fault::reconfigure(FaultCode::InvalidRequest, self.message),
            "interaction_required" | "login_required" | "consent_required" | "account_selection_required" => {
                Fault::reconfigure(FaultCode::InteractionRequired, self.message)
            }
            "unsupported_grant_type" => Fault::reconfigure(FaultCode::UnsupportedGrantType, self.message),
            "slow_down" => Fault::passing(FaultCode::RateLimited, self.message).retry_after(self.retry_after),
            "server_error" | "temporarily_unavailable" => {
                Fault::passing(FaultCode::ProviderUnavailable, self.message).retry_after(self.retry_after)
            }
            _ => return Err(self),
        };
        Ok(fault)
    }
}

/// Some servers quote in an answer what they were sent.
fn without_secrets(text: &str, sent: &[&Secret]) -> String {
    let quoted = sent.iter().filter(|secret| !secret.is_empty());
    quoted.fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "[secret]"))
}
