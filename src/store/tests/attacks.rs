//! What others do to the files of the store.

use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;

/// Reads the database as whoever has the disk can.
fn records(root: &Path) -> Records {
    records_of(&Database::open(&settings(root).path.join("sled")).unwrap())
}

#[test]
fn an_old_record_that_is_put_back_undoes_no_sign_out() {
    // With another account that stays, and with none.
    for others in [1, 0] {
        let root = TempDir::new().unwrap();
        let (opened, _acks) = open_in(root.path());
        opened.store.save(&name("leaves"), 1, settled("old"));
        for _ in 0..others {
            opened.store.save(&name("stays"), 1, settled("kept"));
        }
        drop(opened);
        let before = records(root.path());
        let (opened, _acks) = open_in(root.path());
        opened.store.erase(&name("leaves"), 2);
        drop(opened);

        // In the database, in the copies, and under a serial that makes it the newest.
        let old = before[b"leaves".as_slice()].clone();
        let forged = SealedRecord::new(1 << 40, old.sealed());
        for record in [&old, &forged] {
            let mut all = records(root.path());
            all.insert(b"leaves".to_vec(), record.clone());
            let path = settings(root.path()).path;
            let database = Database::open(&path.join("sled")).unwrap();
            for (name, record) in sealed_record::difference(&records_of(&database), &all) {
                database.put(&name, record.as_ref()).unwrap();
            }
            database.sync().unwrap();
            drop(database);
            copies::Copies::make(&path.join("copies"), &all).unwrap();

            let (opened, _acks) = open_in(root.path());
            let found = token(&opened, "leaves");
            assert!(found.is_none() || found.as_ref().unwrap().starts_with("record_unreadable"), "{found:?}");
            assert_eq!(token(&opened, "stays").as_deref(), (others > 0).then_some("kept"));
            opened.store.erase(&name("leaves"), 3);
        }
        let (opened, _acks) = open_in(root.path());
        assert_eq!(token(&opened, "leaves"), None);
        opened.store.save(&name("leaves"), 4, settled("anew"));
        drop(opened);
        assert_eq!(token(&open_in(root.path()).0, "leaves").as_deref(), Some("anew"));
    }
}

#[test]
fn a_power_cut_in_a_sign_out_takes_no_other_account() {
    let root = TempDir::new().unwrap();
    let (opened, _acks) = open_in(root.path());
    for account in ["a", "b", "leaves"] {
        opened.store.save(&name(account), 1, settled(account));
    }
    drop(opened);
    let before = records(root.path());
    let (opened, _acks) = open_in(root.path());
    opened.store.erase(&name("leaves"), 2);
    drop(opened);
    let after = records(root.path());
    // Any of the records may be the former one as long as the floor is not yet written.
    for kept_back in [&b"a"[..], b"b"] {
        let mut all = after.clone();
        all.remove(floor::NAME.as_bytes());
        all.insert(kept_back.to_vec(), before[kept_back].clone());
        let key = key::obtain(&settings(root.path()).key, Binding { machine: None, binds: true }).unwrap().0;
        assert!(!Floor::of(&key, &all).drop_rolled_back(&key, &mut all));
        assert_eq!(all.len(), 2);
    }
}

/// An account that leaves, its record, and one that stays; the sign-out fails when it is to move the database.
fn cut_short(root: &Path) -> (Opened, Receiver<Ack>, SealedRecord) {
    let path = settings(root).path;
    let (opened, acks) = open_in(root);
    opened.store.save(&name("leaves"), 1, settled("old"));
    opened.store.save(&name("stays"), 1, settled("kept"));
    assert!((0..2).all(|_| acks.recv().unwrap().result.is_ok()));
    let (_, found) = copies::Copies::open(&path.join("copies")).unwrap().unwrap();
    fs::write(path.join("sled.old"), "in the way").unwrap();
    opened.store.erase(&name("leaves"), 2);
    assert!(acks.recv().unwrap().result.is_err());
    (opened, acks, found.records[b"leaves".as_slice()].clone())
}

