//! What the file system, power cuts and other hands do to the store.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::*;
use super::{CLOCK, full, name, open_in, settings, settled, shown, token, waiting_for_browser};
use crate::domain::settings::KeySource;

fn refused(settings: &StoreSettings) -> String {
    let error = open_in_process(settings, None, CLOCK, |_| ()).unwrap_err().to_string();
    assert!(error.ends_with('.'), "{error}");
    error
}

pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn no_file_of_the_store_shows_a_secret_and_none_is_open_to_others() {
    let root = TempDir::new().unwrap();
    let path = settings(root.path()).path;
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    for round in 0..2 {
        let (opened, _acks) = open_in(root.path());
        opened.store.save(&name("google"), round, full("very-secret-access-token"));
        drop(opened);
        assert_eq!((mode(&path), mode(&path.join("sled")), mode(&path.join("sled/blobs"))), (0o700, 0o700, 0o700));
        let files = files(&path);
        assert!(files.len() >= 3, "{files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
            let bytes = fs::read(&file).unwrap();
            for text in ["very-secret", "quoted", "device-code", "WDJB"] {
                let shown = bytes.windows(text.len()).any(|window| window == text.as_bytes());
                assert!(!shown, "{text} in {}", file.display());
            }
        }
    }
}

#[test]
fn a_store_that_will_not_open_is_set_aside_whole_and_a_new_one_works() {
    let root = TempDir::new().unwrap();
    let path = settings(root.path()).path;
    // New stores, and one that was opened before.
    for (round, file) in ["db", "conf", "db"].into_iter().enumerate() {
        let garbage = vec![0xA5; 70_000];
        drop(open_in(root.path()));
        fs::write(path.join("sled").join(file), &garbage).unwrap();
        fs::write(path.join("copies"), &garbage).unwrap();

        let (opened, acks) = open_in(root.path());
        let aside = opened.set_aside.as_ref().unwrap().clone();
        let suffix = ["", ".2", ".3"][round];
        assert_eq!(aside.path, path.join(format!("set-aside-1800000000{suffix}")));
        assert!(!aside.reason.is_empty());
        assert_eq!(fs::read(aside.path.join(file)).unwrap(), garbage);
        assert_eq!(fs::read(aside.path.join("copies")).unwrap(), garbage);
        assert!(!opened.key_made && opened.records.is_empty());
        opened.store.save(&name("a"), 1, full("after"));
        assert_eq!(acks.recv().unwrap().result, Ok(()));
        drop(opened);
        assert_eq!(token(&open_in(root.path()).0, "a").unwrap(), "after");
    }
}

#[test]
fn a_database_that_will_not_open_is_made_anew_from_the_copies() {
    let root = TempDir::new().unwrap();
    let path = settings(root.path()).path;
    for file in ["db", "conf", "snap"] {
        let (opened, _acks) = open_in(root.path());
        opened.store.save(&name("a"), 1, full("kept"));
        drop(opened);
        for path in files(&path.join("sled")).iter().filter(|path| path.to_string_lossy().contains(file)) {
            fs::write(path, vec![0xA5; 70_000]).unwrap();
        }
        let (opened, _acks) = open_in(root.path());
        assert_eq!((token(&opened, "a").as_deref(), &opened.set_aside), (Some("kept"), &None), "{file}");
    }
    fs::remove_dir_all(path.join("sled")).unwrap();
    assert_eq!(token(&open_in(root.path()).0, "a").as_deref(), Some("kept"));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 3);
}

#[test]
fn copies_that_are_lost_are_made_anew_from_the_database() {
    let root = TempDir::new().unwrap();
    let path = settings(root.path()).path;
    let (opened, _acks) = open_in(root.path());
    opened.store.save(&name("a"), 1, full("kept"));
    drop(opened);
    let copies = fs::read(path.join("copies")).unwrap();
    for bytes in [None, Some(&b"garbage"[..]), Some(&[])] {
        fs::remove_file(path.join("copies")).unwrap();
        if let Some(bytes) = bytes {
            fs::write(path.join("copies"), bytes).unwrap();
        }
        let (opened, _acks) = open_in(root.path());
        assert_eq!((token(&opened, "a").as_deref(), &opened.set_aside), (Some("kept"), &None));
    }
    // The newest of a slot that went bad is in the database.
    let (opened, _acks) = open_in(root.path());
    opened.store.save(&name("a"), 2, settled("newer"));
    drop(opened);
    fs::write(path.join("copies"), copies).unwrap();
    assert_eq!(token(&open_in(root.path()).0, "a").as_deref(), Some("newer"));
}

#[test]
fn that_a_refresh_is_under_way_is_kept_without_wear() {
    let root = TempDir::new().unwrap();
    let path = settings(root.path()).path;
    let (opened, acks) = open_in(root.path());
    opened.store.save(&name("a"), 1, settled("access"));
    assert_eq!(acks.recv().unwrap().result, Ok(()));
    let log = fs::read(path.join("sled/db")).unwrap();
    opened.store.save(&name("a"), 2, full("access"));
    assert_eq!(acks.recv().unwrap().result, Ok(()));
    assert_eq!(fs::read(path.join("sled/db")).unwrap(), log);
    drop(opened);
    let (opened, _acks) = open_in(root.path());
    let StoredRecord::Record(record) = &opened.records[0].1 else { panic!("{opened:?}") };
    assert!(record.signed_in.as_ref().unwrap().refreshing_since.is_some());
}

