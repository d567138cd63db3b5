//! The meaning of what a provider answered, read as generously as real providers need and no more.
//!
//! It is read in layers: `http` has the status and the whole body, `body` makes a tree of it, the profile says where the
//! members are, and here is what they mean. Only an error code in a JSON (or form-encoded) body ends anything, or a status
//! of which the profile says so. All else that is not a good answer is a passing fault: a captive portal's page, a
//! proxy's error, a broken body.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::body::{self, Json, member};
use super::http::Exchange;
use super::lifetime;
use super::quotation::{self, KnownSecrets};
use super::refusal::{self, ProviderError, RequestContext, by_status};
use crate::domain::approval::{Approval, Authorization, DeviceAuthorization};
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::policy;
use crate::domain::profile::{Member, OauthError, Profile, RequestKind};
use crate::domain::secret::Secret;
use crate::domain::text::is_printable;
use crate::domain::token::{PollAnswer, TokenAnswer};

/// The assumed life of a device code where the provider breaks the rule to say so.
const ASSUMED_CODE_LIFE: Duration = Duration::from_secs(900);

/// The longest user code and address that are shown; a QR code holds no more than this.
const LONGEST_USER_CODE: usize = 64;
const LONGEST_URI: usize = 1_800;

/// The longest further member that is kept with a token, in bytes of JSON.
const LONGEST_EXTRA: usize = 4 * 1024;

/// Tokens, and the ID token that came with them.
#[derive(Debug)]
pub(super) struct NewTokens {
    pub(super) tokens: TokenAnswer,
    pub(super) id_token: Option<Secret>,
}

/// The result of a poll.
pub(super) enum Polled {
    Granted(NewTokens),
    NotYet(PollAnswer),
}

/// The result of a refresh.
#[derive(Debug)]
pub(crate) enum Refreshed {
    Tokens(TokenAnswer),
    /// No access token that can be used, but a refresh token that takes the place of the one that was sent.
    Rotated(Secret, Fault),
}

/// Returns whether the provider does not take what the client shows of itself (RFC 6749 5.2).
pub(super) fn refuses_client(exchange: &Exchange, asked: RequestContext<'_>) -> bool {
    let known = read(exchange, asked).ok().and_then(|json| refusal::known(&json, exchange, asked));
    matches!(known, Some(OauthError::InvalidClient | OauthError::UnauthorizedClient))
}

/// Returns whether this may be no OAuth endpoint, or none any more: the provider's metadata may name another by now.
pub(super) fn may_have_moved(exchange: &Exchange) -> bool {
    let is_gone = matches!(exchange.status, 300..400 | 404 | 405 | 410);
    let is_page = exchange.status < 500 && !exchange.is_form && !exchange.body.is_empty();
    is_gone || (is_page && !body::is_object(&exchange.body))
}

/// Reads the answer to a refresh (RFC 6749 5).
pub(super) fn refresh(exchange: &Exchange, asked: RequestContext<'_>) -> Result<Refreshed, Fault> {
    let json = read(exchange, asked)?;
    if let Some(error) = ProviderError::of(&json, exchange, asked) {
        return Err(error.of_refresh());
    }
    let rotated = member(&json, asked.profile, Member::RefreshToken).and_then(Json::secret);
    match (good_token(&json, exchange, asked), rotated) {
        (Ok(new), _) => Ok(Refreshed::Tokens(new.tokens)),
        (Err(fault), Some(token)) if is_success(exchange) => {
            Ok(Refreshed::Rotated(token, Fault { in_doubt: false, ..fault }))
        }
        (Err(fault), _) => Err(fault),
    }
}

/// Reads the answer to a request for the first tokens (RFC 6749 5).
pub(super) fn token(exchange: &Exchange, asked: RequestContext<'_>) -> Result<NewTokens, Fault> {
    let json = read(exchange, asked)?;
    if let Some(error) = ProviderError::of(&json, exchange, asked) {
        return Err(error.of_sign_in());
    }
    good_token(&json, exchange, asked)
}

