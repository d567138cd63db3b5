//! The written form of a session at the gate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::expiry::WrittenExpiry;
use super::fingerprint::WrittenFingerprint;
use super::{Clock, FormatError, VERSION, WrittenUser, check_version, exposed, text_of};
use crate::domain::gate::Way;
use crate::domain::gate::sessions::GateSession;
use crate::domain::identity::Identity;
use crate::domain::secret::Secret;

#[derive(Serialize, Deserialize)]
struct WrittenGateSession {
    version: u32,
    #[serde(serialize_with = "exposed")]
    reference: Secret,
    user: WrittenUser,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<String, Vec<String>>,
    client: WrittenFingerprint,
    way: String,
    expiry: WrittenExpiry,
}

/// The text of a session.
pub(in crate::store) fn encode_gate_session(session: &GateSession) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let GateSession { reference, user: _, identity, client, way, expiry, seen: _ } = session.clone();
    text_of(&WrittenGateSession {
        version: VERSION,
        reference,
        claims: identity.claims.clone(),
        user: identity.into(),
        client: WrittenFingerprint(client),
        way: way.name().to_owned(),
        expiry: (&expiry).into(),
    })
}

/// The session that `text` holds. It counts as used now: when it was used last is not written down at every request.
pub(in crate::store) fn decode_gate_session(text: &[u8], clock: Clock) -> Result<GateSession, FormatError> {
    check_version(text)?;
    let read: WrittenGateSession = serde_json::from_slice(text).map_err(|_| FormatError::Malformed)?;
    let identity = Identity { claims: read.claims, ..read.user.into() };
    Ok(GateSession {
        reference: read.reference,
        user: identity.user().into(),
        identity,
        client: read.client.0,
        way: Way::find(&read.way).ok_or(FormatError::Malformed)?,
        expiry: read.expiry.restored(clock),
        seen: clock.0.boot,
    })
}