#[test]
fn a_sign_out_leaves_nothing_of_the_account_for_who_has_the_key() {
    let root = TempDir::new().unwrap();
    let path = settings(root.path()).path;
    let (opened, acks) = open_in(root.path());
    // What makes each sealed version unlike any other is in the copies until the next takes its place.
    let mut seals = Vec::new();
    for revision in 0..40 {
        opened.store.save(&name("leaves"), revision, settled(&format!("access-{revision}")));
        opened.store.save(&name("stays"), revision, settled(&format!("stays-{revision}")));
        assert!((0..2).all(|_| acks.recv().unwrap().result.is_ok()));
        let (_, found) = copies::Copies::open(&path.join("copies")).unwrap().unwrap();
        seals.push(found.records[b"leaves".as_slice()].sealed()[1..].to_vec());
    }
    let shown = |seals: &[Vec<u8>]| {
        let files: Vec<_> = files(&path).iter().map(|file| fs::read(file).unwrap()).collect();
        let is_there = |seal: &&Vec<u8>| files.iter().any(|file| file.windows(24).any(|bytes| bytes == &seal[..24]));
        seals.iter().filter(is_there).count()
    };
    assert!(shown(&seals) > 30, "the log keeps what was sealed before");
    // Asked for anew at once, which is written together with the end of the former.
    opened.store.erase(&name("leaves"), 100);
    opened.store.save(&name("leaves"), 101, Record { signed_in: None, ..full("") });
    assert!((0..2).all(|_| acks.recv().unwrap().result.is_ok()));
    assert_eq!(shown(&seals), 0);
    drop(opened);
    let (opened, _acks) = open_in(root.path());
    assert_eq!((shown(&seals), token(&opened, "stays").as_deref()), (0, Some("stays-39")));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 3);
}

#[test]
fn files_that_are_taken_away_from_a_running_agent_are_written_again_from_memory() {
    let root = TempDir::new().unwrap();
    let path = settings(root.path()).path;
    let declaration = Declaration { secrets: Vec::new(), settings: serde_json::Map::new(), sign_in_needed: true };
    // What was found at a start, and what was written since.
    for found in [true, false] {
        let (mut opened, mut acks) = open_in(root.path());
        let (a, half) = (full("access-a"), waiting_for_browser());
        opened.store.save(&name("a"), 1, a.clone());
        opened.store.save(&name("half"), 2, half.clone());
        opened.store.declare(&name("a"), 3, declaration.clone());
        opened.store.save(&name("leaves"), 4, full("access-b"));
        // Else the files could go while it is being written.
        assert_eq!(acks.iter().find(|ack| ack.revision == 4).unwrap().result, Ok(()));
        if found {
            drop(opened);
            (opened, acks) = open_in(root.path());
        }
        for file in ["sled", "copies"] {
            fs::rename(path.join(file), root.path().join(format!("{file}-{found}"))).unwrap();
        }
        // A sign-out moves the database, and so notices.
        opened.store.erase(&name("leaves"), 5);
        assert!(acks.iter().find(|ack| ack.revision == 5).unwrap().result.is_err());
        opened.store.erase(&name("leaves"), 6);
        assert_eq!(acks.recv().unwrap().result, Ok(()));
        drop(opened);

        let (opened, _acks) = open_in(root.path());
        let texts = opened.records.iter().map(|(name, loaded)| match loaded {
            StoredRecord::Record(record) => (name.as_str(), shown(record)),
            StoredRecord::Unreadable(fault) => panic!("{fault}"),
        });
        assert_eq!(texts.collect::<Vec<_>>(), [("a", shown(&a)), ("half", shown(&half))]);
        let declared: Vec<_> = opened.declarations.iter().map(|(name, read)| (name.as_str(), read.is_ok())).collect();
        assert_eq!(declared, [("a", true)]);
    }
}

#[test]
fn a_sign_out_that_a_power_cut_interrupted_loses_no_other_account() {
    let root = TempDir::new().unwrap();
    let path = settings(root.path()).path;
    let (opened, _acks) = open_in(root.path());
    opened.store.save(&name("a"), 1, full("kept"));
    drop(opened);
    // Moved away, with the copies or, as it should never be, without them.
    for with_copies in [true, false] {
        fs::rename(path.join("sled"), path.join("sled.old")).unwrap();
        if !with_copies {
            fs::remove_file(path.join("copies")).unwrap();
        }
        let (opened, _acks) = open_in(root.path());
        assert_eq!((token(&opened, "a").as_deref(), &opened.set_aside), (Some("kept"), &None));
        assert!(!path.join("sled.old").exists());
    }
}