/// Reads the answer to a poll with a device code (RFC 8628 3.5).
pub(super) fn poll(exchange: &Exchange, asked: RequestContext<'_>) -> Result<Polled, Fault> {
    let json = read(exchange, asked)?;
    let Some(error) = ProviderError::of(&json, exchange, asked) else {
        return good_token(&json, exchange, asked).map(Polled::Granted);
    };
    // Whoever is to ask less often waits as long as it says.
    let interval = member(&json, asked.profile, Member::Interval).and_then(Json::duration).or(exchange.retry_after);
    match error.known {
        Some(OauthError::AuthorizationPending) if exchange.status == 429 && interval.is_some() => {
            Ok(Polled::NotYet(PollAnswer::SlowDown { interval }))
        }
        Some(OauthError::AuthorizationPending) => Ok(Polled::NotYet(PollAnswer::Pending)),
        Some(OauthError::SlowDown) => Ok(Polled::NotYet(PollAnswer::SlowDown { interval })),
        _ => Err(error.of_sign_in()),
    }
}

/// Reads the answer of the device authorization endpoint (RFC 8628 3.2).
pub(super) fn device_authorization(exchange: &Exchange, asked: RequestContext<'_>) -> Result<Authorization, Fault> {
    let json = read(exchange, asked)?;
    if let Some(error) = ProviderError::of(&json, exchange, asked) {
        return Err(error.of_sign_in());
    }
    require_success(exchange)?;
    let profile = asked.profile;
    let missing = |what: &str| malformed(format!("The provider's answer to the request for a code has no {what}."));
    let text = |name| member(&json, profile, name).and_then(Json::text);
    let device_code = member(&json, profile, Member::DeviceCode).and_then(Json::secret_or_number);
    let user_code = text(Member::UserCode).ok_or_else(|| missing("user_code"))?;
    let user_code = user_code.trim().to_owned();
    if user_code.is_empty() || user_code.chars().count() > LONGEST_USER_CODE || !is_printable(&user_code) {
        return Err(malformed("The provider's user_code is empty, too long, or has characters that cannot be shown."));
    }
    let address = text(Member::VerificationUri).ok_or_else(|| missing("verification_uri"))?;
    let address = shown_address(&address).ok_or_else(|| {
        malformed("The address that the provider gives for signing in is no plain http or https address.")
    })?;
    let complete = text(Member::VerificationUriComplete).and_then(|address| shown_address(&address));
    let poll_members = profile.poll_members.iter().filter(|(_, path)| !path.is_empty());
    let poll_parameters = poll_members.map(|(name, path)| {
        let value = json.at(path).and_then(Json::text).ok_or_else(|| missing(name))?;
        Ok((name.clone(), Secret::new(value)))
    });
    let poll_parameters = poll_parameters.collect::<Result<BTreeMap<_, _>, Fault>>()?;
    let device_code = device_code.ok_or_else(|| missing("device_code"))?;
    // They are shown to the user, and published. A short code may well begin the long one, and some want it in each poll.
    let of_poll = poll_parameters.values().filter(|value| value.expose() != user_code);
    let given = asked.sent.iter().copied().chain([&device_code]).chain(of_poll);
    let sent = KnownSecrets::new(asked.sent.iter().copied());
    let given = KnownSecrets::new(given);
    if sent.are_in(&user_code) || given.are_in(&address) {
        return Err(malformed("The provider's code or address for signing in repeats a secret."));
    }
    // It only spares the user the typing.
    let complete = complete.filter(|address| !given.are_in(address));
    let seconds = |name| member(&json, profile, name).and_then(Json::duration);
    let device = DeviceAuthorization {
        device_code,
        user_code,
        verification_uri: address,
        verification_uri_complete: complete,
        interval: policy::poll_interval(seconds(Member::Interval)),
        poll_parameters,
    };
    let life = seconds(Member::ExpiresIn).filter(|life| !life.is_zero()).unwrap_or(ASSUMED_CODE_LIFE);
    Ok(Authorization { approval: Approval::Device(device), expires_in: Some(life) })
}

/// Reads the answer to a revocation (RFC 7009 2.2): whatever its body, success is success, and so is that there is no such
/// token any more.
pub(super) fn revocation(exchange: &Exchange, asked: RequestContext<'_>) -> Result<(), Fault> {
    if is_success(exchange) {
        return Ok(());
    }
    let json = read(exchange, asked).map_err(|fault| match fault.code {
        FaultCode::NotOauth => Fault { message: untold(exchange), ..fault },
        _ => fault,
    })?;
    match ProviderError::of(&json, exchange, asked) {
        Some(error) if error.says_token_is_dead() => Ok(()),
        Some(error) => Err(error.of_sign_in()),
        None => require_success(exchange).map_err(|fault| Fault { message: untold(exchange), ..fault }),
    }
}

fn untold(exchange: &Exchange) -> String {
    format!("The provider did not confirm the revocation (HTTP {}).", exchange.status)
}