#[test]
fn an_old_record_that_is_put_back_undoes_no_sign_out_that_was_cut_short() {
    let root = TempDir::new().unwrap();
    let (opened, acks, old) = cut_short(root.path());
    let path = settings(root.path()).path;
    // Both files are written again, and nothing more.
    opened.store.erase(&name("leaves"), 3);
    assert!(acks.recv().unwrap().result.is_err());
    drop(opened);
    fs::remove_file(path.join("sled.old")).unwrap();
    let (_, mut found) = copies::Copies::open(&path.join("copies")).unwrap().unwrap();
    found.records.insert(b"leaves".to_vec(), old);
    copies::Copies::make(&path.join("copies"), &found.records).unwrap();
    let (opened, _acks) = open_in(root.path());
    assert_eq!((token(&opened, "leaves"), token(&opened, "stays").as_deref()), (None, Some("kept")));
}

#[test]
fn what_a_sign_out_that_was_cut_short_has_left_goes_with_the_next_write() {
    let root = TempDir::new().unwrap();
    let (opened, acks, old) = cut_short(root.path());
    let path = settings(root.path()).path;
    let is_there = || {
        let has_seal = |bytes: Vec<u8>| bytes.windows(24).any(|bytes| bytes == &old.sealed()[1..25]);
        files::files(&path).iter().any(|file| has_seal(fs::read(file).unwrap()))
    };
    assert!(is_there(), "in the log");
    fs::remove_file(path.join("sled.old")).unwrap();
    opened.store.save(&name("leaves"), 3, settled("anew"));
    assert_eq!(acks.recv().unwrap().result, Ok(()));
    drop(opened);
    assert!(!is_there());
    assert_eq!(token(&open_in(root.path()).0, "leaves").as_deref(), Some("anew"));
}

#[test]
fn a_folder_or_file_of_another_user_is_refused_with_what_to_do() {
    let refusal = |root: &Path| open_in_process(&settings(root), None, CLOCK, |_| ()).unwrap_err().to_string();
    let root = TempDir::new().unwrap();
    let path = settings(root.path()).path;
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let own = rustix::process::geteuid().as_raw();
    // Only root can give files away.
    if own == 0 {
        chown(&path, Some(12_345), None).unwrap();
        let said = refusal(root.path());
        assert!(said.contains("belongs to the user 12345") && said.contains("chown -R"), "{said}");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "something was written");
        chown(&path, Some(own), None).unwrap();
    }
    drop(open_in(root.path()));
    if own == 0 {
        let log = path.join("sled/db");
        chown(&log, Some(12_345), None).unwrap();
        let said = refusal(root.path());
        assert!(said.contains("sled/db in the store belongs to the user 12345"), "{said}");
        chown(&log, Some(own), None).unwrap();
    }

    fs::rename(path.join("copies"), root.path().join("copies")).unwrap();
    symlink(root.path().join("copies"), path.join("copies")).unwrap();
    assert!(refusal(root.path()).contains("copies in the store is a symbolic link"));
}

#[test]
fn the_slow_derivation_is_done_once_a_boot_and_kept_in_memory_alone() {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/machine-id"), "1".repeat(32)).unwrap();
    let machine = |folder: &Path| Machine::below(root.path(), None).unwrap().kept_in(Some(folder.to_owned()));
    let key = |folder: &Path, material: u8| {
        machine_key::MachineKey::obtain(&machine(folder), &[material; 32]).unwrap().expose().to_vec()
    };
    let memory = TempDir::new_in("/dev/shm").unwrap();
    let kept = memory.path().join("machine");
    let first = key(memory.path(), 1);
    let file = fs::read(&kept).unwrap();
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    // What is there is taken, if it is of this machine, this material and this user.
    let mut changed = file.clone();
    changed[40] ^= 1;
    fs::write(&kept, &changed).unwrap();
    assert_ne!(key(memory.path(), 1), first, "it was derived again");
    for odd in [&file[..40], b"", &[0; 64]] {
        fs::write(&kept, odd).unwrap();
        assert_eq!(key(memory.path(), 1), first);
    }
    assert_ne!(key(memory.path(), 2), first);
    fs::write(&kept, &changed).unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(key(memory.path(), 1), first, "others could have written it");

    let disk = TempDir::new_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    if mounts::forgets(disk.path()).is_none() {
        assert_eq!(key(disk.path(), 1), first);
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0, "the key was written to a disk");
    }
}
