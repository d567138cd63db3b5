//! The folders of the store: private, and safe on disk themselves.
//!
//! ```text
//! <path>/key                      the key, where the agent made it
//! <path>/copies                   each record once more, see `copies`
//! <path>/sled/                    what sled writes
//! <path>/sled.old/                what sled wrote before a sign-out, on its way out
//! <path>/set-aside-<unix time>/   a `sled` folder that would not open
//! ```

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::domain::clock::UnixTime;

/// Makes sure that there is a folder at `path` that only its owner can enter.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            if let Some(parent) = path.parent() {
                sync(parent)?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    // The umask may have taken from the mode, and an older folder may have any.
    if metadata.permissions().mode() & 0o777 == 0o700 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Finds something in the store that another user owns, or that leads elsewhere: whoever made it may read what is
/// written to it, or have made up what is in it.
pub(super) fn find_foreign(path: &Path) -> io::Result<Option<Foreign>> {
    let own = rustix::process::geteuid().as_raw();
    let mut waiting = vec![path.to_owned()];
    let mut is_first = true;
    while let Some(path) = waiting.pop() {
        // The folder itself may be reached by a link; who owns what it leads to is what counts.
        let metadata = if is_first { fs::metadata(&path)? } else { fs::symlink_metadata(&path)? };
        is_first = false;
        if metadata.uid() != own {
            return Ok(Some(Foreign { path, owner: Some(metadata.uid()) }));
        }
        if metadata.is_symlink() {
            return Ok(Some(Foreign { path, owner: None }));
        }
        // What was set aside is not used.
        let is_aside = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"set-aside-"));
        if metadata.is_dir() && !is_aside {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
    }
    Ok(None)
}

/// Something in the store that is not the agent's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    pub(super) path: PathBuf,
    /// The user that owns it; `None` for a symbolic link.
    pub(super) owner: Option<u32>,
}

/// Takes from everybody but the owner what rights there are on what is in the folder: sled leaves that to the umask.
pub(super) fn close_off(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        if metadata.permissions().mode() & 0o777 != wanted && !metadata.is_symlink() {
            fs::set_permissions(entry.path(), Permissions::from_mode(wanted))?;
        }
        if metadata.is_dir() {
            close_off(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes a file, or the names in a folder, safe on disk.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    // The parent of a relative name of one level is written as nothing.
    File::open(if path.as_os_str().is_empty() { Path::new(".") } else { path })?.sync_all()
}

/// Writes and syncs a small file and removes it again: fails as the disk does.
pub(super) fn try_disk(path: &Path) -> io::Result<()> {
    let file = path.join("disk.new");
    fs::write(&file, [0; 512])?;
    sync(&file)?;
    fs::remove_file(&file)
}

/// Renames the folder `sled` in `path` to one that says when, and returns that name.
pub(super) fn set_aside(path: &Path, sled: &Path, when: UnixTime) -> io::Result<PathBuf> {
    let plain = path.join(format!("set-aside-{}", when.seconds()));
    let mut free = plain.clone();
    let mut count = 1;
    // Without a clock, the same second may come twice.
    while free.exists() {
        count += 1;
        free = plain.with_extension(count.to_string());
    }
    fs::rename(sled, &free)?;
    sync(path)?;
    Ok(free)
}

/// Removes a folder with all that is in it, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync(path.parent().unwrap_or(Path::new("/"))),
    }
}