/// An address that may be shown to a user: http or https, of a sensible length, without a user name in front of the
/// host that would make it look like another one. It is written anew, so that no character of the original is left
/// that a terminal or a page would take for more than text.
fn shown_address(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.filter(|url| url.host_str().is_some() && url.username().is_empty() && url.password().is_none());
    url.map(String::from).filter(|text| text.len() <= LONGEST_URI)
}

fn good_token(json: &Json, exchange: &Exchange, asked: RequestContext<'_>) -> Result<NewTokens, Fault> {
    require_success(exchange)?;
    let RequestContext { kind, profile, sent } = asked;
    let secret = |name| member(json, profile, name).and_then(Json::secret);
    let access_token =
        secret(Member::AccessToken).ok_or_else(|| malformed("The provider's answer has no access_token."))?;
    let (refresh_token, id_token) = (secret(Member::RefreshToken), secret(Member::IdToken));
    let given = [Some(&access_token), refresh_token.as_ref(), id_token.as_ref()];
    let secrets: Vec<_> = sent.iter().copied().chain(given.into_iter().flatten()).collect();
    // Absent at some providers; RFC 6749 7.1 forbids to use a type that is not understood.
    let token_type = member(json, profile, Member::TokenType).and_then(Json::text);
    let token_type = token_type.unwrap_or_else(|| "Bearer".to_owned());
    let of_profile = profile.token_types.iter().flatten().map(String::as_str);
    if !of_profile.chain(["Bearer"]).any(|bearer| bearer.eq_ignore_ascii_case(&token_type)) {
        let message = format!(
            "The provider gave a token of the type \"{}\"; only Bearer is supported.",
            quotation::shown(&token_type, &secrets)
        );
        return Err(Fault::reconfigure(FaultCode::TokenTypeUnsupported, message));
    }
    // A token travels in a header, where anything but visible ASCII would be cut off or refused (RFC 6750 2.1).
    if !access_token.expose().bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        return Err(malformed("The provider's access_token has characters that no header can carry."));
    }
    // It would be published.
    if sent.contains(&&access_token) {
        return Err(malformed("The provider's access_token is a secret that was sent to it."));
    }
    let known = KnownSecrets::new(secrets);
    let lifetimes = lifetime::Answered {
        refreshable: refresh_token.is_some() || kind == RequestKind::Refresh,
        date: exchange.date,
        access_token: &access_token,
        expires_in: member(json, profile, Member::ExpiresIn),
        expires_at: json.member("expires_at"),
        refresh_expires_in: member(json, profile, Member::RefreshTokenExpiresIn),
    };
    let tokens = TokenAnswer {
        expires_in: lifetimes.expires_in(profile),
        sign_in_end: lifetimes.sign_in_end(profile, kind),
        scope: scope(member(json, profile, Member::Scope), profile, &known),
        extra: extra(json, profile, &known),
        access_token,
        refresh_token,
    };
    Ok(NewTokens { tokens, id_token })
}

/// The longest list of scopes that is published, in bytes: with every token, and in each status. No provider has as many.
const LONGEST_SCOPES: usize = 16 * 1_024;

/// The scopes with spaces between them, whether they came as a text or a list; none that quotes a secret.
fn scope(value: Option<&Json>, profile: &Profile, secrets: &KnownSecrets) -> Option<String> {
    let text = match value? {
        Json::List(items) => items.iter().filter_map(Json::text).collect::<Vec<_>>().join(" "),
        value => value.text()?.replace(profile.scope_separator(), " "),
    };
    if text.len() > LONGEST_SCOPES {
        return None;
    }
    let scopes: Vec<_> = text.split_whitespace().filter(|scope| !secrets.are_in(scope)).collect();
    Some(scopes.join(" ")).filter(|scope| !scope.is_empty() && is_printable(scope))
}

/// The further members that the profile names, each as JSON; none that quotes a secret.
fn extra(json: &Json, profile: &Profile, secrets: &KnownSecrets) -> BTreeMap<String, Secret> {
    let members = profile.extra.iter();
    members.filter_map(|(name, path)| Some((name.clone(), published(json.at(path)?, secrets)?))).collect()
}

