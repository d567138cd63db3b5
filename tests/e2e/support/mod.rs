//! What the tests stand on: real servers, the agent's binary, and eyes on all of it.

pub(crate) mod broker;
pub(crate) mod certificates;
pub(crate) mod clock;
pub(crate) mod device;
pub(crate) mod fake;
pub(crate) mod gate;
pub(crate) mod http;
pub(crate) mod https;
pub(crate) mod keyboard;
pub(crate) mod node_red;
pub(crate) mod oidc;
pub(crate) mod picture;
pub(crate) mod process;
pub(crate) mod promises;
pub(crate) mod proxy;
pub(crate) mod scripted_broker;
pub(crate) mod server;
pub(crate) mod strace;
pub(crate) mod stub;
pub(crate) mod subscriber;
pub(crate) mod visitor;
pub(crate) mod wiretap;
pub(crate) mod world;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file in a folder and in those below it.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
