//! Why there is no store, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store cannot be opened. Each says what happened, where, and what to do.
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
    /// The file system does not let the agent work.
    #[error("Cannot {doing} {path}: {reason}. {help}", path = .path.display())]
    Files {
        /// What was tried.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// The key is there but must not or cannot be used.
    #[error("The key of the store, {path}, cannot be used: {reason}. {help}", path = .path.display())]
    Key {
        /// The file of the key.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        help: &'static str,
    },
}

impl OpenError {
    pub(super) fn files(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        let help = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "Let the user that runs the agent own it, or name another folder: path in [store]."
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
        };
        Self::Files { doing, path: path.to_owned(), reason: reason(error), help }
    }
}

/// What an I/O error says. Those that sled passes on hold Rust's inner view of the error, which helps nobody.
pub(super) fn reason(error: &io::Error) -> String {
    if error.raw_os_error().is_some() { error.to_string() } else { error.kind().to_string() }
}
