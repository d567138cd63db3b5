//! A disk without space.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use tempfile::TempDir;

use super::{full, name, open_in, token};
use crate::domain::fault::Remedy;

/// Where the test is run again that needs a small disk: in a process of its own, which alone sees that disk.
const SMALL_DISK: &str = "OAUTH2MQTT_SMALL_DISK";

fn run_on_a_small_disk(test: &str) {
    let disk = TempDir::new().unwrap();
    let script = format!(r#"mount -t tmpfs -o size=2m tmpfs "$1" && {SMALL_DISK}="$1" exec "$2" --exact "$3""#);
    let ended = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", &script, "sh"])
        .args([disk.path(), &std::env::current_exe().unwrap()])
        .arg(test)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && output.contains("1 passed"),
        "{output}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[test]
fn a_full_disk_loses_nothing_and_writing_goes_on_when_there_is_room() {
    let Some(disk) = std::env::var_os(SMALL_DISK).map(PathBuf::from) else {
        return run_on_a_small_disk(
            "store::tests::full_disk::a_full_disk_loses_nothing_and_writing_goes_on_when_there_is_room",
        );
    };
    let (opened, acks) = open_in(&disk);
    opened.store.save(&name("old"), 1, full("old"));
    assert_eq!(acks.recv().unwrap().result, Ok(()));
    let filler = disk.join("filler");
    // As much as there is room for; the write that fails is the point.
    let _ = fs::write(&filler, vec![1; 8 * 1024 * 1024]);
    for round in 0..3 {
        // Longer each time: what is free within the files lasts for long otherwise.
        let faults = (1..1_000).find_map(|revision: usize| {
            let record = full(&format!("new {round} {}", "x".repeat(3_000 * revision)));
            opened.store.save(&name("new"), revision as u64, record);
            acks.recv().unwrap().result.err()
        });
        let fault = faults.unwrap();
        assert!(fault.message.contains("storage space") || fault.message.contains("No space"), "{round}: {fault}");
    }
    fs::remove_file(&filler).unwrap();
    // The store says how long it lets the disk alone.
    let is_written = (0..3).any(|_| {
        opened.store.save(&name("new"), 9, full("new at last"));
        let Err(fault) = acks.recv().unwrap().result else { return true };
        let Remedy::TryAgain { after: Some(wait) } = fault.remedy else { panic!("{fault}") };
        thread::sleep(wait);
        false
    });
    assert!(is_written, "there is room, and three times nothing was written");
    drop(opened);
    let (opened, _acks) = open_in(&disk);
    assert_eq!(opened.set_aside, None);
    assert_eq!(token(&opened, "old").as_deref(), Some("old"));
    assert_eq!(token(&opened, "new").as_deref(), Some("new at last"));
}
