//! Whatever may lie on the disk.

use std::sync::LazyLock;
use std::time::Duration;

use fastrand::Rng;

use super::sealed_record::SealedRecord;
use super::{SealingKey, copies, format};
use crate::domain::clock::{BootTime, Confidence, Now, UnixTime};

/// One for all runs: it takes a while to derive.
static KEY: LazyLock<SealingKey> = LazyLock::new(|| SealingKey::derive(&[7; 32], None, true).unwrap());

/// A record as it was sealed, a sealed record, and a copy of a database.
pub(crate) fn records(bytes: &[u8], _: &mut Rng) -> String {
    let now = Now { boot: BootTime::new(Duration::from_secs(500)), wall: UnixTime::new(1_800_000_000) };
    let decoded = format!("{:?}", format::decode(bytes, (now, Confidence::Vouched)));
    // The rest is of a person, as long as it was when it was sealed.
    let session =
        format::decode_gate_session(bytes, (now, Confidence::Vouched)).map(|session| session.visitor.reference.clone());
    let sealed = SealedRecord::from_bytes(bytes);
    let opened = KEY.open("a", &sealed).map(|_| ());
    format!("{decoded} {session:?} {opened:?} {} {}", sealed.serial(), copies::parse(bytes).is_some())
}

#[test]
fn no_record_of_the_store_does_harm() {
    crate::testing::hostile::bombard("records", records);
}
