//! The sessions at the gate.

use super::files::files;
use super::*;
use crate::domain::gate::sessions::GateSession;
use crate::domain::gate::settings::tests::{person, settings as gate_settings};
use crate::domain::gate::{CookieDigest, Way};
use crate::domain::secret::Secret;

const COOKIE: CookieDigest = CookieDigest([7; 32]);

fn session(reference: &str) -> GateSession {
    let client = (Way::Phone, gate_settings().client(Way::Phone).unwrap().binding().client());
    let reference = Secret::new(reference.to_owned());
    GateSession::new(reference, person("ann", &["operators"]), client, &gate_settings(), NOW)
}

#[test]
fn a_session_is_the_same_after_a_restart_and_ends_at_the_same_time() {
    let root = TempDir::new().unwrap();
    let (opened, acks) = open_in(root.path());
    assert!(opened.gate_sessions.is_empty());
    let before = session("the-reference");
    opened.store.save_gate_session(COOKIE, before.clone());
    let ack = acks.recv().unwrap();
    assert_eq!((ack.key, ack.result), (RecordKey::GateSession(COOKIE, GateChange::Save), Ok(())));
    drop(opened);
    let (opened, acks) = open_in(root.path());
    let [(cookie, after)] = opened.gate_sessions.as_slice() else { panic!("{:?}", opened.gate_sessions) };
    assert_eq!(*cookie, COOKIE);
    let (one, other) = (&after.visitor, &before.visitor);
    assert_eq!((&one.reference, &one.user, &one.identity), (&other.reference, &other.user, &other.identity));
    assert_eq!((after.expiry, one.way, one.client), (before.expiry, other.way, other.client));
    assert!(after.is_allowed(&gate_settings()) && opened.records.is_empty() && opened.declarations.is_empty());
    opened.store.erase_gate_session(COOKIE);
    assert_eq!(acks.recv().unwrap().key, RecordKey::GateSession(COOKIE, GateChange::Erase));
    drop(opened);
    assert!(open_in(root.path()).0.gate_sessions.is_empty());
}

#[test]
fn a_session_outlives_sign_outs_at_which_every_record_is_sealed_again() {
    let root = TempDir::new().unwrap();
    let mut serial = 0;
    // Sealed once as it was saved, and once as it was loaded.
    for is_new in [true, false] {
        let (opened, acks) = open_in(root.path());
        if is_new {
            opened.store.save_gate_session(COOKIE, session("the-reference"));
            acks.recv().unwrap().result.unwrap();
        }
        opened.store.save(&name("a"), 1, full("a"));
        acks.recv().unwrap().result.unwrap();
        opened.store.erase(&name("a"), 2);
        acks.recv().unwrap().result.unwrap();
        drop((opened, acks));

        let records = ReplicatedFiles::read_copies(&settings(root.path()).path).unwrap().unwrap();
        let key = RecordKey::GateSession(COOKIE, GateChange::Save).name();
        let sealed_anew = records[key.as_bytes()].serial();
        assert!(sealed_anew > serial + 2, "{sealed_anew} after {serial}");
        serial = sealed_anew;
        let (opened, _acks) = open_in(root.path());
        let [(_, after)] = opened.gate_sessions.as_slice() else { panic!("{:?}", opened.gate_sessions) };
        assert_eq!(after.visitor.identity, session("the-reference").visitor.identity);
    }
}

#[test]
fn nothing_of_a_session_lies_on_the_disk_in_clear_text() {
    let root = TempDir::new().unwrap();
    let (opened, acks) = open_in(root.path());
    opened.store.save_gate_session(COOKIE, session("the-reference"));
    acks.recv().unwrap().result.unwrap();
    drop(opened);
    let files = files(&settings(root.path()).path);
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for text in ["the-reference", "ann@example.com", "operators"] {
            assert!(!bytes.windows(text.len()).any(|part| part == text.as_bytes()), "{text} in {}", file.display());
        }
    }
}
