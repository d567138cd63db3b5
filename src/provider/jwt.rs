//! Signed tokens (RFC 7515), of which only the payload is read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::body::{self, Json};

/// The payload of a signed token; none of one that is encrypted (RFC 7516 3) or otherwise cannot be read.
pub(super) fn payload(token: &str) -> Option<Json> {
    let mut parts = token.trim().split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let json = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload).ok()?);
    body::object(&json)
}
