//! What a user relies on when the store keeps sign-ins.

mod attacks;
mod files;
mod full_disk;
mod gate;
mod machines;

use std::fs;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::database::Database;
use super::sealed_record::SealedRecord;
use super::*;
use crate::domain::account::Declared;
use crate::domain::approval::{Approval, AuthorizationRequest, DeviceAuthorization};
use crate::domain::clock::{BootTime, Confidence, UnixTime};
use crate::domain::expiry::Expiry;
use crate::domain::fault::FaultCode;
use crate::domain::identity::Identity;
use crate::domain::record::{ClientBinding, Fingerprint, FurtherToken, PendingSignIn, Refusal, SignedIn};
use crate::domain::secret::Secret;
use crate::domain::settings::KeySource;
use crate::domain::token::Tokens;

const NOW: Now = Now { boot: BootTime::new(Duration::from_secs(500)), wall: UnixTime::new(1_800_000_000) };
const CLOCK: (Now, Confidence) = (NOW, Confidence::Vouched);

fn settings(root: &Path) -> StoreSettings {
    let path = root.join("store");
    StoreSettings { key: KeySource::MadeOnce(path.join("key")), path, bind_to_machine: true }
}

fn open_in(root: &Path) -> (Opened, Receiver<Ack>) {
    let (send, acks) = mpsc::channel();
    (open_in_process(&settings(root), None, CLOCK, move |ack| send.send(ack).unwrap()).unwrap(), acks)
}

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// Reads what is in a database.
fn records_of(database: &Database) -> Records {
    let read = |(name, value): (_, _)| {
        (AsRef::<[u8]>::as_ref(&name).to_vec(), SealedRecord::from_bytes(AsRef::as_ref(&value)))
    };
    database.entries().unwrap().into_iter().map(read).collect()
}

/// A record with something in every field.
fn full(token: &str) -> Record {
    Record {
        signed_in: Some(SignedIn {
            client: ClientBinding::new(Fingerprint::of("issuer=a client_id=b")).declared(Declared::Mqtt),
            tokens: Tokens {
                sign_in_end: Some(Expiry::counted(NOW, Duration::from_secs(604_800))),
                extra: [("instance_url".to_owned(), secret("\"https://example.com\""))].into(),
                access_token: secret(token),
                refresh_token: Some(secret("refresh \"quoted\" \u{e9}\\")),
                expiry: Some(Expiry::counted(NOW, Duration::from_secs(3_600))),
                scope: Some("openid email".to_owned()),
            },
            further: [(
                "mail".parse().unwrap(),
                FurtherToken {
                    access_token: secret("further-token"),
                    expiry: Some(Expiry::counted(NOW, Duration::from_secs(1_200))),
                    scope: Some("mail.send".to_owned()),
                    extra: [("mailbox".to_owned(), secret("\"ann\""))].into(),
                    target: Fingerprint::of("mail"),
                },
            )]
            .into(),
            since: UnixTime::new(1_700_000_000),
            last_refresh: Some(UnixTime::new(1_799_999_999)),
            refused: Some(Box::new(Refusal {
                code: FaultCode::InvalidGrant,
                message: "Token has been revoked.".to_owned(),
                since: UnixTime::new(1_799_999_998),
            })),
            refreshing_since: Some(UnixTime::new(1_799_999_997)),
            user: Some(Box::new(Identity {
                sub: "248289761001".to_owned(),
                email: Some("ann@example.com".to_owned()),
                email_verified: true,
                name: Some("Ann".to_owned()),
                picture: Some("https://example.com/ann.png".to_owned()),
                claims: Vec::new(),
            })),
            user_changed_at: Some(UnixTime::new(1_799_999_996)),
        }),
        pending: Some(PendingSignIn {
            client: ClientBinding::new(Fingerprint::of("issuer=c client_id=d")),
            expiry: Expiry::counted(NOW, Duration::from_secs(1_800)),
            approval: Approval::Device(DeviceAuthorization {
                device_code: secret("device-code-1"),
                user_code: "WDJB-MJHT".to_owned(),
                verification_uri: "https://example.com/device".to_owned(),
                verification_uri_complete: Some("https://example.com/device?user_code=WDJB-MJHT".to_owned()),
                interval: Duration::from_secs(10),
                poll_parameters: [("code_verifier".to_owned(), secret("verifier-of-the-code"))].into(),
            }),
        }),
        imported: Some(Fingerprint::of("imported")),
        stopped: true,
    }
}

/// A record whose sign-in waits for a browser.
fn waiting_for_browser() -> Record {
    let approval = Approval::Redirect(AuthorizationRequest {
        address: "https://example.com/authorize?state=s1".to_owned(),
        redirect_uri: "http://127.0.0.1:8629/oauth2/redirect".to_owned(),
        state: "s1".to_owned(),
        code_verifier: secret("verifier-1"),
        issuer: Some("https://example.com".to_owned()),
        names_issuer: true,
    });
    let pending = PendingSignIn { approval, ..full("access-1").pending.unwrap() };
    Record { pending: Some(pending), ..Record::default() }
}

