//! Reads what lies in an opened store.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::seal::{SealError, SealingKey, Unsealed};
use super::sealed_record::SealedRecord;
use super::{DECLARED, GATE, format};
use crate::domain::account::AccountName;
use crate::domain::declaration::Declaration;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::gate::CookieDigest;
use crate::domain::gate::sessions::GateSession;
use crate::domain::record::StoredRecord;

/// A sign-in, or why it cannot be read; `None` for a record of something else.
pub(super) fn sign_in(
    key: &SealingKey,
    name: &[u8],
    kept: &SealedRecord,
    clock: format::Clock,
) -> Option<(AccountName, StoredRecord)> {
    // What is under no account's name is left alone: a newer version may keep something of its own.
    let account: AccountName = std::str::from_utf8(name).ok()?.parse().ok()?;
    let closed = |code, why: &dyn std::fmt::Display| {
        StoredRecord::Unreadable(Fault::ask_user(
            code,
            format!("The stored sign-in of {account} cannot be read: {why}."),
        ))
    };
    let loaded = match key.open(account.as_str(), kept) {
        Ok(Unsealed { text, .. }) => match format::decode(&text, clock) {
            Ok(record) => StoredRecord::Record(record),
            Err(error) => closed(FaultCode::RecordUnreadable, &error),
        },
        Err(error @ SealError::OtherMachine) => closed(FaultCode::ClonedDevice, &error),
        Err(error) => closed(FaultCode::RecordUnreadable, &error),
    };
    Some((account, loaded))
}

/// The declaration of an account, or why it cannot be read; `None` for a record of something else.
pub(super) fn declaration(
    key: &SealingKey,
    name: &[u8],
    kept: &SealedRecord,
) -> Option<(AccountName, Result<Declaration, Fault>)> {
    let name = std::str::from_utf8(name).ok()?;
    let account: AccountName = name.strip_prefix(DECLARED)?.parse().ok()?;
    let read = key
        .open(name, kept)
        .map_err(|error| error.to_string())
        .and_then(|unsealed| format::decode_declaration(&unsealed.text).map_err(|error| error.to_string()));
    let declaration = read.map_err(|why| {
        let message = format!("What was declared of {account} cannot be read: {why}.");
        Fault::ask_user(FaultCode::RecordUnreadable, message)
    });
    Some((account, declaration))
}

/// A session at the gate; one that cannot be read is no loss, as its person signs in again.
pub(super) fn gate_session(
    key: &SealingKey,
    name: &[u8],
    kept: &SealedRecord,
    clock: format::Clock,
) -> Option<(CookieDigest, GateSession)> {
    let name = std::str::from_utf8(name).ok()?;
    let digest = URL_SAFE_NO_PAD.decode(name.strip_prefix(GATE)?).ok()?;
    let unsealed = key.open(name, kept).ok()?;
    let session = format::decode_gate_session(&unsealed.text, clock).ok()?;
    Some((CookieDigest(digest.try_into().ok()?), session))
}