#[test]
fn a_store_without_its_snapshot_is_set_aside_before_sled_cuts_its_log() {
    let root = TempDir::new().unwrap();
    let (opened, _acks) = open_in(root.path());
    opened.store.save(&name("a"), 1, full("kept"));
    drop(opened);
    fs::remove_file(settings(root.path()).path.join("copies")).unwrap();
    let folder = settings(root.path()).path.join("sled");
    let log = fs::read(folder.join("db")).unwrap();
    for path in files(&folder).iter().filter(|path| path.to_string_lossy().contains("snap.")) {
        fs::remove_file(path).unwrap();
    }
    let aside = open_in(root.path()).0.set_aside.unwrap();
    assert_eq!(aside.reason, "its snapshot is missing");
    assert_eq!(fs::read(aside.path.join("db")).unwrap(), log);
}

#[test]
fn a_store_whose_making_was_cut_short_is_made_afresh() {
    let root = TempDir::new().unwrap();
    let path = settings(root.path()).path;
    fs::create_dir_all(path.join("sled.new/blobs")).unwrap();
    fs::write(path.join("sled.new/db"), "half").unwrap();
    fs::write(path.join("key.new"), "half").unwrap();
    assert_eq!(open_in(root.path()).0.set_aside, None);
    let mut left: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["copies", "key", "sled"]);
}

#[test]
fn a_snapshot_that_a_power_cut_tore_costs_nothing() {
    let root = TempDir::new().unwrap();
    let (opened, _acks) = open_in(root.path());
    opened.store.save(&name("a"), 1, full("kept"));
    drop(opened);
    drop(open_in(root.path()));
    let torn = settings(root.path()).path.join("sled/snap.00000000FFFFFFFF.generating");
    for bytes in [vec![], vec![1; 9], vec![3; 60]] {
        fs::write(&torn, bytes).unwrap();
        let (opened, _acks) = open_in(root.path());
        assert_eq!((token(&opened, "a").as_deref(), &opened.set_aside), (Some("kept"), &None));
        assert!(!torn.exists());
    }
}

#[test]
fn a_snapshot_that_was_whole_but_not_renamed_is_used() {
    let root = TempDir::new().unwrap();
    let (opened, _acks) = open_in(root.path());
    // Enough to have the log reuse its beginning: from then on sled finds nothing without the snapshot.
    for revision in 0..3_000 {
        opened.store.save(&name("a"), revision, full(&format!("access-{revision} {}", "x".repeat(2_000))));
    }
    drop(opened);
    drop(open_in(root.path()));
    let folder = settings(root.path()).path.join("sled");
    let snapshot = files(&folder).into_iter().find(|path| path.to_string_lossy().contains("snap.")).unwrap();
    fs::rename(&snapshot, format!("{}.generating", snapshot.display())).unwrap();
    assert!(token(&open_in(root.path()).0, "a").unwrap().starts_with("access-2999 "));
}

#[test]
fn a_store_that_another_agent_has_open_is_left_alone() {
    let root = TempDir::new().unwrap();
    let (opened, acks) = open_in(root.path());
    let error = refused(&settings(root.path()));
    let path = settings(root.path()).path;
    assert!(error.starts_with(&format!("Another agent has the store {} open.", path.display())), "{error}");
    opened.store.save(&name("a"), 1, full("still works"));
    assert_eq!(acks.recv().unwrap().result, Ok(()));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 3);
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error_that_says_what_to_do() {
    let root = TempDir::new().unwrap();
    let missing = refused(&settings(&root.path().join("no/such")));
    assert!(missing.contains("no/such/store: No such file") && missing.contains("Make the folder"), "{missing}");

    fs::write(root.path().join("store"), "a file").unwrap();
    let file = refused(&settings(root.path()));
    assert!(file.contains("Move what is in its place away"), "{file}");

    // Nobody can make a folder here, not even root.
    let forbidden = refused(&settings(Path::new("/sys")));
    assert!(forbidden.contains("/sys/store") && forbidden.contains("path in [store]"), "{forbidden}");
}

#[test]
fn a_key_that_cannot_be_used_is_an_error_that_says_what_to_do() {
    let root = TempDir::new().unwrap();
    let key = root.path().join("credential");
    let provided = StoreSettings { key: KeySource::Provided(key.clone()), ..settings(root.path()) };
    assert!(refused(&provided).contains("there is no such file. Provide it"));
    assert!(!key.exists());

    fs::write(&key, [5; 31]).unwrap();
    assert!(refused(&provided).contains("it has 31 bytes and needs at least 32. Put the former key back"));
    fs::write(&key, vec![5; 65_537]).unwrap();
    assert!(refused(&provided).contains("longer than 65536 bytes"));

    fs::write(&key, [5; 32]).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o440)).unwrap();
    drop(open_in_process(&provided, None, CLOCK, |_| ()).unwrap());
    let made = StoreSettings { key: KeySource::MadeOnce(key), ..provided };
    assert!(refused(&made).contains("(mode 0440). Run chmod 600 on it"));
}
