//! The configuration file, written anew by the commands that add and remove accounts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

/// Puts a new file in the place of the old one, whole or not at all, with the same owner and rights. Whoever can write the folder may
/// not be who runs this, so nothing is followed or opened that could have been put there.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new_name = path.file_name().unwrap_or_default().to_owned();
    new_name.push(".new");
    let new = folder.join(new_name);
    let former = fs::metadata(&path).ok();
    let write = || {
        // It may be left over from an attempt that was cut off.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mode = if former.is_some() { 0o600 } else { 0o666 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        if let Some(former) = &former {
            // Only root can give a file away.
            let _ = fchown(&file, Some(former.uid()), Some(former.gid()));
            file.set_permissions(former.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    };
    write().inspect_err(|_| {
        // If it was never made there is nothing to remove.
        let _ = fs::remove_file(&new);
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_link_that_lies_in_the_way_of_the_new_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [config, victim, new] = ["config.toml", "victim", "config.toml.new"].map(|name| folder.path().join(name));
        fs::write(&config, "former").unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(&victim, "precious").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&victim, &new).unwrap();
        replace(&config, "new").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(fs::metadata(&victim).unwrap().mode() & 0o777, 0o600);
        let written = fs::symlink_metadata(&config).unwrap();
        assert!(written.is_file() && written.mode() & 0o777 == 0o640, "{written:?}");
        assert_eq!(fs::read_to_string(&config).unwrap(), "new");
        assert!(!new.exists());
    }
}
