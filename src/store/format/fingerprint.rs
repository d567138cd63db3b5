//! The written form of a fingerprint.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};

use crate::domain::record::Fingerprint;

/// A fingerprint in Base64url (RFC 4648 5).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WrittenFingerprint(pub(super) Fingerprint);

impl Serialize for WrittenFingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0.0))
    }
}

impl<'de> Deserialize<'de> for WrittenFingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Self(Fingerprint(bytes))).ok_or_else(|| D::Error::custom("no fingerprint"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_comes_back_and_anything_else_is_refused() {
        let written = serde_json::to_string(&WrittenFingerprint(Fingerprint::of("first-refresh-token"))).unwrap();
        assert_eq!(written, "\"GffE__Dwk0v2-zc-KhyPZw\"");
        let read: WrittenFingerprint = serde_json::from_str(&written).unwrap();
        assert_eq!(read.0, Fingerprint::of("first-refresh-token"));
        for text in ["\"\"", "\"issuer=a client_id=b\"", "\"GffE\"", "1"] {
            assert!(serde_json::from_str::<WrittenFingerprint>(text).is_err(), "{text}");
        }
    }
}
