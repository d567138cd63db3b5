//! A disk of its own, so that every byte that reaches it is the agent's doing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;
use tempfile::TempDir;

/// Its size: ext4 with a journal, as on a card.
const SIZE: u64 = 64 * 1024 * 1024;

/// A file that serves as a disk, mounted.
pub(crate) struct LoopDisk {
    device: String,
    mounted: PathBuf,
    _folder: TempDir,
}

impl LoopDisk {
    /// Makes one; `None`, and a word why, where the rights of the superuser, the tools or loop devices are not to be had.
    pub(crate) fn new() -> Option<Self> {
        match Self::make() {
            Ok(disk) => Some(disk),
            Err(reason) => {
                eprintln!("no disk of its own: {reason}");
                None
            }
        }
    }

    fn make() -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("that takes root".to_owned());
        }
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let image = folder.path().join("image");
        fs::File::create(&image).unwrap().set_len(SIZE).unwrap();
        tool(Command::new("mkfs.ext4").args(["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"]).arg(&image))?;
        let device = tool(Command::new("losetup").args(["--find", "--show"]).arg(&image))?;
        let mounted = folder.path().join("disk");
        fs::create_dir(&mounted).unwrap();
        let disk = Self { device, mounted, _folder: folder };
        tool(Command::new("mount").args(["-o", "noatime"]).arg(&disk.device).arg(&disk.mounted))?;
        disk.statistics().map_err(|error| format!("its statistics: {error}"))?;
        Ok(disk)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.mounted
    }

    /// Waits until everything is on it, and says what was written to it so far, in bytes: the sectors in its statistics, of 512
    /// bytes each.
    pub(crate) fn written(&self) -> u64 {
        tool(Command::new("sync").arg("--file-system").arg(&self.mounted)).unwrap();
        self.statistics().unwrap().split_whitespace().nth(6).unwrap().parse::<u64>().unwrap() * 512
    }

    fn statistics(&self) -> io::Result<String> {
        fs::read_to_string(format!("/sys/block/{}/stat", self.device.trim_start_matches("/dev/")))
    }
}

/// What a tool of the system prints, or why it cannot be had.
fn tool(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = command.env("PATH", path).output().map_err(|error| format!("{name}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(format!("{name}: {}", text(&output.stderr))) }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Whatever became of the run, nothing stays mounted.
        let _ = tool(Command::new("umount").arg(&self.mounted));
        let _ = tool(Command::new("losetup").arg("--detach").arg(&self.device));
    }
}