/// The same, without a refresh under way.
fn settled(token: &str) -> Record {
    let mut record = full(token);
    record.signed_in.as_mut().unwrap().refreshing_since = None;
    record
}

/// What `Debug` shows of a record, with the secrets; the two ways to find an expiry aside.
fn shown(record: &Record) -> String {
    let tokens = record.signed_in.clone().map(|it| it.tokens);
    let secrets = [
        tokens.clone().map(|it| it.access_token),
        tokens.and_then(|it| it.refresh_token),
        record.pending.clone().map(|it| match it.approval {
            Approval::Device(device) => device.device_code,
            Approval::Redirect(request) => request.code_verifier,
        }),
    ];
    let secrets = secrets.each_ref().map(|it| it.as_ref().map(Secret::expose));
    format!("{record:?} {secrets:?}").replace("counted: true", "counted: false")
}

fn token(opened: &Opened, account: &str) -> Option<String> {
    opened.records.iter().find(|(name, _)| name.as_str() == account).map(|(_, loaded)| match loaded {
        StoredRecord::Record(record) => record.signed_in.as_ref().unwrap().tokens.access_token.expose().to_owned(),
        StoredRecord::Unreadable(fault) => fault.to_string(),
    })
}

#[test]
fn every_field_comes_back_after_a_restart() {
    let root = TempDir::new().unwrap();
    let (opened, acks) = open_in(root.path());
    assert!(opened.key_made && opened.records.is_empty() && opened.set_aside.is_none());
    opened.store.save(&name("full"), 7, full("access-1"));
    opened.store.save(&name("empty"), 8, Record::default());
    opened.store.save(&name("half"), 9, waiting_for_browser());
    for revision in [7, 8, 9] {
        let ack = acks.recv().unwrap();
        assert_eq!((ack.revision, ack.result), (revision, Ok(())));
    }
    drop(opened);

    let (opened, _acks) = open_in(root.path());
    assert!(!opened.key_made && opened.set_aside.is_none());
    let texts: Vec<_> = opened
        .records
        .iter()
        .map(|(name, loaded)| match loaded {
            StoredRecord::Record(record) => (name.as_str(), shown(record)),
            StoredRecord::Unreadable(fault) => panic!("{fault}"),
        })
        .collect();
    let expected = [("empty", Record::default()), ("full", full("access-1")), ("half", waiting_for_browser())];
    assert_eq!(texts, expected.each_ref().map(|(name, record)| (*name, shown(record))));
}

#[test]
fn everything_sent_is_acknowledged_in_order_even_while_the_store_is_dropped() {
    let root = TempDir::new().unwrap();
    let (opened, acks) = open_in(root.path());
    for revision in 0..300 {
        opened.store.save(&name("a"), revision, full(&format!("access-{revision}")));
    }
    opened.store.erase(&name("b"), 300);
    drop(opened);
    let revisions: Vec<_> = acks.iter().map(|ack| ack.result.map(|()| ack.revision).unwrap()).collect();
    assert_eq!(revisions, (0..=300).collect::<Vec<_>>());
    assert_eq!(token(&open_in(root.path()).0, "a").unwrap(), "access-299");
}

#[test]
fn what_is_erased_does_not_come_back() {
    let root = TempDir::new().unwrap();
    let (opened, _acks) = open_in(root.path());
    opened.store.save(&name("a"), 1, full("x"));
    opened.store.save(&name("b"), 1, full("y"));
    opened.store.erase(&name("a"), 2);
    drop(opened);
    let (opened, _acks) = open_in(root.path());
    assert_eq!((token(&opened, "a"), token(&opened, "b").as_deref()), (None, Some("y")));
}

#[test]
fn a_record_under_another_name_or_key_is_unreadable_and_stays_until_overwritten() {
    let root = TempDir::new().unwrap();
    let (opened, acks) = open_in(root.path());
    opened.store.save(&name("a"), 1, full("access-a"));
    drop(opened);
    let folder = settings(root.path()).path.join("sled");
    let database = Database::open(&folder).unwrap();
    let (_, kept) = records_of(&database).pop_first().unwrap();
    database.put(b"b", Some(&kept)).unwrap();
    database.put(b"of a newer version/", Some(&SealedRecord::new(9, b"what it may be"))).unwrap();
    drop(database);

    let (opened, _acks) = open_in(root.path());
    assert_eq!(opened.records.len(), 2);
    assert_eq!(token(&opened, "a").unwrap(), "access-a");
    let fault = token(&opened, "b").unwrap();
    assert!(fault.starts_with("record_unreadable: The stored sign-in of b cannot be read: it is damaged"), "{fault}");
    drop((opened, acks));

    let key = settings(root.path()).path.join("key");
    let kept = fs::read(&key).unwrap();
    fs::write(&key, [7; 40]).unwrap();
    let (opened, _acks) = open_in(root.path());
    assert!(token(&opened, "a").unwrap().starts_with("record_unreadable"));
    opened.store.save(&name("b"), 1, full("fresh"));
    drop(opened);
    fs::write(&key, kept).unwrap();
    let (opened, _acks) = open_in(root.path());
    assert_eq!(token(&opened, "a").unwrap(), "access-a");
    assert!(token(&opened, "b").unwrap().starts_with("record_unreadable"));
    drop(opened);
    let database = Database::open(&folder).unwrap();
    assert_eq!(records_of(&database).len(), 3);
}

