//! Signed assertions: of a client in place of its secret (RFC 7523 2.2), and of a machine as its grant (2.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::discovery::Endpoints;
use crate::domain::client_key::{ClientKey, InvalidKey};
use crate::domain::jwt_bearer::JwtBearer;
use crate::domain::profile::{AssertionAudience, AssertionScopes, Profile, Thumbprint};
use crate::domain::secret::Secret;
use crate::platform::{clock, random};

/// The value of `client_assertion_type`.
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The life of a client's assertion, in seconds: it is sent at once, and the two clocks may differ by some of
/// it.
const CLIENT_LIFETIME: u32 = 120;

/// The same for a grant, which Google limits to an hour.
const GRANT_LIFETIME: u32 = 3_600;

/// Signs an assertion of the client `id` for a request to the address `requested`.
pub(super) fn of_client(
    key: &ClientKey,
    id: &str,
    requested: &str,
    endpoints: &Endpoints,
    profile: &Profile,
) -> Result<Secret, InvalidKey> {
    let now = clock::now().wall.seconds();
    let lifetime = profile.assertion_lifetime.unwrap_or(CLIENT_LIFETIME);
    let claims = json!({
        "iss": id,
        "sub": id,
        "aud": audience(requested, endpoints, profile),
        "jti": unique()?.expose(),
        "iat": now,
        "exp": now + i64::from(lifetime),
    });
    sign(key, profile, &claims)
}

/// Signs an assertion that is a grant for these `scopes`.
pub(super) fn of_grant(
    bearer: &JwtBearer,
    scopes: &[String],
    endpoints: &Endpoints,
    profile: &Profile,
) -> Result<Secret, InvalidKey> {
    let now = clock::now().wall.seconds();
    let lifetime = profile.assertion_lifetime.unwrap_or(GRANT_LIFETIME);
    let mut claims = json!({ "iss": bearer.issuer, "iat": now, "exp": now + i64::from(lifetime) });
    claims["aud"] = match (&profile.assertion_audience, bearer.is_service_account) {
        (None, true) => endpoints.token.as_str().into(),
        _ => audience(endpoints.token.as_str(), endpoints, profile).into(),
    };
    if scopes_are_a_claim(bearer, profile) && !scopes.is_empty() {
        claims["scope"] = scopes.join(profile.scope_separator()).into();
    }
    if let Some(subject) = &bearer.subject {
        claims["sub"] = subject.as_str().into();
    } else if !bearer.is_service_account {
        claims["sub"] = bearer.issuer.as_str().into();
    }
    if !bearer.is_service_account {
        claims["jti"] = unique()?.expose().into();
    }
    sign(&bearer.key, profile, &claims)
}

/// Returns whether the scopes of a grant stand in its assertion, and not in the request.
pub(super) fn scopes_are_a_claim(bearer: &JwtBearer, profile: &Profile) -> bool {
    profile.assertion_scopes.map_or(bearer.is_service_account, |place| place == AssertionScopes::Claim)
}

/// The audience: what the profile says, else the issuer, else the token endpoint.
fn audience<'a>(requested: &'a str, endpoints: &'a Endpoints, profile: &'a Profile) -> &'a str {
    match &profile.assertion_audience {
        Some(AssertionAudience::RequestedEndpoint) => requested,
        Some(AssertionAudience::Text(text)) => text,
        Some(AssertionAudience::TokenEndpoint) => endpoints.token.as_str(),
        Some(AssertionAudience::Issuer) | None => endpoints.issuer_name().unwrap_or(endpoints.token.as_str()),
    }
}

fn unique() -> Result<Secret, InvalidKey> {
    random::text::<16>().map_err(|_| InvalidKey::NoSignature)
}

fn sign(key: &ClientKey, profile: &Profile, claims: &Value) -> Result<Secret, InvalidKey> {
    let algorithm = profile.assertion_algorithm.unwrap_or_else(|| key.usual_algorithm());
    let mut header = json!({ "alg": algorithm.name(), "typ": "JWT" });
    if let Some(kid) = &key.id {
        header["kid"] = kid.as_str().into();
    }
    if let Some(certificate) = &key.certificate {
        let thumbprint = profile.assertion_thumbprint.unwrap_or(Thumbprint::Sha256);
        if matches!(thumbprint, Thumbprint::Sha1 | Thumbprint::Both) {
            header["x5t"] = certificate.sha1.as_str().into();
        }
        if matches!(thumbprint, Thumbprint::Sha256 | Thumbprint::Both) {
            header["x5t#S256"] = certificate.sha256.as_str().into();
        }
    }
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encoded(&header), encoded(claims));
    let signature = key.sign(algorithm, signed.as_bytes())?;
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}