/// The parameters of the redirection that the profile names, each as JSON; none that quotes one of the secrets that were `sent`.
pub(super) fn redirect_extra(
    parameters: &BTreeMap<String, Secret>,
    profile: &Profile,
    sent: &[&Secret],
) -> BTreeMap<String, Secret> {
    let secrets = KnownSecrets::new(sent.iter().copied());
    let named = profile.redirect_extra.iter().filter_map(|(name, parameter)| Some((name, parameters.get(parameter)?)));
    named.filter_map(|(name, value)| Some((name.clone(), published(&Json::Text(value.clone()), &secrets)?))).collect()
}

/// A member as it is published with the token, if it is not too long and quotes no secret.
fn published(member: &Json, secrets: &KnownSecrets) -> Option<Secret> {
    let text = member.to_json().filter(|text| text.expose().len() <= LONGEST_EXTRA)?;
    (!quotes_secret(member, secrets)).then_some(text)
}

fn quotes_secret(member: &Json, secrets: &KnownSecrets) -> bool {
    match member {
        Json::Text(text) => secrets.are_in(text.expose()),
        Json::List(items) => items.iter().any(|item| quotes_secret(item, secrets)),
        Json::Object(members) => {
            members.iter().any(|(name, value)| secrets.are_in(name) || quotes_secret(value, secrets))
        }
        _ => false,
    }
}

/// Reads the body, or says why what answered is no OAuth server.
fn read(exchange: &Exchange, asked: RequestContext<'_>) -> Result<Json, Fault> {
    // A captive portal says so itself (RFC 6585 6).
    if exchange.status == 511 {
        return Err(no_oauth(exchange));
    }
    if (300..400).contains(&exchange.status) {
        let to = quotation::shown(exchange.redirected_to.as_deref().unwrap_or("nowhere"), asked.sent);
        let message = format!("The request was redirected to {to} (HTTP {}), which is not followed.", exchange.status);
        return Err(Fault::passing(FaultCode::NotOauth, message));
    }
    let json = body::read(&exchange.body, exchange.is_form);
    // Where the profile says what a status means, there need be nothing else; but a page is of somebody else.
    let by_status_alone =
        by_status(exchange.status, asked).is_some() && !exchange.body.trim_ascii_start().starts_with(b"<");
    let json = json.or_else(|| by_status_alone.then_some(Json::Null));
    if exchange.status == 429 || exchange.status >= 500 {
        // Passing, whatever the body says, but for the codes that answer a poll (RFC 8628 3.5).
        let error = json.as_ref().and_then(|json| refusal::known(json, exchange, asked));
        let answers_poll = asked.kind == RequestKind::DevicePoll
            && matches!(
                error,
                Some(
                    OauthError::AuthorizationPending
                        | OauthError::SlowDown
                        | OauthError::AccessDenied
                        | OauthError::ExpiredToken
                )
            );
        if !answers_poll {
            let wait = exchange.retry_after.or_else(|| json.as_ref()?.member("retry_after")?.duration());
            return Err(busy(exchange).retry_after(wait));
        }
    }
    json.ok_or_else(|| no_oauth(exchange))
}

fn busy(exchange: &Exchange) -> Fault {
    if exchange.status == 429 {
        return Fault::passing(FaultCode::RateLimited, "The provider asks for fewer requests (HTTP 429).");
    }
    let message = format!("The provider is not available now (HTTP {}).", exchange.status);
    Fault::passing(FaultCode::ProviderUnavailable, message).in_doubt()
}

fn require_success(exchange: &Exchange) -> Result<(), Fault> {
    if is_success(exchange) { Ok(()) } else { Err(no_oauth(exchange)) }
}

fn is_success(exchange: &Exchange) -> bool {
    (200..300).contains(&exchange.status)
}

fn no_oauth(exchange: &Exchange) -> Fault {
    // Some providers have a form of their own for errors. A portal or a proxy does not answer so.
    if matches!(exchange.status, 400 | 401) && body::is_object(&exchange.body) {
        let message = format!("The provider refused in a form that no standard knows (HTTP {}).", exchange.status);
        return Fault::passing(FaultCode::ProviderRefused, message).in_doubt();
    }
    let body = if exchange.body.is_empty() { "an empty body" } else { "something that is no OAuth answer" };
    let message = format!("What answered in the provider's place sent HTTP {} with {body}.", exchange.status);
    Fault::passing(FaultCode::NotOauth, message).retry_after(exchange.retry_after).in_doubt()
}

/// Whoever sends this may correct it, and a token that was sent is kept meanwhile.
fn malformed(message: impl Into<String>) -> Fault {
    Fault::passing(FaultCode::AnswerMalformed, message).in_doubt()
}
