//! The identity of this machine, so that what was sealed on one stays closed on another.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The installation, which lies on the card (machine-id(5)).
const MACHINE_ID: &str = "etc/machine-id";
/// The place where systemd keeps one that is good until the next boot alone; it then lies over the former.
const TRANSIENT_ID: &str = "run/machine-id";
/// The board, which every Raspberry Pi and most other boards with a device tree name.
const BOARD_SERIAL: &str = "sys/firmware/devicetree/base/serial-number";
/// The credential with the UUID of a PC's mainboard, which only root can read from `/sys/class/dmi/id/product_uuid`.
const PRODUCT_UUID: &str = "product_uuid";
/// UUIDs that makers have left on many boards, in lower case and without dashes; one digit throughout is another.
const SHARED_UUIDS: [&str; 2] = ["03000200040005000006000700080009", "00020003000400050006000700080009"];
/// The most that is read; none of them is as long.
const LONGEST: u64 = 256;

/// This machine, told from others by its machine-id and by its board's serial number or UUID.
pub struct Machine {
    identity: Zeroizing<String>,
    has_hardware: bool,
    runtime_directory: Option<PathBuf>,
}

impl Machine {
    /// Finds the machine that this program runs on; `None` where nothing tells it from others, as in some containers.
    #[must_use]
    pub fn this() -> Option<Self> {
        let credentials = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        // Several have colons between them.
        let runtime = env::var("RUNTIME_DIRECTORY").ok();
        let runtime = runtime.and_then(|folders| folders.split(':').next().map(PathBuf::from));
        Self::below(Path::new("/"), credentials.as_deref()).map(|machine| machine.kept_in(runtime))
    }

    /// Finds the machine whose files are below `root`, and whose credentials are in a folder.
    #[must_use]
    pub fn below(root: &Path, credentials: Option<&Path>) -> Option<Self> {
        let id = if is_transient(root) { None } else { read(&root.join(MACHINE_ID)).filter(|id| is_hexadecimal(id)) };
        let serial = read(&root.join(BOARD_SERIAL)).filter(|serial| serial.bytes().any(|digit| digit != b'0'));
        let uuid = credentials.and_then(|folder| read(&folder.join(PRODUCT_UUID))).and_then(|uuid| own_uuid(&uuid));
        if id.is_none() && serial.is_none() && uuid.is_none() {
            return None;
        }
        let has_hardware = serial.is_some() || uuid.is_some();
        let text = |part: Option<Zeroizing<String>>| part.unwrap_or_default();
        let parts = [text(id), text(serial), text(uuid)];
        let identity = format!("machine-id={}\nserial-number={}\nproduct-uuid={}\n", *parts[0], *parts[1], *parts[2]);
        Some(Self { identity: Zeroizing::new(identity), has_hardware, runtime_directory: None })
    }

    /// Names the folder where the slowly derived key is kept until the next boot.
    #[must_use]
    pub fn kept_in(mut self, runtime_directory: Option<PathBuf>) -> Self {
        self.runtime_directory = runtime_directory;
        self
    }

    /// Returns whether a copy of the disk lacks a part of the identity.
    #[must_use]
    pub(crate) fn has_hardware(&self) -> bool {
        self.has_hardware
    }

    pub(super) fn identity(&self) -> &[u8] {
        self.identity.as_bytes()
    }

    pub(super) fn runtime_directory(&self) -> Option<&Path> {
        self.runtime_directory.as_deref()
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[machine]")
    }
}

/// Returns whether the machine-id will be another one after the next boot, as on a root that is never written to.
fn is_transient(root: &Path) -> bool {
    let place = |path: &str| fs::metadata(root.join(path)).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    place(TRANSIENT_ID).is_some_and(|transient| place(MACHINE_ID) == Some(transient))
}

/// 32 hexadecimal digits, not all of them zero. Before the first boot it is empty, or says "uninitialized".
fn is_hexadecimal(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit()) && text.bytes().any(|digit| digit != b'0')
}

