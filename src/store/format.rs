//! The written form of a record: versioned JSON, to be sealed.
//!
//! A member that this version does not know is ignored, so that an older program can read what a newer one wrote; where
//! that would be wrong, the newer one raises [`VERSION`]. The types here mirror those of `record`, so that what is on
//! disk changes only when somebody changes this file.

mod expiry;
mod fingerprint;
mod further;
mod gate;
mod pending;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::domain::account::Declared;
use crate::domain::clock::{Confidence, Now, UnixTime};
use crate::domain::declaration::Declaration;
use crate::domain::fault::FaultCode;
use crate::domain::identity::Identity;
use crate::domain::json::to_json;
use crate::domain::record::{ClientBinding, Record, Refusal, SignedIn};
use crate::domain::secret::Secret;
use crate::domain::token::Tokens;
use expiry::WrittenExpiry;
use fingerprint::WrittenFingerprint;
use further::WrittenFurtherToken;
pub(super) use gate::{decode_gate_session, encode_gate_session};
use pending::WrittenPending;

/// The version that this program writes, and the newest it reads.
const VERSION: u32 = 1;

/// Reasons why a text is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormatError {
    #[error("a newer version wrote it (format {0}; this one knows {VERSION})")]
    Newer(u32),
    #[error("it is not in the format of a record")]
    Malformed,
}

#[derive(Serialize, Deserialize)]
struct WrittenRecord {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_in: Option<WrittenSignIn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<WrittenPending>,
    #[serde(skip_serializing_if = "Option::is_none")]
    imported: Option<WrittenFingerprint>,
    #[serde(default, skip_serializing_if = "is_false")]
    stopped: bool,
}

