//! Who approved: from the ID token (OpenID Connect Core 3.1.3.7), or else from userinfo (5.3).
//!
//! An ID token is taken only from the token endpoint itself, over the connection that authenticates it; its signature
//! need not be checked then (3.1.3.7, point 6). Its issuer, audience and end are.

use super::body::{self, Json};
use super::http::Exchange;
use super::jwt;
use super::quotation::{self, KnownSecrets};
use crate::domain::clock::UnixTime;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::identity::{Claim, Identity, is_plain_address};
use crate::domain::secret::Secret;
use crate::domain::text::printable;

/// The most that the clocks of the two sides may differ, in seconds.
const CLOCK_SKEW: i64 = 300;

/// The most values of one claim that are looked at.
const MOST_VALUES: usize = 256;

/// The claims about a user, in an ID token or in the answer of userinfo (OpenID Connect Core 5.1).
#[derive(Debug)]
pub(super) struct Claims(Json);

/// The requirements on an ID token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// Who issues it; `{tid}` stands for the claim of that name.
    pub(super) issuer: &'a str,
    /// Whom it is for.
    pub(super) client_id: &'a str,
    /// The nonce that it must repeat, where that had a nonce (OpenID Connect Core 3.1.3.7, point 11).
    pub(super) nonce: Option<&'a str>,
    /// When it came, by the server's clock if it tells it.
    pub(super) now: UnixTime,
}

/// Returns whether an ID token is plainly the answer to a request with another nonce.
pub(super) fn is_of_another(token: &Secret, nonce: Option<&str>) -> bool {
    let claims = jwt::payload(token.expose()).map(Claims);
    let given = claims.as_ref().and_then(|claims| claims.text("nonce"));
    nonce.is_some_and(|nonce| given.is_some_and(|given| given != nonce))
}

/// Reads an ID token that came from the token endpoint; `None` if it cannot be read. No error quotes one of the `secrets`.
pub(super) fn id_token(token: &Secret, expected: Expected<'_>, secrets: &[&Secret]) -> Result<Option<Claims>, Fault> {
    let Some(claims) = jwt::payload(token.expose()).map(Claims) else { return Ok(None) };
    if !claims.is_from(expected.issuer) {
        let message = format!(
            "The ID token is from the issuer \"{}\", not from \"{}\".",
            quotation::shown(claims.text("iss").unwrap_or_default(), secrets),
            expected.issuer
        );
        return Err(unknown(message));
    }
    // A token for several names the one that it was given to (3.1.3.7, points 4 and 5).
    let given_to_us = match (claims.text("azp"), claims.0.member("aud")) {
        (Some(azp), _) => azp == expected.client_id,
        (None, Some(Json::List(several))) => several.len() == 1,
        (None, _) => true,
    };
    if !claims.is_for(expected.client_id) || !given_to_us {
        return Err(unknown("The ID token is for another client."));
    }
    let Some(ends) = claims.0.member("exp").and_then(Json::number) else {
        return Err(unknown("The ID token has no end."));
    };
    #[expect(clippy::cast_precision_loss, reason = "it is exact for the next hundred million years")]
    let now = (expected.now.seconds() - CLOCK_SKEW) as f64;
    if ends < now {
        return Err(unknown("The ID token has expired already."));
    }
    if expected.nonce.is_some_and(|nonce| claims.text("nonce") != Some(nonce)) {
        return Err(unknown("The ID token does not repeat the nonce of the request."));
    }
    Ok(Some(claims))
}

/// Reads the answer of userinfo (OpenID Connect Core 5.3.2), which may be a signed token: it came over the same kind of
/// connection as an ID token, and what it says of issuer and audience must be right.
pub(super) fn userinfo(exchange: &Exchange, expected: Option<Expected<'_>>) -> Result<Claims, Fault> {
    let body = body::without_mark(&exchange.body);
    let text = std::str::from_utf8(body).ok();
    let signed = text.filter(|_| !body::is_object(body)).and_then(jwt::payload).map(Claims);
    if let (Some(claims), Some(expected)) = (&signed, expected) {
        let from_another = claims.text("iss").is_some() && !claims.is_from(expected.issuer);
        let names_audience = claims.0.member("aud").is_some_and(|audience| !matches!(audience, Json::Null));
        if from_another || (names_audience && !claims.is_for(expected.client_id)) {
            return Err(unknown("What userinfo signed is from another issuer, or for another client."));
        }
    }
    let plain = || body::object(body).map(Claims);
    match (exchange.status, signed.or_else(plain)) {
        (200..300, Some(claims)) => Ok(claims),
        (status, _) => {
            Err(unknown(format!("The provider did not say who has approved (HTTP {status} from userinfo).")))
        }
    }
}

