//! Who approved: from the ID token (OpenID Connect Core 3.1.3.7), or else from userinfo (5.3).
//!
//! An ID token is taken only from the token endpoint itself, over the connection that authenticates it; its signature
//! need not be checked then (3.1.3.7, point 6). Its issuer, audience and end are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::http::Exchange;
use crate::domain::clock::UnixTime;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::identity::Identity;
use crate::domain::secret::Secret;
use crate::domain::text::printable;

/// How far the clocks of the two sides may differ, in seconds.
const CLOCK_SKEW: i64 = 300;

/// The claims about a user, in an ID token or in the answer of userinfo (OpenID Connect Core 5.1).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Claims {
    iss: Option<String>,
    sub: Option<Value>,
    aud: Value,
    azp: Option<String>,
    exp: Option<f64>,
    tid: Option<String>,
    email: Value,
    email_verified: Value,
    name: Value,
    preferred_username: Value,
    picture: Value,
}

/// What an ID token must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// Who issues it; `{tid}` stands for the claim of that name.
    pub(super) issuer: &'a str,
    /// Whom it is for.
    pub(super) client_id: &'a str,
    /// When it came, by the server's clock if it tells it.
    pub(super) now: UnixTime,
}

/// Reads an ID token that came from the token endpoint.
pub(super) fn id_token(token: &Secret, expected: Expected<'_>) -> Result<Claims, Fault> {
    let claims = token.expose().split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let claims = claims.map(Zeroizing::new).and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
    let claims = claims.ok_or_else(|| unknown("The provider's ID token cannot be read."))?;
    if !is_issuer(&claims, expected.issuer) {
        let message = format!(
            "The ID token is from the issuer \"{}\", not from \"{}\".",
            printable(claims.iss.as_deref().unwrap_or_default()),
            expected.issuer
        );
        return Err(unknown(message));
    }
    let is_ours = |audience: &Value| audience.as_str() == Some(expected.client_id);
    let several = claims.aud.as_array();
    let for_us = is_ours(&claims.aud) || several.is_some_and(|audiences| audiences.iter().any(is_ours));
    // A token for several names the one that it was given to (3.1.3.7, points 4 and 5).
    let given_to_us =
        claims.azp.as_deref().map_or(several.is_none_or(|it| it.len() == 1), |azp| azp == expected.client_id);
    if !for_us || !given_to_us {
        return Err(unknown("The ID token is for another client."));
    }
    let Some(ends) = claims.exp else { return Err(unknown("The ID token has no end.")) };
    #[expect(clippy::cast_precision_loss, reason = "it is exact for the next hundred million years")]
    let now = (expected.now.seconds() - CLOCK_SKEW) as f64;
    if ends < now {
        return Err(unknown("The ID token has lapsed already."));
    }
    Ok(claims)
}

