//! Whatever a provider, or somebody in its place, may send.

use std::fmt::Debug;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastrand::Rng;
use url::Url;
use zeroize::Zeroizing;

use super::answer::Refreshed;
use super::http::{self, Exchange};
use super::refusal::RequestContext;
use super::{answer, identity, metadata};
use crate::domain::approval::{Approval, Authorization};
use crate::domain::clock::UnixTime;
use crate::domain::fault::Fault;
use crate::domain::profile::{Profile, RequestKind};
use crate::domain::redirection::Redirection;
use crate::domain::secret::Secret;
use crate::domain::text::is_printable;
use crate::domain::token::TokenAnswer;
use crate::testing::harmless::TOKEN;

/// The secret that was sent; whatever comes back, it must never be shown.
const SENT: &str = "sent-hidden-9wQ41kTz7c";

const STATUSES: [u16; 16] = [200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 421, 428, 429, 500, 503, 511];

fn exchange(body: &[u8], chance: &mut Rng) -> Exchange {
    Exchange {
        status: *chance.choice(&STATUSES).unwrap(),
        is_form: chance.u8(0..5) == 0,
        body: Zeroizing::new(body.to_vec()),
        ..Exchange::default()
    }
}

fn tokens(refreshed: Result<Refreshed, Fault>) -> Result<TokenAnswer, Fault> {
    match refreshed? {
        Refreshed::Tokens(tokens) => Ok(tokens),
        Refreshed::Rotated(_, fault) => Err(fault),
    }
}

/// All that anybody gets to see of it, which must be harmless.
fn shown<T: Debug>(result: &Result<T, Fault>) -> String {
    if let Err(fault) = result {
        assert!(is_printable(&fault.to_string()), "{fault:?}");
    }
    format!("{result:?}")
}

/// The answer of a token, device authorization or revocation endpoint.
pub(crate) fn answers(body: &[u8], chance: &mut Rng) -> String {
    let sent = Secret::new(SENT.to_owned());
    let (sent, profile) = ([&sent], Profile::default());
    let asked = |kind| RequestContext { kind, profile: &profile, sent: &sent };
    let exchange = exchange(body, chance);
    let shown = match chance.u8(0..4) {
        0 if chance.bool() => shown(&tokens(answer::refresh(&exchange, asked(RequestKind::Refresh)))),
        0 => shown(&answer::token(&exchange, asked(RequestKind::CodeExchange)).map(|new| new.tokens)),
        1 => shown(&answer::poll(&exchange, asked(RequestKind::DevicePoll)).map(|_| ())),
        2 => shown(&answer::revocation(&exchange, asked(RequestKind::Revocation))),
        _ => {
            let result = answer::device_authorization(&exchange, asked(RequestKind::DeviceAuthorization));
            if let Ok(Authorization { approval: Approval::Device(device), .. }) = &result {
                let uris = [Some(&device.verification_uri), device.verification_uri_complete.as_ref()];
                for uri in uris.into_iter().flatten() {
                    let url: Url = uri.parse().unwrap();
                    assert!(matches!(url.scheme(), "http" | "https") && is_printable(uri), "{uri}");
                }
                assert!(is_printable(&device.user_code) && device.user_code.chars().count() <= 64);
                assert!(!device.interval.is_zero());
            }
            shown(&result)
        }
    };
    assert!(!shown.contains(SENT), "what was sent is shown: {shown:?}");
    // In a form, what looks like a member of JSON is a part of some value that is no secret.
    if exchange.is_form { shown.replace(TOKEN, "") } else { shown }
}

/// The metadata of an authorization server.
pub(crate) fn metadata(body: &[u8], chance: &mut Rng) -> String {
    let issuer = "https://id.example/a".parse().unwrap();
    shown(&metadata::read(&exchange(body, chance), &issuer).map(|_| ()))
}

/// The claims of an ID token, and of userinfo in both its forms.
pub(crate) fn id_tokens(claims: &[u8], chance: &mut Rng) -> String {
    let issuers = ["https://id.example/a", "https://login.microsoftonline.com/{tid}/v2.0"];
    let issuer = chance.choice(issuers).unwrap();
    let now = UnixTime::new(1_800_000_000);
    let token = Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)));
    let expected = identity::Expected { issuer, client_id: "c", nonce: None, now };
    let from_token = identity::id_token(&token, expected, &[&token]);
    let plain_or_signed = if chance.bool() { claims } else { token.expose().as_bytes() };
    let from_userinfo = identity::userinfo(&exchange(plain_or_signed, chance), Some(expected));
    let of_token = from_token.as_ref().ok().and_then(Option::as_ref);
    for claims in of_token.into_iter().chain(&from_userinfo) {
        let Some(user) = claims.identity(&[&token], &["groups".to_owned(), "a.b".to_owned()]) else { continue };
        let texts = [Some(&user.sub), user.email.as_ref(), user.name.as_ref(), user.picture.as_ref()];
        assert!(texts.into_iter().flatten().all(|text| is_printable(text)), "{user:?}");
        assert!(user.picture.is_none_or(|address| address.starts_with("https://")));
    }
    shown(&from_token.map(|_| ())) + &shown(&from_userinfo.map(|_| ()))
}

/// The address of a redirection.
pub(crate) fn redirections(address: &[u8], _: &mut Rng) -> String {
    let address = String::from_utf8_lossy(address);
    let shown = match Redirection::read(&address) {
        Ok(Redirection { outcome, issuer, .. }) => format!("{outcome:?} {issuer:?}"),
        Err(error) => error.to_string(),
    };
    // In a query, what looks like a member of JSON is a part of some text that is no secret.
    let is_code = |(at, _)| address.get(..at).is_some_and(|before: &str| before.ends_with("&code="));
    if address.match_indices(TOKEN).all(is_code) { shown } else { shown.replace(TOKEN, "") }
}

/// The wait that an answer asks for.
pub(crate) fn retry_after(value: &[u8], _: &mut Rng) -> String {
    let mut headers = oauth2::http::HeaderMap::new();
    for name in ["retry-after", "date"] {
        if let Ok(value) = oauth2::http::HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    format!("{:?}", http::retry_after(&headers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hostile::bombard;

    #[test]
    fn no_answer_of_a_provider_does_harm() {
        bombard("provider-answers", answers);
    }

    #[test]
    fn no_metadata_does_harm() {
        bombard("metadata", metadata);
    }

    #[test]
    fn no_id_token_does_harm() {
        bombard("id-tokens", id_tokens);
    }

    #[test]
    fn no_redirection_does_harm() {
        bombard("redirections", redirections);
    }

    #[test]
    fn no_wait_that_is_asked_for_does_harm() {
        bombard("retry-after", retry_after);
    }
}
