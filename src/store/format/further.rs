//! The written form of a further token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::expiry::WrittenExpiry;
use super::fingerprint::WrittenFingerprint;
use super::{Clock, all_exposed, exposed};
use crate::domain::record::FurtherToken;
use crate::domain::secret::Secret;

/// A further token, under its name.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenFurtherToken {
    #[serde(serialize_with = "exposed")]
    access_token: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry: Option<WrittenExpiry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, serialize_with = "all_exposed", skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Secret>,
    target: WrittenFingerprint,
}

impl From<&FurtherToken> for WrittenFurtherToken {
    fn from(token: &FurtherToken) -> Self {
        let FurtherToken { access_token, expiry, scope, extra, target } = token.clone();
        let expiry = expiry.as_ref().map(WrittenExpiry::from);
        Self { access_token, expiry, scope, extra, target: WrittenFingerprint(target) }
    }
}

impl WrittenFurtherToken {
    pub(super) fn restored(self, clock: Clock) -> FurtherToken {
        FurtherToken {
            access_token: self.access_token,
            expiry: self.expiry.map(|expiry| expiry.restored(clock)),
            scope: self.scope,
            extra: self.extra,
            target: self.target.0,
        }
    }
}
