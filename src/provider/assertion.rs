//! A client that shows who it is by a signature (RFC 7523 2.2 and 3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::client_key::{ClientKey, InvalidKey};
use crate::domain::secret::Secret;
use crate::platform::clock;

/// The value of `client_assertion_type`.
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good, in seconds: it is sent at once, and the two clocks may differ by some of it.
const LIFE: i64 = 120;

/// Signs an assertion of the client `id` for the authorization server `audience`.
pub(super) fn sign(key: &ClientKey, id: &str, audience: &str) -> Result<Secret, InvalidKey> {
    let mut unique = [0; 16];
    getrandom::fill(&mut unique).map_err(|_| InvalidKey::NoSignature)?;
    let now = clock::now().wall.seconds();
    let mut header = serde_json::json!({ "alg": key.algorithm(), "typ": "JWT" });
    if let Some(kid) = &key.id {
        header["kid"] = kid.as_str().into();
    }
    let claims = serde_json::json!({
        "iss": id,
        "sub": id,
        "aud": audience,
        "jti": URL_SAFE_NO_PAD.encode(unique),
        "iat": now,
        "exp": now + LIFE,
    });
    let encoded = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = key.sign(signed.as_bytes())?;
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}