impl Claims {
    /// The user that the claims are about, if they say which, with the `further` claims. A claim that repeats one of the `secrets`
    /// counts as absent.
    pub(super) fn identity(&self, secrets: &[&Secret], further: &[String]) -> Option<Identity> {
        let secrets = KnownSecrets::new(secrets.iter().copied());
        let is_fit = |text: &str| !text.is_empty() && !secrets.are_in(text);
        let sub = match self.0.member("sub")? {
            // One that would have to be changed to be shown could be taken for another user's.
            Json::Text(text) => Some(text.expose().to_owned()).filter(|text| printable(text) == *text)?,
            Json::Number(number) => number.clone(),
            _ => return None,
        };
        let text = |name| self.text(name).map(printable).filter(|text| is_fit(text));
        let verified = self.0.member("email_verified").is_some_and(|verified| verified.is("true"));
        let picture = text("picture").filter(|address| address.starts_with("https://"));
        let email = text("email");
        Some(Identity {
            sub: Some(sub).filter(|sub| is_fit(sub))?,
            // Compared as it was sent: made printable, an odd address could look like another one.
            email_verified: verified && email.is_some() && self.text("email").is_some_and(is_whole_address),
            email,
            name: text("name").or_else(|| text("preferred_username")),
            picture,
            claims: self.further(further, &secrets),
        })
    }

    /// The values of these claims. A name with dots in it is that of a member of a member, unless there is a claim of that name.
    fn further(&self, names: &[String], secrets: &KnownSecrets) -> Vec<Claim> {
        let told = names.iter().filter_map(|name| {
            let nested = || name.split('.').try_fold(&self.0, |json, member| json.member(member));
            let claim = self.0.member(name).or_else(nested)?;
            let values = if let Json::List(values) = claim { values.as_slice() } else { std::slice::from_ref(claim) };
            let values = values.iter().filter_map(value).take(MOST_VALUES);
            Some(Claim { name: name.clone(), values: values.filter(|value| !secrets.are_in(value)).collect() })
        });
        told.collect()
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.0.member(name)? {
            Json::Text(text) => Some(text.expose()),
            _ => None,
        }
    }

    fn is_from(&self, expected: &str) -> bool {
        let Some(issuer) = self.text("iss") else { return false };
        // Google has both forms.
        if issuer == expected || (issuer == "accounts.google.com" && expected == "https://accounts.google.com") {
            return true;
        }
        let tenant = self.text("tid").filter(|tid| tid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        tenant.is_some_and(|tenant| expected.contains("{tid}") && issuer == expected.replace("{tid}", tenant))
    }

    fn is_for(&self, client_id: &str) -> bool {
        let is_ours = |audience: &Json| matches!(audience, Json::Text(text) if text.expose() == client_id);
        match self.0.member("aud") {
            Some(Json::List(audiences)) => audiences.iter().any(is_ours),
            audience => audience.is_some_and(is_ours),
        }
    }
}

/// Returns whether an address is one to compare, and no longer than addresses are (RFC 5321 4.5.3.1.3): nothing is cut off.
fn is_whole_address(address: &str) -> bool {
    is_plain_address(address) && address.len() <= 254
}

/// One value of a claim. One that would have to be changed to be shown could be taken for another, so it is none.
fn value(json: &Json) -> Option<String> {
    let text = match json {
        Json::Text(text) => text.expose(),
        Json::Number(number) => number,
        Json::Truth(true) => "true",
        Json::Truth(false) => "false",
        Json::Null | Json::List(_) | Json::Object(_) => return None,
    };
    (!text.is_empty() && printable(text) == *text).then(|| text.to_owned())
}

/// `first`, with what only `second` tells; it must be the same user (OpenID Connect Core 5.3.2).
pub(super) fn merged(first: Option<Identity>, second: Identity) -> Result<Identity, Fault> {
    let Some(first) = first else { return Ok(second) };
    if first.sub != second.sub {
        return Err(unknown("The ID token and userinfo are about two different users."));
    }
    let mut claims = first.claims.clone();
    claims.extend(second.claims.into_iter().filter(|claim| first.claim(&claim.name).is_none()));
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
        claims,
    })
}