fn is_issuer(claims: &Claims, expected: &str) -> bool {
    let Some(issuer) = claims.iss.as_deref() else { return false };
    // Google has both forms.
    if issuer == expected || (issuer == "accounts.google.com" && expected == "https://accounts.google.com") {
        return true;
    }
    let tenant = claims.tid.as_deref().filter(|tid| tid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    tenant.is_some_and(|tenant| expected.contains("{tid}") && issuer == expected.replace("{tid}", tenant))
}

/// Reads the answer of userinfo (OpenID Connect Core 5.3.2).
pub(super) fn userinfo(exchange: &Exchange) -> Result<Claims, Fault> {
    let claims = serde_json::from_slice::<Claims>(&exchange.body).ok();
    match (exchange.status, claims) {
        (200..300, Some(claims)) => Ok(claims),
        (status, _) => {
            Err(unknown(format!("The provider did not say who has approved (HTTP {status} from userinfo).")))
        }
    }
}

impl Claims {
    /// The user that the claims are about, if they say which.
    pub(super) fn identity(&self) -> Option<Identity> {
        let sub = match self.sub.as_ref()? {
            Value::String(text) => printable(text),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let text = |value: &Value| value.as_str().map(printable).filter(|text| !text.is_empty());
        let verified = self.email_verified.as_bool() == Some(true) || self.email_verified.as_str() == Some("true");
        let picture = text(&self.picture).filter(|address| address.starts_with("https://"));
        Some(Identity {
            sub: Some(sub).filter(|sub| !sub.is_empty())?,
            email: text(&self.email),
            email_verified: verified,
            name: text(&self.name).or_else(|| text(&self.preferred_username)),
            picture,
        })
    }
}

/// `first`, with what only `second` tells; it must be the same user (OpenID Connect Core 5.3.2).
pub(super) fn merged(first: Option<Identity>, second: Identity) -> Result<Identity, Fault> {
    let Some(first) = first else { return Ok(second) };
    if first.sub != second.sub {
        return Err(unknown("The ID token and userinfo are about two different users."));
    }
    let (email, email_verified) = match first.email {
        Some(email) if first.email_verified || second.email.is_none() => (Some(email), first.email_verified),
        _ => (second.email, second.email_verified),
    };
    Ok(Identity {
        sub: first.sub,
        email,
        email_verified,
        name: first.name.or(second.name),
        picture: first.picture.or(second.picture),
    })
}

pub(super) fn unknown(message: impl Into<String>) -> Fault {
    Fault::ask_user(FaultCode::IdentityUnknown, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EXPECTED: Expected<'static> =
        Expected { issuer: "https://id.example", client_id: "the-client", now: UnixTime::new(1_800_000_000) };

    fn token(change: &Value) -> Secret {
        let mut claims = json!({
            "iss": "https://id.example", "aud": "the-client", "sub": "u1", "exp": 1_800_000_300,
            "email": "ann@example.com", "email_verified": true,
        });
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string())))
    }

    fn refused(change: &Value) -> String {
        let fault = id_token(&token(change), EXPECTED).unwrap_err();
        assert_eq!(fault.code, FaultCode::IdentityUnknown);
        fault.message
    }

    #[test]
    fn an_id_token_says_who_approved() {
        let user = id_token(&token(&json!({})), EXPECTED).unwrap().identity().unwrap();
        assert_eq!(
            (user.sub.as_str(), user.email.as_deref(), user.email_verified),
            ("u1", Some("ann@example.com"), true)
        );
        let text = id_token(&token(&json!({ "email_verified": "true" })), EXPECTED).unwrap().identity().unwrap();
        assert!(text.email_verified);
        let no = id_token(&token(&json!({ "email_verified": "false" })), EXPECTED).unwrap().identity().unwrap();
        assert!(!no.email_verified);
    }

    #[test]
    fn an_id_token_of_another_issuer_for_another_client_or_of_yesterday_is_refused() {
        assert!(refused(&json!({ "iss": "https://evil.example" })).contains("evil.example"));
        assert!(refused(&json!({ "iss": null })).contains("issuer"));
        for aud in [json!("another"), json!([]), json!(null), json!(["the-client", "another"]), json!(7)] {
            assert_eq!(refused(&json!({ "aud": aud })), "The ID token is for another client.");
        }
        assert_eq!(refused(&json!({ "azp": "another" })), "The ID token is for another client.");
        assert_eq!(refused(&json!({ "exp": 1_799_990_000 })), "The ID token has lapsed already.");
        assert_eq!(refused(&json!({ "exp": null })), "The ID token has no end.");
        let several = json!({ "aud": ["the-client", "another"], "azp": "the-client" });
        assert!(id_token(&token(&several), EXPECTED).is_ok());
    }

    #[test]
    fn an_id_token_that_is_none_is_refused_without_being_quoted() {
        for text in ["", "hunter2", "a.hunter2.b", "e30.bm90IGpzb24.x", "..", &"a.".repeat(10_000)] {
            let fault = id_token(&Secret::new(text.to_owned()), EXPECTED).unwrap_err();
            assert!(!fault.message.contains("hunter2"), "{fault}");
        }
    }

    #[test]
    fn microsofts_issuer_has_the_users_own_tenant_in_it() {
        let expected = Expected { issuer: "https://login.example/{tid}/v2.0", ..EXPECTED };
        let of = |iss: &str, tid: &str| id_token(&token(&json!({ "iss": iss, "tid": tid })), expected);
        assert!(of("https://login.example/9188-40d4/v2.0", "9188-40d4").is_ok());
        assert!(of("https://login.example/9188-40d4/v2.0", "another").is_err());
        assert!(of("https://evil.example/v2.0", "evil.example").is_err());
        assert!(of("https://login.example/a/../b/v2.0", "a/../b").is_err());
    }

    #[test]
    fn userinfo_adds_to_the_id_token_and_must_be_about_the_same_user() {
        let user = |sub: &str, email: Option<&str>, verified| Identity {
            sub: sub.to_owned(),
            email: email.map(str::to_owned),
            email_verified: verified,
            name: None,
            picture: None,
        };
        let both = merged(Some(user("u1", None, false)), user("u1", Some("a@b.c"), true)).unwrap();
        assert_eq!((both.email.as_deref(), both.email_verified), (Some("a@b.c"), true));
        assert!(merged(Some(user("u1", None, false)), user("u2", Some("a@b.c"), true)).is_err());
        // A verification is of the address that it came with.
        let mixed = merged(Some(user("u1", Some("evil@b.c"), false)), user("u1", Some("a@b.c"), true)).unwrap();
        assert_eq!((mixed.email.as_deref(), mixed.email_verified), (Some("a@b.c"), true));
    }

    #[test]
    fn a_picture_that_is_no_https_address_is_left_out() {
        let claims = |picture: &str| {
            let token = token(&json!({ "picture": picture, "name": "Ann\u{1b}[2J" }));
            id_token(&token, EXPECTED).unwrap().identity().unwrap()
        };
        assert_eq!(claims("javascript:alert(1)").picture, None);
        assert_eq!(claims("https://a.example/p.png").picture.as_deref(), Some("https://a.example/p.png"));
        assert_eq!(claims("").name.as_deref(), Some("Ann [2J"));
    }
}
