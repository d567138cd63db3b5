//! A disk of its own, so that every byte that reaches it is the agent's doing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::support::process::run_tool;

/// Its size: ext4 with a journal, as on a card.
const SIZE: u64 = 64 * 1024 * 1024;

/// A file that serves as a disk, mounted.
pub(crate) struct LoopDisk {
    device: String,
    mounted: PathBuf,
    _folder: TempDir,
}

impl LoopDisk {
    /// Makes one; `None` without the rights of the superuser, or without loop devices.
    pub(crate) fn new() -> Option<Self> {
        if !geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
            return None;
        }
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let image = folder.path().join("image");
        fs::File::create(&image).unwrap().set_len(SIZE).unwrap();
        run_tool(Command::new("mkfs.ext4").args(["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"]).arg(&image));
        let device = run_tool(Command::new("losetup").args(["--find", "--show"]).arg(&image));
        let device = String::from_utf8(device).unwrap().trim().to_owned();
        let mounted = folder.path().join("disk");
        fs::create_dir(&mounted).unwrap();
        let disk = Self { device, mounted, _folder: folder };
        run_tool(Command::new("mount").args(["-o", "noatime"]).arg(&disk.device).arg(&disk.mounted));
        Some(disk)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.mounted
    }

    /// Waits until everything is on it, and says what was written to it so far, in bytes: the sectors in its statistics, of 512
    /// bytes each.
    pub(crate) fn written(&self) -> u64 {
        run_tool(Command::new("sync").arg("--file-system").arg(&self.mounted));
        let name = self.device.trim_start_matches("/dev/");
        let statistics = fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        statistics.split_whitespace().nth(6).unwrap().parse::<u64>().unwrap() * 512
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Whatever became of the run, nothing stays mounted.
        let _ = Command::new("umount").arg(&self.mounted).status();
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }
}
