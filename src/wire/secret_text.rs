//! The one place where a secret becomes part of a message.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::domain::secret::Secret;

/// Writes a secret in the clear: for a token that is published, and for the address that completes a sign-in.
#[allow(clippy::ref_option, reason = "serde hands over the field as it is")]
pub(super) fn exposed<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

/// Writes members, each of which is JSON already.
pub(super) fn exposed_members<S: Serializer>(
    members: &BTreeMap<String, Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let member = |(name, value): (&'_ String, &'_ Secret)| {
        let value: &RawValue = serde_json::from_str(value.expose()).ok()?;
        Some((name.clone(), value.to_owned()))
    };
    serializer.collect_map(members.iter().filter_map(member))
}

/// Reads members, each as the JSON that it is.
pub(super) fn secret_members<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Secret>, D::Error> {
    let members = BTreeMap::<String, Box<RawValue>>::deserialize(deserializer)?;
    Ok(members.into_iter().map(|(name, value)| (name, Secret::new(value.get().to_owned()))).collect())
}