/// Returns a UUID in one spelling, unless other boards have the same.
fn own_uuid(text: &str) -> Option<Zeroizing<String>> {
    let plain: Zeroizing<String> = Zeroizing::new(text.replace('-', "").to_ascii_lowercase());
    let is_one_digit = plain.bytes().all(|digit| Some(digit) == plain.bytes().next());
    (is_hexadecimal(&plain) && !is_one_digit && !SHARED_UUIDS.contains(&plain.as_str())).then_some(plain)
}

/// Reads a file of one line, without what ends it (a device tree ends its texts with a zero byte).
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

    fn identity(files: &[(&str, &str)]) -> Option<Vec<u8>> {
        let root = root(files);
        let machine = Machine::below(root.path(), Some(&root.path().join("credentials")));
        machine.map(|machine| machine.identity().to_vec())
    }

    #[test]
    fn a_card_in_another_board_is_another_machine_and_in_the_same_board_the_same() {
        let first = identity(&[(MACHINE_ID, ID), (BOARD_SERIAL, "10000000abcdef01\0")]);
        assert_eq!(identity(&[(MACHINE_ID, ID), (BOARD_SERIAL, "10000000abcdef01\0")]), first);
        assert_ne!(identity(&[(MACHINE_ID, ID), (BOARD_SERIAL, "10000000abcdef02\0")]), first);
        assert_ne!(identity(&[(MACHINE_ID, ID)]), first);
        let other_card = [(MACHINE_ID, "1123456789abcdef0123456789abcdef"), (BOARD_SERIAL, "10000000abcdef01\0")];
        assert_ne!(identity(&other_card), first);
        assert_ne!(identity(&other_card), None);
    }

    #[test]
    fn what_tells_no_machine_from_another_is_none() {
        assert!(identity(&[]).is_none());
        for id in ["", "\n", "uninitialized\n", "00000000000000000000000000000000\n", "0123\n", "\u{e9}"] {
            assert!(identity(&[(MACHINE_ID, id), (BOARD_SERIAL, "0000000000000000\0")]).is_none(), "{id:?}");
        }
        assert!(identity(&[(BOARD_SERIAL, "10000000abcdef01\0")]).is_some());
    }

    #[test]
    fn a_machine_id_that_ends_with_this_boot_binds_nothing() {
        let root = root(&[(MACHINE_ID, ID), ("run/other", ID)]);
        assert!(Machine::below(root.path(), None).is_some());
        fs::hard_link(root.path().join(MACHINE_ID), root.path().join(TRANSIENT_ID)).unwrap();
        assert!(Machine::below(root.path(), None).is_none());
    }

    #[test]
    fn a_pc_is_told_by_its_mainboard_unless_the_maker_gave_all_the_same() {
        const UUID: &str = "credentials/product_uuid";
        let with = |uuid: &str| identity(&[(MACHINE_ID, ID), (UUID, uuid)]);
        let first = with("4C4C4544-0042-3510-8052-B4C04F4A4D32\n");
        assert_eq!(with("4c4c4544-0042-3510-8052-b4c04f4a4d32"), first);
        assert_ne!(with("4C4C4544-0042-3510-8052-B4C04F4A4D33"), first);
        let without = identity(&[(MACHINE_ID, ID)]);
        for shared in ["none", "", "ffffffff-ffff-ffff-ffff-ffffffffffff", "03000200-0400-0500-0006-000700080009"] {
            assert_eq!(with(shared), without, "{shared}");
        }
        let has_hardware = |files: &[_]| {
            let root = root(files);
            Machine::below(root.path(), Some(&root.path().join("credentials"))).unwrap().has_hardware()
        };
        assert!(has_hardware(&[(UUID, "4C4C4544-0042-3510-8052-B4C04F4A4D32")]));
        assert!(has_hardware(&[(BOARD_SERIAL, "10000000abcdef01\0")]));
        assert!(!has_hardware(&[(MACHINE_ID, ID)]));
    }

    #[test]
    fn the_identity_does_not_show() {
        let machine = Machine::below(root(&[(MACHINE_ID, ID)]).path(), None).unwrap();
        assert_eq!(format!("{machine:?}"), "[machine]");
    }
}
