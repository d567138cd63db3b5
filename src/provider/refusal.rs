//! The error in an answer: its code wherever a provider puts it, and what it means.

use std::time::Duration;

use super::body::{Json, member};
use super::http::Exchange;
use super::quotation;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::profile::{Member, OauthError, Profile, RequestKind, StatusCode};
use crate::domain::secret::Secret;

/// Where providers are seen to put a code, beside `error` itself (RFC 6749 5.2). Only a known code counts there.
const CODE_MEMBERS: [&[&str]; 18] = [
    &["error", "code"],
    &["error", "error"],
    &["error", "type"],
    &["error", "errorCode"],
    &["error", "status"],
    &["error", "message"],
    &["error", "reason"],
    &["error_code"],
    &["errorCode"],
    &["error_type"],
    &["errorType"],
    &["code"],
    &["type"],
    &["message"],
    &["reason"],
    &["errors", "0", "code"],
    &["errors", "0", "errorType"],
    &["errors", "0", "message"],
];

/// Where providers are seen to put the text, beside `error_description` (RFC 6749 5.2).
const TEXT_MEMBERS: [&[&str]; 10] = [
    &["error_description"],
    &["error", "message"],
    &["error", "error_description"],
    &["error_message"],
    &["errorMessage"],
    &["message"],
    &["detail"],
    &["description"],
    &["errors", "0", "message"],
    &["error_msg"],
];

/// An error of the provider's, with what it said about it.
#[derive(Debug)]
pub(super) struct ProviderError {
    /// The standard's code that it is or stands for; none for one that nobody knows.
    pub(super) known: Option<OauthError>,
    message: String,
    retry_after: Option<Duration>,
    /// True if the code says that there is no such token (RFC 6750 3.1), or none any more.
    dead_token: bool,
}

/// The request that an answer is to: its kind, its profile, and the secrets that went out with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestContext<'a> {
    pub(super) kind: RequestKind,
    pub(super) profile: &'a Profile,
    pub(super) sent: &'a [&'a Secret],
}

impl ProviderError {
    /// The error in an answer, if there is one. The code is found before anything is made fit to be shown.
    pub(super) fn of(json: &Json, exchange: &Exchange, asked: RequestContext<'_>) -> Option<Self> {
        let RequestContext { profile, sent, .. } = asked;
        let GivenError { given, known } = GivenError::find(json, exchange, asked)?;
        let secrets_given = given_secrets(json, profile);
        let secrets: Vec<_> = sent.iter().copied().chain(&secrets_given).collect();
        let name = known.map(|error| error.code().to_owned());
        let code = match (&given, name) {
            (Some(given), Some(name)) if *given == name => name,
            (Some(given), Some(name)) => format!("{}\", which means \"{name}", quotation::shown(given, &secrets)),
            (Some(given), None) => quotation::shown(given, &secrets),
            (None, Some(name)) => name,
            (None, None) => "an error without a code".to_owned(),
        };
        let description = description(json, profile).filter(|text| Some(text) != given.as_ref());
        let description = description
            .map_or_else(String::new, |text| format!(": {}", quotation::shown(&text, &secrets).trim_end_matches('.')));
        let message = format!("The provider answered \"{code}\"{description} (HTTP {}).", exchange.status);
        let dead_token = known == Some(OauthError::InvalidGrant) || given.as_deref() == Some("invalid_token");
        Some(Self { known, message, retry_after: exchange.retry_after, dead_token })
    }

    /// Returns whether it says of a token that is to be revoked that there is none.
    pub(super) fn says_token_is_dead(&self) -> bool {
        self.dead_token
    }

    /// Returns the fault of a sign-in under way: an unknown code ends it too, as no one can wait for what nobody
    /// knows (RFC 8628 3.5).
    pub(super) fn of_sign_in(self) -> Fault {
        self.meaning().unwrap_or_else(|this| Fault::ask_user(FaultCode::ProviderRefused, this.message))
    }

    /// Returns the fault of a grant that is held: only a known code ends it.
    pub(super) fn of_refresh(self) -> Fault {
        self.meaning().unwrap_or_else(|this| Fault::passing(FaultCode::ProviderRefused, this.message))
    }

