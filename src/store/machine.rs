//! Which machine this is, so that what was sealed on one stays closed on another.

use std::fmt;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The installation, which lies on the card (machine-id(5)).
const MACHINE_ID: &str = "etc/machine-id";
/// Where systemd keeps one that is good until the next boot alone; it then lies over the former.
const TRANSIENT_ID: &str = "run/machine-id";
/// The board, which every Raspberry Pi and most other boards with a device tree name.
const BOARD_SERIAL: &str = "sys/firmware/devicetree/base/serial-number";
/// The machine-id is not to be used as it is, but hashed with a key that belongs to the application (machine-id(5)).
const APPLICATION: &[u8] = b"oauth2mqtt machine, format 1";
/// More than this is surely neither.
const LONGEST: u64 = 256;

/// What tells this machine from others: a keyed hash of its machine-id and of its board's serial number.
pub struct Machine(Zeroizing<[u8; 32]>);

impl Machine {
    /// The machine that this program runs on; `None` where nothing tells it from others, as in some containers.
    #[must_use]
    pub fn this() -> Option<Self> {
        Self::below(Path::new("/"))
    }

    /// The machine whose files are below `root`.
    #[must_use]
    pub fn below(root: &Path) -> Option<Self> {
        let id = if is_transient(root) { None } else { read(&root.join(MACHINE_ID)).filter(|id| is_machine_id(id)) };
        let serial = read(&root.join(BOARD_SERIAL)).filter(|serial| serial.bytes().any(|digit| digit != b'0'));
        if id.is_none() && serial.is_none() {
            return None;
        }
        let text = |part: Option<Zeroizing<String>>| part.unwrap_or_default();
        let both = Zeroizing::new(format!("machine-id={}\nserial-number={}\n", *text(id), *text(serial)));
        let (hash, _) = Hkdf::<Sha256>::extract(Some(APPLICATION), both.as_bytes());
        Some(Self(Zeroizing::new(hash.into())))
    }

    /// The hash. It is no secret by which anything could be opened, but it is nobody's business either.
    pub(crate) fn hash(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[machine]")
    }
}

/// Whether the machine-id will be another one after the next boot, as on a root that is never written to.
fn is_transient(root: &Path) -> bool {
    let place = |path: &str| fs::metadata(root.join(path)).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    place(TRANSIENT_ID).is_some_and(|transient| place(MACHINE_ID) == Some(transient))
}

/// 32 hexadecimal digits, not all of them zero. Before the first boot it is empty, or says "uninitialized".
fn is_machine_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit()) && text.bytes().any(|digit| digit != b'0')
}

/// What is in a file of one line, without what ends it (a device tree ends its texts with a zero byte).
fn read(path: &Path) -> Option<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    File::open(path).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
    let trimmed = text.trim_matches(['\0', '\n', ' ']);
    (!trimmed.is_empty()).then(|| Zeroizing::new(trimmed.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const ID: &str = "0123456789abcdef0123456789abcdef\n";

    fn root(files: &[(&str, &str)]) -> TempDir {
        let root = TempDir::new().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn hash(files: &[(&str, &str)]) -> Option<Vec<u8>> {
        Machine::below(root(files).path()).map(|machine| machine.hash().to_vec())
    }

    #[test]
    fn a_card_in_another_board_is_another_machine_and_in_the_same_board_the_same() {
        let first = hash(&[(MACHINE_ID, ID), (BOARD_SERIAL, "10000000abcdef01\0")]);
        assert_eq!(hash(&[(MACHINE_ID, ID), (BOARD_SERIAL, "10000000abcdef01\0")]), first);
        assert_ne!(hash(&[(MACHINE_ID, ID), (BOARD_SERIAL, "10000000abcdef02\0")]), first);
        assert_ne!(hash(&[(MACHINE_ID, ID)]), first);
        let other_card = [(MACHINE_ID, "1123456789abcdef0123456789abcdef"), (BOARD_SERIAL, "10000000abcdef01\0")];
        assert_ne!(hash(&other_card), first);
        assert_ne!(hash(&other_card), None);
    }

    #[test]
    fn what_tells_no_machine_from_another_is_none() {
        assert!(hash(&[]).is_none());
        for id in ["", "\n", "uninitialized\n", "00000000000000000000000000000000\n", "0123\n", "\u{e9}"] {
            assert!(hash(&[(MACHINE_ID, id), (BOARD_SERIAL, "0000000000000000\0")]).is_none(), "{id:?}");
        }
        assert!(hash(&[(BOARD_SERIAL, "10000000abcdef01\0")]).is_some());
    }

    #[test]
    fn a_machine_id_that_ends_with_this_boot_binds_nothing() {
        let root = root(&[(MACHINE_ID, ID), ("run/other", ID)]);
        assert!(Machine::below(root.path()).is_some());
        fs::hard_link(root.path().join(MACHINE_ID), root.path().join(TRANSIENT_ID)).unwrap();
        assert!(Machine::below(root.path()).is_none());
    }

    #[test]
    fn neither_of_the_two_shows() {
        let machine = Machine::below(root(&[(MACHINE_ID, ID)]).path()).unwrap();
        assert_eq!(format!("{machine:?}"), "[machine]");
        assert!(!ID.as_bytes().windows(8).any(|part| machine.hash().windows(8).any(|own| own == part)));
    }
}
