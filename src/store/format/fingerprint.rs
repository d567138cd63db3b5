//! How a fingerprint is written down.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::domain::record::Fingerprint;

/// In Base64url (RFC 4648 5). A former version wrote the text itself where it was a client's, which always has an `=` in it,
/// and the whole of the SHA-256 in Base64 where it was a secret's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WrittenFingerprint(pub(super) Fingerprint);

impl WrittenFingerprint {
    fn read(text: &str) -> Self {
        let short = || URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok();
        let long = || STANDARD.decode(text).ok().filter(|hash| hash.len() == 32)?.first_chunk().copied();
        Self(short().or_else(long).map_or_else(|| Fingerprint::of(text), Fingerprint))
    }
}

impl Serialize for WrittenFingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0.0))
    }
}

impl<'de> Deserialize<'de> for WrittenFingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = WrittenFingerprint;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(WrittenFingerprint::read(text))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_and_a_former_version_wrote_of_one_text_is_the_same() {
        let secret = "first-refresh-token";
        let written = serde_json::to_string(&WrittenFingerprint(Fingerprint::of(secret))).unwrap();
        assert_eq!(written, "\"GffE__Dwk0v2-zc-KhyPZw\"");
        let former = "\"GffE//Dwk0v2+zc+KhyPZ/2M55TxeEGZdZClwKli9Eo=\"";
        for text in [written.as_str(), former] {
            let read: WrittenFingerprint = serde_json::from_str(text).unwrap();
            assert_eq!(read.0, Fingerprint::of(secret), "{text}");
        }
        let client = "issuer=a token_endpoint=b client_id=c";
        assert_eq!(WrittenFingerprint::read(client).0, Fingerprint::of(client));
    }
}
