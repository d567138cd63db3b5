//! The written form of a session at the gate.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::expiry::WrittenExpiry;
use super::fingerprint::WrittenFingerprint;
use super::{Clock, FormatError, VERSION, WrittenUser, check_version, exposed, text_of};
use crate::domain::gate::Way;
use crate::domain::gate::sessions::{GateSession, GateVisitor};
use crate::domain::identity::{Claim, Identity};
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
    let GateVisitor { reference, user: _, identity, client, way } = &*session.visitor;
    let mut identity = identity.clone();
    let claims = std::mem::take(&mut identity.claims).into_iter();
    text_of(&WrittenGateSession {
        version: VERSION,
        reference: reference.clone(),
        claims: claims.map(|claim| (claim.name, claim.values)).collect(),
        user: identity.into(),
        client: WrittenFingerprint(*client),
        way: way.name().to_owned(),
        expiry: (&session.expiry).into(),
    })
}

/// The session that `text` holds. It counts as used now: when it was used last is not written down at every request.
pub(in crate::store) fn decode_gate_session(text: &[u8], clock: Clock) -> Result<GateSession, FormatError> {
    check_version(text)?;
    let read: WrittenGateSession = serde_json::from_slice(text).map_err(|_| FormatError::Malformed)?;
    let claims = read.claims.into_iter().map(|(name, values)| Claim { name, values });
    let identity = Identity { claims: claims.collect(), ..read.user.into() };
    let visitor = GateVisitor {
        reference: read.reference,
        user: identity.user().into(),
        identity,
        client: read.client.0,
        way: Way::find(&read.way).ok_or(FormatError::Malformed)?,
    };
    Ok(GateSession { visitor: Arc::new(visitor), expiry: read.expiry.restored(clock), seen: clock.0.boot })
}