#[test]
fn a_failed_write_is_acknowledged_and_the_next_one_finds_all_that_was_safe() {
    let root = TempDir::new().unwrap();
    let (opened, _acks) = open_in(root.path());
    opened.store.save(&name("old"), 1, full("old"));
    drop(opened);

    let settings = settings(root.path());
    let (folder, away) = (settings.path.join("sled"), settings.path.join("away"));
    let OpenedFiles { files, records, .. } =
        ReplicatedFiles::open(&settings.path, NOW.wall, process::start_thread).unwrap();
    drop(files);
    let (key, _) = key::obtain(&settings.key, Binding { machine: None, binds: true }).unwrap();
    let (send, acks) = mpsc::channel();
    let acks_to = move |ack| send.send(ack).unwrap();
    let path = settings.path.clone();
    let hold = |(name, sealed)| (name, HeldRecord::Sealed(sealed));
    let held = records.into_iter().map(hold).collect();
    // As it stands after a write that failed.
    let with_secrets = BTreeSet::default();
    let writer = Writer {
        path,
        start: process::start_thread,
        files: None,
        serial: 1,
        floor: Floor::default(),
        key,
        held,
        with_secrets,
        leaving: BTreeSet::default(),
        has_gaps: true,
        retry: Retry::default(),
        acks: acks_to,
    };
    fs::rename(&folder, &away).unwrap();
    fs::write(&folder, "in the way").unwrap();

    let (queue, jobs) = mpsc::channel();
    let thread = thread::spawn(move || writer.run(&jobs));
    let job = |revision| Job { key: RecordKey::SignIn(name("new")), revision, task: Task::Save(full("new")) };
    queue.send(job(1)).unwrap();
    let fault = acks.recv().unwrap().result.unwrap_err();
    assert_eq!(fault, Fault::passing(FaultCode::StoreFailed, fault.message.clone()));
    assert!(fault.message.contains("The store cannot write"), "{fault}");

    // Even if somebody took the whole database away, nothing is lost while the agent runs.
    fs::remove_file(&folder).unwrap();
    queue.send(job(2)).unwrap();
    assert_eq!(acks.recv().unwrap().result, Ok(()));
    drop(queue);
    thread.join().unwrap();
    let (opened, _acks) = open_in(root.path());
    assert_eq!((token(&opened, "old").as_deref(), token(&opened, "new").as_deref()), (Some("old"), Some("new")));
}

#[test]
fn a_record_of_another_version_is_read_as_far_as_it_can_be() {
    let read = |text: &str| format::decode(text.as_bytes(), CLOCK);
    assert!(read(r#"{"version":1,"added_later":[1]}"#).unwrap().signed_in.is_none());
    let newer = read(r#"{"version":2,"signed_in":"quite different"}"#).unwrap_err().to_string();
    assert_eq!(newer, "a newer version wrote it (format 2; this one knows 1)");
    let unknown = r#"{"version":1,"signed_in":{"client":"GffE__Dwk0v2-zc-KhyPZw","access_token":"t","since":1,
        "refused":{"code":"of_a_newer_version","message":"m","since":2}}}"#;
    let signed_in = read(unknown).unwrap().signed_in.unwrap();
    assert_eq!(signed_in.refused.unwrap().code, FaultCode::ProviderRefused);
    assert_eq!(signed_in.client.declared_in(), Declared::File, "where nothing says that a flow declared it");
    assert_eq!(signed_in.client.client(), Fingerprint::of("first-refresh-token"));
}

#[test]
fn an_odd_interval_is_never_restored_shorter() {
    let mut record = full("x");
    let interval_of = |record: &mut Record| match &mut record.pending.as_mut().unwrap().approval {
        Approval::Device(device) => std::mem::replace(&mut device.interval, Duration::from_millis(5_001)),
        Approval::Redirect(_) => panic!("a device code"),
    };
    interval_of(&mut record);
    let text = format::encode(&record).unwrap();
    assert_eq!(interval_of(&mut format::decode(&text, CLOCK).unwrap()), Duration::from_secs(6));
    assert_eq!(text.capacity(), text.len(), "a buffer that grew leaves secrets behind");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let _ = format::decode(&bytes, CLOCK);
    }

    #[test]
    fn no_change_of_a_written_record_makes_the_reader_panic(at in 0..700_usize, byte: u8, cut in 0..900_usize) {
        let mut text = format::encode(&full("access")).unwrap().to_vec();
        let length = text.len();
        text[at % length] = byte;
        text.truncate(cut);
        let _ = format::decode(&text, CLOCK);
    }
}
