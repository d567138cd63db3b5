//! How a record is written down: versioned JSON, sealed.
//!
//! A member that this version does not know is ignored, so that an older program can read what a newer one wrote; where
//! that would be wrong, the newer one raises [`VERSION`]. The types here mirror those of `record`, so that what is on
//! disk changes only when somebody changes this file.

use std::io::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::clock::{Now, UnixTime};
use crate::expiry::Expiry;
use crate::fault::FaultCode;
use crate::record::{ClientBinding, PendingCode, Record, Refusal, SignedIn};
use crate::secret::Secret;
use crate::token::Tokens;

/// The version that this program writes, and the newest it reads.
const VERSION: u32 = 1;

/// Why a text is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormatError {
    #[error("a newer version wrote it (format {0}; this one knows {VERSION})")]
    Newer(u32),
    #[error("it is not in the format of a record")]
    Malformed,
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    signed_in: Option<WrittenSignIn>,
    pending: Option<WrittenPending>,
}

#[derive(Deserialize)]
struct OnlyVersion {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct WrittenSignIn {
    client: String,
    #[serde(serialize_with = "exposed")]
    access_token: Secret,
    #[serde(serialize_with = "exposed_if_any")]
    refresh_token: Option<Secret>,
    expiry: Option<WrittenExpiry>,
    scope: Option<String>,
    since: i64,
    last_refresh: Option<i64>,
    refused: Option<WrittenRefusal>,
}

#[derive(Serialize, Deserialize)]
struct WrittenRefusal {
    code: String,
    message: String,
    since: i64,
}

#[derive(Serialize, Deserialize)]
struct WrittenPending {
    client: String,
    #[serde(serialize_with = "exposed")]
    device_code: Secret,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expiry: WrittenExpiry,
    interval: u64,
}

/// Boot time means nothing to the next process, so a lifetime is its start in Unix time and its length in seconds.
#[derive(Serialize, Deserialize)]
struct WrittenExpiry {
    from: i64,
    life: u64,
}

fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[expect(clippy::ref_option, reason = "serde passes the field as it is")]
fn exposed_if_any<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

/// Counts what would be written, so that a buffer never grows and leaves half a secret behind where it was.
struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The text of a record; wiped when dropped.
pub(super) fn encode(record: &Record) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let written = Written {
        version: VERSION,
        signed_in: record.signed_in.as_ref().map(WrittenSignIn::from),
        pending: record.pending.as_ref().map(WrittenPending::from),
    };
    let mut length = Counter(0);
    serde_json::to_writer(&mut length, &written).map_err(|_| FormatError::Malformed)?;
    let mut text = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *text, &written).map_err(|_| FormatError::Malformed)?;
    Ok(text)
}

/// The record that `text` holds, its lifetimes found again from `now`.
pub(super) fn decode(text: &[u8], now: Now) -> Result<Record, FormatError> {
    // The version alone is looked at first: a newer format need not fit the types of this one.
    let OnlyVersion { version } = serde_json::from_slice(text).map_err(|_| FormatError::Malformed)?;
    if version > VERSION {
        return Err(FormatError::Newer(version));
    }
    let written: Written = serde_json::from_slice(text).map_err(|_| FormatError::Malformed)?;
    Ok(Record {
        signed_in: written.signed_in.map(|signed_in| signed_in.restored(now)),
        pending: written.pending.map(|pending| pending.restored(now)),
    })
}

impl From<&SignedIn> for WrittenSignIn {
    fn from(signed_in: &SignedIn) -> Self {
        let SignedIn { client, tokens, since, last_refresh, refused } = signed_in;
        let Tokens { access_token, refresh_token, expiry, scope } = tokens;
        Self {
            client: client.0.clone(),
            access_token: access_token.clone(),
            refresh_token: refresh_token.clone(),
            expiry: expiry.as_ref().map(WrittenExpiry::from),
            scope: scope.clone(),
            since: since.seconds(),
            last_refresh: last_refresh.map(UnixTime::seconds),
            refused: refused.as_ref().map(|refusal| WrittenRefusal {
                code: refusal.code.name().to_owned(),
                message: refusal.message.clone(),
                since: refusal.since.seconds(),
            }),
        }
    }
}

impl WrittenSignIn {
    fn restored(self, now: Now) -> SignedIn {
        SignedIn {
            client: ClientBinding(self.client),
            tokens: Tokens {
                access_token: self.access_token,
                refresh_token: self.refresh_token,
                expiry: self.expiry.map(|expiry| expiry.restored(now)),
                scope: self.scope,
            },
            since: UnixTime::new(self.since),
            last_refresh: self.last_refresh.map(UnixTime::new),
            refused: self.refused.map(|refusal| Refusal {
                // A name that only a newer version knows still says that the provider refused.
                code: FaultCode::from_name(&refusal.code).unwrap_or(FaultCode::ProviderRefused),
                message: refusal.message,
                since: UnixTime::new(refusal.since),
            }),
        }
    }
}

impl From<&PendingCode> for WrittenPending {
    fn from(pending: &PendingCode) -> Self {
        let PendingCode { client, device_code, user_code, verification_uri, verification_uri_complete, .. } = pending;
        Self {
            client: client.0.clone(),
            device_code: device_code.clone(),
            user_code: user_code.clone(),
            verification_uri: verification_uri.clone(),
            verification_uri_complete: verification_uri_complete.clone(),
            expiry: (&pending.expiry).into(),
            // Rounded up: to poll a moment late is allowed, a moment early is not (RFC 8628 3.5).
            interval: pending.interval.as_secs() + u64::from(pending.interval.subsec_nanos() > 0),
        }
    }
}

impl WrittenPending {
    fn restored(self, now: Now) -> PendingCode {
        PendingCode {
            client: ClientBinding(self.client),
            device_code: self.device_code,
            user_code: self.user_code,
            verification_uri: self.verification_uri,
            verification_uri_complete: self.verification_uri_complete,
            expiry: self.expiry.restored(now),
            interval: Duration::from_secs(self.interval),
        }
    }
}

impl From<&Expiry> for WrittenExpiry {
    fn from(expiry: &Expiry) -> Self {
        Self { from: expiry.from().seconds(), life: expiry.life().as_secs() }
    }
}

impl WrittenExpiry {
    fn restored(&self, now: Now) -> Expiry {
        Expiry::restored(UnixTime::new(self.from), Duration::from_secs(self.life), now)
    }
}