#[derive(Deserialize)]
struct OnlyVersion {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct WrittenSignIn {
    client: WrittenFingerprint,
    #[serde(default, skip_serializing_if = "WrittenDeclared::is_file")]
    declared: WrittenDeclared,
    #[serde(serialize_with = "exposed")]
    access_token: Secret,
    #[serde(serialize_with = "exposed_if_any", skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry: Option<WrittenExpiry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_in_end: Option<WrittenExpiry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, serialize_with = "all_exposed", skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Secret>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    further: BTreeMap<String, WrittenFurtherToken>,
    since: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_refresh: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<WrittenRefusal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refreshing_since: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<WrittenUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_changed_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct WrittenUser {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    email_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct WrittenRefusal {
    code: String,
    message: String,
    since: i64,
}

/// Where the account was declared: in the configuration file, unless something else is written.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenDeclared {
    #[default]
    File,
    Mqtt,
}

#[derive(Serialize, Deserialize)]
struct WrittenDeclaration {
    version: u32,
    secrets: Vec<WrittenSecret>,
    settings: Map<String, Value>,
    sign_in_needed: bool,
}

#[derive(Serialize, Deserialize)]
struct WrittenSecret(#[serde(serialize_with = "exposed")] Secret);

impl WrittenDeclared {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field as it is")]
    fn is_file(&self) -> bool {
        *self == Self::File
    }

    fn of(client: &ClientBinding) -> Self {
        match client.declared_in() {
            Declared::File => Self::File,
            Declared::Mqtt => Self::Mqtt,
        }
    }

    fn restored(self, client: &WrittenFingerprint) -> ClientBinding {
        let declared = match self {
            Self::File => Declared::File,
            Self::Mqtt => Declared::Mqtt,
        };
        ClientBinding::new(client.0).declared(declared)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field as it is")]
fn is_false(value: &bool) -> bool {
    !value
}

fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn all_exposed<S: Serializer>(secrets: &BTreeMap<String, Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(secrets.iter().map(|(name, secret)| (name, secret.expose())))
}

#[expect(clippy::ref_option, reason = "serde passes the field as it is")]
fn exposed_if_any<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

/// The text of a record; wiped when dropped.
pub(super) fn encode(record: &Record) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let written = WrittenRecord {
        version: VERSION,
        signed_in: record.signed_in.as_ref().map(WrittenSignIn::from),
        pending: record.pending.as_ref().map(WrittenPending::from),
        imported: record.imported.map(WrittenFingerprint),
        stopped: record.stopped,
    };
    text_of(&written)
}

/// The text of a declaration; wiped when dropped.
pub(super) fn encode_declaration(declaration: &Declaration) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let Declaration { secrets, settings, sign_in_needed } = declaration;
    let secrets = secrets.iter().cloned().map(WrittenSecret).collect();
    text_of(&WrittenDeclaration {
        version: VERSION,
        secrets,
        settings: settings.clone(),
        sign_in_needed: *sign_in_needed,
    })
}

fn text_of(written: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    to_json(written).map_err(|_| FormatError::Malformed)
}

/// The declaration that `text` holds.
pub(super) fn decode_declaration(text: &[u8]) -> Result<Declaration, FormatError> {
    check_version(text)?;
    let written: WrittenDeclaration = serde_json::from_slice(text).map_err(|_| FormatError::Malformed)?;
    Ok(Declaration {
        secrets: written.secrets.into_iter().map(|secret| secret.0).collect(),
        settings: written.settings,
        sign_in_needed: written.sign_in_needed,
    })
}

/// The version alone is looked at first: a newer format need not fit the types of this one.
fn check_version(text: &[u8]) -> Result<(), FormatError> {
    let OnlyVersion { version } = serde_json::from_slice(text).map_err(|_| FormatError::Malformed)?;
    if version > VERSION { Err(FormatError::Newer(version)) } else { Ok(()) }
}

/// The time, and what it is worth.
pub(super) type Clock = (Now, Confidence);

/// The record that `text` holds, its lifetimes found again from the time that it is now.
pub(super) fn decode(text: &[u8], clock: Clock) -> Result<Record, FormatError> {
    check_version(text)?;
    let written: WrittenRecord = serde_json::from_slice(text).map_err(|_| FormatError::Malformed)?;
    Ok(Record {
        signed_in: written.signed_in.map(|signed_in| signed_in.restored(clock)),
        pending: written.pending.and_then(|pending| pending.restored(clock)),
        imported: written.imported.map(|fingerprint| fingerprint.0),
        stopped: written.stopped,
    })
}

impl From<&SignedIn> for WrittenSignIn {
    fn from(signed_in: &SignedIn) -> Self {
        let SignedIn { client, tokens, further, since, last_refresh, refused, refreshing_since, user, user_changed_at } =
            signed_in;
        let Tokens { access_token, refresh_token, expiry, sign_in_end, scope, extra } = tokens.clone();
        Self {
            client: WrittenFingerprint(client.client()),
            declared: WrittenDeclared::of(client),
            access_token,
            refresh_token,
            expiry: expiry.as_ref().map(WrittenExpiry::from),
            sign_in_end: sign_in_end.as_ref().map(WrittenExpiry::from),
            scope,
            extra,
            further: further.iter().map(|(name, token)| (name.to_string(), token.into())).collect(),
            since: since.seconds(),
            last_refresh: last_refresh.map(UnixTime::seconds),
            refused: refused.as_ref().map(|refusal| WrittenRefusal {
                code: refusal.code.name().to_owned(),
                message: refusal.message.clone(),
                since: refusal.since.seconds(),
            }),
            refreshing_since: refreshing_since.map(UnixTime::seconds),
            user: user.as_deref().cloned().map(WrittenUser::from),
            user_changed_at: user_changed_at.map(UnixTime::seconds),
        }
    }
}

impl From<Identity> for WrittenUser {
    fn from(Identity { sub, email, email_verified, name, picture, claims: _ }: Identity) -> Self {
        Self { sub, email, email_verified, name, picture }
    }
}

impl From<WrittenUser> for Identity {
    fn from(WrittenUser { sub, email, email_verified, name, picture }: WrittenUser) -> Self {
        Self { sub, email, email_verified, name, picture, claims: Vec::new() }
    }
}

impl WrittenSignIn {
    fn restored(self, clock: Clock) -> SignedIn {
        let restored = |expiry: WrittenExpiry| expiry.restored(clock);
        // A name that only another version allows has no topic here.
        let further = self.further.into_iter();
        let further = further.filter_map(|(name, token)| Some((name.parse().ok()?, token.restored(clock))));
        SignedIn {
            client: self.declared.restored(&self.client),
            tokens: Tokens {
                access_token: self.access_token,
                refresh_token: self.refresh_token,
                expiry: self.expiry.map(restored),
                sign_in_end: self.sign_in_end.map(restored),
                scope: self.scope,
                extra: self.extra,
            },
            further: further.collect(),
            since: UnixTime::new(self.since),
            last_refresh: self.last_refresh.map(UnixTime::new),
            refused: self.refused.map(|refusal| {
                Box::new(Refusal {
                    // A name that only a newer version knows still says that the provider refused.
                    code: FaultCode::from_name(&refusal.code).unwrap_or(FaultCode::ProviderRefused),
                    message: refusal.message,
                    since: UnixTime::new(refusal.since),
                })
            }),
            refreshing_since: self.refreshing_since.map(UnixTime::new),
            user: self.user.map(|user| Box::new(user.into())),
            user_changed_at: self.user_changed_at.map(UnixTime::new),
        }
    }
}
