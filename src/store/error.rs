//! Why there is no store, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::mounts;

/// Reasons why the store cannot be opened. Each says what happened, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "Another agent has the store {path} open. Stop that one, or give this one a folder of its own: path in [store].",
        path = .path.display()
    )]
    InUse {
        /// The folder of the store.
        path: PathBuf,
    },
    /// Something in the store is not the agent's own.
    #[error(
        "{path} in the store {whose}. Its owner may have read or changed what is in it. Look at it; then remove it, or \
         have the agent's user own it: chown -R. Sign in afresh if it was not you.",
        path = .path.display(),
        whose = owner.map_or_else(|| "is a symbolic link".to_owned(), |owner| format!("belongs to the user {owner}"))
    )]
    Foreign {
        /// The folder, file or link.
        path: PathBuf,
        /// The user that owns it; `None` for a symbolic link.
        owner: Option<u32>,
    },
    /// The file system does not let the agent work.
    #[error("Cannot {doing} {path}: {reason}. {help}", path = .path.display())]
    Files {
        /// The attempt.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's words.
        reason: String,
        /// Advice.
        help: &'static str,
        /// Set where the disk is to blame, so that the same may work later.
        is_of_disk: bool,
    },
    /// The key is there but must not or cannot be used.
    #[error("The key of the store, {path}, cannot be used: {reason}. {help}", path = .path.display())]
    Key {
        /// The file of the key.
        path: PathBuf,
        /// The fault.
        reason: String,
        /// Advice.
        help: &'static str,
    },
}

impl OpenError {
    pub(super) fn files(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        let is_sandboxed = error.kind() == io::ErrorKind::ReadOnlyFilesystem && mounts::is_read_only_by_sandbox(path);
        let help = help(error.kind(), is_sandboxed);
        let is_of_disk = is_of_disk(error) && !is_sandboxed;
        Self::Files { doing, path: path.to_owned(), reason: reason(error), help, is_of_disk }
    }

    /// Makes the error of a database that the disk does not explain.
    pub(super) fn database(doing: &'static str, path: &Path, reason: String) -> Self {
        let help = "Check the disk, the memory and the kernel's log; the sign-ins in the store are left as they are.";
        Self::Files { doing, path: path.to_owned(), reason, help, is_of_disk: true }
    }

    /// Returns whether the same may work later without anybody changing a setting: a disk that is full, read-only or failing.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Files { is_of_disk: true, .. })
    }
}

/// Reasons why the database cannot be used.
#[derive(Debug)]
pub(super) enum DatabaseError {
    /// Another process has it open.
    InUse,
    /// The files are not, or no longer, a database of this kind.
    Damaged(String),
    /// The system refuses: no room, no permission, a failing disk.
    Files(io::Error),
    /// The process of the database ended in the middle, as it does at a panic.
    Ended(String),
    /// The process of the database cannot be started.
    NotStarted(io::Error),
}

impl DatabaseError {
    /// Returns whether pages that were written may be missing on the disk although the kernel counts them as safe.
    pub(super) fn may_leave_gaps(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Files(error) => !matches!(error.kind(), StorageFull | QuotaExceeded),
            Self::Ended(_) => true,
            Self::InUse | Self::Damaged(_) | Self::NotStarted(_) => false,
        }
    }

    /// Returns whether the disk or the memory is to blame, rather than a setting, so that the same may work later.
    pub(super) fn is_of_disk(&self) -> bool {
        match self {
            Self::Files(error) => is_of_disk(error),
            Self::Ended(_) | Self::NotStarted(_) => true,
            Self::InUse | Self::Damaged(_) => false,
        }
    }
}

impl From<io::Error> for DatabaseError {
    fn from(error: io::Error) -> Self {
        Self::Files(error)
    }
}

impl std::fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InUse => f.write_str("another process has it open"),
            Self::Damaged(why) => write!(f, "it is damaged ({why})"),
            Self::Files(error) => f.write_str(&reason(error)),
            Self::Ended(why) => f.write_str(why),
            Self::NotStarted(error) => write!(f, "its process cannot be started: {error}"),
        }
    }
}

/// Returns whether a disk fails, is full, or is mounted read-only; not that a folder is missing or forbidden.
pub(super) fn is_of_disk(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let is_loop = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    !is_loop
        && !matches!(
            error.kind(),
            Kind::NotFound
                | Kind::PermissionDenied
                | Kind::AlreadyExists
                | Kind::NotADirectory
                | Kind::IsADirectory
                | Kind::InvalidInput
                | Kind::InvalidFilename
        )
}

/// Returns the text of an I/O error. Those that sled passes on hold Rust's inner view of the error, which helps nobody.
pub(super) fn reason(error: &io::Error) -> String {
    if error.raw_os_error().is_some() { error.to_string() } else { error.kind().to_string() }
}

/// Returns what to do about an error of the file system.
fn help(kind: io::ErrorKind, is_sandboxed: bool) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => {
            "Let the user that runs the agent own it, or name another folder: path in [store]."
        }
        _ if is_sandboxed => {
            "The disk can be written, but not by this service: run systemctl edit oauth2mqtt, and write \
                 ReadWritePaths= with this folder below [Service]."
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "Mount the disk for writing, or name a folder on another one: path in [store]."
        }
        io::ErrorKind::NotFound => "Make the folder that it is to be in, or name another: path in [store].",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "Make room on the disk; the sign-ins in the store are kept."
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => {
            "Move what is in its place away, or name another folder: path in [store]."
        }
        _ => "Check the disk and the kernel's log; the sign-ins in the store are left as they are.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/operations.md");

    #[test]
    fn every_reason_for_having_no_store_is_in_the_table_for_operators() {
        use io::ErrorKind as Kind;
        let helped = |help: &str| assert!(PAGE.contains(&format!(" | {help} |")), "the page lacks: {help}");
        for kind in [
            Kind::PermissionDenied,
            Kind::ReadOnlyFilesystem,
            Kind::NotFound,
            Kind::StorageFull,
            Kind::QuotaExceeded,
            Kind::NotADirectory,
            Kind::AlreadyExists,
            Kind::IsADirectory,
            Kind::Other,
        ] {
            helped(help(kind, false));
        }
        helped(help(Kind::ReadOnlyFilesystem, true));
        let path = PathBuf::from("…");
        for error in [
            OpenError::InUse { path: path.clone() },
            OpenError::Foreign { path: path.clone(), owner: None },
            OpenError::database("open", &path, String::new()),
            OpenError::Key { path: path.clone(), reason: String::new(), help: "" },
        ] {
            let told = error.to_string();
            // Each new one has to be added above.
            match error {
                OpenError::Files { help, .. } => helped(help),
                OpenError::InUse { .. } | OpenError::Foreign { .. } => {
                    let next_steps = PAGE.lines().filter_map(|line| line.strip_suffix(" |")?.rsplit_once(" | "));
                    let is_told =
                        next_steps.map(|(_, step)| step).any(|step| step.ends_with('.') && told.ends_with(step));
                    assert!(is_told, "the page lacks: {told}");
                }
                OpenError::Key { .. } => assert!(PAGE.contains("| The key of the store, …, cannot be used |")),
            }
        }
    }
}