    fn meaning(self) -> Result<Fault, Self> {
        let Some(error) = self.known else { return Err(self) };
        Ok(match error {
            OauthError::AccessDenied => Fault::ask_user(FaultCode::AccessDenied, self.message),
            OauthError::ExpiredToken => Fault::ask_user(FaultCode::CodeExpired, self.message),
            OauthError::InvalidGrant => Fault::ask_user(FaultCode::InvalidGrant, self.message),
            OauthError::InvalidClient => Fault::reconfigure(FaultCode::InvalidClient, self.message),
            OauthError::UnauthorizedClient => Fault::reconfigure(FaultCode::UnauthorizedClient, self.message),
            OauthError::InvalidScope => Fault::reconfigure(FaultCode::InvalidScope, self.message),
            OauthError::InvalidRequest | OauthError::InvalidTarget | OauthError::UnsupportedTokenType => {
                Fault::reconfigure(FaultCode::InvalidRequest, self.message)
            }
            OauthError::InteractionRequired => Fault::reconfigure(FaultCode::InteractionRequired, self.message),
            OauthError::UnsupportedGrantType => Fault::reconfigure(FaultCode::UnsupportedGrantType, self.message),
            // Beside a poll, where they say when to ask again, they say no more than that.
            OauthError::SlowDown | OauthError::AuthorizationPending => {
                Fault::passing(FaultCode::RateLimited, self.message).retry_after(self.retry_after)
            }
            OauthError::ServerError | OauthError::TemporarilyUnavailable => {
                Fault::passing(FaultCode::ProviderUnavailable, self.message).retry_after(self.retry_after)
            }
        })
    }
}

/// The standard's code of the error in an answer, if there is one and it has one.
pub(super) fn known(json: &Json, exchange: &Exchange, asked: RequestContext<'_>) -> Option<OauthError> {
    GivenError::find(json, exchange, asked)?.known
}

/// The error in an answer, as it is and as what it is understood.
struct GivenError {
    given: Option<String>,
    known: Option<OauthError>,
}

impl GivenError {
    fn find(json: &Json, exchange: &Exchange, asked: RequestContext<'_>) -> Option<Self> {
        let profile = asked.profile;
        // Some say in every answer that there is none.
        let given = given_code(json, profile).filter(|code| code != "0" || !has_token(json, profile));
        let known = given.as_deref().and_then(|code| known_code(code, profile));
        // Only where the answer is an error anyway, or says no more than that it is none of OAuth's.
        let known = known.or_else(|| elsewhere(json, asked).filter(|_| !has_token(json, profile)));
        let failed = profile
            .success
            .as_ref()
            .is_some_and(|success| !json.at(&success.member).is_some_and(|value| value.is(&success.value)));
        let known = known.or_else(|| by_status(exchange.status, asked).filter(|_| given.is_none() || failed));
        (given.is_some() || known.is_some() || failed).then_some(Self { given, known })
    }
}

/// The code that stands where the standard or the profile says.
fn given_code(json: &Json, profile: &Profile) -> Option<String> {
    match &profile.error_members {
        Some(paths) => paths.iter().find_map(|path| json.at(path).and_then(Json::text)),
        None => json.member("error").and_then(Json::text),
    }
}

/// The standard's code that this one is or stands for.
fn known_code(code: &str, profile: &Profile) -> Option<OauthError> {
    let code = code.trim();
    let mapped = profile
        .errors
        .get(code)
        .copied()
        .or_else(|| profile.errors.iter().find(|(own, _)| own.eq_ignore_ascii_case(code)).map(|(_, error)| *error));
    mapped.or_else(|| OauthError::from_code(code))
}

/// A known code at one of the other places.
fn elsewhere(json: &Json, RequestContext { kind, profile, .. }: RequestContext<'_>) -> Option<OauthError> {
    if profile.error_members.is_some() {
        return None;
    }
    let codes = CODE_MEMBERS.iter().filter_map(|path| json.along(path.iter().copied()).and_then(Json::text));
    let mut found = codes.filter_map(|code| Some((known_code(&code, profile)?, profile.errors.contains_key(&code))));
    // A firewall too says "access_denied"; only who was asked about a code, or the profile, means the user by it.
    let (error, _) = found.find(|(error, mapped)| {
        let of_code = matches!(error, OauthError::AccessDenied | OauthError::ExpiredToken);
        let of_poll = matches!(error, OauthError::AuthorizationPending | OauthError::SlowDown);
        *mapped || kind == RequestKind::DevicePoll || !(of_code || of_poll)
    })?;
    Some(error)
}

/// Returns the error that the profile names for a status without a code.
pub(super) fn by_status(status: u16, RequestContext { kind, profile, .. }: RequestContext<'_>) -> Option<OauthError> {
    let status = StatusCode(status);
    profile.statuses.of(kind).get(&status).or_else(|| profile.statuses.every.get(&status)).copied()
}

/// The secrets that an answer gives, although it tells of an error.
fn given_secrets(json: &Json, profile: &Profile) -> Vec<Secret> {
    let names = [Member::AccessToken, Member::RefreshToken, Member::IdToken, Member::DeviceCode];
    names.into_iter().filter_map(|name| member(json, profile, name)?.secret_or_number()).collect()
}

fn has_token(json: &Json, profile: &Profile) -> bool {
    member(json, profile, Member::AccessToken).and_then(Json::secret).is_some()
}

fn description(json: &Json, profile: &Profile) -> Option<String> {
    if let Some(path) = profile.members.get(&Member::ErrorDescription) {
        return json.at(path).and_then(Json::text);
    }
    TEXT_MEMBERS.iter().find_map(|path| json.along(path.iter().copied()).and_then(Json::text))
}