pub(super) fn unknown(message: impl Into<String>) -> Fault {
    Fault::ask_user(FaultCode::IdentityUnknown, message)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};
    use zeroize::Zeroizing;

    use super::*;

    const EXPECTED: Expected<'static> = Expected {
        issuer: "https://id.example",
        client_id: "the-client",
        nonce: None,
        now: UnixTime::new(1_800_000_000),
    };

    fn token(change: &Value) -> Secret {
        let mut claims = json!({
            "iss": "https://id.example", "aud": "the-client", "sub": "u1", "exp": 1_800_000_300,
            "email": "ann@example.com", "email_verified": true,
        });
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string())))
    }

    fn read(token: &Secret, expected: Expected<'_>) -> Result<Claims, Fault> {
        id_token(token, expected, &[]).map(Option::unwrap)
    }

    fn refused(change: &Value) -> String {
        let fault = id_token(&token(change), EXPECTED, &[]).unwrap_err();
        assert_eq!(fault.code, FaultCode::IdentityUnknown);
        fault.message
    }

    #[test]
    fn an_id_token_says_who_approved() {
        let user = read(&token(&json!({})), EXPECTED).unwrap().identity(&[], &[]).unwrap();
        assert_eq!(
            (user.sub.as_str(), user.email.as_deref(), user.email_verified),
            ("u1", Some("ann@example.com"), true)
        );
        let text = read(&token(&json!({ "email_verified": "true" })), EXPECTED).unwrap().identity(&[], &[]).unwrap();
        assert!(text.email_verified);
        let no = read(&token(&json!({ "email_verified": "false" })), EXPECTED).unwrap().identity(&[], &[]).unwrap();
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
        assert_eq!(refused(&json!({ "exp": 1_799_990_000 })), "The ID token has expired already.");
        assert_eq!(refused(&json!({ "exp": null })), "The ID token has no end.");
        let several = json!({ "aud": ["the-client", "another"], "azp": "the-client" });
        assert!(read(&token(&several), EXPECTED).is_ok());
    }

    #[test]
    fn an_id_token_that_cannot_be_read_or_is_encrypted_says_nothing() {
        for text in
            ["", "hunter2", "a.hunter2.b", "e30.bm90IGpzb24.x", "..", "e30.e30.e30.e30.e30", &"a.".repeat(10_000)]
        {
            assert!(id_token(&Secret::new(text.to_owned()), EXPECTED, &[]).unwrap().is_none(), "{text}");
        }
    }

    #[test]
    fn an_id_token_repeats_the_nonce_of_its_request() {
        let expected = Expected { nonce: Some("n1"), ..EXPECTED };
        assert!(read(&token(&json!({ "nonce": "n1" })), expected).is_ok());
        for other in [json!({ "nonce": "n2" }), json!({}), json!({ "nonce": 1 })] {
            let fault = read(&token(&other), expected).unwrap_err();
            assert_eq!(fault.message, "The ID token does not repeat the nonce of the request.");
        }
        let other = token(&json!({ "nonce": "n2" }));
        assert!(
            is_of_another(&other, Some("n1")) && !is_of_another(&other, Some("n2")) && !is_of_another(&other, None)
        );
        assert!(!is_of_another(&token(&json!({})), Some("n1")), "some servers leave it out");
    }

    #[test]
    fn userinfo_may_be_a_signed_token_of_the_same_issuer_for_the_same_client() {
        let of = |change: &Value| {
            let body = Zeroizing::new(token(change).expose().as_bytes().to_vec());
            userinfo(&Exchange { status: 200, body, ..Exchange::default() }, Some(EXPECTED))
        };
        assert_eq!(of(&json!({})).unwrap().identity(&[], &[]).unwrap().sub, "u1");
        assert!(of(&json!({ "aud": null, "iss": null })).is_ok());
        assert!(of(&json!({ "aud": "another" })).is_err());
        assert!(of(&json!({ "iss": "https://evil.example" })).is_err());
    }

    #[test]
    fn microsofts_issuer_has_the_users_own_tenant_in_it() {
        let expected = Expected { issuer: "https://login.example/{tid}/v2.0", ..EXPECTED };
        let of = |iss: &str, tid: &str| read(&token(&json!({ "iss": iss, "tid": tid })), expected);
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
            claims: Vec::new(),
        };
        let both = merged(Some(user("u1", None, false)), user("u1", Some("a@b.c"), true)).unwrap();
        assert_eq!((both.email.as_deref(), both.email_verified), (Some("a@b.c"), true));
        assert!(merged(Some(user("u1", None, false)), user("u2", Some("a@b.c"), true)).is_err());
        // A verification is of the address that it came with.
        let mixed = merged(Some(user("u1", Some("evil@b.c"), false)), user("u1", Some("a@b.c"), true)).unwrap();
        assert_eq!((mixed.email.as_deref(), mixed.email_verified), (Some("a@b.c"), true));
    }

    #[test]
    fn no_claim_repeats_a_token() {
        let bearer = Secret::new("at-SECRET-abcdef123456".to_owned());
        let of = |claims: &Value| read(&token(claims), EXPECTED).unwrap().identity(&[&bearer], &[]);
        let user = of(
            &json!({ "name": "token was Bearer at-SECRET-abcdef123456", "picture": "https://x/?at-secret-abcdef123456" }),
        );
        let user = user.unwrap();
        assert_eq!((user.name, user.picture), (None, None));
        assert!(of(&json!({ "sub": "at-SECRET-abcdef123456" })).is_none());
        let issuer = token(&json!({ "iss": "at-SECRET-abcdef123456" }));
        let fault = id_token(&issuer, EXPECTED, &[&bearer]).unwrap_err().to_string();
        assert!(!fault.contains("abcdef"), "{fault}");
    }

    #[test]
    fn a_picture_that_is_no_https_address_is_left_out() {
        let claims = |picture: &str| {
            let token = token(&json!({ "picture": picture, "name": "Ann\u{1b}[2J" }));
            read(&token, EXPECTED).unwrap().identity(&[], &[]).unwrap()
        };
        assert_eq!(claims("javascript:alert(1)").picture, None);
        assert_eq!(claims("https://a.example/p.png").picture.as_deref(), Some("https://a.example/p.png"));
        assert_eq!(claims("").name.as_deref(), Some("Ann [2J"));
    }
}
