//! Whatever may lie on the disk.

use super::super::sealed_record::SealedRecord;
use super::super::*;
use super::CLOCK;
use crate::testing::hostile::bombard;

#[test]
fn records() {
    let key = SealingKey::derive(&[7; 32], None, true).unwrap();
    bombard("records", |text, _| {
        let decoded = format!("{:?}", format::decode(text, CLOCK));
        let opened = key.open("a", &SealedRecord::from_bytes(text)).map(|_| ());
        let kept = SealedRecord::from_bytes(text);
        format!("{decoded} {opened:?} {} {}", kept.serial(), copies::parse(text).is_some())
    });
}
