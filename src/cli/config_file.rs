//! The configuration file, written anew by the commands that add and remove accounts.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

/// Puts a new file in the place of the old one, whole or not at all, with the same owner and rights.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new_name = path.file_name().unwrap_or_default().to_owned();
    new_name.push(".new");
    let new = folder.join(new_name);
    let former = fs::metadata(&path).ok();
    let write = || {
        let mut file = File::create(&new)?;
        if let Some(former) = &former {
            file.set_permissions(former.permissions())?;
            let _ = chown(&new, Some(former.uid()), Some(former.gid()));
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    };
    write().inspect_err(|_| {
        // If it was never made there is nothing to remove.
        let _ = fs::remove_file(&new);
    })
}
