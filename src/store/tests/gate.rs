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
    assert_eq!((&after.reference, &after.user, &after.identity), (&before.reference, &before.user, &before.identity));
    assert_eq!((after.expiry, after.way, after.client), (before.expiry, before.way, before.client));
    assert!(after.is_allowed(&gate_settings()) && opened.records.is_empty() && opened.declarations.is_empty());
    opened.store.erase_gate_session(COOKIE);
    assert_eq!(acks.recv().unwrap().key, RecordKey::GateSession(COOKIE, GateChange::Erase));
    drop(opened);
    assert!(open_in(root.path()).0.gate_sessions.is_empty());
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
